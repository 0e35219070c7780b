"""The worst poses of a clip, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import Tracklet


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstPose:
    """A pose that is far from its label.

    Attributes:
        frame: where.
        person: index on the N axis.
        oks: against the label, 0 to 1.
    """

    frame: int
    person: int
    oks: float


def worst_poses(
    truth: Sequence[Tracklet], poses: Floats, *, sigmas: Floats, limit: int, apart: int = 10
) -> list[WorstPose]:
    """At most ``limit`` poses of ``poses`` [T, N, K, 2], the worst first.

    Two of one person are at least ``apart`` frames from each other: neighbours look alike.
    """
    likeness = np.full(poses.shape[:2], np.inf)
    for n, person in enumerate(truth):
        likeness[person.on, n] = np.nanmean(person.terms(poses[:, n], sigmas)[person.on], axis=-1)
    found: list[WorstPose] = []
    for flat in np.argsort(likeness, axis=None, kind="stable"):
        frame, n = (int(i) for i in np.unravel_index(flat, likeness.shape))
        if len(found) == limit or not np.isfinite(likeness[frame, n]):
            break
        if any(one.person == n and abs(one.frame - frame) < apart for one in found):
            continue
        found.append(WorstPose(frame=frame, person=n, oks=float(likeness[frame, n])))
    return found
