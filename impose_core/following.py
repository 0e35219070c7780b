"""One step of joints from a frame to the next: what the point tracker says, checked."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.config import TrackingConfig
from impose_core.frames import FrameSource
from impose_core.geometry import robust_similarity
from impose_core.points import PointSteps, PointTracker
from impose_core.stopwatch import Stopwatch

FORWARD, BACKWARD = 1, -1


class EncodedFrames:
    """The frames of a source, encoded for one tracker; the latest few stay at hand."""

    def __init__(
        self, source: FrameSource, tracker: PointTracker, *, capacity: int, watch: Stopwatch
    ) -> None:
        self._source, self._tracker, self._watch = source, tracker, watch
        self._capacity = capacity
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def __getitem__(self, frame: int) -> Any:
        """The encoded frame ``frame``."""
        if frame not in self._kept:
            with self._watch.stage("decode"):
                image = self._source.read(frame)
            with self._watch.stage("track"):
                self._kept[frame] = self._tracker.encode(image)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        self._kept.move_to_end(frame)
        return self._kept[frame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Steps of A joints: ``xy`` float64 [A, 2], ``deviation`` float64 [A] px, ``lost`` [A]."""

    xy: NDArray[np.float64]
    deviation: NDArray[np.float64]
    lost: NDArray[np.bool_]


def follow(
    tracker: PointTracker,
    source: Any,
    target: Any,
    xy: NDArray[np.float64],
    *,
    size: NDArray[np.float64],
    person: NDArray[np.int64],
    config: TrackingConfig,
) -> Steps:
    """One step of A joints from one encoded frame to a neighbouring one.

    Args:
        tracker: made ``source`` and ``target``.
        source: the frame the joints are on.
        target: the frame they go to.
        xy: [A, 2] pixels.
        size: [A] body size in pixels.
        person: [A] joints of one person hang together: those that are lost follow the
            others' common motion. -1 marks a joint that stands alone and waits where it is.
        config: thresholds.
    """
    steps = tracker.step(source, target, xy)
    return settled(steps, xy, alone=xy, size=size, person=person, config=config)


def settled(
    steps: PointSteps,
    xy: NDArray[np.float64],
    *,
    alone: NDArray[np.float64],
    size: NDArray[np.float64],
    person: NDArray[np.int64],
    config: TrackingConfig,
) -> Steps:
    """What ``steps`` from ``xy`` [A, 2] are worth; arguments as of :func:`follow`.

    ``alone`` [A, 2] is where a lost joint goes that stands alone.
    """
    lost = steps.error > config.lost_error * size
    moved = np.where(lost[:, None], alone, steps.xy)
    for one in sorted(set(person.tolist()) - {-1}):
        mine = np.flatnonzero(person == one)
        good = mine[~lost[mine]]
        matrix = robust_similarity(xy[good], steps.xy[good], scale=config.scale_per_step)
        common = xy[mine] @ matrix[:, :2].T + matrix[:, 2]
        astray = np.hypot(*(steps.xy[mine] - common).T) > config.far_from_body * size[mine]
        lost[mine] |= astray
        moved[mine[lost[mine]]] = common[lost[mine]]
    error = np.where(lost, 0.0, steps.error)
    deviation = np.where(lost, config.lost_deviation * size + 1.0, config.step_deviation + error)
    return Steps(xy=moved, deviation=deviation, lost=lost)
