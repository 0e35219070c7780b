"""YOLO-pose: a text file per image, a line per person, in shares of the image.

``class cx cy w h x1 y1 v1 x2 y2 v2 …`` (Ultralytics, "Pose Estimation Datasets Overview"): numbers
are written with all their digits, v is COCO's. The format has no ids, and its readers refuse a
further column; so ids stand beside it, line by line, and what the format does not say at all in
``data.yaml`` (which is JSON, and so YAML as well):

    data.yaml           kpt_shape, flip_idx, names, and under impose: keypoints, images, size
    labels/IMAGE.txt    the persons
    ids/IMAGE.txt       their ids

Origin, deviation and score are lost: all joints read are a human's.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from impose_core.atomic import unwritable, write_bytes
from impose_core.errors import BadDocument, OutputError, UsageError
from impose_core.io.coco.conventions import MAX_COORDINATE, box_of
from impose_core.io.documents import Extra, PoseDocument, VideoInfo
from impose_core.io.files import naming, read_bytes
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_object,
    as_text,
    bad_field,
    check_unique,
    parse_json,
)
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton, skeleton_from_names

ABOUT: Final = "data.yaml"
PERSON: Final = 0
"""The class of persons."""
MAX_PERSONS: Final = 10_000
"""On one image."""


def write_yolo_pose(
    folder: str | os.PathLike[str], document: PoseDocument, *, images: Sequence[str]
) -> None:
    """Write the poses of a video whose images are called ``images`` into a new folder.

    Raises:
        OutputError: if there are labels already, or a file cannot be written.
        UsageError: if two images would share a file.
    """
    place, video = Path(folder), document.video
    stems = [Path(image).stem for image in images]
    if len(set(stems)) < len(stems):
        raise UsageError("Expected images whose names differ before the suffix, got some twice.")
    if (place / ABOUT).exists() or (place / "labels").exists():
        raise OutputError(f"Expected {place} to hold no labels yet, got some.")
    try:
        for name in ("labels", "ids"):
            (place / name).mkdir(parents=True)
    except OSError as error:
        raise unwritable(place, error) from error
    listed = range(video.frames) if document.extra.listed is None else document.extra.listed
    for frame in listed:
        lines, ids = _lines(document, frame)
        write_bytes(place / "labels" / f"{stems[frame]}.txt", _text(lines))
        write_bytes(place / "ids" / f"{stems[frame]}.txt", _text([str(one) for one in ids]))
    write_bytes(place / ABOUT, json.dumps(_about(document, list(images)), indent=1).encode())


def read_yolo_pose(
    folder: str | os.PathLike[str],
    *,
    keypoints: Sequence[str] | None = None,
    images: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[PoseDocument, list[str]]:
    """The poses in ``folder``, and the names of the images.

    Args:
        folder: with ``labels``, and ``data.yaml`` where this module wrote it.
        keypoints: names in the order of the columns, where ``data.yaml`` does not say.
        images: of the video, in order, likewise.
        size: width and height of the images in pixels, likewise.

    Raises:
        BadDocument: if a file breaks the format; the message names file and line.
        UsageError: if nobody says what the keypoints, images or their size are.
    """
    place = Path(folder)
    about = _read_about(place)
    names = keypoints or about.get("keypoints")
    shown, extent = images or about.get("images"), size or about.get("size")
    if names is None or shown is None or extent is None:
        raise UsageError(
            f"Expected {place / ABOUT} to name keypoints, images and their size, got none.",
            hint="Name '--keypoints' and '--video'.",
        )
    skeleton = skeleton_from_names("yolo", tuple(names))
    rows: list[tuple[int, int, list[float]]] = []
    listed = []
    for frame, image in enumerate(shown):
        labels = place / "labels" / f"{Path(image).stem}.txt"
        if labels.exists():
            listed.append(frame)
            with naming(labels):
                rows += [(frame, *row) for row in _read_frame(place, labels, len(skeleton))]
    if not listed:
        raise BadDocument(f"Expected {place / 'labels'} to hold a file for an image, got none.")
    video = VideoInfo(
        file_name=place.resolve().name, width=extent[0], height=extent[1], frames=len(shown)
    )
    return _document(rows, skeleton, video, listed), list(shown)


def _about(document: PoseDocument, images: list[str]) -> dict[str, Any]:
    skeleton, video = document.tracks.skeleton, document.video
    return {
        "path": ".",
        "kpt_shape": [len(skeleton), 3],
        "flip_idx": skeleton.flip_index().tolist(),
        "names": {str(PERSON): document.category},
        "impose": {
            "keypoints": list(skeleton.keypoints),
            "images": images,
            "size": [video.width, video.height],
        },
    }


def _lines(document: PoseDocument, frame: int) -> tuple[list[str], list[int]]:
    tracks, video = document.tracks, document.video
    size = np.array([video.width, video.height], float)
    lines, ids = [], []
    for n, track in enumerate(tracks.track_id.tolist()):
        xy = tracks.xy[frame, n]
        known = np.isfinite(xy).all(-1)
        box = tracks.box[frame, n]
        if not np.isfinite(box).all():
            box = box_of(xy, video)
        if not np.isfinite(box).all():
            continue
        low, high = box[:2] / size, box[2:] / size
        numbers = [*((low + high) / 2).tolist(), *(high - low).tolist()]
        for k in range(len(xy)):
            if known[k]:
                hidden = tracks.visibility[frame, n, k] == Visibility.OCCLUDED
                numbers += [*(xy[k] / size).tolist(), 1 if hidden else 2]
            else:
                numbers += [0, 0, 0]
        lines.append(" ".join([str(PERSON), *(f"{v:.17g}" for v in numbers)]))
        ids.append(track)
    return lines, ids


def _text(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def _read_about(place: Path) -> Json:
    path = place / ABOUT
    if not path.exists():
        return {}
    try:
        about = parse_json(read_bytes(path)).get("impose")
    except (BadDocument, AttributeError):  # YAML of somebody else
        return {}
    if about is None:
        return {}
    with naming(path):
        item = as_object(about, "impose")
        for field in ("keypoints", "images"):
            for i, name in enumerate(as_list(item.get(field), f"impose.{field}")):
                as_text(name, f"impose.{field}[{i}]")
        for i, side in enumerate(as_list(item.get("size"), "impose.size", 2, "sides")):
            as_integer(side, f"impose.size[{i}]", 1, int(MAX_COORDINATE))
        return item


def _read_frame(place: Path, labels: Path, keypoints: int) -> list[tuple[int, list[float]]]:
    lines = _read_lines(labels)
    ids: list[int] = []
    beside = place / "ids" / labels.name
    if beside.exists():
        for i, words in enumerate(_read_lines(beside), 1):
            fits = len(words) == 1 and words[0].isdecimal() and len(words[0]) < 16
            if not fits:
                raise bad_field(f"ids, line {i}", "an integer ≥ 0", " ".join(words))
            ids.append(int(words[0]))
        if len(ids) != len(lines):
            raise bad_field("ids", f"{len(lines)} lines as in labels", f"{len(ids)} lines")
        check_unique(ids, "ids", "line")
    rows = []
    for i, words in enumerate(lines, 1):
        if len(words) != 5 + 3 * keypoints:
            raise bad_field(f"line {i}", f"5 + 3 × {keypoints} numbers", f"{len(words)} of them")
        numbers = [_number(word, f"line {i}, number {j}") for j, word in enumerate(words, 1)]
        rows.append((ids[i - 1] if ids else -i, numbers))
    return rows


def _read_lines(path: Path) -> list[list[str]]:
    try:
        text = read_bytes(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise BadDocument(f"Expected numbers, got {error}.") from error
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) > MAX_PERSONS:
        raise bad_field("lines", f"{MAX_PERSONS} at most", f"{len(lines)} of them")
    return lines


def _number(word: str, where: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise bad_field(where, "a number", word) from None
    if not math.isfinite(number) or abs(number) > MAX_COORDINATE:
        raise bad_field(where, "a finite number", word)
    return number


def _document(
    rows: list[tuple[int, int, list[float]]],
    skeleton: Skeleton,
    video: VideoInfo,
    listed: list[int],
) -> PoseDocument:
    """Persons without an id are told apart by their line alone: the same line, the same one."""
    given = {track for _, track, _ in rows if track >= 0}
    first = max(given, default=0)
    ids = sorted({first - track if track < 0 else track for _, track, _ in rows})
    tracks = PoseTracks.empty(frames=video.frames, track_id=ids, skeleton=skeleton)
    place = {track: n for n, track in enumerate(ids)}
    size = np.array([video.width, video.height], float)
    for frame, track, numbers in rows:
        n = place[first - track if track < 0 else track]
        box = np.array(numbers[1:5]).reshape(2, 2)
        tracks.box[frame, n] = np.concatenate(
            [(box[0] - box[1] / 2) * size, (box[0] + box[1] / 2) * size]
        )
        joints = np.array(numbers[5:]).reshape(-1, 3)
        known = joints[:, 2] > 0
        tracks.xy[frame, n, known] = joints[known, :2] * size
        flags = np.where(joints[:, 2] >= 2, Visibility.VISIBLE, Visibility.OCCLUDED)
        tracks.visibility[frame, n, known] = flags[known]
        tracks.origin[frame, n, known] = Origin.HUMAN
        tracks.score[frame, n, known], tracks.deviation[frame, n, known] = 1.0, 0.0
    return PoseDocument(
        tracks=tracks,
        video=video,
        area=np.full(tracks.box.shape[:2], np.nan),
        extra=Extra(listed=None if len(listed) == video.frames else tuple(listed)),
    )
