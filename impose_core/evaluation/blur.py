"""How blurred frames and videos are, and the thirds IMPose's robustness table splits them in.

The variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) is high for *sharp* images. A
score of blur is therefore its negative; a table in which blurred clips come out easiest has
probably sorted by the variance itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError


class Third(Enum):
    """Place of a video among others, by rank."""

    SHARP = "sharp"
    MIDDLE = "middle"
    BLURRED = "blurred"


def blur_score(grey: NDArray[np.uint8]) -> float:
    """Minus the variance of the Laplacian of ``grey`` [H, W]; higher is more blurred.

    The kernel takes four neighbours; borders are mirrored without repeating the edge.

    Raises:
        UsageError: if ``grey`` is not one channel of 8 bits.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
        raise UsageError(
            f"Expected 'grey' to be uint8 [H, W], got {grey.dtype} {list(grey.shape)}."
        )
    laplacian = cv2.Laplacian(grey, cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REFLECT_101)
    return -float(laplacian.var())


def blurriest_of_first_half(scores: Sequence[float]) -> int:
    """The frame IMPose annotates, given the :func:`blur_score` of every frame.

    The first half has the middle frame of an odd number; the earliest wins among equals.

    Raises:
        UsageError: if there is no frame.
    """
    if not scores:
        raise UsageError("Expected 'scores' of one frame or more, got 0.")
    return int(np.argmax(scores[: (len(scores) + 1) // 2]))


def thirds(scores: Mapping[str, float]) -> dict[str, Third]:
    """Thirds by rank of the videos' scores (mean over frames), ties in order of name.

    What does not divide by three goes to the sharper thirds first.

    Raises:
        UsageError: if a score is not finite.
    """
    wrong = [name for name, score in scores.items() if not np.isfinite(score)]
    if wrong:
        raise UsageError(f"Expected finite blur scores, got {scores[wrong[0]]} of {wrong[0]!r}.")
    ranked = sorted(scores, key=lambda name: (scores[name], name))
    parts = np.array_split(np.arange(len(ranked)), 3)
    return {
        ranked[at]: third for third, part in zip(Third, parts, strict=True) for at in part.tolist()
    }
