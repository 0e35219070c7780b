"""One JSON file of X-AnyLabeling: read with who made what, changed without harm to the rest.

The host keeps keys it does not know, of a shape and of the file. Under ``impose`` stands what
its own format has no place for (docs/service.md, "Shapes"): of a joint its origin and where it
was put, so that one that is elsewhere was moved by a human; of the file which joints were left
there, so that a missing one was deleted, and who is gone.

Everything else keeps its text to the byte: shapes of other kinds, unknown keys, joints of humans.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from impose_core.errors import BadDocument
from impose_core.io import raw_json
from impose_core.io.json_fields import (
    Json,
    as_list,
    as_object,
    as_text,
    check_json,
    parse_json,
)
from impose_core.io.raw_json import Member

KEY: Final = "impose"
VERSION: Final = "4.2.1"
"""Of the host whose files are written; read are those of all versions."""
LARGEST_ID: Final = 2**31 - 1
"""Of a person; the host keeps ids in a 32-bit spin box."""


@dataclass(frozen=True)
class Shape:
    """A shape: its JSON, and the text it had where it came from a file."""

    item: Json
    text: str | None = None

    @property
    def label(self) -> str:
        """What it is called."""
        return str(self.item["label"])

    @property
    def kind(self) -> str:
        """``point``, ``rectangle`` or another one of the host's."""
        return str(self.item["shape_type"])

    @property
    def person(self) -> int | None:
        """Whose it is; None of a shape without a group, or with none the host could have made."""
        group = self.item.get("group_id")
        fits = isinstance(group, int) and not isinstance(group, bool) and 0 <= group <= LARGEST_ID
        return group if fits else None

    @property
    def impose(self) -> Json:
        """What this project noted of it; empty where it was not made here."""
        noted = self.item.get(KEY)
        return noted if isinstance(noted, dict) else {}

    def changed(self, **values: Any) -> Shape:
        """The shape with other values of these keys; itself if they have them already."""
        if all(key in self.item and self.item[key] == value for key, value in values.items()):
            return self
        item = {**self.item, **values}
        if self.text is None:
            return Shape(item)
        return Shape(item, raw_json.changed(raw_json.members_of(self.text), values, depth=2))

    def as_text(self) -> str:
        """As it is to stand in a file."""
        return raw_json.value_text(self.item, 2) if self.text is None else self.text


@dataclass(frozen=True, kw_only=True)
class FrameLabels:
    """What the file of one frame holds.

    Attributes:
        shapes: in the file's order.
        checked: the annotator said that the frame is right.
        impose: what this project noted of the frame.
        content: the file's bytes as read; None where there was no file.
        members: the file's members, by key, as they are written.
    """

    shapes: tuple[Shape, ...] = ()
    checked: bool = False
    impose: Json = field(default_factory=dict)
    content: bytes | None = None
    members: Mapping[str, Member] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, content: bytes) -> FrameLabels:
        """What a file that holds ``content`` says.

        Raises:
            BadDocument: if it is no such JSON; the message names the field.
        """
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadDocument(f"Expected 'document' to be UTF-8, got: {error}.") from error
        root = as_object(parse_json(text), "document")
        check_json(root)
        items = as_list(root.get("shapes"), "shapes")
        members = raw_json.members_of(text)
        texts = raw_json.items_of(members["shapes"].value)
        return cls(
            shapes=shapes_of(items, texts),
            checked=root.get("checked") is True,
            impose=noted_of(root),
            content=content,
            members=members,
        )

    @cached_property
    def by_person(self) -> dict[int, list[int]]:
        """Places in ``shapes`` of each person's shapes."""
        found: dict[int, list[int]] = {}
        for i, shape in enumerate(self.shapes):
            if shape.person is not None and shape.kind in ("point", "rectangle"):
                found.setdefault(shape.person, []).append(i)
        return found

    def with_shapes(self, shapes: Iterable[Shape], impose: Json) -> FrameLabels:
        """The same file with other shapes and another note."""
        return replace(self, shapes=tuple(shapes), impose=impose)

    def as_bytes(self, *, image: str, width: int, height: int) -> bytes:
        """The file's new content; what has not changed keeps its text.

        Args:
            image: file name of the frame's image, for a file that was not there.
            width: of the image, pixels.
            height: likewise.
        """
        texts = {"shapes": raw_json.list_text((s.as_text() for s in self.shapes), 1)}
        old = self.members.get(KEY)
        if (json.loads(old.value) if old else {}) != self.impose:
            texts[KEY] = raw_json.value_text(self.impose, 1)
        members = self.members or _new_members(image, width, height)
        return (raw_json.with_texts(members, texts, 0) + "\n").encode()


def shapes_of(items: list[Any], texts: list[str] | None = None) -> tuple[Shape, ...]:
    """Decoded shapes, checked as far as this module looks at them.

    Raises:
        BadDocument: naming the field.
    """
    shapes = []
    for i, value in enumerate(items):
        where = f"shapes[{i}]"
        item = as_object(value, where)
        for key in ("label", "shape_type"):
            as_text(item.get(key), f"{where}.{key}")
        shapes.append(Shape(item, texts[i] if texts else None))
    return tuple(shapes)


def noted_of(root: Json) -> Json:
    """The ``impose`` key of a file.

    Raises:
        BadDocument: if it is no object.
    """
    noted = root.get(KEY)
    return {} if noted is None else as_object(noted, KEY)


def new_shape(kind: str, label: str, person: int, points: list[list[float]], **more: Any) -> Shape:
    """A shape as the host makes them."""
    return Shape(
        {
            "label": label,
            "score": None,
            "points": points,
            "group_id": person,
            "description": "",
            "difficult": False,
            "shape_type": kind,
            "flags": {},
            "attributes": {},  # anything here is painted as a box over the picture
            "kie_linking": [],
            **more,
        }
    )


def _new_members(image: str, width: int, height: int) -> dict[str, Member]:
    root = {
        "version": VERSION,
        "flags": {},
        "checked": False,
        "shapes": [],
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
        "description": "",
    }
    return raw_json.members_of(raw_json.value_text(root, 0))
