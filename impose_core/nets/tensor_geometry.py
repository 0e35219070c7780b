"""Boxes and references as tensors; all coordinates are shares of the image, 0 to 1.

``cxcywh`` is centre and size, ``xyxy`` two corners; x right, y down.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

EPS: Final = 1e-3
"""References leave the decoder within [EPS, 1 - EPS], as published weights expect."""


def inverse_sigmoid(x: Tensor, eps: float = EPS) -> Tensor:
    """Logit of x clamped to 0..1, in float32; nearer than ``eps`` to either end counts as eps."""
    x = x.float().clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def moved(reference: Tensor, by: Tensor) -> Tensor:
    """``reference`` (0 to 1) moved by ``by`` logits, in float32 under any autocast."""
    return (inverse_sigmoid(reference) + by.float()).sigmoid()


def to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """[..., 4] -> [..., 4]."""
    centre, size = boxes_cxcywh.chunk(2, dim=-1)
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    """[..., 4] -> [..., 4]."""
    low, high = boxes_xyxy.chunk(2, dim=-1)
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def enlarged(boxes_cxcywh: Tensor, points: Tensor) -> Tensor:
    """Boxes [..., 4], each grown just so far that it holds its points [..., K, 2]."""
    low, high = to_xyxy(boxes_cxcywh).chunk(2, dim=-1)
    low = torch.minimum(low, points.amin(dim=-2))
    high = torch.maximum(high, points.amax(dim=-2))
    return to_cxcywh(torch.cat([low, high], dim=-1))


def generalised_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """GIoU (Rezatofighi et al. 2019) of boxes that broadcast: [..., 4] -> [...], -1 to 1."""
    inner_low = torch.maximum(a_xyxy[..., :2], b_xyxy[..., :2])
    inner_high = torch.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    outer_low = torch.minimum(a_xyxy[..., :2], b_xyxy[..., :2])
    outer_high = torch.maximum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    inner = (inner_high - inner_low).clamp(min=0).prod(dim=-1)
    union = _area(a_xyxy) + _area(b_xyxy) - inner
    outer = (outer_high - outer_low).prod(dim=-1)
    tiny = torch.finfo(outer.dtype).tiny
    return inner / union.clamp(min=tiny) - (outer - union) / outer.clamp(min=tiny)


def _area(boxes_xyxy: Tensor) -> Tensor:
    return (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).prod(dim=-1)
