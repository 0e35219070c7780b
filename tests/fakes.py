"""Stand-ins for the parts that look at pixels, so that promises are tested without them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.points import PointSteps
from impose_core.readers import Readings
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
    """Reads a known path, shifted by a constant bias; knows nothing of priors."""

    name = "truth"

    def __init__(self, path: NDArray[np.float64], bias: tuple[float, float], deviation: float):
        self.path, self.bias, self.deviation = path, np.array(bias), deviation
        self.asked: list[int] = []

    def read(
        self,
        image: NDArray[np.uint8],
        skeleton: Skeleton,
        priors: NDArray[np.float64],
        pinned: NDArray[np.bool_],
    ) -> Readings:
        frame = index_of(image)
        self.asked.append(frame)
        xy = np.broadcast_to(self.path[frame] + self.bias, priors.shape).copy()
        return Readings(xy=xy, deviation=np.full(priors.shape[:2], self.deviation))
