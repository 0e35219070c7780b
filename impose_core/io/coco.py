"""COCO keypoints with ``video_id``, ``frame_id`` and ``track_id``: poses of one video as JSON.

Anchors and results have one form. A result adds three lists to each annotation, one entry
per joint: ``score``, ``deviation`` (null where a joint is unknown) and ``origin`` ("human",
"propagated", "detected", "none"). Keys this module does not know are kept, and written back.

What a file can hold, and therefore what a :class:`PoseDocument` read from one holds:

- human coordinates to the last bit; all other coordinates, boxes and deviations to a
  thousandth of a pixel, scores to four decimals;
- a box for everybody with a known joint. Where the file gives none it is the extent of the
  known joints plus 10 % (at least a pixel) on each side, kept inside the image;
- an area for every box. Where the file gives none it is 0.53 · width · height, the
  convention of xtcocotools and CrowdPose for data without masks;
- persons in the order of their track ids.

Writing such a document and reading it again gives an equal one.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument, OutputError, UsageError
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton, skeleton_from_names

FAR_OUTSIDE: Final = 1.0
"""How far, in image sizes, a human's joint may lie outside the image. People half out of the
picture are labelled a little outside; a whole image away means other units or another video."""

MAX_COORDINATE: Final = 1e6
"""Pixels. Beyond it a thousandth of a pixel is no longer meaningful. A joint that is not a
human's may drift that far and is clipped there, so that every result can be read again."""

MAX_BYTES: Final = 2**30
MAX_FRAMES: Final = 10_000_000
MAX_JOINTS: Final = 100_000_000
"""frames × persons × keypoints; the ledger of so many takes about 3 GB."""

MAX_DEPTH: Final = 64
AREA_OF_BOX: Final = 0.53
BOX_MARGIN: Final = 0.1

Json = Mapping[str, Any]
_ORIGINS: Final = {origin.name.lower(): origin for origin in Origin}
_ORIGIN_NAMES: Final = {origin.value: name for name, origin in _ORIGINS.items()}
_FRAME_COUNT_KEYS: Final = ("n_frames", "length", "nframes")
_INT64: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The video a document speaks of.

    Attributes:
        file_name: as the document gives it; "" if it gives none.
        width: pixels; of images of several sizes the largest.
        height: pixels, likewise.
        frames: how many frames the video has.
        fps: frames a second, None if unknown.
    """

    file_name: str
    width: int
    height: int
    frames: int
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What a document holds beside the poses, to be written back untouched.

    Attributes:
        document: top-level sections other than the four of COCO (info, licenses).
        video: further keys of the video; its ``id`` if that is not 1.
        category: further keys of the category; its ``id`` if that is not 1, its ``skeleton``
            if the skeleton is a preset and the document draws other limbs.
        other_categories: categories without keypoints, whole.
        images: by frame, further keys of its image, and ``id``, ``file_name``, ``width``,
            ``height`` where they are not what the writer would choose.
        annotations: by (frame, track id), further keys of an annotation. One number for the
            whole person in ``score`` is kept as ``instance_score``.
        listed: frames that have an image; None means all.
    """

    document: Json = field(default_factory=dict)
    video: Json = field(default_factory=dict)
    category: Json = field(default_factory=dict)
    other_categories: tuple[Json, ...] = ()
    images: Mapping[int, Json] = field(default_factory=dict)
    annotations: Mapping[tuple[int, int], Json] = field(default_factory=dict)
    listed: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseDocument:
    """Poses of one video, as a file holds them.

    Attributes:
        tracks: the poses, T frames and N persons.
        video: what they are poses in; ``video.frames`` must be T.
        area: float64 [T, N], square pixels, the A of OKS; NaN where unknown.
        category: name of the category.
        extra: everything else the file held.

    Raises:
        UsageError: if ``video.frames`` or ``area`` does not fit ``tracks``.
    """

    tracks: PoseTracks
    video: VideoInfo
    area: NDArray[np.float64]
    category: str = "person"
    extra: Extra = field(default_factory=Extra)

    def __post_init__(self) -> None:
        shape = (len(self.tracks), len(self.tracks.track_id))
        if self.video.frames != shape[0]:
            raise UsageError(
                f"Expected 'video.frames' to be {shape[0]}, the length of 'tracks', "
                f"got {self.video.frames}."
            )
        if self.area.shape != shape:
            raise UsageError(f"Expected 'area' to have shape {shape}, got {self.area.shape}.")

    def __eq__(self, other: object) -> bool:
        """Equal in every field; NaN equals NaN."""
        if not isinstance(other, PoseDocument):
            return NotImplemented
        plain = ("video", "category", "extra")
        arrays = [f.name for f in fields(PoseTracks) if f.name != "skeleton"]
        return (
            all(getattr(self, name) == getattr(other, name) for name in plain)
            and self.tracks.skeleton == other.tracks.skeleton
            and all(_same(getattr(self.tracks, a), getattr(other.tracks, a)) for a in arrays)
            and _same(self.area, other.area)
        )

    __hash__ = None  # type: ignore[assignment] # holds arrays


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def check_video(document: PoseDocument, *, width: int, height: int, frames: int, name: str) -> None:
    """Make sure that ``document`` speaks of the video ``name`` of this size and length.

    A document that states no length should be read with ``frames=`` of the video.

    Raises:
        BadDocument: if size or length differ.
    """
    video = document.video
    if (video.width, video.height, video.frames) != (width, height, frames):
        raise BadDocument(
            f"Expected a document of '{name}' ({width}×{height}, {frames} frames), got one of "
            f"'{video.file_name}' ({video.width}×{video.height}, {video.frames} frames).",
            hint="Is this the annotation file of another video?",
        )


# --- reading ---------------------------------------------------------------------------------


def read_document(
    path: str | os.PathLike[str],
    *,
    default_origin: Origin = Origin.HUMAN,
    default_track: int | None = None,
    category: str | None = None,
    video_id: int | None = None,
    frames: int | None = None,
) -> PoseDocument:
    """Read the file at ``path``; arguments as for :func:`parse_document`.

    Raises:
        BadDocument: if the file cannot be read, is no JSON or breaks the format.
    """
    try:
        size = Path(path).stat().st_size
        if size > MAX_BYTES:
            raise BadDocument(
                f"Expected '{path}' to have at most {MAX_BYTES} bytes, got {size}.",
                hint="Split the annotations by video.",
            )
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise BadDocument(
            f"Expected '{path}' to be a readable file, got: {getattr(error, 'strerror', error)}."
        ) from error
    try:
        content = json.loads(data, object_pairs_hook=_no_key_twice)
    except RecursionError as error:
        raise BadDocument(
            f"Expected '{path}' to be nested at most {MAX_DEPTH} deep, got more."
        ) from error
    except ValueError as error:  # JSON, UTF-8, or a number of thousands of digits
        raise BadDocument(f"Expected '{path}' to be JSON, got: {error}.") from error
    return parse_document(
        content,
        default_origin=default_origin,
        default_track=default_track,
        category=category,
        video_id=video_id,
        frames=frames,
    )


def parse_document(
    mapping: Json,
    *,
    default_origin: Origin = Origin.HUMAN,
    default_track: int | None = None,
    category: str | None = None,
    video_id: int | None = None,
    frames: int | None = None,
) -> PoseDocument:
    """The document that ``mapping``, decoded JSON, describes.

    Joints with v = 0 are unknown and their coordinates are dropped, unless ``origin`` says
    "human": then a human declared them absent. An annotation without a known joint and
    without a box says nothing of a pose and is dropped.

    Args:
        mapping: what ``json.loads`` gave.
        default_origin: who placed the joints of annotations without an ``origin`` list.
        default_track: track id of annotations that carry none (pictures of one person).
        category: name of the one to read, if several have keypoints; annotations of all
            others are left out.
        video_id: the one to read, if there are several; others are left out.
        frames: length of the video, if the document does not state it. Without either, the
            last image is taken to be the last frame.

    Raises:
        BadDocument: if anything breaks the format; the message names the field.
        UsageError: if ``default_origin`` is NONE.
    """
    if default_origin is Origin.NONE:
        raise UsageError("Expected 'default_origin' to say who placed the joints, got NONE.")
    root = _object(mapping, "document")
    _check_json(root)
    chosen = _read_category(_section(root, "categories"), category)
    video = _read_video([] if root.get("videos") is None else _section(root, "videos"), video_id)
    images = _read_images(_section(root, "images"), video)
    info = _video_info(video, images, frames)
    rows = _read_annotations(_section(root, "annotations"), chosen, images, info, default_track)
    tracks, area = _ledger(rows, chosen.skeleton, info, default_origin)
    listed = tuple(sorted(image.frame for image in images.own.values()))
    extra = Extra(
        document=_without(root, {"categories", "videos", "images", "annotations"}),
        video=video.extra,
        category=chosen.extra,
        other_categories=chosen.others,
        images={i.frame: e for i in images.own.values() if (e := _image_extra(i, info))},
        annotations={(row.frame, row.track): row.extra for row in rows if row.extra},
        listed=None if listed == tuple(range(info.frames)) else listed,
    )
    return PoseDocument(tracks=tracks, video=info, area=area, category=chosen.name, extra=extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Category:
    id: int
    name: str
    skeleton: Skeleton
    extra: Json
    others: tuple[Json, ...]
    ignored: frozenset[int]  # ids the caller chose to leave out
    boxes_only: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Video:
    id: int | None  # None: the document has no videos section
    other_ids: frozenset[int] = frozenset()
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    where: str
    id: int
    frame: int
    file_name: str | None
    width: int | None
    height: int | None
    extra: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class _Images:
    own: Mapping[int, _Image]
    foreign: frozenset[int]  # ids of images of other videos


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
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


def _read_category(categories: list[Any], wanted: str | None) -> _Category:
    found = [_object(item, f"categories[{i}]") for i, item in enumerate(categories)]
    ids = [_integer(c.get("id"), f"categories[{i}].id") for i, c in enumerate(found)]
    names = [_text(c.get("name"), f"categories[{i}].name") for i, c in enumerate(found)]
    _check_unique(ids, "categories", "id")
    able = [i for i, c in enumerate(found) if c.get("keypoints")]
    chosen = [i for i in able if wanted is None or names[i] == wanted]
    if len(chosen) != 1:
        what = "exactly one category with keypoints" if wanted is None else f"one named {wanted!r}"
        raise BadDocument(
            f"Expected 'categories' to hold {what}, "
            f"got {len(chosen)} (with keypoints: {_shown([names[i] for i in able])}).",
            hint="Pass category= to choose one." if wanted is None and able else None,
        )
    at = chosen[0]
    item, where = found[at], f"categories[{at}]"
    skeleton, drawn = _read_skeleton(item, names[at], where)
    extra = dict(_without(item, {"id", "name", "keypoints", "skeleton"}))
    if ids[at] != 1:
        extra["id"] = ids[at]
    if drawn is not None and _one_based(skeleton) != drawn:
        extra["skeleton"] = drawn
    rest = [i for i in range(len(found)) if i != at]
    return _Category(
        id=ids[at],
        name=names[at],
        skeleton=skeleton,
        extra=extra,
        others=tuple(found[i] for i in rest) if wanted is None else (),
        ignored=frozenset(ids[i] for i in rest) if wanted is not None else frozenset(),
        boxes_only=frozenset(ids[i] for i in rest) if wanted is None else frozenset(),
    )


def _read_skeleton(item: Json, name: str, where: str) -> tuple[Skeleton, list[list[int]] | None]:
    """The skeleton, and the limbs the document draws (1-based) if it says."""
    keypoints = _list(item["keypoints"], f"{where}.keypoints")
    names = [_text(k, f"{where}.keypoints[{i}]") for i, k in enumerate(keypoints)]
    drawn = None
    if item.get("skeleton") is not None:
        drawn = _list(item["skeleton"], f"{where}.skeleton")
        for i, edge in enumerate(drawn):
            for j, joint in enumerate(_list(edge, f"{where}.skeleton[{i}]", 2)):
                _integer(joint, f"{where}.skeleton[{i}][{j}]", 1, max(1, len(names)))
    try:
        edges = None if drawn is None else [(a - 1, b - 1) for a, b in drawn]
        return skeleton_from_names(name, names, edges), drawn
    except UsageError as error:
        raise BadDocument(f"Expected '{where}' to describe a skeleton. {error.message}") from error


def _one_based(skeleton: Skeleton) -> list[list[int]]:
    return [[a + 1, b + 1] for a, b in skeleton.edges]


def _read_video(videos: list[Any], wanted: int | None) -> _Video:
    if not videos:
        return _Video(id=None)
    found = [_object(item, f"videos[{i}]") for i, item in enumerate(videos)]
    ids = [_integer(v.get("id"), f"videos[{i}].id") for i, v in enumerate(found)]
    _check_unique(ids, "videos", "id")
    if wanted is None and len(found) > 1:
        raise BadDocument(
            f"Expected 'videos' to hold one video, got {len(found)}.",
            hint=f"Pass video_id=, one of {_shown(ids)}.",
        )
    if wanted is not None and wanted not in ids:
        raise BadDocument(f"Expected 'videos' to hold id {wanted}, got {_shown(ids)}.")
    at = 0 if wanted is None else ids.index(wanted)
    item, where = found[at], f"videos[{at}]"
    counts = [key for key in _FRAME_COUNT_KEYS if item.get(key) is not None]
    fps = item.get("fps")
    if fps is not None and _number(fps, f"{where}.fps") <= 0:
        raise _bad(f"{where}.fps", "above 0", fps)
    known = {"id", "file_name", "width", "height", "fps", "n_frames", *counts[:1]}
    return _Video(
        id=ids[at],
        other_ids=frozenset(ids) - {ids[at]},
        file_name=_file_name(item, where) or _file_name(item, where, "name") or "",
        width=_side(item, "width", where),
        height=_side(item, "height", where),
        frames=_integer(item[counts[0]], f"{where}.{counts[0]}", 1, MAX_FRAMES) if counts else None,
        fps=None if fps is None else float(fps),
        extra={**_without(item, known), **({"id": ids[at]} if ids[at] != 1 else {})},
    )


def _read_images(images: list[Any], video: _Video) -> _Images:
    found = [_object(item, f"images[{i}]") for i, item in enumerate(images)]
    ids = [_integer(item.get("id"), f"images[{i}].id") for i, item in enumerate(found)]
    _check_unique(ids, "images", "id")
    own = [i for i, item in enumerate(found) if _is_of(item, f"images[{i}]", video)]
    given = {item["video_id"] for item in found if item.get("video_id") is not None}
    if video.id is None and len(given) > 1:
        raise _bad("images", "of one video, as there is no 'videos'", sorted(given))
    frame_of = _frame_ids(found, own, video)
    _check_unique([frame_of[i] for i in own], "images", "frame_id", own)
    known = {"id", "video_id", "frame_id", "file_name", "width", "height"}
    return _Images(
        own={
            ids[i]: _Image(
                where=f"images[{i}]",
                id=ids[i],
                frame=frame_of[i],
                file_name=_file_name(found[i], f"images[{i}]"),
                width=_side(found[i], "width", f"images[{i}]"),
                height=_side(found[i], "height", f"images[{i}]"),
                extra=_without(found[i], known),
            )
            for i in own
        },
        foreign=frozenset(ids) - {ids[i] for i in own},
    )


def _is_of(image: Json, where: str, video: _Video) -> bool:
    """Whether the image belongs to the chosen video; an error if to none of the document."""
    given = image.get("video_id")
    if given is None and not video.other_ids:
        return True
    given = _integer(given, f"{where}.video_id")
    if video.id is not None and given not in {video.id, *video.other_ids}:
        raise _bad(f"{where}.video_id", "the id of a video of this document", given)
    return video.id is None or given == video.id


def _frame_ids(images: list[Json], own: list[int], video: _Video) -> dict[int, int]:
    """Frame of each image: its ``frame_id``, or for loose pictures its place by file name."""
    if video.id is not None or any(images[i].get("frame_id") is not None for i in own):
        return {
            i: _integer(images[i].get("frame_id"), f"images[{i}].frame_id", 0, MAX_FRAMES - 1)
            for i in own
        }
    names = [_text(images[i].get("file_name"), f"images[{i}].file_name") for i in own]
    _check_unique(names, "images", "file_name", own)
    order = sorted(range(len(own)), key=lambda place: (_natural(names[place]), names[place]))
    return {own[place]: frame for frame, place in enumerate(order)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which "img9" comes before "img10"."""
    parts = re.split(r"([0-9]+)", name)
    return [(len(p.lstrip("0")), p.lstrip("0")) if i % 2 else (0, p) for i, p in enumerate(parts)]


def _video_info(video: _Video, images: _Images, frames: int | None) -> VideoInfo:
    own = images.own.values()
    last = max((image.frame for image in own), default=-1)
    stated = frames if video.frames is None else video.frames
    count = last + 1 if stated is None else stated
    if count < 1:
        raise BadDocument("Expected 'images' to hold one image or more, got 0.")
    for image in own:
        if image.frame >= count:
            raise _bad(f"{image.where}.frame_id", f"a frame from 0 to {count - 1}", image.frame)
    return VideoInfo(
        file_name=video.file_name,
        width=_size(video.width, "width", own),
        height=_size(video.height, "height", own),
        frames=count,
        fps=video.fps,
    )


def _size(stated: int | None, key: str, images: Iterable[_Image]) -> int:
    """Width or height of the video: what it states, else the largest of its images."""
    given = {image.where: getattr(image, key) for image in images if getattr(image, key)}
    for where, size in given.items():
        if stated is not None and size != stated:
            raise _bad(f"{where}.{key}", f"{stated} like that of its video", size)
    if stated is None and not given:
        raise _bad(f"videos[0].{key}", "a size in pixels, there or in an image", None)
    return stated or max(given.values())


def _image_extra(image: _Image, video: VideoInfo) -> Json:
    """What cannot be told from the frame index alone."""
    extra = dict(image.extra)
    if image.id != image.frame + 1:
        extra["id"] = image.id
    if image.file_name not in (None, _image_name(video, image.frame)):
        extra["file_name"] = image.file_name
    if image.width not in (None, video.width):
        extra["width"] = image.width
    if image.height not in (None, video.height):
        extra["height"] = image.height
    return extra


def _image_name(video: VideoInfo, frame: int) -> str | None:
    return f"{video.file_name}#{frame}" if video.file_name else None


def _read_annotations(
    annotations: list[Any],
    category: _Category,
    images: _Images,
    video: VideoInfo,
    default_track: int | None,
) -> list[_Row]:
    found = [_object(item, f"annotations[{i}]") for i, item in enumerate(annotations)]
    ids = [_integer(item.get("id"), f"annotations[{i}].id") for i, item in enumerate(found)]
    _check_unique(ids, "annotations", "id")
    rows: dict[tuple[int, int], _Row] = {}
    for i, item in enumerate(found):
        where = f"annotations[{i}]"
        image = _image_of(item, where, images)
        if not _is_in(item, where, category) or image is None:
            continue
        row = _read_row(item, where, image, category.skeleton, video, default_track)
        if (row.frame, row.track) in rows:
            raise _bad(
                f"{where}.track_id", f"once in frame {row.frame}", f"track {row.track} again"
            )
        rows[row.frame, row.track] = row
    return [row for row in rows.values() if _says_something(row)]


def _says_something(row: _Row) -> bool:
    absent = row.origin is not None and Origin.HUMAN in row.origin
    return bool((row.keypoints[:, 2] > 0).any()) or row.box is not None or absent


def _image_of(item: Json, where: str, images: _Images) -> _Image | None:
    """The image of an annotation; None if it is of a video the caller left out."""
    image_id = _integer(item.get("image_id"), f"{where}.image_id")
    if image_id not in images.own and image_id not in images.foreign:
        raise _bad(f"{where}.image_id", "the id of an image of this document", image_id)
    return images.own.get(image_id)


def _is_in(item: Json, where: str, category: _Category) -> bool:
    """Whether an annotation is of the category that is read."""
    given = _integer(item.get("category_id"), f"{where}.category_id")
    if given in category.boxes_only:
        raise BadDocument(
            f"Expected '{where}.category_id' to be {category.id}, the category with keypoints, "
            f"got {given}.",
            hint=f"Pass category={category.name!r} to leave all others out.",
        )
    if given != category.id and given not in category.ignored:
        raise _bad(f"{where}.category_id", "the id of a category of this document", given)
    return given == category.id


def _read_row(
    item: Json,
    where: str,
    image: _Image,
    skeleton: Skeleton,
    video: VideoInfo,
    default_track: int | None,
) -> _Row:
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
        score, instance_score = None, _number(score, f"{where}.score")
    if item.get("num_keypoints") is not None:
        _integer(item["num_keypoints"], f"{where}.num_keypoints", 0)
    area = item.get("area")
    crowd = _integer(item.get("iscrowd", 0), f"{where}.iscrowd", 0, 1)
    known = {f"{key}_id" for key in ("image", "category", "track")} | {"id", "keypoints", "bbox"}
    known |= {"num_keypoints", "area", "iscrowd", "score", "deviation", "origin"}
    extra = dict(_without(item, known | {"instance_score"}))
    extra |= {"iscrowd": 1} if crowd else {}
    extra |= {} if instance_score is None else {"instance_score": instance_score}
    return _Row(
        frame=image.frame,
        track=_integer(track, f"{where}.track_id", -_INT64),
        keypoints=keypoints,
        box=_read_box(item.get("bbox"), f"{where}.bbox"),
        area=None if area is None else _number(area, f"{where}.area", 0),
        score=_read_joint_numbers(score, f"{where}.score", k, 1.0),
        deviation=_read_joint_numbers(
            item.get("deviation"), f"{where}.deviation", k, MAX_COORDINATE
        ),
        origin=origin,
        extra=extra,
    )


def _read_keypoints(value: Any, where: str, k: int) -> NDArray[np.float64]:
    numbers = _list(value, where, 3 * k, f"(x, y, v of {k} keypoints)")
    for i, number in enumerate(numbers):
        _number(number, f"{where}[{i}]")
        if i % 3 == 2 and number not in (0, 1, 2):
            raise _bad(f"{where}[{i}]", "a visibility of 0, 1 or 2", number)
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
            raise _bad(
                f"{where}[{3 * j + axis}]",
                f"in or near the image of {size[0]}×{size[1]} pixels",
                float(value[j]),
            )


def _read_origin(value: Any, where: str, k: int) -> list[Origin] | None:
    if value is None:
        return None
    for i, name in enumerate(_list(value, where, k)):
        if not isinstance(name, str) or name not in _ORIGINS:
            raise _bad(f"{where}[{i}]", f"one of {list(_ORIGINS)}", name)
    return [_ORIGINS[name] for name in value]


def _check_origins(keypoints: NDArray[np.float64], origin: list[Origin] | None, where: str) -> None:
    for i, one in enumerate(origin or ()):
        if one is Origin.NONE and keypoints[i, 2] > 0:
            raise _bad(f"{where}[{i}]", "given, as its keypoint has coordinates", "none")


def _read_joint_numbers(value: Any, where: str, k: int, high: float) -> list[float | None] | None:
    if value is None:
        return None
    return [
        None if number is None else _number(number, f"{where}[{i}]", 0.0, high)
        for i, number in enumerate(_list(value, where, k))
    ]


def _read_box(value: Any, where: str) -> NDArray[np.float64] | None:
    """Corners xyxy of a box given as xywh."""
    if value is None:
        return None
    for i, number in enumerate(_list(value, where, 4)):
        _number(number, f"{where}[{i}]", -math.inf if i < 2 else 0)
    x, y, w, h = map(float, value)
    box = np.array([x, y, x + w, y + h], dtype=np.float64)
    if (np.abs(box) > MAX_COORDINATE).any():
        raise _bad(where, f"within {MAX_COORDINATE:g} pixels", value)
    return np.asarray(np.round(box, 3))


def _ledger(
    rows: list[_Row], skeleton: Skeleton, video: VideoInfo, default_origin: Origin
) -> tuple[PoseTracks, NDArray[np.float64]]:
    ids = sorted({row.track for row in rows})
    joints = video.frames * len(ids) * len(skeleton)
    if joints > MAX_JOINTS:
        raise BadDocument(
            f"Expected frames × persons × keypoints to be at most {MAX_JOINTS}, "
            f"got {video.frames} × {len(ids)} × {len(skeleton)}."
        )
    tracks = PoseTracks.empty(frames=video.frames, track_id=ids, skeleton=skeleton)
    area = np.full(tracks.box.shape[:2], np.nan)
    person = {track: n for n, track in enumerate(ids)}
    for row in rows:
        at = row.frame, person[row.track]
        _fill(tracks, at, row, default_origin)
        box = row.box if row.box is not None else _box_of(tracks.xy[at], video)
        tracks.box[at] = box
        area[at] = _area_of(box) if row.area is None else row.area
    return tracks, area


def _fill(tracks: PoseTracks, at: tuple[int, int], row: _Row, default_origin: Origin) -> None:
    k = len(tracks.skeleton)
    known = row.keypoints[:, 2] > 0
    said = np.array(row.origin or [default_origin if one else Origin.NONE for one in known])
    human = said == Origin.HUMAN
    xy = np.where(known[:, None], row.keypoints[:, :2], np.nan)
    xy = np.where(human[:, None], xy, np.round(xy, 3))
    score = np.array(row.score or [None] * k, dtype=np.float64)
    deviation = np.array(row.deviation or [None] * k, dtype=np.float64)
    score = np.where(human & np.isnan(score), 1.0, np.round(score, 4))
    deviation = np.where(human & np.isnan(deviation), 0.0, np.round(deviation, 3))
    tracks.xy[at] = xy
    tracks.visibility[at] = row.keypoints[:, 2].astype(np.uint8)
    tracks.origin[at] = np.where(known | human, said, Origin.NONE)
    tracks.score[at] = np.where(known, score, np.nan)
    tracks.deviation[at] = np.where(known, deviation, np.nan)


def _box_of(xy: NDArray[np.float64], video: VideoInfo) -> NDArray[np.float64]:
    """Extent of the known joints plus a margin, xyxy; NaN if none is known."""
    known = xy[np.isfinite(xy).all(axis=-1)]
    if not len(known):
        return np.full(4, np.nan)
    low, high = known.min(axis=0), known.max(axis=0)
    margin = np.maximum(BOX_MARGIN * (high - low), 1.0)
    size = np.array([video.width, video.height])
    low = np.minimum(low, np.maximum(low - margin, 0))
    high = np.maximum(high, np.minimum(high + margin, size))
    box = np.clip(np.concatenate([low, high]), -MAX_COORDINATE, MAX_COORDINATE)
    return np.asarray(np.round(box, 3))


def _area_of(box: NDArray[np.float64]) -> float:
    return float(np.round(AREA_OF_BOX * (box[2] - box[0]) * (box[3] - box[1]), 3))


# --- writing ---------------------------------------------------------------------------------


def write_document(path: str | os.PathLike[str], document: PoseDocument) -> None:
    """Write ``document`` to ``path`` as a whole or not at all.

    The file appears under its name only when complete and on disk; a failure leaves what was
    there before, and nothing else.

    Raises:
        OutputError: if the file cannot be written.
        BadDocument: if ``document`` holds something JSON cannot say.
    """
    try:
        text = "".join(_lines(to_mapping(document)))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadDocument(f"Expected 'extra' to hold JSON values only, got: {error}.") from error
    try:
        target = Path(os.path.realpath(path))  # a link stays a link
        temporary = target.parent / f".impose-{secrets.token_hex(6)}.tmp"
        try:
            with temporary.open("x", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise OutputError(
            f"Expected '{path}' to be writable, got: {getattr(error, 'strerror', error)}."
        ) from error


def _lines(mapping: Json) -> Iterator[str]:
    """JSON with one image or annotation a line, so that versions can be compared."""
    yield "{"
    for i, (key, value) in enumerate(mapping.items()):
        yield f"{',' if i else ''}\n{json.dumps(key)}: "
        if key in ("images", "annotations") and value:
            yield "[\n" + ",\n".join(json.dumps(item, allow_nan=False) for item in value) + "\n]"
        else:
            yield json.dumps(value, allow_nan=False)
    yield "\n}\n"


def to_mapping(document: PoseDocument) -> dict[str, Any]:
    """``document`` as decoded JSON.

    A person is written on the frames where a joint is known, a human declared one absent, or
    a box is known. Annotation ids count from 1; images keep their ids.

    Raises:
        BadDocument: if a joint has coordinates and nobody who placed it.
    """
    extra, video = document.extra, document.video
    video_id, category_id = extra.video.get("id", 1), extra.category.get("id", 1)
    known = _known(document.tracks)
    shown = _shown_on(document, known)
    frames = range(video.frames) if extra.listed is None else extra.listed
    image_ids = _image_ids(extra, sorted({*frames, *np.flatnonzero(shown.any(axis=1)).tolist()}))
    return {
        **extra.document,
        "videos": [_video_mapping(document, video_id)],
        "categories": [_category_mapping(document, category_id), *extra.other_categories],
        "images": [_image_mapping(document, t, i, video_id) for t, i in image_ids.items()],
        "annotations": [
            {
                "id": number,
                "image_id": image_ids[t],
                "category_id": category_id,
                **_annotation_mapping(document, t, n, known[t, n]),
            }
            for number, (t, n) in enumerate(np.argwhere(shown).tolist(), start=1)
        ],
    }


def _known(tracks: PoseTracks) -> NDArray[np.bool_]:
    """Joints [T, N, K] that have a place."""
    placed = np.isfinite(tracks.xy).all(axis=-1)
    return np.asarray(placed & (tracks.visibility != Visibility.ABSENT))


def _shown_on(document: PoseDocument, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a person is written, [T, N]."""
    tracks = document.tracks
    orphans = np.argwhere(known & (tracks.origin == Origin.NONE))
    if len(orphans):
        t, n, k = orphans[0].tolist()
        raise BadDocument(
            f"Expected 'origin' of '{tracks.skeleton.keypoints[k]}' of track "
            f"{tracks.track_id[n]} in frame {t} to say who placed it, got none."
        )
    said = (known | (tracks.origin == Origin.HUMAN)).any(axis=-1)
    return np.asarray(said | np.isfinite(tracks.box).all(axis=-1))


def _image_ids(extra: Extra, frames: list[int]) -> dict[int, int]:
    """Image id by frame: the one it came with, else frame + 1, else a new one."""
    kept = {t: extra.images[t]["id"] for t in frames if "id" in extra.images.get(t, {})}
    taken = set(kept.values())
    new = max([0, *taken, *(t + 1 for t in frames)]) + 1
    ids = {}
    for t in frames:
        ids[t] = kept.get(t, t + 1)
        if t not in kept and t + 1 in taken:
            ids[t], new = new, new + 1
    return ids


def _video_mapping(document: PoseDocument, video_id: int) -> Json:
    video = document.video
    images = document.extra.images.values()  # where sizes differ, each image has its own
    size = {"width": video.width, "height": video.height}
    return {
        "id": video_id,
        "file_name": video.file_name,
        **{key: side for key, side in size.items() if not any(key in e for e in images)},
        **({} if video.fps is None else {"fps": video.fps}),
        "n_frames": video.frames,
        **_without(document.extra.video, {"id"}),
    }


def _category_mapping(document: PoseDocument, category_id: int) -> Json:
    skeleton = document.tracks.skeleton
    return {
        "id": category_id,
        "name": document.category,
        "keypoints": list(skeleton.keypoints),
        "skeleton": _one_based(skeleton),
        **_without(document.extra.category, {"id"}),
    }


def _image_mapping(document: PoseDocument, frame: int, image_id: int, video_id: int) -> Json:
    name = _image_name(document.video, frame)
    return {
        "id": image_id,
        "video_id": video_id,
        "frame_id": frame,
        **({} if name is None else {"file_name": name}),
        "width": document.video.width,
        "height": document.video.height,
        **_without(document.extra.images.get(frame, {}), {"id"}),
    }


def _annotation_mapping(document: PoseDocument, t: int, n: int, known: NDArray[np.bool_]) -> Json:
    tracks, track = document.tracks, int(document.tracks.track_id[n])
    human = tracks.origin[t, n] == Origin.HUMAN
    xy = np.where(known[:, None], tracks.xy[t, n], np.nan)
    estimate = np.round(np.clip(xy, -MAX_COORDINATE, MAX_COORDINATE), 3)
    xy = np.where(human[:, None], xy, estimate)
    box = tracks.box[t, n] if np.isfinite(tracks.box[t, n]).all() else _box_of(xy, document.video)
    deviation = np.minimum(tracks.deviation[t, n], MAX_COORDINATE)
    origin = np.where(known | human, tracks.origin[t, n], Origin.NONE)
    written = {
        "track_id": track,
        "keypoints": _flat(xy, np.where(known, tracks.visibility[t, n], 0)),
        "num_keypoints": int(known.sum()),
        **_box_mapping(box, float(document.area[t, n])),
        "iscrowd": 0,
        "score": _nullable(np.where(known, tracks.score[t, n], np.nan), 4),
        "deviation": _nullable(np.where(known, deviation, np.nan), 3),
        "origin": [_ORIGIN_NAMES[o] for o in origin.tolist()],
    }
    more = document.extra.annotations.get((t, track), {})
    return {**written, **_without(more, written.keys() - {"iscrowd"})}


def _flat(xy: NDArray[np.float64], visibility: NDArray[np.uint8]) -> list[float]:
    """[x, y, v] of every joint in one list; unknown joints are 0, 0, 0."""
    places = zip(np.nan_to_num(xy).tolist(), visibility.tolist(), strict=True)
    return [number for (x, y), v in places for number in (x, y, v)]


def _box_mapping(box: NDArray[np.float64], area: float) -> Json:
    """``bbox`` xywh and ``area``; nothing for somebody without a box (all joints absent)."""
    if not np.isfinite(box).all():
        return {} if math.isnan(area) else {"area": area}
    box = np.clip(box, -MAX_COORDINATE, MAX_COORDINATE)
    size = np.maximum(np.round(box[2:] - box[:2], 3), 0)
    return {
        "bbox": [*np.round(box[:2], 3).tolist(), *size.tolist()],
        "area": area if math.isfinite(area) else _area_of(box),
    }


def _nullable(values: NDArray[Any], decimals: int) -> list[float | None]:
    numbers = np.round(values.astype(np.float64), decimals).tolist()
    return [None if math.isnan(number) else number for number in numbers]


# --- the format's small words ----------------------------------------------------------------


def _bad(where: str, expected: str, got: object) -> BadDocument:
    return BadDocument(f"Expected '{where[:200]}' to be {expected}, got {_shown(got)}.")


class _Short(reprlib.Repr):
    """Repr that stays one short line, whatever a file holds."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 # the base class passes it
        # Python refuses to print integers of more than 4300 digits
        return f"an integer of {x.bit_length()} bits" if x.bit_length() > 64 else repr(x)


def _shown(value: object) -> str:
    return "nothing" if value is None else _Short().repr(value)


def _without(item: Json, keys: Any) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BadDocument(f"Expected the keys of an object to differ, got {_shown(twice)} twice.")
    return item


def _check_json(root: Json) -> None:
    """No NaN, no infinity, no absurd number or depth, nothing that is no JSON."""
    stack: list[tuple[Any, str, int]] = [(root, "", 0)]
    while stack:
        value, where, depth = stack.pop()
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if item is None or isinstance(item, str):
                continue
            inside = f"{where}.{key}" if isinstance(value, dict) else f"{where}[{key}]"
            path = inside.lstrip(".")
            if isinstance(item, (dict, list)):
                if depth >= MAX_DEPTH:
                    raise _bad(path, f"nested at most {MAX_DEPTH} deep", type(item).__name__)
                stack.append((item, inside, depth + 1))
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise _bad(path, "a finite number", item)
            elif not isinstance(item, int):
                raise _bad(path, "a JSON value", item)
            elif item.bit_length() > 1000:
                raise _bad(path, "a number that fits a double", item)


def _object(value: Any, where: str) -> Json:
    if not isinstance(value, dict):
        raise _bad(where, "an object", value)
    for key in value:
        if not isinstance(key, str):
            raise _bad(where, "an object with text keys", key)
    return value


def _section(root: Json, name: str) -> list[Any]:
    return _list(root.get(name), name)


def _list(value: Any, where: str, length: int | None = None, why: str = "") -> list[Any]:
    if not isinstance(value, list):
        raise _bad(where, "a list", value)
    if length is not None and len(value) != length:
        raise _bad(where, f"a list of {length} {why}".rstrip(), f"{len(value)} entries")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(where, "a name", value)
    return value


def _integer(value: Any, where: str, low: int = -_INT64, high: int = _INT64) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        fits = "an integer" if (low, high) == (-_INT64, _INT64) else f"an integer ≥ {low}"
        raise _bad(where, fits if high == _INT64 else f"{fits} and ≤ {high}", value)
    return value


def _number(value: Any, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _bad(where, "a number", value)
    if not low <= value <= high:
        raise _bad(where, f"≥ {low:g}" + (f" and ≤ {high:g}" if high < math.inf else ""), value)
    return float(value)


def _side(item: Json, key: str, where: str) -> int | None:
    side = item.get(key)
    return None if side is None else _integer(side, f"{where}.{key}", 1, int(MAX_COORDINATE))


def _file_name(item: Json, where: str, key: str = "file_name") -> str | None:
    name = item.get(key)
    return None if name is None or name == "" else _text(name, f"{where}.{key}")


def _check_unique(
    values: list[Any], section: str, key: str, places: list[int] | None = None
) -> None:
    seen: dict[Any, int] = {}
    for i, value in enumerate(values):
        at = i if places is None else places[i]
        if value in seen:
            raise _bad(f"{section}[{at}].{key}", f"unique (so has {section}[{seen[value]}])", value)
        seen[value] = at
