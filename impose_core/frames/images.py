"""A folder of images as a source of frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.errors import MediaError
from impose_core.frames.source import CACHE_BYTES, BaseSource, FrameCache, sealed
from impose_core.natural_order import natural

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class ImageFolder(BaseSource):
    """The images of a folder in natural order of their names (frame2 before frame10).

    Other files and hidden ones are left alone, subfolders too. An EXIF orientation is
    honoured; 16-bit, grey, palette and transparent images become 8-bit RGB (without alpha).
    Sizes are checked as images are read.

    Args:
        path: the folder, or one image, which is a folder of one.
        cache_bytes: how much to keep of what was read.

    Attributes:
        file_names: tuple of T names, without the folder.

    Raises:
        MediaError: if there is no image, or the first cannot be read.
    """

    def __init__(self, path: str | Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        self.name = self.path.name
        folder = self.path if self.path.is_dir() else self.path.parent
        files = folder.iterdir() if self.path.is_dir() else iter([self.path])
        images = [
            file.name
            for file in files
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not images:
            raise MediaError(
                f"Expected {self.path} to be a folder with images or an image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}), got none."
            )
        self.file_names = tuple(sorted(images, key=natural))
        self._folder = folder
        self._cache = FrameCache(cache_bytes)
        first = _read_image(folder / self.file_names[0])
        self.height, self.width = first.shape[:2]
        self._cache.put(0, first)

    def __len__(self) -> int:
        return len(self.file_names)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the file cannot be read, or its size is not that of the first.
        """
        index = self._checked(index)
        image = self._cache.get(index)
        if image is None:
            image = _read_image(self._folder / self.file_names[index])
            height, width = image.shape[:2]
            if (width, height) != (self.width, self.height):
                raise MediaError(
                    f"Expected all images in {self.path} to have the size of "
                    f"{self.file_names[0]}, {self.width}×{self.height} pixels, got "
                    f"{width}×{height} in {self.file_names[index]}."
                )
            self._cache.put(index, image)
        return image

    def close(self) -> None:
        """Let go of all cached images. Nothing can be read afterwards."""
        super().close()
        self._cache.clear()


def _read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as uint8 [H, W, 3] RGB, read-only."""
    try:
        # not cv2.imread, which cannot open names outside the code page on Windows
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise MediaError(f"Expected {path} to be readable, got: {error.strerror}.") from error
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise MediaError(f"Expected {path} to be an image, got: {error.err}.") from error
    if bgr is None:
        raise MediaError(
            f"Expected {path} to be an image, got {data.size} bytes that do not decode."
        )
    return sealed(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
