"""The section ``annotations``: one checked row per person and frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
from impose_core.geometry import FAR_OUTSIDE
from impose_core.io.coco.conventions import MAX_COORDINATE, ORIGINS
from impose_core.io.coco.sections import Category, Image, Images
from impose_core.io.documents import VideoInfo
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_number,
    as_object,
    bad_field,
    check_unique,
    without,
)
from impose_core.poses import Origin
from impose_core.skeleton import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One annotation, checked."""

    frame: int
    track: int
    keypoints: NDArray[np.float64]  # [K, 3]: x, y, v
    box: NDArray[np.float64] | None
    area: float | None
    score: list[float | None] | None
    deviation: list[float | None] | None
    origin: list[Origin] | None
    extra: Json


def read_annotations(
    annotations: list[Any],
    category: Category,
    images: Images,
    video: VideoInfo,
    default_track: int | None,
) -> list[Row]:
    """The rows of the chosen category and video that say something of a pose."""
    found = [as_object(item, f"annotations[{i}]") for i, item in enumerate(annotations)]
    ids = [as_integer(item.get("id"), f"annotations[{i}].id") for i, item in enumerate(found)]
    check_unique(ids, "annotations", "id")
    rows: dict[tuple[int, int], Row] = {}
    for i, item in enumerate(found):
        where = f"annotations[{i}]"
        image = _image_of(item, where, images)
        if not _is_in(item, where, category) or image is None:
            continue
        row = _read_row(item, where, image, category.skeleton, video, default_track)
        if (row.frame, row.track) in rows:
            raise bad_field(
                f"{where}.track_id", f"once in frame {row.frame}", f"track {row.track} again"
            )
        rows[row.frame, row.track] = row
    return [row for row in rows.values() if _says_something(row)]


def _says_something(row: Row) -> bool:
    absent = row.origin is not None and Origin.HUMAN in row.origin
    return bool((row.keypoints[:, 2] > 0).any()) or row.box is not None or absent


def _image_of(item: Json, where: str, images: Images) -> Image | None:
    """The image of an annotation; None if it is of a video the caller left out."""
    image_id = as_integer(item.get("image_id"), f"{where}.image_id")
    if image_id not in images.own and image_id not in images.foreign:
        raise bad_field(f"{where}.image_id", "the id of an image of this document", image_id)
    return images.own.get(image_id)


def _is_in(item: Json, where: str, category: Category) -> bool:
    """Whether an annotation is of the category that is read."""
    given = as_integer(item.get("category_id"), f"{where}.category_id")
    if given in category.boxes_only:
        raise BadDocument(
            f"Expected '{where}.category_id' to be {category.id}, the category with keypoints, "
            f"got {given}.",
            hint=f"Pass category={category.name!r} to leave all others out.",
        )
    if given != category.id and given not in category.ignored:
        raise bad_field(f"{where}.category_id", "the id of a category of this document", given)
    return given == category.id


def _read_row(
    item: Json,
    where: str,
    image: Image,
    skeleton: Skeleton,
    video: VideoInfo,
    default_track: int | None,
) -> Row:
    k = len(skeleton)
    track = item["track_id"] if item.get("track_id") is not None else default_track
    if track is None:
        raise BadDocument(
            f"Expected '{where}.track_id' to be an integer, got nothing.",
            hint="For loose pictures of one person each, pass default_track=0.",
        )
    origin = _read_origin(item.get("origin"), f"{where}.origin", k)
    keypoints = _read_keypoints(item.get("keypoints"), f"{where}.keypoints", k)
    size = (image.width or video.width, image.height or video.height)
    _check_near(keypoints, origin, f"{where}.keypoints", size)
    _check_origins(keypoints, origin, f"{where}.origin")
    score, instance_score = item.get("score"), item.get("instance_score")
    if score is not None and not isinstance(score, list):
        score, instance_score = None, as_number(score, f"{where}.score")
    if item.get("num_keypoints") is not None:
        as_integer(item["num_keypoints"], f"{where}.num_keypoints", 0)
    area = item.get("area")
    crowd = as_integer(item.get("iscrowd", 0), f"{where}.iscrowd", 0, 1)
    known = {f"{key}_id" for key in ("image", "category", "track")} | {"id", "keypoints", "bbox"}
    known |= {"num_keypoints", "area", "iscrowd", "score", "deviation", "origin"}
    extra = dict(without(item, known | {"instance_score"}))
    extra |= {"iscrowd": 1} if crowd else {}
    extra |= {} if instance_score is None else {"instance_score": instance_score}
    return Row(
        frame=image.frame,
        track=as_integer(track, f"{where}.track_id"),
        keypoints=keypoints,
        box=_read_box(item.get("bbox"), f"{where}.bbox"),
        area=None if area is None else as_number(area, f"{where}.area", 0),
        score=_read_joint_numbers(score, f"{where}.score", k, 1.0),
        deviation=_read_joint_numbers(
            item.get("deviation"), f"{where}.deviation", k, MAX_COORDINATE
        ),
        origin=origin,
        extra=extra,
    )


def _read_keypoints(value: Any, where: str, k: int) -> NDArray[np.float64]:
    numbers = as_list(value, where, 3 * k, f"(x, y, v of {k} keypoints)")
    for i, number in enumerate(numbers):
        as_number(number, f"{where}[{i}]")
        if i % 3 == 2 and number not in (0, 1, 2):
            raise bad_field(f"{where}[{i}]", "a visibility of 0, 1 or 2", number)
    return np.array(numbers, dtype=np.float64).reshape(k, 3)


def _check_near(
    keypoints: NDArray[np.float64],
    origin: list[Origin] | None,
    where: str,
    size: tuple[int, int],
) -> None:
    human = np.array([origin is None or origin[i] is Origin.HUMAN for i in range(len(keypoints))])
    known = keypoints[:, 2] > 0
    for axis, length in enumerate(size):
        value = keypoints[:, axis]
        far = (value < -FAR_OUTSIDE * length) | (value > (1 + FAR_OUTSIDE) * length)
        wrong = np.flatnonzero(known & ((human & far) | (np.abs(value) > MAX_COORDINATE)))
        if len(wrong):
            j = int(wrong[0])
            raise bad_field(
                f"{where}[{3 * j + axis}]",
                f"in or near the image of {size[0]}×{size[1]} pixels",
                float(value[j]),
            )


def _read_origin(value: Any, where: str, k: int) -> list[Origin] | None:
    if value is None:
        return None
    for i, name in enumerate(as_list(value, where, k)):
        if not isinstance(name, str) or name not in ORIGINS:
            raise bad_field(f"{where}[{i}]", f"one of {list(ORIGINS)}", name)
    return [ORIGINS[name] for name in value]


def _check_origins(keypoints: NDArray[np.float64], origin: list[Origin] | None, where: str) -> None:
    for i, one in enumerate(origin or ()):
        if one is Origin.NONE and keypoints[i, 2] > 0:
            raise bad_field(f"{where}[{i}]", "given, as its keypoint has coordinates", "none")


def _read_joint_numbers(value: Any, where: str, k: int, high: float) -> list[float | None] | None:
    if value is None:
        return None
    return [
        None if number is None else as_number(number, f"{where}[{i}]", 0.0, high)
        for i, number in enumerate(as_list(value, where, k))
    ]


def _read_box(value: Any, where: str) -> NDArray[np.float64] | None:
    """Corners xyxy of a box given as xywh."""
    if value is None:
        return None
    for i, number in enumerate(as_list(value, where, 4)):
        as_number(number, f"{where}[{i}]", -math.inf if i < 2 else 0)
    x, y, w, h = map(float, value)
    box = np.array([x, y, x + w, y + h], dtype=np.float64)
    if (np.abs(box) > MAX_COORDINATE).any():
        raise bad_field(where, f"within {MAX_COORDINATE:g} pixels", value)
    return np.asarray(np.round(box, 3))
