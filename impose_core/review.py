"""Where to look next: the frames on which a correction is expected to help most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from impose_core.poses import Origin, PoseTracks

Floats = NDArray[np.float64]

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
        reason: "pose", or "identity" where this may be somebody else from here on.
    """

    frame: int
    track: int
    keypoint: str
    expected_oks: float
    deviation: float
    reason: str = "pose"


def suggestions(
    tracks: PoseTracks, *, limit: int, doubts: Mapping[tuple[int, int], float] | None = None
) -> list[Suggestion]:
    """At most ``limit`` poses, the most helpful correction first, spread over time.

    Args:
        tracks: the ledger.
        limit: how many at most.
        doubts: (track, frame) -> 0 to 1, how nearly as well this is somebody else from there on.
    """
    known = np.isfinite(tracks.score)
    count = known.sum(-1)
    with np.errstate(invalid="ignore"):
        pose = np.where(known, tracks.score, 0.0).sum(-1) / count
    estimated = np.isin(tracks.origin, (Origin.PROPAGATED, Origin.DETECTED)).any(-1)
    stake = _stake(tracks, doubts or {})
    worth = np.where((count > 0) & estimated, _worth(tracks) + stake, -np.inf)
    found: list[Suggestion] = []
    free = np.ones(worth.shape, bool)
    for flat in np.argsort(-worth, axis=None, kind="stable"):
        frame, n = (int(i) for i in np.unravel_index(flat, worth.shape))
        if len(found) == limit or not np.isfinite(worth[frame, n]):
            break
        if not free[frame, n]:
            continue
        free[max(frame - APART + 1, 0) : frame + APART, n] = False
        least = int(np.nanargmin(np.where(known[frame, n], tracks.score[frame, n], np.nan)))
        found.append(
            Suggestion(
                frame=frame,
                track=int(tracks.track_id[n]),
                keypoint=tracks.skeleton.keypoints[least],
                expected_oks=float(pose[frame, n]),
                deviation=float(tracks.deviation[frame, n, least]),
                reason="identity" if stake[frame, n] > 0 else "pose",
            )
        )
    return found


def _stake(tracks: PoseTracks, doubts: Mapping[tuple[int, int], float]) -> Floats:
    """[T, N]: joints that would be somebody else's, expected, if identities were mixed up here.

    All of the person's joints from here to the next frame a human touched, times half the doubt
    (at most, either is as likely). A human who touched the person here or just after has looked.
    """
    stake = np.zeros(tracks.score.shape[:2])
    touched = (tracks.origin == Origin.HUMAN).any(-1)
    known = np.isfinite(tracks.score).sum(-1)
    columns = {track: n for n, track in enumerate(tracks.track_id.tolist())}
    for (track, frame), doubt in doubts.items():
        n = columns.get(track)
        if n is None or frame >= len(tracks) or touched[frame : frame + APART, n].any():
            continue
        later = np.flatnonzero(touched[frame:, n])
        stop = frame + int(later[0]) if len(later) else len(tracks)
        stake[frame, n] = doubt / 2 * known[frame:stop, n].sum()
    return stake


def _worth(tracks: PoseTracks) -> Floats:
    """[T, N]: how much doubt a look at each pose would take away, on all frames together.

    Doubt is the root of a joint's expected loss of OKS, which is as its deviation. Between two
    frames b and a that a human touched, doubt about a person grows and shrinks as the variance
    of a Brownian bridge, (f - b)(a - f) / (a - b). A look at frame t makes two bridges of it,
    and takes away of the doubt at f >= t the share (a - f)(t - b) / ((f - b)(a - t)); f < t
    mirrored. Where no touched frame comes before (or after), its distances t - b and f - b
    (a - t and a - f) are infinite and cancel. Joints a human saw and did not move on a frame
    that was touched count as seen.
    """
    loss = np.where(np.isfinite(tracks.score), 1.0 - tracks.score.astype(np.float64), 0.0)
    touched = (tracks.origin == Origin.HUMAN).any(-1)
    doubt = np.where(touched, 0.0, np.sqrt(np.maximum(loss, 0.0)).sum(-1))
    worth = np.zeros_like(doubt)
    for n in range(doubt.shape[1]):
        ends = [-1, *np.flatnonzero(touched[:, n]).tolist(), len(tracks)]
        for b, a in pairwise(ends):
            worth[b + 1 : a, n] = _worth_between(
                doubt[b + 1 : a, n], anchored=(b >= 0, a < len(tracks))
            )
    return worth


def _worth_between(doubt: Floats, *, anchored: tuple[bool, bool]) -> Floats:
    """:func:`_worth` of the frames [L] between two that were touched.

    Args:
        doubt: [L].
        anchored: whether there is a touched frame before the first, and after the last.
    """
    t = np.arange(1.0, len(doubt) + 1)
    ahead = t[::-1] if anchored[1] else np.ones_like(t)
    behind = t if anchored[0] else np.ones_like(t)
    ratio = ahead / behind
    # running sums of positive terms, each begun at its own end: nothing large cancels
    later = np.cumsum((doubt * ratio)[::-1])[::-1] / ratio
    before = np.concatenate([[0.0], doubt / ratio])[:-1]
    earlier = np.cumsum(before) * ratio
    return np.asarray(later + earlier)
