"""Predictions brought into the frames and keypoints of the labels they are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.pose_sets import Instances, LabelledFrame, PoseSet

Place = tuple[int, int]
"""Of a frame in the labels: number of its sequence, number in the sequence."""


def align(predictions: PoseSet, labels: PoseSet) -> PoseSet:
    """``predictions`` with exactly the sequences, frames and keypoints of ``labels``.

    A frame's partner has the same sequence name and frame index, or the same file name; the
    two ways must not contradict each other. Two sets of one video each, one of them without
    a name, mean the same video. Videos are predicted densely and labelled sparsely: other
    frames of a labelled video are left out, and a labelled frame without a partner has no
    predictions; but a sequence of which no frame has one was forgotten.

    Keypoints are matched by name: those the predictions lack are missing (NaN), those only
    they have are left out. Labels of boxes alone have none.

    Aligning twice changes nothing.

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if a predicted frame is of no labelled sequence, two have one partner, or a
            labelled sequence has none; or if a frame comes twice in the labels.
    """
    columns = _columns(predictions.keypoints, labels.keypoints)
    partners = _partners(predictions, labels)
    nobody = Instances.unknown(0, len(labels.keypoints))

    def aligned(frame: LabelledFrame, place: Place) -> LabelledFrame:
        partner = partners.get(place)
        people = nobody if partner is None else _with_keypoints(partner.instances, columns)
        return LabelledFrame(index=frame.index, file_name=frame.file_name, instances=people)

    sequences = [
        replace(sequence, frames=tuple(aligned(f, (s, t)) for t, f in enumerate(sequence.frames)))
        for s, sequence in enumerate(labels.sequences)
    ]
    return PoseSet(keypoints=labels.keypoints, sequences=tuple(sequences))


def _partners(predictions: PoseSet, labels: PoseSet) -> dict[Place, LabelledFrame]:
    """The predicted frame of each labelled one, as far as there is one."""
    places = _Places.of(labels)
    single = len(labels.sequences) == len(predictions.sequences) == 1
    partners: dict[Place, LabelledFrame] = {}
    for sequence, frame in predictions:
        name = sequence.name
        if single and "" in (name, labels.sequences[0].name):
            name = labels.sequences[0].name
        place = places.find(name, frame)
        if place is None:
            continue
        if place in partners:
            raise UsageError(
                "Expected one frame of the predictions for each of the labels, got "
                f"{_called(name, frame)} besides {_called(name, partners[place])}."
            )
        partners[place] = frame
    # a file of boxes lists only frames with somebody, so one that lists none was not forgotten
    empty = {sequence.name for sequence in predictions.sequences if not sequence.frames}
    there = {s for s, _ in partners}
    for s, sequence in enumerate(labels.sequences):
        if sequence.frames and s not in there and sequence.name not in empty:
            raise UsageError(
                "Expected the predictions to list images of every sequence of the labels, got "
                f"none of '{sequence.name}'.",
                hint="An image on which nobody was found must be listed, without annotations.",
            )
    return partners


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the labels have a frame."""

    by_frame: Mapping[tuple[str, int], Place]
    by_file_name: Mapping[str, Place]
    names: frozenset[str]

    @classmethod
    def of(cls, labels: PoseSet) -> _Places:
        """File names that several frames bear ("000001.jpg") mean none of them."""
        count = Counter(frame.file_name for _, frame in labels)
        by_frame: dict[tuple[str, int], Place] = {}
        by_file_name: dict[str, Place] = {}
        for s, sequence in enumerate(labels.sequences):
            for t, frame in enumerate(sequence.frames):
                if (sequence.name, frame.index) in by_frame:
                    raise UsageError(
                        "Expected the frames of the labels to differ, got "
                        f"{_called(sequence.name, frame)} twice."
                    )
                by_frame[sequence.name, frame.index] = s, t
                if frame.file_name and count[frame.file_name] == 1:
                    by_file_name[frame.file_name] = s, t
        return cls(by_frame, by_file_name, frozenset(s.name for s in labels.sequences))

    def find(self, name: str, frame: LabelledFrame) -> Place | None:
        """The place of a predicted frame; None for an unlabelled frame of a labelled video."""
        by_frame = self.by_frame.get((name, frame.index))
        by_file_name = self.by_file_name.get(frame.file_name)
        if by_frame is not None and by_file_name is not None and by_frame != by_file_name:
            raise UsageError(
                f"Expected {_called(name, frame)} of the predictions to be one frame of the "
                "labels, got one by its index and another by its file name.",
                hint="One of the files may count frames from 1.",
            )
        place = by_file_name if by_frame is None else by_frame
        if place is None and name not in self.names:
            raise UsageError(
                f"Expected {_called(name, frame)} of the predictions to be of a sequence of the "
                f"labels ({_listed(sorted(self.names))}), got one that is not there."
            )
        return place


def _called(name: str, frame: LabelledFrame) -> str:
    file_name = f", file '{frame.file_name}'" if frame.file_name else ""
    return f"frame {frame.index} of '{name}'{file_name}"


def _columns(predicted: tuple[str, ...], labelled: tuple[str, ...]) -> NDArray[np.int64]:
    """Where the predictions have each labelled keypoint; -1 where they lack it."""
    where = {keypoint: k for k, keypoint in enumerate(predicted)}
    columns = np.array([where.get(keypoint, -1) for keypoint in labelled], np.int64)
    if labelled and (columns < 0).all():
        raise SkeletonMismatch(
            "Expected the predictions to share a keypoint name with the labels "
            f"({_listed(labelled)}), got {_listed(predicted)}."
        )
    return columns


def _with_keypoints(people: Instances, columns: NDArray[np.int64]) -> Instances:
    """``people`` with the keypoints ``columns``; -1 is a missing one."""
    if people.visibility.shape[1] == len(columns) and (columns == np.arange(len(columns))).all():
        return people
    rearranged = people.keypoints(columns)
    missing = columns < 0
    rearranged.xy[:, missing] = np.nan
    rearranged.visibility[:, missing] = 0
    rearranged.keypoint_score[:, missing] = np.nan
    return rearranged


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown}, … {len(names)}" if len(names) > 6 else shown or "none"
