"""Jitter of tracks: how far a joint is from where its neighbours in time would put it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import Tracklet


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """Mean magnitude of the second difference of positions; NaN if n is 0.

    Attributes:
        predicted: pixels per frame².
        labelled: the same of the labels: what of it is motion and annotation noise.
        predicted_per_scale: ``predicted`` with every difference in units of the person's
            scale, the root of the label's area on the middle frame.
        labelled_per_scale: likewise.
        n: joints on three frames in a row, labelled and predicted on all three.
    """

    predicted: float
    labelled: float
    predicted_per_scale: float
    labelled_per_scale: float
    n: int


def jitter(tracklets: Iterable[Tracklet]) -> Jitter:
    """Jitter of ``tracklets`` and of their labels, both over the same joints and frames.

    A track can be smoother than the labels: then it is damped, or the labels shake.
    """
    predicted, labelled, scale = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for one in tracklets:
        known = (one.visibility > 0) & np.isfinite(one.predicted).all(-1)
        here = known[:-2] & known[1:-1] & known[2:]
        predicted.append(_second_difference(one.predicted)[here])
        labelled.append(_second_difference(one.xy)[here])
        scale.append(np.broadcast_to(np.sqrt(one.area[1:-1, None]), here.shape)[here])
    ours, theirs, unit = (np.concatenate(parts) for parts in (predicted, labelled, scale))
    sized = unit > 0  # a label without extent has no scale
    return Jitter(
        predicted=_mean(ours),
        labelled=_mean(theirs),
        predicted_per_scale=_mean(ours[sized] / unit[sized]),
        labelled_per_scale=_mean(theirs[sized] / unit[sized]),
        n=len(ours),
    )


def _second_difference(xy: Floats) -> Floats:
    """Magnitude [T - 2, K] of the second difference of ``xy`` [T, K, 2]."""
    return np.asarray(np.linalg.norm(xy[2:] - 2 * xy[1:-1] + xy[:-2], axis=-1))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan
