"""What a simulated annotator works with: points go in, poses of all frames come out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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

    def found(self) -> Floats:
        """[T, M, K, 2] pixels of the M persons it finds before any click; M may be 0."""
        ...

    def adopt(self, persons: Mapping[int, int]) -> None:
        """``persons``: which person of the truth (index) each of the found ones is taken for."""
        ...

    def place(self, placements: Sequence[Placement]) -> None:
        """Take human points; the first ones of a person nobody found make the person."""
        ...

    def poses(self) -> Floats:
        """[T, N, K, 2] pixels after all placements so far; NaN where nothing is known."""
        ...

    def suggestions(self, person: int) -> list[int]:
        """Frames of ``person`` the tool would look at next, worst first; empty if it cannot."""
        ...


class SessionTool:
    """Our own: a :class:`Session`.

    Args:
        session: new.
        frames: T, how many of its frames are annotated, from 0 on.
        persons: N, of the truth.
        name: of the tool.
        detects: it looks for people before the first click.
    """

    def __init__(
        self,
        session: Session,
        *,
        frames: int,
        persons: int,
        name: str = "impose",
        detects: bool = False,
    ) -> None:
        self.name = name
        self._session, self._frames, self._detects = session, frames, detects
        self._track = {n: n + 1 for n in range(persons)}
        """Person of the truth -> track."""

    def found(self) -> Floats:
        """Everybody :meth:`Session.detect` finds, carried to all frames."""
        if self._detects:
            for _ in self._session.detect():
                pass
        return self._propagated()

    def adopt(self, persons: Mapping[int, int]) -> None:
        """Found persons keep their tracks; all others will be new ones."""
        tracks = self._session.tracks.track_id.tolist()
        taken = {n: tracks[one] for one, n in persons.items()}
        new = itertools.count(max(tracks, default=0) + 1)
        self._track = {n: taken[n] if n in taken else next(new) for n in self._track}

    def place(self, placements: Sequence[Placement]) -> None:
        """As one act."""
        names = self._session.tracks.skeleton.keypoints
        moves = [
            MoveKeypoints(
                frame=one.frame,
                track=self._track[one.person],
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
        known = self._propagated()
        xy = np.full((len(known), len(self._track), *known.shape[2:]), np.nan)
        column = {t: at for at, t in enumerate(self._session.tracks.track_id.tolist())}
        for n, track in self._track.items():
            if track in column:
                xy[:, n] = known[:, column[track]]
        return xy

    def suggestions(self, person: int) -> list[int]:
        """What ``Session.review`` says about the person, to the last of its suggestions."""
        tracks = self._session.tracks
        alone = tracks.frames(0, self._frames).only(tracks.person(self._track[person]))
        return [one.frame for one in suggestions(alone, limit=self._frames)]

    def _propagated(self) -> Floats:
        """[T, tracks, K, 2] pixels."""
        for _ in self._session.propagate(0, self._frames):
            pass
        return np.asarray(self._session.tracks.xy[: self._frames], np.float64)


class MethodTool:
    """Any callable from human points to poses. It has no opinion on where to look next."""

    def __init__(
        self, name: str, method: Method, *, frames: int, persons: int, skeleton: Skeleton
    ) -> None:
        self.name, self._method = name, method
        self._points = np.full((frames, persons, len(skeleton), 2), np.nan)

    def found(self) -> Floats:
        """Nobody."""
        return self._points[:, :0]

    def adopt(self, persons: Mapping[int, int]) -> None:
        """Nobody."""

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


OURS = ("impose", "impose+reader", "impose+detect")
ENGINES = (*OURS, "hold", "linear", "forward", "average")
"""Names for :func:`annotation_tool`. "impose" alone has nothing but tracks, "impose+reader" also
reads the frames, "impose+detect" finds people before the first click as well."""


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
    if engine in OURS:
        reader = None if engine == "impose" else MoveNet()
        session = Session(video, skeleton=skeleton, engine=Engine(reader=reader))
        detects = engine == "impose+detect"
        return SessionTool(session, frames=frames, persons=persons, name=engine, detects=detects)
    methods: dict[str, Method] = {"hold": hold, "linear": linear}
    if engine in ("forward", "average"):
        methods[engine] = Tracks(video, way="forward" if engine == "forward" else "average")
    if engine not in methods:
        raise UsageError(f"Expected 'engine' to be one of {', '.join(ENGINES)}, got {engine!r}.")
    return MethodTool(engine, methods[engine], frames=frames, persons=persons, skeleton=skeleton)
