"""A box that goes with what is inside it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.geometry import robust_similarity

Floats = NDArray[np.float64]

GRID: Final = 6
"""Points along each side of a box without a person."""
FROM_EDGE: Final = 0.15
"""Of the box: points nearer to its edge are rather of what is behind."""
SCALES: Final = (0.2, 5.0)
"""How much smaller or larger a box may become since it was drawn."""
INSIDE: Final = 0.7
"""A pose is of the box if so many of its joints are inside ..."""
GROWN: Final = 0.1
"""... the box, grown by this share of its size ..."""
FILLED: Final = 0.3
"""... and if its height and width are this share of the box's together."""


def grid(box: Floats) -> Floats:
    """[36, 2] px: points all over ``box`` [2, 2]."""
    steps = np.linspace(FROM_EDGE, 1 - FROM_EDGE, GRID)
    x, y = np.meshgrid(steps, steps)
    return np.asarray(box[0] + np.stack([x.ravel(), y.ravel()], axis=-1) * (box[1] - box[0]))


def belongs(xy: Floats, box: Floats) -> bool:
    """Whether the pose ``xy`` [K, 2] is the one that ``box`` [2, 2] was drawn around."""
    known = xy[np.isfinite(xy).all(-1)]
    if not len(known):
        return False
    size = box[1] - box[0]
    low, high = box[0] - GROWN * size, box[1] + GROWN * size
    inside = ((known >= low) & (known <= high)).all(-1).mean()
    return bool(inside >= INSIDE and np.ptp(known, axis=0).sum() >= FILLED * size.sum())


def around_pose(box: Floats, start: Floats, now: Floats) -> Floats | None:
    """Where ``box`` [2, 2], drawn around the pose ``start`` [K, 2], is around the pose ``now``.

    It keeps its margins around the pose, as large as the body is now. Joints that left the
    image count where the others say they are. None if no joint is known in both.
    """
    both = _both(start, now)
    if not both.any():
        return None
    matrix = robust_similarity(start[both], now[both], scale=SCALES)
    known = np.isfinite(start).all(-1)
    expected = start @ matrix[:, :2].T + matrix[:, 2]
    body = np.where(both[:, None], now, expected)[known]
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    margins = (start[known].min(0) - box[0], box[1] - start[known].max(0))
    low, high = body.min(0) - margins[0] * scale, body.max(0) + margins[1] * scale
    return np.stack([np.minimum(low, high - 1), high])


def around_points(box: Floats, start: Floats, now: Floats) -> Floats | None:
    """Where ``box`` [2, 2] is after its points went from ``start`` to ``now`` [P, 2]; or None.

    It is shifted and scaled as they are, not turned: CVAT's boxes are upright.
    """
    both = _both(start, now)
    if not both.any():
        return None
    matrix = robust_similarity(start[both], now[both], scale=SCALES)
    middle = matrix[:, :2] @ box.mean(0) + matrix[:, 2]
    half = (box[1] - box[0]) / 2 * float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return np.stack([middle - half, middle + half])


def clipped(box: Floats, *, width: int, height: int) -> Floats | None:
    """The part of ``box`` on the image; None if there is less than a pixel of it."""
    on = np.clip(box, 0, (width, height))
    return None if (np.ptp(on, axis=0) < 1).any() else on


def _both(start: Floats, now: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(start).all(-1) & np.isfinite(now).all(-1))
