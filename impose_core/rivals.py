"""Bodies near each other: whose joint is this? (a guard against captures)

Two tracks of the same joint of two persons that come together look at the same pixels, and
only one of them is right. What is there is compared with what both started from; the track
whose anchor it resembles less has lost its joint, from there to its far end. What it says
after that counts no more than the motion of any lost joint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import Anchor, AnchorGrid
from impose_core.config import RivalConfig
from impose_core.evidence import Evidence
from impose_core.following import BACKWARD, FORWARD

Ints = NDArray[np.int64]
ReadFrame = Callable[[int], NDArray[np.uint8]]

NOBODY = -1
"""In place of a loser: both tracks resemble their anchors about as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beaten:
    """Which tracks lost a comparison since their anchor, over L frames from ``start``.

    Attributes:
        start: frame of row 0.
        forward: bool [L, N, K], of the tracks that came from the left.
        backward: bool [L, N, K], of those that came from the right.
    """

    start: int
    forward: NDArray[np.bool_]
    backward: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meetings:
    """M meetings of the tracks of one joint of two persons, both followed the same way.

    Attributes:
        frame, joint: int64 [M].
        persons: int64 [M, 2].
        xy: float64 [M, 2] pixels, the middle between the two.
        begun: int64 [M, 2], the frame of each track's anchor.
        begun_xy: float64 [M, 2, 2] pixels, that anchor.
    """

    frame: Ints
    joint: Ints
    persons: Ints
    xy: NDArray[np.float64]
    begun: Ints
    begun_xy: NDArray[np.float64]


def beaten_tracks(
    evidence: Evidence, start: int, stop: int, read: ReadFrame, config: RivalConfig
) -> Beaten:
    """Compare all tracks on frames ``start`` to ``stop`` (exclusive), which evidence covers.

    What a track lost before ``start`` is not known here; so ask from the anchors on. ``read``
    gives the RGB frames [H, W, 3]; only those are read on which tracks meet, each once.
    """
    meetings = {
        direction: _meetings(evidence, direction, start, stop, config.near)
        for direction in (FORWARD, BACKWARD)
    }
    losers = _losers(list(meetings.values()), read, config)
    forward, backward = (
        _carried(met, lost, evidence.grid, direction, start, stop)
        for (direction, met), lost in zip(meetings.items(), losers, strict=True)
    )
    return Beaten(start=start, forward=forward, backward=backward)


def _meetings(evidence: Evidence, direction: int, start: int, stop: int, near: float) -> _Meetings:
    """Where tracks that went in ``direction`` lie within ``near`` body sizes of each other."""
    grid = evidence.grid
    tracks, origin = evidence.forward, grid.previous
    first, last = max(start, 1), stop
    if direction == BACKWARD:
        tracks, origin = evidence.backward, grid.following
        first, last = start, min(stop, len(grid.kind) - 1)
    rows: list[Ints] = []
    if grid.kind.shape[1] > 1:
        persons = np.arange(grid.kind.shape[1])[:, None]
        once = np.triu(np.ones((len(persons),) * 2, bool), 1)[..., None]
        for t in range(first, last):
            there = evidence.arrives(direction, t)
            size = np.where(there, grid.size[origin[t - direction], persons], np.nan)
            apart = tracks.xy[t][:, None] - tracks.xy[t][None]
            limit = near * (size[:, None] + size[None]) / 2
            a, b, k = np.nonzero(once & (np.hypot(apart[..., 0], apart[..., 1]) <= limit))
            rows.append(np.stack([np.full(len(a), t), a, b, k], axis=1))
    frame, a, b, joint = np.concatenate([np.empty((0, 4), np.int64), *rows]).T
    pair = np.stack([a, b], axis=1)
    begun = origin[frame - direction][np.arange(len(frame))[:, None], pair, joint[:, None]]
    return _Meetings(
        frame=frame,
        joint=joint,
        persons=pair,
        xy=tracks.xy[frame[:, None], pair, joint[:, None]].mean(1, dtype=np.float64),
        begun=begun.astype(np.int64),
        begun_xy=grid.xy[begun, pair, joint[:, None]],
    )


def _losers(meetings: list[_Meetings], read: ReadFrame, config: RivalConfig) -> list[Ints]:
    """For each list of meetings who lost each [M], or ``NOBODY``; every frame is read once."""
    frame = np.concatenate([np.concatenate([m.frame, *m.begun.T]) for m in meetings])
    xy = np.concatenate([np.concatenate([m.xy, *m.begun_xy.swapaxes(0, 1)]) for m in meetings])
    # many meetings start from one anchor
    place, which = np.unique(np.column_stack([frame, xy]), axis=0, return_inverse=True)
    frames = place[:, 0].astype(np.int64)
    looks = np.empty((len(place), config.samples**2 * 3), np.float32)
    for t in np.unique(frames):
        here = frames == t
        looks[here] = _looks(read(int(t)), place[here, 1:], config)
    losers, at = [], 0
    for m in meetings:
        here, left, right = looks[which.ravel()[at : at + 3 * len(m.frame)]].reshape(
            3, len(m.frame), looks.shape[1]
        )
        likeness = np.stack([(one * here).sum(1) for one in (left, right)], axis=1)
        worse = np.argmin(likeness, axis=1)
        clear = np.abs(likeness[:, 0] - likeness[:, 1]) > config.margin
        losers.append(np.where(clear, m.persons[np.arange(len(m.frame)), worse], NOBODY))
        at += 3 * len(m.frame)
    return losers


def _looks(
    image: NDArray[np.uint8], xy: NDArray[np.float64], config: RivalConfig
) -> NDArray[np.float32]:
    """Patches of ``image`` around ``xy`` [M, 2] as unit vectors [M, S * S * 3].

    Each channel is relative to its mean: the product of two such vectors is their normalised
    correlation. Beyond the border the image goes on as it ends.
    """
    offset = (np.arange(config.samples) - (config.samples - 1) / 2) * config.spacing
    column, row = (
        np.clip(np.floor(xy[:, axis, None] + offset), 0, size - 1).astype(np.int64)
        for axis, size in ((0, image.shape[1]), (1, image.shape[0]))
    )
    patch = image[row[:, :, None], column[:, None, :]].astype(np.float32)
    patch -= patch.mean((1, 2), keepdims=True)
    vector = patch.reshape(len(xy), -1)
    length = np.sqrt((vector**2).sum(1, keepdims=True))
    return np.asarray(vector / np.maximum(length, 1e-6), np.float32)


def _carried(
    meetings: _Meetings,
    losers: Ints,
    grid: AnchorGrid,
    direction: int,
    start: int,
    stop: int,
) -> NDArray[np.bool_]:
    """[L, N, K]: who lost, from there on until the far anchor."""
    beaten = np.zeros((stop - start, *grid.kind.shape[1:]), bool)
    lost = losers != NOBODY
    beaten[meetings.frame[lost] - start, losers[lost], meetings.joint[lost]] = True
    onward = range(1, stop - start) if direction == FORWARD else range(stop - start - 2, -1, -1)
    for i in onward if lost.any() else ():
        before = i - direction
        beaten[i] |= beaten[before] & (grid.kind[start + before] == Anchor.NONE)
    return beaten
