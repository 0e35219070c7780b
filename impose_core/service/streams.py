"""Work that tells of itself line by line, in a thread, until it is done or nobody listens."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from impose_core.errors import ImposeError
from impose_core.service.errors import said_of

Line = dict[str, Any]

QUEUED: Final = 64
"""Lines that may wait for a listener before the work does."""
SILENCE: Final = 1.0
"""Seconds after which a stream says that it is alive."""
ALIVE: Final[Line] = {"event": "alive"}
_NOTHING: Final[Line] = {}

logger = logging.getLogger(__name__)


class Stream:
    """A run under way.

    Args:
        lines: does the work; the first line says that it began, each further one what was done.
        at_end: called once when the work is over, in its thread; True if it ended by a fault.
    """

    def __init__(self, lines: Iterator[Line], at_end: Callable[[bool], None]) -> None:
        self._lines, self._at_end = lines, at_end
        self._queue: queue.Queue[Line | Exception | None] = queue.Queue(QUEUED)
        self._cancelled = threading.Event()
        self._counts = {"written": 0, "kept": 0}
        self._run: Any = None
        self._thread = threading.Thread(target=self._work, name="impose-run", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Let the work end with the line it is at. What it wrote stays."""
        self._cancelled.set()

    def join(self, timeout: float) -> None:
        """Wait for the end."""
        self._thread.join(timeout)

    async def first(self) -> Line:
        """The line that says that the work began.

        Raises:
            Exception: what kept it from beginning.
        """
        line: Line | Exception | None = ALIVE
        while line is ALIVE:
            line = await self._next()
        if isinstance(line, Exception):
            raise line
        assert line is not None  # a run says that it began, or why it did not
        return line

    async def lines(self, first: Line) -> AsyncIterator[bytes]:
        """All lines as they are sent. Work whose listener has gone is cancelled."""
        try:
            yield _text(first)
            while True:
                item = await self._next()
                if item is None:
                    return
                assert not isinstance(item, Exception)
                yield _text(item)
        finally:
            self.cancel()

    async def _next(self) -> Line | Exception | None:
        """The next line; None at the end."""
        began = time.monotonic()
        while time.monotonic() - began < SILENCE:
            line = await asyncio.to_thread(self._got)
            if line is not _NOTHING:
                return line
        return ALIVE

    def _got(self) -> Line | Exception | None:
        try:
            return self._queue.get(timeout=SILENCE / 4)
        except queue.Empty:
            return _NOTHING

    def _work(self) -> None:
        began, fault = time.monotonic(), False
        ended: Line | Exception
        try:
            for line in self._lines:
                self._run = line.get("run", self._run)
                outcome = line.get("outcome")
                self._counts["written"] += outcome in ("written", "displayed")
                self._counts["kept"] += outcome == "kept"
                self._put(line)
                if self._cancelled.is_set():
                    break
            ended = {"event": "finished", "cancelled": self._cancelled.is_set()}
        except Exception as error:  # a fault in the model must end as a line
            fault = not isinstance(error, ImposeError)
            if fault:
                logger.exception("A run failed")
            ended = error if self._run is None else {"event": "failed", "error": said_of(error)}
        finally:
            close = getattr(self._lines, "close", None)
            if close is not None:
                close()
            self._at_end(fault)
        if not isinstance(ended, Exception):
            seconds = round(time.monotonic() - began, 3)
            ended |= {"run": self._run, **self._counts, "seconds": seconds}
        self._put(ended)
        self._put(None)

    def _put(self, item: Line | Exception | None) -> None:
        while not self._has_put(item) and not self._cancelled.is_set():
            pass

    def _has_put(self, item: Line | Exception | None) -> bool:
        try:
            self._queue.put(item, timeout=SILENCE / 4)
        except queue.Full:
            return False
        return True


def _text(line: Line) -> bytes:
    return json.dumps(line, allow_nan=False, separators=(",", ":")).encode() + b"\n"
