"""The service as a child process: started when first needed, started again if it was killed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from impose_xanylabeling.client import Client, ServiceDown

READY_SECONDS: Final = 90.0
STARTS: Final = 3
PER_SECONDS: Final = 60.0
"""A service that dies again and again is not started more than ``STARTS`` times in this time."""


class Provider(Protocol):
    """Whoever knows where the service is."""

    def client(self) -> Client:
        """A client of a service that runs.

        Raises:
            ServiceDown: if it cannot be had.
        """
        ...

    def lost(self) -> None:
        """A request had no answer: find out whether the service still runs."""
        ...

    def stop(self) -> None:
        """No more requests will come."""
        ...


class RunningService:
    """A service that somebody else started."""

    def __init__(self, url: str, token: str | None) -> None:
        self._client = Client(url, token)

    def client(self) -> Client:
        """Of that service, whether it runs or not."""
        return self._client

    def lost(self) -> None:
        """Whoever started it may start it again."""

    def stop(self) -> None:
        """It is not ours to stop."""


class ServiceProcess:
    """``impose serve`` as a child of this process. Safe to use from several threads."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = (*command, "serve", "--port", "0", "--stop-with-stdin")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._client: Client | None = None
        self._said: deque[str] = deque(maxlen=20)
        self._starts: deque[float] = deque(maxlen=STARTS)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now; None if none does."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    def client(self) -> Client:
        """Of the running service; starts it if none runs.

        Raises:
            ServiceDown: if it does not start; the message has its last words.
        """
        with self._lock:
            if self.pid is None or self._client is None:
                self._client = self._started()
            return self._client

    def lost(self) -> None:
        """A process that is about to end has a second to do so."""
        with self._lock:
            if self._process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(1)

    def stop(self) -> None:
        """End the process: closing its input asks it to, five seconds later it has to."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        process, self._process, self._client = self._process, None, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> Client:
        now = time.monotonic()
        if len(self._starts) == STARTS and now - self._starts[0] < PER_SECONDS:
            raise ServiceDown(f"The service stopped {STARTS} times in a row. {self._words()}")
        self._starts.append(now)
        self._let_go()  # of one that died
        token = secrets.token_hex(16)
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "IMPOSE_TOKEN": token},
            )
        except OSError as error:
            raise ServiceDown(f"'{self._command[0]}' cannot be started: {error}") from error
        self._process = process
        assert process.stdout is not None
        assert process.stderr is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process.stdout, lines.put), daemon=True).start()
        threading.Thread(
            target=_read, args=(process.stderr, self._said.append), daemon=True
        ).start()
        return Client(self._url(process, lines), token)

    def _url(self, process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> str:
        """What the line says that the service writes when it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            url = _ready(lines)
            if url is not None:
                return url
            if process.poll() is not None:
                raise ServiceDown(f"The service did not start. {self._words()}")
        process.kill()
        raise ServiceDown(f"The service was not ready in {READY_SECONDS:.0f} s. {self._words()}")

    def _words(self) -> str:
        time.sleep(0.1)  # what it wrote last may still be on its way
        return " ".join(list(self._said)[-3:]) or f"It ran as: {' '.join(self._command)}"


def _ready(lines: queue.SimpleQueue[str]) -> str | None:
    """The service's URL, if it says soon that it is ready; other lines are passed over."""
    try:
        return str(json.loads(lines.get(timeout=0.2))["url"])
    except (queue.Empty, ValueError, KeyError, TypeError):
        return None


def _read(pipe: IO[str], put: Callable[[str], None]) -> None:
    with pipe:
        for line in pipe:
            put(line.strip())


def impose_command() -> tuple[str, ...]:
    """How to run ``impose``: the one beside this Python, else the first on the path.

    Raises:
        ServiceDown: if there is none.
    """
    beside = Path(sys.executable).parent / "impose"
    found = shutil.which(str(beside)) or shutil.which("impose")
    if found is None:
        raise ServiceDown(
            "The command 'impose' was not found. Install it (pip install 'impose[serve]'), or say "
            "where it is: --impose PATH."
        )
    return (found,)
