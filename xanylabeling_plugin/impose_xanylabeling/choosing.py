"""Who is meant: of whom something is selected, else who is alone, else who is chosen when asked."""

from __future__ import annotations

from typing import Any

from PyQt6 import QtWidgets

from impose_xanylabeling import canvas as on_canvas
from impose_xanylabeling.clips import Clip
from impose_xanylabeling.poses import persons_in


def one_person(view: Any, clip: Clip) -> int | None:
    """A person's id; None if the user thought better of it, or nobody is there."""
    chosen = on_canvas.selected_persons(view)
    return chosen[0] if chosen else _ask(view, clip, "Person", set())


def two_persons(view: Any, clip: Clip, question: str) -> tuple[int, int] | None:
    """Two ids, in the order of selection; ``question`` asks for the second."""
    chosen = on_canvas.selected_persons(view)
    if len(chosen) >= 2:
        return chosen[0], chosen[1]
    first = chosen[0] if chosen else _ask(view, clip, "Person", set())
    second = None if first is None else _ask(view, clip, question, {first})
    return None if first is None or second is None else (first, second)


def new_id(view: Any, clip: Clip, person: int) -> int | None:
    """The id that a person is to have."""
    free = max([0, *(int(status["person"]) for status in clip.persons)]) + 1
    question = f"New id of person {person}"
    said, sure = QtWidgets.QInputDialog.getInt(view, "IMPose", question, free, 1)
    return int(said) if sure else None


def _ask(view: Any, clip: Clip, question: str, without: set[int]) -> int | None:
    here = set(persons_in(on_canvas.shapes_of(view)))
    known = here | {int(status["person"]) for status in clip.persons}
    others = [str(person) for person in sorted(known - without)]
    if len(others) < 2:
        return int(others[0]) if others else None
    said, sure = QtWidgets.QInputDialog.getItem(view, "IMPose", question, others, 0, False)
    return int(said) if sure else None
