"""The persons of one frame of X-AnyLabeling: who placed which joint, and putting poses in place.

A joint is a human's if nobody noted otherwise, if it is not where it was put any more, or if
the frame is checked. Everything else was made here, and may be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.io.coco.conventions import MAX_COORDINATE, ORIGINS, box_of
from impose_core.io.documents import VideoInfo
from impose_core.io.json_fields import Json, as_integer, as_list, as_number, as_object, bad_field
from impose_core.io.xanylabeling_frame import KEY, LARGEST_ID, FrameLabels, Shape, new_shape
from impose_core.marks import UNMARKED, Mark
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import Skeleton

PERSON: Final = "person"
"""Label of the rectangle around somebody."""
DIGITS: Final = 3
"""Of coordinates that no human gave: a thousandth of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """One person on one frame, K joints; pixels as everywhere.

    Attributes:
        xy: float64 [K, 2]; NaN where there is no joint.
        visibility: uint8 [K], occluded or visible where there is a joint.
        origin: uint8 [K], :class:`Origin`.
        seed: bool [K]: no human's, and yet what estimates go on from.
        deviation: float64 [K] pixels, NaN where unknown.
        score: float64 [K], NaN where unknown.
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    seed: NDArray[np.bool_]
    deviation: NDArray[np.float64]
    score: NDArray[np.float64]

    @classmethod
    def unknown(cls, keypoints: int) -> Pose:
        """Nothing known; to be filled in place."""
        return cls(
            xy=np.full((keypoints, 2), np.nan),
            visibility=np.zeros(keypoints, np.uint8),
            origin=np.zeros(keypoints, np.uint8),
            seed=np.zeros(keypoints, bool),
            deviation=np.full(keypoints, np.nan),
            score=np.full(keypoints, np.nan),
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """[K]: there is a joint."""
        return np.asarray(np.isfinite(self.xy).all(-1))

    @property
    def human(self) -> NDArray[np.bool_]:
        """[K]: a human placed it."""
        return np.asarray(self.known & (self.origin == Origin.HUMAN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Joints that are not there from a frame on, until shown next.

    Attributes:
        origin: who says so, ``HUMAN`` or ``DETECTED``.
        joints: bool [K].
    """

    origin: Origin
    joints: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a frame says of one person.

    Attributes:
        pose: the joints shown.
        places: of each joint's shape in the frame's shapes, by index on the K axis.
        rectangle: place of the box's shape.
        box: float64 [4] xyxy pixels, if a human drew it; else NaN.
        gone: joints said to be gone.
    """

    pose: Pose
    places: Mapping[int, int]
    rectangle: int | None
    box: NDArray[np.float64]
    gone: tuple[Gone, ...] = ()

    def mark(self) -> Mark:
        """What is fixed here: human joints and boxes, seeds, and who is gone."""
        pose, mark = self.pose, Mark.blank(len(self.pose.xy))
        for gone in self.gone:
            # a human's word stands before a detector's
            new = gone.joints & ((mark.visibility == UNMARKED) | (gone.origin == Origin.HUMAN))
            mark.visibility[new], mark.origin[new] = Visibility.ABSENT, gone.origin
        fixed = pose.human | (pose.known & pose.seed)
        mark.xy[fixed] = pose.xy[fixed]
        mark.visibility[fixed], mark.origin[fixed] = pose.visibility[fixed], pose.origin[fixed]
        mark.box[:] = self.box
        return mark


def people_of(labels: FrameLabels, skeleton: Skeleton) -> dict[int, Person]:
    """Everybody a frame speaks of, by id.

    Raises:
        BadDocument: if a joint is not as it should be; the message names the field.
    """
    gone = _gone_of(labels.impose, skeleton)
    left = as_object(labels.impose.get("joints") or {}, f"{KEY}.joints")
    people: dict[int, Person] = {}
    for identity, places in labels.by_person.items():
        person = _person(labels, places, skeleton)
        if not person.places and person.rectangle is None:
            continue
        deleted = _deleted(left.get(str(identity)), person, skeleton, f"{KEY}.joints.{identity}")
        said = (*gone.pop(identity, ()), *deleted)
        people[identity] = replace(person, gone=said)
    for identity, said in gone.items():
        nobody = Person(
            pose=Pose.unknown(len(skeleton)), places={}, rectangle=None, box=np.full(4, np.nan)
        )
        people[identity] = replace(nobody, gone=said)
    return people


def _person(labels: FrameLabels, places: list[int], skeleton: Skeleton) -> Person:
    joints: dict[int, int] = {}
    rectangle, box, pose = None, np.full(4, np.nan), Pose.unknown(len(skeleton))
    for i in places:
        shape, where = labels.shapes[i], f"shapes[{i}]"
        if shape.kind == "rectangle":
            if shape.label != PERSON:
                continue
            if rectangle is not None:
                raise bad_field(f"{where}.group_id", f"of one '{PERSON}' only", shape.person)
            rectangle = i
            corners = _corners(shape, where)
            if labels.checked or shape.impose.get("box_xyxy") != corners.tolist():
                box = corners
        elif shape.label in skeleton.keypoints:
            k = skeleton.index(shape.label)
            if k in joints:
                raise bad_field(f"{where}.label", f"once in group {shape.person}", shape.label)
            joints[k] = i
            _read_joint(pose, k, shape, where, checked=labels.checked)
    return Person(pose=pose, places=joints, rectangle=rectangle, box=box)


def _read_joint(pose: Pose, k: int, shape: Shape, where: str, *, checked: bool) -> None:
    point = as_list(shape.item.get("points"), f"{where}.points", 1, "point")[0]
    pose.xy[k] = _position(point, f"{where}.points[0]")
    difficult = shape.item.get("difficult") or False
    if not isinstance(difficult, bool):
        raise bad_field(f"{where}.difficult", "true or false", difficult)
    pose.visibility[k] = Visibility.OCCLUDED if difficult else Visibility.VISIBLE
    noted = shape.impose
    origin = ORIGINS.get(str(noted.get("origin")), Origin.HUMAN)
    untouched = noted.get("xy") == pose.xy[k].tolist() and noted.get("difficult") is difficult
    if checked or not untouched or origin == Origin.NONE:
        origin = Origin.HUMAN
    pose.origin[k] = origin
    if origin == Origin.HUMAN:
        pose.deviation[k], pose.score[k] = 0.0, 1.0
        return
    pose.seed[k] = noted.get("seed") is True
    if noted.get("deviation") is not None:
        pose.deviation[k] = as_number(noted["deviation"], f"{where}.{KEY}.deviation", 0.0)
    if shape.item.get("score") is not None:
        pose.score[k] = as_number(shape.item["score"], f"{where}.score")


def _position(point: Any, where: str) -> list[float]:
    pair = as_list(point, where, 2, "(x, y)")
    return [
        as_number(value, f"{where}[{axis}]", -MAX_COORDINATE, MAX_COORDINATE)
        for axis, value in enumerate(pair)
    ]


def _corners(shape: Shape, where: str) -> NDArray[np.float64]:
    """Two opposite corners in LabelMe, all four in X-AnyLabeling."""
    points = as_list(shape.item.get("points"), f"{where}.points")
    if len(points) not in (2, 4):
        raise bad_field(f"{where}.points", "a list of 2 or 4 points", f"{len(points)} entries")
    corners = np.array([_position(p, f"{where}.points[{i}]") for i, p in enumerate(points)])
    return np.concatenate([corners.min(0), corners.max(0)])


def _deleted(left: Any, person: Person, skeleton: Skeleton, where: str) -> tuple[Gone, ...]:
    """Joints that were left here and are missing, of somebody who still is there."""
    if left is None or not person.places:
        return ()
    missing = np.zeros(len(skeleton), bool)
    for name in as_list(left, where):
        if name in skeleton.keypoints:
            missing[skeleton.index(name)] = True
    missing[list(person.places)] = False
    return (Gone(origin=Origin.HUMAN, joints=missing),) if missing.any() else ()


def _gone_of(noted: Json, skeleton: Skeleton) -> dict[int, tuple[Gone, ...]]:
    found: dict[int, tuple[Gone, ...]] = {}
    for i, value in enumerate(as_list(noted.get("gone") or [], f"{KEY}.gone")):
        where = f"{KEY}.gone[{i}]"
        item = as_object(value, where)
        identity = as_integer(item.get("person"), f"{where}.person", 0, LARGEST_ID)
        origin = ORIGINS.get(str(item.get("origin")))
        if origin not in (Origin.HUMAN, Origin.DETECTED):
            raise bad_field(f"{where}.origin", "'human' or 'detected'", item.get("origin"))
        joints = np.ones(len(skeleton), bool)
        if item.get("joints") is not None:
            named = as_list(item["joints"], f"{where}.joints")
            joints = np.array([name in named for name in skeleton.keypoints], bool)
        found[identity] = (*found.get(identity, ()), Gone(origin=origin, joints=joints))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What is to stand on a frame of one person.

    Attributes:
        pose: its joints; those of humans are not looked at.
        gone: what a detector says of it from here on; None: what it said before.
    """

    pose: Pose
    gone: tuple[Gone, ...] | None = None


def with_people(
    labels: FrameLabels, people: Mapping[int, Placed], skeleton: Skeleton, video: VideoInfo
) -> FrameLabels:
    """The frame with these persons' joints in place of those that were no human's.

    Human joints and boxes stay as they are, other persons and other shapes too. Joints that
    ``people`` does not place any more are taken away.

    Raises:
        BadDocument: as :func:`people_of`.
    """
    here = people_of(labels, skeleton)
    shapes: dict[int, Shape | None] = dict(enumerate(labels.shapes))
    more: list[Shape] = []
    for identity, placed in people.items():
        person = here.get(identity)
        _place(shapes, more, identity, person, placed.pose, skeleton)
        _place_box(shapes, more, identity, person, placed.pose, video)
    after = labels.with_shapes(
        [*(s for s in shapes.values() if s is not None), *more], labels.impose
    )
    gone = {i: person.gone for i, person in here.items()}
    for identity, placed in people.items():
        if placed.gone is not None:
            gone[identity] = _merged(gone.get(identity, ()), placed.gone)
    return after.with_shapes(after.shapes, _noted(after, gone, skeleton))


def _place(
    shapes: dict[int, Shape | None],
    more: list[Shape],
    identity: int,
    person: Person | None,
    pose: Pose,
    skeleton: Skeleton,
) -> None:
    for k, name in enumerate(skeleton.keypoints):
        place = None if person is None else person.places.get(k)
        if person is not None and person.pose.human[k]:
            continue
        old = None if place is None else shapes[place]
        shape = joint_shape(old, name, identity, pose, k) if pose.known[k] else None
        if place is not None:
            shapes[place] = shape
        elif shape is not None:
            more.append(shape)


def joint_shape(old: Shape | None, name: str, identity: int, pose: Pose, k: int) -> Shape:
    """The shape of joint ``k`` of ``pose``; ``old``, if there is one, with what is new."""
    human = pose.origin[k] == Origin.HUMAN
    xy = pose.xy[k].tolist() if human else np.round(pose.xy[k], DIGITS).tolist()
    difficult = bool(pose.visibility[k] == Visibility.OCCLUDED)
    score = None if np.isnan(pose.score[k]) else round(float(pose.score[k]), 4)
    noted: dict[str, Any] = {"origin": Origin(pose.origin[k]).name.lower(), "xy": xy}
    noted["difficult"] = difficult
    if not human and np.isfinite(pose.deviation[k]):
        noted["deviation"] = round(float(pose.deviation[k]), DIGITS)
    if not human and pose.seed[k]:
        noted["seed"] = True
    shape = old or new_shape("point", name, identity, [xy])
    return shape.changed(points=[xy], difficult=difficult, score=score, impose=noted)


def _place_box(
    shapes: dict[int, Shape | None],
    more: list[Shape],
    identity: int,
    person: Person | None,
    pose: Pose,
    video: VideoInfo,
) -> None:
    place = None if person is None else person.rectangle
    if person is not None and np.isfinite(person.box).all():
        return
    human = np.zeros(len(pose.xy), bool) if person is None else person.pose.human
    xy = pose.xy if person is None else np.where(human[:, None], person.pose.xy, pose.xy)
    box = box_of(xy, video)
    old = None if place is None else shapes[place]
    shape = box_shape(old, identity, box) if np.isfinite(box).all() else None
    if place is not None:
        shapes[place] = shape
    elif shape is not None:
        more.append(shape)


def box_shape(old: Shape | None, identity: int, box: NDArray[np.float64]) -> Shape:
    """The rectangle of a box [4] xyxy that no human drew; ``old``, if there is one, moved."""
    x1, y1, x2, y2 = box.tolist()
    points = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    noted = {"origin": "propagated", "box_xyxy": [x1, y1, x2, y2]}
    shape = old or new_shape("rectangle", PERSON, identity, points)
    return shape.changed(points=points, impose=noted)


def _merged(here: tuple[Gone, ...], new: tuple[Gone, ...]) -> tuple[Gone, ...]:
    """A human's word stays; a detector's is replaced."""
    return (*(g for g in here if g.origin == Origin.HUMAN), *new)


def _noted(
    labels: FrameLabels, gone: Mapping[int, tuple[Gone, ...]], skeleton: Skeleton
) -> dict[str, Any]:
    """The note of a frame: what of everybody is left there, and who is gone."""
    joints: dict[str, list[str]] = {}
    for identity, places in labels.by_person.items():
        names = [labels.shapes[i].label for i in places if labels.shapes[i].kind == "point"]
        shown = [name for name in skeleton.keypoints if name in names]
        if shown:
            joints[str(identity)] = shown
    entries: list[dict[str, Any]] = []
    for identity, said in sorted(gone.items()):
        for origin in (Origin.HUMAN, Origin.DETECTED):
            mask = np.zeros(len(skeleton), bool)
            for one in said:
                mask |= one.joints & (one.origin == origin)
            if not mask.any():
                continue
            entry: dict[str, Any] = {"person": identity, "origin": origin.name.lower()}
            if not mask.all():
                entry["joints"] = [skeleton.keypoints[k] for k in np.flatnonzero(mask)]
            entries.append(entry)
    rest = {key: value for key, value in labels.impose.items() if key not in ("joints", "gone")}
    return {**rest, "joints": joints, **({"gone": entries} if entries else {})}
