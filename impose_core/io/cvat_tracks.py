"""Skeletons of CVAT's XML: single ones, and tracks with frames left out filled in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import MAX_COORDINATE
from impose_core.io.coco.read import MAX_JOINTS
from impose_core.io.cvat_task import MAX_FRAMES, Task
from impose_core.io.xml_fields import Element
from impose_core.pose_sets import Instances, LabelledFrame
from impose_core.poses import Visibility

MAX_ID = 2**31 - 1

_Entry = tuple[tuple[float, float], Visibility]
_Entries = dict[int, _Entry]
"""What a track lists of one keypoint, by frame."""


def read_points(skeleton: Element, keypoints: Sequence[str]) -> dict[int, _Entry]:
    """Position and visibility of what ``skeleton`` lists, by place on the K axis.

    Raises:
        BadDocument: if a keypoint is unknown, comes twice, or has no position.
    """
    found: dict[int, _Entry] = {}
    for points in skeleton.all("points"):
        name = points.name("label")
        if name not in keypoints:
            raise points.bad("label", f"a keypoint ({', '.join(keypoints)})"[:200], name)
        k = keypoints.index(name)
        if k in found:
            raise points.bad("label", "once in its skeleton", name)
        outside, occluded = points.flag("outside"), points.flag("occluded")
        seen = Visibility.OCCLUDED if occluded else Visibility.VISIBLE
        state = Visibility.ABSENT if outside else seen
        found[k] = points.point("points", MAX_COORDINATE), state
    return found


def read_tracks(
    tracks: Sequence[Element], keypoints: Sequence[str], task: Task
) -> tuple[LabelledFrame, ...]:
    """All frames of the task with the persons of ``tracks``, by ascending track id.

    Without a task, from 0 to the last frame listed.

    Raises:
        BadDocument: if an id comes twice, a frame is not in the task, or a track lists a
            keypoint twice on a frame.
    """
    listed: dict[int, list[_Entries]] = {}
    for track in tracks:
        identity = track.integer("id", 0, MAX_ID)
        if identity in listed:
            raise track.bad("id", "unique", identity)
        listed[identity] = _entries(track, keypoints, task)
    last = max((t for track in listed.values() for rows in track for t in rows), default=-1)
    frames = range(last + 1) if task.frames is None else task.frames
    if len(frames) * len(listed) * len(keypoints) > MAX_JOINTS:
        raise BadDocument(
            f"Expected frames × tracks × keypoints to be at most {MAX_JOINTS}, "
            f"got {len(frames)} × {len(listed)} × {len(keypoints)}."
        )
    ids = np.array(sorted(listed), np.int64)
    xy = np.full((len(frames), len(ids), len(keypoints), 2), np.nan)
    visibility = np.zeros(xy.shape[:-1], np.uint8)
    for n, identity in enumerate(sorted(listed)):
        for k, rows in enumerate(listed[identity]):
            if rows:
                xy[:, n, k], visibility[:, n, k] = _filled_in(rows, np.array(frames))
    nobody = Instances.unknown(0, len(keypoints))
    return tuple(
        LabelledFrame(
            index=frame,
            instances=_people(xy[t], visibility[t], ids) if visibility[t].any() else nobody,
        )
        for t, frame in enumerate(frames)
    )


def _entries(track: Element, keypoints: Sequence[str], task: Task) -> list[_Entries]:
    """What the track lists, for each keypoint."""
    entries: list[_Entries] = [{} for _ in keypoints]
    for skeleton in track.all("skeleton"):
        frame = skeleton.integer("frame", 0, MAX_FRAMES - 1)
        if task.frames is not None and frame not in task.frames:
            raise skeleton.bad("frame", f"a frame of the task, {task.frames}", frame)
        for k, entry in read_points(skeleton, keypoints).items():
            if frame in entries[k]:
                raise skeleton.bad("frame", f"once in its track with '{keypoints[k]}'", frame)
            entries[k][frame] = entry
    return entries


def _filled_in(
    entries: _Entries, frames: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Positions [T, 2] and visibility [T] on all ``frames``.

    Linear between entries and still after the last, the state being that of the entry before:
    as CVAT's ``TrackManager`` interpolates points.
    """
    listed = np.array(sorted(entries))
    xy = np.array([entries[t][0] for t in listed.tolist()])
    state = np.array([entries[t][1] for t in listed.tolist()], np.uint8)
    before = np.searchsorted(listed, frames, side="right") - 1
    after = np.minimum(before + 1, len(listed) - 1)
    gap = np.maximum(listed[after] - listed[before], 1)
    share = np.clip((frames - listed[before]) / gap, 0, 1)[:, None]
    seen = np.where(before < 0, Visibility.ABSENT, state[before]).astype(np.uint8)
    moved = xy[before] + (xy[after] - xy[before]) * share
    return np.where(seen[:, None] > 0, moved, np.nan), seen


def _people(
    xy: NDArray[np.float64], visibility: NDArray[np.uint8], ids: NDArray[np.int64]
) -> Instances:
    """Who is on a frame."""
    people = Instances.unknown(*visibility.shape)
    people.xy[:], people.visibility[:], people.track_id[:] = xy, visibility, ids
    return people.pick(np.asarray(visibility.any(-1)))
