"""How many clicks until a clip is right, with every engine and every way to look for errors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import DIFFICULTY_SEED, Clip, clip_named
from impose_core.evaluation.annotation_tools import annotation_tool
from impose_core.evaluation.annotator import Annotator
from impose_core.evaluation.simulation import Simulation, simulate
from impose_core.evaluation.tracklets import Tracklet
from impose_core.synthesis import DIFFICULTIES

TARGETS = (0.75, 0.85, 0.95)
JOINTS_PER_VISIT = 3
REAL_CLIPS = ("human_dance17", "p2s_multi_cam01", "p2s_multi_cam03", "p2s_single_cam01")
"""Those with dense labels of humans."""
CLIPS = (*REAL_CLIPS, *(f"{kind} (seed {DIFFICULTY_SEED})" for kind in DIFFICULTIES))
SEEDS = (1, 2, 3)
WAYS = (  # engine, strategy
    ("linear", "worst"),
    ("hold", "worst"),
    ("forward", "worst"),
    ("average", "worst"),
    ("impose", "worst"),
    ("impose", "review"),
    ("impose", "random"),
    ("impose", "first-error"),
)
LEFT_OUT = {
    ("human_dance17", "hold", "worst"),
    ("human_dance17", "forward", "worst"),
    ("human_dance17", "impose", "first-error"),
    ("p2s_multi_cam01", "forward", "worst"),
    ("p2s_multi_cam01", "impose", "first-error"),
    ("p2s_single_cam01", "forward", "worst"),
    ("p2s_single_cam01", "impose", "first-error"),
    ("many (seed 1)", "hold", "worst"),
    ("many (seed 1)", "forward", "worst"),
    ("many (seed 1)", "impose", "first-error"),
}
"""Clip, engine and strategy: as many rounds as all others of the clip together, or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One simulated annotation."""

    clip: str
    engine: str
    strategy: str
    seed: int = 0


def jobs(clips: Sequence[str] = CLIPS) -> list[Job]:
    """All of them; a strategy that is left to chance once a seed."""
    return [
        Job(clip=clip, engine=engine, strategy=strategy, seed=seed)
        for clip in clips
        for engine, strategy in WAYS
        if (clip, engine, strategy) not in LEFT_OUT
        for seed in (SEEDS if strategy == "random" else (0,))
    ]


def tracklets(clip: Clip) -> list[Tracklet]:
    """The persons of ``clip`` as the truth, nobody predicted yet."""
    truth = clip.truth
    known = np.isfinite(truth.xy).all(-1)
    visibility = np.where(known, truth.visibility, 0).astype(np.uint8)
    return [
        Tracklet(
            video=clip.name,
            track_id=track,
            xy=np.where(visibility[:, n, :, None] > 0, truth.xy[:, n], np.nan),
            visibility=visibility[:, n],
            area=clip.area[:, n],
            box=truth.box[:, n],
            predicted=np.full(truth.xy[:, n].shape, np.nan),
        )
        for n, track in enumerate(truth.track_id.tolist())
    ]


def sigmas(clip: Clip) -> NDArray[np.float64]:
    """[K] of OKS; joints without a published one use .05."""
    return np.asarray(clip.truth.skeleton.sigmas)


def run(job: Job) -> dict[str, Any]:
    """One row of the results."""
    clip = clip_named(job.clip)
    truth = tracklets(clip)
    tool = annotation_tool(
        job.engine,
        clip.frames,
        frames=len(clip.truth),
        persons=len(truth),
        skeleton=clip.truth.skeleton,
    )
    annotator = Annotator(strategy=job.strategy, joints_per_visit=JOINTS_PER_VISIT, seed=job.seed)
    begun = time.process_time()
    done = simulate(tool, truth, annotator, sigmas=sigmas(clip), targets=TARGETS)
    return {
        "clip": job.clip,
        "digest": clip.digest,
        "engine": job.engine,
        "strategy": job.strategy,
        "seed": job.seed,
        "persons": sum(1 for one in done.persons if one.labelled),
        "joints_per_person": float(np.mean([p.labelled for p in done.persons if p.labelled])),
        "seconds": round(time.process_time() - begun, 1),
        "visited": done.curve[-1].visited,
        "rounds": len(done.curve),
        **_reached(done),
    }


def _reached(done: Simulation) -> dict[str, Any]:
    return {
        "clicks": {f"{goal:.2f}": done.clicks_to(goal) for goal in TARGETS},
        "never": {f"{goal:.2f}": done.never(goal) for goal in TARGETS},
    }
