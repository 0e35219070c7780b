"""What an act leaves behind, and the patch that makes of the marks before it."""

from __future__ import annotations

from typing import TypeAlias

from impose_core.marks import Cell, Mark, Marks, Patch

Changes: TypeAlias = dict[Cell, Mark | None]
"""Cell -> the mark an act leaves there; None is no mark."""


def patch_from(changes: Changes, marks: Marks) -> Patch:
    """``changes`` of ``marks`` as a patch, without the cells that stay as they are."""
    patch = {}
    for cell, after in changes.items():
        before = marks.get(*cell)
        after = None if after is None or after.is_blank else after
        if before != after:
            patch[cell] = (before, after)
    return patch
