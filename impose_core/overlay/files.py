"""Images and videos on disk, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from impose_core.atomic import publish, unwritable, whole_file, write_bytes
from impose_core.errors import Cancelled, UsageError
from impose_core.overlay.sheet import Image, check_image

_CRF = "18"  # x264: hardly to be told from the original
_MPEG4_BITS = 0.25  # bits per pixel for the fallback encoder, about as good
_BT709 = 1  # the number of that matrix in H.264's own table


def write_image(path: str | Path, image: Image) -> None:
    """Write ``image`` uint8 [H, W, 3] RGB as .png, .jpg or .jpeg (quality 92).

    Raises:
        UsageError: if the suffix names another format, or ``image`` is not an image.
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"Expected 'path' to end in .png, .jpg or .jpeg, got {path}.")
    check_image("image", image)
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 92]
    _, code = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    write_bytes(path, code.tobytes())


def write_video(path: str | Path, images: Iterable[Image], fps: float) -> int:
    """Write ``images`` uint8 [H, W, 3] RGB, all of one size, as a video that plays anywhere.

    H.264 (MPEG-4 part 2 where PyAV has no encoder for it), yuv420p; an odd width or height
    gets one more pixel. If the caller stops (KeyboardInterrupt, :class:`Cancelled`, or a
    generator closed), the video so far is closed properly, kept, and the exception goes on.
    After any other exception there is no file.

    Returns:
        The number of frames written.

    Raises:
        UsageError: if there is no image, an image does not fit the first, ``fps`` is not
            above 0, or the suffix names no video format.
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    if not 0 < fps < math.inf:
        raise UsageError(f"Expected 'fps' to be a finite number above 0, got {fps}.")
    if path.suffix.lower() not in (".mp4", ".mkv", ".mov"):
        raise UsageError(f"Expected 'path' to end in .mp4, .mkv or .mov, got {path}.")
    source = iter(images)
    first = next(source, None)
    if first is None:
        raise UsageError("Expected 'images' to hold one image or more, got none.")
    check_image("images", first)
    with whole_file(path) as temporary:
        film = _Film(temporary, path, first, fps)
        try:
            for image in chain([first], source):
                film.add(image)
        except (KeyboardInterrupt, GeneratorExit, Cancelled):
            film.close()
            if film.frames:
                publish(temporary, path)
            raise
        except BaseException:
            film.abandon()
            raise
        film.close()
    return film.frames


class _Film:
    """A video file under way. Errors of the disk or the encoder come out as OutputError."""

    def __init__(self, temporary: Path, path: Path, first: Image, fps: float) -> None:
        self.path, self.frames = path, 0
        self._shape = first.shape
        height, width = (side + side % 2 for side in first.shape[:2])
        try:
            self._container: OutputContainer = av.open(
                str(temporary), "w", options=_container_options(path)
            )
        except (av.FFmpegError, OSError) as error:
            raise unwritable(path, error) from error
        try:
            self._stream = _add_stream(self._container, width, height, fps)
        except BaseException:
            self.abandon()
            raise

    def add(self, image: Image) -> None:
        """Encode one more frame."""
        if image.shape != self._shape or image.dtype != np.uint8:
            raise UsageError(
                f"Expected all 'images' to be uint8 of shape {self._shape} like the first, "
                f"got {image.dtype} of shape {image.shape} at frame {self.frames}."
            )
        height, width = image.shape[:2]
        even = cv2.copyMakeBorder(
            image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE
        )  # yuv420p halves both sides
        pixels = np.ascontiguousarray(even, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        try:
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise unwritable(self.path, error) from error
        self.frames += 1

    def close(self) -> None:
        """Flush and close; the file is then valid."""
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        except (av.FFmpegError, OSError) as error:
            self.abandon()
            raise unwritable(self.path, error) from error

    def abandon(self) -> None:
        """Close without caring whether the file is valid."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError):
            return


def _container_options(path: Path) -> dict[str, str]:
    # index in front, so that browsers play before they have all of it
    return {} if path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}


def _add_stream(container: OutputContainer, width: int, height: int, fps: float) -> VideoStream:
    # 1001 reaches NTSC's 30000/1001; MPEG-4 allows no denominator above 65535
    rate = Fraction(fps).limit_denominator(1001)
    if "libx264" in av.codecs_available:
        stream = container.add_stream("libx264", rate=rate, options={"crf": _CRF})
    else:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.bit_rate = int(_MPEG4_BITS * width * height * rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.colorspace = _BT709
    return stream
