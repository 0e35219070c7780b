"""Annotation files as bytes, and errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from impose_core.errors import BadDocument
from impose_core.natural_order import natural

MAX_BYTES: Final = 2**30


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
    visible = (one for one in found if not one.name.startswith("."))
    return sorted(visible, key=lambda one: (natural(one.stem), one.name))


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make every BadDocument raised inside name the file at ``path``."""
    try:
        yield
    except BadDocument as error:
        raise BadDocument(f"In '{path}': {error.message}", hint=error.hint) from error
