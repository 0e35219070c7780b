"""X-AnyLabeling's (and LabelMe's) JSON, one file per image, as a pose set.

A person is a ``rectangle`` and ``point`` shapes that share a ``group_id``; the label of a point
is the keypoint's name. A ``difficult`` point is occluded, a keypoint without a point is not
labelled (X-AnyLabeling, ``examples/estimation/pose_estimation``, and its exporters). Pixels with
the origin at the outer corner of the top-left pixel. A video is a folder of images to this
tool, and ``group_id`` the only identity it has: it becomes the track id.

Shapes of other kinds, and rectangles of other classes, are left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from impose_core.errors import BadDocument, UsageError
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.files import files_of, naming
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_text,
    bad_field,
    check_json,
    read_json,
)
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Visibility

IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """What one JSON file holds; sides are 0 where it does not say."""

    file_name: str
    width: int
    height: int
    people: Instances


@dataclass(slots=True)
class _Group:
    """The shapes of one person, points by place on the K axis, and where they stand."""

    rectangle: tuple[str, Json] | None = None
    points: dict[int, tuple[str, Json]] = field(default_factory=dict)


def read_xanylabeling(
    folder: str | os.PathLike[str],
    *,
    keypoints: Sequence[str],
    person: str = "person",
    name: str | None = None,
) -> PoseSet:
    """Read the JSON files in ``folder`` as one video.

    Frames are the images and JSON files of the folder in natural order of their names
    (frame2 before frame10), an image and its JSON being one. An image without JSON is a frame
    nobody labelled; one whose JSON has no shapes is one with nobody on it.

    Args:
        folder: the images with their JSON files, or the JSON files alone.
        keypoints: names in the order of the K axis; a point of another name is an error.
        person: label of the rectangles that are persons.
        name: of the sequence. Without, the name of the folder.

    Raises:
        BadDocument: if a file breaks the format; the message names file and field.
        UsageError: if ``keypoints`` are none or not unique.
    """
    names = tuple(keypoints)
    if not names or len(set(names)) != len(names):
        raise UsageError(f"Expected 'keypoints' to be unique names, got {names}.")
    frames: list[LabelledFrame] = []
    size = (0, 0)
    for index, (labels, picture) in enumerate(_files(folder)):
        image = _Image(file_name="", width=0, height=0, people=Instances.unknown(0, len(names)))
        if labels is not None:
            root = read_json(labels)
            with naming(labels):
                image = _read_image(root, names, person)
                size = _same_size(size, image)
        frames.append(
            LabelledFrame(
                index=index,
                instances=image.people,
                file_name=picture or image.file_name,
                labelled=labels is not None,
            )
        )
    if not any(frame.labelled for frame in frames):
        raise BadDocument(f"Expected '{folder}' to hold JSON files, got none.")
    title = name or Path(folder).resolve().name
    sequence = PoseSequence(name=title, width=size[0], height=size[1], frames=tuple(frames))
    return PoseSet(keypoints=names, sequences=(sequence,))


def _files(folder: str | os.PathLike[str]) -> list[tuple[Path | None, str]]:
    """JSON file and name of the image of each frame; None and "" where there is none."""
    found: dict[str, tuple[Path | None, str]] = {}
    for file in files_of(folder):
        labels, picture = found.get(file.stem, (None, ""))
        if file.suffix.lower() == ".json":
            found[file.stem] = file, picture
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            found[file.stem] = labels, picture or file.name
    return list(found.values())


def _same_size(size: tuple[int, int], image: _Image) -> tuple[int, int]:
    """``size`` of the images so far and of ``image`` too."""
    if 0 in (image.width, image.height):
        return size
    if 0 not in size and size != (image.width, image.height):
        raise BadDocument(
            f"Expected 'imageWidth' and 'imageHeight' to be {size[0]} and {size[1]} as in the "
            f"files before, got {image.width} and {image.height}."
        )
    return image.width, image.height


def _read_image(root: object, keypoints: tuple[str, ...], person: str) -> _Image:
    document = as_object(root, "document")
    check_json(document)
    groups = _groups(as_list(document.get("shapes"), "shapes"), keypoints, person)
    people = Instances.unknown(len(groups), len(keypoints))
    for p, identity in enumerate(sorted(groups)):
        people.track_id[p] = identity
        _fill(people, p, groups[identity])
    file_name = document.get("imagePath")
    return _Image(
        file_name="" if file_name in (None, "") else as_text(file_name, "imagePath"),
        width=_side(document, "imageWidth"),
        height=_side(document, "imageHeight"),
        people=people,
    )


def _side(document: Json, key: str) -> int:
    value = document.get(key)
    return 0 if value is None else as_integer(value, key, 1, int(MAX_COORDINATE))


def _groups(shapes: list[object], keypoints: tuple[str, ...], person: str) -> dict[int, _Group]:
    """The persons by ``group_id``."""
    groups: dict[int, _Group] = {}
    for i, item in enumerate(shapes):
        where = f"shapes[{i}]"
        shape = as_object(item, where)
        kind = as_text(shape.get("shape_type"), f"{where}.shape_type")
        label = as_text(shape.get("label"), f"{where}.label")
        if kind != "point" and (kind, label) != ("rectangle", person):
            continue
        identity = as_integer(shape.get("group_id"), f"{where}.group_id", 0)
        group = groups.setdefault(identity, _Group())
        if kind == "rectangle":
            if group.rectangle is not None:
                raise bad_field(f"{where}.group_id", f"of one '{person}' only", identity)
            group.rectangle = where, shape
            continue
        if label not in keypoints:
            raise bad_field(f"{where}.label", f"a keypoint ({', '.join(keypoints)})"[:200], label)
        k = keypoints.index(label)
        if k in group.points:
            raise bad_field(f"{where}.label", f"once in group {identity}", label)
        group.points[k] = where, shape
    return groups


def _fill(people: Instances, p: int, group: _Group) -> None:
    """Set person ``p`` in place."""
    if group.rectangle is not None:
        where, shape = group.rectangle
        # two opposite corners in LabelMe, all four in X-AnyLabeling
        corners = np.array(_positions(shape, where, (2, 4)))
        people.box[p] = np.concatenate([corners.min(0), corners.max(0)])
        people.score[p] = _score(shape, where)
    for k, (where, shape) in group.points.items():
        people.xy[p, k] = _positions(shape, where, (1,))[0]
        difficult = shape.get("difficult")
        if difficult is not None and not isinstance(difficult, bool):
            raise bad_field(f"{where}.difficult", "true or false", difficult)
        people.visibility[p, k] = Visibility.OCCLUDED if difficult else Visibility.VISIBLE
        people.keypoint_score[p, k] = _score(shape, where)


def _positions(shape: Json, where: str, counts: tuple[int, ...]) -> list[list[float]]:
    points = as_list(shape.get("points"), f"{where}.points")
    if len(points) not in counts:
        expected = " or ".join(map(str, counts))
        raise bad_field(f"{where}.points", f"a list of {expected} points", f"{len(points)} entries")
    return [
        [
            as_number(number, f"{where}.points[{i}][{axis}]", -MAX_COORDINATE, MAX_COORDINATE)
            for axis, number in enumerate(as_list(point, f"{where}.points[{i}]", 2, "(x, y)"))
        ]
        for i, point in enumerate(points)
    ]


def _score(shape: Json, where: str) -> float:
    score = shape.get("score")
    return np.nan if score is None else as_number(score, f"{where}.score")
