"""What a point tracker must promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSteps:
    """Where points went.

    Attributes:
        xy: float64 [P, 2] pixels in the target frame (origin at the outer corner of the
            top-left pixel).
        error: float64 [P] pixels: how far the way back misses the start; inf where the
            tracker found nothing.
    """

    xy: NDArray[np.float64]
    error: NDArray[np.float64]


class PointTracker(Protocol):
    """Follows anonymous points from one frame to a near one, either way in time.

    Encode once, query often: an image is encoded once and stepped from and to many times.
    A tracker must treat every point independently of the others given with it, must return
    the same for the same input, and must not keep state between calls.
    """

    name: str

    def encode(self, image: NDArray[np.uint8]) -> Any:
        """Prepare an RGB image [H, W, 3]; the answer means something to this tracker only."""
        ...

    def step(self, source: Any, target: Any, xy: NDArray[np.float64]) -> PointSteps:
        """Follow ``xy`` [P, 2] (pixels, finite) from one encoded frame to another."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTracks:
    """Where points went over L frames, the one they started on first.

    Attributes:
        xy: float64 [L, P, 2] pixels, as of :class:`PointSteps`; row 0 is where they started.
        error: float64 [L, P] pixels: how far off they may be; inf where they are not seen.
    """

    xy: NDArray[np.float64]
    error: NDArray[np.float64]


@runtime_checkable
class WindowTracker(PointTracker, Protocol):
    """A point tracker that looks at many frames together, and at the points of a body together.

    Time has the direction of ``frames``: the last frame first follows backward. Points of one
    group may lean on each other; a group must not hear of the others. Else as
    :class:`PointTracker`; a ``step`` takes every point for a group of its own.
    """

    window: int
    """Frames that are best given together, the first one counted."""

    def track(
        self, frames: Sequence[Any], xy: NDArray[np.float64], group: NDArray[np.int64]
    ) -> PointTracks:
        """Follow ``xy`` [P, 2] (pixels, finite) of ``group`` [P] from ``frames[0]`` to the last.

        ``frames`` are encoded, 2 at least.
        """
        ...
