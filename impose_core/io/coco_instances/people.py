"""Annotations and results: one row per person, checked, as columns of :class:`Instances`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_number,
    as_object,
    bad_field,
    check_unique,
)
from impose_core.pose_sets import NO_TRACK, Instances
from impose_core.poses import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a row may refer to.

    Attributes:
        images: number of an image, by its id.
        category: id of the category that is read.
        others: ids of categories whose rows are left out.
        keypoints: how many the category has.
        owner: whose images and categories these are, for errors.
    """

    images: Mapping[int, int]
    category: int
    others: frozenset[int]
    keypoints: int
    owner: str = "this document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one category, P of them, in the order of the file.

    Attributes:
        places: how errors name each row: ``annotations[3]``.
        items: what the file says of each.
        image: int64 [P], number of the image.
        keypoints: float64 [P, K, 3]: x, y and what stands in the place of v.
    """

    places: list[str]
    items: list[Json]
    image: NDArray[np.int64]
    keypoints: NDArray[np.float64]


def read_rows(items: list[Any], section: str, scope: Scope) -> Rows:
    """The rows of ``section`` that are of the category of ``scope``.

    Raises:
        BadDocument: if one is no object, refers to nothing, or its keypoints are no finite
            numbers, three for each keypoint.
    """
    places, kept, image, keypoints = [], [], [], []
    for i, item in enumerate(items):
        where = f"{section}[{i}]"
        row = as_object(item, where)
        image_id = as_integer(row.get("image_id"), f"{where}.image_id")
        if image_id not in scope.images:
            raise bad_field(f"{where}.image_id", f"the id of an image of {scope.owner}", image_id)
        category = as_integer(row.get("category_id"), f"{where}.category_id")
        if category in scope.others:
            continue
        if category != scope.category:
            expected = f"the id of a category of {scope.owner}"
            raise bad_field(f"{where}.category_id", expected, category)
        places.append(where)
        kept.append(row)
        image.append(scope.images[image_id])
        keypoints.append(_numbers(row.get("keypoints"), f"{where}.keypoints", scope.keypoints))
    return Rows(
        places=places,
        items=kept,
        image=np.array(image, np.int64),
        keypoints=np.array(keypoints, np.float64).reshape(len(kept), scope.keypoints, 3),
    )


def check_ids(items: list[Any], section: str) -> None:
    """Every annotation must have an id of its own."""
    found = [as_object(item, f"{section}[{i}]") for i, item in enumerate(items)]
    ids = [as_integer(item.get("id"), f"{section}[{i}].id") for i, item in enumerate(found)]
    check_unique(ids, section, "id")


def instances(rows: Rows) -> Instances:
    """All but the scores of ``rows``; v is COCO's visibility, and must be 0, 1 or 2.

    Raises:
        BadDocument: if a field is not what COCO says it is.
    """
    visibility = rows.keypoints[..., 2]
    wrong = np.argwhere(~np.isin(visibility, (0, 1, 2)))
    if len(wrong):
        p, k = wrong[0].tolist()
        where = f"{rows.places[p]}.keypoints[{3 * k + 2}]"
        raise bad_field(where, "a visibility of 0, 1 or 2", float(visibility[p, k]))
    people = Instances.unknown(*visibility.shape)
    people.visibility[:] = visibility
    people.xy[:] = np.where(visibility[..., None] > 0, rows.keypoints[..., :2], np.nan)
    for p, (where, item) in enumerate(zip(rows.places, rows.items, strict=True)):
        if item.get("bbox") is not None:
            people.box[p] = _box(item["bbox"], f"{where}.bbox")
        if item.get("area") is not None:
            people.area[p] = as_number(item["area"], f"{where}.area", 0, MAX_COORDINATE**2)
        if item.get("track_id") is not None:
            people.track_id[p] = as_integer(item["track_id"], f"{where}.track_id")
        people.crowd[p] = as_integer(item.get("iscrowd", 0), f"{where}.iscrowd", 0, 1)
    _check_tracks_differ(rows, people)
    return people


def read_results(items: list[Any], scope: Scope) -> Rows:
    """The rows of a result list, v made COCO's: 2, or 0 for a keypoint at (0, 0).

    What stands in the place of v is not looked at, like in pycocotools: tools put a score
    there, or nothing but 1.
    """
    rows = read_rows(items, "results", scope)
    given = (rows.keypoints[..., :2] != 0).any(-1)
    rows.keypoints[..., 2] = np.where(given, Visibility.VISIBLE, 0)
    return rows


def read_poses(items: list[Any], scope: Scope) -> Rows:
    """The rows of a prediction document that say where somebody is.

    A row without a keypoint (v = 0 in all) says that somebody is not there, as the results
    of this tool do where a human declared it.

    Raises:
        BadDocument: as :func:`read_rows`; or if v is 0 where all coordinates are given.
    """
    check_ids(items, "annotations")
    rows = read_rows(items, "annotations", scope)
    absent = (rows.keypoints[..., 2] == 0).all(-1)
    contradictory = np.flatnonzero(absent & (rows.keypoints[..., :2] != 0).any((-1, -2)))
    if len(contradictory):
        raise BadDocument(
            f"Expected '{rows.places[contradictory[0]]}.keypoints' to have v = 1 or 2 where a "
            "position is given, got v = 0 in all.",
            hint="In COCO documents v = 0 is a keypoint without a position.",
        )
    there = np.flatnonzero(~absent).tolist()
    return Rows(
        places=[rows.places[p] for p in there],
        items=[rows.items[p] for p in there],
        image=rows.image[there],
        keypoints=rows.keypoints[there],
    )


def fill_scores(people: Instances, rows: Rows, default_score: float | None) -> None:
    """Set ``score`` and ``keypoint_score`` of ``people`` in place.

    A number ``score`` is the person's, a list the keypoints'. Without a number
    ``instance_score`` is the person's, else the mean of what the list holds.

    Raises:
        BadDocument: if there is neither and no ``default_score``.
    """
    for p, (where, item) in enumerate(zip(rows.places, rows.items, strict=True)):
        given, person = item.get("score"), item.get("instance_score")
        key = "instance_score"
        if isinstance(given, list):
            joints = as_list(given, f"{where}.score", people.keypoint_score.shape[1], "(keypoints)")
            people.keypoint_score[p] = [
                math.nan if one is None else _finite(one, f"{where}.score[{k}]")
                for k, one in enumerate(joints)
            ]
        elif given is not None:
            key, person = "score", given
        known = people.keypoint_score[p][~np.isnan(people.keypoint_score[p])]
        if person is not None:
            people.score[p] = _finite(person, f"{where}.{key}")
        elif len(known):
            people.score[p] = known.mean()
        elif default_score is not None:
            people.score[p] = default_score
        else:
            raise BadDocument(
                f"Expected '{where}.score' to be a number, got nothing.",
                hint="AP ranks by score; pass default_score=1 to let the order of the file decide.",
            )


def _numbers(value: Any, where: str, keypoints: int) -> list[float]:
    """The 3K numbers of ``keypoints``; a person costs microseconds, as there may be 100,000."""
    numbers = as_list(value, where, 3 * keypoints, f"(x, y, v of {keypoints} keypoints)")
    if not {int, float}.issuperset(map(type, numbers)) or not all(
        -MAX_COORDINATE <= number <= MAX_COORDINATE for number in numbers
    ):
        for i, number in enumerate(numbers):
            as_number(number, f"{where}[{i}]", -MAX_COORDINATE, MAX_COORDINATE)
    return numbers


def _box(value: Any, where: str) -> list[float]:
    """Corners xyxy of a box given as xywh."""
    x, y, w, h = (
        as_number(number, f"{where}[{i}]", -MAX_COORDINATE if i < 2 else 0, MAX_COORDINATE)
        for i, number in enumerate(as_list(value, where, 4))
    )
    return [x, y, x + w, y + h]


def _finite(value: Any, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise bad_field(where, "a number", value)
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise bad_field(where, "a finite number", value)
    return number


def _check_tracks_differ(rows: Rows, people: Instances) -> None:
    seen: dict[tuple[int, int], int] = {}
    for p, at in enumerate(zip(rows.image.tolist(), people.track_id.tolist(), strict=True)):
        if at[1] != NO_TRACK and at in seen:
            expected = f"unique in its image (so has {rows.places[seen[at]]})"
            raise bad_field(f"{rows.places[p]}.track_id", expected, at[1])
        seen[at] = p
