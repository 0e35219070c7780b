"""How an image is shown to a network: a part of it, perhaps mirrored, in other light.

A view maps pixels of the image to shares of what is seen, 0 to 1; what is seen is scaled into the
network's size, at the top left, and the rest is padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.training.settings import Settings

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is seen of an image.

    Attributes:
        window_xyxy: whole pixels.
        mirrored: left is right.
        gain, offset: of the light, in grey levels of 0 to 255.
    """

    window_xyxy: tuple[int, int, int, int]
    mirrored: bool = False
    gain: float = 1.0
    offset: float = 0.0

    @property
    def size(self) -> Floats:
        """Width and height of the window, pixels."""
        low_x, low_y, high_x, high_y = self.window_xyxy
        return np.array([high_x - low_x, high_y - low_y], np.float64)

    def points(self, xy: Floats) -> Floats:
        """Pixels [..., 2] -> shares of what is seen."""
        share = (xy - self.window_xyxy[:2]) / self.size
        return np.stack([1 - share[..., 0], share[..., 1]], -1) if self.mirrored else share

    def boxes(self, xyxy: Floats) -> Floats:
        """Boxes [..., 4] xyxy in pixels -> cxcywh in shares, cut to what is seen."""
        corners = self.points(xyxy.reshape(*xyxy.shape[:-1], 2, 2)).clip(0, 1)
        low, high = corners.min(axis=-2), corners.max(axis=-2)
        return np.concatenate([(low + high) / 2, high - low], axis=-1)

    def show(
        self, image: NDArray[np.uint8], height: int, width: int
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """An image [H, W, 3] as the network gets it.

        Returns:
            RGB float32 [height, width, 3], 0 to 1, and where there is none: bool [height, width].
        """
        low_x, low_y, high_x, high_y = self.window_xyxy
        seen = image[low_y:high_y, low_x:high_x]
        scale = min(height / seen.shape[0], width / seen.shape[1])
        size = [max(1, round(side * scale)) for side in seen.shape[1::-1]]
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(seen), size, interpolation=way)
        lit = scaled.astype(np.float32) * self.gain + self.offset
        shown = np.zeros((height, width, 3), np.float32)
        padding = np.ones((height, width), np.bool_)
        shown[: size[1], : size[0]] = (lit[:, ::-1] if self.mirrored else lit).clip(0, 255) / 255
        padding[: size[1], : size[0]] = False
        return shown, padding


def whole(image: NDArray[np.uint8]) -> View:
    """All of an image [H, W, 3], as it is."""
    return View(window_xyxy=(0, 0, image.shape[1], image.shape[0]))


def random_view(image: NDArray[np.uint8], settings: Settings, rng: np.random.Generator) -> View:
    """A random part of an image [H, W, 3], mirrored or not, in random light."""
    height, width = image.shape[:2]
    sides = [max(16, round(side * rng.uniform(settings.zoom, 1))) for side in (width, height)]
    sides = [min(pair) for pair in zip(sides, (width, height), strict=True)]
    low_x, low_y = int(rng.integers(width - sides[0] + 1)), int(rng.integers(height - sides[1] + 1))
    gain = float(rng.uniform(1 - settings.colour, 1 + settings.colour))
    return View(
        window_xyxy=(low_x, low_y, low_x + sides[0], low_y + sides[1]),
        mirrored=bool(rng.random() < settings.flip),
        gain=gain,
        offset=float(rng.uniform(-settings.colour, settings.colour) * 128),
    )
