"""Deformable DETR with box refinement (Zhu et al., ICLR 2021): the detector MOTIP was trained with.

Learned queries instead of selected ones, boxes only. Its last tokens are what MOTIP's tracker
remembers persons by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from impose_core.nets.backbone import ResNet, ResNetConfig
from impose_core.nets.decoder_layer import DecoderLayer
from impose_core.nets.encoder import Encoder
from impose_core.nets.heads import box_head, class_head
from impose_core.nets.memory import Neck, Pyramid
from impose_core.nets.tensor_geometry import inverse_sigmoid

EPS: Final = 1e-5
"""Boxes leave the decoder within [EPS, 1 - EPS]."""
MAP_TEMPERATURE: Final = 10000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """Sizes; the defaults are the published ones."""

    backbone: ResNetConfig = field(default_factory=ResNetConfig)
    width: int = 256
    feed_forward: int = 1024
    layers: int = 6
    heads: int = 8
    points: int = 4
    queries: int = 300
    classes: int = 1


class Persons(NamedTuple):
    """What the detector says; Q queries."""

    tokens: Tensor  # [B, Q, d]
    logits: Tensor  # [B, Q, classes]
    boxes_cxcywh: Tensor  # [B, Q, 4], 0 to 1


class DeformableDetr(nn.Module):
    """Images in, boxes out."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        width, looks = config.width, {"heads": config.heads, "points": config.points}
        self.backbone = ResNet(config.backbone)
        self.neck = Neck(config.backbone.channels, width, extra_level=True)
        self.encoder = _Encoder(width, config.feed_forward, depth=config.layers, levels=4, **looks)
        self.queries = nn.Embedding(config.queries, 2 * width)
        self.first_reference = nn.Linear(width, 2)
        self.layers = nn.ModuleList(
            DecoderLayer(width, config.feed_forward, levels=4, **looks)
            for _ in range(config.layers)
        )
        self.class_heads = nn.ModuleList(
            class_head(width, config.classes) for _ in range(config.layers)
        )
        self.box_heads = nn.ModuleList(box_head(width) for _ in range(config.layers))

    def forward(self, images: Tensor, padding: Tensor) -> Persons:
        """Find persons.

        Args:
            images: RGB [B, 3, H, W], ImageNet-normalised, zero where there is no image.
            padding: bool [B, H, W], True where there is no image.
        """
        memory = self.encoder(self.neck(self.backbone(images), padding))
        position, tokens = self.queries.weight.expand(len(images), -1, -1).chunk(2, dim=-1)
        reference = self.first_reference(position).sigmoid()
        for layer, head in zip(self.layers, self.box_heads, strict=True):
            assert isinstance(layer, DecoderLayer)
            tokens = layer(tokens, position, memory.per_level(reference), layer.values(memory))
            boxes = _refined(reference, head(tokens))
            reference = boxes.detach()
        return Persons(tokens=tokens, logits=self.class_heads[-1](tokens), boxes_cxcywh=boxes)


def _refined(reference: Tensor, step: Tensor) -> Tensor:
    """A point or a box [..., 2 or 4], 0 to 1, moved by ``step`` [..., 4] logits to a box."""
    known = functional.pad(inverse_sigmoid(reference, EPS), (0, 4 - reference.shape[-1]))
    return (known + step).sigmoid()


class _Encoder(Encoder):
    """The encoder of the pose network, but for how a cell is placed."""

    def position(self, pyramid: Pyramid) -> Tensor:
        """Sines of cells' middles, with the temperature of DETR: [B, S, d]."""
        width = self.level_embedding.shape[1]
        parts = [
            middles(padding, width).flatten(1, 2) + level
            for padding, level in zip(pyramid.paddings, self.level_embedding, strict=True)
        ]
        return torch.cat(parts, dim=1)


def middles(padding: Tensor, width: int) -> Tensor:
    """[B, H, W], True where there is no image -> [B, H, W, width]; y comes before x."""
    valid = (~padding).float()
    pair = torch.arange(width // 4, dtype=torch.float32, device=padding.device)
    period = MAP_TEMPERATURE ** (4 * pair / width)
    halves = []
    for axis in (1, 2):
        count = valid.cumsum(dim=axis)
        share = (count - 0.5) / (count.narrow(axis, count.shape[axis] - 1, 1) + 1e-6)
        angle = share[..., None] * (2 * math.pi) / period
        halves.append(torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2))
    return torch.cat(halves, dim=-1)
