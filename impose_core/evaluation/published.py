"""Tables as published: to be read beside our own figures, on other data, never among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

LABEL: Final = "published, other data"
"""What must stand above every one of these figures."""

Cell = str | float | int | None
"""None where the paper has no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """A table of a paper, figures as printed there (percent, clicks, seconds).

    Attributes:
        paper: short name.
        source: title and venue.
        table: its number.
        caption: in our words.
        columns: names.
        rows: as long as ``columns``; a row of one text and empty cells is a heading.
    """

    paper: str
    source: str
    table: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def published_tables() -> tuple[PublishedTable, ...]:
    """All of them, in the order of the papers."""
    root = _root()
    return tuple(
        PublishedTable(
            paper=one["paper"],
            source=root["sources"][one["paper"]],
            table=one["table"],
            caption=one["caption"],
            columns=tuple(one["columns"]),
            rows=tuple(tuple(row) for row in one["rows"]),
        )
        for one in root["tables"]
    )


def contradictions() -> dict[str, list[str]]:
    """Where figures of a paper contradict each other, by its short name."""
    found: dict[str, list[str]] = _root()["contradictions"]
    return found


def _root() -> dict[str, Any]:
    text = files("impose_core.evaluation").joinpath("published.json").read_text("utf-8")
    root: dict[str, Any] = json.loads(text)
    return root
