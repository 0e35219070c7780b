"""Numbers of official code, read from disk, and how far ours are from them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(
    os.environ.get("IMPOSE_GOLDEN", Path(__file__).parent.parent.parent / "shared" / "golden")
)
MODULE = 1e-5
"""Absolute tolerance of a single module."""
MODEL = 1e-4
"""Absolute tolerance of a whole network."""
EXACT = 0.0
"""What is counted, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far one of our results is from the official one."""

    fixture: str
    what: str
    largest: float
    """Absolute; of counted things the number that differ."""
    tolerance: float

    @property
    def fits(self) -> bool:
        """Whether it is within its tolerance; NaN is not."""
        return self.largest <= self.tolerance


class Fixture(Mapping[str, Tensor]):
    """One file of golden arrays as float32, int64 and bool tensors."""

    def __init__(self, name: str) -> None:
        self.name = name
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files}
        self._tensors = {k: v.float() if v.is_floating_point() else v for k, v in arrays.items()}

    def __getitem__(self, key: str) -> Tensor:
        return self._tensors[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """What begins with ``prefix``, without it."""
        return {k.removeprefix(prefix): v for k, v in self.items() if k.startswith(prefix)}

    def shapes(self, key: str) -> tuple[tuple[int, int], ...]:
        """Rows and columns of each level."""
        return tuple((int(h), int(w)) for h, w in self[key])

    def compare(
        self, what: str, ours: Tensor, theirs: Tensor | str, tolerance: float = MODEL
    ) -> Deviation:
        """The largest absolute difference; infinite where the shapes differ."""
        known = self[theirs] if isinstance(theirs, str) else theirs
        if ours.shape != known.shape:
            return Deviation(
                fixture=self.name, what=what, largest=float("inf"), tolerance=tolerance
            )
        if tolerance == EXACT:
            largest = float((ours != known).sum())
        else:
            largest = float((ours.detach().double() - known.double()).abs().max())
        return Deviation(fixture=self.name, what=what, largest=largest, tolerance=tolerance)


def names(preset: str) -> list[dict[str, Any]]:
    """The official (name, shape) list of a full-size network."""
    with (FOLDER / f"{preset}_coco_names.json").open() as file:
        entries: list[dict[str, Any]] = json.load(file)["entries"]
    return entries
