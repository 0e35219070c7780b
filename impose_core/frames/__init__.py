"""Pixels on demand: videos, folders of images and arrays, one frame at a time.

A frame index means the same picture for everyone who counts: 0-based, in the order in
which a player shows the frames, whatever the timestamps, B-frames or frame rate. An image
is RGB as a player shows it: turned by the rotation the file asks for. The sample aspect
ratio is ignored: pixels stay as they are stored, so that a human's pixels are ours.

Nothing here may be shared between threads.
"""

from __future__ import annotations

from pathlib import Path

from impose_core.frames.arrays import ArrayFrames
from impose_core.frames.images import IMAGE_SUFFIXES, ImageFolder
from impose_core.frames.source import CACHE_BYTES, FrameSource
from impose_core.frames.video import VideoFile

__all__ = [
    "CACHE_BYTES",
    "IMAGE_SUFFIXES",
    "ArrayFrames",
    "FrameSource",
    "ImageFolder",
    "VideoFile",
    "open_frames",
]


def open_frames(path: str | Path) -> VideoFile | ImageFolder:
    """The frames at ``path``: a video file, a folder of images, or one image.

    Raises:
        MediaError: if there is nothing at ``path``, or nothing that can be shown.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFolder(path)
    return VideoFile(path)
