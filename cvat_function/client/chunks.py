"""The pictures of a job, fetched a chunk at a time and kept on disk while the job is worked on."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from cvat_function.client.connection import Server
from cvat_function.client.errors import BadJob, CvatError
from cvat_function.client.job import Job
from cvat_function.limits import PIXELS
from impose_core.errors import MediaError
from impose_core.frames import CACHE_BYTES, VideoFile
from impose_core.frames.source import BaseSource, FrameCache, sealed

OPEN: Final = 4
"""Chunks whose decoders are kept open."""


class ChunkFrames(BaseSource):
    """The frames of a job that are not deleted, as one video.

    A task of images has chunks of pictures, one of a video has small videos or pictures. Servers
    from 2.20 on count the chunks of a job; older ones those of its task, and give them whole.
    """

    def __init__(self, server: Server, job: Job) -> None:
        self.name, self.width, self.height = job.name, job.width, job.height
        self.fetched = 0
        self._server, self._job = server, job
        self._folder = tempfile.TemporaryDirectory(prefix="impose-cvat-")
        self._chunks: dict[int, _Chunk] = {}
        self._of_task = False
        self._cache = FrameCache(CACHE_BYTES)

    def __len__(self) -> int:
        return len(self._job.frames)

    def close(self) -> None:
        """Let go of the pictures, here and on disk."""
        if not self._closed:
            for chunk in self._chunks.values():
                chunk.close()
            self._folder.cleanup()
        super().close()

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index`` of the job's frames: RGB [H, W, 3].

        Raises:
            FrameOutOfRange: if there is no such frame.
            CvatError: if the server does not give it.
            MediaError: if it cannot be decoded.
        """
        at = self._checked(index)
        image = self._cache.get(at)
        if image is None:
            image = sealed(self._read(int(self._job.frames[at])))
            self._cache.put(at, image)
        return image

    def _read(self, frame: int) -> NDArray[np.uint8]:
        first = 0 if self._of_task else self._job.first
        number = (frame - first) // self._job.chunk
        if number not in self._chunks:
            self._fetch(number)
            if self._of_task and first:  # it was just found out
                return self._read(frame)
        chunk = self._chunks[number]
        image = chunk.read(frame)
        if image.shape[:2] != (self.height, self.width):
            # video codecs want even sizes
            image = np.asarray(cv2.resize(image, (self.width, self.height)), np.uint8)
        return image

    def _fetch(self, number: int) -> None:
        try:
            data, kind = self._get(number)
        except (CvatError, BadJob):
            if self._of_task or self._chunks:
                raise
            self._of_task = True  # a server that does not know ``index``
            number += self._job.first // self._job.chunk
            data, kind = self._get(number)
        path = Path(self._folder.name) / str(number)
        path.write_bytes(data)
        self.fetched += 1
        opened = [chunk for chunk in self._chunks.values() if chunk.is_open]
        for chunk in opened[: max(0, len(opened) - OPEN + 1)]:
            chunk.close()
        self._chunks[number] = _Chunk(path, video=kind.startswith("video"), first=0)
        self._chunks[number].first = self._first_of(number, len(self._chunks[number]))

    def _get(self, number: int) -> tuple[bytes, str]:
        place = {"number": number} if self._of_task else {"index": number}
        return self._server.chunk(self._job.number, **place)

    def _first_of(self, number: int, count: int) -> int:
        """The frame that the first of ``count`` pictures of a chunk is."""
        size = self._job.chunk
        if not self._of_task:
            return self._job.first + number * size
        low, high = number * size, min((number + 1) * size - 1, self._job.last)
        mine = max(low, self._job.first)
        return mine if count == high - mine + 1 else low


class _Chunk:
    """A file of pictures; ``first`` is the frame its first picture is."""

    def __init__(self, path: Path, *, video: bool, first: int) -> None:
        self.first = first
        self._path, self._video = path, video
        self._open: VideoFile | zipfile.ZipFile | None = None
        self._names: list[str] = []

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def __len__(self) -> int:
        source = self._opened()
        return len(source) if isinstance(source, VideoFile) else len(self._names)

    def read(self, frame: int) -> NDArray[np.uint8]:
        source, at = self._opened(), frame - self.first
        if isinstance(source, VideoFile):
            return source.read(at)
        if not 0 <= at < len(self._names):
            raise MediaError(
                f"Expected a chunk with frame {frame}, got one of {len(self._names)} pictures "
                f"from frame {self.first} on."
            )
        entry = source.getinfo(self._names[at])
        if entry.file_size > 4 * PIXELS:
            raise MediaError(f"Expected frame {frame} to take less, got {entry.file_size} bytes.")
        data = np.frombuffer(source.read(entry), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None:
            raise MediaError(f"Expected frame {frame} to be a picture, got {entry.filename!r}.")
        return np.asarray(image[..., ::-1], np.uint8)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _opened(self) -> VideoFile | zipfile.ZipFile:
        if self._open is None:
            if self._video:
                self._open = VideoFile(self._path)
            else:
                try:
                    self._open = zipfile.ZipFile(self._path)
                except zipfile.BadZipFile as error:
                    raise MediaError(f"Expected a chunk of pictures, got: {error}.") from error
                self._names = sorted(self._open.namelist())
        return self._open
