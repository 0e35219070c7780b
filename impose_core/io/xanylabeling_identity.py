"""Who is who in one frame of X-AnyLabeling: ids changed, and nothing but ids."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from impose_core.io.xanylabeling_frame import FrameLabels, Shape
from impose_core.io.xanylabeling_people import PERSON, people_of
from impose_core.poses import Origin
from impose_core.skeleton import Skeleton


def is_of_person(shape: Shape, skeleton: Skeleton) -> bool:
    """True if the shape is a joint or the box of somebody; all others are foreign."""
    if shape.person is None:
        return False
    if shape.kind == "point":
        return shape.label in skeleton.keypoints
    return shape.kind == "rectangle" and shape.label == PERSON


def renamed(labels: FrameLabels, names: Mapping[int, int], skeleton: Skeleton) -> FrameLabels:
    """The frame with persons called by the new ids of ``names``; it must be one to one here."""
    shapes = [
        shape.changed(group_id=names[shape.person])
        if shape.person is not None and shape.person in names and is_of_person(shape, skeleton)
        else shape
        for shape in labels.shapes
    ]
    noted = dict(labels.impose)
    if "joints" in noted:
        of = {str(old): str(new) for old, new in names.items()}
        noted["joints"] = {of.get(key, key): value for key, value in noted["joints"].items()}
    if "gone" in noted:
        noted["gone"] = [
            {**entry, "person": names.get(entry["person"], entry["person"])}
            for entry in noted["gone"]
        ]
    return labels.with_shapes(shapes, noted)


def without(labels: FrameLabels, persons: Set[int], skeleton: Skeleton) -> FrameLabels:
    """The frame without anything of ``persons``."""
    shapes = [
        shape
        for shape in labels.shapes
        if not (shape.person in persons and is_of_person(shape, skeleton))
    ]
    noted = dict(labels.impose)
    if "joints" in noted:
        theirs = {str(person) for person in persons}
        left = noted["joints"].items()
        noted["joints"] = {key: value for key, value in left if key not in theirs}
    return without_gone(labels.with_shapes(shapes, noted), persons)


def without_gone(labels: FrameLabels, persons: Set[int]) -> FrameLabels:
    """The frame without a word that ``persons`` are gone."""
    if "gone" not in labels.impose:
        return labels
    noted = dict(labels.impose)
    entries = [entry for entry in noted.pop("gone") if entry["person"] not in persons]
    return labels.with_shapes(labels.shapes, {**noted, **({"gone": entries} if entries else {})})


def with_gone(labels: FrameLabels, person: int) -> FrameLabels:
    """The frame with a human's word that ``person`` is not there from here on."""
    entries = without_gone(labels, {person}).impose.get("gone", [])
    gone = [*entries, {"person": person, "origin": Origin.HUMAN.name.lower()}]
    return labels.with_shapes(labels.shapes, {**labels.impose, "gone": gone})


def seeded(labels: FrameLabels, persons: Set[int], skeleton: Skeleton) -> FrameLabels:
    """The frame with all joints of ``persons`` made such that estimates go on from them.

    Raises:
        BadDocument: if a joint is not as it should be.
    """
    shapes = list(labels.shapes)
    for identity, person in people_of(labels, skeleton).items():
        for k, place in person.places.items():
            if identity in persons and not person.pose.human[k]:
                noted: dict[str, Any] = {**shapes[place].impose, "seed": True}
                shapes[place] = shapes[place].changed(impose=noted)
    return labels.with_shapes(shapes, labels.impose)
