"""Polygons in which nothing is evaluated, taken out of labels and predictions alike.

Keypoints as poseval and the kit of PoseTrack21 do it, boxes as PoseTrack21's MOT kit does
(``datasets/posetrack.py`` and ``datasets/posetrack_mot.py`` of anDoer/PoseTrack21).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.errors import UsageError
from impose_core.evaluation.compared_tracks import EPSILON, Floats
from impose_core.evaluation.frame_pairs import FramePair, pair_frames
from impose_core.evaluation.tracking import box_iou, check_boxes
from impose_core.pose_sets import Instances, PoseSet

Regions = Sequence[Floats]

MATCHED_IOU = 0.5
"""From here a predicted box is a label's, and stays wherever it lies."""
IGNORED_IOU = 0.1
"""Other boxes that overlap a polygon by more are taken out."""


def without_ignored_keypoints(labels: PoseSet, predictions: PoseSet) -> tuple[PoseSet, PoseSet]:
    """Both sets without the keypoints inside the ignore regions of the labels.

    Such keypoints are no longer labelled, or predicted. In a frame with ignore regions nobody
    stays of whom no keypoint is left. Boxes and areas stay as they are. A point on the border
    of a polygon is not inside of it.

    Raises:
        UsageError: if shapely is not installed, or the videos do not fit (:func:`pair_frames`).
    """

    def of_labels(pair: FramePair) -> Instances:
        return outside(pair.labels.instances, pair.labels.ignore_regions)

    def of_predictions(pair: FramePair) -> Instances:
        return outside(pair.predicted, pair.labels.ignore_regions)

    return (
        _with_instances(labels, _per_frame(labels, predictions, of_labels)),
        _with_instances(predictions, _per_frame(labels, predictions, of_predictions)),
    )


def without_ignored_boxes(labels: PoseSet, predictions: PoseSet) -> PoseSet:
    """The predictions without boxes of ignored people, for ``HOTA-box`` on PoseTrack21 MOT.

    Who overlaps no label by half is taken out if the intersection over union with a single
    ignore region is above .1. A frame without labels keeps all its predictions, as in the kit.
    Where a polygon crosses itself into parts, the kit counts the box once for each; here the
    union is the union.

    Raises:
        UsageError: if shapely is not installed, a box is missing, or the videos do not fit
            (:func:`pair_frames`).
    """
    check_boxes(pair_frames(labels, predictions))

    def kept(pair: FramePair) -> Instances:
        labelled, regions = pair.labels.instances, pair.labels.ignore_regions
        if not len(labelled) or not len(pair.predicted) or not regions:
            return pair.predicted
        iou = box_iou(labelled.box, pair.predicted.box)
        iou[iou < MATCHED_IOU - EPSILON] = 0
        rows, columns = linear_sum_assignment(iou, maximize=True)
        keep = np.asarray((_overlap(pair.predicted.box, regions) <= IGNORED_IOU).all(1))
        keep[columns[iou[rows, columns] > 0]] = True
        return pair.predicted.pick(keep)

    return _with_instances(predictions, _per_frame(labels, predictions, kept))


def outside(people: Instances, regions: Regions) -> Instances:
    """``people`` without the keypoints inside ``regions``.

    If there are regions, whoever has no keypoint (left) is dropped.

    Raises:
        UsageError: if shapely is not installed.
    """
    if not regions:
        return people
    ignored = inside(people.xy, regions)
    visibility = np.where(ignored, 0, people.visibility).astype(np.uint8)
    return replace(
        people,
        xy=np.where(ignored[..., None], np.nan, people.xy),
        visibility=visibility,
        keypoint_score=np.where(ignored, np.nan, people.keypoint_score),
    ).pick(np.asarray((visibility > 0).any(1)))


def inside(xy: Floats, regions: Regions) -> NDArray[np.bool_]:
    """Which points [..., 2] lie within one of the polygons; NaN lies nowhere.

    Raises:
        UsageError: if shapely is not installed.
    """
    shapely = _shapely()
    found = np.zeros(xy.shape[:-1], bool)
    for region in regions:
        found |= shapely.contains_xy(shapely.Polygon(region), xy[..., 0], xy[..., 1])
    return found


def _overlap(boxes: Floats, regions: Regions) -> Floats:
    """Intersection over union of boxes [P, 4] xyxy with each polygon, [P, R]."""
    shapely = _shapely()
    rectangles = shapely.box(*boxes.T)[:, None]
    # buffer(0) makes areas of polygons that cross themselves
    polygons = [shapely.buffer(shapely.Polygon(region), 0) for region in regions]
    shared = shapely.area(shapely.intersection(rectangles, polygons))
    union = shapely.area(shapely.union(rectangles, polygons))
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


Place = tuple[str, int]
"""Of a frame: name of the video, index."""


def _per_frame(
    labels: PoseSet, predictions: PoseSet, people: Callable[[FramePair], Instances]
) -> Mapping[Place, Instances]:
    return {
        (video.name, pair.labels.index): people(pair)
        for video in pair_frames(labels, predictions)
        for pair in video.frames
    }


def _with_instances(poses: PoseSet, people: Mapping[Place, Instances]) -> PoseSet:
    """``poses`` with other ``people`` on some frames."""
    sequences = tuple(
        replace(
            sequence,
            frames=tuple(
                replace(frame, instances=people.get((sequence.name, frame.index), frame.instances))
                for frame in sequence.frames
            ),
        )
        for sequence in poses.sequences
    )
    return replace(poses, sequences=sequences)


def _shapely() -> ModuleType:
    if importlib.util.find_spec("shapely") is None:
        raise UsageError(
            "Expected shapely to be installed for ignore regions, got none.",
            hint="pip install impose[evaluate]",
        )
    import shapely  # an optional extra

    module: ModuleType = shapely
    return module
