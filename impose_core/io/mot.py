"""Boxes of PoseTrack21's multi-object tracking task, in the text format of MOTChallenge.

``doc/dataset_structure.md`` of anDoer/PoseTrack21. Labels are folders
``<video>/image_info.json`` and ``<video>/gt/gt.txt``, predictions files ``<video>.txt``. A line is
``frame, id, left, top, width, height, confidence, …``; what follows is not looked at. Frames
count from 1 in the files, from 0 here. There are no keypoints: K = 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.files import files_of, naming, read_bytes
from impose_core.io.json_fields import (
    as_integer,
    as_list,
    as_number,
    as_object,
    as_text,
    bad_field,
    check_unique,
    read_json,
)
from impose_core.io.posetrack21 import ignore_regions
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet

MAX_FRAME: Final = 10_000_000
_MAX_ID: Final = 2**53
_COLUMNS: Final = ("frame", "id", "left", "top", "width", "height", "confidence")
_LIMITS: Final = {
    **dict.fromkeys(("left", "top"), (-MAX_COORDINATE, MAX_COORDINATE)),
    **dict.fromkeys(("width", "height"), (0.0, MAX_COORDINATE)),
}
_NOBODY: Final = Instances.unknown(0, 0)


def read_mot_labels(folder: str | os.PathLike[str]) -> PoseSet:
    """The labels of the videos in ``folder``, or of the one video ``folder`` is.

    Every frame ``image_info.json`` lists is labelled, and only these are.

    Raises:
        BadDocument: if a file cannot be read or breaks the format, or there is none; the
            message names file, line and column.
    """
    place = Path(folder)
    videos = [place] if (place / "gt").is_dir() else _folders_of(place)
    if not videos:
        raise BadDocument(f"Expected '{folder}' to hold folders of videos, got none.")
    return PoseSet(keypoints=(), sequences=tuple(_labelled(video) for video in videos))


def read_mot_predictions(path: str | os.PathLike[str]) -> PoseSet:
    """The predictions for a video, or for those of a folder: ``*.txt``.

    Raises:
        BadDocument: as :func:`read_mot_labels`.
    """
    place = Path(path)
    files = [place]
    if place.is_dir():
        files = [file for file in files_of(place) if file.suffix == ".txt"]
    if not files:
        raise BadDocument(f"Expected '{path}' to hold files called *.txt, got none.")
    return PoseSet(keypoints=(), sequences=tuple(_predicted(file) for file in files))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A line, called ``where`` in messages: frame from 0, box xyxy."""

    where: str
    frame: int
    track: int
    box: tuple[float, float, float, float]
    confidence: float


def _labelled(video: Path) -> PoseSequence:
    truth, info = video / "gt" / "gt.txt", video / "image_info.json"
    images = read_json(info)
    with naming(info):
        frames = _frames(images)
    with naming(truth):
        rows = _rows(truth)
        for row in (row for people in rows.values() for row in people):
            if row.frame not in frames:
                expected = "one of those image_info.json lists"
                raise bad_field(f"{row.where}, frame", expected, row.frame + 1)
            if row.confidence != 1:
                raise bad_field(f"{row.where}, confidence", "1, as in PoseTrack21", row.confidence)
    return _sequence(
        video.name,
        [
            LabelledFrame(
                index=frame.index,
                file_name=frame.file_name,
                ignore_regions=frame.ignore_regions,
                instances=_instances(rows.get(frame.index, [])),
            )
            for frame in frames.values()
        ],
    )


def _predicted(file: Path) -> PoseSequence:
    with naming(file):
        rows = _rows(file)
    return _sequence(
        file.stem,
        [LabelledFrame(index=frame, instances=_instances(rows[frame])) for frame in rows],
    )


def _sequence(name: str, frames: Sequence[LabelledFrame]) -> PoseSequence:
    ordered = tuple(sorted(frames, key=lambda frame: frame.index))
    return PoseSequence(name=name, width=0, height=0, frames=ordered)


def _frames(images: Any) -> Mapping[int, LabelledFrame]:
    """The frames ``image_info.json`` lists, without anybody, by index."""
    listed = [as_object(item, f"images[{i}]") for i, item in enumerate(as_list(images, "images"))]
    numbers = [
        as_integer(item.get("frame_index"), f"images[{i}].frame_index", 1, MAX_FRAME)
        for i, item in enumerate(listed)
    ]
    check_unique(numbers, "images", "frame_index")
    return {
        number - 1: LabelledFrame(
            index=number - 1,
            instances=_NOBODY,
            file_name=_file_name(item.get("file_name"), f"images[{i}].file_name"),
            ignore_regions=ignore_regions(item, f"images[{i}]"),
        )
        for i, (number, item) in enumerate(zip(numbers, listed, strict=True))
    }


def _file_name(value: Any, where: str) -> str:
    return "" if value is None else as_text(value, where)


def _instances(rows: Sequence[_Row]) -> Instances:
    people = Instances.unknown(len(rows), 0)
    for p, row in enumerate(rows):
        people.track_id[p] = row.track
        people.box[p] = row.box
        people.score[p] = row.confidence
    return people


def _rows(file: Path) -> dict[int, list[_Row]]:
    """The lines of ``file`` by frame, from 0, in their order."""
    try:
        lines = read_bytes(file).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BadDocument(f"Expected '{file.name}' to be UTF-8 text, got: {error}.") from error
    rows: dict[int, list[_Row]] = {}
    seen: dict[tuple[int, int], str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        row = _row(line, f"line {number}")
        if (row.frame, row.track) in seen:
            expected = f"unique in its frame (so has {seen[row.frame, row.track]})"
            raise bad_field(f"{row.where}, id", expected, row.track)
        seen[row.frame, row.track] = row.where
        rows.setdefault(row.frame, []).append(row)
    return rows


def _row(line: str, where: str) -> _Row:
    cells = line.split(",")
    if len(cells) < len(_COLUMNS):
        expected = f"{len(_COLUMNS)} numbers or more, with commas ({', '.join(_COLUMNS)})"
        raise bad_field(where, expected, line)
    frame, track, left, top, width, height, confidence = (
        _number(cell, f"{where}, {column}", *_LIMITS.get(column, ()))
        for cell, column in zip(cells[: len(_COLUMNS)], _COLUMNS, strict=True)
    )
    return _Row(
        where=where,
        frame=_integer(frame, f"{where}, frame", 1, MAX_FRAME) - 1,
        track=_integer(track, f"{where}, id", 0, _MAX_ID),
        box=(left, top, left + width, top + height),
        confidence=confidence,
    )


def _number(cell: str, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    try:
        number = float(cell)
    except ValueError:
        raise bad_field(where, "a number", cell) from None
    if not math.isfinite(number):
        raise bad_field(where, "a finite number", number)
    return as_number(number, where, low, high)


def _integer(value: float, where: str, low: int, high: int) -> int:
    """Trackers write ids as "3.0" too."""
    if not value.is_integer() or not low <= value <= high:
        raise bad_field(where, f"an integer from {low} to {high}", value)
    return int(value)


def _folders_of(place: Path) -> list[Path]:
    try:
        return sorted(one for one in place.iterdir() if (one / "gt").is_dir())
    except (OSError, ValueError) as error:
        raise BadDocument(
            f"Expected '{place}' to be a folder, got: {getattr(error, 'strerror', error)}."
        ) from error
