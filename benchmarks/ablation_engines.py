"""The rows of the ablation: what carries a click to other frames. New engines register here.

An engine is a function from a :class:`Start` to a
:class:`~impose_core.evaluation.video_clicks.Propagator` that has seen no click yet. One that has
switches registers once a row::

    for flags in ({"ktcp": False, "kp_ae": True}, {"ktcp": True, "kp_ae": True}):
        register("network", partial(network, **flags), **flags)

The paper's network has rows where its weights are given (``ablation_networks``).

What only knows how to make poses of all frames out of points on some (the protocol ``Method``)
registers ``through(method of a start)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ablation_networks import Variant, pose_weights
from benchmarks.clips import Clip
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.evaluation.annotation_tools import Placement, SessionTool
from impose_core.evaluation.baselines import Method, Tracks, hold, linear
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.video_clicks import FrameClicks, Propagator, stay
from impose_core.poses import Visibility
from impose_core.session import Session


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """What every engine begins with.

    Attributes:
        clip: the video and its labels; engines must not look at the labels.
        points: float64 [T, N, K, 2] pixels, what humans placed before; NaN elsewhere. Person n
            is ``clip.truth.track_id[n]``.
    """

    clip: Clip
    points: Floats


Factory = Callable[[Start], Propagator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An engine of the table.

    Attributes:
        name: of the engine.
        flags: its switches in this row; others have none of them.
        begin: makes the propagator.
    """

    name: str
    flags: Mapping[str, bool]
    begin: Factory

    @property
    def label(self) -> str:
        """Name and switches."""
        said = [name if on else f"no {name}" for name, on in self.flags.items()]
        return ", ".join([self.name, *said])


REGISTRY: list[Row] = []
"""In the order of the table."""


def register(name: str, begin: Factory, **flags: bool) -> None:
    """Add a row.

    Raises:
        ValueError: if there is one of this name with these switches.
    """
    row = Row(name=name, flags=flags, begin=begin)
    if row.label in [one.label for one in REGISTRY]:
        raise ValueError(f"Expected the rows to differ, got '{row.label}' twice.")
    REGISTRY.append(row)


def through(method: Callable[[Start], Method]) -> Factory:
    """An engine out of a method: see :class:`MethodPropagator`."""
    return lambda start: MethodPropagator(start, method(start))


class MethodPropagator:
    """Clicks join the points of the start, and the method makes poses of all of them.

    A click changes its joint between the human points before and after it; elsewhere the track
    stays as it was.
    """

    def __init__(self, start: Start, method: Method) -> None:
        self._points, self._method = start.points.copy(), method
        self._person = {track: n for n, track in enumerate(start.clip.truth.track_id.tolist())}

    def __call__(self, predicted: Floats, clicks: FrameClicks, /) -> Floats:
        """The track after ``clicks``."""
        n, after = self._person[clicks.track_id], predicted.copy()
        self._points[clicks.frame, n, clicks.joints] = clicks.xy
        made = self._method(self._points)[:, n]
        for k in clicks.joints.tolist():
            span = _between_neighbours(self._points[:, n, k], clicks.frame)
            known = np.isfinite(made[span, k]).all(-1)
            after[span, k] = np.where(known[:, None], made[span, k], after[span, k])
        after[clicks.frame, clicks.joints] = clicks.xy
        return after


class SessionMethod:
    """Our own estimate as a method: points that are new or have moved are corrections."""

    def __init__(
        self, start: Start, config: Config | None = None, engine: Engine | None = None
    ) -> None:
        truth = start.clip.truth
        session = Session(start.clip.frames, skeleton=truth.skeleton, config=config, engine=engine)
        self._tool = SessionTool(session, frames=len(truth), persons=len(truth.track_id))
        self._placed = np.full(truth.xy.shape, np.nan)

    def __call__(self, points: Floats, /) -> Floats:
        """Poses of all frames."""
        new = np.isfinite(points).all(-1) & (points != self._placed).any(-1)
        placements = [
            Placement(
                frame=t,
                person=n,
                joints=np.flatnonzero(new[t, n]),
                xy=points[t, n, new[t, n]],
                visibility=np.full(new[t, n].sum(), Visibility.VISIBLE, np.uint8),
            )
            for t, n in np.argwhere(new.any(-1)).tolist()
        ]
        if placements:
            self._tool.place(placements)
            self._placed[new] = points[new]
        return self._tool.poses()


def _between_neighbours(points: NDArray[np.float64], frame: int) -> slice:
    """The frames around ``frame`` up to the nearest other points of ``points`` [T, 2]."""
    placed = np.flatnonzero(np.isfinite(points).all(-1))
    before, after = placed[placed < frame], placed[placed > frame]
    first = int(before[-1]) + 1 if len(before) else 0
    return slice(first, int(after[0]) if len(after) else len(points))


def _no_propagation(start: Start) -> Propagator:  # noqa: ARG001 # needs none
    return stay


def _tracks(start: Start, *, way: str) -> Method:
    return Tracks(start.clip.frames, way="forward" if way == "forward" else "average")


WITHOUT_RIVALS = replace(Config(), rivals=replace(Config().rivals, near=0.0))

register("no propagation", _no_propagation)
register("hold", through(lambda _: hold))
register("linear", through(lambda _: linear))
register("forward tracks", through(partial(_tracks, way="forward")))
register("average of tracks", through(partial(_tracks, way="average")))
register("our estimate", through(partial(SessionMethod, config=WITHOUT_RIVALS)), rivals=False)
register("our estimate", through(SessionMethod), rivals=True)


def register_network(weights: Path) -> None:
    """Add the rows of a pose network.

    Raises:
        ValueError: if there are such rows.
    """
    for ktcp in (False, True):
        register("network", through(partial(_network, weights=weights, ktcp=ktcp)), ktcp=ktcp)


def _network(start: Start, *, weights: Path, ktcp: bool) -> Method:
    return SessionMethod(start, engine=Variant(weights=weights, ktcp=ktcp).engine())


if (_given := pose_weights()) is not None:
    register_network(_given)
