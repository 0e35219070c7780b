"""All metrics of one set of predictions, with the conventions they were computed by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from impose_core.errors import UsageError
from impose_core.evaluation.comparison import Comparison, compare
from impose_core.evaluation.figures import METRICS, plain
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.pose_sets import PoseSet
from impose_core.poses import PoseTracks


def evaluate(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    metrics: Sequence[str] | None = None,
    sigmas: str | None = None,
    share_of_box: float = AREA_OF_BOX,
    min_labelled_joints: int = 1,
    tracks: PoseTracks | None = None,
) -> dict[str, Any]:
    """The figures of ``predictions``, ready for JSON, null where nothing could be evaluated.

    Beside the figures of each metric the result has ``conventions`` (sigmas, areas, whether
    ignore regions were applied, who was ignored, which keypoints the predictions lack), ``n``
    (sequences, labelled images, persons) and ``skipped``, reasons by name of the metric.

    Keypoints inside ignore regions are removed from both sides first; frames nobody labelled
    are left out with their predictions.

    Args:
        labels: the truth.
        predictions: brought into the frames and keypoints of the labels
            (:func:`~impose_core.evaluation.alignment.align`).
        metrics: names of :data:`~impose_core.evaluation.figures.METRICS`. Without, all for
            which the two sets hold what is needed; the others are skipped.
        sigmas: name of the sigma set (:func:`~impose_core.evaluation.conventions.sigmas_for`).
        share_of_box: area in units of w · h where the labels give none
            (:func:`~impose_core.evaluation.conventions.with_areas`).
        min_labelled_joints: persons with fewer labelled keypoints are ignored, by all metrics
            but HOTA and PCKh-mAP, which know no such thing.
        tracks: ``predictions`` once more, with the deviations their calibration is about.

    Raises:
        SkeletonMismatch: if both sides have keypoints and share no name of one.
        UsageError: if a metric does not exist, one that was asked for or all of them lack what
            they need, or the input makes no sense.
    """
    _check_names(metrics)
    comparison = compare(
        labels,
        predictions,
        sigmas=sigmas,
        share_of_box=share_of_box,
        min_labelled_joints=min_labelled_joints,
        tracks=tracks,
    )
    lacking = {name: METRICS[name].lacking(comparison) for name in metrics or METRICS}
    skipped = {name: reason for name, reason in lacking.items() if reason}
    if skipped and (metrics or len(skipped) == len(METRICS)):
        name, reason = next(iter(skipped.items()))
        raise UsageError(f"Expected what '{name}' needs, got {reason}.")
    figures: dict[str, Any] = {}
    for name in METRICS:
        if name in lacking and name not in skipped:
            figures.update(METRICS[name].figures(comparison))
    return {
        **plain(figures),
        "conventions": _conventions(comparison),
        "n": _counts(comparison),
        "skipped": skipped,
    }


def _check_names(metrics: Sequence[str] | None) -> None:
    for name in metrics or ():
        if name not in METRICS:
            raise UsageError(f"Expected 'metrics' to be of {', '.join(METRICS)}, got '{name}'.")
    if metrics is not None and not metrics:
        raise UsageError(f"Expected 'metrics' to be of {', '.join(METRICS)}, got none.")


def _conventions(c: Comparison) -> dict[str, Any]:
    predicted = set(c.keypoints_of_predictions)
    return {
        "sigmas": c.sigmas.name if c.labels.keypoints else None,
        "area": c.sized[1],
        "ignore_regions_applied": c.ignore_regions,
        "min_labelled_joints": c.min_labelled_joints,
        "keypoints_not_predicted": [k for k in c.keypoints_of_labels if k not in predicted],
    }


def _counts(c: Comparison) -> dict[str, int]:
    return {
        "sequences": len(c.labels.sequences),
        "images": sum(frame.labelled for _, frame in c.labels),
        "labelled": c.counted,
        "ignored": len(c.people) - c.counted,
        "predicted": len(c.found),
    }
