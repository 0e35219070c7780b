"""What a pose reader must promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from impose_core.skeleton import Skeleton

Image = NDArray[np.uint8]
"""[H, W, 3], RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Where V views of bodies may have their joints: up to M places for each.

    Attributes:
        xy: float64 [V, K, M, 2] pixels of the image (origin at the outer corner of the top-left
            pixel); NaN where there are fewer places.
        score: float64 [V, K, M], 0 to 1, descending along M; 0 where there are fewer.
    """

    xy: NDArray[np.float64]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """N bodies found on one image without any prior.

    Attributes:
        xy: float64 [N, K, 2] pixels of the image.
        score: float64 [N, K], 0 to 1, of each joint.
        candidates: the view of each body the pose was read in.
        appearance: float64 [N, A]: what the reader's network saw of each body, for a learned
            identity model; None if it says nothing.
    """

    xy: NDArray[np.float64]
    score: NDArray[np.float64]
    candidates: Candidates
    appearance: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """What is thought of V bodies on an image before they are read there: where to look.

    Attributes:
        box_xyxy: float64 [V, 4] pixels: the extent of what is known of each body, joints the
            reader does not know included, or a box a human drew.
        xy: float64 [V, K, 2] pixels by the reader's joints, from tracks, anchors or both; NaN
            where nothing is known.
        pinned: bool [V, K]: a human put the joint there for this reading to hold on to.
    """

    box_xyxy: NDArray[np.float64]
    xy: NDArray[np.float64]
    pinned: NDArray[np.bool_]


class PoseReader(Protocol):
    """Sees bodies on single images.

    The K axis of all its answers is that of its own ``skeleton``; who asks maps joints by name.
    It must return the same for the same input. It may be wrong: its readings are evidence, and
    their bias against the annotator is measured at the anchors and taken out.
    """

    name: str
    skeleton: Skeleton

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        """Squares [V, 3] (left, top, side; pixels) in which to read bodies.

        Args:
            extents: [V, 4] xyxy pixels: of what is known of each body, or a box a human drew.
                Nearly the same extents give the same view, so that what was read can be kept.
        """
        ...

    def read(self, images: Sequence[Image], views: NDArray[np.int64]) -> Candidates:
        """What each view [V, 3] shows of the body in its middle, on its own image (V of them)."""
        ...

    def detect(self, image: Image) -> Detections:
        """Everybody on ``image``."""
        ...


@runtime_checkable
class PriorReader(PoseReader, Protocol):
    """A pose reader that starts where joints are thought to be, not at a box alone.

    It must read every prior by itself: the others given with it must not change a bit of the
    answer. A pinned joint must be answered where it is.
    """

    deviation: float
    """Body sizes, one sigma, of a reading with score 1 (see ``ReadingConfig.deviation``)."""

    def around(self, priors: Priors) -> NDArray[np.int64]:
        """Views [V, C] for ``read`` that hold ``priors``, rounded to what makes no difference."""
        ...


def views_around(reader: PoseReader, priors: Priors) -> NDArray[np.int64]:
    """Where ``reader`` is to look for ``priors``: around their joints if it can, else boxes."""
    if isinstance(reader, PriorReader):
        return reader.around(priors)
    return reader.views(priors.box_xyxy)
