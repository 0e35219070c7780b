"""Multi-scale deformable attention (Zhu et al., Deformable DETR, ICLR 2021) in plain torch.

A query looks at a few learned places around its reference, on every level of a pyramid, instead
of at all of memory. ``grid_sample`` reads there; it exports to ONNX as GridSample.

What does not depend on the query, ``values``, is a step of its own: it can be kept while
queries change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Shapes = tuple[tuple[int, int], ...]
"""(rows, columns) of each level."""
Values = tuple[Tensor, ...]
"""What can be read: per level [B, heads, d / heads, rows, columns]."""


class DeformableAttention(nn.Module):
    """Queries read from memory at learned places around their references."""

    def __init__(self, width: int, *, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        self._start()

    def values(self, memory: Tensor, padding: Tensor | None, shapes: Shapes) -> Values:
        """Memory [B, S, d] laid out for reading; ``padding`` [B, S] is True where nothing is."""
        projected = self.value_proj(memory)
        if padding is not None:
            projected = projected.masked_fill(padding[..., None], 0)
        return as_maps(projected.unflatten(-1, (self.heads, -1)), shapes)

    def forward(self, query: Tensor, reference: Tensor, values: Values) -> Tensor:
        """Queries [B, Q, d] at references [B, Q, levels, 2 or 4] -> [B, Q, d].

        A reference is a point (x, y), then offsets count in cells of each level; or a box
        (x, y, w, h), then they count in its size.
        """
        parts = (self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(query).unflatten(-1, (*parts, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.heads, -1))
        weights = weights.softmax(dim=-1).unflatten(-1, parts[1:])
        centre = reference[:, :, None, :, None, :2]
        if reference.shape[-1] == 2:
            sides = [[level.shape[-1], level.shape[-2]] for level in values]
            cells = torch.tensor(sides, dtype=offsets.dtype, device=offsets.device)
            places = centre + offsets / cells[:, None]
        else:
            size = reference[:, :, None, :, None, 2:]
            places = centre + offsets / self.points * size * 0.5
        read: Tensor = self.output_proj(read_values(values, places, weights))
        return read

    def _start(self) -> None:
        """At first each head looks along a direction of its own, its points one after another."""
        angle = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1, dtype=torch.float32)
        ring = direction[:, None, None, :] * steps[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(ring.expand(-1, self.levels, -1, -1).flatten())
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


def as_maps(value: Tensor, shapes: Shapes) -> Values:
    """[B, S, heads, D], the levels one after another -> per level [B, heads, D, rows, columns]."""
    batch, _, heads, depth = value.shape
    levels = torch.split(value, [rows * columns for rows, columns in shapes], dim=1)
    return tuple(
        level.permute(0, 2, 3, 1).reshape(batch, heads, depth, *shape)
        for level, shape in zip(levels, shapes, strict=True)
    )


def read_values(values: Values, places: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of what lies at some places.

    Args:
        values: per level [B, heads, D, rows, columns].
        places: [B, Q, heads, levels, points, 2] (x, y), 0 to 1 across the level; outside is 0.
        weights: [B, Q, heads, levels, points].

    Returns:
        [B, Q, heads * D].
    """
    grids = (2 * places - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)
    shares = weights.permute(3, 0, 2, 1, 4).flatten(1, 2)
    read: Sequence[Tensor] = [
        (_sampled(level, grid) * share[:, None]).sum(dim=-1)
        for level, grid, share in zip(values, grids, shares, strict=True)
    ]
    batch, heads = values[0].shape[:2]
    total = torch.stack(list(read)).sum(dim=0)  # [B * heads, D, Q]
    return total.reshape(batch, heads, *total.shape[1:]).permute(0, 3, 1, 2).flatten(2)


def _sampled(level: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(
        level.flatten(0, 1), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )
