"""The simulated annotator's figures as a section of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.simulated import JOINTS_PER_VISIT, LEFT_OUT, SEEDS, TARGETS, WAYS

Row = dict[str, Any]
Means = dict[tuple[str, str, str], dict[str, float]]
"""(clip, engine, strategy) -> target -> clicks per person, over seeds."""

TARGET_NAMES = [f"{target:.2f}" for target in TARGETS]
TO_LINEAR, TO_WORST = 1 / 3, 1.3
"""Goals: our clicks over those of linear interpolation, and of the suggested frames over those
of an annotator who knows the worst one."""


def section(rows: Sequence[Row]) -> list[str]:
    """Its lines, with an empty one at the end; nothing without figures."""
    if not rows:
        return []
    clicks = means(rows)
    clips = list(dict.fromkeys(row["clip"] for row in rows))
    return [
        "## Clicks of a simulated annotator",
        "",
        "Everybody is put in place on their first labelled frame, joint by joint (these clicks are",
        f"in the figures); then each person is visited and at most {JOINTS_PER_VISIT} joints are",
        "corrected, round by round, until the share of frames with OKS at least .50:.05:.95,",
        "averaged over the thresholds, reaches the target. Cells are clicks per person to",
        f"{', '.join(TARGET_NAMES)}. *worst* knows where the worst joint is, *review* goes where",
        f"the tool suggests, *random* (seeds {list(SEEDS)} averaged) anywhere, *first-error*",
        "watches from the start to the first wrong frame. A star: somebody never reached the last",
        "target; what they cost until then counts. As `impose simulate` measures it; noise-free.",
        "",
        *_clicks_table(rows, clicks, clips),
        "",
        "Left out (–), since they take as many rounds as all others together: "
        + "; ".join(f"{engine}, {way} on {clip}" for clip, engine, way in sorted(LEFT_OUT))
        + ".",
        "",
        "Against the goals: clicks of impose over those of linear interpolation, both at the worst",
        f"joint (goal: at most {TO_LINEAR:.2f}); of the suggested frames over the worst ones "
        f"(goal: at most {TO_WORST});",
        "and of the suggested frames over random ones (goal: below 1).",
        "",
        *_goals_table(clicks, clips),
        "",
    ]


def means(rows: Sequence[Row]) -> Means:
    """Clicks per person, over seeds."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["clip"], row["engine"], row["strategy"]), []).append(row)
    return {
        key: {name: float(np.mean([row["clicks"][name] for row in group])) for name in TARGET_NAMES}
        for key, group in groups.items()
    }


def _clicks_table(rows: Sequence[Row], clicks: Means, clips: Sequence[str]) -> list[str]:
    lines = [
        "| clip | persons | joints | " + " | ".join(f"{e}, {s}" for e, s in WAYS) + " |",
        "|---|---|---|" + "---|" * len(WAYS),
    ]
    for clip in clips:
        one = next(row for row in rows if row["clip"] == clip)
        cells = [_clicks_cell(rows, clicks, (clip, *way)) for way in WAYS]
        lines.append(
            f"| {clip} | {one['persons']} | {one['joints_per_person']:.0f} | "
            + " | ".join(cells)
            + " |"
        )
    return lines


def _clicks_cell(rows: Sequence[Row], clicks: Means, key: tuple[str, str, str]) -> str:
    if key not in clicks:
        return "–"
    never = any(
        row["never"][TARGET_NAMES[-1]]
        for row in rows
        if (row["clip"], row["engine"], row["strategy"]) == key
    )
    return " / ".join(f"{value:.0f}" for value in clicks[key].values()) + ("\\*" if never else "")


def _goals_table(clicks: Means, clips: Sequence[str]) -> list[str]:
    comparisons = (
        ("worst", "linear", "worst", TO_LINEAR),
        ("review", "impose", "worst", TO_WORST),
        ("review", "impose", "random", 1.0),
    )
    lines = ["| clip | impose / linear | review / worst | review / random |", "|---|---|---|---|"]
    ratios: dict[tuple[int, str], list[float]] = {}
    for clip in clips:
        cells = []
        for at, (ours, engine, strategy, _) in enumerate(comparisons):
            above, below = clicks.get((clip, "impose", ours)), clicks.get((clip, engine, strategy))
            if above is None or below is None:
                cells.append("–")
                continue
            each = {name: above[name] / below[name] for name in TARGET_NAMES}
            for name, ratio in each.items():
                ratios.setdefault((at, name), []).append(ratio)
            cells.append(" / ".join(f"{ratio:.2f}" for ratio in each.values()))
        lines.append(f"| {clip} | " + " | ".join(cells) + " |")
    for what in ("geometric mean", "clips that reach the goal"):
        cells = []
        for at, (_, _, _, goal) in enumerate(comparisons):
            strict = goal == 1.0
            texts = []
            for name in TARGET_NAMES:
                found = np.array(ratios.get((at, name), []))
                reached = int((found < goal if strict else found <= goal).sum())
                mean = f"{np.exp(np.log(found).mean()):.2f}" if len(found) else "–"
                texts.append(mean if what == "geometric mean" else f"{reached} of {len(found)}")
            cells.append(" / ".join(texts))
        lines.append(f"| *{what}* | " + " | ".join(cells) + " |")
    return lines
