"""Putting poses in place on a frame of X-AnyLabeling; what humans placed there stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.io.coco.conventions import box_of
from impose_core.io.documents import VideoInfo
from impose_core.io.xanylabeling_frame import FrameLabels, Shape, new_shape
from impose_core.io.xanylabeling_people import PERSON, Gone, Person, Pose, people_of
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import Skeleton

DIGITS: Final = 3
"""Of coordinates that no human gave: a thousandth of a pixel."""


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
        BadDocument: as :func:`~impose_core.io.xanylabeling_people.people_of`.
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
