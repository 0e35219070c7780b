"""Where a pose reader sees joints, as evidence beside their tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.config import ReadingConfig

Floats = NDArray[np.float64]

_FADED = 1e-4
"""A score below this is no reading any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where a reader sees M joints: up to P places for each, its bias taken out.

    Attributes:
        xy: float64 [M, P, 2] pixels, NaN for none.
        score: float64 [M, P], 0 to 1; 0 for none.
        mistrust: float64 [M], at least 1: multiplies the variance of the places.
    """

    xy: Floats
    score: Floats
    mistrust: Floats

    @classmethod
    def none(cls, joints: int) -> Readings:
        """Nobody reads."""
        empty = np.zeros((joints, 0))
        return cls(xy=np.zeros((joints, 0, 2)), score=empty, mistrust=np.ones(joints))

    @property
    def present(self) -> NDArray[np.bool_]:
        """[M]: there is a place."""
        return np.asarray((self.score > 0).any(-1))

    def near(self, xy: Floats, unsure: Floats, size: Floats, config: ReadingConfig) -> OneReading:
        """For each joint the place that is likeliest, given an estimate of it.

        Args:
            xy: [M, 2] pixels, the estimate.
            unsure: [M] pixels squared, its variance per axis.
            size: [M] pixels, body size.
            config: how scores fade away from the estimate, and what they are worth.
        """
        if not self.score.shape[1]:
            nowhere = np.full(len(xy), np.inf)
            return OneReading(xy=np.zeros_like(xy), variance=nowhere, score=np.zeros(len(xy)))
        squared = ((self.xy - xy[:, None]) ** 2).sum(-1)
        fade = 1 / (1 + squared / (2 * ((config.near * size) ** 2 + unsure)[:, None]))
        score = np.where(self.score > 0, self.score * fade, 0.0)
        joint, best = np.arange(len(xy)), score.argmax(axis=1)
        score = score[joint, best]
        seen = score > _FADED
        variance = (config.deviation * size) ** 2 * self.mistrust / np.where(seen, score, 1.0)
        return OneReading(
            xy=np.where(seen[:, None], self.xy[joint, best], 0.0),
            variance=np.where(seen, variance, np.inf),
            score=score,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OneReading:
    """One place per joint.

    Attributes:
        xy: float64 [M, 2] pixels.
        variance: float64 [M] pixels squared per axis; infinite where nothing was read.
        score: float64 [M], faded with the distance from the estimate.
    """

    xy: Floats
    variance: Floats
    score: Floats

    def weight(self, xy: Floats, unsure: Floats, config: ReadingConfig) -> Floats:
        """[M]: how far each is to be believed beside an estimate ``xy`` [M, 2] that has the
        variance ``unsure`` [M]: a reading that disagrees is outvoted, not averaged."""
        squared = ((self.xy - xy) ** 2).sum(-1)
        surprise = np.where(np.isfinite(self.variance), squared, 0.0) / (self.variance + unsure)
        return np.asarray((config.nu + 2) / (config.nu + surprise))


def claimed(
    xy: Floats,
    score: Floats,
    mine: NDArray[np.int64],
    claimants: Floats,
    size: Floats,
    config: ReadingConfig,
) -> Floats:
    """Scores [A, P] of places, shared among all persons whose joint may be there.

    Bodies near each other are in one view, and a reader shows the same wrist to both: it is
    whose it is nearest to.

    Args:
        xy: [A, P, 2] pixels, the places.
        score: [A, P].
        mine: [A], which of the N claimants asks.
        claimants: [A, N, 2] pixels, where the same joint of everybody is by now; NaN for those
            of whom nothing is known.
        size: [A] pixels, body size.
        config: how near is near.
    """
    if claimants.shape[1] < 2 or not score.shape[1]:
        return score
    squared = ((xy[:, :, None] - claimants[:, None]) ** 2).sum(-1)
    near = 2 * (config.claim * size[:, None, None]) ** 2
    claim = np.nan_to_num((1 + squared / near) ** -2.0)
    own = np.take_along_axis(claim, mine[:, None, None], axis=2)[..., 0]
    total = claim.sum(-1)
    return np.asarray(score * np.where(own > 0, own / np.where(total > 0, total, 1.0), 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """M joints after an update: ``xy`` float64 [M, 2] px, ``variance`` float64 [M] px squared,
    ``seen`` bool [M]: the reader sees the joint where it is."""

    xy: Floats
    variance: Floats
    seen: NDArray[np.bool_]


def filtered(
    readings: Readings, xy: Floats, variance: Floats, size: Floats, config: ReadingConfig
) -> Filtered:
    """One robust Kalman update by readings.

    Args:
        readings: of the M joints.
        xy: [M, 2] pixels, before.
        variance: [M] pixels squared, before.
        size: [M] pixels, body size.
        config: what readings are worth.
    """
    near = readings.near(xy, variance, size, config)
    weight = near.weight(xy, variance, config)
    gain = variance / (variance + near.variance / weight)
    return Filtered(
        xy=xy + gain[:, None] * np.where(gain[:, None] > 0, near.xy - xy, 0.0),
        variance=variance * (1 - gain),
        seen=near.score / np.maximum(readings.mistrust, 1.0) >= config.seen_score,
    )
