"""Keypoint-aware embedding: a pose as the tracker remembers it (IMPose III-B, eq. 1).

``E = W [vec(P) ; R ; gamma(P)] + b``: where the joints are, how they lie to each other along the
skeleton's edges, and their places in Fourier features.

The paper leaves the frame of ``P`` and absent joints open. Here ``vec`` and ``gamma`` are of image
coordinates in 0..1, so they say where somebody is; ``R`` is of pixels over the diagonal of the
person's box, so it says how somebody stands, near or far. A joint that is not known is zero in all
parts, and one bit per joint tells zero from unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from impose_core.errors import UsageError

BANDS: Final = 6
"""Frequencies of the Fourier features: pi, 2 pi, ... 32 pi."""
_LEAST: Final = 1e-6
"""Of a box diagonal: shorter edges have no direction."""


class KeypointEmbedding(nn.Module):
    """Poses in, ``width`` numbers each out.

    Args:
        joints: K.
        edges: pairs of joints, 0-based; may be empty.
        width: of the embedding.

    Raises:
        UsageError: if an edge names a joint that does not exist.
    """

    def __init__(self, *, joints: int, edges: Sequence[tuple[int, int]], width: int = 128) -> None:
        super().__init__()
        if bad := [edge for edge in edges if not all(0 <= j < joints for j in edge)]:
            raise UsageError(f"Expected 'edges' between joints 0 to {joints - 1}, got {bad[0]}.")
        ends = torch.tensor(edges, dtype=torch.long).reshape(-1, 2)
        self.register_buffer("_ends", ends, persistent=False)
        self._ends: Tensor
        self.inputs = joints * (2 + 4 * BANDS + 1) + 3 * len(ends)
        self.projection = nn.Linear(self.inputs, width)

    def forward(self, xy: Tensor, known: Tensor, box_xyxy: Tensor, image_size: Tensor) -> Tensor:
        """Embed poses.

        Args:
            xy: [..., K, 2] pixels; anything, NaN too, where not ``known``.
            known: [..., K] bool.
            box_xyxy: [..., 4] pixels.
            image_size: [2] or [..., 2] width, height in pixels.

        Returns:
            [..., width].
        """
        xy = torch.where(known[..., None], xy, 0.0)
        place = torch.where(known[..., None], xy / image_size[..., None, :], 0.0)
        features = (
            place.flatten(-2),
            self._edges(xy, known, box_xyxy).flatten(-2),
            fourier(place, known).flatten(-2),
            known.to(xy.dtype),
        )
        return torch.as_tensor(self.projection(torch.cat(features, dim=-1)))

    def _edges(self, xy: Tensor, known: Tensor, box_xyxy: Tensor) -> Tensor:
        """[..., E, 3]: length over the box's diagonal and direction of each edge."""
        diagonal = (box_xyxy[..., 2:] - box_xyxy[..., :2]).norm(dim=-1).clamp(min=1.0)
        one, other = self._ends.unbind(-1)
        vector = (xy[..., other, :] - xy[..., one, :]) / diagonal[..., None, None]
        length = (vector.square().sum(-1, keepdim=True) + _LEAST**2).sqrt()
        both = (known[..., one] & known[..., other])[..., None]
        return torch.where(both, torch.cat([length, vector / length], dim=-1), 0.0)


def fourier(place: Tensor, known: Tensor) -> Tensor:
    """[..., K, 4 * BANDS]: sines and cosines of ``place`` [..., K, 2], zero where not ``known``."""
    bands = math.pi * 2.0 ** torch.arange(BANDS, device=place.device, dtype=place.dtype)
    angle = (place[..., None] * bands).flatten(-2)
    return torch.where(known[..., None], torch.cat([angle.sin(), angle.cos()], dim=-1), 0.0)
