"""Clicks on videos: how many corrections a tracked pose needs when corrections propagate.

After IMPose's VNoC and Ck-video, which its text leaves open in many places; no code exists.
What is counted here, per tracklet (one labelled identity of one video):

- ``VNoC@x``: while the tracklet's accuracy (:meth:`Tracklet.accuracy`) is below x, the worst
  joint of the whole video is clicked, set to its label, and propagated. The worst joint is
  that with the smallest OKS term, the earliest frame and lowest joint among equals. A frame
  on which the predicted person is missing comes before all joints; one click creates the
  person, all joints at the centre of the labelled box. Clicking stops when as many clicks
  were made as the tracklet has labelled joints, and such tracklets are counted as capped.
- ``Ck-video(k, W)``: on frames f0, f0 + W, ... (f0 the first labelled one) the k worst joints
  are replaced at once and propagated to the end of the window. Frames that are not labelled,
  or on which the person is missing, are skipped. W = 1 is for methods that do not propagate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import Tracklet, missing

WHOLE_PERSON = -1
"""The joint of a click that creates a missing person."""

TOLERANCE = 1e-9
"""How far below its target an accuracy may be by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameClicks:
    """J clicks on one person of one frame.

    Attributes:
        video: name of the sequence.
        track_id: of the predicted track that is corrected; ``NO_TRACK`` if it has none.
        frame: where.
        joints: int64 [J].
        xy: float64 [J, 2] pixels, where they were put.
        stop: frames from here on are not asked for.
    """

    video: str
    track_id: int
    frame: int
    joints: NDArray[np.int64]
    xy: Floats
    stop: int


class Propagator(Protocol):
    """A model that carries clicks to other frames."""

    def __call__(self, predicted: Floats, clicks: FrameClicks, /) -> Floats:
        """The track [T, K, 2] after ``clicks``; ``predicted`` is the track before them.

        Must not change ``predicted``. NaN is a joint, or on all joints a person, that is
        missing. Where clicked joints of this and earlier clicks end up is the propagator's
        doing.
        """
        ...


def stay(predicted: Floats, clicks: FrameClicks) -> Floats:
    """Manual correction: clicked joints move, nothing else happens."""
    after: Floats = predicted.copy()
    after[clicks.frame, clicks.joints] = clicks.xy
    return after


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrectedTracklet:
    """A tracklet after clicks.

    Attributes:
        tracklet: ``predicted`` is the corrected track.
        clicks: (frame, joint) in the order they were made; joint ``WHOLE_PERSON`` created
            somebody.
        accuracy: after the last click, 0 to 1; NaN if nothing is labelled.
        capped: whether clicking ended without reaching its target.
    """

    tracklet: Tracklet
    clicks: tuple[tuple[int, int], ...]
    accuracy: float
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoNumberOfClicks:
    """VNoC at one target.

    Attributes:
        target: the tracklet accuracy to reach, 0 to 1.
        tracklets: those with a labelled frame.
    """

    target: float
    tracklets: tuple[CorrectedTracklet, ...]

    @property
    def clicks(self) -> int:
        """On all tracklets together."""
        return sum(len(one.clicks) for one in self.tracklets)

    @property
    def capped(self) -> int:
        """How many tracklets did not reach the target."""
        return sum(one.capped for one in self.tracklets)

    @property
    def per_tracklet(self) -> float:
        """Clicks per tracklet, the headline; NaN without any."""
        return _ratio(self.clicks, len(self.tracklets))

    @property
    def per_person_frame(self) -> float:
        """Clicks per frame on which a person is labelled, over all persons."""
        return _ratio(self.clicks, sum(int(one.tracklet.on.sum()) for one in self.tracklets))

    @property
    def per_video_frame(self) -> float:
        """Clicks per frame of the videos that have a tracklet."""
        longest: dict[str, int] = {}
        for one in self.tracklets:
            video, frames = one.tracklet.video, len(one.tracklet.on)
            longest[video] = max(longest.get(video, 0), frames)
        return _ratio(self.clicks, sum(longest.values()))


def video_number_of_clicks(
    tracklets: Sequence[Tracklet],
    target: float,
    *,
    sigmas: Floats,
    propagate: Propagator = stay,
    strict_float: bool = False,
) -> VideoNumberOfClicks:
    """VNoC@target of ``tracklets``; those that are nowhere labelled are left out.

    Args:
        tracklets: as :func:`impose_core.evaluation.tracklets.tracklets_of` finds them.
        target: tracklet accuracy to reach, 0 to 1.
        sigmas: [K] of OKS.
        propagate: carries each click to the other frames.
        strict_float: whether the target is missed by any rounding.
    """
    limit = target if strict_float else target - TOLERANCE
    return VideoNumberOfClicks(
        target=target,
        tracklets=tuple(
            _clicked_until(one, limit, sigmas, propagate) for one in tracklets if one.on.any()
        ),
    )


def correct_keyframes(
    tracklet: Tracklet, k: int, window: int, *, sigmas: Floats, propagate: Propagator = stay
) -> CorrectedTracklet:
    """Ck-video(k, window): the tracklet with its ``k`` worst joints replaced every ``window``.

    Raises:
        UsageError: if ``k`` is negative or ``window`` is not positive.
    """
    if k < 0 or window < 1:
        raise UsageError(f"Expected 'k' ≥ 0 and 'window' ≥ 1, got {k} and {window}.")
    present = tracklet.predicted
    made: list[tuple[int, int]] = []
    on = np.flatnonzero(tracklet.on)
    for frame in range(on[0], len(present), window) if len(on) and k else ():
        if not tracklet.on[frame] or missing(present)[frame]:
            continue
        stop = min(frame + window, len(present))
        terms = tracklet.terms(present, sigmas)[frame]
        joints = np.argsort(terms, kind="stable")[:k]  # NaN, no label, is sorted last
        joints = joints[~np.isnan(terms[joints])]
        after = _propagated(tracklet, present, frame, joints, stop, propagate)
        present = np.concatenate([present[:frame], after[frame:stop], present[stop:]])
        made += [(frame, int(joint)) for joint in joints]
    return CorrectedTracklet(
        tracklet=replace(tracklet, predicted=present),
        clicks=tuple(made),
        accuracy=tracklet.accuracy(present, sigmas),
    )


def _clicked_until(
    tracklet: Tracklet, limit: float, sigmas: Floats, propagate: Propagator
) -> CorrectedTracklet:
    present = tracklet.predicted
    made: list[tuple[int, int]] = []
    most = int((tracklet.visibility > 0).sum())
    while (accuracy := tracklet.accuracy(present, sigmas)) < limit and len(made) < most:
        absent = np.flatnonzero(tracklet.on & missing(present))
        if len(absent):
            present = _with_person(tracklet, present, int(absent[0]))
            made.append((int(absent[0]), WHOLE_PERSON))
            continue
        terms = tracklet.terms(present, sigmas)
        frame, joint = divmod(int(np.nanargmin(terms)), terms.shape[1])
        joints, stop = np.array([joint]), len(present)
        present = _propagated(tracklet, present, frame, joints, stop, propagate)
        made.append((frame, joint))
    return CorrectedTracklet(
        tracklet=replace(tracklet, predicted=present),
        clicks=tuple(made),
        accuracy=accuracy,
        capped=accuracy < limit,
    )


def _with_person(tracklet: Tracklet, present: Floats, frame: int) -> Floats:
    """Somebody at the centre of the labelled box; it says where, not how, so it stays there."""
    box = tracklet.box[frame]
    if np.isnan(box).any():
        raise UsageError(
            f"Expected labels with a box, got none in frame {frame} of track "
            f"{tracklet.track_id} of '{tracklet.video}'."
        )
    after: Floats = present.copy()
    after[frame] = (box[:2] + box[2:]) / 2
    return after


def _propagated(
    tracklet: Tracklet,
    present: Floats,
    frame: int,
    joints: NDArray[np.int64],
    stop: int,
    propagate: Propagator,
) -> Floats:
    clicks = FrameClicks(
        video=tracklet.video,
        track_id=tracklet.predicted_id,
        frame=frame,
        joints=joints,
        xy=tracklet.xy[frame, joints],
        stop=stop,
    )
    after = propagate(present, clicks)
    if after.shape != present.shape:
        raise UsageError(
            f"Expected a propagator to return a track of shape {present.shape}, got {after.shape}."
        )
    return after


def _ratio(clicks: int, of: int) -> float:
    return clicks / of if of else np.nan
