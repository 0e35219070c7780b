"""Where the time goes: seconds per named stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall-clock seconds per stage; within a nested stage the outer one stands still."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._nested = 0.0  # seconds of stages inside the one that runs

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside as ``name``."""
        outer, self._nested = self._nested, 0.0
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - self._nested
            self._nested = outer + spent
