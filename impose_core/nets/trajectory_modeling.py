"""Trajectory modelling: what is remembered is adapted before it is compared (MOTIP, 3.3).

Only the past passes through here; the bodies of the current frame stay as they were seen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FeedForward(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., width]."""
        return torch.as_tensor(self.linear2(functional.gelu(self.linear1(x))))


class TrajectoryModeling(nn.Module):
    """Two residual feed-forward blocks, normalised after each."""

    def __init__(self, width: int, *, ratio: int = 2) -> None:
        super().__init__()
        self.adapter = FeedForward(width, ratio * width)
        self.norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ratio * width)
        self.ffn_norm = nn.LayerNorm(width)

    def forward(self, history: Tensor) -> Tensor:
        """[..., width] -> [..., width], each remembered body on its own."""
        x = self.norm(history + self.adapter(history))
        return torch.as_tensor(self.ffn_norm(x + self.ffn(x)))
