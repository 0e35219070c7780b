"""``python -m benchmarks.run``: measure everything, write docs/benchmarks.md and the JSON.

    python -m benchmarks.run [--quick]

``--quick`` measures the real clips between anchors alone, and writes nothing. Two processes
share the work; what is timed runs alone, at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np

from benchmarks import cost, crossings, simulated
from benchmarks.about import about, need_data, quietly
from benchmarks.between_anchors import METHODS, Run, run
from benchmarks.clips import REAL, real_clip, rendered_clip
from benchmarks.page import real_table, write_page, write_readme
from benchmarks.store import RESULTS, write
from impose_core.synthesis import DIFFICULTIES

PROCESSES = 2
GAPS = (5, 15, 30)
SCENE_GAP, SCENE_SEEDS = 20, (1, 2, 3)
CROWDED = ("crossing", "crossing_fast_low_texture", "occluders", "many")

Item = TypeVar("Item")
Found = TypeVar("Found")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    need_data()
    quietly()
    begun = time.perf_counter()
    results: dict[str, Any] = {"about": about("make benchmark")}
    with ProcessPoolExecutor(PROCESSES, initializer=quietly) as pool:

        def each(measure: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
            found = []
            for item, one in zip(items, pool.map(measure, items), strict=True):
                found.append(one)
                print(f"{time.perf_counter() - begun:.0f} s: {item}", flush=True)
            return found

        results["real"] = [row for rows in each(real, list(REAL)) for row in rows]
        print("\n".join(real_table(results["real"])), flush=True)
        if quick:
            return
        results["scenes"] = each(scene, DIFFICULTIES)
        crowds = [(kind, seed) for kind in CROWDED for seed in SCENE_SEEDS]
        results["crossings"] = each(crossing, crowds)
        results["simulated"] = each(simulated.run, simulated.jobs())
    results["cost"] = {
        **cost.overhead_and_persons(),
        "correction": cost.correction(),
        "memory": cost.memory(),
    }
    results["about"]["minutes"] = round((time.perf_counter() - begun) / 60)
    write(RESULTS, results)
    write_page()
    write_readme()


def real(name: str) -> list[dict[str, Any]]:
    """A real clip at every gap."""
    clip = real_clip(name)
    return [
        {"clip": name, "gap": gap, "digest": clip.digest, **summary(run(clip, gap))} for gap in GAPS
    ]


def scene(kind: str) -> dict[str, Any]:
    """A kind of difficulty, over all seeds."""
    each = [summary(run(rendered_clip(kind, seed), SCENE_GAP)) for seed in SCENE_SEEDS]
    return {
        "clip": kind,
        "gap": SCENE_GAP,
        "seeds": list(SCENE_SEEDS),
        "n": sum(e["n"] for e in each),
        "methods": {
            m: [float(np.mean([e["methods"][m][i] for e in each])) for i in (0, 1)] for m in METHODS
        },
        "within_1": float(np.mean([e["within_1"] for e in each])),
        "within_2": float(np.mean([e["within_2"] for e in each])),
    }


def crossing(scene: tuple[str, int]) -> dict[str, Any]:
    """A crowded scene, with and without the rule against captures."""
    kind, seed = scene
    found = crossings.run(rendered_clip(kind, seed), SCENE_GAP)
    return {"clip": kind, "seed": seed, **asdict(found)}


def summary(found: Run) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "n": found.scores["estimate"].count,
        "methods": {m: [s.mean, s.below] for m, s in found.scores.items()},
        "within_1": float((found.ratio < 1).mean()),
        "within_2": float((found.ratio < 2).mean()),
    }


if __name__ == "__main__":
    main()
