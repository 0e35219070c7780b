"""Labels and predictions from any file or folder evaluation can read.

========== ======================================================= =============================
format      labels                                                  predictions
========== ======================================================= =============================
coco        keypoint document                                       document, or result list
posetrack21 JSON file of a video, or a folder of them               likewise
mot         folder with ``gt/gt.txt`` and ``image_info.json``, or   ``.txt`` of a video, or a
            a folder of such folders                                folder of them
xanylabeling folder of JSON files, one per image                    likewise
cvat        ``.xml``                                                likewise
3dpw        ``.npz``, or a folder of them                           likewise
========== ======================================================= =============================
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from impose_core.errors import UsageError
from impose_core.io import coco_instances, posetrack21
from impose_core.io.coco import read_document
from impose_core.io.cvat_xml import read_cvat_xml
from impose_core.io.files import files_of
from impose_core.io.json_fields import read_json
from impose_core.io.mot import read_mot_labels, read_mot_predictions
from impose_core.io.threedpw import read_threedpw
from impose_core.io.xanylabeling import read_xanylabeling
from impose_core.pose_sets import LabelledFrame, PoseSet
from impose_core.poses import PoseTracks
from impose_core.skeleton import COCO17

Format = Literal["coco", "posetrack21", "mot", "xanylabeling", "cvat", "3dpw"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_BY_SUFFIX: Final[dict[str, Format]] = {".npz": "3dpw", ".txt": "mot", ".xml": "cvat"}


def read_labels(
    path: str | os.PathLike[str],
    format: Format | None = None,
    *,
    keypoints: Sequence[str] = COCO17.keypoints,
) -> PoseSet:
    """The labels at ``path``.

    Args:
        path: a file or folder.
        format: one of :data:`FORMATS`; without, :func:`format_of` tells.
        keypoints: names of the K axis of X-AnyLabeling, which does not list them.

    Raises:
        BadDocument: if the file cannot be read or breaks its format.
        UsageError: if its format cannot be told.
    """
    match _chosen(path, format):
        case "coco":
            return coco_instances.read_labels(path)
        case "posetrack21":
            return posetrack21.read_labels(path)
        case "mot":
            return read_mot_labels(path)
        case "xanylabeling":
            return read_xanylabeling(path, keypoints=keypoints)
        case "cvat":
            return read_cvat_xml(path)
        case "3dpw":
            return read_threedpw(path)


def read_predictions(
    path: str | os.PathLike[str],
    labels: PoseSet,
    format: Format | None = None,
    *,
    keypoints: Sequence[str] | None = None,
    default_score: float | None = None,
) -> PoseSet:
    """The predictions at ``path`` for the images of ``labels``, with which they are not aligned.

    Args:
        path: a file or folder.
        labels: whose image ids a COCO result list speaks of.
        format: one of :data:`FORMATS`; without, :func:`format_of` tells.
        keypoints: names of the K axis of X-AnyLabeling; without, those of ``labels``.
        default_score: of persons of whom the file gives none.

    Raises:
        BadDocument: if the file cannot be read or breaks its format, COCO also if somebody
            has no score.
        UsageError: if its format cannot be told, or ``default_score`` is not finite.
    """
    chosen = _chosen(path, format)
    if chosen == "coco":  # checks default_score itself
        return coco_instances.read_predictions(path, labels, default_score=default_score)
    if default_score is not None and not np.isfinite(default_score):
        raise UsageError(f"Expected 'default_score' to be a finite number, got {default_score}.")
    if chosen == "posetrack21":
        found = posetrack21.read_predictions(path)
    elif chosen == "mot":
        found = read_mot_predictions(path)
    else:
        found = read_labels(path, chosen, keypoints=keypoints or labels.keypoints)
    return found if default_score is None else _scored(found, default_score)


def read_deviations(path: str | os.PathLike[str]) -> PoseTracks | None:
    """The poses of the document of one video at ``path`` that states deviations; None of others.

    Raises:
        BadDocument: if such a document breaks its format.
    """
    place = Path(path)
    if place.suffix.lower() != ".json" or place.is_dir():
        return None
    root = read_json(place)
    items = root.get("annotations") if isinstance(root, dict) else None
    if not isinstance(items, list) or not any("deviation" in _keys([one]) for one in items):
        return None
    return read_document(place).tracks


def format_of(path: str | os.PathLike[str]) -> Format:
    """The format of the file or folder at ``path``, by suffix, names, and keys of JSON.

    Raises:
        BadDocument: if it cannot be read.
        UsageError: if it is none of :data:`FORMATS`.
    """
    place = Path(path)
    if place.is_dir():
        return _format_of_folder(place)
    by_suffix = _BY_SUFFIX.get(place.suffix.lower())
    if by_suffix is not None:
        return by_suffix
    found = _format_of_json(read_json(place)) if place.suffix.lower() == ".json" else None
    if found == "xanylabeling":
        raise UsageError(
            f"Expected the folder of all files of X-AnyLabeling, got the file {place} alone."
        )
    return found or _unknown(place)


def _format_of_folder(place: Path) -> Format:
    files = files_of(place)
    if any((one / "gt").is_dir() for one in (place, *place.iterdir())):
        return "mot"
    suffixes = {file.suffix.lower() for file in files}
    if ".json" in suffixes:
        first = next(file for file in files if file.suffix.lower() == ".json")
        found = _format_of_json(read_json(first))
        # a folder of COCO documents is none of the formats
        return found if found and found != "coco" else _unknown(place)
    told = [_BY_SUFFIX[suffix] for suffix in (".npz", ".txt") if suffix in suffixes]
    return told[0] if len(told) == 1 else _unknown(place)


def _format_of_json(root: Any) -> Format | None:
    if isinstance(root, list):
        return "coco"  # a result list
    if not isinstance(root, dict):
        return None
    if isinstance(root.get("shapes"), list):
        return "xanylabeling"
    if not isinstance(root.get("images"), list) or not isinstance(root.get("annotations"), list):
        return None
    if "is_labeled" in _keys(root["images"]) or {"scores", "bbox_head"} & _keys(
        root["annotations"]
    ):
        return "posetrack21"
    return "coco" if "categories" in root else None


def _keys(items: list[Any]) -> set[Any]:
    """The keys of the first of ``items``."""
    return set(items[0]) if items and isinstance(items[0], dict) else set()


def _unknown(place: Path) -> Format:
    raise UsageError(
        f"Expected {place} to be of one of the formats {', '.join(FORMATS)}, got one that "
        "cannot be told from its name and content.",
        hint="Name it with '--gt-format' or '--pred-format'.",
    )


def _chosen(path: str | os.PathLike[str], format: Format | None) -> Format:
    if format is not None and format not in FORMATS:
        raise UsageError(f"Expected 'format' to be one of {', '.join(FORMATS)}, got {format!r}.")
    return format or format_of(path)


def _scored(poses: PoseSet, default_score: float) -> PoseSet:
    """``poses`` with ``default_score`` for everybody without a score."""

    def scored(frame: LabelledFrame) -> LabelledFrame:
        people = frame.instances
        score = np.where(np.isnan(people.score), default_score, people.score)
        return replace(frame, instances=replace(people, score=score))

    return replace(
        poses,
        sequences=tuple(
            replace(sequence, frames=tuple(scored(frame) for frame in sequence.frames))
            for sequence in poses.sequences
        ),
    )
