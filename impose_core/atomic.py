"""Files that appear under their name only when complete and on disk, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from impose_core.errors import OutputError


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside ``path``, same suffix, that becomes ``path`` if the block succeeds.

    If the block fails, what was at ``path`` stays, and nothing else. A link stays a link.

    Raises:
        OutputError: if the file cannot be made or moved; it names ``path``.
    """
    try:
        folder = Path(os.path.realpath(path)).parent
        temporary = folder / f".impose-{secrets.token_hex(6)}{Path(path).suffix}"
        temporary.touch(exist_ok=False)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise unwritable(path, error) from error
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: str | os.PathLike[str]) -> None:
    """Bring ``temporary`` to the disk, then give it its name.

    Raises:
        OutputError: if that fails; it names ``path``.
    """
    try:
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(os.path.realpath(path))
    except OSError as error:
        raise unwritable(path, error) from error


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    with whole_file(path) as temporary:
        try:
            temporary.write_bytes(content)
        except OSError as error:
            raise unwritable(path, error) from error


def unwritable(path: str | os.PathLike[str], error: Exception) -> OutputError:
    """The error to raise when ``path`` could not be written because of ``error``."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return OutputError(
        f"Expected '{os.fspath(path)}' to be a file that can be written, got: {reason}.",
        hint="Check that the folder exists, that you may write there and that the disk has room.",
    )
