"""The shapes on the host's canvas, as plain JSON objects, and how answers take their place there.

``view`` is the host's labeling widget (``anylabeling.views.labeling.label_widget``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anylabeling.views.labeling.shape import Shape
from PyQt6.QtCore import QPointF

from impose_xanylabeling.clips import Folders
from impose_xanylabeling.poses import Json, Key, key_of


def plain(shape: Any) -> Json:
    """A host's shape as its file has it."""
    said: Json = shape.to_dict()
    said["points"] = [[float(x), float(y)] for x, y in said["points"]]
    return said


def shapes_of(view: Any) -> list[Json]:
    """All shapes of the displayed frame, but the host's own marks for models."""
    found = [plain(shape) for shape in view.canvas.shapes]
    return [shape for shape in found if not str(shape["label"]).startswith("AUTOLABEL")]


def folders_of(view: Any) -> Folders | None:
    """Where the displayed picture and its JSON file are; None if there is no picture."""
    if not view.filename or str(view.filename).lower().endswith(".json"):
        return None
    labels = view.output_dir or None
    return str(Path(view.filename).resolve().parent), labels and str(Path(labels).resolve())


def selected_persons(view: Any) -> list[int]:
    """Ids of the persons of whom something is selected, in the order of selection."""
    keys = [key_of(plain(shape)) for shape in view.canvas.selected_shapes]
    return list(dict.fromkeys(key[0] for key in keys if key is not None))


def as_host(shapes: Iterable[Json]) -> list[Json]:
    """Shapes of a file as the host would have them on its canvas."""
    return [plain(Shape().load_from_dict(dict(shape))) for shape in shapes]


def put(view: Any, answer: Iterable[Json], *, gone: Iterable[Key] = (), save: bool = True) -> None:
    """Put shapes in place by their keys; the selection stays.

    It is one step of the host's undo, none if nothing can be seen.

    Args:
        view: the labeling widget.
        answer: complete shapes of persons; others in it are left out.
        gone: shapes of persons that go.
        save: let the host save the frame. Not needed for what was just read from its file.
    """
    if not view.canvas.shapes_backups:  # a frame without a file has no step to go back to yet
        view.canvas.store_shapes()
    wanted: dict[Key, Json] = {}
    for said in answer:
        key = key_of(said)
        if key is not None:
            wanted[key] = said
    there: dict[Key, Any] = {}
    for shape in view.canvas.shapes:
        key = key_of(plain(shape))
        if key is not None:
            there.setdefault(key, shape)
    changed = seen = False  # seen: it is more than a note of who made it
    for key, said in wanted.items():
        if key in there:
            seen |= any(plain(there[key]).get(n) != said.get(n) for n in ("points", "difficult"))
            changed |= _set(there[key], said)
        else:
            shape = Shape().load_from_dict(said)
            view.canvas.shapes.append(shape)
            view.add_label(shape, update_last_label=False, refresh_filters=False)
            changed = seen = True
    going = {id(there[key]) for key in gone if key in there}
    if going:
        _remove(view, going)  # which is a step of undo already
    elif changed:
        if not seen:
            view.canvas.shapes_backups.pop()  # or an undo would seem to do nothing
        view.canvas.store_shapes()
        view.canvas.update()
    if save and (changed or going):
        view.set_dirty()
    view.actions.undo.setEnabled(view.canvas.is_shape_restorable)


def exchange(view: Any, gone: list[Json], new: list[Json]) -> None:
    """Take shapes of nobody off the canvas, if they are there as they were, and add others."""
    leaving = as_host(gone)
    ids = {id(shape) for shape in view.canvas.shapes if plain(shape) in leaving}
    if ids:
        _remove(view, ids)
    for said in new:
        shape = Shape().load_from_dict(said)
        view.canvas.shapes.append(shape)
        view.add_label(shape, update_last_label=False, refresh_filters=False)
    if new:
        view.canvas.store_shapes()
        view.canvas.update()


def take_back(view: Any) -> Json:
    """The shape that was drawn last, taken off the canvas again before the host has named it."""
    shape = view.canvas.shapes.pop()
    view.canvas.shapes_backups.pop()
    view.canvas.update()
    return plain(shape)


def _set(shape: Any, said: Json) -> bool:
    """Make a host's shape say what an answer says; whether it said something else."""
    now = plain(shape)
    same = all(
        now.get(name) == said.get(name) for name in ("points", "difficult", "score", "impose")
    )
    if same:
        return False
    shape.points = [QPointF(float(x), float(y)) for x, y in said["points"]]
    shape.difficult = bool(said.get("difficult"))
    shape.score = said.get("score")
    if "impose" in said:
        shape.other_data["impose"] = said["impose"]
    else:
        shape.other_data.pop("impose", None)
    return True


def _remove(view: Any, gone: set[int]) -> None:
    """Take shapes (by ``id``) off the canvas, as the host's undo does.

    Its way to delete shapes saves the frame after each of them, half done.
    """
    keep = [shape for shape in view.canvas.shapes if id(shape) not in gone]
    selected = [shape for shape in view.canvas.selected_shapes if id(shape) not in gone]
    view.label_list.clear()
    view.load_shapes(keep, update_last_label=False)
    view.canvas.select_shapes(selected)
