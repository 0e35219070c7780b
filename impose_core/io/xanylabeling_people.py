"""The persons of one frame of X-AnyLabeling, and who placed which joint.

A joint is a human's if nobody noted otherwise, if it is not where it was put any more, or if
the frame is checked. Everything else was made here, and may be replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.io.coco.conventions import MAX_COORDINATE, ORIGINS
from impose_core.io.json_fields import Json, as_integer, as_list, as_number, as_object, bad_field
from impose_core.io.xanylabeling_frame import KEY, LARGEST_ID, FrameLabels, Shape
from impose_core.marks import UNMARKED, Mark
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import Skeleton

PERSON: Final = "person"
"""Label of the rectangle around somebody."""


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
