"""What a simulated annotator works with: points go in, poses of all frames come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.corrections import MoveKeypoints
from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.evaluation.baselines import Method, Tracks, hold, linear
from impose_core.evaluation.oks import Floats
from impose_core.frames import FrameSource
from impose_core.poses import Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.review import suggestions
from impose_core.session import Session
from impose_core.skeleton import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Joints of one person put in place on one frame.

    Attributes:
        frame: where.
        person: index on the N axis of the truth.
        joints: int64 [J].
        xy: float64 [J, 2] pixels.
        visibility: uint8 [J], as an annotator sees it: occluded or visible.
    """

    frame: int
    person: int
    joints: NDArray[np.int64]
    xy: Floats
    visibility: NDArray[np.uint8]


class AnnotationTool(Protocol):
    """A tool under test."""

    name: str

    def place(self, placements: Sequence[Placement]) -> None:
        """Take human points; the first ones of a person make the person."""
        ...

    def poses(self) -> Floats:
        """[T, N, K, 2] pixels after all placements so far; NaN where nothing is known."""
        ...

    def suggestions(self, person: int) -> list[int]:
        """Frames of ``person`` the tool would look at next, worst first; empty if it cannot."""
        ...


class SessionTool:
    """Our own: a :class:`Session`. Person n of the truth is track n + 1."""

    def __init__(
        self, session: Session, *, frames: int, persons: int, name: str = "impose"
    ) -> None:
        self.name = name
        self._session, self._frames, self._persons = session, frames, persons

    def place(self, placements: Sequence[Placement]) -> None:
        """As one act."""
        names = self._session.tracks.skeleton.keypoints
        moves = [
            MoveKeypoints(
                frame=one.frame,
                track=one.person + 1,
                xy={
                    names[k]: (float(x), float(y))
                    for k, (x, y) in zip(one.joints.tolist(), one.xy, strict=True)
                },
                visibility={
                    names[k]: Visibility(flag)
                    for k, flag in zip(one.joints.tolist(), one.visibility.tolist(), strict=True)
                },
            )
            for one in placements
        ]
        self._session.correct(*moves)

    def poses(self) -> Floats:
        """Propagates what is not known yet."""
        for _ in self._session.propagate(0, self._frames):
            pass
        tracks = self._session.tracks
        xy = np.full((self._frames, self._persons, len(tracks.skeleton), 2), np.nan)
        for n, track in enumerate(tracks.track_id.tolist()):
            xy[:, track - 1] = tracks.xy[: self._frames, n]
        return xy

    def suggestions(self, person: int) -> list[int]:
        """What ``Session.review`` says about the person, to the last of its suggestions."""
        tracks = self._session.tracks
        alone = tracks.frames(0, self._frames).only(tracks.person(person + 1))
        return [one.frame for one in suggestions(alone, limit=self._frames)]


class MethodTool:
    """Any callable from human points to poses. It has no opinion on where to look next."""

    def __init__(
        self, name: str, method: Method, *, frames: int, persons: int, skeleton: Skeleton
    ) -> None:
        self.name, self._method = name, method
        self._points = np.full((frames, persons, len(skeleton), 2), np.nan)

    def place(self, placements: Sequence[Placement]) -> None:
        """Add to the points."""
        for one in placements:
            self._points[one.frame, one.person, one.joints] = one.xy

    def poses(self) -> Floats:
        """What the method makes of the points."""
        return self._method(self._points)

    def suggestions(self, person: int) -> list[int]:  # noqa: ARG002 # a method has none
        """None."""
        return []


ENGINES = ("impose", "impose+reader", "hold", "linear", "forward", "average")
"""Names for :func:`annotation_tool`; "impose" alone has nothing but tracks."""


def annotation_tool(
    engine: str, video: FrameSource, *, frames: int, persons: int, skeleton: Skeleton
) -> AnnotationTool:
    """Our own tool or a baseline (:mod:`impose_core.evaluation.baselines`), with nothing placed.

    Args:
        engine: one of :data:`ENGINES`.
        video: what the tool sees.
        frames: T, how many of its frames are annotated, from 0 on.
        persons: N.
        skeleton: K joints.

    Raises:
        UsageError: if there is no such engine.
    """
    if engine in ("impose", "impose+reader"):
        reader = MoveNet() if engine == "impose+reader" else None
        session = Session(video, skeleton=skeleton, engine=Engine(reader=reader))
        return SessionTool(session, frames=frames, persons=persons, name=engine)
    methods: dict[str, Method] = {"hold": hold, "linear": linear}
    if engine in ("forward", "average"):
        methods[engine] = Tracks(video, way="forward" if engine == "forward" else "average")
    if engine not in methods:
        raise UsageError(f"Expected 'engine' to be one of {', '.join(ENGINES)}, got {engine!r}.")
    return MethodTool(engine, methods[engine], frames=frames, persons=persons, skeleton=skeleton)
