"""One image, clicked and refined again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.alignment import align
from impose_core.evaluation.click_matching import Matching
from impose_core.evaluation.click_strategies import (
    NEVER,
    ClickStrategy,
    MatchedPerson,
    worst_l1,
)
from impose_core.evaluation.conventions import with_areas
from impose_core.evaluation.oks import Floats
from impose_core.pose_sets import Instances, LabelledFrame, PoseSet
from impose_core.poses import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageKey:
    """Which image it is.

    Attributes:
        sequence: name of the sequence.
        index: frame in it.
        file_name: as the labels give it, "" if they give none.
        width: pixels, 0 if unknown.
        height: pixels, likewise.
    """

    sequence: str
    index: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clicks:
    """C clicks on one image.

    Attributes:
        person: int64 [C], index among the persons of the image.
        joint: int64 [C].
        xy: float64 [C, 2] pixels, where they were put.
    """

    person: NDArray[np.int64]
    joint: NDArray[np.int64]
    xy: Floats

    def __len__(self) -> int:
        """Number of clicks."""
        return len(self.person)


class Refiner(Protocol):
    """A model that takes clicks into account."""

    def __call__(self, persons: Instances, clicks: Clicks, image: ImageKey, /) -> Instances:
        """The persons after ``clicks``; ``persons`` are those before them.

        Must return as many persons in the same order, and must not change ``persons``.
        Where the clicked joints end up is the refiner's doing.
        """
        ...


def place_clicks(
    persons: Instances,
    clicks: Clicks,
    image: ImageKey,  # noqa: ARG001 # a Refiner is told, and this one needs no pixels
) -> Instances:
    """Manual correction: clicked joints move, boxes grow to hold them, nothing else happens."""
    xy, visibility, box = persons.xy.copy(), persons.visibility.copy(), persons.box.copy()
    xy[clicks.person, clicks.joint] = clicks.xy
    visibility[clicks.person, clicks.joint] = Visibility.VISIBLE
    np.minimum.at(box[:, :2], clicks.person, clicks.xy)
    np.maximum.at(box[:, 2:], clicks.person, clicks.xy)
    return replace(persons, xy=xy, visibility=visibility, box=box)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickProtocol:
    """How the simulated annotator and the model work together.

    Attributes:
        matching: who is who, once per image.
        strategy: which joint is next.
        refine: what the model makes of the clicks.
        loop: "progressive" clicks and refines again and again; "once" puts the k most urgent
            clicks of the first state together and refines once.
        freeze_clicked: whether clicked joints stay where they were put, whatever the refiner
            says. Click-Pose's code lets them drift.
    """

    matching: Matching
    strategy: ClickStrategy = worst_l1
    refine: Refiner = place_clicks
    loop: Literal["progressive", "once"] = "progressive"
    freeze_clicked: bool = True

    def __post_init__(self) -> None:
        if self.loop not in ("progressive", "once"):
            raise UsageError(f"Expected 'loop' to be 'progressive' or 'once', got {self.loop!r}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClickedImage:
    """An image with its first prediction and its labels.

    Attributes:
        key: which image.
        place: among the images of the set.
        predicted: the state before any click.
        labels: the frame as labelled.
    """

    key: ImageKey
    place: int
    predicted: Instances
    labels: LabelledFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """An image after some clicks per person.

    Attributes:
        persons: the state.
        clicks: what was clicked since the round before (in the loop "once": since the first
            state).
    """

    persons: Instances
    clicks: Clicks


def images_of(labels: PoseSet, predictions: PoseSet) -> list[ClickedImage]:
    """The labelled frames of ``labels``, each with what is predicted on it (maybe nobody).

    Areas the labels lack are derived (:func:`~impose_core.evaluation.conventions.with_areas`).

    Raises:
        SkeletonMismatch: if no keypoint name is in both sets.
        UsageError: if the sets do not fit.
    """
    labels, _ = with_areas(labels)
    found = align(predictions, labels)
    pairs = [pair for pair in zip(labels, found, strict=True) if pair[0][1].labelled]
    return [
        ClickedImage(
            key=ImageKey(
                sequence=sequence.name,
                index=frame.index,
                file_name=frame.file_name,
                width=sequence.width,
                height=sequence.height,
            ),
            place=place,
            predicted=predicted.instances,
            labels=frame,
        )
        for place, ((sequence, frame), (_, predicted)) in enumerate(pairs)
    ]


def image_rounds(image: ClickedImage, protocol: ClickProtocol) -> Iterator[Round]:
    """The image after 0, 1, 2, ... clicks on every matched person, without end."""
    annotator = _Annotator(image, protocol)
    persons = image.predicted
    yield Round(persons=persons, clicks=_no_clicks())
    for k in count(1):
        if protocol.loop == "once":
            annotator.forget()
            persons, wanted = image.predicted, k
        else:
            wanted = 1
        clicks = annotator.clicks(persons, wanted)
        if len(clicks):
            persons = annotator.refined(persons, clicks)
        yield Round(persons=persons, clicks=clicks)


class _Annotator:
    """Clicks where the labels are, and remembers where it did."""

    def __init__(self, image: ClickedImage, protocol: ClickProtocol) -> None:
        labels, predicted = image.labels.instances, image.predicted
        size = (image.key.width, image.key.height)
        self._image, self._protocol = image, protocol
        self._pairs = protocol.matching(predicted, labels, size)
        found, meant = self._pairs.T
        self._truth = np.full_like(predicted.xy, np.nan)
        self._truth[found] = np.where(labels.visibility[meant, :, None] > 0, labels.xy[meant], 0)
        self._may = np.zeros(predicted.visibility.shape, bool)
        self._may[found] = labels.visibility[meant] > 0
        self._clicked = np.zeros_like(self._may)

    def forget(self) -> None:
        """Start anew: nothing was clicked."""
        self._clicked[:] = False

    def clicks(self, persons: Instances, wanted: int) -> Clicks:
        """The ``wanted`` most urgent clicks on every matched person, fewer if it has fewer."""
        joints = [self._joints(persons, d, g)[:wanted] for d, g in self._pairs.tolist()]
        person = np.repeat(self._pairs[:, 0], [len(one) for one in joints])
        joint = np.concatenate([*joints, np.zeros(0, np.int64)])
        return Clicks(person=person, joint=joint, xy=self._truth[person, joint])

    def _joints(self, persons: Instances, d: int, g: int) -> NDArray[np.int64]:
        urgency = self._protocol.strategy(
            MatchedPerson(
                predicted=persons.xy[d],
                keypoint_score=persons.keypoint_score[d],
                labelled=self._truth[d],
                clicked=self._clicked[d],
                area=float(self._image.labels.instances.area[g]),
                image_size=(self._image.key.width, self._image.key.height),
                place=(self._image.place, d),
            )
        )
        urgency = np.where(self._may[d], urgency, NEVER)
        order = np.argsort(-urgency, kind="stable")
        return order[urgency[order] > NEVER]

    def refined(self, persons: Instances, clicks: Clicks) -> Instances:
        """The persons after ``clicks``."""
        self._clicked[clicks.person, clicks.joint] = True
        after = self._protocol.refine(persons, clicks, self._image.key)
        if after.xy.shape != persons.xy.shape:
            raise UsageError(
                f"Expected a refiner to return poses of shape {persons.xy.shape}, "
                f"got {after.xy.shape}."
            )
        if not self._protocol.freeze_clicked:
            return after
        return replace(after, xy=np.where(self._clicked[..., None], self._truth, after.xy))


def _no_clicks() -> Clicks:
    none = np.zeros(0, np.int64)
    return Clicks(person=none, joint=none, xy=np.zeros((0, 2)))
