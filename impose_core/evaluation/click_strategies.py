"""Which joint a simulated annotator clicks next.

A strategy gives every joint of a person an urgency; the highest is clicked, the lowest index
among equals. The worst joint by L1 distance is what Click-Pose's released code does (Yang et
al., "Neural Interactive Keypoint Detection", ICCV 2023); ``low_score`` and ``random_joint``
are the other orders its Table 10 compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.oks import Floats, keypoint_similarity

NEVER = -np.inf
"""The urgency of a joint that must not be clicked."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedPerson:
    """A person on an image as a strategy sees it.

    Attributes:
        predicted: float64 [K, 2] pixels, the present state; NaN is a joint that is missing.
        keypoint_score: float64 [K]; NaN where the prediction gives none.
        labelled: float64 [K, 2] pixels; means nothing where no label is, and such joints are
            never clicked whatever their urgency.
        clicked: bool [K], joints clicked before.
        area: square pixels, of the label.
        image_size: width, height in pixels.
        place: of the image in its set and of the person on the image.
    """

    predicted: Floats
    keypoint_score: Floats
    labelled: Floats
    clicked: NDArray[np.bool_]
    area: float
    image_size: tuple[int, int]
    place: tuple[int, int]


class ClickStrategy(Protocol):
    """The order in which joints are clicked."""

    def __call__(self, person: MatchedPerson, /) -> Floats:
        """Urgency [K] of each joint: the highest goes first; ``NEVER`` is not clicked."""
        ...


def worst_l1(person: MatchedPerson) -> Floats:
    """|dx| / width + |dy| / height: the order of Click-Pose's code.

    Not the largest error in OKS, and dependent on the aspect ratio of the image.

    Raises:
        UsageError: if the size of the image is unknown.
    """
    if min(person.image_size) < 1:
        raise UsageError(
            f"Expected an image size in pixels for 'worst_l1', got {person.image_size}.",
            hint="Choose worst_oks, or labels that state the size of their images.",
        )
    distance = (np.abs(person.predicted - person.labelled) / person.image_size).sum(-1)
    return np.asarray(np.where(np.isnan(distance), np.inf, distance))


def worst_oks(sigmas: Floats) -> ClickStrategy:
    """The joint with the smallest OKS term first; ``sigmas`` [K]."""

    def urgency(person: MatchedPerson) -> Floats:
        return -keypoint_similarity(
            person.predicted, person.labelled, area=np.asarray(person.area), sigmas=sigmas
        )

    return urgency


def low_score(person: MatchedPerson) -> Floats:
    """The least confident joint first, missing ones before all; none twice.

    Raises:
        UsageError: if a joint has a position and no score.
    """
    missing = np.isnan(person.predicted).any(-1)
    if np.isnan(person.keypoint_score[~missing]).any():
        raise UsageError(
            "Expected predictions with 'keypoint_score' for the strategy 'low_score', "
            f"got {person.keypoint_score.tolist()}."
        )
    urgency = np.where(missing, np.inf, -person.keypoint_score)
    return np.where(person.clicked, NEVER, urgency)


def random_joint(seed: int) -> ClickStrategy:
    """Every joint once, in an order drawn for each person.

    The order depends on ``seed`` and on the person's place in the set only, not on what was
    simulated before.
    """

    def urgency(person: MatchedPerson) -> Floats:
        draw = np.random.default_rng([seed, *person.place]).random(len(person.clicked))
        return np.where(person.clicked, NEVER, draw)

    return urgency
