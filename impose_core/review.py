"""Where to look next: the frames on which a correction is expected to help most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.poses import Origin, PoseTracks

Floats = NDArray[np.float64]

APART = 5
"""Frames: two suggestions about one person are at least this far apart, since a correction
of the one repairs the other."""

_NOWHERE = 1000
"""Video lengths: an anchor so far away says nothing."""


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
    """At most ``limit`` poses, the most helpful correction first, spread over time."""
    known = np.isfinite(tracks.score)
    count = known.sum(-1)
    with np.errstate(invalid="ignore"):
        pose = np.where(known, tracks.score, 0.0).sum(-1) / count
    estimated = (tracks.origin == Origin.PROPAGATED).any(-1)
    worth = np.where((count > 0) & estimated, _worth(tracks), -np.inf)
    found: list[Suggestion] = []
    for flat in np.argsort(-worth, axis=None, kind="stable"):
        frame, n = (int(i) for i in np.unravel_index(flat, worth.shape))
        if len(found) == limit or not np.isfinite(worth[frame, n]):
            break
        track = int(tracks.track_id[n])
        if any(s.track == track and abs(s.frame - frame) < APART for s in found):
            continue
        least = int(np.nanargmin(np.where(known[frame, n], tracks.score[frame, n], np.nan)))
        found.append(
            Suggestion(
                frame=frame,
                track=track,
                keypoint=tracks.skeleton.keypoints[least],
                expected_oks=float(pose[frame, n]),
                deviation=float(tracks.deviation[frame, n, least]),
            )
        )
    return found


def _worth(tracks: PoseTracks) -> Floats:
    """[T, N]: how much doubt a look at each pose would take away, on all frames together.

    Doubt is the root of a joint's expected loss of OKS, which is as its deviation. Between two
    frames b and a that a human touched, doubt about a person grows and shrinks as the variance
    of a Brownian bridge, (f - b)(a - f) / (a - b). A look at frame t makes two bridges of it,
    and leaves of the doubt at f > t all but (a - f)(t - b) / ((f - b)(a - t)); f < t mirrored.
    Joints a human saw and did not move on a frame that was touched count as seen.
    """
    frames = len(tracks)
    loss = np.where(np.isfinite(tracks.score), 1.0 - tracks.score, 0.0)
    touched = (tracks.origin == Origin.HUMAN).any(-1)
    doubt = np.where(touched, 0.0, np.sqrt(np.maximum(loss, 0.0)).sum(-1))
    t = np.arange(frames)[:, None] + np.zeros_like(touched, dtype=np.int64)
    before = np.maximum.accumulate(np.where(touched, t, -1), axis=0)
    after = np.minimum.accumulate(np.where(touched, t, frames)[::-1], axis=0)[::-1]
    # nobody touched the person beyond: the bridge's other end is as good as nowhere
    ahead = np.where(after < frames, after - t, _NOWHERE * frames)
    behind = np.where(before >= 0, t - before, _NOWHERE * frames)
    ratio = np.where(touched, 1.0, ahead / np.maximum(behind, 1))
    later = _from_to(doubt * ratio, t, np.maximum(after, t)) / ratio
    earlier = _from_to(doubt / ratio, np.minimum(before + 1, t), t) * ratio
    return np.asarray(np.where(touched, 0.0, later + earlier))


def _from_to(values: Floats, start: NDArray[np.int64], stop: NDArray[np.int64]) -> Floats:
    """Sums of ``values`` [T, N] over the frames from ``start`` to before ``stop``, both [T, N]."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(np.take_along_axis(sums, stop, 0) - np.take_along_axis(sums, start, 0))
