"""Places in heatmaps: local maxima, refined by the offsets the network regressed there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def modes(
    heatmap: NDArray[np.float32], offset: NDArray[np.float32], *, most: int, least: float
) -> tuple[Floats, Floats]:
    """The best local maxima of each heatmap: places [K, M, 2] in cells (x, y), scores [K, M].

    Args:
        heatmap: [K, h, w] logits.
        offset: [2K, h, w] cells: dy, dx of joint 0, dy, dx of joint 1, ..., from the cell.
        most: M.
        least: a maximum with a smaller score, 0 to 1, is none.
    """
    joints, height, width = heatmap.shape
    padded = np.full((joints, height + 2, width + 2), -np.inf, heatmap.dtype)
    padded[:, 1:-1, 1:-1] = heatmap
    around = np.maximum.reduce(
        [
            padded[:, y : y + height, x : x + width]
            for y in range(3)
            for x in range(3)
            if (y, x) != (1, 1)
        ]
    )
    logit = np.log(least / (1 - least))
    peak = np.where((heatmap >= around) & (heatmap >= logit), heatmap, -np.inf)
    flat = peak.reshape(joints, -1)
    count = min(most, flat.shape[1])
    best = np.argpartition(-flat, count - 1, axis=1)[:, :count]
    order = np.lexsort((best, -np.take_along_axis(flat, best, 1)), axis=1)
    best = np.take_along_axis(best, order, 1)
    logits = np.take_along_axis(flat, best, 1).astype(np.float64)
    y, x = np.divmod(best, width)
    shift = offset.reshape(joints, 2, height * width)
    dy = np.take_along_axis(shift[:, 0], best, 1)
    dx = np.take_along_axis(shift[:, 1], best, 1)
    there = np.isfinite(logits)
    xy = np.full((joints, most, 2), np.nan)
    score = np.zeros((joints, most))
    xy[:, :count][there] = np.stack([x + dx, y + dy], axis=-1)[there]
    score[:, :count] = np.where(there, 1 / (1 + np.exp(-np.where(there, logits, 0.0))), 0.0)
    return xy, score
