"""The image of a request: its size is read from the header before anything is decoded."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from cvat_function.errors import BadImage, BadRequest, TooLarge
from cvat_function.fields import expected
from cvat_function.limits import BODY_BYTES, PIXELS

KINDS: Final = "PNG, JPEG, WebP or BMP"
MARKERS: Final = 10_000
"""Of a JPEG before its size must have been told."""


def decoded(text: object) -> NDArray[np.uint8]:
    """The picture in base64 ``text``: RGB [H, W, 3], turned as its EXIF says (as CVAT shows it).

    Raises:
        BadRequest: if it is no base64.
        BadImage: if it is no picture, or a damaged one.
        TooLarge: if it has too many bytes or pixels.
    """
    if not isinstance(text, str) or not text:
        raise expected("image", "a picture in base64", text)
    if len(text) > BODY_BYTES:
        raise TooLarge(f"Expected 'image' to have at most {BODY_BYTES} bytes, got {len(text)}.")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"Expected 'image' to be base64, got: {error}.") from error
    width, height = size_of(data)
    if width * height > PIXELS:
        raise TooLarge(f"Expected 'image' to have at most {PIXELS} pixels, got {width} x {height}.")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise BadImage(f"Expected 'image' to be a whole {KINDS}, got: {error.err}.") from error
    if picture is None:
        raise BadImage(f"Expected 'image' to be a whole {KINDS} picture, got a damaged one.")
    if picture.shape[0] * picture.shape[1] > PIXELS:  # a header that says one thing of two
        raise TooLarge(f"Expected 'image' to have at most {PIXELS} pixels, got more.")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height in the header of a picture.

    Raises:
        BadImage: if it is no picture of a known kind.
    """
    try:
        size = _size(data)
    except (struct.error, IndexError, ValueError) as error:
        raise BadImage(
            f"Expected 'image' to be {KINDS}, got a header that breaks off after {len(data)} bytes."
        ) from error
    if size is None:
        raise BadImage(f"Expected 'image' to be {KINDS}, got bytes that begin {data[:8]!r}.")
    if min(size) < 1:
        raise BadImage(f"Expected 'image' to have pixels, got {size[0]} x {size[1]}.")
    return size


def _size(data: bytes) -> tuple[int, int] | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _pair(">II", data, 16)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"BM"):
        width, height = _pair("<ii", data, 18)
        return abs(width), abs(height)  # a negative height: rows from the top
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return int(first), int(second)


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    for _ in range(MARKERS):
        at = data.index(b"\xff", at)
        marker = data[at + 1]
        if marker in (0x00, 0xFF):  # filling
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame begins
            height, width = _pair(">HH", data, at + 5)
            return width, height
        if 0xD0 <= marker <= 0xD9 or marker == 0x01:  # markers without a segment
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        at += 2 + length
    raise IndexError


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        sides = data[24:27], data[27:30]
        if len(sides[1]) < 3:
            raise IndexError
        return int.from_bytes(sides[0], "little") + 1, int.from_bytes(sides[1], "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = _pair("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
