"""What the client keeps of a person between two images: plain JSON, any worker can go on with it.

Around the state of :mod:`impose_core.online` it holds the form CVAT's shape came in and what the
shape carried besides. The client may do with it as it likes, so everything is checked when it
comes back: a digest of the whole first, then field by field. The digest keeps mistakes out; with
``IMPOSE_STATE_KEY`` in the function's environment (the same for every worker) it is an HMAC that
nobody without the key can make.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from cvat_function.errors import BadRequest, TooLarge
from cvat_function.fields import label_name, listed, number, plain, shown
from cvat_function.limits import (
    KEYPOINTS,
    SHAPE_BYTES,
    STATE_BYTES,
    with_keypoints,
)
from cvat_function.shapes import FORMS, Shape
from impose_core.errors import StateError

FORMAT: Final = "impose-cvat-tracker"
VERSION: Final = 1
KEYS: Final = {
    *("format", "version", "form", "rest", "box", "names", "points", "outside", "occluded"),
    *("carried", "start_box", "start_xy", "online", "check"),
}
CARRIED: Final = ("pose", "points")
"""What a box goes with: the pose inside it, or points all over it."""
QUALITIES: Final = (80, 60, 40, 20)
"""Of the picture in a state, tried in turn where it is too large as it is."""
_NODES: Final = 20_000
"""Values within a state of this function, at most."""
_DEPTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a box goes with.

    Attributes:
        kind: one of ``CARRIED``.
        box: [2, 2] px, two corners, where it all began.
        xy: [J, 2] px of what it goes with, there; NaN where unknown.
    """

    kind: str
    box: NDArray[np.float64]
    xy: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody between two images.

    Attributes:
        shape: as last answered.
        carried: of a box; None of a pose.
        online: the state of :mod:`impose_core.online`; None if there is nothing to follow.
    """

    shape: Shape
    carried: Carried | None
    online: Mapping[str, Any] | None


def written(person: Person, name: str, key: bytes = b"") -> dict[str, Any]:
    """The JSON object for the client.

    Raises:
        TooLarge: if it would take too many bytes.
    """
    shape, carried = person.shape, person.carried
    state: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "form": shape.form,
        "rest": shape.rest,
        "box": shape.box,
        "names": list(shape.names),
        "points": _pairs(shape.points),
        "outside": shape.outside.tolist(),
        "occluded": shape.occluded.tolist(),
        "carried": carried.kind if carried else None,
        "start_box": _pairs(carried.box) if carried else None,
        "start_xy": _pairs(carried.xy) if carried else None,
        "online": None if person.online is None else dict(person.online),
    }
    most = with_keypoints(STATE_BYTES, len(shape.points))
    for quality in QUALITIES:
        if len(json.dumps(state)) + 80 <= most or state["online"] is None:
            break
        state["online"]["picture"] = _at_quality(state["online"]["picture"], quality)
    if len(json.dumps(state)) + 80 > most:
        raise TooLarge(
            f"Expected the state of '{name}' to take at most {most} bytes, got more: "
            "its shape carries too much besides its points."
        )
    return {**state, "check": digest(state, key)}


def read(state: Mapping[str, Any], name: str, key: bytes = b"") -> Person:
    """The person of a state this function gave.

    The ``online`` part is validated by who continues it.

    Raises:
        StateError: if it is of another function or version, or was changed; naming the field.
    """
    for field, expected in (("format", FORMAT), ("version", VERSION)):
        if state.get(field) != expected or isinstance(state.get(field), bool):
            raise StateError(
                f"Expected '{name}.{field}' to be {expected!r}, got {shown(state.get(field))}.",
                hint="Start tracking this person again: the state is of another function.",
            )
    unknown, absent = set(state) - KEYS, KEYS - set(state)
    if unknown or absent:
        raise StateError(
            f"Expected '{name}' to hold exactly {sorted(KEYS)}, got {shown(sorted(unknown))} "
            f"besides and not {sorted(absent)}."
        )
    check = state["check"]
    rest = {field: value for field, value in state.items() if field != "check"}
    if not isinstance(check, str) or not hmac.compare_digest(
        check.encode("utf-8", "replace"), digest(rest, key, name).encode()
    ):
        raise StateError(
            f"Expected '{name}.check' to fit the rest of the state, got {shown(check)}.",
            hint="The state was changed on its way; start tracking this person again.",
        )
    try:
        return _person(state, name)
    except (BadRequest, TooLarge) as error:
        raise StateError(error.message) from error


def digest(value: object, key: bytes = b"", name: str = "state") -> str:
    """32 hexadecimal digits that stay the same through any JSON parser.

    Numbers count by their value: JavaScript writes 5.0 as 5.

    Raises:
        StateError: if the value is larger than any state of this function.
    """
    counted = [0]
    text = "".join(_canonical(value, _DEPTH, counted, name)).encode("utf-8", "surrogatepass")
    made = hmac.new(key, text, hashlib.sha256) if key else hashlib.sha256(text)
    return made.hexdigest()[:32]


def _canonical(value: object, depth: int, counted: list[int], name: str) -> list[str]:
    counted[0] += 1
    if depth == 0 or counted[0] > _NODES:
        raise StateError(f"Expected '{name}' to be a state of this function, got a larger one.")
    if isinstance(value, bool) or value is None:
        return [json.dumps(value)]
    if isinstance(value, int | float):
        try:
            same = float(value)
        except OverflowError:
            same = math.inf
        if not math.isfinite(same):
            raise StateError(f"Expected '{name}' to hold finite numbers, got {shown(value)}.")
        return [repr(same + 0.0)]  # + 0.0: JavaScript knows no -0
    if isinstance(value, str):
        return [json.dumps(value)]
    if isinstance(value, list):
        parts = ["["]
        for item in value:
            parts += _canonical(item, depth - 1, counted, name)
            parts.append(",")
        return [*parts, "]"]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        parts = ["{"]
        for key in sorted(value):
            parts += [json.dumps(key), ":", *_canonical(value[key], depth - 1, counted, name), ","]
        return [*parts, "}"]
    raise StateError(f"Expected '{name}' to be JSON, got {shown(value)} in it.")


def _person(state: Mapping[str, Any], name: str) -> Person:
    form, box, rest = state["form"], state["box"], state["rest"]
    if form not in FORMS:
        raise StateError(f"Expected '{name}.form' to be one of {FORMS}, got {shown(form)}.")
    if not isinstance(box, bool):
        raise StateError(f"Expected '{name}.box' to be true or false, got {shown(box)}.")
    points = _points(state["points"], f"{name}.points", unknown=False)
    count = len(points)
    if (rest is None) != (form == "list") or not isinstance(rest, dict | None):
        raise StateError(f"Expected '{name}.rest' to be what a shape carries, got {shown(rest)}.")
    elements = rest.get("elements") if rest is not None and form == "elements" else None
    if form == "elements" and not (
        isinstance(elements, list)
        and len(elements) == count
        and all(isinstance(element, dict) for element in elements)
    ):
        raise StateError(
            f"Expected '{name}.rest.elements' to be {count} objects, got {shown(elements)}."
        )
    names = tuple(
        label_name(one, f"{name}.names[{k}]")
        for k, one in enumerate(listed(state["names"], f"{name}.names"))
    )
    if len(names) != (0 if box else count) or len(set(names)) < len(names):
        raise StateError(f"Expected '{name}.names' to be unique, one a joint, got {shown(names)}.")
    if box and (count != 2 or form == "elements"):
        raise StateError(f"Expected '{name}.points' of a box to be two corners, got {count}.")
    online = state["online"]
    if not isinstance(online, dict | None):
        raise StateError(f"Expected '{name}.online' to be an object or null, got {shown(online)}.")
    shape = Shape(
        form=form,
        rest=None if rest is None else plain(rest, name, most=with_keypoints(SHAPE_BYTES, count)),
        points=points,
        box=box,
        names=names,
        outside=_flags(state["outside"], f"{name}.outside", count),
        occluded=_flags(state["occluded"], f"{name}.occluded", count),
    )
    person = Person(shape=shape, carried=_carried(state, name) if box else None, online=online)
    joints = len(person.carried.xy) if person.carried else count
    if online is not None and len(listed(online.get("xy"), f"{name}.online.xy")) != joints:
        raise StateError(f"Expected '{name}.online.xy' to hold {joints} places, got others.")
    return person


def _carried(state: Mapping[str, Any], name: str) -> Carried:
    kind = state["carried"]
    if kind not in CARRIED:
        raise StateError(f"Expected '{name}.carried' to be one of {CARRIED}, got {shown(kind)}.")
    box = _points(state["start_box"], f"{name}.start_box", unknown=False)
    if len(box) != 2 or (np.diff(box, axis=0) <= 0).any():
        raise StateError(
            f"Expected '{name}.start_box' to be two corners, got {shown(state['start_box'])}."
        )
    xy = _points(state["start_xy"], f"{name}.start_xy", unknown=True)
    return Carried(kind=kind, box=box, xy=xy)


def _points(value: object, name: str, *, unknown: bool) -> NDArray[np.float64]:
    items = listed(value, name)
    if not 0 < len(items) <= KEYPOINTS:
        raise StateError(f"Expected '{name}' to hold 1 to {KEYPOINTS} points, got {len(items)}.")
    points = []
    for k, item in enumerate(items):
        if item is None and unknown:
            points.append((math.nan, math.nan))
            continue
        if not isinstance(item, list) or len(item) != 2:
            raise StateError(f"Expected '{name}[{k}]' to be two numbers, got {shown(item)}.")
        points.append((number(item[0], f"{name}[{k}][0]"), number(item[1], f"{name}[{k}][1]")))
    return np.array(points, np.float64)


def _flags(value: object, name: str, count: int) -> NDArray[np.bool_]:
    items = listed(value, name)
    if len(items) != count or not all(isinstance(item, bool) for item in items):
        raise StateError(
            f"Expected '{name}' to be {count} times true or false, got {shown(items)}."
        )
    return np.array(items, bool)


def _pairs(xy: NDArray[np.float64]) -> list[list[float] | None]:
    return [None if math.isnan(x) else [float(x), float(y)] for x, y in xy]


def _at_quality(picture: str, quality: int) -> str:
    data = np.frombuffer(base64.b64decode(picture), np.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert grey is not None  # it is this program's own
    _, smaller = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return base64.b64encode(smaller.tobytes()).decode("ascii")
