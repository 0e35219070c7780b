"""Labels and predictions from COCO keypoint JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from impose_core.errors import BadDocument, UsageError
from impose_core.io.coco.sections import read_category
from impose_core.io.coco_instances.images import Image, as_sequences, read_images
from impose_core.io.coco_instances.people import (
    Rows,
    Scope,
    check_ids,
    fill_scores,
    instances,
    read_poses,
    read_results,
    read_rows,
)
from impose_core.io.json_fields import Json, as_list, as_object, bad_field, read_json
from impose_core.pose_sets import Instances, PoseSet
from impose_core.poses import Visibility

Source = str | os.PathLike[str] | Json | list[Any]
"""A file, or what ``json.loads`` gave for it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CocoLabels(PoseSet):
    """Labels with the ids by which a result list refers to them.

    Attributes:
        image_ids: id of every image, in the order of iteration.
        category_id: of the category that was read.
        other_categories: ids of the others, whose annotations were left out.
    """

    image_ids: tuple[int, ...]
    category_id: int
    other_categories: frozenset[int]


def read_labels(source: Source, *, category: str | None = None) -> CocoLabels:
    """The labels of a COCO keypoint document.

    ``num_keypoints`` is not read: it follows from the visibility. ``iscrowd`` is kept as
    ``crowd``, and ``area`` and ``bbox`` where they are given. Coordinates of unlabelled
    keypoints (v = 0) are dropped.

    Args:
        source: a path, or the decoded JSON.
        category: name of the one to read, if several have keypoints.

    Raises:
        BadDocument: if the file cannot be read or breaks the format; the message names the
            field.
    """
    with _naming(source):
        root = as_object(_decoded(source), "document")
        images = read_images(root)
        scope, keypoints = _scope(root, images, category)
        items = as_list(root.get("annotations"), "annotations")
        check_ids(items, "annotations")
        rows = read_rows(items, "annotations", scope)
        return CocoLabels(
            keypoints=keypoints,
            sequences=as_sequences(images, instances(rows), rows.image),
            image_ids=tuple(image.id for image in images),
            category_id=scope.category,
            other_categories=scope.others,
        )


def read_predictions(
    source: Source,
    labels: PoseSet,
    *,
    category: str | None = None,
    default_score: float | None = None,
) -> PoseSet:
    """The predictions of a COCO result list, or of a keypoint document.

    A result list speaks of the images, the category and the keypoints of ``labels``, by
    image id. A document has its own, and is matched with the labels by
    :func:`impose_core.evaluation.alignment.align`; but where its images carry nothing but an
    id (no ``file_name``, no ``frame_id``), they are the labels' images of that id.

    The score of a person is a number ``score``, else ``instance_score``, else the mean of
    the scores in a list ``score`` (which are the keypoints'), else ``default_score``.

    A keypoint is missing (NaN) where a document has v = 0 and where a result list has (0, 0).
    A document's annotation without any keypoint is nobody; a result without any is somebody
    who is nowhere, and counts.

    Args:
        source: a path, or the decoded JSON.
        labels: what the predictions are to be compared with.
        category: name of the one to read, if several of a document have keypoints.
        default_score: of persons of whom the file gives none; with 1 for all, AP depends on
            the order of the file.

    Raises:
        BadDocument: if the file cannot be read or breaks the format; the message names the
            field.
        UsageError: if ids of images are needed and ``labels`` is no :class:`CocoLabels`, or
            ``default_score`` is not finite.
    """
    if default_score is not None and not np.isfinite(default_score):
        raise UsageError(f"Expected 'default_score' to be a finite number, got {default_score}.")
    with _naming(source):
        decoded = _decoded(source)
        if isinstance(decoded, list):
            return _from_results(decoded, labels, default_score)
        return _from_document(as_object(decoded, "document"), labels, category, default_score)


def _from_results(items: list[Any], labels: PoseSet, default_score: float | None) -> PoseSet:
    if not isinstance(labels, CocoLabels):
        raise UsageError(
            "Expected 'labels' to come from a COCO document, as a result list refers to images "
            f"by id, got a {type(labels).__name__}.",
            hint="Give the predictions as a document with images, or read COCO labels.",
        )
    images = _images_of(labels)
    scope = Scope(
        images={image.id: i for i, image in enumerate(images)},
        category=labels.category_id,
        others=labels.other_categories,
        keypoints=len(labels.keypoints),
        owner="the labels",
    )
    rows = read_results(items, scope)
    people = _predicted(rows, default_score)
    return PoseSet(keypoints=labels.keypoints, sequences=as_sequences(images, people, rows.image))


def _from_document(
    root: Json, labels: PoseSet, category: str | None, default_score: float | None
) -> PoseSet:
    images = read_images(root)
    scope, keypoints = _scope(root, images, category)
    rows = read_poses(as_list(root.get("annotations"), "annotations"), scope)
    people = _predicted(rows, default_score)
    image_of = rows.image
    only_ids = all(not image.file_name and image.sequence == str(image.id) for image in images)
    if only_ids and isinstance(labels, CocoLabels):
        number = {image_id: i for i, image_id in enumerate(labels.image_ids)}
        for image in images:
            if image.id not in number:
                raise bad_field("images", "images of the labels, by id", image.id)
        image_of = np.array([number[image.id] for image in images], np.int64)[rows.image]
        images = _images_of(labels)
    return PoseSet(keypoints=keypoints, sequences=as_sequences(images, people, image_of))


def _predicted(rows: Rows, default_score: float | None) -> Instances:
    people = instances(rows)
    people.visibility[people.visibility > 0] = Visibility.VISIBLE
    fill_scores(people, rows, default_score)
    return people


def _scope(root: Json, images: list[Image], category: str | None) -> tuple[Scope, tuple[str, ...]]:
    """What the annotations of a document may refer to, and the names of the keypoints."""
    chosen = read_category(as_list(root.get("categories"), "categories"), category)
    scope = Scope(
        images={image.id: i for i, image in enumerate(images)},
        category=chosen.id,
        others=chosen.ignored | chosen.boxes_only,
        keypoints=len(chosen.skeleton),
    )
    return scope, chosen.skeleton.keypoints


def _images_of(labels: CocoLabels) -> list[Image]:
    return [
        Image(
            id=image_id,
            sequence=sequence.name,
            index=frame.index,
            file_name=frame.file_name,
            width=sequence.width,
            height=sequence.height,
        )
        for image_id, (sequence, frame) in zip(labels.image_ids, labels, strict=True)
    ]


def _decoded(source: Source) -> Any:
    return read_json(source) if isinstance(source, (str, os.PathLike)) else source


@contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Add the file to errors: two are compared, and a field alone does not say which."""
    try:
        yield
    except BadDocument as error:
        if not isinstance(source, (str, os.PathLike)) or str(source) in error.message:
            raise
        raise BadDocument(f"In '{source}': {error.message}", hint=error.hint) from error
