"""All chance of a run, from its seed and what it is for: no state, so nothing to resume."""

from __future__ import annotations

import numpy as np
import torch


def numbers(seed: int, purpose: int, number: int) -> np.random.Generator:
    """The generator of one thing: always the same for the same three."""
    return np.random.default_rng([seed, purpose, number])


def order(seed: int, number: int, count: int) -> int:
    """Which of ``count`` things comes as the ``number``-th: all once, shuffled, then all again."""
    epoch, place = divmod(number, count)
    return int(numbers(seed, 1, epoch).permutation(count)[place])


def torch_chance(seed: int, step: int, machine: int, device: torch.device) -> torch.Generator:
    """The generator of one step on one machine."""
    mixed = np.random.SeedSequence([seed, 3, step, machine]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(mixed) % 2**63)
