"""What was worked out between and beyond the anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import rearranged


@dataclass(slots=True, kw_only=True)
class Estimates:
    """The estimate of every joint between and beyond its anchors; filled as it is wanted.

    Attributes:
        xy: float64 [T, N, K, 2] pixels, also where the joint is outside the image.
        variance: float64 [T, N, K] pixels squared per axis, as the smoother gives it.
        visible: bool [T, N, K]: some track still looks at the joint.
        bridged: bool [T, N, K]: there is an anchor on both sides.
        known: bool [T, N, K]: the four above are valid.
    """

    xy: NDArray[np.float64]
    variance: NDArray[np.float64]
    visible: NDArray[np.bool_]
    bridged: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @classmethod
    def unknown(cls, shape: tuple[int, int, int]) -> Estimates:
        """Nothing estimated yet over [T, N, K]."""
        return cls(
            xy=np.full((*shape, 2), np.nan),
            variance=np.full(shape, np.nan),
            visible=np.zeros(shape, bool),
            bridged=np.zeros(shape, bool),
            known=np.zeros(shape, bool),
        )

    def rows(self, start: int, stop: int, columns: NDArray[np.int64]) -> Estimates:
        """Frames ``start`` to ``stop`` (exclusive) alone, the N axis rearranged."""
        cut = {name: getattr(self, name)[start:stop] for name in self.__slots__}
        return Estimates(**cut).persons(columns)

    def persons(self, columns: NDArray[np.int64]) -> Estimates:
        """The same with the N axis rearranged (-1: a person nothing is known of)."""
        nothing = {"visible": False, "bridged": False, "known": False}
        return Estimates(
            **{
                name: rearranged(getattr(self, name), columns, nothing.get(name, np.nan))
                for name in self.__slots__
            }
        )
