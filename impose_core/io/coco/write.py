"""A :class:`PoseDocument` to COCO keypoint JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.atomic import write_bytes
from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import (
    MAX_COORDINATE,
    ORIGINS,
    area_of,
    box_of,
    image_name,
    one_based,
)
from impose_core.io.documents import Extra, PoseDocument
from impose_core.io.json_fields import Json, without
from impose_core.poses import Origin, PoseTracks, Visibility

_ORIGIN_NAMES: Final = {origin.value: name for name, origin in ORIGINS.items()}


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
    write_bytes(path, text.encode("ascii"))


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
        **without(document.extra.video, {"id"}),
    }


def _category_mapping(document: PoseDocument, category_id: int) -> Json:
    skeleton = document.tracks.skeleton
    return {
        "id": category_id,
        "name": document.category,
        "keypoints": list(skeleton.keypoints),
        "skeleton": one_based(skeleton),
        **without(document.extra.category, {"id"}),
    }


def _image_mapping(document: PoseDocument, frame: int, image_id: int, video_id: int) -> Json:
    name = image_name(document.video, frame)
    return {
        "id": image_id,
        "video_id": video_id,
        "frame_id": frame,
        **({} if name is None else {"file_name": name}),
        "width": document.video.width,
        "height": document.video.height,
        **without(document.extra.images.get(frame, {}), {"id"}),
    }


def _annotation_mapping(document: PoseDocument, t: int, n: int, known: NDArray[np.bool_]) -> Json:
    tracks, track = document.tracks, int(document.tracks.track_id[n])
    human = tracks.origin[t, n] == Origin.HUMAN
    xy = np.where(known[:, None], tracks.xy[t, n], np.nan)
    estimate = np.round(np.clip(xy, -MAX_COORDINATE, MAX_COORDINATE), 3)
    xy = np.where(human[:, None], xy, estimate)
    box = tracks.box[t, n] if np.isfinite(tracks.box[t, n]).all() else box_of(xy, document.video)
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
    return {**written, **without(more, written.keys() - {"iscrowd"})}


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
        "area": area if math.isfinite(area) else area_of(box),
    }


def _nullable(values: NDArray[Any], decimals: int) -> list[float | None]:
    numbers = np.round(values.astype(np.float64), decimals).tolist()
    return [None if math.isnan(number) else number for number in numbers]
