"""What every source of frames promises, and what all of them share."""

from __future__ import annotations

import operator
from collections import OrderedDict
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import FrameOutOfRange, MediaError

CACHE_BYTES = 128 * 1024 * 1024
"""How much a source keeps of what was read. A video of 10,000 frames must be flat in memory
after its first 500: by then this is full if they have 0.1 megapixels or more."""

Self = TypeVar("Self", bound="BaseSource")  # typing.Self is 3.11


class FrameSource(Protocol):
    """Frames that can be had by index, in any order.

    A context manager: leaving it closes the source.

    Attributes:
        name: what to call the source in a message: the file's or folder's name.
        width: of every image, pixels.
        height: of every image, pixels.
        fps: frames per second on average, or None where nobody knows.
        notes: sentences on what is wrong with the media although it can be used.
    """

    name: str
    width: int
    height: int
    fps: float | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Number of frames, at least 1."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the frame is damaged.
        """

    def close(self) -> None:
        """Let go of the file. Nothing can be read afterwards."""

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, *error: object) -> None: ...


class BaseSource:
    """A source that knows whether it is open and which indices it has."""

    name: str
    width: int
    height: int
    fps: float | None = None
    notes: tuple[str, ...] = ()
    _closed = False

    def __len__(self) -> int:
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Nothing can be read afterwards."""
        self._closed = True

    def _checked(self, index: int) -> int:
        if self._closed:
            raise MediaError(f"Expected {self.name} to be open, got a read after close().")
        at = operator.index(index)
        if not 0 <= at < len(self):
            raise FrameOutOfRange(
                f"Expected 'index' to be 0 to {len(self) - 1} in {self.name}, got {at}."
            )
        return at


class FrameCache:
    """The images used last, never more than ``limit`` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._held: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Image ``index`` if it is held."""
        if index in self._held:
            self._held.move_to_end(index)
        return self._held.get(index)

    def put(self, index: int, image: NDArray[np.uint8]) -> None:
        """Hold ``image`` in place of those not used for longest."""
        if index in self._held:
            self.used -= self._held.pop(index).nbytes
        if image.nbytes > self.limit:
            return
        while self.used + image.nbytes > self.limit:
            self.used -= self._held.popitem(last=False)[1].nbytes
        self._held[index] = image
        self.used += image.nbytes

    def clear(self) -> None:
        """Hold nothing."""
        self._held.clear()
        self.used = 0


def sealed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A contiguous view or copy of ``image`` that refuses to be written to."""
    view: NDArray[np.uint8] = np.ascontiguousarray(image).view()
    view.flags.writeable = False
    return view
