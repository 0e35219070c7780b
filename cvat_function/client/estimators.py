"""Who fills in the frames between: the core here, or a function deployed beside CVAT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cvat_function.client.connection import Server
from cvat_function.client.errors import CvatError
from cvat_function.client.job import Job
from cvat_function.client.labels import SkeletonLabel
from impose_core.engine import Engine
from impose_core.frames import FrameSource
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.session import Session

Step = Callable[[int], None]
"""Called with the number of frames that are done."""


class Estimator(Protocol):
    """Poses of all frames from those that humans and detectors gave."""

    def estimate(self, anchors: PoseTracks, start: int, stop: int, step: Step) -> PoseTracks:
        """``anchors`` with estimates on frames ``start`` to ``stop`` (exclusive)."""


class LocalEstimator:
    """The core's session. It lives as long as the command, so that work is done once."""

    def __init__(self, frames: FrameSource, label: SkeletonLabel, engine: Engine) -> None:
        self._frames, self._skeleton, self._engine = frames, label.skeleton, engine
        self._session = Session(frames, skeleton=label.skeleton, engine=engine)

    def estimate(self, anchors: PoseTracks, start: int, stop: int, step: Step) -> PoseTracks:
        """As of :class:`Estimator`: what ``impose propagate`` writes for these anchors."""
        self._session.restore(self._marks(anchors).snapshot())
        for done, _ in enumerate(self._session.propagate(start, stop)):
            step(done + 1)
        return self._session.tracks

    def detect(self, anchors: PoseTracks, step: Step) -> PoseTracks:
        """Everybody on every frame; persons of ``anchors`` stay who they are."""
        self._session.restore(self._marks(anchors).snapshot())
        for done, _ in enumerate(self._session.detect()):
            step(done + 1)
        for _ in self._session.propagate():
            pass
        return self._session.tracks

    def repair(self, shown: PoseTracks, moved: Sequence[Any]) -> PoseTracks:
        """``shown`` after the corrections ``moved``, on their frames alone."""
        session = self._marks(shown)
        for frame in sorted({one.frame for one in moved}):
            for _ in session.propagate(frame, frame + 1):
                pass
        session.correct(*moved)
        return session.tracks

    def _marks(self, anchors: PoseTracks) -> Session:
        bare = Session(self._frames, skeleton=self._skeleton, engine=self._engine)
        bare.load(anchors)
        return bare


class FunctionEstimator:
    """A deployed tracker, called over CVAT: forward only, from each anchor to the next."""

    def __init__(self, server: Server, job: Job, label: SkeletonLabel, name: str) -> None:
        self._server, self._job, self._label, self._name = server, job, label, name

    def estimate(self, anchors: PoseTracks, start: int, stop: int, step: Step) -> PoseTracks:
        """As of :class:`Estimator`; frames before a person's first anchor stay as they are."""
        result = anchors.copy()
        marked = (anchors.origin == Origin.HUMAN) | (anchors.origin == Origin.DETECTED)
        states: dict[int, Any] = {}
        for t in range(self._first(marked, start), stop):
            begin = [n for n in range(len(result.track_id)) if marked[t, n].any()]
            going = [n for n in states if n not in begin]
            if going:
                body = {"states": [states[n] for n in going]}
                for n, shape, state in zip(going, *self._call(t, body, len(going)), strict=True):
                    self._put(result, t, n, shape)
                    states[n] = state
            for n in begin:
                states.pop(n, None)
            begin = [n for n in begin if np.isfinite(result.xy[t, n]).all(-1).any()]
            if begin:
                body = {"shapes": [self._shape(result, t, n) for n in begin]}
                _, new = self._call(t, body, len(begin))
                states |= dict(zip(begin, new, strict=True))
            step(t - start + 1)
        return result

    @staticmethod
    def _first(marked: NDArray[np.bool_], start: int) -> int:
        """The latest frame up to ``start`` from which everybody on it is known again."""
        told = np.asarray(marked.any(-1))
        last = [np.flatnonzero(told[: start + 1, n]) for n in range(told.shape[1])]
        return min((int(found[-1]) for found in last if len(found)), default=start)

    def _call(self, t: int, body: Mapping[str, Any], count: int) -> tuple[list[Any], list[Any]]:
        frame = int(self._job.frames[t])
        answer = self._server.call_function(
            self._name, {"job": self._job.number, "frame": frame, **body}
        )
        shapes, states = (answer.get(name) for name in ("shapes", "states"))
        for name, value in (("shapes", shapes), ("states", states)):
            if not isinstance(value, list) or len(value) != count or None in value:
                raise CvatError(
                    f"Expected {count} {name} from function {self._name} on frame {frame}, got "
                    f"{len(value) if isinstance(value, list) else type(value).__name__}.",
                    hint="Is it IMPose's tracker? See docs/cvat.md.",
                )
        assert isinstance(shapes, list)
        assert isinstance(states, list)
        return shapes, states

    def _shape(self, tracks: PoseTracks, t: int, n: int) -> dict[str, Any]:
        known = np.isfinite(tracks.xy[t, n]).all(-1)
        return {
            "type": "skeleton",
            "points": [],
            "elements": [
                {
                    "type": "points",
                    "label": name,
                    "points": tracks.xy[t, n, k].tolist() if known[k] else [],
                    "outside": not known[k],
                    "occluded": bool(tracks.visibility[t, n, k] == Visibility.OCCLUDED),
                }
                for k, name in enumerate(self._label.skeleton.keypoints)
            ],
        }

    def _put(self, result: PoseTracks, t: int, n: int, shape: Mapping[str, Any]) -> None:
        for k, element in enumerate(shape["elements"]):
            if element["outside"]:
                result.xy[t, n, k], result.visibility[t, n, k] = np.nan, Visibility.ABSENT
                result.origin[t, n, k] = Origin.NONE
                continue
            result.xy[t, n, k] = element["points"]
            hidden = bool(element.get("occluded"))
            result.visibility[t, n, k] = Visibility.OCCLUDED if hidden else Visibility.VISIBLE
            result.origin[t, n, k] = Origin.PROPAGATED
