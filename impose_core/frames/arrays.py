"""Arrays in memory as a source of frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import MediaError
from impose_core.frames.source import BaseSource, sealed


class ArrayFrames(BaseSource):
    """Frames that are in memory already; not copied, so the caller must not change them.

    Args:
        array: uint8 [T, H, W, 3] RGB or [T, H, W] grey.
        fps: frames per second, if known.
        name: what to call it in messages.

    Raises:
        MediaError: if the shape or the dtype is another.
    """

    def __init__(
        self, array: NDArray[np.uint8], *, fps: float | None = None, name: str = "array"
    ) -> None:
        fits = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3)
        if not fits or array.dtype != np.uint8 or 0 in array.shape:
            raise MediaError(
                "Expected 'array' to be uint8 [T, H, W, 3] or [T, H, W], nowhere of length 0, "
                f"got {array.dtype} {list(array.shape)}."
            )
        self.name, self.fps = name, fps
        self.height, self.width = array.shape[1:3]
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
        """
        image = self._array[self._checked(index)]
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        return sealed(image)
