"""PoseTrack's mAP: every joint ranked by its own score, right within half a head size (PCKh).

Andriluka et al., "PoseTrack: A Benchmark for Human Pose Estimation and Tracking", CVPR 2018.
It has nothing in common with the AP of COCO but the name. Two official kits exist:

- ``poseval`` (leonid-pishchulin/poseval), the one mmpose calls. A joint nobody is labelled with
  has no AP and is left out of the mean; frames on which nobody is labelled are dropped.
- ``posetrack21`` (``PosemAP`` of anDoer/PoseTrack21). Such a joint has AP 0, and the mean is
  over all 15; such frames make the kit stop with an error, here their predictions are wrong.

Frames the labels call unlabelled are left out for both. (Poseval does not look at the flag; the
frames it so calls in PoseTrack 2018 have nobody on them, which is the same.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.frame_pairs import FramePair, VideoPair
from impose_core.evaluation.posetrack_joints import (
    GROUPS,
    JOINTS,
    Floats,
    Kit,
    given,
    head_distances,
    posetrack_pairs,
)
from impose_core.pose_sets import PoseSet

NEAR = 0.5
"""Head sizes within which a joint is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointFigures:
    """One figure of every joint, 0 to 1; NaN where it is undefined."""

    joints: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Over the joints that have the figure; NaN if none has."""
        values = np.array(list(self.joints.values()))
        return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan

    @property
    def groups(self) -> dict[str, float]:
        """Means of the columns of the published tables; NaN if one joint is."""
        return {
            group: float(np.mean([self.joints[joint] for joint in members]))
            for group, members in GROUPS.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTrackAP:
    """Figures of one kit.

    Attributes:
        kit: whose rules were followed.
        ap: average precision; ``ap.mean`` is PoseTrack's mAP.
        precision: of all predictions, whatever their score.
        recall: likewise.
    """

    kit: Kit
    ap: JointFigures
    precision: JointFigures
    recall: JointFigures


def posetrack_ap(labels: PoseSet, predictions: PoseSet, *, kit: Kit = "poseval") -> PoseTrackAP:
    """mAP of the 15 joints of PoseTrack, outside the ignore regions of the labels.

    Equal scores are ranked the last first, in the order of videos, frames and persons.

    Args:
        labels: with head boxes.
        predictions: with a score of every keypoint.
        kit: whose rules to follow.

    Raises:
        SkeletonMismatch: if one of the sets lacks one of the joints.
        UsageError: if a head box or a score is missing, shapely is not installed, or the
            videos do not fit.
    """
    if kit not in ("poseval", "posetrack21"):
        raise UsageError(f"Expected 'kit' to be 'poseval' or 'posetrack21', got {kit!r}.")
    videos = posetrack_pairs(labels, predictions, kit)
    _check_scores(videos)
    pairs = [pair for video in videos for pair in video.frames]
    none = np.empty((0, len(JOINTS)))
    labelled = np.sum([none.sum(0), *(given(p.labels.instances, kit).sum(0) for p in pairs)], 0)
    there = np.concatenate([none > 0, *(given(p.predicted, kit) for p in pairs)])
    score = np.concatenate([none, *(p.predicted.keypoint_score for p in pairs)])
    right = np.concatenate([none > 0, *(_right(p, kit) for p in pairs)])
    figures = [
        _figures(score[there[:, k], k], right[there[:, k], k], int(labelled[k]), kit)
        for k in range(len(JOINTS))
    ]
    ap, precision, recall = (
        JointFigures(joints=dict(zip(JOINTS, column, strict=True)))
        for column in zip(*figures, strict=True)
    )
    return PoseTrackAP(kit=kit, ap=ap, precision=precision, recall=recall)


def _check_scores(videos: tuple[VideoPair, ...]) -> None:
    for video in videos:
        for pair in video.frames:
            people = pair.predicted
            if np.isnan(people.keypoint_score[people.visibility > 0]).any():
                raise UsageError(
                    "Expected predictions with a score of every keypoint, got none in frame "
                    f"{pair.labels.index} of '{video.name}'.",
                    hint="PoseTrack ranks joints by their own score.",
                )


def _right(pair: FramePair, kit: Kit) -> NDArray[np.bool_]:
    """Which joints [P, 15] of the predictions are right.

    Only the one prediction a label is given has any: each prediction keeps the label of which
    it hits most, then each label the prediction that hits most of it.
    """
    labelled, predicted = pair.labels.instances, pair.predicted
    right = np.zeros((len(predicted), len(JOINTS)), bool)
    if not len(labelled) or not len(predicted):
        return right
    near = head_distances(labelled, predicted, kit) <= NEAR  # [G, P, 15]
    hit = near.sum(-1) / np.maximum(1, given(labelled, kit).sum(-1))[:, None]
    best_label = np.arange(len(labelled))[:, None] == hit.argmax(0)
    hit = np.where(best_label, hit, 0)
    best = hit.argmax(1)
    found = np.flatnonzero(hit.max(1) > 0)
    right[best[found]] = near[found, best[found]]
    return right


def _figures(
    score: Floats, right: NDArray[np.bool_], labelled: int, kit: Kit
) -> tuple[float, float, float]:
    """AP, precision and recall of one joint."""
    if not len(score):
        return 0.0, 0.0, 0.0
    if not labelled and kit == "poseval":
        return np.nan, 0.0, np.nan
    hits = right[_ranked(score)].cumsum()
    precision = hits / np.arange(1, len(hits) + 1)
    recall = hits / max(1, labelled)
    # all-points interpolation: at each recall the best precision from there on
    best = np.maximum.accumulate(precision[::-1])[::-1]
    ap = float((np.diff(recall, prepend=0) * best).sum())
    return ap, float(precision[-1]), float(recall[-1])


def _ranked(score: Floats) -> NDArray[np.int64]:
    """Best first. The kits' order of equal scores depends on numpy's version and the processor."""
    return np.argsort(score, kind="stable")[::-1]
