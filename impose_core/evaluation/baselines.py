"""What other tools make of the same human points: hold, linear interpolation, plain tracks.

Every method here maps human points [T, N, K, 2] (pixels; NaN where nobody clicked) to poses
[T, N, K, 2]; joints nobody ever clicked stay NaN.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, AnchorGrid
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.evaluation.oks import Floats
from impose_core.evidence import Evidence
from impose_core.following import EncodedFrames
from impose_core.frames import FrameSource
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin, Visibility
from impose_core.stopwatch import Stopwatch


class Method(Protocol):
    """Makes poses of all frames out of human points on some."""

    def __call__(self, points: Floats, /) -> Floats:
        """[T, N, K, 2] pixels, NaN where nobody clicked -> [T, N, K, 2]."""
        ...


def hold(points: Floats) -> Floats:
    """Every joint stays where it was last put; before that, where it is put first."""
    before, after = _neighbours(points)
    return _at(points, np.where(before == NO_FRAME, after, before))


def linear(points: Floats) -> Floats:
    """A straight line between human points, each joint by itself (CVAT's skeleton tracks)."""
    before, after = _neighbours(points)
    start = _at(points, np.where(before == NO_FRAME, after, before))
    end = _at(points, np.where(after == NO_FRAME, before, after))
    return _blend(start, end, before, after)


class Tracks:
    """Lucas-Kanade tracks from the human points, without the estimate.

    Args:
        frames: the video.
        way: "forward" follows each joint from its last human point on (before the first one,
            backward); "average" blends the tracks from both sides, each trusted less the
            further it went.
        engine: its point tracker is used.
    """

    def __init__(
        self,
        frames: FrameSource,
        *,
        way: Literal["forward", "average"],
        engine: Engine | None = None,
    ) -> None:
        self._frames, self._way, self._tracker = frames, way, (engine or Engine()).points
        self._evidence: Evidence | None = None

    def __call__(self, points: Floats) -> Floats:
        """Poses from ``points``; what was tracked for earlier points is used again."""
        grid = _grid(points, width=self._frames.width, height=self._frames.height)
        config, watch = Config(), Stopwatch()
        if self._evidence is None or self._evidence.grid.kind.shape != grid.kind.shape:
            encoded = EncodedFrames(
                self._frames, self._tracker, capacity=config.encoded_frames, watch=watch
            )
            self._evidence = Evidence(grid, self._tracker, encoded, config.tracking)
        self._evidence.rebase(grid)
        self._evidence.cover(0, len(points), watch)
        forward, backward = (
            np.where(tracks.known[..., None], tracks.xy, np.nan).astype(np.float64)
            for tracks in (self._evidence.forward, self._evidence.backward)
        )
        here = np.asarray(np.isfinite(points))
        forward, backward = np.where(here, points, forward), np.where(here, points, backward)
        forward = np.where(np.isnan(forward), backward, forward)
        if self._way == "forward":
            return np.asarray(forward)
        backward = np.where(np.isnan(backward), forward, backward)
        return _blend(forward, backward, grid.previous, grid.following)


def _neighbours(points: Floats) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    grid = _grid(points, width=1, height=1)
    return grid.previous, grid.following


def _grid(points: Floats, *, width: int, height: int) -> AnchorGrid:
    """The anchors that ``points`` are, as visible human marks of persons 0 to N - 1."""
    marks = Marks(points.shape[2])
    placed = np.asarray(np.isfinite(points).all(-1))
    patch: dict[tuple[int, int], tuple[Mark | None, Mark | None]] = {}
    for t, n in np.argwhere(placed.any(-1)).tolist():
        there = placed[t, n]
        mark = Mark(
            xy=points[t, n].copy(),
            visibility=np.where(there, Visibility.VISIBLE, UNMARKED).astype(np.uint8),
            origin=np.where(there, Origin.HUMAN, Origin.NONE).astype(np.uint8),
            box=np.full(4, np.nan),
        )
        patch[n, t] = (None, mark)
    marks.apply(patch)
    return AnchorGrid.of(
        marks,
        track_id=list(range(points.shape[1])),
        frames=len(points),
        width=width,
        height=height,
    )


def _at(points: Floats, frame: NDArray[np.int32]) -> Floats:
    n, k = np.indices(frame.shape[1:])
    known = np.asarray(frame != NO_FRAME)
    return np.asarray(np.where(known[..., None], points[frame, n, k], np.nan))


def _blend(
    start: Floats, end: Floats, before: NDArray[np.int32], after: NDArray[np.int32]
) -> Floats:
    """``start`` at the anchor before, ``end`` at the one after, in proportion between."""
    t = np.arange(len(start))[:, None, None]
    between = np.asarray((before != NO_FRAME) & (after != NO_FRAME))
    share = np.where(between, (t - before) / np.maximum(after - before, 1), 0.0)[..., None]
    return np.asarray(start + share * (end - start))
