"""What nobody has to click: poses of everybody, and who is who, straight from the video.

OMP_NUM_THREADS=1 python -m benchmarks.zero_clicks [CLIP ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, clip_named
from impose_core.engine import Engine
from impose_core.evaluation.oks import oks
from impose_core.evaluation.tracking import hota_oks
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import PoseTracks, Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.readers.naming import columns
from impose_core.session import DETECT_EVERY, Session
from impose_core.skeleton import COCO17

CLIPS = ("p2s_multi_cam01", "p2s_multi_cam03", "human_dance17")
TUNED_ON = ("p2s_multi_cam01",)
"""Thresholds of the detector were chosen on this clip; the others only report."""
STRIDE = 5
"""Frames between those on which single frames are measured."""
FOUND = 0.5
"""OKS above which somebody was found."""


def measure(name: str, *, every: int = DETECT_EVERY) -> dict[str, Any]:
    """A JSON-ready row."""
    return _row(clip_named(name), MoveNet(threads=1), every)


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as lines of Markdown."""
    lines = [
        "| clip | tuned on | n | single frames: mean OKS | found | extra | n | tracks: mean OKS "
        "| found | HOTA-OKS | AssA | IDF1 | persons (labelled) | s a look |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        one, all_ = row["single"], row["tracks"]
        lines.append(
            f"| {row['clip']} | {'yes' if row['tuned_on'] else 'no'} | {one['n']} "
            f"| {one['oks']:.3f} | {one['found']:.3f} | {one['extra']} | {all_['n']} "
            f"| {all_['oks']:.3f} | {all_['found']:.3f} | {all_['HOTA']:.3f} | {all_['AssA']:.3f} "
            f"| {all_['IDF1']:.3f} | {all_['persons']} ({row['labelled']}) "
            f"| {one['seconds']:.2f} |"
        )
    return lines


def _row(clip: Clip, reader: MoveNet, every: int) -> dict[str, Any]:
    return {
        "clip": clip.name,
        "digest": clip.digest,
        "tuned_on": clip.name in TUNED_ON,
        "every": every,
        "labelled": len(clip.truth.track_id),
        "single": _single_frames(clip, reader),
        "tracks": tracks(clip, Engine(reader=reader), every),
    }


def _single_frames(clip: Clip, reader: MoveNet) -> dict[str, Any]:
    at = columns(clip.truth.skeleton, COCO17)
    best: list[float] = []
    extra, spent, frames = 0, 0.0, range(0, len(clip.truth), STRIDE)
    for t in frames:
        image = clip.frames.read(t)
        begun = time.perf_counter()
        found = reader.detect(image)
        spent += time.perf_counter() - begun
        similar = _similar(clip, t, found.xy[:, at])
        best += similar.max(0, initial=0.0).tolist()
        extra += int((similar.max(1, initial=0.0) <= FOUND).sum())
    return {**_found(best), "extra": extra, "seconds": spent / len(frames)}


def tracks(clip: Clip, engine: Engine, every: int) -> dict[str, Any]:
    """How good the poses and identities are that ``engine`` finds, looking at ``every`` frame."""
    with Session(clip.frames, skeleton=clip.truth.skeleton, engine=engine) as session:
        for _ in session.detect(every=every):
            pass
        for _ in session.propagate():
            pass
        found, seconds = session.tracks.copy(), dict(session.seconds)
    best: list[float] = []
    for t in range(len(clip.truth)):
        known = np.isfinite(found.xy[t]).all(-1).any(-1)
        best += _similar(clip, t, found.xy[t, known]).max(0, initial=0.0).tolist()
    area = np.where(np.isfinite(clip.area), clip.area, np.nan)
    scores = hota_oks(_poses(clip.truth, clip, area), _poses(found, clip, None)).combined
    return {
        **_found(best),
        **scores.summary(),
        "persons": len(found.track_id),
        "seconds": seconds,
    }


def _found(best: Sequence[float]) -> dict[str, Any]:
    values = np.array(best)
    return {
        "n": len(values),
        "oks": float(values.mean()),
        "found": float((values > FOUND).mean()),
    }


def _labelled(tracks: PoseTracks, t: int) -> NDArray[np.int64]:
    return np.flatnonzero((tracks.visibility[t] > Visibility.ABSENT).any(-1))


def _similar(clip: Clip, t: int, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKS of the poses [D, K, 2] with everybody labelled on the frame."""
    truth, there = clip.truth, _labelled(clip.truth, t)
    return oks(
        xy,
        np.nan_to_num(truth.xy[t, there]),
        truth.visibility[t, there],
        area=clip.area[t, there],
        box_xyxy=truth.box[t, there],
        sigmas=np.asarray(truth.skeleton.sigmas),
    )


def _poses(tracks: PoseTracks, clip: Clip, area: NDArray[np.float64] | None) -> PoseSet:
    """Tracks as evaluation wants them."""
    frames = []
    for t in range(len(clip.truth)):
        there = _labelled(tracks, t)
        people = Instances.unknown(len(there), len(tracks.skeleton))
        people.xy[:], people.visibility[:] = tracks.xy[t, there], tracks.visibility[t, there]
        people.track_id[:], people.score[:] = tracks.track_id[there], 1.0
        people.box[:] = tracks.box[t, there]
        if area is not None:
            people.area[:] = area[t, there]
        frames.append(LabelledFrame(index=t, instances=people))
    sequence = PoseSequence(
        name=clip.name, width=clip.frames.width, height=clip.frames.height, frames=tuple(frames)
    )
    return PoseSet(keypoints=tracks.skeleton.keypoints, sequences=(sequence,))


if __name__ == "__main__":
    print("\n".join(table([measure(name) for name in sys.argv[1:] or CLIPS])))
