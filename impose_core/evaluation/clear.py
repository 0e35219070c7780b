"""MOTA and the other CLEAR scores.

Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance: The CLEAR MOT
Metrics", JIVP 2008; as TrackEval's ``metrics/clear.py`` computes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.evaluation.compared_tracks import EPSILON, ComparedTracks, Integers

THRESHOLD = 0.5
"""The similarity from which a prediction may be the label."""
MOSTLY_TRACKED, MOSTLY_LOST = 0.8, 0.2
_NOBODY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """Counts, and the scores that follow from them.

    Attributes:
        tp: matched labels.
        fn: labels that are not.
        fp: predictions that are not.
        switches: how often a label is matched with another track than the last time.
        similarity: sum over the matched pairs.
        mostly_tracked: labelled tracks matched in more than .8 of their frames.
        partly_tracked: in .2 to .8 of them.
        mostly_lost: in less than .2.
        fragments: how often a labelled track was taken up again.
    """

    tp: int
    fn: int
    fp: int
    switches: int
    similarity: float
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    fragments: int

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / labels; 0 where there are no labels."""
        labels = self.tp + self.fn
        return (self.tp - self.fp - self.switches) / labels if labels else 0.0

    @property
    def motp(self) -> float:
        """Mean similarity of the matched pairs; 0 where there is none."""
        return self.similarity / max(1, self.tp)


def clear(tracks: ComparedTracks) -> Clear:
    """The counts of one video.

    Pairs of the last frame in which both somebody was labelled and somebody predicted stay
    together while they are alike enough; the others are matched by similarity.
    """
    persons = len(tracks.label_lengths)
    last_match = np.full(persons, _NOBODY)  # ever
    current = np.full(persons, _NOBODY)  # in that last frame
    matched_frames, beginnings = np.zeros(persons), np.zeros(persons, np.int64)
    tp, switches, similarity = 0, 0, 0.0
    for frame in tracks.frames:
        if not frame.similarity.size:
            continue
        stays = current[frame.labels][:, None] == frame.predictions
        rows, columns = _match(frame.similarity, stays)
        labels, predictions = frame.labels[rows], frame.predictions[columns]
        before = last_match[labels]
        switches += int(((before != _NOBODY) & (before != predictions)).sum())
        matched_frames[labels] += 1
        beginnings[labels] += current[labels] == _NOBODY
        last_match[labels] = predictions
        current[:] = _NOBODY
        current[labels] = predictions
        tp += len(rows)
        similarity += float(frame.similarity[rows, columns].sum())
    share = matched_frames / tracks.label_lengths
    mostly, lost = share > MOSTLY_TRACKED, share < MOSTLY_LOST
    return Clear(
        tp=tp,
        fn=int(tracks.label_lengths.sum()) - tp,
        fp=int(tracks.predicted_lengths.sum()) - tp,
        switches=switches,
        similarity=similarity,
        mostly_tracked=int(mostly.sum()),
        partly_tracked=int((~mostly & ~lost).sum()),
        mostly_lost=int(lost.sum()),
        fragments=int((beginnings[beginnings > 0] - 1).sum()),
    )


def _match(similarity: NDArray[np.float64], stays: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    # 1000 is more than all similarities of a frame: no gain breaks up a pair that stays
    worth = np.where(similarity >= THRESHOLD - EPSILON, similarity + 1000 * stays, 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = worth[rows, columns] > EPSILON
    return rows[kept], columns[kept]


def combined(videos: Sequence[Clear]) -> Clear:
    """Several videos together: counts are added."""
    return Clear(**{f.name: sum(getattr(video, f.name) for video in videos) for f in fields(Clear)})
