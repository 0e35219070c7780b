"""What CVAT asks, from any version of it, as something typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cvat_function.errors import BadRequest, TooLarge
from cvat_function.fields import expected, listed, shown
from cvat_function.limits import BODY_BYTES, PERSONS
from cvat_function.shapes import Shape, own_labels, read_shape
from impose_core.skeleton import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Somebody from now on: where they are on this image."""

    shape: Shape
    given: Any
    """The shape as it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """Somebody as before: what the function said to keep of them."""

    state: Mapping[str, Any]
    name: str
    """The field the state came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRequest:
    """One image and everybody to be on it, in CVAT's order."""

    image: Any
    persons: tuple[Begin | Continue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRequest:
    """One image; ``threshold``: the least score of a person worth telling."""

    image: Any
    threshold: float


def body_of(body: object) -> Mapping[str, Any]:
    """The request's JSON object.

    Nuclio parses a body whose content type is exactly ``application/json``; others are bytes.

    Raises:
        BadRequest: if it is no JSON object.
        TooLarge: if it has too many bytes.
    """
    if isinstance(body, bytes | bytearray | str):
        if len(body) > BODY_BYTES:
            raise TooLarge(f"Expected a body of at most {BODY_BYTES} bytes, got {len(body)}.")
        try:
            body = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(
                f"Expected the body to be JSON, got none ({type(error).__name__})."
            ) from error
    if not isinstance(body, dict):
        raise BadRequest(f"Expected the body to be a JSON object, got {shown(body)}.")
    return body


def track_request(body: Mapping[str, Any], skeleton: Skeleton) -> TrackRequest:
    """``{"image", "shapes", "states"}``: a person with a state goes on, one without begins.

    CVAT before 2.40 sends the last shapes again with the states, later ones null for each; a
    state counts in either case. Lists may be of different lengths: what is missing is null.

    Raises:
        BadRequest: if a field is not what it must be.
        TooLarge: if there are too many persons or joints.
    """
    shapes = listed(_or_empty(body, "shapes"), "shapes")
    states = listed(_or_empty(body, "states"), "states")
    count = max(len(shapes), len(states))
    if count > PERSONS:
        longer = "shapes" if len(shapes) == count else "states"
        raise TooLarge(f"Expected '{longer}' to hold at most {PERSONS} persons, got {count}.")
    if not count and "shapes" not in body:
        raise expected("shapes", "a list of shapes", None)
    labels = own_labels(body, "request")
    shapes = shapes + [None] * (count - len(shapes))
    states = states + [None] * (count - len(states))
    return TrackRequest(
        image=body.get("image"),
        persons=tuple(
            _person(n, shape, state, skeleton, labels)
            for n, (shape, state) in enumerate(zip(shapes, states, strict=True))
        ),
    )


def detect_request(body: Mapping[str, Any]) -> DetectRequest:
    """``{"image", "threshold"}``.

    Raises:
        BadRequest: if the threshold is no number from 0 to 1.
    """
    threshold = body.get("threshold")
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and not (number and 0 <= threshold <= 1):
        raise expected("threshold", "a number from 0 to 1", threshold)
    return DetectRequest(image=body.get("image"), threshold=float(threshold or 0))


def _or_empty(body: Mapping[str, Any], name: str) -> object:
    value = body.get(name)
    return [] if value is None else value


def _person(
    n: int, shape: object, state: object, skeleton: Skeleton, labels: Mapping[int, str]
) -> Begin | Continue:
    if state is not None:
        name = f"states[{n}]"
        if not isinstance(state, dict):
            raise expected(name, "an object, as this function gave it", state)
        return Continue(state=state, name=name)
    name = f"shapes[{n}]"
    if shape is None:
        raise BadRequest(f"Expected '{name}' to be a shape, as 'states[{n}]' is null, got null.")
    read = read_shape(shape, name, skeleton=skeleton, labels=labels)
    return Begin(shape=read, given=shape)
