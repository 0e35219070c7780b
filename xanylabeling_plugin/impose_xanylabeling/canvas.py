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


def put(view: Any, answer: Iterable[Json], *, whole: bool = False, save: bool = True) -> bool:
    """Put shapes in place by their keys; the selection stays.

    It is one step of the host's undo, none if nothing can be seen.

    Args:
        view: the labeling widget.
        answer: complete shapes of persons; others in it are left out.
        whole: persons' shapes that ``answer`` does not name go.
        save: let the host save the frame. Not needed for what was just read from its file.

    Returns:
        Whether anything changed.
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
    gone = {id(shape) for key, shape in there.items() if whole and key not in wanted}
    if gone:
        _remove(view, gone)  # which is a step of undo already
    elif changed:
        if not seen:
            view.canvas.shapes_backups.pop()  # or an undo would seem to do nothing
        view.canvas.store_shapes()
        view.canvas.update()
    if save and (changed or gone):
        view.set_dirty()
    view.actions.undo.setEnabled(view.canvas.is_shape_restorable)
    return changed or bool(gone)


def take_back(view: Any) -> Json:
    """The shape that was drawn last, taken off the canvas again before the host has named it."""
    shape = view.canvas.shapes.pop()
    view.canvas.shapes_backups.pop()
    view.canvas.update()
    return plain(shape)


def save_first(view: Any) -> bool:
    """Bring edits that are only in memory to the frame's file; False if that failed."""
    if not view.dirty:
        return True
    saved = bool(view.save_labels(view.get_label_file()))
    if saved:
        view.set_clean()
    return saved


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
