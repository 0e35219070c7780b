"""What a click or a box says about the joints that were not clicked: seeds, in the same act.

Seeds are marks of the reader (``Origin.DETECTED``) on the clicked frame. They are in the patch
of the act, so the journal brings them back without the reader, and one undo takes all back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch
from impose_core.frames import FrameSource
from impose_core.geometry import body_size
from impose_core.marks import UNMARKED, Cell, Mark, Marks, Patch
from impose_core.one_click import others_of, pose_in_box, repair_pose
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.readers import PoseReader

TELLING: Final = 0.1
"""Body sizes: a click nearer to where the joint was says nothing about the others ..."""
CLEAR: Final = 0.1
"""... and a joint whose best place is nearer to where it was stays there ..."""
SURE: Final = 2.0
"""... or within so many of its deviations ..."""
CONFIDENT: Final = 0.05
"""... and if its deviation is below so many body sizes, ..."""
FAR: Final = 0.2
"""... nearer than this: readers have their own idea of hips and shoulders (measured)."""
SEEN: Final = 0.1
"""Score of the reader below which a place is a guess: no seed."""
PLAIN: Final = 0.3
"""Score from which the joint counts as visible."""
FEWEST: Final = 3
"""Joints that must be shown: of nobody nothing can be repaired."""


def seeds_of_clicks(
    cells: Iterable[Cell],
    marks: Marks,
    *,
    before: Marks,
    shown: PoseTracks,
    frames: FrameSource,
    reader: PoseReader,
) -> Patch:
    """The seeds that clicks on ``cells`` leave, as a patch of ``marks``.

    Args:
        cells: persons and frames on which a human moved joints.
        marks: with those clicks.
        before: without them.
        shown: the ledger before them.
        frames: the video.
        reader: sees bodies.
    """
    patch: dict[Cell, tuple[Mark | None, Mark | None]] = {}
    for track, frame in cells:
        mark = marks.get(track, frame)
        if mark is None or track not in shown.track_id or mark.human.all():
            continue
        old = before.get(track, frame) or Mark.blank(marks.keypoints)
        after = _seeded(mark, old, track, frame, shown, frames, reader)
        if after != mark:
            patch[track, frame] = (mark, after)
    return patch


def seeds_of_boxes(
    cells: Iterable[Cell],
    marks: Marks,
    *,
    shown: PoseTracks,
    frames: FrameSource,
    reader: PoseReader,
) -> Patch:
    """The seeds that boxes drawn around people on ``cells`` leave, as a patch of ``marks``.

    A box around somebody of whom nothing is shown on that frame is a prior for a whole pose.
    Arguments as of :func:`seeds_of_clicks`.
    """
    patch: dict[Cell, tuple[Mark | None, Mark | None]] = {}
    for track, frame in cells:
        mark = marks.get(track, frame)
        if mark is None or mark.placed.any():
            continue
        n = shown.person(track) if track in shown.track_id else None
        if n is not None and np.isfinite(shown.xy[frame, n]).any():
            continue
        try:
            best, score = pose_in_box(
                reader,
                frames.read(frame),
                mark.box,
                skeleton=shown.skeleton,
                others=others_of(shown, frame, -1 if n is None else n),
            )
        except SkeletonMismatch:  # a body the reader does not know
            continue
        seed = np.isfinite(best).all(-1) & (score >= SEEN) & (mark.visibility == UNMARKED)
        if seed.any():
            patch[track, frame] = (mark, _with_seeds(mark, seed, best, score))
    return patch


def _seeded(
    mark: Mark,
    old: Mark,
    track: int,
    frame: int,
    shown: PoseTracks,
    frames: FrameSource,
    reader: PoseReader,
) -> Mark:
    n = shown.person(track)
    xy, flags = shown.xy[frame, n], shown.visibility[frame, n]
    size = body_size(xy, width=frames.width, height=frames.height)
    pinned = mark.human & mark.placed
    there = np.isfinite(xy).all(-1)
    moved = np.where(pinned & there, np.linalg.norm(mark.xy - xy, axis=-1), 0.0)
    if there.sum() < FEWEST or np.nanmax(moved) <= TELLING * size:
        return mark
    # a seed's place is exact by decree only: how good it is, nobody has measured
    unmeasured = old.placed & ~old.human
    deviation = np.where(unmeasured, np.nan, shown.deviation[frame, n]).astype(np.float64)
    try:
        best, score = repair_pose(
            reader,
            frames.read(frame),
            np.where(flags[:, None] == Visibility.ABSENT, np.nan, xy),
            deviation,
            np.where(pinned[:, None], mark.xy, np.nan),
            skeleton=shown.skeleton,
            others=others_of(shown, frame, n),
        )
    except SkeletonMismatch:  # a body the reader does not know
        return mark
    away = np.linalg.norm(best - xy, axis=-1)
    least = np.where(deviation < CONFIDENT * size, FAR, CLEAR) * size
    clear = (away > least) & ~(away <= SURE * deviation)
    seed = clear & (score >= SEEN) & ~mark.human & (flags != Visibility.ABSENT)
    return _with_seeds(mark, seed, best, score)


def _with_seeds(
    mark: Mark, seed: NDArray[np.bool_], best: NDArray[np.float64], score: NDArray[np.float64]
) -> Mark:
    """``mark`` with the joints ``seed`` [K] at ``best`` [K, 2], seen with ``score`` [K]."""
    flag = np.where(score >= PLAIN, Visibility.VISIBLE, Visibility.OCCLUDED)
    silent = seed & ((mark.visibility == UNMARKED) | (mark.origin == Origin.DETECTED))
    return Mark(
        xy=np.where(seed[:, None], best, mark.xy),
        visibility=np.where(silent, flag, mark.visibility).astype(np.uint8),
        origin=np.where(seed, Origin.DETECTED, mark.origin).astype(np.uint8),
        box=mark.box,
    )
