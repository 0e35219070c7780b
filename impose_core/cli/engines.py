"""Engines by the names that commands take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.points import PointTracker
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.readers import PoseReader
from impose_core.readers.naming import columns
from impose_core.skeleton import Skeleton

NO_READER: Final = "none"
NETWORK: Final = "network"
SEEING: Final = ("movenet", NETWORK)
READERS: Final = (*SEEING, NO_READER)
"""Names for :func:`engine_of`."""
EMBEDDED: Final = "lucas-kanade"
TRACKERS: Final = (EMBEDDED, "cotracker", "cotracker-offline")
"""Names for :class:`TrackerChoice`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerChoice:
    """The point tracker a user asks for.

    Attributes:
        name: one of ``TRACKERS``.
        weights: safetensors, for those that have any.
        accept_licence: of a tracker that is not free for every use.
    """

    name: str = EMBEDDED
    weights: Path | None = None
    accept_licence: bool = False

    def made(self) -> PointTracker:
        """The tracker.

        Raises:
            UsageError: if there is no such tracker, or what it needs is not there.
            WeightsError: as of :meth:`impose_core.points.cotracker.CoTracker.load`.
        """
        if self.name not in TRACKERS:
            raise UsageError(
                f"Expected '--tracker' to be one of {', '.join(TRACKERS)}, got {self.name!r}."
            )
        if self.name == EMBEDDED:
            return LucasKanade()
        from impose_core.points.cotracker import CoTracker, Mode

        mode: Mode = "online" if self.name == "cotracker" else "offline"
        return CoTracker.load(self.weights, mode=mode, accept_licence=self.accept_licence)


def engine_of(
    reader: str, tracker: TrackerChoice | None = None, *, weights: Path | None = None
) -> Engine:
    """The engine with the pose reader called ``reader``; MoveNet is loaded at its first look.

    Args:
        reader: one of ``READERS``.
        tracker: what follows points; default: the embedded tracker.
        weights: safetensors, of the reader called "network".

    Raises:
        UsageError: if there is no such reader or tracker, or ``weights`` are missing or for
            nobody.
        DeviceError: if torch is needed and not installed.
        WeightsError: if weights cannot be used.
    """
    engine = Engine(reader=_reader(reader, weights))
    return engine if tracker is None else replace(engine, points=tracker.made())


def _reader(name: str, weights: Path | None) -> PoseReader | None:
    if name not in READERS:
        raise UsageError(f"Expected '--reader' to be one of {', '.join(READERS)}, got {name!r}.")
    if (weights is None) == (name == NETWORK):
        raise UsageError(
            f"Expected '--weights' with '--reader {NETWORK}', and with no other, got "
            f"'--reader {name}' and {'no' if weights is None else 'some'} weights.",
            hint="Make them with 'impose train', or 'impose models convert'; see docs/network.md.",
        )
    if name == NO_READER:
        return None
    if weights is not None:
        from impose_core.readers.network import NetworkReader

        return NetworkReader.load(weights)
    from impose_core.readers.movenet import MoveNet  # its runtime is not needed without it

    return MoveNet()


def reader_used(engine: Engine, skeleton: Skeleton) -> str:
    """The name of the reader if it knows persons of ``skeleton``, else "none"."""
    if engine.reader is None:
        return NO_READER
    try:
        columns(skeleton, engine.reader.skeleton)
    except SkeletonMismatch:
        return NO_READER
    return engine.reader.name
