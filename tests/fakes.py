"""Stand-ins for the parts that look at pixels, so that promises are tested without them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.points import PointSteps, PointTracks
from impose_core.readers import Candidates, Detections
from impose_core.readers.views import square_views
from impose_core.skeleton import Skeleton


class NumberedFrames:
    """Frames that carry nothing but their index, in their first pixels."""

    name, fps, notes = "numbered", 30.0, ()

    def __init__(self, count: int, width: int = 640, height: int = 360) -> None:
        self.count, self.width, self.height = count, width, height
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> NDArray[np.uint8]:
        self.reads.append(index)
        image = np.zeros((self.height, self.width, 3), np.uint8)
        image[0, 0] = (*divmod(index, 256), 0)
        return image

    def close(self) -> None:
        pass


class TexturedFrames(NumberedFrames):
    """Numbered frames with soft blobs in them, the same on every frame unless told otherwise."""

    def __init__(self, count: int, seed: int = 0, width: int = 320, height: int = 320) -> None:
        super().__init__(count, width, height)
        noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3))
        soft = cv2.GaussianBlur(noise, (0, 0), 3)
        self.texture = np.clip(128 + 40 * soft / soft.std(), 0, 255).astype(np.uint8)

    def read(self, index: int) -> NDArray[np.uint8]:
        image = self.texture.copy()
        image[0, 0] = (*divmod(index, 256), 0)
        return image


def index_of(image: NDArray[np.uint8]) -> int:
    high, low, _ = (int(v) for v in image[0, 0])
    return high * 256 + low


class FieldTracker:
    """Follows a motion known for every place and frame: ``velocity(t, xy) -> [P, 2]``.

    ``error`` may say how far the way back misses; ``asked`` counts points per step.
    """

    name = "field"

    def __init__(self, velocity: Any, error: Any = None) -> None:
        self.velocity, self.error = velocity, error
        self.asked: list[tuple[int, int, int]] = []

    def encode(self, image: NDArray[np.uint8]) -> int:
        return index_of(image)

    def step(self, source: int, target: int, xy: NDArray[np.float64]) -> PointSteps:
        self.asked.append((source, target, len(xy)))
        sign = target - source
        moved = xy + sign * self.velocity(min(source, target), xy)
        error = np.zeros(len(xy)) if self.error is None else self.error(source, target, xy)
        return PointSteps(xy=moved, error=np.broadcast_to(error, len(xy)).astype(float))


class TruthReader:
    """Reads a known path [T, K, 2], shifted by a constant bias, wherever it is told to look."""

    name = "truth"

    def __init__(
        self,
        path: NDArray[np.float64],
        skeleton: Skeleton,
        bias: tuple[float, float] = (0.0, 0.0),
        score: float = 1.0,
    ):
        self.path, self.skeleton, self.bias, self.score = path, skeleton, np.array(bias), score
        self.asked: list[int] = []

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        return square_views(extents)

    def read(self, images: Sequence[NDArray[np.uint8]], views: NDArray[np.int64]) -> Candidates:
        frames = [index_of(image) for image in images]
        self.asked += frames
        xy = (self.path[frames] + self.bias)[:, :, None]
        return Candidates(xy=xy, score=np.full(xy.shape[:3], self.score))

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        raise NotImplementedError


class WindowedField(FieldTracker):
    """A :class:`FieldTracker` that looks at windows, and whose points lean on their group's.

    How far a point strays hangs on who is asked with it and on how long the window is, so that
    whatever was asked for in another order shows.
    """

    name = "windowed field"

    def __init__(self, velocity: Any, window: int = 6) -> None:
        super().__init__(velocity)
        self.window = window

    def track(
        self, frames: Sequence[int], xy: NDArray[np.float64], group: NDArray[np.int64]
    ) -> PointTracks:
        self.asked.append((frames[0], frames[-1], len(xy)))
        out = [xy]
        for source, target in pairwise(frames):
            moved = out[-1] + (target - source) * self.velocity(min(source, target), out[-1])
            for one in np.unique(group):
                moved[group == one] += 1e-3 * xy[group == one].mean() / len(frames)
            out.append(moved)
        return PointTracks(xy=np.stack(out), error=np.zeros((len(frames), len(xy))))
