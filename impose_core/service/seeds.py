"""Seeds that humans have overruled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from impose_core.corrections.pose_acts import SEEDS_YIELD
from impose_core.marks import UNMARKED, Cell, Mark
from impose_core.poses import Origin


def without_overruled(marks: Mapping[Cell, Mark]) -> dict[Cell, Mark]:
    """The marks without the detector's seeds that are near a human's word on their joint.

    A correction in a session takes them away at once; in files they stay until the frame is
    written again, so that whoever takes the correction back has them back.
    """
    human: dict[int, list[tuple[int, Mark]]] = {}
    for (track, frame), mark in marks.items():
        if mark.human.any():
            human.setdefault(track, []).append((frame, mark))
    after = {}
    for (track, frame), mark in marks.items():
        over = _overruled(mark, frame, human.get(track, []))
        left = _without(mark, over) if over.any() else mark
        if not left.is_blank:
            after[track, frame] = left
    return after


def _overruled(mark: Mark, frame: int, human: list[tuple[int, Mark]]) -> NDArray[np.bool_]:
    over = np.zeros(len(mark.xy), bool)
    seeds = mark.origin == Origin.DETECTED
    if seeds.any():
        for t, other in human:
            if t != frame and abs(t - frame) <= SEEDS_YIELD:
                over |= other.human & (other.placed | (other.absent & (t < frame)))
    return np.asarray(over & seeds)


def _without(mark: Mark, over: NDArray[np.bool_]) -> Mark:
    return replace(
        mark,
        xy=np.where(over[:, None], np.nan, mark.xy),
        visibility=np.where(over, UNMARKED, mark.visibility).astype(np.uint8),
        origin=np.where(over, Origin.NONE, mark.origin).astype(np.uint8),
    )
