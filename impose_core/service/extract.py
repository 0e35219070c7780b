"""A video as a folder of images, every frame once and in order, as the tool wants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2

from impose_core.atomic import unwritable, write_bytes
from impose_core.frames import VideoFile
from impose_core.service.clip import image_name

QUALITY: Final = 95
"""Of JPEG, of 100."""


def extracted(video: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Write the frames of ``video`` into ``folder``; lines of the stream.

    Images that are there stay as they are: somebody may have annotated them.

    Raises:
        MediaError: if the video cannot be read.
        OutputError: if an image cannot be written.
    """
    with VideoFile(video) as frames:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        total = len(frames)
        yield {"event": "started", "run": folder.name, "folder": str(folder), "total": total}
        for index in range(total):
            path = folder / image_name(index)
            outcome = "same"
            if not path.exists():
                bgr = cv2.cvtColor(frames.read(index), cv2.COLOR_RGB2BGR)
                _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                write_bytes(path, data.tobytes())
                outcome = "written"
            yield {
                "event": "frame",
                "frame": index,
                "done": index + 1,
                "total": total,
                "outcome": outcome,
            }
