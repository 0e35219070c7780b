"""What is read off a token: whether it is a person, where its box or joint is, if it is seen."""

from __future__ import annotations

import itertools
import math
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

RARE: Final = 0.01
"""What a fresh class head takes the chance of a person to be (focal loss, Lin et al. 2017)."""


class MLP(nn.Module):
    """Linear layers with ReLU between; the last starts at zero where ``still``."""

    def __init__(
        self, width_in: int, hidden: int, width_out: int, depth: int, *, still: bool = False
    ) -> None:
        super().__init__()
        widths = [width_in, *[hidden] * (depth - 1), width_out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        if still:
            for last in self.layers[-1].parameters():
                nn.init.zeros_(last)

    def forward(self, x: Tensor) -> Tensor:
        """[..., width_in] -> [..., width_out]."""
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


def class_head(width: int, classes: int) -> nn.Linear:
    """Token -> logit of each class."""
    head = nn.Linear(width, classes)
    nn.init.constant_(head.bias, math.log(RARE / (1 - RARE)))
    return head


def box_head(width: int) -> MLP:
    """Token -> how a box (cx, cy, w, h) moves, in logits."""
    return MLP(width, width, 4, 3, still=True)


def point_head(width: int) -> MLP:
    """Token -> how a joint (x, y) moves, or its size (w, h) changes, in logits."""
    return MLP(width, width, 2, 3, still=True)


def visibility_head(width: int) -> MLP:
    """Joint token -> logit of being seen; absent in the published networks (model card)."""
    return MLP(width, width, 1, 2, still=True)
