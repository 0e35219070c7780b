"""The simulated annotator's figures as a section of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.simulated import (
    FOUND,
    FOUND_CLIPS,
    FOUND_WAYS,
    JOINTS_PER_VISIT,
    READ,
    READ_CLIPS,
    READ_WAYS,
    SEEDS,
    TARGETS,
    WAYS,
)

Row = dict[str, Any]
Means = dict[tuple[str, str, str], dict[str, float]]
"""(clip, engine, strategy) -> target -> clicks per person, over seeds."""

COLUMNS = (*WAYS, *READ_WAYS, *FOUND_WAYS)
TARGET_NAMES = [f"{target:.2f}" for target in TARGETS]
_COMPARED = (
    ("impose", "worst", "all"),
    ("impose", "worst", "corrections"),
    (READ, "worst", "all"),
    (READ, "worst", "corrections"),
    (FOUND, "worst", "all"),
    (FOUND, "review", "all"),
)
"""Engine and strategy, and which of its clicks, over those of linear interpolation."""
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
        f"in the figures), but for {FOUND}, which finds people without a click; then each",
        f"person is visited and at most {JOINTS_PER_VISIT} joints are corrected, round by round,",
        "until the share of frames with OKS at least .50:.05:.95, averaged over the thresholds,",
        f"reaches the target. Cells are clicks per person to {', '.join(TARGET_NAMES)}.",
        "*worst* knows where the worst joint is, *review* goes where",
        f"the tool suggests, *random* (seeds {list(SEEDS)} averaged) anywhere, *first-error*",
        "watches from the start to the first wrong frame. A star: somebody never reached the last",
        "target; what they cost until then counts. As `impose simulate` measures it; noise-free.",
        "",
        *_clicks_table(rows, clicks, clips),
        "",
        "Some ways take as many rounds as all others together and are run on a few clips only;",
        f"with a pose reader ({READ}): on {', '.join(READ_CLIPS)};",
        f"from zero clicks ({FOUND}): on {', '.join(FOUND_CLIPS)}. Chance: one seed on real clips.",
        "",
        "Against the goals: clicks of impose over those of linear interpolation, both at the worst",
        f"joint (goal: at most {TO_LINEAR:.2f}); of the suggested frames over the worst ones "
        f"(goal: at most {TO_WORST});",
        "and of the suggested frames over random ones (goal: below 1).",
        "",
        *_goals_table(clicks, clips),
        "",
        "Placing everybody costs the same with every tool that finds nobody by itself. Clicks over",
        "those of linear interpolation, all of them and corrections alone (goal: at most "
        f"{TO_LINEAR:.2f}):",
        "",
        *_corrections_table(rows, clicks, clips),
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
        "| clip | persons | joints | " + " | ".join(f"{e}, {s}" for e, s in COLUMNS) + " |",
        "|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for clip in clips:
        one = next(row for row in rows if row["clip"] == clip)
        cells = [_clicks_cell(rows, clicks, (clip, *way)) for way in COLUMNS]
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


def _corrections_table(rows: Sequence[Row], clicks: Means, clips: Sequence[str]) -> list[str]:
    """Over linear interpolation, with the first placement and without it."""
    lines = [
        "| clip | placing | impose: all | corrections | with readings: all | corrections "
        "| from zero clicks | the same, *review* |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found: dict[tuple[str, str, str], list[float]] = {}
    for clip in clips:
        base = clicks.get((clip, "linear", "worst"))
        placed = next((r["placed"] for r in rows if r["clip"] == clip and "placed" in r), None)
        if base is None or placed is None:
            continue
        cells = []
        for column in _COMPARED:
            engine, strategy, kind = column
            ours = clicks.get((clip, engine, strategy))
            if ours is None:
                cells.append("–")
                continue
            less = placed if kind == "corrections" else 0.0
            each = [(ours[t] - less) / (base[t] - less) for t in TARGET_NAMES]
            found.setdefault(column, []).extend(each)
            cells.append(" / ".join(f"{ratio:.2f}" for ratio in each))
        lines.append(f"| {clip} | {placed:.1f} | " + " | ".join(cells) + " |")
    verdicts = [_reached(found.get(column, [])) for column in _COMPARED]
    lines.append("| *clips and targets that reach the goal* | | " + " | ".join(verdicts) + " |")
    return lines


def _reached(ratios: Sequence[float]) -> str:
    return f"{sum(ratio <= TO_LINEAR for ratio in ratios)} of {len(ratios)}" if ratios else "–"
