"""How many clicks until a clip is right, with every engine and every way to look for errors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import DIFFICULTY_SEED, Clip, clip_named
from benchmarks.remembering import the_reader
from impose_core.engine import Engine
from impose_core.evaluation.annotation_tools import AnnotationTool, SessionTool, annotation_tool
from impose_core.evaluation.annotator import Annotator
from impose_core.evaluation.simulation import Simulation, simulate
from impose_core.evaluation.tracklets import Tracklet
from impose_core.session import Session
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
READ = "impose+reader"
READ_CLIPS = ("p2s_multi_cam01", "p2s_multi_cam03")
READ_WAYS = ((READ, "worst"), (READ, "review"))
"""With a pose reader: on these clips only; the dance would take as long as all others together."""
FOUND = "impose+detect"
FOUND_CLIPS = ("human_dance17", "p2s_multi_cam01", "p2s_multi_cam03", "p2s_single_cam01")
FOUND_WAYS = ((FOUND, "worst"), (FOUND, "review"))
"""What ships: people are found before the first click. Where the reader knows the bodies."""
ONLY_ON = {
    ("forward", "worst"): ("easy (seed 1)", "fast (seed 1)"),
    ("impose", "first-error"): ("easy (seed 1)", "fast (seed 1)"),
    ("hold", "worst"): tuple(c for c in CLIPS if c not in ("human_dance17", "many (seed 1)")),
}
"""Engine and strategy -> the clips it is run on: elsewhere it takes as many rounds as all others
together, or more."""


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
        for engine, strategy in (
            *WAYS,
            *(READ_WAYS if clip in READ_CLIPS else ()),
            *(FOUND_WAYS if clip in FOUND_CLIPS else ()),
        )
        if clip in ONLY_ON.get((engine, strategy), CLIPS)
        for seed in _seeds(clip, strategy)
    ]


def _seeds(clip: str, strategy: str) -> tuple[int, ...]:
    """One run is enough where nothing is left to chance; real clips take their time."""
    if strategy != "random":
        return (0,)
    return SEEDS[:1] if clip in REAL_CLIPS else SEEDS


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
    tool = _tool(job.engine, clip, len(truth))
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
        "placed": placed(truth),
        "joints_per_person": float(np.mean([p.labelled for p in done.persons if p.labelled])),
        "seconds": round(time.process_time() - begun, 1),
        "visited": done.curve[-1].visited,
        "rounds": len(done.curve),
        **_reached(done),
    }


def placed(truth: Sequence[Tracklet]) -> float:
    """Clicks per person of the first placement: the labelled joints of its first frame."""
    people = [one.visibility[one.on] for one in truth if one.on.any()]
    return float(np.mean([int((flags[0] > 0).sum()) for flags in people]))


def _tool(engine: str, clip: Clip, persons: int) -> AnnotationTool:
    frames, skeleton = len(clip.truth), clip.truth.skeleton
    if engine in (READ, FOUND):  # the same tool, but what was read before is not read again
        session = Session(clip.frames, skeleton=skeleton, engine=Engine(reader=the_reader()))
        detects = engine == FOUND
        return SessionTool(session, frames=frames, persons=persons, name=engine, detects=detects)
    return annotation_tool(engine, clip.frames, frames=frames, persons=persons, skeleton=skeleton)


def _reached(done: Simulation) -> dict[str, Any]:
    return {
        "clicks": {f"{goal:.2f}": done.clicks_to(goal) for goal in TARGETS},
        "never": {f"{goal:.2f}": done.never(goal) for goal in TARGETS},
    }
