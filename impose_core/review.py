"""Where to look next: the frames whose estimate is least sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from impose_core.poses import Origin, PoseTracks

APART = 5
"""Frames: two suggestions about one person are at least this far apart, since a correction
of the one repairs the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A pose that most needs a look.

    Attributes:
        frame: where.
        track: who.
        keypoint: the least certain joint of the pose.
        expected_oks: of the whole pose, 0 to 1.
        deviation: pixels, one sigma, of that joint.
    """

    frame: int
    track: int
    keypoint: str
    expected_oks: float
    deviation: float


def suggestions(tracks: PoseTracks, *, limit: int) -> list[Suggestion]:
    """The ``limit`` poses with the lowest expected OKS, worst first, spread over time."""
    known = np.isfinite(tracks.score)
    count = known.sum(-1)
    estimated = (tracks.origin == Origin.PROPAGATED).any(-1)
    with np.errstate(invalid="ignore"):
        pose = np.where(known, tracks.score, 0.0).sum(-1) / count
    pose = np.where((count > 0) & estimated, pose, np.inf)
    found: list[Suggestion] = []
    for flat in np.argsort(pose, axis=None, kind="stable"):
        frame, n = (int(i) for i in np.unravel_index(flat, pose.shape))
        if len(found) == limit or not np.isfinite(pose[frame, n]):
            break
        track = int(tracks.track_id[n])
        if any(s.track == track and abs(s.frame - frame) < APART for s in found):
            continue
        joint = int(np.nanargmin(tracks.score[frame, n]))
        found.append(
            Suggestion(
                frame=frame,
                track=track,
                keypoint=tracks.skeleton.keypoints[joint],
                expected_oks=float(pose[frame, n]),
                deviation=float(tracks.deviation[frame, n, joint]),
            )
        )
    return found
