"""Occlusion recovery: whether a joint is found again when it comes back into sight.

An event is a gap between two frames on which a joint is visible. Tracking starts at its label
on the last frame before the gap; the event is recovered if the joint's OKS term on the first
frame after it is tau or more. What is hidden from the start or to the end is no event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import Tracklet
from impose_core.poses import Visibility

SHORT = 32
"""Frames. IMPose's short occlusions average 16.5 frames and its long ones 64.8, without a
boundary; up to this many count as short here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """A gap in the sight of one joint.

    Attributes:
        joint: on the K axis.
        last: the last frame on which it is visible before the gap.
        first: the first frame on which it is visible again.
    """

    joint: int
    last: int
    first: int

    @property
    def duration(self) -> int:
        """Frames out of sight."""
        return self.first - self.last - 1


class OcclusionTracker(Protocol):
    """Carries a joint through a gap."""

    def __call__(self, tracklet: Tracklet, event: Occlusion, /) -> Floats:
        """Position [2] in pixels of the joint on frame ``event.first``; NaN if it is lost.

        Must start at the label of frame ``event.last`` and use no later one.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How an event ended.

    Attributes:
        event: the gap.
        term: OKS term of the joint on the frame after it, 0 to 1.
    """

    event: Occlusion
    term: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRate:
    """Recovered events among those of some durations; NaN without any.

    Attributes:
        rate: share that was recovered, 0 to 1.
        mean_duration: frames.
        n: number of events.
    """

    rate: float
    mean_duration: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryRates:
    """Recovery at one tau: of all events, of short ones (:data:`SHORT`) and of longer ones."""

    tau: float
    all: RecoveryRate
    short: RecoveryRate
    long: RecoveryRate


def occlusions(visibility: NDArray[np.uint8]) -> Iterator[Occlusion]:
    """The gaps of each joint, given COCO's visibility [T, K]: occluded or not labelled.

    PoseTrack knows only labelled and not: its readers give 2 and 0, and its gaps are frames
    without a label.
    """
    for joint, seen in enumerate((visibility == Visibility.VISIBLE).T):
        frames = np.flatnonzero(seen)
        for at in np.flatnonzero(np.diff(frames) > 1):
            yield Occlusion(joint=joint, last=int(frames[at]), first=int(frames[at + 1]))


def recoveries(
    tracklets: Iterable[Tracklet], *, sigmas: Floats, track: OcclusionTracker
) -> tuple[Recovery, ...]:
    """Every event of ``tracklets`` and how ``track`` got through it; ``sigmas`` [K] of OKS."""
    found = []
    for tracklet in tracklets:
        for event in occlusions(tracklet.visibility):
            moved = np.full_like(tracklet.xy, np.nan)
            moved[event.first, event.joint] = track(tracklet, event)
            term = float(tracklet.terms(moved, sigmas)[event.first, event.joint])
            found.append(Recovery(event=event, term=term))
    return tuple(found)


def recovery_rates(recovered: Sequence[Recovery], *, tau: float) -> RecoveryRates:
    """Rates by duration at ``tau``."""
    short = [one for one in recovered if one.event.duration <= SHORT]
    long = [one for one in recovered if one.event.duration > SHORT]
    return RecoveryRates(
        tau=tau, all=_rate(recovered, tau), short=_rate(short, tau), long=_rate(long, tau)
    )


def _rate(recovered: Sequence[Recovery], tau: float) -> RecoveryRate:
    if not recovered:
        return RecoveryRate(rate=np.nan, mean_duration=np.nan, n=0)
    return RecoveryRate(
        rate=float(np.mean([one.term >= tau for one in recovered])),
        mean_duration=float(np.mean([one.event.duration for one in recovered])),
        n=len(recovered),
    )
