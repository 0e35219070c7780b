"""PoseTrack21 JSON of one video, as :mod:`impose_core.io.posetrack21` reads it.

The format has 17 slots of its own: joints it does not know are lost, and so are origin,
deviation and score. Of a joint that is occluded v is 0. Head boxes, which its metrics scale by,
are the extent of the head's joints, empty where there are none.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

import numpy as np

from impose_core.atomic import write_bytes
from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.io.coco.conventions import box_of
from impose_core.io.documents import PoseDocument
from impose_core.io.posetrack21 import FRAMES_OF_A_VIDEO
from impose_core.poses import Visibility
from impose_core.skeleton import POSETRACK17, remap

VIDEO_ID: Final = 1
HEAD: Final = ("nose", "head_bottom", "head_top", "left_ear", "right_ear")


def write_posetrack21(
    path: str | os.PathLike[str], document: PoseDocument, *, images: list[str]
) -> None:
    """Write the poses of a video whose images are called ``images``.

    Raises:
        SkeletonMismatch: if no joint is one of PoseTrack's.
        UsageError: if the video is longer than its ids reach.
        OutputError: if the file cannot be written.
    """
    write_bytes(path, json.dumps(posetrack21_mapping(document, images=images)).encode())


def posetrack21_mapping(document: PoseDocument, *, images: list[str]) -> dict[str, Any]:
    """What the file is to hold; see :func:`write_posetrack21`."""
    tracks, video = document.tracks, document.video
    if video.frames > FRAMES_OF_A_VIDEO:
        raise UsageError(
            f"Expected at most {FRAMES_OF_A_VIDEO} frames, all that PoseTrack's ids tell apart, "
            f"got {video.frames}."
        )
    slots = remap(tracks.skeleton, POSETRACK17)
    if (slots < 0).all():
        raise SkeletonMismatch(
            f"Expected joints that PoseTrack has, got {list(tracks.skeleton.keypoints)}.",
            hint=f"It has {', '.join(POSETRACK17.keypoints)}.",
        )
    listed = range(video.frames) if document.extra.listed is None else document.extra.listed
    annotations = [
        _annotation(document, frame, n, slots) | {"id": 100 * _image_id(frame) + n}
        for frame in listed
        for n in range(len(tracks.track_id))
        if _is_shown(document, frame, n, slots)
    ]
    return {
        "images": [_image(document, frame, images[frame], set(listed)) for frame in listed],
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": list(POSETRACK17.keypoints),
                "skeleton": [[a + 1, b + 1] for a, b in POSETRACK17.edges],
            }
        ],
    }


def _image_id(frame: int) -> int:
    return VIDEO_ID * FRAMES_OF_A_VIDEO + frame


def _image(document: PoseDocument, frame: int, name: str, listed: set[int]) -> dict[str, Any]:
    return {
        "id": _image_id(frame),
        "frame_id": _image_id(frame),
        "file_name": name,
        "vid_id": f"{VIDEO_ID:06d}",
        "is_labeled": frame in listed,
        "nframes": document.video.frames,
        "has_no_densepose": True,
        "width": document.video.width,
        "height": document.video.height,
        "ignore_regions_x": [],
        "ignore_regions_y": [],
    }


def _is_shown(document: PoseDocument, frame: int, n: int, slots: Any) -> bool:
    known = np.isfinite(document.tracks.xy[frame, n]).all(-1)
    return bool(known[slots[slots >= 0]].any())


def _annotation(document: PoseDocument, frame: int, n: int, slots: Any) -> dict[str, Any]:
    tracks = document.tracks
    xy = np.full((len(slots), 2), np.nan)
    flags = np.zeros(len(slots), np.uint8)
    xy[slots >= 0] = tracks.xy[frame, n, slots[slots >= 0]]
    flags[slots >= 0] = tracks.visibility[frame, n, slots[slots >= 0]]
    known = np.isfinite(xy).all(-1)
    keypoints: list[float] = []
    for (x, y), there, flag in zip(xy.tolist(), known.tolist(), flags.tolist(), strict=True):
        keypoints += [x, y, int(flag == Visibility.VISIBLE)] if there else [0, 0, 0]
    box = tracks.box[frame, n]
    if not np.isfinite(box).all():
        box = box_of(tracks.xy[frame, n], document.video)
    head = xy[[POSETRACK17.index(name) for name in HEAD]]
    return {
        "image_id": _image_id(frame),
        "category_id": 1,
        "track_id": int(tracks.track_id[n]),
        "person_id": int(tracks.track_id[n]),
        "keypoints": keypoints,
        "bbox": _xywh(box),
        "bbox_head": _xywh(_extent(head)),
    }


def _extent(xy: Any) -> Any:
    known = xy[np.isfinite(xy).all(-1)]
    if not len(known):
        return np.zeros(4)
    return np.concatenate([known.min(0), known.max(0)])


def _xywh(box: Any) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]
