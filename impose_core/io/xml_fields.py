"""Typed access to XML; every error names the line: ``'frame' of <skeleton> in line 12``.

Documents with a DOCTYPE are refused: annotation files have none, and entities are how a small
file becomes a large one or reads another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from impose_core.errors import BadDocument
from impose_core.io.json_fields import MAX_DEPTH, shown

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


@dataclass(slots=True)
class Element:
    """One element of a document.

    Attributes:
        tag: its name.
        line: where it starts, from 1.
        attributes: as written.
        children: elements inside, in order.
        text: what stands between its tags, children left out.
    """

    tag: str
    line: int
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, *tags: str) -> list[Element]:
        """The children called one of ``tags``."""
        return [child for child in self.children if child.tag in tags]

    def first(self, tag: str) -> Element | None:
        """The first child called ``tag``."""
        return next(iter(self.all(tag)), None)

    def text_of(self, tag: str) -> str:
        """The text of the first child called ``tag``, without surrounding space; "" if none."""
        child = self.first(tag)
        return "" if child is None else child.text.strip()

    def count(self, tag: str, high: int) -> int:
        """The text of the child ``tag`` as an integer from 0 to ``high``; 0 if none."""
        text = self.text_of(tag) or "0"
        if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= high:
            raise BadDocument(
                f"Expected <{tag}> of <{self.tag}> in line {self.line} to hold an integer ≥ 0 "
                f"and ≤ {high}, got {shown(text)}."
            )
        return int(text)

    def name(self, key: str) -> str:
        """The attribute ``key``, which must be there and not be empty."""
        value = self.attributes.get(key)
        if not value:
            raise self.bad(key, "a name", value)
        return value

    def integer(self, key: str, low: int, high: int) -> int:
        """The attribute ``key`` as an integer from ``low`` to ``high``."""
        value = self.attributes.get(key, "")
        if not _INTEGER.fullmatch(value) or not low <= int(value) <= high:
            raise self.bad(key, f"an integer ≥ {low} and ≤ {high}", value or None)
        return int(value)

    def flag(self, key: str) -> bool:
        """The attribute ``key``, "0" or "1"; absent is "0"."""
        value = self.attributes.get(key, "0")
        if value not in ("0", "1"):
            raise self.bad(key, "0 or 1", value)
        return value == "1"

    def point(self, key: str, limit: float) -> tuple[float, float]:
        """The attribute ``key``, "x,y", each within ``limit`` of 0."""
        value = self.attributes.get(key, "")
        parts = value.split(",")
        if len(parts) != 2 or not all(_NUMBER.fullmatch(part) for part in parts):
            raise self.bad(key, "one point, written x,y", value or None)
        x, y = map(float, parts)
        if not math.hypot(x, y) <= limit:
            raise self.bad(key, f"within {limit:g} pixels", value)
        return x, y

    def bad(self, key: str, expected: str, got: object) -> BadDocument:
        """The error to raise when the attribute ``key`` is not what was ``expected``."""
        return BadDocument(
            f"Expected '{key}' of <{self.tag[:80]}> in line {self.line} to be {expected}, "
            f"got {shown(got)}."
        )


def parse_xml(data: bytes) -> Element:
    """The root of the document ``data``.

    Raises:
        BadDocument: if it is no XML, has a DOCTYPE or is nested too deeply.
    """
    document = _Document()
    try:
        document.parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter: odd encodings
        raise BadDocument(f"Expected XML, got: {error}.") from error
    return document.stack[0].children[0]


class _Document:
    """The tree while it is read; the bottom of the stack holds the root."""

    def __init__(self) -> None:
        self.stack = [Element("document", 0, {})]
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber
        if len(self.stack) > MAX_DEPTH:
            raise BadDocument(
                f"Expected XML nested at most {MAX_DEPTH} deep, got more in line {line}."
            )
        element = Element(tag, line, attributes)
        self.stack[-1].children.append(element)
        self.stack.append(element)

    def _end(self, tag: str) -> None:  # noqa: ARG002 # expat has checked that it fits
        self.stack.pop()

    def _text(self, text: str) -> None:
        self.stack[-1].text += text

    def _doctype(self, *_: object) -> None:
        raise BadDocument(
            f"Expected XML without a DOCTYPE, got one in line {self.parser.CurrentLineNumber}."
        )
