"""A labelled person of a video beside the track that predicts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.errors import UsageError
from impose_core.evaluation.alignment import align
from impose_core.evaluation.compared_tracks import ComparedTracks
from impose_core.evaluation.conventions import gather, ignored, with_areas
from impose_core.evaluation.hota import alignment
from impose_core.evaluation.oks import Floats, keypoint_similarity, oks
from impose_core.pose_sets import NO_TRACK, Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Visibility

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The OKS thresholds of COCO."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracklet:
    """One labelled identity over the T frames of its video, K keypoints.

    Coordinates are pixels, as in :class:`impose_core.pose_sets.Instances`.

    Attributes:
        video: name of the sequence.
        track_id: of the label.
        predicted_id: of the track matched to it; ``NO_TRACK`` where none was.
        xy: float64 [T, K, 2], the labels.
        visibility: uint8 [T, K]; 0 where there is no label. All 0: the person is not
            labelled on this frame.
        area: float64 [T] square pixels, of the labels.
        box: float64 [T, 4] xyxy, of the labels.
        predicted: float64 [T, K, 2]; NaN is a joint that is missing, all NaN a person that is.

    Raises:
        UsageError: if the shapes do not fit each other, or a labelled frame has no area.
    """

    video: str
    track_id: int
    predicted_id: int = NO_TRACK
    xy: Floats
    visibility: NDArray[np.uint8]
    area: Floats
    box: Floats
    predicted: Floats

    def __post_init__(self) -> None:
        t, k = self.visibility.shape
        expected = {"xy": (t, k, 2), "area": (t,), "box": (t, 4), "predicted": (t, k, 2)}
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise UsageError(f"Expected '{name}' to have shape {shape}, got {got}.")
        lacking = np.flatnonzero(self.on & np.isnan(self.area))
        if len(lacking):
            raise UsageError(
                f"Expected labels with an area, got none in frame {lacking[0]} of track "
                f"{self.track_id} of '{self.video}'."
            )

    @property
    def on(self) -> NDArray[np.bool_]:
        """Frames [T] on which the person has a labelled joint."""
        return np.asarray((self.visibility > 0).any(-1))

    def terms(self, predicted: Floats, sigmas: Floats) -> Floats:
        """OKS term [T, K] of each joint of ``predicted`` [T, K, 2]; NaN where no label is."""
        area = np.where(self.on, self.area, 1.0)
        terms = keypoint_similarity(predicted, self.xy, area=area, sigmas=sigmas)
        return np.asarray(np.where(self.visibility > 0, terms, np.nan))

    def accuracy(self, predicted: Floats, sigmas: Floats) -> float:
        """Share of labelled frames with OKS >= tau, averaged over :data:`THRESHOLDS`.

        Unlike AP it does not depend on the order of equal scores. A missing person counts 0.
        NaN if no frame is labelled.
        """
        if not self.on.any():
            return np.nan
        likeness = np.nanmean(self.terms(predicted, sigmas)[self.on], axis=-1)
        return float((likeness[:, None] >= THRESHOLDS).mean())


def missing(predicted: Floats) -> NDArray[np.bool_]:
    """Where ``predicted`` [..., K, 2] has no joint, [...]."""
    return np.asarray(~np.isfinite(predicted).all(-1).any(-1))


def tracklets_of(
    labels: PoseSet, predictions: PoseSet, *, sigmas: Floats, min_labelled_joints: int = 1
) -> tuple[Tracklet, ...]:
    """The labelled identities of all videos by ascending id, each with its predicted track.

    Tracks are matched once per video, by one Hungarian assignment of HOTA's alignment score
    with OKS as similarity (:func:`impose_core.evaluation.hota.alignment`) over the labelled
    frames. An identity no prediction overlaps stays without one.

    Args:
        labels: with track ids; crowds are left out. Areas and boxes that the file lacks are
            derived (:func:`~impose_core.evaluation.conventions.with_areas`). A video is as
            long as the last frame listed says.
        predictions: with track ids; brought into the frames and keypoints of the labels
            (:func:`~impose_core.evaluation.alignment.align`).
        sigmas: [K] of OKS.
        min_labelled_joints: labels with fewer labelled joints are left out of their frame
            (8 in the extended labels of IMPose).

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if a person has no track id, an id comes twice in a frame, or the two sets
            do not fit.
    """
    labels, _ = with_areas(labels)
    found: list[Tracklet] = []
    for sequence, answer in zip(
        labels.sequences, align(predictions, labels).sequences, strict=True
    ):
        people = replace(
            sequence,
            frames=tuple(_counted(frame, min_labelled_joints) for frame in sequence.frames),
        )
        tracks = _tracks(answer)
        partners = _partners(people, answer, sigmas)
        nobody = np.full((_length(people), len(labels.keypoints), 2), np.nan)
        for identity in _ids(people):
            partner = partners.get(identity, NO_TRACK)
            found.append(_tracklet(people, identity, partner, tracks.get(partner, nobody)))
    return tuple(found)


def labelled_tracklets(labels: PoseSet, *, min_labelled_joints: int = 1) -> tuple[Tracklet, ...]:
    """The labelled identities of all videos by ascending id, with nobody predicted yet.

    As :func:`tracklets_of`; what is predicted is all NaN.
    """
    nobody = replace(labels, sequences=tuple(_emptied(one) for one in labels.sequences))
    return tracklets_of(
        labels,
        nobody,
        sigmas=np.ones(len(labels.keypoints)),
        min_labelled_joints=min_labelled_joints,
    )


def with_poses(labels: PoseSet, predictions: PoseSet, tracklets: Iterable[Tracklet]) -> PoseSet:
    """``predictions``, aligned with ``labels``, with the matched tracks as ``tracklets`` are now.

    Scores stay. Where a track had nobody on a frame and now has, a person is added with the
    mean score of its track; who has no position left is dropped from the frame.
    """
    changed = [one for one in tracklets if one.predicted_id != NO_TRACK]
    aligned = align(predictions, labels)
    sequences = []
    for sequence in aligned.sequences:
        mine = [one for one in changed if one.video == sequence.name]
        scores = {one.predicted_id: _mean_score(sequence, one.predicted_id) for one in mine}
        frames = tuple(_corrected(frame, mine, scores) for frame in sequence.frames)
        sequences.append(replace(sequence, frames=frames))
    return replace(aligned, sequences=tuple(sequences))


def _emptied(sequence: PoseSequence) -> PoseSequence:
    frames = (replace(f, instances=f.instances.pick(np.empty(0, int))) for f in sequence.frames)
    return replace(sequence, frames=tuple(frames))


def _length(sequence: PoseSequence) -> int:
    return max((frame.index + 1 for frame in sequence.frames), default=0)


def _counted(frame: LabelledFrame, least: int) -> LabelledFrame:
    """The frame with those people who count; without anybody if it is not labelled."""
    keep = ~ignored(frame.instances, least) & frame.labelled
    return replace(frame, instances=frame.instances.pick(keep))


def _ids(sequence: PoseSequence) -> list[int]:
    """Track ids in the sequence, ascending."""
    ids: set[int] = set()
    for frame in sequence.frames:
        if NO_TRACK in frame.instances.track_id:
            raise UsageError(
                f"Expected everybody to have a track id, got somebody without one in frame "
                f"{frame.index} of '{sequence.name}'."
            )
        ids.update(frame.instances.track_id.tolist())
    return sorted(ids)


def _tracks(sequence: PoseSequence) -> dict[int, Floats]:
    """Positions [T, K, 2] by track id."""
    length, tracks = _length(sequence), {}
    for identity in _ids(sequence):
        shape = (length, *sequence.frames[0].instances.xy.shape[1:])
        tracks[identity] = np.full(shape, np.nan)
    for frame in sequence.frames:
        for identity, xy in zip(frame.instances.track_id.tolist(), frame.instances.xy, strict=True):
            tracks[identity][frame.index] = xy
    return tracks


def _tracklet(people: PoseSequence, identity: int, partner: int, predicted: Floats) -> Tracklet:
    length, k = predicted.shape[:2]
    xy, visibility = np.full((length, k, 2), np.nan), np.zeros((length, k), np.uint8)
    area, box = np.full(length, np.nan), np.full((length, 4), np.nan)
    for frame in people.frames:
        for at in np.flatnonzero(frame.instances.track_id == identity):
            xy[frame.index] = frame.instances.xy[at]
            visibility[frame.index] = frame.instances.visibility[at]
            area[frame.index] = frame.instances.area[at]
            box[frame.index] = frame.instances.box[at]
    return Tracklet(
        video=people.name,
        track_id=identity,
        predicted_id=partner,
        xy=xy,
        visibility=visibility,
        area=area,
        box=box,
        predicted=predicted,
    )


def _partners(people: PoseSequence, answer: PoseSequence, sigmas: Floats) -> dict[int, int]:
    """Predicted track id by labelled one, as far as there is one."""
    pairs = [
        (frame.instances, predicted.instances)
        for frame, predicted in zip(people.frames, answer.frames, strict=True)
        if frame.labelled
    ]
    compared = ComparedTracks.of(
        (labelled.track_id, predicted.track_id, _likeness(labelled, predicted, sigmas))
        for labelled, predicted in pairs
    )
    empty = np.zeros(0, np.int64)
    labelled_ids = np.unique(np.concatenate([empty, *(a.track_id for a, _ in pairs)]))
    predicted_ids = np.unique(np.concatenate([empty, *(b.track_id for _, b in pairs)]))
    fit = alignment(compared)
    rows, columns = linear_sum_assignment(-fit)
    return {
        int(labelled_ids[row]): int(predicted_ids[column])
        for row, column in zip(rows, columns, strict=True)
        if fit[row, column] > 0
    }


def _likeness(labelled: Instances, predicted: Instances, sigmas: Floats) -> Floats:
    """OKS [G, P]."""
    likeness = oks(
        predicted.xy,
        labelled.xy,
        labelled.visibility,
        area=labelled.area,
        box_xyxy=labelled.box,
        sigmas=sigmas,
    )
    return np.asarray(likeness.T)


def _mean_score(sequence: PoseSequence, identity: int) -> float:
    scores = [f.instances.score[f.instances.track_id == identity] for f in sequence.frames]
    return float(np.mean(np.concatenate(scores)))


def _corrected(
    frame: LabelledFrame, tracklets: Iterable[Tracklet], scores: dict[int, float]
) -> LabelledFrame:
    people = frame.instances
    for one in tracklets:
        xy = one.predicted[frame.index]
        if one.predicted_id not in people.track_id:
            newcomer = Instances.unknown(1, len(xy))
            newcomer.track_id[:], newcomer.score[:] = one.predicted_id, scores[one.predicted_id]
            people = gather([people, newcomer], len(xy))
        mine = people.track_id == one.predicted_id
        seen = np.where(np.isfinite(xy).all(-1), Visibility.VISIBLE, Visibility.ABSENT)
        people = replace(
            people,
            xy=np.where(mine[:, None, None], xy, people.xy),
            visibility=np.where(mine[:, None], seen, people.visibility).astype(np.uint8),
        ).pick(~(mine & missing(xy)))
    return replace(frame, instances=people)
