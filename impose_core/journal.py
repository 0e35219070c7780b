"""The append-only record of human acts: what was done survives whatever happens next.

One JSON line per act, each with its own checksum, written with one call and forced to disk
before the act counts. A crash at any byte can only tear the last line, and a torn last line is
an act that had not happened yet. Damage anywhere else is refused, never guessed around.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from impose_core.corrections import Correction, VideoShape, correction_to_json
from impose_core.errors import OutputError, StateError
from impose_core.marks import UNMARKED, Cell, Mark, Patch
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import Skeleton

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

FORMAT, VERSION = "impose-journal", 1
_INT64 = 2**63
"""Track ids are int64; documents may have negative ones."""

logger = logging.getLogger(__name__)


class Journal:
    """An open journal. Only one may be open per file.

    Attributes:
        notes: sentences about what was found on opening, such as a dropped torn line.
        acts: the patches that stand, oldest first; undone ones are gone from it.
    """

    def __init__(self, path: Path, *, skeleton: Skeleton, video: VideoShape, name: str) -> None:
        """Create the journal at ``path``, or continue it.

        Raises:
            OutputError: if the file cannot be written.
            StateError: if it is open elsewhere, damaged, or of another video or skeleton.
        """
        self.path = path
        self.notes: tuple[str, ...] = ()
        self.acts: list[Patch] = []
        self._sequence = 0
        self._keypoints, self._frames = len(skeleton), video.frames
        header = {
            "format": FORMAT,
            "version": VERSION,
            "skeleton": list(skeleton.keypoints),
            "video": {"name": name, **video.to_json()},
        }
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        except OSError as error:
            raise OutputError(f"Expected a journal that can be written, got {error}.") from error
        try:
            _lock(self._file, path)
            self._length = self._read(header)
            if self._length == 0:
                self._write(header)
                _sync_folder(path)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise OutputError(f"{path}: Expected a journal, got {error}.") from error
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, corrections: Sequence[Correction], patch: Patch) -> None:
        """Record one act; when this returns, it is on disk.

        Raises:
            OutputError: if it could not be recorded; the journal is as before.
            StateError: if the journal was closed.
        """
        said = [correction_to_json(c) for c in corrections]
        self._write({"act": self._sequence, "said": said, "patch": patch_to_json(patch)})
        self._sequence += 1
        self.acts.append(patch)

    def append_undo(self) -> None:
        """Record that the last act that stands is taken back.

        Raises:
            StateError: if none stands, or the journal was closed.
            OutputError: if it could not be recorded.
        """
        if not self.acts:
            raise StateError("Expected an act to undo, got a journal without one.")
        self._write({"act": self._sequence, "undo": True})
        self._sequence += 1
        self.acts.pop()

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self, header: Mapping[str, Any]) -> int:
        """Take in all acts and drop a torn end; returns how many bytes of the file are left."""
        with os.fdopen(os.dup(self._file), "rb") as file:
            data = file.read()
        good = 0
        lines = data.split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            record = _checked(line)
            if record is None:
                if number == len(lines) - 1 and not lines[-1]:
                    break  # the last line: torn, or never finished
                raise StateError(
                    f"{self.path}: line {number} is damaged, and it is not the last one.",
                    hint="Restore the file from a copy; nothing was changed.",
                )
            self._take(record, number, header)
            good += len(line) + 1
        if good < len(data):
            if good == 0 and not _line(header).startswith(data):
                raise StateError(  # dropping what we did not write would erase somebody's file
                    f"{self.path}: Expected a journal of this video, got a file that does not "
                    "begin like one.",
                    hint="Choose another file name; nothing was changed.",
                )
            note = f"{self.path}: the last record was not finished, and was dropped."
            self.notes = (note,)
            logger.warning(note)
            os.ftruncate(self._file, good)
        return good

    def _take(self, record: dict[str, Any], number: int, header: Mapping[str, Any]) -> None:
        if number == 1:
            for name, expected in header.items():
                if record.get(name) != expected:
                    raise StateError(
                        f"{self.path}: Expected '{name}' to be {expected!r}, "
                        f"got {record.get(name)!r}.",
                        hint="A journal belongs to one video and one skeleton.",
                    )
            return
        if record.get("act") != self._sequence:
            raise StateError(
                f"{self.path}: Expected act {self._sequence} on line {number}, "
                f"got {record.get('act')!r}."
            )
        self._sequence += 1
        if record.get("undo") is not True:
            patch = record.get("patch")
            self.acts.append(patch_from_json(patch, keypoints=self._keypoints, frames=self._frames))
        elif self.acts:
            self.acts.pop()
        else:
            raise StateError(f"{self.path}: line {number} takes back an act that is not there.")

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._file < 0:
            raise StateError(f"{self.path}: Expected an open journal, got one that was closed.")
        line = _line(record)
        try:
            os.ftruncate(self._file, self._length)  # if an earlier failure could not tidy up
            os.lseek(self._file, self._length, os.SEEK_SET)
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written")
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._length)
            raise OutputError(
                f"{self.path}: Expected to record the act, got: {error}.",
                hint="The act did not happen; free some space and repeat it.",
            ) from error
        self._length += len(line)


def patch_to_json(patch: Patch) -> list[dict[str, Any]]:
    """A patch as a JSON array, positions exact."""
    return [
        {
            "track": int(track),
            "frame": int(frame),
            "before": _mark_to_json(before),
            "after": _mark_to_json(after),
        }
        for (track, frame), (before, after) in patch.items()
    ]


def patch_from_json(value: Any, *, keypoints: int, frames: int = 2**53) -> Patch:
    """The patch that :func:`patch_to_json` wrote, of a video of ``frames`` frames.

    Raises:
        StateError: naming the field that is not as it should be.
    """
    if not isinstance(value, list):
        raise StateError(f"Expected 'patch' to be a list, got {type(value).__name__}.")
    patch: dict[Cell, tuple[Mark | None, Mark | None]] = {}
    for i, cell in enumerate(value):
        where = f"patch[{i}]"
        if not isinstance(cell, dict):
            raise StateError(f"Expected '{where}' to be an object, got {type(cell).__name__}.")
        track = _integer(cell.get("track"), -_INT64, _INT64 - 1, f"{where}.track")
        frame = _integer(cell.get("frame"), 0, frames - 1, f"{where}.frame")
        before, after = (
            _mark_from_json(cell.get(n), keypoints, f"{where}.{n}") for n in ("before", "after")
        )
        patch[track, frame] = (before, after)
    return patch


def _mark_to_json(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {
        "xy": [
            [x, y] if math.isfinite(x) and math.isfinite(y) else None for x, y in mark.xy.tolist()
        ],
        "visibility": [None if v == UNMARKED else v for v in mark.visibility.tolist()],
        "origin": mark.origin.tolist(),
        "box": mark.box.tolist() if np.isfinite(mark.box).all() else None,
    }


def _mark_from_json(value: Any, keypoints: int, where: str) -> Mark | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise StateError(f"Expected '{where}' to be an object, got {type(value).__name__}.")
    rows: dict[str, list[Any]] = {}
    for name in ("xy", "visibility", "origin"):
        row = value.get(name)
        if not isinstance(row, list) or len(row) != keypoints:
            got = len(row) if isinstance(row, list) else type(row).__name__
            raise StateError(f"Expected '{where}.{name}' to be {keypoints} items, got {got}.")
        rows[name] = row
    mark = Mark.blank(keypoints)
    for k in range(keypoints):
        point, flag, origin = (rows[name][k] for name in ("xy", "visibility", "origin"))
        if point is not None:
            mark.xy[k] = _finite(point, 2, f"{where}.xy[{k}]")
        if flag is not None:
            mark.visibility[k] = _one_of(flag, Visibility, f"{where}.visibility[{k}]")
        mark.origin[k] = _one_of(origin, Origin, f"{where}.origin[{k}]")
    if value.get("box") is not None:
        mark.box[:] = _finite(value["box"], 4, f"{where}.box")
    return mark


def _finite(value: Any, count: int, where: str) -> list[float]:
    with contextlib.suppress(TypeError, OverflowError):  # not numbers; beyond any float
        if isinstance(value, list) and not any(isinstance(v, bool | str) for v in value):
            numbers = [float(v) for v in value]
            if len(numbers) == count and all(map(math.isfinite, numbers)):
                return numbers
    raise StateError(f"Expected '{where}' to be {count} finite numbers, got {value!r}.")


def _one_of(value: Any, values: Any, where: str) -> int:
    allowed = [int(v) for v in values]
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise StateError(f"Expected '{where}' to be one of {allowed}, got {value!r}.")
    return value


def _integer(value: Any, low: int, high: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise StateError(
            f"Expected '{where}' to be an integer from {low} to {high}, got {value!r}."
        )
    return value


def _line(record: Mapping[str, Any]) -> bytes:
    """A record as it stands in the file."""
    text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _checked(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None if the line is not what was written."""
    checksum, _, text = line.partition(b" ")
    if checksum != f"{zlib.crc32(text):08x}".encode():
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _lock(file: int, path: Path) -> None:
    try:
        if "fcntl" in globals():
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise  # this file system cannot lock
        raise StateError(
            f"{path}: Expected a journal that is not already open, got one in use.",
            hint="Close the other session, or give this one a journal of its own.",
        ) from error


def _sync_folder(path: Path) -> None:
    """Make sure that a new file is still in its folder after a power failure."""
    with contextlib.suppress(OSError):  # Windows and some network drives have no such thing
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
