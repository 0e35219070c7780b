"""Annotation files as bytes, and errors that name the file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from impose_core.errors import BadDocument
from impose_core.io.json_fields import MAX_BYTES


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """What the file at ``path`` holds.

    Raises:
        BadDocument: if it cannot be read or is too large.
    """
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise BadDocument(
                f"Expected '{path}' to have at most {MAX_BYTES} bytes, got {size}.",
                hint="Split the annotations by video.",
            )
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise BadDocument(
            f"Expected '{path}' to be a readable file, got: {getattr(error, 'strerror', error)}."
        ) from error


def files_of(folder: str | os.PathLike[str]) -> list[Path]:
    """The files in ``folder`` that are not hidden, frame2 before frame10.

    Raises:
        BadDocument: if it is no folder one can read.
    """
    try:
        found = [one for one in Path(folder).iterdir() if one.is_file()]
    except (OSError, ValueError) as error:
        raise BadDocument(
            f"Expected '{folder}' to be a folder, got: {getattr(error, 'strerror', error)}."
        ) from error
    return sorted((one for one in found if not one.name.startswith(".")), key=_natural)


def _natural(path: Path) -> tuple[list[str | int], str]:
    # split by a group alternates text, number, text ..., so like meets like
    parts = re.split(r"([0-9]+)", path.stem.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], path.name


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make every BadDocument raised inside name the file at ``path``."""
    try:
        yield
    except BadDocument as error:
        raise BadDocument(f"In '{path}': {error.message}", hint=error.hint) from error
