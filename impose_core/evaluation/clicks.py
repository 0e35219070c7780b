"""Clicks on images: how many corrections a pose estimate needs.

The protocol of Click-Pose (Yang et al., "Neural Interactive Keypoint Detection", ICCV 2023,
and its released code), with its choices named. Persons are matched to labels once. One
iteration is one click on *every* matched person, also on correct ones: the joint the strategy
finds most urgent is set to its label, then a refiner may move the others.

- ``C_k``: AP over the whole set after k clicks per person.
- ``NoC@x``: per image, the number of iterations until the AP of that image alone reaches x,
  at most 17; the mean is over images, not persons. 17 means "17 or never", so what never
  arrived is counted beside it.

The mean number of clicks is not where the curve C_k crosses x: one is over images, the other
over the set. Click-Pose's figures need ``freeze_clicked=False``, as its code lets clicked
joints move, and ``strict_float=True``: the AP of one person can be n / 10 less 1e-16, which
the default counts as n / 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np

from impose_core.evaluation.click_rounds import (
    ClickedImage,
    ClickProtocol,
    image_rounds,
    images_of,
)
from impose_core.evaluation.conventions import ignored
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet

MOST_CLICKS = 17
"""Where NoC gives up: one click for each joint of COCO."""

TOLERANCE = 1e-9
"""How far below its target an AP may be by rounding."""

AveragePrecision = Callable[[PoseSet, PoseSet], float]
"""AP, 0 to 1, of labels (first) and predictions (second) on the same images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickCurve:
    """AP by clicks per person.

    Attributes:
        average_precision: C_0 to C_K.
        clicks: how many clicks each of them took, on all persons together.
    """

    average_precision: tuple[float, ...]
    clicks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberOfClicks:
    """NoC at one target.

    Attributes:
        target: the AP to reach, 0 to 1.
        per_image: iterations by (sequence name, frame index), at most the cap.
        never: how many of the images had not arrived at the cap.
    """

    target: float
    per_image: Mapping[tuple[str, int], int]
    never: int

    @property
    def mean(self) -> float:
        """Over images; NaN without any."""
        return float(np.mean(list(self.per_image.values()))) if self.per_image else np.nan


def click_curve(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    average_precision: AveragePrecision,
    protocol: ClickProtocol,
    most: int = 8,
) -> ClickCurve:
    """C_0 to C_most over all labelled frames of ``labels``, the same ones for every k.

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if the sets do not fit, or strategy or matching lack what they need.
    """
    images = images_of(labels, predictions)
    truth = _pose_set(labels, ((image, image.labels.instances) for image in images))
    running = [image_rounds(image, protocol) for image in images]
    scores: list[float] = []
    totals: list[int] = []
    for _ in range(most + 1):
        states = [next(rounds) for rounds in running]
        found = zip(images, (state.persons for state in states), strict=True)
        scores.append(average_precision(truth, _pose_set(labels, found)))
        before = totals[-1] if totals and protocol.loop == "progressive" else 0
        totals.append(before + sum(len(state.clicks) for state in states))
    return ClickCurve(average_precision=tuple(scores), clicks=tuple(totals))


def number_of_clicks(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    average_precision: AveragePrecision,
    protocol: ClickProtocol,
    targets: Sequence[float] = (0.85, 0.90, 0.95),
    most: int = MOST_CLICKS,
    strict_float: bool = False,
) -> tuple[NumberOfClicks, ...]:
    """NoC at each of ``targets``, over the images that have somebody to click on.

    Args:
        labels: the truth; frames that are not labelled are left out.
        predictions: the first estimates.
        average_precision: see :data:`AveragePrecision`; called on sets of one image.
        protocol: how clicks are made and used.
        targets: AP to reach, 0 to 1.
        most: the cap on iterations.
        strict_float: whether a target is missed by any rounding.

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if the sets do not fit, or strategy or matching lack what they need.
    """
    limits = [target if strict_float else target - TOLERANCE for target in targets]
    reached = {
        (image.key.sequence, image.key.index): _iterations(
            islice(_scores(image, labels, average_precision, protocol), most + 1), limits
        )
        for image in images_of(labels, predictions)
        if not ignored(image.labels.instances).all()
    }
    return tuple(
        NumberOfClicks(
            target=target,
            per_image={key: found.get(limit, most) for key, found in reached.items()},
            never=sum(limit not in found for found in reached.values()),
        )
        for target, limit in zip(targets, limits, strict=True)
    )


def _scores(
    image: ClickedImage,
    labels: PoseSet,
    average_precision: AveragePrecision,
    protocol: ClickProtocol,
) -> Iterable[float]:
    """AP of the image alone after 0, 1, 2, ... iterations."""
    truth = _pose_set(labels, [(image, image.labels.instances)])
    for state in image_rounds(image, protocol):
        yield average_precision(truth, _pose_set(labels, [(image, state.persons)]))


def _iterations(scores: Iterable[float], limits: Sequence[float]) -> dict[float, int]:
    """The place in ``scores`` where each limit was reached first; nothing where it was not."""
    reached: dict[float, int] = {}
    for k, score in enumerate(scores):
        for limit in limits:
            if score >= limit:
                reached.setdefault(limit, k)
        if len(reached) == len(set(limits)):
            break
    return reached


def _pose_set(labels: PoseSet, found: Iterable[tuple[ClickedImage, Instances]]) -> PoseSet:
    """``found`` on the images of ``labels``, of which it must hold whole runs in their order."""
    sequences = []
    for name, members in groupby(found, key=lambda pair: pair[0].key.sequence):
        pairs = list(members)
        frames = tuple(
            LabelledFrame(
                index=image.key.index,
                instances=persons,
                file_name=image.key.file_name,
                ignore_regions=image.labels.ignore_regions,
            )
            for image, persons in pairs
        )
        first = pairs[0][0].key
        sequences.append(
            PoseSequence(name=name, width=first.width, height=first.height, frames=frames)
        )
    return PoseSet(keypoints=labels.keypoints, sequences=tuple(sequences))
