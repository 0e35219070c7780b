"""The sections ``categories``, ``videos`` and ``images``: which skeleton, video and frames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from impose_core.errors import BadDocument, UsageError
from impose_core.io.coco.conventions import MAX_COORDINATE, image_name, one_based
from impose_core.io.documents import VideoInfo
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_number,
    as_object,
    as_text,
    bad_field,
    check_unique,
    shown,
    without,
)
from impose_core.skeleton import Skeleton, skeleton_from_names

MAX_FRAMES: Final = 10_000_000
_FRAME_COUNT_KEYS: Final = ("n_frames", "length", "nframes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """The category that is read, and what becomes of the others."""

    id: int
    name: str
    skeleton: Skeleton
    extra: Json
    others: tuple[Json, ...]
    ignored: frozenset[int]  # ids the caller chose to leave out
    boxes_only: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """The video that is read, as far as its section describes it."""

    id: int | None  # None: the document has no videos section
    other_ids: frozenset[int] = frozenset()
    file_name: str = ""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of the video that is read; ``where`` is its place in the document."""

    where: str
    id: int
    frame: int
    file_name: str | None
    width: int | None
    height: int | None
    extra: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images of a document."""

    own: Mapping[int, Image]  # by id, of the video that is read
    foreign: frozenset[int]  # ids of images of other videos


def read_category(categories: list[Any], wanted: str | None) -> Category:
    """The one category with keypoints, or the one named ``wanted``."""
    found = [as_object(item, f"categories[{i}]") for i, item in enumerate(categories)]
    ids = [as_integer(c.get("id"), f"categories[{i}].id") for i, c in enumerate(found)]
    names = [as_text(c.get("name"), f"categories[{i}].name") for i, c in enumerate(found)]
    check_unique(ids, "categories", "id")
    able = [i for i, c in enumerate(found) if c.get("keypoints")]
    chosen = [i for i in able if wanted is None or names[i] == wanted]
    if len(chosen) != 1:
        what = "exactly one category with keypoints" if wanted is None else f"one named {wanted!r}"
        raise BadDocument(
            f"Expected 'categories' to hold {what}, "
            f"got {len(chosen)} (with keypoints: {shown([names[i] for i in able])}).",
            hint="Pass category= to choose one." if wanted is None and able else None,
        )
    at = chosen[0]
    item, where = found[at], f"categories[{at}]"
    skeleton, drawn = _read_skeleton(item, names[at], where)
    extra = dict(without(item, {"id", "name", "keypoints", "skeleton"}))
    if ids[at] != 1:
        extra["id"] = ids[at]
    if drawn is not None and one_based(skeleton) != drawn:
        extra["skeleton"] = drawn
    rest = [i for i in range(len(found)) if i != at]
    return Category(
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
    keypoints = as_list(item["keypoints"], f"{where}.keypoints")
    names = [as_text(k, f"{where}.keypoints[{i}]") for i, k in enumerate(keypoints)]
    drawn = None
    if item.get("skeleton") is not None:
        drawn = as_list(item["skeleton"], f"{where}.skeleton")
        for i, edge in enumerate(drawn):
            for j, joint in enumerate(as_list(edge, f"{where}.skeleton[{i}]", 2)):
                as_integer(joint, f"{where}.skeleton[{i}][{j}]", 1, max(1, len(names)))
    try:
        edges = None if drawn is None else [(a - 1, b - 1) for a, b in drawn]
        return skeleton_from_names(name, names, edges), drawn
    except UsageError as error:
        raise BadDocument(f"Expected '{where}' to describe a skeleton. {error.message}") from error


def read_video(videos: list[Any], wanted: int | None) -> Video:
    """The one video, or the one with the id ``wanted``."""
    if not videos:
        return Video(id=None)
    found = [as_object(item, f"videos[{i}]") for i, item in enumerate(videos)]
    ids = [as_integer(v.get("id"), f"videos[{i}].id") for i, v in enumerate(found)]
    check_unique(ids, "videos", "id")
    if wanted is None and len(found) > 1:
        raise BadDocument(
            f"Expected 'videos' to hold one video, got {len(found)}.",
            hint=f"Pass video_id=, one of {shown(ids)}.",
        )
    if wanted is not None and wanted not in ids:
        raise BadDocument(f"Expected 'videos' to hold id {wanted}, got {shown(ids)}.")
    at = 0 if wanted is None else ids.index(wanted)
    item, where = found[at], f"videos[{at}]"
    counts = [key for key in _FRAME_COUNT_KEYS if item.get(key) is not None]
    fps = item.get("fps")
    if fps is not None and as_number(fps, f"{where}.fps") <= 0:
        raise bad_field(f"{where}.fps", "above 0", fps)
    frames = None
    if counts:
        frames = as_integer(item[counts[0]], f"{where}.{counts[0]}", 1, MAX_FRAMES)
    known = {"id", "file_name", "width", "height", "fps", "n_frames", *counts[:1]}
    return Video(
        id=ids[at],
        other_ids=frozenset(ids) - {ids[at]},
        file_name=_file_name(item, where) or _file_name(item, where, "name") or "",
        width=_side(item, "width", where),
        height=_side(item, "height", where),
        frames=frames,
        fps=None if fps is None else float(fps),
        extra={**without(item, known), **({"id": ids[at]} if ids[at] != 1 else {})},
    )


def read_images(images: list[Any], video: Video) -> Images:
    """The images, each with the frame it shows."""
    found = [as_object(item, f"images[{i}]") for i, item in enumerate(images)]
    ids = [as_integer(item.get("id"), f"images[{i}].id") for i, item in enumerate(found)]
    check_unique(ids, "images", "id")
    own = [i for i, item in enumerate(found) if _is_of(item, f"images[{i}]", video)]
    given = {item["video_id"] for item in found if item.get("video_id") is not None}
    if video.id is None and len(given) > 1:
        raise bad_field("images", "of one video, as there is no 'videos'", sorted(given))
    frame_of = _frame_ids(found, own, video)
    check_unique([frame_of[i] for i in own], "images", "frame_id", own)
    known = {"id", "video_id", "frame_id", "file_name", "width", "height"}
    return Images(
        own={
            ids[i]: Image(
                where=f"images[{i}]",
                id=ids[i],
                frame=frame_of[i],
                file_name=_file_name(found[i], f"images[{i}]"),
                width=_side(found[i], "width", f"images[{i}]"),
                height=_side(found[i], "height", f"images[{i}]"),
                extra=without(found[i], known),
            )
            for i in own
        },
        foreign=frozenset(ids) - {ids[i] for i in own},
    )


def _is_of(image: Json, where: str, video: Video) -> bool:
    """Whether the image belongs to the chosen video; an error if to none of the document."""
    given = image.get("video_id")
    if given is None and not video.other_ids:
        return True
    given = as_integer(given, f"{where}.video_id")
    if video.id is not None and given not in {video.id, *video.other_ids}:
        raise bad_field(f"{where}.video_id", "the id of a video of this document", given)
    return video.id is None or given == video.id


def _frame_ids(images: list[Json], own: list[int], video: Video) -> dict[int, int]:
    """Frame of each image: its ``frame_id``, or for loose pictures its place by file name."""
    if video.id is not None or any(images[i].get("frame_id") is not None for i in own):
        return {
            i: as_integer(images[i].get("frame_id"), f"images[{i}].frame_id", 0, MAX_FRAMES - 1)
            for i in own
        }
    names = [as_text(images[i].get("file_name"), f"images[{i}].file_name") for i in own]
    check_unique(names, "images", "file_name", own)
    order = sorted(range(len(own)), key=lambda place: (_natural(names[place]), names[place]))
    return {own[place]: frame for frame, place in enumerate(order)}


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which "img9" comes before "img10"."""
    parts = re.split(r"([0-9]+)", name)
    return [(len(p.lstrip("0")), p.lstrip("0")) if i % 2 else (0, p) for i, p in enumerate(parts)]


def video_info(video: Video, images: Images, frames: int | None) -> VideoInfo:
    """Size and length of the video, from its section, its images and the caller's ``frames``."""
    own = images.own.values()
    last = max((image.frame for image in own), default=-1)
    stated = frames if video.frames is None else video.frames
    count = last + 1 if stated is None else stated
    if count < 1:
        raise BadDocument("Expected 'images' to hold one image or more, got 0.")
    for image in own:
        if image.frame >= count:
            expected = f"a frame from 0 to {count - 1}"
            raise bad_field(f"{image.where}.frame_id", expected, image.frame)
    return VideoInfo(
        file_name=video.file_name,
        width=_size(video.width, "width", own),
        height=_size(video.height, "height", own),
        frames=count,
        fps=video.fps,
    )


def _size(stated: int | None, key: str, images: Iterable[Image]) -> int:
    """Width or height of the video: what it states, else the largest of its images."""
    given = {image.where: getattr(image, key) for image in images if getattr(image, key)}
    for where, size in given.items():
        if stated is not None and size != stated:
            raise bad_field(f"{where}.{key}", f"{stated} like that of its video", size)
    if stated is None and not given:
        raise bad_field(f"videos[0].{key}", "a size in pixels, there or in an image", None)
    return stated or max(given.values())


def image_extra(image: Image, video: VideoInfo) -> Json:
    """What cannot be told from the frame index alone."""
    extra = dict(image.extra)
    if image.id != image.frame + 1:
        extra["id"] = image.id
    if image.file_name not in (None, image_name(video, image.frame)):
        extra["file_name"] = image.file_name
    if image.width not in (None, video.width):
        extra["width"] = image.width
    if image.height not in (None, video.height):
        extra["height"] = image.height
    return extra


def _side(item: Json, key: str, where: str) -> int | None:
    side = item.get(key)
    return None if side is None else as_integer(side, f"{where}.{key}", 1, int(MAX_COORDINATE))


def _file_name(item: Json, where: str, key: str = "file_name") -> str | None:
    name = item.get(key)
    return None if name is None or name == "" else as_text(name, f"{where}.{key}")
