"""``python -m benchmarks.run``: measure everything, write docs/benchmarks.md and the JSON.

    python -m benchmarks.run [--only PART ...] [--page]

Parts are those of :data:`WORK`, and *cost*. ``--only`` measures some of them and keeps the others
as they are in the file; ``--page`` writes the page anew and measures nothing. Two processes share
the work; what is timed runs alone, at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks import (
    cost,
    crossings,
    one_anchor,
    one_click,
    reading_cost,
    simulated,
    with_readings,
    zero_clicks,
)
from benchmarks.about import about, commit, need_data, quietly
from benchmarks.between_anchors import METHODS, Run, marks_of_every, propagated, scored
from benchmarks.clips import REAL, Clip, real_clip, rendered_clip
from benchmarks.page import write_page, write_readme
from benchmarks.remembering import the_reader
from benchmarks.store import RESULTS, read, write
from impose_core.synthesis import DIFFICULTIES

PROCESSES = 2
GAPS = (5, 15, 30)
SCENE_GAP, SCENE_SEEDS = 20, (1, 2, 3)
CROWDED = ("crossing", "crossing_fast_low_texture", "occluders", "many")
COST = "cost"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*WORK, COST], metavar="PART")
    parser.add_argument("--page", action="store_true")
    asked = parser.parse_args()
    need_data()
    quietly()
    if not asked.page:
        _measure(asked.only or [*WORK, COST], anew=asked.only is None)
    write_page()
    write_readme()


def _measure(parts: Sequence[str], *, anew: bool) -> None:
    begun = time.perf_counter()
    results: dict[str, Any] = {} if anew else read(RESULTS)
    commits, minutes = results.get("commits", {}), results.get("minutes", {})
    results |= {"about": about("make benchmark"), "commits": commits, "minutes": minutes}
    results |= _shared_out([part for part in parts if part in WORK])
    shared = time.perf_counter() - begun
    commits.update(dict.fromkeys(parts, commit()))
    write(RESULTS, results)  # what follows may fail
    minutes["in two processes"] = round(shared / 60)
    if COST in parts:
        results[COST] = {
            **cost.overhead_and_persons(),
            "correction": cost.correction(),
            "memory": cost.memory(),
            "reading": reading_cost.measure(),
        }
        minutes["timed, alone"] = round((time.perf_counter() - begun - shared) / 60)
    write(RESULTS, results)


def _shared_out(parts: Sequence[str]) -> dict[str, Any]:
    """The rows of each part, in its order."""
    begun = time.perf_counter()
    with ProcessPoolExecutor(PROCESSES, initializer=quietly) as pool:
        running: dict[Future[Any], tuple[str, Any]] = {}
        for part in parts:
            measure, items = WORK[part]
            running |= {pool.submit(measure, item): (part, item) for item in items}
        for one in as_completed(running):
            one.result()  # an error ends the command now
            part, item = running[one]
            print(f"{time.perf_counter() - begun:.0f} s: {part}, {item}", flush=True)
    rows: dict[str, list[Any]] = {part: [] for part in parts}
    for one, (part, _) in running.items():
        found = one.result()
        rows[part] += found if isinstance(found, list) else [found]
    return {part: _by_question(rows[part]) if part == "one_click" else rows[part] for part in parts}


def _by_question(rows: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    return {question: [row for one in rows for row in one[question]] for question in rows[0]}


def real(name: str) -> list[dict[str, Any]]:
    """A real clip at every gap."""
    clip = real_clip(name)
    return [
        {"clip": name, "gap": gap, "digest": clip.digest, **_summary(clip, gap)} for gap in GAPS
    ]


def from_one_anchor(name: str) -> list[dict[str, Any]]:
    """A real clip from each start."""
    return one_anchor.run(real_clip(name), the_reader())


def scene(kind: str) -> dict[str, Any]:
    """A kind of difficulty, over all seeds."""
    each = [_summary(rendered_clip(kind, seed), SCENE_GAP) for seed in SCENE_SEEDS]
    return {
        "clip": kind,
        "gap": SCENE_GAP,
        "seeds": list(SCENE_SEEDS),
        "n": sum(e["n"] for e in each),
        **_mean(each, METHODS),
        "readings": _mean([e["readings"] for e in each], with_readings.METHODS),
    }


def _mean(each: Sequence[dict[str, Any]], methods: Sequence[str]) -> dict[str, Any]:
    return {
        "methods": {
            m: [float(np.mean([e["methods"][m][i] for e in each])) for i in (0, 1)] for m in methods
        },
        "within_1": float(np.mean([e["within_1"] for e in each])),
        "within_2": float(np.mean([e["within_2"] for e in each])),
    }


def crossing(scene: tuple[str, int]) -> dict[str, Any]:
    """A crowded scene, with and without the rule against captures."""
    kind, seed = scene
    found = crossings.run(rendered_clip(kind, seed), SCENE_GAP)
    return {"clip": kind, "seed": seed, **asdict(found)}


def _summary(clip: Clip, gap: int) -> dict[str, Any]:
    """Tracks alone, and with readings, as JSON."""
    tracked = propagated(clip, marks_of_every(clip, gap))
    found = scored(clip, gap, tracked)
    read_ = with_readings.run(clip, gap, tracked, the_reader())
    return {
        "n": found.scores["estimate"].count,
        **_as_json(found),
        "readings": None if read_ is None else _as_json(read_),
    }


def _as_json(found: Run) -> dict[str, Any]:
    return {
        "methods": {m: [s.mean, s.below] for m, s in found.scores.items()},
        "within_1": float((found.ratio < 1).mean()),
        "within_2": float((found.ratio < 2).mean()),
    }


WORK: dict[str, tuple[Callable[[Any], Any], Sequence[Any]]] = {
    "real": (real, list(REAL)),
    "simulated": (simulated.run, simulated.jobs()),
    "one_click": (one_click.run, one_click.DATASETS),
    "one_anchor": (from_one_anchor, one_anchor.CLIPS),
    "zero_clicks": (zero_clicks.measure, zero_clicks.CLIPS),
    "scenes": (scene, DIFFICULTIES),
    "crossings": (crossing, [(kind, seed) for kind in CROWDED for seed in SCENE_SEEDS]),
}
"""Part -> how one item is measured, and the items; the longest first."""


if __name__ == "__main__":
    main()
