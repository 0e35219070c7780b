"""Pyramidal Lucas-Kanade (OpenCV), checked by the way back: no weights, no download."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.points.protocol import PointSteps

WINDOW = (21, 21)
LEVELS = 2
CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 12, 0.03)


class LucasKanade:
    """Bouguet's pyramidal tracker on grey images, 21 x 21 windows, two extra levels.

    OpenCV puts (0, 0) at the centre of the top-left pixel; ours is half a pixel off. This
    class owns that half pixel.
    """

    name = "lucas_kanade"

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB [H, W, 3] -> grey [H, W]."""
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)

    def step(
        self, source: NDArray[np.uint8], target: NDArray[np.uint8], xy: NDArray[np.float64]
    ) -> PointSteps:
        """Follow ``xy`` [P, 2] there and back; the error is how far the way back misses."""
        if len(xy) == 0:
            return PointSteps(xy=np.empty((0, 2)), error=np.empty(0))
        start = (xy - 0.5).astype(np.float32)
        there, found = _flow(source, target, start)
        back, found_back = _flow(target, source, there)
        error = np.hypot(*(back - start).astype(np.float64).T)
        trusted = found & found_back & np.isfinite(there).all(-1)
        return PointSteps(
            xy=np.where(trusted[:, None], there + 0.5, xy).astype(np.float64),
            error=np.where(trusted, error, np.inf),
        )


def _flow(
    source: NDArray[np.uint8], target: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        source,
        target,
        points.reshape(-1, 1, 2),
        np.empty(0, np.float32),  # no first guess
        winSize=WINDOW,
        maxLevel=LEVELS,
        criteria=CRITERIA,
    )
    return np.asarray(moved, np.float32).reshape(-1, 2), np.asarray(status).ravel() > 0
