"""The files of a folder of X-AnyLabeling: read, and written only over what was read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from impose_core.atomic import unwritable, whole_file
from impose_core.errors import OutputError, StateError
from impose_core.io.files import naming, read_bytes
from impose_core.io.xanylabeling_frame import FrameLabels


class FileChanged(StateError):
    """A file is not what it was when it was read; nothing was written."""

    code: ClassVar[str] = "changed"


def read_frame(path: Path) -> FrameLabels:
    """What the file at ``path`` says; no file says nothing.

    Raises:
        BadDocument: if there is something else, or half a file.
    """
    if not os.path.lexists(path):
        return FrameLabels()
    content = read_bytes(path)
    with naming(path):
        return FrameLabels.from_bytes(content)


def replace_file(path: Path, before: bytes | None, after: bytes | None) -> None:
    """Let the file at ``path`` hold ``after`` (None: be gone), if it still holds ``before``.

    The file is whole at every moment. Between the last look and the change there are
    microseconds, not the time of writing: what is written is on the disk by then.

    Raises:
        FileChanged: if it holds something else, or is there though it was not.
        OutputError: if it cannot be written; it is as it was.
    """
    if after is None:
        _check_unchanged(path, before)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        return
    with whole_file(path) as temporary:
        try:
            with temporary.open("wb") as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(path, error) from error
        _check_unchanged(path, before)


def content_of(path: Path) -> bytes | None:
    """The bytes of the file at ``path``; None if there is none.

    Raises:
        OutputError: if it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(
            f"Expected '{path}' to be a file that can be read, got: {error.strerror}."
        ) from error


def _check_unchanged(path: Path, before: bytes | None) -> None:
    now = content_of(path)
    if now != before:
        was = "no file" if before is None else f"the {len(before)} bytes that were read"
        got = "none" if now is None else f"{len(now)} other bytes"
        raise FileChanged(
            f"Expected '{path}' to be {was}, got {got}.",
            hint="Another program wrote it; do the same again.",
        )
