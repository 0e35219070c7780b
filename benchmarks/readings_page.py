"""What a pose reader adds, as sections of docs/benchmarks.md; goals are held against figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import one_anchor, one_click, zero_clicks
from benchmarks.with_readings import LOOKED_AT, METHODS, TUNED_ON

Row = dict[str, Any]

BETWEEN_GOALS = {
    ("p2s_multi_cam01", 15): 0.990,
    ("p2s_multi_cam01", 30): 0.980,
    ("p2s_multi_cam03", 15): 0.989,
    ("p2s_multi_cam03", 30): 0.975,
    ("human_dance17", 15): 0.955,
    ("human_dance17", 30): 0.945,
}
"""Clip and gap -> mean OKS with readings."""


def verdict(value: float, goal: float, *, most: bool = False) -> str:
    """Whether ``value`` reaches ``goal`` (at most the goal if ``most``), in words."""
    reached = value <= goal if most else value >= goal
    return "reached" if reached else f"missed by {abs(value - goal):.3f}"


def between_section(real: Sequence[Row], scenes: Sequence[Row]) -> list[str]:
    """Between anchors, tracks alone beside tracks and readings."""
    read = [row for row in real if row["readings"]]
    unread = list(dict.fromkeys(row["clip"] for row in real if not row["readings"]))
    return [
        "## Between anchors, with a pose reader",
        "",
        "*Tracks* is the estimate above; *with readings* is the same with MoveNet reading every",
        "frame. *Alone*: the network's best place for each joint in the same views, as it is, and",
        "*unbiased*, less what it was off at the anchors. Mean OKS / share below .85; then joints",
        "within 1 / 2 reported deviations. Constants of readings were tuned on "
        + ", ".join(TUNED_ON)
        + ";",
        f"{', '.join(LOOKED_AT)} was looked at meanwhile; all others, rendered ones too, only",
        f"report. The reader does not know {', '.join(unread)}: there the run asserts that the",
        "figures with it are identical." if unread else "",
        "",
        *_readings_table(read),
        "",
        *_goals_table(read),
        "",
        "Rendered people (anchors every "
        f"{scenes[0]['gap']}, seeds {scenes[0]['seeds']}); the last column says whether readings",
        "of a network that never saw such people help:",
        "",
        *_readings_table(scenes, change=True),
        "",
        _helped(scenes),
        "",
    ]


def _readings_table(rows: Sequence[Row], *, change: bool = False) -> list[str]:
    heads = ["clip", "gap", "n", "linear", "tracks", *METHODS, "tracks: 1 / 2 sigma"]
    heads += ["with readings: 1 / 2 sigma", *(["change"] if change else [])]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        readings, methods = row["readings"], row["methods"]
        scores = [methods["linear"], methods["estimate"]]
        scores += [readings["methods"][m] for m in METHODS]
        cells = [f"{mean:.3f} / {below:.3f}" for mean, below in scores]
        cells += [f"{one['within_1']:.2f} / {one['within_2']:.2f}" for one in (row, readings)]
        if change:
            cells.append(f"{_gain(row):+.3f}")
        lines.append(f"| {row['clip']} | {row['gap']} | {row['n']} | " + " | ".join(cells) + " |")
    return lines


def _gain(row: Row) -> float:
    return float(row["readings"]["methods"][METHODS[0]][0] - row["methods"]["estimate"][0])


def _helped(rows: Sequence[Row]) -> str:
    gains = {row["clip"]: _gain(row) for row in rows}
    worse = [clip for clip, gain in gains.items() if gain < 0]
    said = f"Mean change {np.mean(list(gains.values())):+.3f} OKS: "
    if not worse:
        return said + "readings help on every kind."
    better = len(gains) - len(worse)
    return (
        said
        + f"readings help on {better} of {len(gains)} kinds, and harm "
        + (", ".join(f"{clip} ({gains[clip]:+.3f})" for clip in worse) + ".")
    )


def _goals_table(rows: Sequence[Row]) -> list[str]:
    found = {(r["clip"], r["gap"]): r["readings"]["methods"][METHODS[0]][0] for r in rows}
    return [
        "| goal: mean OKS with readings | gap | goal | measured | |",
        "|---|---|---|---|---|",
        *(
            f"| {clip} | {gap} | {goal:.3f} | {found[clip, gap]:.3f} "
            f"| {verdict(found[clip, gap], goal)} |"
            for (clip, gap), goal in BETWEEN_GOALS.items()
            if (clip, gap) in found
        ),
    ]


def anchor_section(rows: Sequence[Row]) -> list[str]:
    """From one labelled frame on."""
    last = str(one_anchor.HORIZONS[-1])
    lines = [
        "## From one anchor",
        "",
        f"Everybody's labels on one frame are given, every {one_anchor.EVERY}th frame a start of",
        "its own; mean OKS so many frames later, over the joints labelled on both. *Causal* is",
        "`online.step`, which sees no later frame; *session* is `Session`, beyond its outermost",
        "anchor. n is the number of persons times starts that reach so far; the rows *first frame*",
        "are the starts at frame 0 alone, as the figures behind the goals were measured.",
        "",
        "| clip | starts | method | " + " | ".join(f"+{h} (n)" for h in one_anchor.HORIZONS) + " |",
        "|---" * (3 + len(one_anchor.HORIZONS)) + "|",
    ]
    clips = list(dict.fromkeys(row["clip"] for row in rows))
    for clip in clips:
        mine = [row for row in rows if row["clip"] == clip]
        for named, chosen in (("all", mine), ("first frame", [r for r in mine if not r["start"]])):
            for method in one_anchor.METHODS:
                cells = [_mean_cell(_at(chosen, method, str(h))) for h in one_anchor.HORIZONS]
                lines.append(f"| {clip} | {named} | {method} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"| goal: mean OKS at +{last} | goal | starts | causal, readings | | session, readings | |",
        "|---" * 7 + "|",
    ]
    for clip, goal in one_anchor.GOALS.items():
        mine = [row for row in rows if row["clip"] == clip]
        for named, chosen in (("all", mine), ("first frame", [r for r in mine if not r["start"]])):
            cells = []
            for method in ("causal, readings", "session, readings"):
                found = _at(chosen, method, last)
                if found:
                    mean = float(np.mean(found))
                    cells.append(f"{mean:.3f} (n {len(found)}) | {verdict(mean, goal)}")
                else:
                    cells.append("– | –")
            lines.append(f"| {clip} | {goal:.2f} | {named} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _at(rows: Sequence[Row], method: str, horizon: str) -> list[float]:
    return [value for row in rows for value in row["oks"][method].get(horizon, [])]


def _mean_cell(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({len(values)})" if values else "–"


def zero_section(rows: Sequence[Row]) -> list[str]:
    """Nobody clicked anything."""
    return [
        "## Zero clicks",
        "",
        "Everybody found, told apart and followed (`docs/zero_clicks.md`). Mean OKS of the best",
        "match per labelled person and frame; *found*: above .5; single frames: every "
        f"{zero_clicks.STRIDE}th.",
        "Seconds a look were measured beside another process.",
        "",
        *zero_clicks.table(rows),
        "",
    ]


def click_section(results: dict[str, list[Row]]) -> list[str]:
    """One click, and more."""
    return [
        "## One click",
        "",
        "From the network's best places, the worst joint of each person is clicked and stays put",
        "(`docs/one_click.md`, where the other joints are measured on more images). Constants were",
        "tuned on the other half of lspet_500, and with an eye on p2s_multi_cam03.",
        "",
        "| data | images | method | "
        + " | ".join(f"C{k}" for k in range(one_click.MOST + 1))
        + " | "
        + " | ".join(f"NoC@{t:.0%}".rstrip("%") for t in one_click.TARGETS)
        + " |",
        "|---" * (4 + one_click.MOST + len(one_click.TARGETS)) + "|",
        *(one_click.clicks_line(row) for row in results["clicks"]),
        "",
        "Mean error, in half diagonals, of the joints that were not clicked, after one click:",
        "",
        "| data | bodies (bad: OKS < .75) | n | "
        + " | ".join((*one_click.METHODS, "tree, no click"))
        + " | drop |",
        "|---" * (5 + len(one_click.METHODS)) + "|",
        *(one_click.others_line(row) for row in results["others"]),
        "",
        "Between human anchors, tracks alone, the worst joint clicked on three frames a span:",
        "",
        *(
            f"- {row['data']}, every {row['gap']}: {row['seeds']} seeds in {row['clicks']} clicks; "
            f"error of the others {row['error_before_px']:.1f} px before, "
            f"{row['error_after_px']:.1f} after"
            for row in results["between_anchors"]
        ),
        "",
    ]


def cost_lines(reading: dict[str, dict[str, float]]) -> list[str]:
    """Lines of the table of costs."""
    views, again, memory = reading["views"], reading["correction"], reading["memory"]
    bodies, cores = int(views["bodies"]), int(views["cores"])
    share = f"{again['share']:.3f}"
    return [
        f"| reader: ms a view, one thread | {views['ms_per_view']:.0f} | - |",
        f"| reader: {bodies} bodies of an image together over one by one, {cores} threads | "
        f"{views['together_all_cores']:.2f} | - |",
        f"| reader: the same on one thread | {views['together_one_thread']:.2f} | - |",
        f"| with readings: one correction in {again['frames']:.0f} frames, "
        f"{again['persons']:.0f} persons, anchors every {again['gap']:.0f}, all read before, over "
        f"the first pass ({again['first_pass_s']:.0f} s on {cores} threads) | {share} "
        f"({verdict(again['share'], 0.05, most=True)}) | .05 |",
        f"| with a fake reader, {memory['persons']:.0f} persons: memory (MiB) after 500 frames, "
        f"and at most over {memory['frames']:,.0f} | {memory['after_500_mib']:.0f}, "
        f"{memory['largest_mib']:.0f} | flat |",
    ]
