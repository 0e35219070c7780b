"""Square views of an image, resampled for a network."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.readers.protocol import Image

GROWTH = 1.35
"""Side of a view over the larger extent of the body in it (research/embedded_network.md)."""
MARGIN = 8.0
"""Pixels around the body besides, for those who are only a few pixels tall."""
SIZES_PER_OCTAVE = 4
"""Sides are rounded up to one of so many per doubling ..."""
PLACES_PER_SIDE = 16
"""... and middles to this fraction of the side: a view stays as it is under small changes."""

_WIDE = 4
"""Image sizes: a wider view is resampled from every few pixels only."""


def square_views(extents: NDArray[np.float64]) -> NDArray[np.int64]:
    """Squares [V, 3] (left, top, side; pixels) around ``extents`` [V, 4] xyxy."""
    extents = np.asarray(extents, np.float64).reshape(-1, 4)
    low, high = extents[:, :2], extents[:, 2:]
    wanted = GROWTH * (high - low).max(-1) + 2 * MARGIN
    side = np.ceil(2 ** (np.ceil(np.log2(wanted) * SIZES_PER_OCTAVE) / SIZES_PER_OCTAVE))
    step = np.maximum(side / PLACES_PER_SIDE, 1.0)[:, None]
    middle = np.round((low + high) / 2 / step) * step
    corner = np.round(middle - side[:, None] / 2)
    return np.column_stack([corner, side]).astype(np.int64)


def cut(image: Image, view: NDArray[np.int64], side: int) -> Image:
    """The part of ``image`` under ``view``, ``side`` x ``side``; black beyond the image.

    Shrinking averages, so that no detail between the samples is lost.
    """
    left, top, extent = (int(v) for v in view)
    height, width = image.shape[:2]
    if extent > _WIDE * max(height, width):
        # mostly black: what a track that ran away asks for must not take memory with it
        step = math.ceil(extent / (_WIDE * max(height, width)))
        image, left, top, extent = image[::step, ::step], left // step, top // step, extent // step
    inside = image[max(top, 0) : max(top + extent, 0), max(left, 0) : max(left + extent, 0)]
    if inside.shape[:2] != (extent, extent):
        square = np.zeros((extent, extent, 3), np.uint8)
        y, x = min(max(-top, 0), extent), min(max(-left, 0), extent)
        square[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        inside = square
    if extent == side:
        return np.ascontiguousarray(inside)
    how = cv2.INTER_AREA if extent > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (side, side), interpolation=how), np.uint8)
