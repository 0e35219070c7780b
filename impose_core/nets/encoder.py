"""The encoder: every cell of every level looks around itself, on all levels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from impose_core.nets.deformable_attention import DeformableAttention, Shapes
from impose_core.nets.memory import Memory, Pyramid
from impose_core.nets.positional import sine_of_map


class FeedForward(nn.Module):
    """Two linear layers around a ReLU, added to what came, then normalised."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        out: Tensor = self.norm(x + self.linear2(functional.relu(self.linear1(x))))
        return out


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, normalised after each."""

    def __init__(self, width: int, hidden: int, *, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(width, levels=levels, heads=heads, points=points)
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)

    def forward(
        self, tokens: Tensor, position: Tensor, reference: Tensor, padding: Tensor, shapes: Shapes
    ) -> Tensor:
        """Tokens [B, S, d] at references [B, S, levels, 2] -> [B, S, d]."""
        values = self.attention.values(tokens, padding, shapes)
        tokens = self.norm(tokens + self.attention(tokens + position, reference, values))
        out: Tensor = self.feed_forward(tokens)
        return out


class Encoder(nn.Module):
    """Pyramid in, memory out."""

    def __init__(
        self, width: int, hidden: int, *, depth: int, levels: int, heads: int, points: int
    ) -> None:
        super().__init__()
        self.level_embedding = nn.Parameter(torch.randn(levels, width))
        self.layers = nn.ModuleList(
            EncoderLayer(width, hidden, levels=levels, heads=heads, points=points)
            for _ in range(depth)
        )

    def forward(self, pyramid: Pyramid) -> Memory:
        """Tokens [B, S, d] of all levels -> memory [B, S, d]."""
        tokens, position = pyramid.tokens, self.position(pyramid)
        reference = cells(pyramid.shapes, pyramid.valid)
        for layer in self.layers:
            tokens = layer(tokens, position, reference, pyramid.padding, pyramid.shapes)
        return Memory(
            tokens=tokens, padding=pyramid.padding, shapes=pyramid.shapes, valid=pyramid.valid
        )

    def position(self, pyramid: Pyramid) -> Tensor:
        """Where each token is, and on which level: [B, S, d]."""
        width = self.level_embedding.shape[1]
        parts = [
            sine_of_map(padding, width).flatten(1, 2) + level
            for padding, level in zip(pyramid.paddings, self.level_embedding, strict=True)
        ]
        return torch.cat(parts, dim=1)


def cells(shapes: Shapes, valid: Tensor) -> Tensor:
    """Where each cell's middle is, on every level: [B, S, levels, 2] (x, y).

    Args:
        shapes: (rows, columns) per level.
        valid: [B, levels, 2], share of columns and rows that shows the image.
    """
    places = [
        centres(shape, valid.device).flatten(0, 1) / valid[:, level, None]
        for level, shape in enumerate(shapes)
    ]
    return torch.cat(places, dim=1)[:, :, None] * valid[:, None]


def centres(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Middles of the cells of a map: [rows, columns, 2] (x, y), 0 to 1."""
    rows, columns = shape
    y = (torch.arange(rows, dtype=torch.float32, device=device) + 0.5) / rows
    x = (torch.arange(columns, dtype=torch.float32, device=device) + 0.5) / columns
    return torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], dim=-1)
