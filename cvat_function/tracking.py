"""The tracker's work: everybody of a request, on its image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cvat_function import boxes, state
from cvat_function.errors import BadRequest
from cvat_function.images import decoded
from cvat_function.requests import Begin, Continue, track_request
from cvat_function.shapes import Shape
from cvat_function.state import Carried, Person
from impose_core import online
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch, StateError
from impose_core.geometry import FAR_OUTSIDE
from impose_core.one_click import pose_in_box
from impose_core.poses import Visibility
from impose_core.skeleton import Skeleton

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

SEEN: Final = 0.1
"""Score from which a joint counts as read inside a box (as in ``readers/people.py``)."""
LEAST_PERSON: Final = 0.35
"""Mean score below which there is nobody in a box (as ``readers/movenet.py``)."""
RENEWED: Final = 0.5
"""A box's points are taken anew when fewer than this share of them is still seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """Answers requests; keeps nothing between them.

    Attributes:
        engine: the parts that look at pixels.
        skeleton: whose joints are meant where a request does not say.
        key: of the states' digests; empty for a plain checksum.
    """

    engine: Engine
    skeleton: Skeleton
    key: bytes = b""

    def answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a tracker call: shapes and states, in the request's order.

        A person that begins is answered as it came. Nobody is ever answered with null: who has
        left the image stays where it was last, outside.

        Raises:
            UsageError: if the request is not what CVAT sends.
            MediaError: if its image cannot be read.
            StateError: if a state is not one of this function's, or does not fit the image.
        """
        request = track_request(body, self.skeleton)
        before = {
            n: state.read(person.state, person.name, self.key)
            for n, person in enumerate(request.persons)
            if isinstance(person, Continue)
        }
        image = decoded(request.image)
        after = self._followed(before, image)
        shapes: list[Any] = []
        states: list[dict[str, Any]] = []
        for n, asked in enumerate(request.persons):
            if isinstance(asked, Begin):
                person = self._begun(asked.shape, image, n)
                shapes.append(asked.given)
            else:
                person = after[n]
                shapes.append(person.shape.written())
            states.append(state.written(person, f"shapes[{n}]", self.key))
        return {"shapes": shapes, "states": states}

    def _begun(self, shape: Shape, image: Image, n: int) -> Person:
        _check_near(shape, image, f"shapes[{n}]")
        if shape.box:
            return self._box_begun(shape, image, n)
        if shape.outside.all():
            return Person(shape=shape, carried=None, online=None)
        seen = online.start(
            image,
            track=n,
            xy=shape.xy,
            visible=~shape.occluded & ~shape.outside,
            keypoints=shape.names,
            engine=self.engine,
        )
        return Person(shape=shape, carried=None, online=seen)

    def _box_begun(self, shape: Shape, image: Image, n: int) -> Person:
        box = shape.points
        pose = self._pose_in(box, image)
        kind, xy = ("points", boxes.grid(box)) if pose is None else ("pose", pose)
        names = (
            self.skeleton.keypoints
            if kind == "pose"
            else tuple(f"point_{k}" for k in range(len(xy)))
        )
        seen = online.start(
            image,
            track=n,
            xy=xy,
            visible=np.asarray(np.isfinite(xy).all(-1)),
            keypoints=names,
            engine=self.engine,
        )
        carried = Carried(kind=kind, box=box, xy=xy)
        return Person(shape=shape, carried=carried, online=seen)

    def _pose_in(self, box: Floats, image: Image) -> Floats | None:
        """[K, 2] px: the person in ``box``, NaN where unknown; None if there is none."""
        if self.engine.reader is None:
            return None
        try:
            xy, score = pose_in_box(self.engine.reader, image, box.ravel(), skeleton=self.skeleton)
        except SkeletonMismatch:
            return None
        known = np.isfinite(xy).all(-1)
        if not known.any() or score[known].mean() < LEAST_PERSON:
            return None
        xy = np.where((score >= SEEN)[:, None], xy, np.nan)
        return xy if boxes.belongs(xy, box) else None

    def _followed(self, before: Mapping[int, Person], image: Image) -> dict[int, Person]:
        """Everybody on ``image``; those with equally many joints in one step."""
        after = {n: person for n, person in before.items() if person.online is None}
        alike: dict[int, list[int]] = defaultdict(list)
        for n, person in before.items():
            if person.online is not None:
                alike[len(person.online["xy"])].append(n)
        for together in alike.values():
            persons = [before[n] for n in together]
            poses, states = self._step(persons, together, image)
            for row, n in enumerate(together):
                after[n] = self._moved(
                    before[n], poses.xy[row], poses.visibility[row], states[row], image
                )
        return after

    def _step(
        self, persons: Sequence[Person], places: Sequence[int], image: Image
    ) -> tuple[online.OnlinePoses, list[dict[str, Any]]]:
        states = [person.online for person in persons if person.online is not None]
        try:
            return online.step(image, list(states), engine=self.engine)
        except StateError as error:
            listed = ", ".join(f"states[{n}].online" for n in places)
            raise StateError(f"{error.message} ({listed})", hint=error.hint) from error

    def _moved(
        self,
        person: Person,
        xy: Floats,
        visibility: NDArray[np.uint8],
        seen: dict[str, Any],
        image: Image,
    ) -> Person:
        if person.carried is not None:
            return self._box_moved(person, person.carried, xy, visibility, seen, image)
        absent = visibility == Visibility.ABSENT
        shape = replace(
            person.shape,
            points=np.where(absent[:, None], person.shape.points, xy),
            outside=absent,
            occluded=visibility == Visibility.OCCLUDED,
        )
        return Person(shape=shape, carried=None, online=seen)

    def _box_moved(
        self,
        person: Person,
        carried: Carried,
        xy: Floats,
        visibility: NDArray[np.uint8],
        seen: dict[str, Any],
        image: Image,
    ) -> Person:
        height, width = image.shape[:2]
        around = boxes.around_pose if carried.kind == "pose" else boxes.around_points
        whole = around(carried.box, carried.xy, xy)
        box = None if whole is None else boxes.clipped(whole, width=width, height=height)
        if whole is None or box is None:
            gone = replace(person.shape, outside=np.ones(2, bool), occluded=np.zeros(2, bool))
            return Person(shape=gone, carried=carried, online=None)
        visible = visibility == Visibility.VISIBLE
        shape = replace(
            person.shape,
            points=box,
            outside=np.zeros(2, bool),
            occluded=np.full(2, not visible.any()),
        )
        if carried.kind == "points" and visible.any() and visible.mean() < RENEWED:
            again = self._box_begun(shape, image, int(seen["track"]))
            # the answer stays: what is occluded now is still that box
            return replace(again, shape=shape)
        return Person(shape=shape, carried=carried, online=seen)


def _check_near(shape: Shape, image: Image, name: str) -> None:
    """A point far outside the image is a mistake."""
    size = np.array(image.shape[1::-1])
    far = ((shape.points < -FAR_OUTSIDE * size) | (shape.points > (1 + FAR_OUTSIDE) * size)).any(-1)
    if far.any():
        point = shape.points[int(far.argmax())].tolist()
        raise BadRequest(
            f"Expected the points of '{name}' to be on or near the image of {size[0]} x {size[1]} "
            f"pixels, got {point}."
        )
