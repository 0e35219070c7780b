"""Sine encodings of places: of every cell of a map, and of boxes or points.

Both are those of DETR and DAB-DETR with their published temperatures; y comes before x. Widths
are free: the published networks all have 256.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

MAP_TEMPERATURE: Final = 20.0
REFERENCE_TEMPERATURE: Final = 10000.0


def sine_of_map(padding: Tensor, width: int, temperature: float = MAP_TEMPERATURE) -> Tensor:
    """Padding [B, H, W], True where there is no image -> encoding [B, H, W, width].

    Places are counted in valid cells, so that padding does not shift them.
    """
    valid = (~padding).float()
    y, x = valid.cumsum(dim=1), valid.cumsum(dim=2)
    y = y / (y[:, -1:, :] + 1e-6)
    x = x / (x[:, :, -1:] + 1e-6)
    halves = [_waves(place, width // 2, temperature) for place in (y, x)]
    return torch.cat(halves, dim=-1)


def sine_of_reference(reference: Tensor, width: int) -> Tensor:
    """Points (x, y) or boxes (x, y, w, h) [..., C], 0 to 1 -> encoding [..., C * width / 2]."""
    places = reference.float().unbind(dim=-1)
    ordered = (places[1], places[0], *places[2:])
    waves = [_waves(place, width // 2, REFERENCE_TEMPERATURE) for place in ordered]
    return torch.cat(waves, dim=-1)


def _waves(place: Tensor, width: int, temperature: float) -> Tensor:
    """[...] -> [..., width]: sine and cosine in turn, of ever longer waves."""
    pair = torch.arange(width // 2, dtype=torch.float32, device=place.device)
    period = temperature ** (2 * pair / width)
    angle = place[..., None] * (2 * math.pi) / period
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
