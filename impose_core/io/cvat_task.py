"""The section ``<meta>`` of CVAT's XML: which video, frames and keypoints."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.json_fields import shown
from impose_core.io.xml_fields import Element

MAX_FRAMES: Final = 1_000_000
"""Nine hours of video; every frame of a task becomes an object."""

_STEP: Final = re.compile(r"step\s*=\s*([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What the file says of its task or job.

    Attributes:
        name: "" if it does not say; jobs have none.
        of_video: whether its frames follow each other.
        width: pixels, of a video; 0 if it does not say.
        height: pixels, likewise.
        frames: those of the video that belong to it; None if it does not say.
        sublabels: keypoint names by skeleton label, in the order of the file.
    """

    name: str
    of_video: bool
    width: int
    height: int
    frames: range | None
    sublabels: Mapping[str, tuple[str, ...]]


def read_task(root: Element) -> Task:
    """The task of the document ``root``; a document without ``<meta>`` says nothing of it.

    Raises:
        BadDocument: if it is of a project, or a number is none.
    """
    meta = root.first("meta") or Element("meta", root.line, {})
    if (project := meta.first("project")) is not None:
        raise BadDocument(
            f"Expected the annotations of one task, got a <project> in line {project.line}.",
            hint="Export each task by itself: frames of several tasks have the same numbers.",
        )
    task = meta.first("task") or meta.first("job") or Element("task", meta.line, {})
    size = task.first("original_size") or Element("original_size", task.line, {})
    return Task(
        name=task.text_of("name"),
        of_video=task.text_of("mode") == "interpolation",
        width=size.count("width", int(MAX_COORDINATE)),
        height=size.count("height", int(MAX_COORDINATE)),
        frames=_frames(task),
        sublabels=_sublabels(task),
    )


def skeleton_label(used: Sequence[str], task: Task) -> str:
    """The one skeleton label of a file in which skeletons bear the labels ``used``.

    Raises:
        BadDocument: if there are several, or none.
    """
    found = list(dict.fromkeys([*task.sublabels, *used]))
    if len(found) != 1:
        raise BadDocument(
            f"Expected one label of type skeleton, got {len(found)}: {shown(found)}.",
            hint="Pass label= to choose one." if found else None,
        )
    return found[0]


def keypoint_names(label: str, wanted: Sequence[str] | None, task: Task) -> tuple[str, ...]:
    """The names of the K axis: those ``wanted``, else those of ``<meta>``.

    Raises:
        BadDocument: if there are none, or a name is empty or comes twice.
    """
    names = task.sublabels.get(label, ()) if wanted is None else tuple(wanted)
    if not names or not all(names) or len(set(names)) != len(names):
        raise BadDocument(
            f"Expected <labels> to name the keypoints of {shown(label)}, each once, "
            f"got {shown(list(names))}.",
            hint="Pass keypoints= with their names.",
        )
    return names


def _frames(task: Element) -> range | None:
    if not task.text_of("stop_frame"):
        return None
    step, chosen = 1, task.text_of("frame_filter")
    if chosen:
        found = _STEP.fullmatch(chosen)
        if found is None:
            raise BadDocument(
                f"Expected <frame_filter> of <{task.tag}> in line {task.line} to be step=N, "
                f"got {shown(chosen)}."
            )
        step = int(found[1])
    start = task.count("start_frame", MAX_FRAMES - 1)
    stop = task.count("stop_frame", MAX_FRAMES - 1)
    return range(start, stop + 1, step)


def _sublabels(task: Element) -> dict[str, tuple[str, ...]]:
    labels = task.first("labels") or Element("labels", task.line, {})
    found: dict[str, tuple[str, ...]] = {}
    for label in labels.all("label"):
        if label.text_of("type") == "skeleton":
            found.setdefault(label.text_of("name"), ())
        elif parent := label.text_of("parent"):
            found[parent] = (*found.get(parent, ()), label.text_of("name"))
    return found
