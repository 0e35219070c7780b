"""Averaged weights (EMA), which are steadier than those of any step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """The moving average of a network's floating-point state.

    Args:
        network: whose state is the first average.
        decay: how much of the average a step keeps; less in the first steps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in _floating(network).items()}

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move a little towards the network after its ``step``-th step, counted from 1."""
        kept = min(self.decay, (1 + step) / (10 + step))
        for name, value in _floating(network).items():
            self.weights[name].lerp_(value, 1 - kept)

    @torch.no_grad()
    def give(self, network: nn.Module) -> None:
        """Make these the weights of ``network``."""
        for name, value in _floating(network).items():
            value.copy_(self.weights[name])

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take these as the average; names and shapes are those of the network."""
        for name, value in weights.items():
            self.weights[name].copy_(value)


def _floating(network: nn.Module) -> dict[str, Tensor]:
    return {n: v for n, v in network.state_dict().items() if v.is_floating_point()}
