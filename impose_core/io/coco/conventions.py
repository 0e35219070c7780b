"""What reading and writing agree on: names, limits, and what stands in where a file is silent."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.io.documents import VideoInfo
from impose_core.poses import Origin
from impose_core.skeleton import Skeleton

MAX_COORDINATE: Final = 1e6
"""Pixels. Beyond it a thousandth of a pixel is no longer meaningful. A joint that is not a
human's may drift that far and is clipped there, so that every result can be read again."""

AREA_OF_BOX: Final = 0.53
BOX_MARGIN: Final = 0.1
ORIGINS: Final = {origin.name.lower(): origin for origin in Origin}


def one_based(skeleton: Skeleton) -> list[list[int]]:
    """The limbs as COCO counts them."""
    return [[a + 1, b + 1] for a, b in skeleton.edges]


def image_name(video: VideoInfo, frame: int) -> str | None:
    """What the image of a frame is called unless it has a name of its own."""
    return f"{video.file_name}#{frame}" if video.file_name else None


def box_of(xy: NDArray[np.float64], video: VideoInfo) -> NDArray[np.float64]:
    """Extent of the known joints plus a margin, xyxy; NaN if none is known."""
    known = xy[np.isfinite(xy).all(axis=-1)]
    if not len(known):
        return np.full(4, np.nan)
    low, high = known.min(axis=0), known.max(axis=0)
    margin = np.maximum(BOX_MARGIN * (high - low), 1.0)
    size = np.array([video.width, video.height])
    low = np.minimum(low, np.maximum(low - margin, 0))
    high = np.maximum(high, np.minimum(high + margin, size))
    box = np.clip(np.concatenate([low, high]), -MAX_COORDINATE, MAX_COORDINATE)
    return np.asarray(np.round(box, 3))


def area_of(box: NDArray[np.float64]) -> float:
    """Square pixels of a person whose box is ``box``, xyxy."""
    return float(np.round(AREA_OF_BOX * (box[2] - box[0]) * (box[3] - box[1]), 3))
