"""CVAT's XML, "CVAT for video 1.1" and "CVAT for images 1.1": skeletons as a pose set.

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format. Pixels with the origin at the
outer corner of the top-left pixel, as here. A keypoint that is ``outside`` is not labelled,
one that is ``occluded`` is occluded, all others are visible. CVAT's skeletons have neither
box nor area; both are NaN.

Video: each ``<track>`` of the label is a track under its ``id``; all frames of the task count
as labelled. An export lists every frame. In files that list keyframes only, a keypoint moves
linearly to its next entry and holds still after its last, as CVAT itself fills them in; one
that is outside stays so until its next entry.

Images: there are no identities. Each ``<image>`` is a sequence of its own, unless the task is
of a video (``mode`` is "interpolation"): then they are its frames.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.cvat_task import (
    MAX_FRAMES,
    keypoint_names,
    read_task,
    skeleton_label,
)
from impose_core.io.cvat_tracks import read_points, read_tracks
from impose_core.io.files import naming, read_bytes
from impose_core.io.json_fields import shown
from impose_core.io.xml_fields import Element, parse_xml
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet


def read_cvat_xml(
    path: str | os.PathLike[str],
    *,
    label: str | None = None,
    keypoints: Sequence[str] | None = None,
    name: str | None = None,
) -> PoseSet:
    """Read the skeletons in the file at ``path``.

    Args:
        path: the ``annotations.xml`` of a task or job.
        label: the skeleton label to read, if the file has several; others are left out.
        keypoints: names in the order the K axis shall have. Without, those ``<meta>`` gives
            the label, in its order.
        name: of the sequence of a video. Without, that of the task, else the stem of the file.

    Raises:
        BadDocument: if the file cannot be read or breaks the format; the message names the
            file and the line.
    """
    data = read_bytes(path)
    with naming(path):
        root = parse_xml(data)
        if root.tag != "annotations" or root.text_of("version") not in ("", "1.1"):
            raise BadDocument(
                f"Expected <annotations> of version 1.1, got <{root.tag[:80]}> of version "
                f"{shown(root.text_of('version'))}."
            )
        tracks = [one for one in root.all("track") if one.first("skeleton")]
        images = root.all("image")
        if tracks and images:
            raise BadDocument(
                f"Expected tracks or images, got a <track> in line {tracks[0].line} and an "
                f"<image> in line {images[0].line}."
            )
        task = read_task(root)
        owners = tracks or [one for image in images for one in image.all("skeleton")]
        label = label or skeleton_label([one.name("label") for one in owners], task)
        names = keypoint_names(label, keypoints, task)
        title = name or task.name or Path(path).stem
        if images and not task.of_video:
            return PoseSet(keypoints=names, sequences=_loose(images, label, names))
        if images:
            sequence = _joined(images, label, names, title)
        else:
            mine = [track for track in tracks if track.name("label") == label]
            sequence = PoseSequence(
                name=title,
                width=task.width,
                height=task.height,
                frames=read_tracks(mine, names, task),
            )
    return PoseSet(keypoints=names, sequences=(sequence,))


def _loose(
    images: Sequence[Element], label: str, keypoints: Sequence[str]
) -> tuple[PoseSequence, ...]:
    """Each image as a sequence of one."""
    found: dict[str, PoseSequence] = {}
    for image in images:
        name = image.name("name")
        if name in found:
            raise image.bad("name", "unique", name)
        width, height = _size(image)
        frame = _frame(image, 0, label, keypoints)
        found[name] = PoseSequence(name=name, width=width, height=height, frames=(frame,))
    return tuple(found.values())


def _joined(
    images: Sequence[Element], label: str, keypoints: Sequence[str], title: str
) -> PoseSequence:
    """The images as frames of one video."""
    width, height = _size(images[0])
    found: dict[int, LabelledFrame] = {}
    for image in images:
        index = image.integer("id", 0, MAX_FRAMES - 1)
        if index in found:
            raise image.bad("id", "unique", index)
        if _size(image) != (width, height):
            raise image.bad("width", f"{width}, and the height {height}", _size(image))
        found[index] = _frame(image, index, label, keypoints)
    frames = tuple(found[index] for index in sorted(found))
    return PoseSequence(name=title, width=width, height=height, frames=frames)


def _size(image: Element) -> tuple[int, int]:
    limit = int(MAX_COORDINATE)
    return image.integer("width", 1, limit), image.integer("height", 1, limit)


def _frame(image: Element, index: int, label: str, keypoints: Sequence[str]) -> LabelledFrame:
    mine = [one for one in image.all("skeleton") if one.name("label") == label]
    people = Instances.unknown(len(mine), len(keypoints))
    for p, skeleton in enumerate(mine):
        for k, (position, state) in read_points(skeleton, keypoints).items():
            people.visibility[p, k] = state
            if state:
                people.xy[p, k] = position
    return LabelledFrame(index=index, instances=people, file_name=image.name("name"))
