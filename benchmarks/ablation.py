"""``python -m benchmarks.ablation``: what carries a click best, as the paper's Table III asks.

All rows begin with the same predictions: the labels of every 29th frame (the first included),
linearly interpolated; 29, so that the corrected frames, every 10th, do not fall on exact poses.
That start needs no network and no chance. The labels of these frames are known to the engines
as human points.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.ablation_engines import REGISTRY, Row, Start
from benchmarks.ablation_networks import Variant, measure_variant, variants
from benchmarks.about import about, need_data, quietly
from benchmarks.clips import Clip, clip_named
from benchmarks.page import write_page
from benchmarks.simulated import sigmas, tracklets
from benchmarks.store import ABLATION, write
from impose_core.evaluation.baselines import linear
from impose_core.evaluation.keypoint_ap import keypoint_ap
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracking import hota_oks
from impose_core.evaluation.tracklets import Tracklet, missing
from impose_core.evaluation.video_clicks import (
    CorrectedTracklet,
    correct_keyframes,
    video_number_of_clicks,
)
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Visibility

CLIPS = ("p2s_single_cam01", "crossing (seed 1)", "fast (seed 1)")
"""Short ones: every click of VNoC makes new poses."""
START_GAP, WINDOW, MOST_CLICKS = 29, 10, 3
TARGETS = (0.75, 0.85, 0.95)
PROCESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Sizes of the experiment; tests ask smaller ones."""

    gap: int = START_GAP
    window: int = WINDOW
    most_clicks: int = MOST_CLICKS
    targets: Sequence[float] = TARGETS


def main() -> None:
    """Measure and report."""
    need_data()
    begun = time.perf_counter()
    work = [(clip, row.label) for clip in CLIPS for row in REGISTRY]
    with ProcessPoolExecutor(PROCESSES, initializer=quietly) as pool:
        rows = []
        for found in pool.map(_measure_named, *zip(*work, strict=True)):
            print(
                found["clip"], found["engine"], f"{time.perf_counter() - begun:.0f} s", flush=True
            )
            rows.append(found)
        named = [(clip, one) for clip in CLIPS for one in variants()]
        without_clicks = list(pool.map(_found_by, *zip(*named, strict=True))) if named else []
    asked = {"start_gap": START_GAP, "window": WINDOW, "clips": list(CLIPS)}
    measured = {"rows": rows, "without_clicks": without_clicks}
    write(ABLATION, {"about": about("make ablation"), **asked, **measured})
    write_page()


def _measure_named(clip: str, label: str) -> dict[str, Any]:
    row = next(one for one in REGISTRY if one.label == label)
    return measure(clip_named(clip), row)


def _found_by(clip: str, variant: Variant) -> dict[str, Any]:
    return measure_variant(clip_named(clip), variant)


def measure(clip: Clip, row: Row, question: Question | None = None) -> dict[str, Any]:
    """The figures of an engine on a clip."""
    asked = question or Question()
    start = Start(clip=clip, points=points_of_every(clip, asked.gap))
    people = started(clip, start.points)
    return {
        "clip": clip.name,
        "digest": clip.digest,
        "engine": row.label,
        "flags": dict(row.flags),
        "Ck_video": {
            str(k): corrected(clip, row, start, people, k, asked.window)
            for k in range(asked.most_clicks + 1)
        },
        "VNoC": clicks_to(clip, row, start, people, asked.targets),
    }


def points_of_every(clip: Clip, gap: int) -> Floats:
    """The labels [T, N, K, 2] of every ``gap``-th frame, NaN elsewhere."""
    points = np.full(clip.truth.xy.shape, np.nan)
    points[::gap] = np.where(_labelled(clip)[::gap, ..., None], clip.truth.xy[::gap], np.nan)
    return points


def started(clip: Clip, points: Floats) -> list[Tracklet]:
    """The persons of ``clip`` with the predictions all rows begin with."""
    poses = linear(points)
    return [
        replace(one, predicted=poses[:, n], predicted_id=one.track_id)
        for n, one in enumerate(tracklets(clip))
    ]


def corrected(
    clip: Clip, row: Row, start: Start, people: Sequence[Tracklet], k: int, window: int
) -> dict[str, Any]:
    """Ck-video: AP, HOTA-OKS and accuracy after ``k`` joints every ``window`` frames."""
    propagate, own = row.begin(start), sigmas(clip)
    after = [correct_keyframes(one, k, window, sigmas=own, propagate=propagate) for one in people]
    labels, predictions = _labels(clip), _predictions(clip, after)
    name = clip.truth.skeleton.name
    return {
        "AP": keypoint_ap(labels, predictions, sigmas=name, joints=False).ap,
        "HOTA": hota_oks(labels, predictions, sigmas=name).combined.summary()["HOTA"],
        "accuracy": float(np.mean([one.accuracy for one in after])),
        "clicks": sum(len(one.clicks) for one in after),
    }


def clicks_to(
    clip: Clip, row: Row, start: Start, people: Sequence[Tracklet], targets: Sequence[float]
) -> dict[str, Any]:
    """VNoC: clicks per tracklet to each of ``targets``, which ascend.

    The work towards a target goes on where the one before was reached: the clicks are the same
    as if it had begun anew.
    """
    propagate, clicks = row.begin(start), 0
    figures = {}
    for target in targets:
        found = video_number_of_clicks(people, target, sigmas=sigmas(clip), propagate=propagate)
        people = [one.tracklet for one in found.tracklets]
        clicks += found.clicks
        figures[f"{target:.2f}"] = {
            "clicks": clicks / len(people),
            "capped": found.capped,
            "tracklets": len(people),
        }
    return figures


def _labelled(clip: Clip) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(np.isfinite(clip.truth.xy).all(-1) & (clip.truth.visibility > 0))


def _labels(clip: Clip) -> PoseSet:
    truth, visible = clip.truth, np.where(_labelled(clip), clip.truth.visibility, 0)
    frames = []
    for t in range(len(truth)):
        people = Instances.unknown(*visible[t].shape)
        people.xy[:], people.visibility[:] = truth.xy[t], visible[t]
        people.box[:], people.area[:], people.track_id[:] = (
            truth.box[t],
            clip.area[t],
            truth.track_id,
        )
        frames.append(LabelledFrame(index=t, instances=people.pick((visible[t] > 0).any(-1))))
    return _pose_set(clip, frames)


def _predictions(clip: Clip, corrected: Sequence[CorrectedTracklet]) -> PoseSet:
    """Everybody as they are now, all with the same score."""
    poses = np.stack([one.tracklet.predicted for one in corrected], axis=1)
    frames = []
    for t, xy in enumerate(poses):
        people = Instances.unknown(*xy.shape[:2])
        people.xy[:], people.score[:] = xy, 1.0
        people.track_id[:] = [one.tracklet.track_id for one in corrected]
        people.visibility[:] = np.where(
            np.isfinite(xy).all(-1), Visibility.VISIBLE, Visibility.ABSENT
        )
        frames.append(LabelledFrame(index=t, instances=people.pick(~missing(xy))))
    return _pose_set(clip, frames)


def _pose_set(clip: Clip, frames: Sequence[LabelledFrame]) -> PoseSet:
    sequence = PoseSequence(
        name=clip.name, width=clip.frames.width, height=clip.frames.height, frames=tuple(frames)
    )
    return PoseSet(keypoints=clip.truth.skeleton.keypoints, sequences=(sequence,))


if __name__ == "__main__":
    main()
