"""A reader that does not read the same pixels twice: for what is measured, not for what is timed.

The network is most of what a benchmark with a reader costs, and the same views of the same frames
are asked for at every gap, by every method.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from impose_core.readers import Candidates, PoseReader
from impose_core.readers.movenet import MoveNet
from impose_core.readers.protocol import Detections, Image


class Remembering:
    """A :class:`PoseReader` that answers as another one, from memory where it can."""

    def __init__(self, reader: PoseReader) -> None:
        self.name, self.skeleton, self._reader = reader.name, reader.skeleton, reader
        self._seen: dict[tuple[int, tuple[int, ...]], Candidates] = {}

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        """As the reader's."""
        return self._reader.views(extents)

    def read(self, images: Sequence[Image], views: NDArray[np.int64]) -> Candidates:
        """As the reader's."""
        pixels = {id(image): hash(image.tobytes()) for image in images}
        keys = [
            (pixels[id(image)], tuple(int(v) for v in view))
            for image, view in zip(images, views, strict=True)
        ]
        for key, image, view in zip(keys, images, views, strict=True):
            if key not in self._seen:
                self._seen[key] = self._reader.read([image], view[None])
        if not keys:
            return self._reader.read([], views)
        return Candidates(
            xy=np.concatenate([self._seen[key].xy for key in keys]),
            score=np.concatenate([self._seen[key].score for key in keys]),
        )

    def detect(self, image: Image) -> Detections:
        """As the reader's."""
        return self._reader.detect(image)


@cache
def the_reader() -> Remembering:
    """The one of this process: MoveNet on one thread."""
    return Remembering(MoveNet(threads=1))
