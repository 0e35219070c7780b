"""Frames until drift: how long a pose that was right stays right.

IMPose annotates one frame, propagates, and counts the frames in which "all propagated
keypoints" are correct; it says no more. Here ``FUD_tau`` counts the labelled frames after the
annotated one until the first that fails. Two readings of "all": *any joint* below tau fails
the frame, or the *whole pose* does by the mean of its terms. A clip that ends before it fails
is censored: the pose lasted at least so long. The plain mean counts it as if it had failed
there, so the censored share belongs beside it, and :func:`survival` does without that guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import Tracklet


class Fails(Enum):
    """What makes a frame wrong."""

    ANY_JOINT = "any joint"
    WHOLE_POSE = "whole pose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One tracklet's frames until drift.

    Attributes:
        frames: labelled frames that were right, up to the first that was not.
        censored: whether the clip ended before one was wrong.
    """

    frames: int
    censored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftSummary:
    """Frames until drift of several tracklets; NaN without any.

    Attributes:
        mean: frames, censored ones as if they had failed at their end.
        censored: share of tracklets whose clip ended first, 0 to 1.
        n: number of tracklets.
    """

    mean: float
    censored: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survival:
    """A curve to plot as steps: the share that is still right after so many frames.

    Attributes:
        frames: int64 [S], ascending, starting with 0.
        share: float64 [S], 0 to 1.
        at_risk: int64 [S], tracklets still watched and right before that frame failed.
    """

    frames: NDArray[np.int64]
    share: Floats
    at_risk: NDArray[np.int64]


def frames_until_drift(
    tracklet: Tracklet,
    annotated: int,
    *,
    tau: float,
    sigmas: Floats,
    fails: Fails = Fails.ANY_JOINT,
) -> Drift:
    """Labelled frames after ``annotated`` until the first that fails.

    Joints count where they are labelled on that frame and were on the annotated one. A frame
    without such joints neither counts nor fails; one without the person fails.

    Args:
        tracklet: ``predicted`` is what was propagated from the annotated frame.
        annotated: the frame.
        tau: OKS term that is still right.
        sigmas: [K] of OKS.
        fails: what makes a frame wrong.

    Raises:
        UsageError: if the person is not labelled on the annotated frame.
    """
    if not (0 <= annotated < len(tracklet.on) and tracklet.on[annotated]):
        raise UsageError(
            f"Expected 'annotated' to be a frame on which track {tracklet.track_id} of "
            f"'{tracklet.video}' is labelled, got {annotated}."
        )
    terms = tracklet.terms(tracklet.predicted, sigmas)[:, tracklet.visibility[annotated] > 0]
    frames = 0
    for t in range(annotated + 1, len(terms)):
        here = terms[t][~np.isnan(terms[t])]
        if not len(here):
            continue
        worst = here.min() if fails is Fails.ANY_JOINT else here.mean()
        if worst < tau:  # a missing joint has the term 0
            return Drift(frames=frames, censored=False)
        frames += 1
    return Drift(frames=frames, censored=True)


def summarize(drifts: Sequence[Drift]) -> DriftSummary:
    """Mean and censored share of ``drifts``."""
    if not drifts:
        return DriftSummary(mean=np.nan, censored=np.nan, n=0)
    return DriftSummary(
        mean=float(np.mean([one.frames for one in drifts])),
        censored=float(np.mean([one.censored for one in drifts])),
        n=len(drifts),
    )


def survival(drifts: Sequence[Drift]) -> Survival:
    """Kaplan and Meier's estimate: at f, the share of poses right for more than f frames.

    Clips that end are no failures; they leave the number at risk. (Kaplan and Meier,
    "Nonparametric estimation from incomplete observations", JASA 1958.)
    """
    frames = np.array([one.frames for one in drifts], int)
    failed = np.array([not one.censored for one in drifts], bool)
    times = np.unique(np.concatenate([[0], frames[failed]]))
    at_risk = (frames[:, None] >= times).sum(0)
    failures = ((frames[:, None] == times) & failed[:, None]).sum(0)
    share = np.cumprod(1 - failures / np.maximum(at_risk, 1))
    return Survival(frames=times, share=share, at_risk=at_risk)
