"""IDF1: how long each person keeps one and the same predicted identity.

Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
Tracking", ECCVW 2016; as TrackEval's ``metrics/identity.py`` computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from impose_core.evaluation.compared_tracks import ComparedTracks

THRESHOLD = 0.5
"""The similarity from which a prediction may be the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Counts of frames of persons, and the scores that follow from them.

    Attributes:
        idtp: labels predicted under the one identity that their track is given.
        idfn: all other labels.
        idfp: all other predictions.
    """

    idtp: int
    idfn: int
    idfp: int

    @property
    def idf1(self) -> float:
        """Harmonic mean of ``idp`` and ``idr``; 0 where there is nothing."""
        return self.idtp / max(1.0, self.idtp + 0.5 * self.idfn + 0.5 * self.idfp)

    @property
    def idp(self) -> float:
        """Share of the predictions."""
        return self.idtp / max(1, self.idtp + self.idfp)

    @property
    def idr(self) -> float:
        """Share of the labels."""
        return self.idtp / max(1, self.idtp + self.idfn)


def identity(tracks: ComparedTracks) -> Identity:
    """The counts of one video: tracks are paired once, so that ``idtp`` is the largest."""
    together = np.zeros((len(tracks.label_lengths), len(tracks.predicted_lengths)), np.int64)
    for frame in tracks.frames:
        together[frame.labels[:, None], frame.predictions] += frame.similarity >= THRESHOLD
    idtp = int(together[linear_sum_assignment(together, maximize=True)].sum())
    return Identity(
        idtp=idtp,
        idfn=int(tracks.label_lengths.sum()) - idtp,
        idfp=int(tracks.predicted_lengths.sum()) - idtp,
    )


def combined(videos: Sequence[Identity]) -> Identity:
    """Several videos together: counts are added."""
    return Identity(
        idtp=sum(video.idtp for video in videos),
        idfn=sum(video.idfn for video in videos),
        idfp=sum(video.idfp for video in videos),
    )
