"""Bodies near each other: whose joint is this? (a guard against captures)

Two tracks of the same joint of two persons that come together look at the same pixels, and
only one of them is right. The patch there is compared with the patches both started from;
the track whose anchor it resembles less has lost its joint, from there to its far end. What
it says after that counts no more than the motion of any lost joint.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid
from impose_core.config import RivalConfig
from impose_core.evidence import DirectedTracks, Evidence
from impose_core.frames import FrameSource


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


class Patches:
    """Small pieces of the frames, RGB; the latest few stay at hand."""

    def __init__(self, source: FrameSource, *, side: int, capacity: int) -> None:
        self._source, self._side, self._capacity = source, side, capacity
        self._kept: OrderedDict[tuple[int, float, float], NDArray[np.float32]] = OrderedDict()

    def at(self, frame: int, xy: NDArray[np.float64]) -> NDArray[np.float32]:
        """[S, S, 3] around ``xy`` [2] pixels on ``frame``, interpolated."""
        key = (frame, float(xy[0]), float(xy[1]))
        if key not in self._kept:
            # OpenCV puts (0, 0) at the centre of the top-left pixel
            centre = (key[1] - 0.5, key[2] - 0.5)
            cut = cv2.getRectSubPix(self._source.read(frame), (self._side, self._side), centre)
            self._kept[key] = np.asarray(cut, np.float32)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Zero-mean normalised correlation of two patches of the same shape, -1 to 1."""
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0])


def beaten_tracks(
    evidence: Evidence, start: int, stop: int, patches: Patches, config: RivalConfig
) -> Beaten:
    """Compare all tracks on frames ``start`` to ``stop`` (exclusive), which evidence covers.

    What a track lost before ``start`` is not known here; so ask from the anchors on.
    """
    grid = evidence.grid
    return Beaten(
        start=start,
        forward=_beaten(evidence.forward, grid, grid.previous, 1, start, stop, patches, config),
        backward=_beaten(evidence.backward, grid, grid.following, -1, start, stop, patches, config),
    )


def _beaten(
    tracks: DirectedTracks,
    grid: AnchorGrid,
    origin: NDArray[np.int32],
    direction: int,
    start: int,
    stop: int,
    patches: Patches,
    config: RivalConfig,
) -> NDArray[np.bool_]:
    beaten = np.zeros((stop - start, *grid.kind.shape[1:]), bool)
    if grid.kind.shape[1] < 2:
        return beaten
    frames = range(start, stop)
    for t in frames if direction > 0 else reversed(frames):
        before = t - direction
        if not 0 <= before < len(grid.kind):
            continue
        lost = beaten[t - start]
        if before in frames:
            lost |= beaten[before - start] & (grid.kind[before] == Anchor.NONE)
        for a, b, k in _meetings(tracks, grid, origin[before], t, config.near):
            here = patches.at(t, (tracks.xy[t, a, k] + tracks.xy[t, b, k]).astype(float) / 2)
            alike = []
            for n in (a, b):
                from_frame = int(origin[before, n, k])
                alike.append(likeness(patches.at(from_frame, grid.xy[from_frame, n, k]), here))
            lost[a if alike[0] < alike[1] else b, k] = True
    return beaten


def _meetings(
    tracks: DirectedTracks,
    grid: AnchorGrid,
    origin: NDArray[np.int32],
    t: int,
    near: float,
) -> list[tuple[int, int, int]]:
    """Persons a < b and joint k whose tracks lie within ``near`` body sizes on frame ``t``."""
    there = tracks.known[t] & (origin != NO_FRAME)  # [N, K]
    persons = np.arange(len(there))[:, None]
    size = np.where(there, grid.size[origin, persons], np.nan)
    xy = np.where(there[..., None], tracks.xy[t], np.nan)
    apart = xy[:, None] - xy[None]
    limit = near * (size[:, None] + size[None]) / 2
    meets = np.einsum("abkc,abkc->abk", apart, apart) <= limit**2
    a, b, k = np.nonzero(meets & np.triu(np.ones((len(there),) * 2, bool), 1)[..., None])
    return list(zip(a.tolist(), b.tolist(), k.tolist(), strict=True))
