"""JSON in parts that keep their text: what is not understood can be written back byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = " \t\n\r"
INDENT: Final = 2


class Member(NamedTuple):
    """A member of an object as it is written, ``name`` with its quotes and escapes."""

    name: str
    value: str


def members_of(text: str) -> dict[str, Member]:
    """The members, by key, of the object that is all of ``text``.

    ``text`` must be valid JSON with each key once; see ``json_fields.read_json``.
    """
    at = _skip(text, _skip(text, 0) + 1)
    members: dict[str, Member] = {}
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, end) + 1)  # behind the colon
        name = text[at:end]
        _, end = _DECODER.raw_decode(text, start)
        members[key] = Member(name, text[start:end])
        at = _next(text, end)
    return members


def items_of(text: str) -> list[str]:
    """The text of each item of the list that is all of ``text``, which must be valid JSON."""
    at = _skip(text, _skip(text, 0) + 1)
    items = []
    while text[at] != "]":
        _, end = _DECODER.raw_decode(text, at)
        items.append(text[at:end])
        at = _next(text, end)
    return items


def changed(members: Mapping[str, Member], values: Mapping[str, Any], depth: int) -> str:
    """The text at nesting ``depth`` of an object of ``members``, but with these ``values``.

    Raises:
        ValueError: if a value holds a number that JSON does not know.
    """
    texts = {key: value_text(value, depth + 1) for key, value in values.items()}
    return with_texts(members, texts, depth)


def with_texts(members: Mapping[str, Member], texts: Mapping[str, str], depth: int) -> str:
    """Likewise, the values being JSON already."""
    whole = {key: Member(m.name, texts.get(key, m.value)) for key, m in members.items()}
    for key, text in texts.items():
        whole.setdefault(key, Member(json.dumps(key), text))
    return _set_out((f"{m.name}: {m.value}" for m in whole.values()), "{}", depth)


def list_text(items: Iterable[str], depth: int) -> str:
    """A list of texts, likewise."""
    return _set_out(items, "[]", depth)


def value_text(value: Any, depth: int) -> str:
    """A value, likewise.

    Raises:
        ValueError: if it holds a number that JSON does not know.
    """
    text = json.dumps(value, allow_nan=False, indent=INDENT)
    # line breaks inside of texts are escaped, so every one found here is between values
    return text.replace("\n", "\n" + " " * INDENT * depth)


def _set_out(parts: Iterable[str], brackets: str, depth: int) -> str:
    pad = "\n" + " " * INDENT * (depth + 1)
    inside = ("," + pad).join(parts)
    closing = "\n" + " " * INDENT * depth
    return f"{brackets[0]}{pad}{inside}{closing}{brackets[1]}" if inside else brackets


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _next(text: str, end: int) -> int:
    """Where the next member or item begins, or the closing bracket."""
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at
