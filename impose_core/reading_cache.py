"""What a reader saw, kept: the same view of the same frame is read once."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from impose_core.readers import Candidates, PoseReader
from impose_core.readers.protocol import Image

Key: TypeAlias = tuple[int, bytes]
"""Frame, and the numbers of a view."""

ROWS = 1024
"""Readings per file of spilled ones."""


class ReadingCache:
    """Readings of one video by frame and view; a function of its pixels, so never stale.

    They lie in unnamed temporary files that the system maps into memory as it is needed: a
    long video costs disk, not memory. Beyond ``capacity`` readings those that nobody asked for
    longest are forgotten.
    """

    def __init__(self, reader: PoseReader, *, capacity: int) -> None:
        self._reader, self._capacity = reader, capacity
        self._slots: OrderedDict[Key, int] = OrderedDict()
        self._pages: list[NDArray[np.float32]] = []

    def __len__(self) -> int:
        """Readings kept."""
        return len(self._slots)

    def read(
        self, frame: int, views: NDArray[np.int64], image: Callable[[int], Image]
    ) -> Candidates:
        """What ``views`` [V, ...] of ``frame`` show; ``image(frame)`` is called if one is new."""
        keys: list[Key] = [(frame, view.tobytes()) for view in views]
        rows = {key: self._kept(key) for key in keys if key in self._slots}
        new = {key: v for v, key in enumerate(keys) if key not in rows}  # two may share a view
        if new:
            found = self._reader.read([image(frame)] * len(new), views[list(new.values())])
            read = np.concatenate([found.xy, found.score[..., None]], axis=-1).astype(np.float32)
            for key, row in zip(new, read, strict=True):
                self._keep(key, row)
                rows[key] = row
        together = np.stack([rows[key] for key in keys]).astype(np.float64)
        return Candidates(xy=together[..., :2], score=together[..., 2])

    def _keep(self, key: Key, row: NDArray[np.float32]) -> None:
        if len(self._slots) < self._capacity:
            slot = len(self._slots)
        else:
            _, slot = self._slots.popitem(last=False)
        if slot == len(self._pages) * ROWS:
            with tempfile.TemporaryFile(prefix="impose-readings-") as file:
                page = np.memmap(file, np.float32, "w+", shape=(ROWS, *row.shape))
            self._pages.append(page)
        self._pages[slot // ROWS][slot % ROWS] = row
        self._slots[key] = slot

    def _kept(self, key: Key) -> NDArray[np.float32]:
        self._slots.move_to_end(key)
        slot = self._slots[key]
        return np.array(self._pages[slot // ROWS][slot % ROWS])
