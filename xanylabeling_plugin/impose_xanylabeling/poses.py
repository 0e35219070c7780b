"""Shapes of persons, as plain JSON objects: which joints moved, and how answers take their place.

The key of a joint or box is (person, label, kind): its ``group_id``, ``label``, ``shape_type``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]
Key = tuple[int, str, str]
PERSON: Final = "person"
UNCERTAIN: Final = 0.1
"""Share of a body from which a joint's deviation makes it uncertain."""


def key_of(shape: Mapping[str, Any]) -> Key | None:
    """Whose joint or box it is; None if it belongs to nobody."""
    person, label, kind = shape.get("group_id"), shape.get("label"), shape.get("shape_type")
    if type(person) is not int or not isinstance(label, str):
        return None
    if kind == "point" or (kind == "rectangle" and label == PERSON):
        return person, label, str(kind)
    return None


def by_key(shapes: Iterable[Json]) -> dict[Key, Json]:
    """Joints and boxes of persons; of doubles the first."""
    found: dict[Key, Json] = {}
    for shape in shapes:
        key = key_of(shape)
        if key is not None:
            found.setdefault(key, shape)
    return found


def positions(shape: Mapping[str, Any]) -> list[list[float]]:
    """Its points as plain lists."""
    return [[float(x), float(y)] for x, y in shape["points"]]


def moved_joints(
    before: Iterable[Json], after: Iterable[Json], keypoints: Collection[str]
) -> dict[int, dict[str, list[float]]]:
    """Person -> joint -> where it was, of the joints that are elsewhere ``after``.

    A person whose joints all moved by the same way was carried, not corrected: left out.
    """
    old = by_key(before)
    moved: dict[int, dict[str, list[float]]] = {}
    steps: dict[int, set[tuple[float, float]]] = {}
    count: dict[int, int] = {}
    for key, shape in by_key(after).items():
        person, label, kind = key
        if kind != "point" or label not in keypoints:
            continue
        count[person] = count.get(person, 0) + 1
        if key not in old:
            continue
        (x, y), (was_x, was_y) = positions(shape)[0], positions(old[key])[0]
        if (x, y) != (was_x, was_y):
            moved.setdefault(person, {})[label] = [was_x, was_y]
            steps.setdefault(person, set()).add((round(x - was_x, 3), round(y - was_y, 3)))
    return {
        person: joints
        for person, joints in moved.items()
        if not (len(joints) == count[person] > 1 and len(steps[person]) == 1)
    }


def still_wanted(answer: Iterable[Json], asked: Iterable[Json], now: Iterable[Json]) -> list[Json]:
    """Of ``answer`` what concerns shapes that are as they were when it was ``asked``.

    A joint that was moved, flagged or deleted in the meantime is the human's.
    """
    then, current = by_key(asked), by_key(now)

    def untouched(key: Key) -> bool:
        a, b = then.get(key), current.get(key)
        return a is b if a is None or b is None else _same(a, b)

    wanted = []
    for shape in answer:
        key = key_of(shape)
        if key is not None and untouched(key):
            wanted.append(shape)
    return wanted


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    same_flag = bool(a.get("difficult")) == bool(b.get("difficult"))
    return positions(a) == positions(b) and same_flag


def missing_in(answer: Iterable[Json], asked: Iterable[Json], now: Iterable[Json]) -> set[Key]:
    """What was there when it was ``asked``, is as it was, and is not in ``answer``."""
    said, then, current = by_key(answer), by_key(asked), by_key(now)
    return {
        key for key in then if key not in said and key in current and _same(then[key], current[key])
    }


def persons_in(shapes: Iterable[Json]) -> list[int]:
    """Ids of who is there, in order."""
    return sorted({person for person, _, kind in by_key(shapes) if kind == "point"})


def body_size(points: Sequence[Sequence[float]]) -> float:
    """Pixels: the root of the area of the box around ``points``, or its longer side."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return max(math.sqrt(width * height), max(width, height) / 2)


def is_human(shape: Mapping[str, Any]) -> bool:
    """Whether a human placed or flagged this joint (docs/service.md, Shapes)."""
    said = shape.get("impose")
    if not isinstance(said, Mapping) or said.get("origin") == "human":
        return True
    xy = said.get("xy")
    here = positions(shape)[0]
    moved = xy is None or [float(v) for v in xy] != here
    return moved or bool(shape.get("difficult")) != bool(said.get("difficult"))


def is_uncertain(shape: Mapping[str, Any], body: float) -> bool:
    """Whether the tool does not know well where this joint is; ``body`` in pixels."""
    said = shape.get("impose")
    if is_human(shape) or not isinstance(said, Mapping):
        return False
    deviation = said.get("deviation")
    return isinstance(deviation, int | float) and deviation > UNCERTAIN * body
