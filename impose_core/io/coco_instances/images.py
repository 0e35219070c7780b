"""The sections ``videos`` and ``images``: which pictures there are, and of which video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.json_fields import (
    Json,
    as_integer,
    as_list,
    as_object,
    as_text,
    bad_field,
    check_unique,
)
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image; ``sequence`` is the name of its video, or its own if it is a loose picture."""

    id: int
    sequence: str
    index: int
    file_name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Video:
    name: str
    width: int
    height: int


_NO_VIDEO = _Video(name="", width=0, height=0)


def read_images(root: Json) -> list[Image]:
    """The images in the order evaluation sees them, those of one sequence side by side.

    Sequences come in the order of their smallest image id (pycocotools' order of pictures),
    the frames of a video by frame.

    Raises:
        BadDocument: if an image has no id, shares one, or cannot be placed in a video.
    """
    items = as_list(root.get("images"), "images")
    found = [as_object(item, f"images[{i}]") for i, item in enumerate(items)]
    if not found:
        raise BadDocument("Expected 'images' to hold one image or more, got 0.")
    ids = [as_integer(item.get("id"), f"images[{i}].id") for i, item in enumerate(found)]
    check_unique(ids, "images", "id")
    videos = _read_videos(root, found)
    if videos or any(item.get("frame_id") is not None for item in found):
        images = [_frame(item, f"images[{i}]", videos) for i, item in enumerate(found)]
        _check_frames_differ(images)
    else:
        images = [_picture(item, f"images[{i}]") for i, item in enumerate(found)]
        check_unique([image.sequence for image in images], "images", "file_name")
    first: dict[str, int] = {}
    for image in images:
        first[image.sequence] = min(image.id, first.get(image.sequence, image.id))
    return sorted(images, key=lambda image: (first[image.sequence], image.index))


def as_sequences(
    images: list[Image], people: Instances, image_of: NDArray[np.int64]
) -> tuple[PoseSequence, ...]:
    """The sequences of ``images``, person p being on image number ``image_of[p]``."""
    order = np.argsort(image_of, kind="stable")
    ends = np.searchsorted(image_of[order], np.arange(len(images) + 1)).tolist()
    frames = [
        LabelledFrame(
            index=image.index,
            file_name=image.file_name,
            instances=people.pick(order[ends[i] : ends[i + 1]]),
        )
        for i, image in enumerate(images)
    ]
    sequences = []
    for name, group in groupby(range(len(images)), key=lambda i: images[i].sequence):
        members = list(group)
        sequences.append(
            PoseSequence(
                name=name,
                width=max(images[i].width for i in members),
                height=max(images[i].height for i in members),
                frames=tuple(frames[i] for i in members),
            )
        )
    return tuple(sequences)


def _read_videos(root: Json, images: list[Json]) -> dict[int, _Video]:
    """The videos by id: those ``videos`` lists, else those ``images`` speak of.

    One without a name goes by its id, unless it is the only one.
    """
    section = root.get("videos")
    items: list[Any] = [] if section is None else as_list(section, "videos")
    found = [as_object(item, f"videos[{i}]") for i, item in enumerate(items)]
    ids = [as_integer(item.get("id"), f"videos[{i}].id") for i, item in enumerate(found)]
    check_unique(ids, "videos", "id")
    if not found:
        spoken_of = {
            as_integer(item["video_id"], f"images[{i}].video_id")
            for i, item in enumerate(images)
            if item.get("video_id") is not None
        }
        ids, found = sorted(spoken_of), [{}] * len(spoken_of)
    videos = {}
    for i, (video_id, item) in enumerate(zip(ids, found, strict=True)):
        where = f"videos[{i}]"
        name = _name(item, where, "file_name") or _name(item, where, "name")
        videos[video_id] = _Video(
            name=name or ("" if len(ids) == 1 else str(video_id)),
            width=_side(item, "width", where),
            height=_side(item, "height", where),
        )
    check_unique([video.name for video in videos.values()], "videos", "file_name")
    return videos


def _frame(item: Json, where: str, videos: Mapping[int, _Video]) -> Image:
    """An image of a video."""
    given = item.get("video_id")
    if given is None and len(videos) <= 1:
        video = next(iter(videos.values()), _NO_VIDEO)
    else:
        video_id = as_integer(given, f"{where}.video_id")
        if video_id not in videos:
            raise bad_field(f"{where}.video_id", "the id of a video of this document", given)
        video = videos[video_id]
    return Image(
        id=item["id"],
        sequence=video.name,
        index=as_integer(item.get("frame_id"), f"{where}.frame_id", 0),
        file_name=_name(item, where, "file_name"),
        width=video.width or _side(item, "width", where),
        height=video.height or _side(item, "height", where),
    )


def _picture(item: Json, where: str) -> Image:
    """An image that belongs to no video."""
    file_name = _name(item, where, "file_name")
    return Image(
        id=item["id"],
        sequence=file_name or str(item["id"]),
        index=0,
        file_name=file_name,
        width=_side(item, "width", where),
        height=_side(item, "height", where),
    )


def _check_frames_differ(images: list[Image]) -> None:
    seen: dict[tuple[str, int], int] = {}
    for i, image in enumerate(images):
        at = image.sequence, image.index
        if at in seen:
            raise bad_field(
                f"images[{i}].frame_id", f"unique in its video (so has images[{seen[at]}])", at[1]
            )
        seen[at] = i


def _name(item: Json, where: str, key: str) -> str:
    name = item.get(key)
    return "" if name is None or name == "" else as_text(name, f"{where}.{key}")


def _side(item: Json, key: str, where: str) -> int:
    side = item.get(key)
    return 0 if side is None else as_integer(side, f"{where}.{key}", 1, int(MAX_COORDINATE))
