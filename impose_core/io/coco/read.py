"""COCO keypoint JSON to a :class:`PoseDocument`."""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument, UsageError
from impose_core.io.coco.annotations import Row, read_annotations
from impose_core.io.coco.conventions import area_of, box_of
from impose_core.io.coco.sections import (
    image_extra,
    read_category,
    read_images,
    read_video,
    video_info,
)
from impose_core.io.documents import Extra, PoseDocument, VideoInfo
from impose_core.io.json_fields import Json, as_list, as_object, check_json, read_json, without
from impose_core.poses import Origin, PoseTracks
from impose_core.skeleton import Skeleton

MAX_JOINTS: Final = 100_000_000
"""frames × persons × keypoints; the ledger of so many takes about 3 GB."""


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
    return parse_document(
        read_json(path),
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
    root = as_object(mapping, "document")
    check_json(root)
    chosen = read_category(as_list(root.get("categories"), "categories"), category)
    videos = [] if root.get("videos") is None else as_list(root["videos"], "videos")
    video = read_video(videos, video_id)
    images = read_images(as_list(root.get("images"), "images"), video)
    info = video_info(video, images, frames)
    annotations = as_list(root.get("annotations"), "annotations")
    rows = read_annotations(annotations, chosen, images, info, default_track)
    tracks, area = _ledger(rows, chosen.skeleton, info, default_origin)
    listed = tuple(sorted(image.frame for image in images.own.values()))
    extra = Extra(
        document=without(root, {"categories", "videos", "images", "annotations"}),
        video=video.extra,
        category=chosen.extra,
        other_categories=chosen.others,
        images={i.frame: e for i in images.own.values() if (e := image_extra(i, info))},
        annotations={(row.frame, row.track): row.extra for row in rows if row.extra},
        listed=None if listed == tuple(range(info.frames)) else listed,
    )
    return PoseDocument(tracks=tracks, video=info, area=area, category=chosen.name, extra=extra)


def _ledger(
    rows: list[Row], skeleton: Skeleton, video: VideoInfo, default_origin: Origin
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
        box = row.box if row.box is not None else box_of(tracks.xy[at], video)
        tracks.box[at] = box
        area[at] = area_of(box) if row.area is None else row.area
    return tracks, area


def _fill(tracks: PoseTracks, at: tuple[int, int], row: Row, default_origin: Origin) -> None:
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
