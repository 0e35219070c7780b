"""What an image is turned into once, for all decoders and all clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from impose_core.nets.backbone import group_norm
from impose_core.nets.deformable_attention import Shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyramid:
    """Feature maps laid end to end, finest first; S = sum of rows * columns.

    Attributes:
        tokens: [B, S, d].
        padding: bool [B, S], True where there is no image.
        paddings: the same per level, bool [B, rows, columns].
        shapes: (rows, columns) per level.
        valid: [B, levels, 2], the share of each level's columns and rows that shows the image.
    """

    tokens: Tensor
    padding: Tensor
    paddings: tuple[Tensor, ...]
    shapes: Shapes
    valid: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Image features after the encoder: all that decoders see of an image."""

    tokens: Tensor  # [B, S, d]
    padding: Tensor  # bool [B, S], True where there is no image
    shapes: Shapes  # (rows, columns) per level
    valid: Tensor  # [B, levels, 2], share of columns and rows that shows the image

    def of(self, image: int) -> Memory:
        """The memory of one image of the batch, as a batch of one."""
        only = slice(image, image + 1)
        return replace(
            self, tokens=self.tokens[only], padding=self.padding[only], valid=self.valid[only]
        )

    def per_level(self, reference: Tensor) -> Tensor:
        """References of the image [B, Q, 2 or 4] on each level [B, Q, levels, 2 or 4]."""
        valid = torch.cat([self.valid] * (reference.shape[-1] // 2), dim=-1)
        return reference[:, :, None] * valid[:, None]


class Neck(nn.Module):
    """Maps of the backbone at one width; one more level at half the coarsest resolution."""

    def __init__(self, channels: Sequence[int], width: int, *, extra_level: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1), group_norm(width)) for c in channels
        )
        if extra_level:
            coarser = nn.Conv2d(channels[-1], width, 3, stride=2, padding=1)
            self.levels.append(nn.Sequential(coarser, group_norm(width)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, features: Sequence[Tensor], padding: Tensor) -> Pyramid:
        """Maps [B, C, h, w] and the image's padding [B, H, W] -> pyramid."""
        sources = [*features, features[-1]][: len(self.levels)]
        maps = [level(source) for level, source in zip(self.levels, sources, strict=True)]
        shapes = tuple((m.shape[2], m.shape[3]) for m in maps)
        paddings = tuple(_shrunk(padding, shape) for shape in shapes)
        return Pyramid(
            tokens=torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1),
            padding=torch.cat([p.flatten(1) for p in paddings], dim=1),
            paddings=paddings,
            shapes=shapes,
            valid=torch.stack([_valid_share(p) for p in paddings], dim=1),
        )


def _shrunk(padding: Tensor, shape: tuple[int, int]) -> Tensor:
    return functional.interpolate(padding[:, None].float(), size=shape)[:, 0] > 0.5


def _valid_share(padding: Tensor) -> Tensor:
    """[B, rows, columns] -> [B, 2]: of columns, of rows."""
    columns = (~padding[:, 0, :]).float().mean(dim=1)
    rows = (~padding[:, :, 0]).float().mean(dim=1)
    return torch.stack([columns, rows], dim=-1)
