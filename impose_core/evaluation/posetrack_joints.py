"""The 15 joints PoseTrack evaluates, and distances in units of the head."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.evaluation.frame_pairs import FramePair, VideoPair, pair_frames
from impose_core.evaluation.ignore_regions import outside
from impose_core.pose_sets import Instances, PoseSet
from impose_core.skeleton import POSETRACK15

Floats = NDArray[np.float64]

Kit = Literal["poseval", "posetrack21"]
"""Whose rules hold where the two official kits differ."""

JOINTS: Final = POSETRACK15.keypoints

GROUPS: Final = {
    "Head": ("nose", "head_bottom", "head_top"),
    "Shou": ("left_shoulder", "right_shoulder"),
    "Elb": ("left_elbow", "right_elbow"),
    "Wri": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankl": ("left_ankle", "right_ankle"),
}
"""Columns of the published tables."""

HEAD_SHARE: Final = 0.6
"""Of the diagonal of the head box: the head size, for historical reasons (MPII)."""


def posetrack_pairs(labels: PoseSet, predictions: PoseSet, kit: Kit) -> tuple[VideoPair, ...]:
    """What PoseTrack evaluates: :data:`JOINTS` outside the ignore regions, on labelled frames.

    Ears, which PoseTrack never labels, are dropped. Poseval also drops frames on which nobody
    is labelled, with all their predictions.

    Raises:
        SkeletonMismatch: if one of the sets lacks one of the joints.
        UsageError: if a label has no head box, shapely is not installed, or the videos do not
            fit (:func:`pair_frames`).
    """
    labelled_joints = _columns(labels, "labels")
    predicted_joints = _columns(predictions, "predictions")

    def evaluated(video: str, pair: FramePair) -> FramePair:
        frame = pair.labels
        if np.isnan(frame.instances.head_box).any():
            raise UsageError(
                f"Expected labels with a head box, got none in frame {frame.index} of '{video}'.",
                hint="PoseTrack measures distances in head sizes.",
            )
        labelled = outside(frame.instances.keypoints(labelled_joints), frame.ignore_regions)
        predicted = outside(pair.predicted.keypoints(predicted_joints), frame.ignore_regions)
        return FramePair(labels=replace(frame, instances=labelled), predicted=predicted)

    return tuple(
        VideoPair(
            name=video.name,
            frames=tuple(
                evaluated(video.name, pair)
                for pair in video.frames
                if kit == "posetrack21" or len(pair.labels.instances)
            ),
        )
        for video in pair_frames(labels, predictions)
    )


def head_sizes(people: Instances) -> Floats:
    """Head size [P] in pixels."""
    box = people.head_box
    return HEAD_SHARE * np.hypot(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])


def given(people: Instances, kit: Kit) -> NDArray[np.bool_]:
    """Which joints [P, 15] there are.

    Poseval takes all that are not (0, 0) and invisible; the kit of PoseTrack21 only those with
    x > 0 and y > 0, so none that lie above or left of the image.
    """
    there = people.visibility > 0
    return there if kit == "poseval" else there & (people.xy > 0).all(-1)


def head_distances(labelled: Instances, predicted: Instances, kit: Kit) -> Floats:
    """Distance of each joint of each pair in head sizes, [G, P, 15].

    Infinite where one of the two is not :func:`given`, or the head has no size.
    """
    pixels = np.linalg.norm(labelled.xy[:, None] - predicted.xy[None], axis=-1)
    size = np.broadcast_to(head_sizes(labelled)[:, None, None], pixels.shape)
    both = given(labelled, kit)[:, None] & given(predicted, kit)[None]
    nowhere = np.full(pixels.shape, np.inf)
    return np.asarray(np.divide(pixels, size, out=nowhere, where=both & (size > 0)))


def _columns(poses: PoseSet, what: str) -> NDArray[np.int64]:
    lacking = [joint for joint in JOINTS if joint not in poses.keypoints]
    if lacking:
        raise SkeletonMismatch(
            f"Expected {what} with the joints of PoseTrack ({', '.join(JOINTS)}), "
            f"got none called '{lacking[0]}'."
        )
    return np.array([poses.keypoints.index(joint) for joint in JOINTS])
