"""HOTA: detection and association in one number.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021;
in detail (what is matched, how videos are pooled, what an empty video scores) as TrackEval's
``metrics/hota.py`` computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from impose_core.evaluation.compared_tracks import EPSILON, ComparedTracks, Floats, Integers

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""The similarities from which a matched pair counts as right, .05 to .95."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hota:
    """HOTA and its parts, float64 [19] each: one value for every alpha of :data:`ALPHAS`.

    The published figures are means over alpha (:meth:`means`); the mean of HOTA is not the
    root of the means of DetA and AssA.

    Attributes:
        tp: matched pairs at least alpha alike.
        fn: labels without such a match.
        fp: predictions without such a match.
        ass_a: association accuracy, the mean of c / (n + m - c) over the ``tp`` pairs: how
            often c the two tracks were matched, of the n and m frames they have.
        ass_re: association recall, the mean of c / n.
        ass_pr: association precision, the mean of c / m.
        loc_a: mean similarity of the ``tp`` pairs; 1 where there is none.
    """

    tp: Floats
    fn: Floats
    fp: Floats
    ass_a: Floats
    ass_re: Floats
    ass_pr: Floats
    loc_a: Floats

    @property
    def det_a(self) -> Floats:
        """Detection accuracy."""
        return np.asarray(self.tp / np.maximum(1, self.tp + self.fn + self.fp))

    @property
    def det_re(self) -> Floats:
        """Detection recall."""
        return np.asarray(self.tp / np.maximum(1, self.tp + self.fn))

    @property
    def det_pr(self) -> Floats:
        """Detection precision."""
        return np.asarray(self.tp / np.maximum(1, self.tp + self.fp))

    @property
    def hota(self) -> Floats:
        """Root of detection times association accuracy."""
        return np.asarray(np.sqrt(self.det_a * self.ass_a))

    def per_alpha(self) -> dict[str, Floats]:
        """Every score under its published name."""
        return {
            "HOTA": self.hota,
            "DetA": self.det_a,
            "AssA": self.ass_a,
            "DetRe": self.det_re,
            "DetPr": self.det_pr,
            "AssRe": self.ass_re,
            "AssPr": self.ass_pr,
            "LocA": self.loc_a,
        }

    def means(self) -> dict[str, float]:
        """Every score, averaged over alpha."""
        return {name: float(values.mean()) for name, values in self.per_alpha().items()}


def hota(tracks: ComparedTracks, *, weigh_tracks: bool = True) -> Hota:
    """HOTA of one video.

    Args:
        tracks: labels and predictions.
        weigh_tracks: match pairs by similarity times how well their whole tracks fit, as HOTA says;
            False matches by similarity alone, as PoseTrack21 does for keypoints.
    """
    labels, predictions, similarity = _matches(tracks, weigh_tracks)
    right = similarity >= ALPHAS[:, None] - EPSILON  # [19, M]
    tp = right.sum(1).astype(float)
    n, m = tracks.label_lengths, tracks.predicted_lengths
    pairs, pair_of = np.unique(labels * len(m) + predictions, return_inverse=True)
    count = np.array([np.bincount(pair_of[row], minlength=len(pairs)) for row in right], float)
    n, m = (n[pairs // len(m)], m[pairs % len(m)]) if len(pairs) else (n[:0], m[:0])

    def mean_over_matches(share: Floats) -> Floats:
        return np.asarray((count * share).sum(1) / np.maximum(1, tp))

    return Hota(
        tp=tp,
        fn=tracks.label_lengths.sum() - tp,
        fp=tracks.predicted_lengths.sum() - tp,
        ass_a=mean_over_matches(count / (n + m - count)),
        ass_re=mean_over_matches(count / n),
        ass_pr=mean_over_matches(count / m),
        loc_a=_or_one((right * similarity).sum(1), tp),
    )


def combined(videos: Sequence[Hota]) -> Hota:
    """HOTA of several videos together: counts are added, AssA and LocA weighted with TP."""
    weights = [video.tp for video in videos]
    tp = np.sum([np.zeros(len(ALPHAS)), *weights], axis=0)

    def weighted(values: list[Floats]) -> Floats:
        products = [value * weight for value, weight in zip(values, weights, strict=True)]
        return np.asarray(np.sum([np.zeros(len(ALPHAS)), *products], axis=0))

    return Hota(
        tp=tp,
        fn=np.sum([np.zeros(len(ALPHAS)), *(video.fn for video in videos)], axis=0),
        fp=np.sum([np.zeros(len(ALPHAS)), *(video.fp for video in videos)], axis=0),
        ass_a=weighted([video.ass_a for video in videos]) / np.maximum(1, tp),
        ass_re=weighted([video.ass_re for video in videos]) / np.maximum(1, tp),
        ass_pr=weighted([video.ass_pr for video in videos]) / np.maximum(1, tp),
        loc_a=_or_one(weighted([video.loc_a for video in videos]), tp),
    )


def alignment(tracks: ComparedTracks) -> Floats:
    """How well each labelled track fits each predicted one over the whole video, [I, J].

    g = sum s' / (n + m - sum s'), s' = s / (sums of its row and column of the frame - s).
    """
    n, m = tracks.label_lengths, tracks.predicted_lengths
    overlap = np.zeros((len(n), len(m)))
    for frame in tracks.frames:
        s = frame.similarity
        union = s.sum(0) + s.sum(1)[:, None] - s
        share = np.divide(s, union, out=np.zeros_like(s), where=union > EPSILON)
        overlap[frame.labels[:, None], frame.predictions] += share
    return np.asarray(overlap / (n[:, None] + m - overlap))


def _matches(tracks: ComparedTracks, weigh_tracks: bool) -> tuple[Integers, Integers, Floats]:
    """Who is matched with whom in all frames: tracks of labels and predictions, similarity."""
    fit = alignment(tracks) if weigh_tracks else None
    labels, predictions, similarity = [], [], []
    for frame in tracks.frames:
        worth = frame.similarity
        if fit is not None:
            worth = fit[frame.labels[:, None], frame.predictions] * worth
        rows, columns = linear_sum_assignment(worth, maximize=True)
        labels.append(frame.labels[rows])
        predictions.append(frame.predictions[columns])
        similarity.append(frame.similarity[rows, columns])
    empty = np.empty(0, np.int64)
    return (
        np.concatenate([empty, *labels]),
        np.concatenate([empty, *predictions]),
        np.concatenate([np.empty(0), *similarity]),
    )


def _or_one(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.ones_like(total), where=count > 0)
