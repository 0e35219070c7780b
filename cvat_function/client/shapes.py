"""Skeletons on single frames, which annotators draw without tracks: anchors as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cvat_function.client.labels import SkeletonLabel
from cvat_function.client.persons import Keyframe, Person, attribute
from cvat_function.client.record import HUMAN


def with_shapes(
    persons: Sequence[Person], annotations: Mapping[str, Any], label: SkeletonLabel
) -> tuple[list[Person], int]:
    """``persons`` with the skeleton shapes that bear their ``id``, and how many bear none.

    A shape says where its person is on its frame, unless their track has a human's keyframe
    there. Who has no track gets one. The shapes themselves stay.
    """
    found = {person.identity: person for person in persons}
    nameless = 0
    for shape in annotations.get("shapes", ()):
        if shape["label_id"] != label.number:
            continue
        identity = attribute(shape.get("attributes", ()), label.specs.get("id")).strip()
        if not identity:
            nameless += 1
            continue
        person = found.get(identity) or Person(
            identity=identity,
            track=None,
            joints=tuple({} for _ in label.joints),
            parents={},
            confirmed=frozenset(),
        )
        found[identity] = _with(person, shape, label)
    return list(found.values()), nameless


def _with(person: Person, shape: Mapping[str, Any], label: SkeletonLabel) -> Person:
    frame = int(shape["frame"])
    there = [joint[frame] for joint in person.joints if frame in joint]
    if any(one.kind in (None, HUMAN) for one in there):
        return person
    joints = [dict(joint) for joint in person.joints]
    for element in shape.get("elements", ()):
        if element["label_id"] in label.joints:
            joints[label.joints.index(element["label_id"])][frame] = Keyframe(
                shape={
                    "type": "points",
                    "frame": frame,
                    "points": element["points"],
                    "occluded": bool(element.get("occluded")),
                    "outside": bool(element.get("outside")),
                    "z_order": int(element.get("z_order", 0)),
                    "rotation": 0.0,
                    "attributes": [],
                },
                kind=None,
            )
    return replace(person, joints=tuple(joints), confirmed=person.confirmed | {frame})
