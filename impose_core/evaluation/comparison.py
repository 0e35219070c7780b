"""Labels and predictions of one evaluation, checked and brought together once for all metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from impose_core.errors import UsageError
from impose_core.evaluation.alignment import align
from impose_core.evaluation.conventions import Sigmas, gather, ignored, sigmas_for, with_areas
from impose_core.evaluation.ignore_regions import without_ignored_keypoints
from impose_core.evaluation.tracklets import Tracklet, tracklets_of
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import PoseTracks


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Two sets with the same frames and keypoints, nobody on the frames nobody labelled.

    Attributes:
        labels: without the keypoints in ignore regions.
        predictions: likewise.
        whole_labels: with them, for metrics that treat ignore regions in a way of their own.
        whole_predictions: likewise.
        keypoints_of_labels: before the two sides were brought together. Where one side has
            none, neither has any here: boxes are all that can be compared.
        keypoints_of_predictions: likewise.
        sigma_set: name of the sigmas that were asked for.
        share_of_box: area in units of w · h where the labels give none.
        min_labelled_joints: persons with fewer are ignored, by all but HOTA.
        ignore_regions: whether the labels have any.
        tracks: the predictions with their deviations, if the file states any.
    """

    labels: PoseSet
    predictions: PoseSet
    whole_labels: PoseSet
    whole_predictions: PoseSet
    keypoints_of_labels: tuple[str, ...]
    keypoints_of_predictions: tuple[str, ...]
    sigma_set: str | None
    share_of_box: float
    min_labelled_joints: int
    ignore_regions: bool
    tracks: PoseTracks | None

    @cached_property
    def sigmas(self) -> Sigmas:
        """Of OKS; there must be keypoints."""
        return sigmas_for(self.labels.keypoints, self.sigma_set)

    @cached_property
    def people(self) -> Instances:
        """Everybody labelled, one after the other."""
        return gather([frame.instances for _, frame in self.labels], len(self.labels.keypoints))

    @cached_property
    def found(self) -> Instances:
        """Everybody predicted."""
        parts = [frame.instances for _, frame in self.predictions]
        return gather(parts, len(self.labels.keypoints))

    @cached_property
    def counted(self) -> int:
        """How many labelled persons are not ignored."""
        if not self.labels.keypoints:
            return int((~self.people.crowd).sum())
        return int((~ignored(self.people, self.min_labelled_joints)).sum())

    @cached_property
    def sized(self) -> tuple[PoseSet, str]:
        """The labels with an area for everybody, and what to call the areas."""
        if not self.labels.keypoints:
            return self.labels, "no area"
        return with_areas(self.labels, share_of_box=self.share_of_box)

    @cached_property
    def tracklets(self) -> tuple[Tracklet, ...]:
        """Every labelled identity with its predicted track."""
        return tracklets_of(
            self.sized[0],
            self.predictions,
            sigmas=self.sigmas.values,
            min_labelled_joints=self.min_labelled_joints,
        )


def compare(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    sigmas: str | None = None,
    share_of_box: float = AREA_OF_BOX,
    min_labelled_joints: int = 1,
    tracks: PoseTracks | None = None,
) -> Comparison:
    """Check ``labels`` and ``predictions`` and bring them together; arguments as for ``evaluate``.

    Raises:
        SkeletonMismatch: if both have keypoints and share no name of one.
        UsageError: if nobody is labelled, a number makes no sense, the videos or frames do not
            fit, or there are ignore regions and shapely is not installed.
    """
    _check_set("labels", labels)
    _check_set("predictions", predictions)
    names = labels.keypoints, predictions.keypoints
    if not predictions.keypoints:
        none = np.zeros(0, np.int64)
        labels = _with_people(labels, lambda _, frame: frame.instances.keypoints(none))
        labels = replace(labels, keypoints=())
    labels, predictions = _labelled_frames(labels, align(predictions, labels))
    regions = any(frame.ignore_regions for _, frame in labels)
    kept = labels, predictions
    if regions and labels.keypoints:
        kept = without_ignored_keypoints(labels, predictions)
    comparison = Comparison(
        labels=kept[0],
        predictions=kept[1],
        whole_labels=labels,
        whole_predictions=predictions,
        keypoints_of_labels=names[0],
        keypoints_of_predictions=names[1],
        sigma_set=sigmas,
        share_of_box=share_of_box,
        min_labelled_joints=min_labelled_joints,
        ignore_regions=regions,
        tracks=tracks,
    )
    if not comparison.counted:
        images = sum(frame.labelled for _, frame in labels)
        raise UsageError(
            f"Expected labels with somebody to find, got nobody on {images} labelled images.",
            hint="Crowds, ignore regions and persons with too few labelled joints do not count.",
        )
    return comparison


def _labelled_frames(labels: PoseSet, predictions: PoseSet) -> tuple[PoseSet, PoseSet]:
    """Both sets without anybody on the frames nobody labelled."""
    looked_at = {(s.name, frame.index) for s, frame in labels if frame.labelled}
    nobody = Instances.unknown(0, len(labels.keypoints))

    def there(sequence: PoseSequence, frame: LabelledFrame) -> Instances:
        return frame.instances if (sequence.name, frame.index) in looked_at else nobody

    return _with_people(labels, there), _with_people(predictions, there)


def _with_people(
    poses: PoseSet, people: Callable[[PoseSequence, LabelledFrame], Instances]
) -> PoseSet:
    """``poses`` with what ``people`` says of each frame."""
    return replace(
        poses,
        sequences=tuple(
            replace(s, frames=tuple(replace(f, instances=people(s, f)) for f in s.frames))
            for s in poses.sequences
        ),
    )


def _check_set(what: str, poses: PoseSet) -> None:
    """Readers let no such number through; callers with arrays of their own may."""
    for sequence, frame in poses:
        wrong = _wrong_number(frame.instances, labelled=what == "labels")
        if wrong:
            raise UsageError(
                f"Expected {what} with {wrong}, got others in frame {frame.index} of "
                f"'{sequence.name}'."
            )


def _wrong_number(people: Instances, *, labelled: bool) -> str:
    """What was expected of ``people``; "" if all is well. NaN is what is not given."""
    finite = np.asarray(np.isfinite(people.xy).all(-1))
    given = ~np.isnan(people.xy).all(-1)
    if labelled and not finite[people.visibility > 0].all():
        return "finite positions of labelled keypoints"
    if not labelled and not (finite | ~given).all():
        return "positions that are finite or missing (NaN)"
    for name in ("box", "head_box"):
        box = getattr(people, name)
        box = box[~np.isnan(box).all(-1)]
        if not (np.isfinite(box).all() and (box[:, 2:] >= box[:, :2]).all()):
            return f"a finite '{name}', its corners in order"
    if np.isinf(people.score).any() or np.isinf(people.keypoint_score).any():
        return "finite scores"
    if np.isinf(people.area).any() or (people.area < 0).any():
        return "an 'area' of 0 or more"
    return ""
