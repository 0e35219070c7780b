"""PoseTrack 2018 and 2021 JSON: a file for each video, of labels or of predictions.

``doc/dataset_structure.md`` of anDoer/PoseTrack21. A video is called like its file. The last
four digits of an image's id are its frame in the video. Keypoints are the 17 slots of
:data:`impose_core.skeleton.POSETRACK17`, of which a slot that is (0, 0, 0) is not labelled, or
not predicted; coordinates may lie outside of the image, and be negative.

PoseTrack's v is 1 where a labelled joint can be seen and 0 where it cannot. There are no areas.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
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
    check_unique,
    read_json,
)
from impose_core.pose_sets import NO_TRACK, Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Visibility
from impose_core.skeleton import POSETRACK17

FRAMES_OF_A_VIDEO: Final = 10_000
"""Image id = dataset · 10^10 + video · 10^4 + frame."""

_KEYPOINTS: Final = len(POSETRACK17)


def read_labels(path: str | os.PathLike[str]) -> PoseSet:
    """The labels of a video, or of a folder of them: ``*.json``.

    Raises:
        BadDocument: if a file cannot be read or breaks the format, or there is none; the
            message names file and field.
    """
    return _read(path, labelled=True)


def read_predictions(path: str | os.PathLike[str]) -> PoseSet:
    """The predictions for a video, or for those of a folder: ``*.json``, called as the labels.

    Somebody without a ``score`` gets the mean of the ``scores`` of the keypoints predicted. A
    ``track_id`` is needed for tracking only.

    Raises:
        BadDocument: as :func:`read_labels`.
    """
    return _read(path, labelled=False)


def parse_labels(documents: Mapping[str, Any]) -> PoseSet:
    """The labels in ``documents``, decoded JSON by name of the video.

    Raises:
        BadDocument: if one breaks the format; the message names video and field.
    """
    return _parse(documents, labelled=True)


def parse_predictions(documents: Mapping[str, Any]) -> PoseSet:
    """The predictions in ``documents``, decoded JSON by name of the video.

    Raises:
        BadDocument: if one breaks the format; the message names video and field.
    """
    return _parse(documents, labelled=False)


def ignore_regions(item: Json, where: str) -> tuple[NDArray[np.float64], ...]:
    """The polygons [V, 2] of an image, given as ``ignore_regions_x`` and ``ignore_regions_y``.

    A single polygon may be a list of numbers instead of a list of such lists; polygons
    without points are dropped.

    Raises:
        BadDocument: if the two lists do not fit, or a polygon has one or two points.
    """
    x, y = (
        _polygon_lists(item.get(key), f"{where}.{key}")
        for key in ("ignore_regions_x", "ignore_regions_y")
    )
    as_list(y, f"{where}.ignore_regions_y", len(x), "polygons as in 'ignore_regions_x'")
    polygons = []
    for i, (xs, ys) in enumerate(zip(x, y, strict=True)):
        in_x, in_y = f"{where}.ignore_regions_x[{i}]", f"{where}.ignore_regions_y[{i}]"
        columns = [_numbers(xs, in_x), _numbers(ys, in_y, len(xs))]
        if len(xs) in (1, 2):
            raise bad_field(in_x, "a polygon of three points or more", xs)
        if xs:
            polygons.append(np.stack(columns, axis=-1))
    return tuple(polygons)


def _polygon_lists(value: Any, where: str) -> list[Any]:
    polygons = [] if value is None else as_list(value, where)
    flat = bool(polygons) and not isinstance(polygons[0], list)
    polygons = [polygons] if flat else polygons
    return [as_list(polygon, f"{where}[{i}]") for i, polygon in enumerate(polygons)]


def _read(path: str | os.PathLike[str], *, labelled: bool) -> PoseSet:
    place = Path(path)
    files = [place]
    if place.is_dir():
        files = [file for file in files_of(place) if file.suffix == ".json"]
    if not files:
        raise BadDocument(f"Expected '{path}' to hold files called *.json, got none.")
    sequences = []
    for file in files:
        document = read_json(file)
        with naming(file):
            sequences.append(_sequence(file.stem, document, labelled))
    return PoseSet(keypoints=POSETRACK17.keypoints, sequences=tuple(sequences))


def _parse(documents: Mapping[str, Any], *, labelled: bool) -> PoseSet:
    sequences = []
    for name, document in documents.items():
        with naming(name):
            sequences.append(_sequence(name, document, labelled))
    return PoseSet(keypoints=POSETRACK17.keypoints, sequences=tuple(sequences))


def _sequence(name: str, document: Any, labelled: bool) -> PoseSequence:
    root = as_object(document, "document")
    check_json(root)
    _check_keypoints(root)
    listed = as_list(root.get("images"), "images")
    images = [as_object(item, f"images[{i}]") for i, item in enumerate(listed)]
    ids = [as_integer(item.get("id"), f"images[{i}].id", 0) for i, item in enumerate(images)]
    frames = [one % FRAMES_OF_A_VIDEO for one in ids]
    check_unique(frames, "images", "id (its last four digits)")
    people = _people(as_list(root.get("annotations"), "annotations"), ids, labelled)
    size = images[0] if images else {}
    return PoseSequence(
        name=name,
        width=as_integer(size.get("width", 0), "images[0].width", 0),
        height=as_integer(size.get("height", 0), "images[0].height", 0),
        frames=tuple(
            LabelledFrame(
                index=frames[i],
                file_name=_file_name(images[i], f"images[{i}]"),
                instances=people[ids[i]],
                labelled=not labelled or _is_labelled(images[i], f"images[{i}]"),
                ignore_regions=ignore_regions(images[i], f"images[{i}]") if labelled else (),
            )
            for i in np.argsort(frames, kind="stable").tolist()
        ),
    )


def _check_keypoints(root: Json) -> None:
    """Where categories are given, as labels do, they must speak of PoseTrack's slots."""
    categories = [] if root.get("categories") is None else as_list(root["categories"], "categories")
    for i, item in enumerate(categories):
        names = as_object(item, f"categories[{i}]").get("keypoints")
        if names != list(POSETRACK17.keypoints):
            raise bad_field(f"categories[{i}].keypoints", "the 17 of PoseTrack in order", names)


def _is_labelled(image: Json, where: str) -> bool:
    said = image.get("is_labeled")
    if not isinstance(said, bool):
        raise bad_field(f"{where}.is_labeled", "true or false", said)
    return said


def _file_name(image: Json, where: str) -> str:
    name = image.get("file_name")
    return "" if name is None else as_text(name, f"{where}.file_name")


def _people(annotations: list[Any], image_ids: list[int], labelled: bool) -> dict[int, Instances]:
    """Who is on each image, in the order of the file."""
    rows: dict[int, list[tuple[str, Json]]] = {image_id: [] for image_id in image_ids}
    found = [as_object(item, f"annotations[{i}]") for i, item in enumerate(annotations)]
    if labelled or any("id" in item for item in found):
        ids = [as_integer(item.get("id"), f"annotations[{i}].id") for i, item in enumerate(found)]
        check_unique(ids, "annotations", "id")
    for i, item in enumerate(found):
        image_id = as_integer(item.get("image_id"), f"annotations[{i}].image_id")
        if image_id not in rows:
            raise bad_field(f"annotations[{i}].image_id", "the id of an image", image_id)
        rows[image_id].append((f"annotations[{i}]", item))
    people = {}
    for image_id, here in rows.items():
        people[image_id] = Instances.unknown(len(here), _KEYPOINTS)
        for p, (where, item) in enumerate(here):
            (_fill_label if labelled else _fill_prediction)(people[image_id], p, item, where)
        _check_tracks_differ(people[image_id], [where for where, _ in here])
    return people


def _fill_label(people: Instances, p: int, item: Json, where: str) -> None:
    x, y, v = _keypoints(item, where)
    wrong = np.flatnonzero(~np.isin(v, (0, 1, 2)))
    if len(wrong):
        k = int(wrong[0])
        raise bad_field(f"{where}.keypoints[{3 * k + 2}]", "a visibility of 0, 1 or 2", float(v[k]))
    there = (x != 0) | (y != 0) | (v != 0)
    seen = np.where(v > 0, Visibility.VISIBLE, Visibility.OCCLUDED)
    people.visibility[p] = np.where(there, seen, Visibility.ABSENT)
    people.xy[p, there] = np.stack([x, y], axis=-1)[there]
    people.box[p] = _box(item.get("bbox"), f"{where}.bbox")
    people.head_box[p] = _box(item.get("bbox_head"), f"{where}.bbox_head")
    people.track_id[p] = as_integer(item.get("track_id"), f"{where}.track_id", 0)


def _fill_prediction(people: Instances, p: int, item: Json, where: str) -> None:
    x, y, v = _keypoints(item, where)
    there = (x != 0) | (y != 0) | (v != 0)
    scores = _numbers(as_list(item.get("scores"), f"{where}.scores"), f"{where}.scores", _KEYPOINTS)
    people.visibility[p, there] = Visibility.VISIBLE
    people.xy[p, there] = np.stack([x, y], axis=-1)[there]
    people.keypoint_score[p, there] = scores[there]
    if item.get("score") is not None:
        people.score[p] = _number(item["score"], f"{where}.score")
    elif there.any():
        people.score[p] = scores[there].mean()
    if item.get("bbox") is not None:
        people.box[p] = _box(item["bbox"], f"{where}.bbox")
    if item.get("track_id") is not None:
        people.track_id[p] = as_integer(item["track_id"], f"{where}.track_id", 0)


def _keypoints(item: Json, where: str) -> NDArray[np.float64]:
    """x, y and v of the keypoints, [3, 17]."""
    value = as_list(item.get("keypoints"), f"{where}.keypoints")
    numbers = _numbers(value, f"{where}.keypoints", 3 * _KEYPOINTS)
    return np.asarray(numbers.reshape(_KEYPOINTS, 3).T)


def _box(value: Any, where: str) -> NDArray[np.float64]:
    """Corners xyxy of a box given as xywh."""
    box = _numbers(as_list(value, where), where, 4)
    if (box[2:] < 0).any():
        raise bad_field(where, "a box with a width and height of 0 or more", value)
    return np.concatenate([box[:2], box[:2] + box[2:]])


def _numbers(values: list[Any], where: str, length: int | None = None) -> NDArray[np.float64]:
    as_list(values, where, length)
    if not {int, float}.issuperset(map(type, values)) or not all(
        -MAX_COORDINATE <= value <= MAX_COORDINATE for value in values
    ):  # only then is every place worth a name: there are millions of numbers
        for i, value in enumerate(values):
            _number(value, f"{where}[{i}]")
    return np.array(values, float)


def _number(value: Any, where: str) -> float:
    return as_number(value, where, -MAX_COORDINATE, MAX_COORDINATE)


def _check_tracks_differ(people: Instances, places: list[str]) -> None:
    tracked = np.flatnonzero(people.track_id != NO_TRACK).tolist()
    ids = [int(people.track_id[p]) for p in tracked]
    seen: dict[int, str] = {}
    for p, track in zip(tracked, ids, strict=True):
        if track in seen:
            expected = f"unique in its image (so has {seen[track]})"
            raise bad_field(f"{places[p]}.track_id", expected, track)
        seen[track] = places[p]
