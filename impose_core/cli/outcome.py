"""How a command ends: its warnings, its errors, interrupts, and exit codes."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

import typer

from impose_core.errors import (
    Cancelled,
    DeviceError,
    ImposeError,
    MediaError,
    StateError,
    UsageError,
    WeightsError,
)

EXIT_CODES: Final[Mapping[type[ImposeError], int]] = {
    UsageError: 2,
    StateError: 2,
    MediaError: 3,
    WeightsError: 4,
    DeviceError: 5,
    Cancelled: 130,
}
"""By class or nearest base; 0 is success, 1 an error without a class of its own."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Run a command inside: errors become a sentence and an exit code.

    Warnings of the core go to standard error. SIGTERM interrupts like Ctrl-C.

    Raises:
        typer.Exit: with the code of the error that happened inside.
    """
    warnings = _Warnings(logging.WARNING)
    logger = logging.getLogger("impose_core")
    logger.addHandler(warnings)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        _say(Cancelled("Stopped; nothing was written."), as_json=as_json)
        raise typer.Exit(EXIT_CODES[Cancelled]) from None
    except ImposeError as error:
        _say(error, as_json=as_json)
        raise typer.Exit(exit_code(error)) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        logger.removeHandler(warnings)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let what happens inside finish: a result that is done must reach the disk."""
    before = [signal.signal(number, signal.SIG_IGN) for number in _SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)


def exit_code(error: ImposeError) -> int:
    """The exit code for ``error``."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), 1)


def _say(error: ImposeError, *, as_json: bool) -> None:
    if as_json:
        said = {"code": error.code, "message": error.message, "hint": error.hint}
        typer.echo(json.dumps({"error": said}))
        return
    typer.echo(f"error: {error.message}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 # a handler's shape
    raise KeyboardInterrupt


class _Warnings(logging.Handler):
    """What is wrong with the media or the journal although the work can go on."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(f"warning: {record.getMessage()}", err=True)
