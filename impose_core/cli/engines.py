"""Engines by the names that commands take."""

from __future__ import annotations

from typing import Final

from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.readers.naming import columns
from impose_core.skeleton import Skeleton

NO_READER: Final = "none"
READERS: Final = ("movenet", NO_READER)
"""Names for :func:`engine_of`."""


def engine_of(reader: str) -> Engine:
    """The engine with the pose reader called ``reader``. Weights are read at its first look.

    Raises:
        UsageError: if there is no such reader.
    """
    if reader == NO_READER:
        return Engine()
    if reader != "movenet":
        raise UsageError(f"Expected '--reader' to be one of {', '.join(READERS)}, got {reader!r}.")
    from impose_core.readers.movenet import MoveNet  # its runtime is not needed without it

    return Engine(reader=MoveNet())


def reader_used(engine: Engine, skeleton: Skeleton) -> str:
    """The name of the reader if it knows persons of ``skeleton``, else "none"."""
    if engine.reader is None:
        return NO_READER
    try:
        columns(skeleton, engine.reader.skeleton)
    except SkeletonMismatch:
        return NO_READER
    return engine.reader.name
