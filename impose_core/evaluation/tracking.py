"""Named variants of HOTA on poses. Figures of two variants must never be compared.

- ``HOTA-OKS``: a label and a prediction are as alike as their OKS.
- ``HOTA-box``: as the intersection over union of their boxes.

Both are TrackEval's HOTA (:mod:`impose_core.evaluation.hota`) over persons, with IDF1 and the
CLEAR scores beside it. The third variant, PoseTrack21's ``HOTA-kp``, is over single keypoints:
:mod:`impose_core.evaluation.keypoint_hota`. Ignore regions are taken out first, by
:mod:`impose_core.evaluation.ignore_regions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from impose_core.errors import UsageError
from impose_core.evaluation import clear, hota, identity
from impose_core.evaluation.alignment import align
from impose_core.evaluation.compared_tracks import ComparedTracks, Floats
from impose_core.evaluation.conventions import sigmas_for, with_areas
from impose_core.evaluation.frame_pairs import FramePair, VideoPair, pair_frames
from impose_core.evaluation.oks import oks
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.pose_sets import NO_TRACK, Instances, PoseSet


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingScores:
    """What a tracker scores on one video, or on several together."""

    hota: hota.Hota
    identity: identity.Identity
    clear: clear.Clear

    def summary(self) -> dict[str, float]:
        """HOTA, DetA and AssA (means over alpha), IDF1 and MOTA."""
        means = self.hota.means()
        return {
            **{name: means[name] for name in ("HOTA", "DetA", "AssA")},
            "IDF1": self.identity.idf1,
            "MOTA": self.clear.mota,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingResult:
    """Scores of one variant.

    Attributes:
        variant: its name, to be printed with every figure.
        videos: scores by name of the video.
        combined: all videos together, which is not the mean of the videos.
        sigmas: name of the sigmas of ``HOTA-OKS``.
        area: name of its areas.
    """

    variant: str
    videos: Mapping[str, TrackingScores]
    combined: TrackingScores
    sigmas: str = ""
    area: str = ""


def hota_oks(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    sigmas: str | None = None,
    share_of_box: float = AREA_OF_BOX,
) -> TrackingResult:
    """``HOTA-OKS``: OKS with the area of each label; labels without a keypoint are dropped.

    Args:
        labels: with track ids.
        predictions: with track ids; brought into the frames and keypoints of the labels by
            :func:`impose_core.evaluation.alignment.align`.
        sigmas: name of the sigma set (:func:`~impose_core.evaluation.conventions.sigmas_for`).
        share_of_box: the area of a label without one
            (:func:`~impose_core.evaluation.conventions.with_areas`).

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if a track id is missing, a track is twice in a frame, labels hold crowds,
            or videos, frames or sigmas do not fit.
    """
    chosen = sigmas_for(labels.keypoints, sigmas)
    labels, area = with_areas(labels, share_of_box=share_of_box)

    def similarity(labelled: Instances, predicted: Instances) -> Floats:
        by_prediction = oks(
            predicted.xy,
            labelled.xy,
            labelled.visibility,
            area=labelled.area,
            box_xyxy=labelled.box,
            sigmas=chosen.values,
        )
        return np.asarray(by_prediction.T)

    result = _score(
        "HOTA-OKS",
        labels,
        align(predictions, labels),
        similarity,
        lambda people: people.pick(np.asarray((people.visibility > 0).any(1))),
    )
    return replace(result, sigmas=chosen.name, area=area)


def hota_box(labels: PoseSet, predictions: PoseSet) -> TrackingResult:
    """``HOTA-box``: intersection over union of boxes; keypoints are not looked at.

    Raises:
        UsageError: if a track id or a box is missing, a track is twice in a frame, labels
            hold crowds, or the videos do not fit (:func:`pair_frames`).
    """
    check_boxes(pair_frames(labels, predictions))
    return _score(
        "HOTA-box",
        labels,
        predictions,
        lambda labelled, predicted: box_iou(labelled.box, predicted.box),
        lambda people: people,
    )


def check_boxes(videos: tuple[VideoPair, ...]) -> None:
    """Everybody on the labelled frames of ``videos`` must have a box.

    Raises:
        UsageError: if somebody has none.
    """
    for video in videos:
        for pair in video.frames:
            sides = (("labels", pair.labels.instances), ("predictions", pair.predicted))
            for what, people in sides:
                if np.isnan(people.box).any():
                    raise UsageError(
                        f"Expected {what} with a box, got none in frame {pair.labels.index} of "
                        f"'{video.name}'."
                    )


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union [G, P] of boxes [G, 4] and [P, 4], xyxy; 0 for empty boxes."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(-1)
    area, other = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (first, second))
    union = area[:, None] + other - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


Similarity = Callable[[Instances, Instances], Floats]


def _score(
    variant: str,
    labels: PoseSet,
    predictions: PoseSet,
    similarity: Similarity,
    evaluated: Callable[[Instances], Instances],
) -> TrackingResult:
    """Scores by ``similarity`` of the labels that are ``evaluated``."""

    def compared(video: str, pair: FramePair) -> tuple[np.ndarray, np.ndarray, Floats]:
        labelled, predicted = evaluated(pair.labels.instances), pair.predicted
        where = f"in frame {pair.labels.index} of '{video}'"
        _check_tracks(labelled, f"labels {where}")
        _check_tracks(predicted, f"predictions {where}")
        if labelled.crowd.any():
            raise UsageError(
                f"Expected labels of single persons, got a crowd {where}.",
                hint="Make crowds ignore regions, or leave them out of the labels.",
            )
        return labelled.track_id, predicted.track_id, similarity(labelled, predicted)

    videos = {}
    for video in pair_frames(labels, predictions):
        tracks = ComparedTracks.of(compared(video.name, pair) for pair in video.frames)
        videos[video.name] = TrackingScores(
            hota=hota.hota(tracks),
            identity=identity.identity(tracks),
            clear=clear.clear(tracks),
        )
    scores = list(videos.values())
    return TrackingResult(
        variant=variant,
        videos=videos,
        combined=TrackingScores(
            hota=hota.combined([one.hota for one in scores]),
            identity=identity.combined([one.identity for one in scores]),
            clear=clear.combined([one.clear for one in scores]),
        ),
    )


def _check_tracks(people: Instances, where: str) -> None:
    ids, count = np.unique(people.track_id, return_counts=True)
    if NO_TRACK in ids:
        raise UsageError(f"Expected {where} to have track ids, got a person without one.")
    if (count > 1).any():
        raise UsageError(
            f"Expected the track ids of {where} to differ, got {ids[count > 1][0]} twice."
        )
