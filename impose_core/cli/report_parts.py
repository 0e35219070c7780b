"""What a report consists of, whatever it is written as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = "–"
"""What stands for a figure that is null, or not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        title: above its first column.
        columns: headings of the others.
        rows: as long as ``columns`` and one more: text, numbers or None.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A plot or a picture.

    Attributes:
        file: name of its own file, unique in the report.
        png: its content.
        caption: says what is to be seen.
        jpeg: the same, smaller, of photographs; a page embeds it. None: it embeds ``png``.
    """

    file: str
    png: bytes
    caption: str
    jpeg: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Lines below a title: conventions, and what was skipped."""

    title: str
    lines: Sequence[str]


Part = Table | Picture | Notes


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Parts under a heading."""

    title: str
    parts: Sequence[Part]


def text(cell: Any) -> str:
    """A cell as it is shown; numbers to three decimals."""
    if cell is None:
        return ABSENT
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def listed(fields: Mapping[str, Any]) -> list[str]:
    """Fields as lines."""
    return [f"{name.replace('_', ' ')}: {_said(value)}" for name, value in fields.items()]


def _said(value: Any) -> str:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(one)}" for key, one in value.items())
    return str(value)
