"""Fields of requests, checked one by one; every message names the field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from impose_core.errors import BadDocument, FrameOutOfRange
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_number,
    as_object,
    bad_field,
    check_json,
    parse_json,
)
from impose_core.io.xanylabeling_frame import LARGEST_ID, FrameLabels, noted_of, shapes_of
from impose_core.service.errors import BadRequest

MAX_SHAPES: Final = 20_000
"""Of a frame: more than a hundred whole bodies of 133 joints."""


@contextmanager
def fields() -> Iterator[None]:
    """Make every BadDocument raised inside one of the request."""
    try:
        yield
    except BadDocument as error:
        raise BadRequest(error.message, hint=error.hint) from error


def body_of(content: bytes) -> Json:
    """The object a body holds.

    Raises:
        BadRequest: if it holds none.
    """
    with fields():
        body = as_object(parse_json(content, "body"), "body")
        check_json(body)
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Displayed:
    """What a tool holds in memory of one frame."""

    frame: int
    labels: FrameLabels
    noted: bool
    """Whether the tool said what the file's ``impose`` is."""


def displayed_of(body: Json, frames: int) -> Displayed | None:
    """The field ``displayed``; None if the tool shows nothing."""
    value = body.get("displayed")
    if value is None:
        return None
    with fields():
        item = as_object(value, "displayed")
        checked = item.get("checked")
        shapes = shapes_in(item, "displayed.shapes")
        labels = FrameLabels(shapes=shapes.shapes, checked=checked is True, impose=noted_of(item))
    return Displayed(
        frame=frame_of(item, frames, "displayed.frame"),
        labels=labels,
        noted=item.get("impose") is not None,
    )


def shapes_in(body: Json, where: str = "shapes") -> FrameLabels:
    """The field ``shapes``, as a frame that is not checked."""
    with fields():
        items = as_list(body.get("shapes"), where)
        if len(items) > MAX_SHAPES:
            raise bad_field(where, f"at most {MAX_SHAPES} shapes", f"{len(items)} of them")
        return FrameLabels(shapes=shapes_of(items))


def frame_of(body: Json, frames: int, where: str = "frame") -> int:
    """A frame of a clip of ``frames``.

    Raises:
        FrameOutOfRange: if the clip does not have it.
    """
    with fields():
        frame = as_integer(body.get(where.rpartition(".")[2]), where)
    if not 0 <= frame < frames:
        raise FrameOutOfRange(f"Expected '{where}' to lie in 0 to {frames - 1}, got {frame}.")
    return frame


def person_of(body: Json, where: str = "person") -> int:
    """A person's id."""
    with fields():
        return as_integer(body.get(where), where, 0, LARGEST_ID)


def new_person_of(body: Json, where: str) -> int | None:
    """An id for somebody new; None: the service may choose."""
    with fields():
        return None if body.get(where) is None else as_integer(body[where], where, 1, LARGEST_ID)


def integer_of(body: Json, where: str, low: int, high: int, default: int | None) -> int | None:
    """An integer, ``default`` where it is missing or null."""
    with fields():
        value = body.get(where)
        return default if value is None else as_integer(value, where, low, high)


def text_of(body: Json, where: str) -> str | None:
    """A text that is not empty; None where it is missing or null."""
    value = body.get(where)
    if value is None:
        return None
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 4096:
        with fields():
            raise bad_field(where, "a text of 1 to 4096 characters", value)
    return value


def position_of(value: Any, where: str, count: int = 2) -> list[float]:
    """``count`` coordinates in pixels."""
    with fields():
        return [
            as_number(number, f"{where}[{i}]", -MAX_COORDINATE, MAX_COORDINATE)
            for i, number in enumerate(as_list(value, where, count, "coordinates"))
        ]
