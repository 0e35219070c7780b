"""Which keyframes CVAT needs: it interpolates linearly between those it has."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.poses import Visibility

TOLERANCE: Final = 0.5
"""Pixels: how far what CVAT shows may be from the result."""
REACH: Final = 1024
"""Frames from one keyframe to the next at most; bounds the work."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def needed(
    frames: NDArray[np.int64],
    wanted: Floats,
    written: Floats,
    state: NDArray[np.uint8],
    forced: Flags,
    *,
    tolerance: float,
) -> Flags:
    """[T]: the frames on which one joint needs a keyframe.

    Args:
        frames: int [T], ascending; time as CVAT counts it.
        wanted: [T, 2] px; what is absent counts for nothing.
        written: [T, 2] px, what a keyframe there would say.
        state: [T] ``Visibility``. CVAT keeps it from one keyframe to the next.
        forced: [T]: there must be one.
        tolerance: px.
    """
    keys: Flags = forced.copy()
    keys[0] = True
    changed = np.flatnonzero(np.diff(state.astype(int))) + 1
    keys[changed] = True
    present = state != Visibility.ABSENT
    edges = np.diff(np.concatenate([[False], present, [False]]).astype(int))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        keys[[start, stop - 1]] = True
        fixed = np.flatnonzero(keys[start:stop]) + start
        for a, b in zip(fixed[:-1].tolist(), fixed[1:].tolist(), strict=True):
            keys[_between(frames, wanted, written, a, b, tolerance)] = True
    return keys


def _between(
    frames: NDArray[np.int64], wanted: Floats, written: Floats, a: int, b: int, tolerance: float
) -> list[int]:
    """Keyframes between those at ``a`` and ``b``: always the farthest that the tolerance allows.

    A line from ``a`` may have any slope that passes all frames on the way within the tolerance,
    in x and in y by themselves: a square inside the circle of that radius.
    """
    side = tolerance / np.sqrt(2)
    found = []
    while b - a > 1:
        stop = min(b, a + REACH)
        steps = (frames[a + 1 : stop + 1] - frames[a])[:, None].astype(float)
        low = np.maximum.accumulate((wanted[a + 1 : stop + 1] - side - written[a]) / steps)
        high = np.minimum.accumulate((wanted[a + 1 : stop + 1] + side - written[a]) / steps)
        slope = (written[a + 1 : stop + 1] - written[a]) / steps
        fits = ((slope[1:] >= low[:-1]) & (slope[1:] <= high[:-1])).all(-1)
        a += 2 + int(np.flatnonzero(fits)[-1]) if fits.any() else 1
        if a < b:
            found.append(a)
    return found
