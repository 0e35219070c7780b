"""Runs: the estimate of many frames, written one by one as they are done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from impose_core.errors import BadDocument, UsageError
from impose_core.geometry import body_size
from impose_core.io.xanylabeling_files import FileChanged
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.io.xanylabeling_people import Gone, Pose
from impose_core.io.xanylabeling_placing import DIGITS, Placed, with_people
from impose_core.journal import patch_from_json, patch_to_json
from impose_core.marks import Mark
from impose_core.poses import Origin
from impose_core.service.clip import Clip, Labels
from impose_core.service.errors import BadRequest
from impose_core.service.requests import Displayed, frame_of, integer_of
from impose_core.service.runs import Run
from impose_core.session import FrameResult, Session

Line = dict[str, Any]
Fixed = Mapping[tuple[int, int], Mark]
"""What is fixed: (track, frame) -> mark."""

DIRECTIONS: Final = ("forward", "backward", "between")
STRIDE: Final = 10
"""Frames of a backward run that are estimated together, nearest first."""
UNCERTAIN: Final = 0.1
"""Body sizes: a joint with a larger deviation is uncertain."""


def wanted_frames(body: Mapping[str, Any], count: int, labels: Labels) -> list[int]:
    """The frames that a request to propagate asks for, nearest first."""
    if body.get("start") is not None or body.get("stop") is not None:
        start = integer_of(body, "start", 0, count, 0)
        stop = integer_of(body, "stop", 0, count, count)
        assert start is not None
        assert stop is not None
        return list(range(start, stop))
    frame = frame_of(body, count)
    most = integer_of(body, "count", 1, count, None)
    direction = body.get("direction")
    if direction not in DIRECTIONS:
        raise BadRequest(
            f"Expected 'direction' to be one of {', '.join(DIRECTIONS)}, got {direction!r:.60}."
        )
    if direction == "forward":
        return list(range(frame + 1, count))[:most]
    if direction == "backward":
        return list(range(frame - 1, -1, -1))[:most]
    checked = [index for index, one in labels.items() if one.checked]
    start = max([-1, *(c for c in checked if c < frame)]) + 1
    stop = min([count, *(c for c in checked if c > frame)])
    return list(range(start, stop))[:most]


def propagated(clip: Clip, body: Mapping[str, Any], displayed: Displayed | None) -> Iterator[Line]:
    """The clip follows what is fixed: lines of the stream, from ``started`` to the last frame.

    Raises:
        UsageError: if nothing is fixed anywhere.
        BadRequest, FrameOutOfRange: naming the field.
        OutputError: if a file cannot be written.
    """
    labels, problems = clip.frames(displayed)
    frames = wanted_frames(body, len(clip), labels)
    session = clip.session(labels)
    fixed = marks_of(clip, session)
    if not fixed:
        raise UsageError(
            "Expected a joint that a human placed, or a detected one, to go on from; got none.",
            hint="Place somebody's joints on one frame, or detect people first.",
        )
    free, skipped = _sorted_out(frames, labels, problems)
    run = clip.runs.begin("propagate")
    yield {"event": "started", "run": run.name, "frames": free, "skipped": skipped}
    yield from _estimated(clip, session, free, labels, fixed, run, displayed)


def detected(clip: Clip, every: int, displayed: Displayed | None) -> Iterator[Line]:
    """Everybody on every frame; lines as of :func:`propagated`.

    Raises:
        UsageError, SkeletonMismatch: if the reader cannot find such bodies.
        OutputError: if a file cannot be written.
    """
    labels, problems = clip.frames(displayed)
    session = clip.session(labels)
    looks = session.detect(every=every)
    free, skipped = _sorted_out(range(len(clip)), labels, problems)
    run = clip.runs.begin("detect")
    yield {"event": "started", "run": run.name, "frames": free, "skipped": skipped}
    for done, looked in enumerate(looks, 1):
        yield {"event": "looked", "frame": looked.frame, "done": done, "total": len(clip)}
    fixed = _as_in_files(clip, session)
    gone = _gone_by_detector(fixed, len(clip))
    yield from _estimated(clip, session, free, labels, fixed, run, displayed, gone)


def marks_of(clip: Clip, session: Session) -> dict[tuple[int, int], Mark]:
    """What is fixed in the session."""
    patch = patch_from_json(
        session.snapshot()["marks"], keypoints=len(clip.skeleton), frames=len(clip)
    )
    return {cell: mark for cell, (_, mark) in patch.items() if mark is not None}


def _as_in_files(clip: Clip, session: Session) -> dict[tuple[int, int], Mark]:
    """Bring what the detector found to the digits of files, so that a restart goes on alike."""
    fixed = {
        cell: replace(mark, xy=np.where(mark.human[:, None], mark.xy, np.round(mark.xy, DIGITS)))
        for cell, mark in marks_of(clip, session).items()
    }
    marks = patch_to_json({cell: (None, mark) for cell, mark in fixed.items()})
    session.restore({**session.snapshot(), "marks": marks})
    return fixed


def _gone_by_detector(fixed: Fixed, frames: int) -> dict[int, dict[int, tuple[Gone, ...]]]:
    """What is to be noted on each frame of each person; an empty note takes an old one away."""
    tracks = {track for track, _ in fixed}
    gone: dict[int, dict[int, tuple[Gone, ...]]] = {
        frame: dict.fromkeys(tracks, ()) for frame in range(frames)
    }
    for (track, frame), mark in fixed.items():
        joints = mark.absent & (mark.origin == Origin.DETECTED)
        if joints.any():
            gone[frame][track] = (Gone(origin=Origin.DETECTED, joints=joints),)
    return gone


def _sorted_out(
    frames: Sequence[int], labels: Labels, problems: Mapping[int, str]
) -> tuple[list[int], list[Line]]:
    """The frames that may be written, and why others may not."""
    free: list[int] = []
    skipped: list[Line] = []
    for index in frames:
        if index in problems:
            skipped.append({"frame": index, "reason": "unreadable"})
        elif labels[index].checked:
            skipped.append({"frame": index, "reason": "checked"})
        else:
            free.append(index)
    return free, skipped


def _spans(frames: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Stretches (start, stop exclusive) of consecutive frames, in the order of ``frames``."""
    falling = len(frames) > 1 and frames[0] > frames[-1]

    def key(pair: tuple[int, int]) -> tuple[int, int]:
        place, frame = pair
        return (frame + place, frame // STRIDE) if falling else (frame - place, 0)

    for _, group in groupby(enumerate(frames), key):
        here = [frame for _, frame in group]
        yield min(here), max(here) + 1


def _estimated(
    clip: Clip,
    session: Session,
    frames: Sequence[int],
    labels: Labels,
    fixed: Fixed,
    run: Run,
    displayed: Displayed | None,
    gone: Mapping[int, Mapping[int, tuple[Gone, ...]]] | None = None,
) -> Iterator[Line]:
    falling = len(frames) > 1 and frames[0] > frames[-1]
    shown = None if displayed is None else displayed.frame
    done = 0
    for start, stop in _spans(frames):
        found = session.propagate(start, stop)
        for result in reversed(list(found)) if falling else found:
            began = time.perf_counter()
            said = {} if gone is None else gone[result.frame]
            people = _placed(clip, result, fixed, said)
            line = _written(clip, result.frame, labels[result.frame], people, run, shown)
            done += 1
            yield {
                "event": "frame",
                "frame": result.frame,
                "done": done,
                "total": len(frames),
                **line,
                "persons": _told(clip, result),
                "seconds": round(time.perf_counter() - began, 4),
            }


def _placed(
    clip: Clip,
    result: FrameResult,
    fixed: Fixed,
    gone: Mapping[int, tuple[Gone, ...]],
) -> dict[int, Placed]:
    people = {}
    for n, track in enumerate(result.track_id.tolist()):
        mark = fixed.get((track, result.frame)) or Mark.blank(len(clip.skeleton))
        pose = Pose(
            xy=result.xy[n],
            visibility=result.visibility[n],
            origin=result.origin[n],
            seed=mark.placed & ~mark.human,
            deviation=result.deviation[n].astype(np.float64),
            score=result.score[n].astype(np.float64),
        )
        people[track] = Placed(pose=pose, gone=gone.get(track))
    return people


def _written(
    clip: Clip,
    frame: int,
    before: FrameLabels,
    people: Mapping[int, Placed],
    run: Run,
    displayed: int | None,
) -> Line:
    """Write one frame; what came of it."""
    after = with_people(before, people, clip.skeleton, clip.video)
    return write_frame(clip, frame, before, after, run, displayed)


def write_frame(
    clip: Clip,
    frame: int,
    before: FrameLabels,
    after: FrameLabels,
    run: Run,
    displayed: int | None,
) -> Line:
    """Let the file of a frame say ``after``; what came of it, as a line tells it.

    Raises:
        OutputError: if the file cannot be written.
    """
    if frame == displayed:
        shapes = [shape.item for shape in after.shapes]
        return {"outcome": "displayed", "shapes": shapes, "impose": after.impose}
    if after.shapes == before.shapes and after.impose == before.impose:
        return {"outcome": "same"}
    if before.content is None and not after.shapes and not after.impose.get("gone"):
        return {"outcome": "same"}  # nobody on a frame without a file
    content = after.as_bytes(
        image=clip.images[frame], width=clip.video.width, height=clip.video.height
    )
    try:
        run.write(clip.files[frame], before.content, content)
    except FileChanged:
        return {"outcome": "kept", "reason": _why_kept(clip, frame)}
    return {"outcome": "written"}


def _why_kept(clip: Clip, frame: int) -> str:
    try:
        clip.frame(frame)
    except BadDocument:
        return "unreadable"
    return "changed"


def _told(clip: Clip, result: FrameResult) -> list[Line]:
    """What a tool shows of each person on a frame."""
    told = []
    for n, track in enumerate(result.track_id.tolist()):
        known = np.isfinite(result.xy[n]).all(-1)
        if not known.any():
            continue
        size = body_size(result.xy[n], width=clip.video.width, height=clip.video.height)
        doubtful = np.flatnonzero(known & (result.deviation[n] > UNCERTAIN * size))
        told.append(
            {
                "person": track,
                "score": round(float(result.score[n][known].mean()), 4),
                "uncertain": [clip.skeleton.keypoints[k] for k in doubtful],
            }
        )
    return told
