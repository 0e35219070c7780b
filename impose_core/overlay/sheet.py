"""Many images as one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

DARK: Colour = (24, 24, 24)
LIGHT: Colour = (240, 240, 240)
FONT = cv2.FONT_HERSHEY_SIMPLEX
CAP_HEIGHT = 22.0
"""Pixels of a capital of :data:`FONT` at scale 1."""


def check_image(name: str, image: Image) -> None:
    """Refuse what is not uint8 [H, W, 3].

    Raises:
        UsageError: which says what it is instead.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError(
            f"Expected '{name}' to be uint8 of shape (height, width, 3), "
            f"got {image.dtype} of shape {image.shape}."
        )


def contact_sheet(images: Sequence[tuple[str, Image]], columns: int, width: int) -> Image:
    """Captioned tiles, row by row, as one image ``width`` pixels wide.

    Args:
        images: (caption, uint8 [H, W, 3] RGB) each; sizes may differ. Captions are ASCII,
            which is all the font has.
        columns: tiles a row.
        width: of the sheet, pixels.

    Raises:
        UsageError: if there is nothing to show or no room to show it.
    """
    gap = max(width // 160, 2)
    tile = (width - gap * (columns + 1)) // columns if columns > 0 else 0
    if not images or tile < 8:
        raise UsageError(
            "Expected 'images' to hold one image or more and 'width' to leave 8 pixels or more "
            f"for each of 'columns' tiles, got {len(images)} images, {columns} columns, "
            f"width {width}."
        )
    height = min(max(width / 130, 7.0), 16.0)  # of a capital
    bar = round(2.4 * height)
    rows = []
    for start in range(0, len(images), columns):
        row = [_tile(*pair, tile, height, bar) for pair in images[start : start + columns]]
        sheet = np.full((max(len(t) for t in row) + gap, width, 3), DARK, np.uint8)
        for i, picture in enumerate(row):
            x = gap + i * (tile + gap)
            sheet[: len(picture), x : x + tile] = picture
        rows.append(sheet)
    return np.concatenate(rows)


def _tile(caption: str, image: Image, wide: int, height: float, bar: int) -> Image:
    check_image("images", image)
    tall = max(round(image.shape[0] * wide / image.shape[1]), 1)
    shrink = wide < image.shape[1]
    how = cv2.INTER_AREA if shrink else cv2.INTER_CUBIC
    tile = np.full((tall + bar, wide, 3), DARK, np.uint8)
    tile[bar:] = cv2.resize(image, (wide, tall), interpolation=how)
    scale = height / CAP_HEIGHT
    (long, _), _ = cv2.getTextSize(caption, FONT, scale, 1)
    scale *= min(1.0, (wide - 4) / max(long, 1))
    base = round((bar + height) / 2)
    cv2.putText(tile, caption, (2, base), FONT, scale, LIGHT, 1, cv2.LINE_AA)
    return tile
