"""Everybody on every frame, without a click: looked at, followed, told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.association import Association, Associator, Tracklet, Word, joined
from impose_core.bank import Sighting, colour_signature, limb_signature
from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.frames import FrameSource
from impose_core.identity_model import IdentityModel
from impose_core.learned_association import LearnedAssociation
from impose_core.readers.naming import columns, renamed
from impose_core.readers.protocol import PoseReader
from impose_core.skeleton import Skeleton
from impose_core.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A step of the work.

    Attributes:
        frame: that was done.
        bodies: how many were seen there; None where nobody looked.
    """

    frame: int
    bodies: int | None


class Detection:
    """Looks at a video. What was seen on a frame is kept, so that a second run is quick.

    Args:
        frames: the video.
        skeleton: whose joints are wanted; those the reader does not know stay unknown.
        engine: with a reader.
        watch: told of "decode", "detect", "follow".

    Raises:
        UsageError: if the engine has no reader.
        SkeletonMismatch: if the reader knows too few of the joints.
    """

    def __init__(
        self, frames: FrameSource, *, skeleton: Skeleton, engine: Engine, watch: Stopwatch
    ) -> None:
        if engine.reader is None:
            raise UsageError(
                "Expected an engine with a pose reader to detect people, got one without.",
                hint="Engine(reader=MoveNet()), from impose_core.readers.movenet.",
            )
        self._reader: PoseReader = engine.reader
        self._columns = columns(skeleton, engine.reader.skeleton)
        self._frames, self._skeleton = frames, skeleton
        self._points, self._watch = engine.points, watch
        self._identity: IdentityModel | None = engine.identity
        self._seen: dict[int, tuple[Sighting, ...]] = {}
        self.persons: list[Tracklet] = []

    def run(self, looks: Sequence[int], words: Sequence[Word]) -> Iterator[Looked]:
        """Look at the frames ``looks`` (ascending) and tell who is who; then see ``persons``."""
        association = self._association()
        wanted, before = set(looks), None
        for frame in range(looks[0], looks[-1] + 1):
            with self._watch.stage("decode"):
                image = self._frames.read(frame)
            with self._watch.stage("follow"):
                now = self._points.encode(image)
                if before is not None:
                    association.carry(before, now, self._points)
                before = now
            bodies = None
            if frame in wanted:
                with self._watch.stage("detect"):
                    seen = self._look(frame, image)
                with self._watch.stage("follow"):
                    association.step(frame, seen, words)
                bodies = len(seen)
            yield Looked(frame=frame, bodies=bodies)
        with self._watch.stage("follow"):
            self.persons = joined(association.tracklets(), looks=looks)

    def _association(self) -> Associator:
        if self._identity is None:
            return Association(self._skeleton.flip_index())
        width, height = self._frames.width, self._frames.height
        return LearnedAssociation(self._identity, width=width, height=height)

    def _look(self, frame: int, image: NDArray[np.uint8]) -> tuple[Sighting, ...]:
        if frame not in self._seen:
            found = self._reader.detect(image)
            xy = renamed(found.xy, self._columns, np.nan)
            score = renamed(found.score, self._columns, 0.0)
            nothing = np.empty((len(xy), 0))
            appearance = nothing if found.appearance is None else found.appearance
            self._seen[frame] = tuple(
                Sighting(
                    frame=frame,
                    xy=p,
                    score=s,
                    limbs=limb_signature(p, s, self._skeleton),
                    colour=colour_signature(image, p, s, self._skeleton),
                    appearance=a,
                )
                for p, s, a in zip(xy, score, appearance, strict=True)
            )
        return self._seen[frame]
