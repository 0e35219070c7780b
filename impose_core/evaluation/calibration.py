"""Whether stated deviations are true: how often errors stay within one and two sigma.

A deviation is one sigma per axis. If errors were Gaussian with it, a joint's distance from
its label would be within one sigma in 39 % of cases and within two in 86 % (a Rayleigh
distribution: 1 - exp(-r² / 2)), not 68 % and 95 % as on a line. Higher shares mean that
deviations are stated too large, lower ones too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.oks import Floats
from impose_core.poses import Origin, PoseTracks

WITHIN_ONE = 1 - math.exp(-1 / 2)
"""Share of a Gaussian in the plane within one sigma, .393."""

WITHIN_TWO = 1 - math.exp(-2)
"""Within two, .865."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Shares of joints within their stated deviation, 0 to 1; NaN if n is 0.

    Attributes:
        within_one: distance to the label at most one deviation.
        within_two: at most two.
        n: joints that are labelled, have a position and state a deviation.
    """

    within_one: float
    within_two: float
    n: int


def calibration(
    tracks: PoseTracks, xy: Floats, visibility: NDArray[np.uint8]
) -> Mapping[Origin, Calibration]:
    """Calibration of ``tracks``, by who placed the joint.

    Human joints state a deviation of 0: their row says how many lie on the label exactly.

    Args:
        tracks: T frames, N persons, K joints.
        xy: float64 [T, N, K, 2] pixels, labels of the same persons in the same order.
        visibility: uint8 [T, N, K]; 0 where there is no label.

    Raises:
        UsageError: if the labels have another shape than the tracks.
    """
    if xy.shape != tracks.xy.shape or visibility.shape != tracks.xy.shape[:-1]:
        raise UsageError(
            f"Expected labels of shape {tracks.xy.shape}, got {xy.shape} with visibility "
            f"{visibility.shape}."
        )
    distance = np.linalg.norm(tracks.xy - xy, axis=-1)
    known = (visibility > 0) & np.isfinite(distance) & np.isfinite(tracks.deviation)
    return {
        origin: _shares(distance[of], tracks.deviation[of].astype(np.float64))
        for origin in (Origin.DETECTED, Origin.PROPAGATED, Origin.HUMAN)
        for of in [known & (tracks.origin == origin)]
    }


def _shares(distance: Floats, deviation: Floats) -> Calibration:
    if not len(distance):
        return Calibration(within_one=np.nan, within_two=np.nan, n=0)
    return Calibration(
        within_one=float((distance <= deviation).mean()),
        within_two=float((distance <= 2 * deviation).mean()),
        n=len(distance),
    )
