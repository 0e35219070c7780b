"""Small test videos whose pictures say which frame they are."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BLOCK = 16  # pixels: what survives lossy coding
BITS = 10
WIDTH, HEIGHT = 96, 64  # not square, so that a wrong turn shows

# matrix a b u c d v x y w of ISO/IEC 14496-12: (x, y) is shown at (a x + c y, b x + d y)
CLOCKWISE = {
    0: (1, 0, 0, 0, 1, 0, 0, 0, 1),
    90: (0, 1, 0, -1, 0, 0, 0, 0, 1),
    180: (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    270: (0, -1, 0, 1, 0, 0, 0, 0, 1),
}
MIRRORED = (-1, 0, 0, 0, 1, 0, 0, 0, 1)


def numbered_frame(index: int) -> NDArray[np.uint8]:
    """uint8 [64, 96, 3] RGB: ``index`` in binary blocks above something that moves."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, BITS // 2)
        if index >> bit & 1:
            image[row * BLOCK :, column * BLOCK :][:BLOCK, :BLOCK] = 255
    y, x = np.mgrid[: HEIGHT - 2 * BLOCK, :WIDTH]
    image[2 * BLOCK :, :, 0] = (5 * x + 3 * index) % 256
    image[2 * BLOCK :, :, 1] = (7 * y + 11 * index) % 256
    image[2 * BLOCK :, :, 2] = np.random.default_rng(index).integers(0, 256, x.shape)
    return image


def number_of(image: NDArray[np.uint8]) -> int:
    """The index that :func:`numbered_frame` wrote into an upright RGB image."""
    number = 0
    for bit in range(BITS):
        row, column = divmod(bit, BITS // 2)
        block = image[row * BLOCK :, column * BLOCK :][4 : BLOCK - 4, 4 : BLOCK - 4]
        number |= int(block.mean() > 127) << bit
    return number


def numbered_frames(count: int) -> list[NDArray[np.uint8]]:
    return [numbered_frame(index) for index in range(count)]


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    fps: int = 25,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    pix_fmt: str = "yuv420p",
) -> Path:
    """Encode RGB ``frames``; with ``pts`` (in ``time_base``) at a variable frame rate."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pix_fmt
                if pts is not None:
                    stream.codec_context.time_base = time_base
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if pts is not None:
                picture.pts, picture.time_base = pts[number], time_base
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def set_display_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Turn an mp4 the way a phone does: by the matrix in its track header."""
    data = bytearray(path.read_bytes())
    # version 0 of tkhd: 40 bytes between the box's name and the matrix
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(
        ">9i", *(v << (30 if place % 3 == 2 else 16) for place, v in enumerate(matrix))
    )
    path.write_bytes(data)
    return path


def trim_start(path: Path, seconds: Fraction) -> Path:
    """Let the edit list of an mp4 begin ``seconds`` later; the packets stay in the file."""
    data = bytearray(path.read_bytes())
    # version 0 of these boxes: time scale after 12 bytes; one edit: duration, media time
    (media_scale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)
    (movie_scale,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 4 + 12)
    at = data.index(b"elst") + 4 + 8
    duration, start = struct.unpack_from(">Ii", data, at)
    struct.pack_into(
        ">Ii",
        data,
        at,
        int(duration - seconds * movie_scale),
        int(start + seconds * media_scale),
    )
    path.write_bytes(data)
    return path


def cut_off(path: Path, fraction: float) -> Path:
    """Keep only the first ``fraction`` of the file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path
