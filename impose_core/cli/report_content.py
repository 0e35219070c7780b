"""From documents to the sections of a report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from impose_core.cli.evaluate_table import BLOCKS
from impose_core.cli.report_documents import Collected, Evaluation, Fields, SimulationReport
from impose_core.cli.report_parts import ABSENT, Notes, Part, Picture, Section, Table, listed
from impose_core.cli.report_plots import Curve, click_curves, joint_bars, survival_curves

ROUNDED: Final = (
    "Figures are those of the files, to three decimals; – is null or not there. "
    "Rows of different files may follow different conventions: these stand below each table."
)


def sections(found: Collected) -> list[Section]:
    """All of them: ours, then what was published elsewhere, then what was not read."""
    made = [Section(title=f"Evaluation: {one.file}", parts=_evaluation(one, at))
            for at, one in enumerate(found.evaluations)]  # fmt: skip
    made += [
        Section(title=f"Simulated annotator: {one.file}", parts=_simulation(one))
        for one in found.simulations
    ]
    curves = list(_curves(found.simulations))
    if curves:
        made.append(Section(title="Clicks and accuracy", parts=curves))
    worst = list(_worst(found.simulations))
    if worst:
        made.append(Section(title="Worst frames", parts=worst))
    made += _published(found.evaluations)
    if found.unread:
        lines = [f"{name}: {reason}" for name, reason in found.unread.items()]
        made.append(Section(title="Not read", parts=[Notes(title="Other files", lines=lines)]))
    return made


# --- evaluate -------------------------------------------------------------------------------------


def _evaluation(one: Evaluation, at: int) -> list[Part]:
    parts: list[Part] = [table for table in _blocks(one.rows) if table is not None]
    joints = _joints(one.rows)
    parts += [] if joints is None else [joints]
    parts += [_row_notes(row) for row in one.rows]
    if joints is not None:
        names = [row["name"] for row in one.rows]
        png = joint_bars(names, [row.get("per_joint_AP", {}) for row in one.rows])
        caption = f"AP by joint, {one.file}. Nothing drawn: nothing could be evaluated."
        parts.append(Picture(file=f"joints_{at + 1}.png", png=png, caption=caption))
    survivals = _survivals(one.rows)
    if survivals:
        caption = (
            f"Share of tracks with every joint still right after so many frames, {one.file} "
            "(Kaplan and Meier's estimate, from the first labelled frame on; a dot: how far the "
            "longest was watched)."
        )
        png = survival_curves(survivals)
        parts.append(Picture(file=f"drift_{at + 1}.png", png=png, caption=caption))
    return parts


def _blocks(rows: Sequence[Fields]) -> Iterator[Table | None]:
    for title, columns in BLOCKS:
        shown = [
            (heading, path)
            for heading, path in columns
            if any(_figure(row, path) != ABSENT for row in rows)
        ]
        if shown:
            yield Table(
                title=title,
                columns=[heading for heading, _ in shown],
                rows=[[row["name"], *(_figure(row, path) for _, path in shown)] for row in rows],
            )


def _joints(rows: Sequence[Fields]) -> Table | None:
    having = [row for row in rows if row.get("per_joint_AP")]
    if not having:
        return None
    joints = list(dict.fromkeys(joint for row in having for joint in row["per_joint_AP"]))
    return Table(
        title="AP by joint",
        columns=[row["name"] for row in having],
        rows=[[joint, *(row["per_joint_AP"].get(joint) for row in having)] for joint in joints],
    )


def _survivals(rows: Sequence[Fields]) -> dict[str, dict[str, Fields]]:
    """Threshold -> name of the row -> curve."""
    found: dict[str, dict[str, Fields]] = {}
    for row in rows:
        drift = row.get("drift", {})
        for tau, of_tau in drift.items() if isinstance(drift, dict) else ():
            if isinstance(of_tau, dict) and "survival" in of_tau.get("any_joint", {}):
                found.setdefault(tau, {})[row["name"]] = of_tau["any_joint"]["survival"]
    return found


def _row_notes(row: Fields) -> Notes:
    files = {key: row[key] for key in ("pred", "gt") if key in row}
    lines = [*listed(files), *listed(row["n"]), *listed(row["conventions"])]
    lines += [f"skipped {name}: {reason}" for name, reason in row["skipped"].items()]
    return Notes(
        title=f"{row['name']}: conventions, and what was skipped",
        lines=lines if row["skipped"] else [*lines, "skipped: nothing"],
    )


def _figure(row: Fields, path: Sequence[str]) -> Any:
    found: Any = row
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return ABSENT
        found = found[key]
    return found


# --- simulate -------------------------------------------------------------------------------------


def _simulation(one: SimulationReport) -> list[Part]:
    targets = list(dict.fromkeys(target for row in one.rows for target in row["targets"]))
    table = Table(
        title="engine",
        columns=[
            "strategy",
            *(f"clicks per person to {target}" for target in targets),
            *(f"never {target}" for target in targets),
            "clicks in all",
            "frames visited",
            "identity edits",
            "rounds",
            "seconds",
            "OKS at the end",
            "accuracy at the end",
        ],
        rows=[
            [
                row["engine"],
                row["strategy"],
                *(_figure(row, ("targets", target, "clicks_per_person")) for target in targets),
                *(_figure(row, ("targets", target, "never")) for target in targets),
                *(row.get(key) for key in ("clicks", "visited", "identity_edits", "rounds")),
                row.get("seconds"),
                row["curve"][-1]["oks"],
                row["curve"][-1]["accuracy"],
            ]
            for row in one.rows
        ],
    )
    about = {key: value for key, value in one.about.items() if key != "conventions"}
    notes = Notes(
        title=f"{one.video}: conventions, and what was skipped",
        lines=[*listed(about), *listed(one.about["conventions"]), *_lacking(one.rows, targets)],
    )
    return [table, notes]


def _lacking(rows: Sequence[Fields], targets: Sequence[str]) -> list[str]:
    lines = [
        f"{row['engine']}, {row['strategy']}: {row['targets'][target]['never']} never reached "
        f"{target}; they count with all their clicks"
        for row in rows
        for target in targets
        if target in row["targets"] and row["targets"][target]["never"]
    ]
    return lines or ["skipped: nothing; everybody reached every target"]


def _curves(documents: Sequence[SimulationReport]) -> Iterator[Picture]:
    videos = list(dict.fromkeys(one.video for one in documents))
    for at, video in enumerate(videos):
        of_video = [one for one in documents if one.video == video]
        curves = [
            Curve(
                engine=row["engine"],
                strategy=row["strategy"],
                file=one.file if len(of_video) > 1 else "",
                points=row["curve"],
            )
            for one in of_video
            for row in one.rows
        ]
        yield Picture(
            file=f"clicks_{at + 1}_{_plain(video)}.png",
            png=click_curves(curves),
            caption=f"{video}: accuracy and mean OKS against the clicks on all persons together.",
        )


def _worst(documents: Sequence[SimulationReport]) -> Iterator[Picture]:
    for at, one in enumerate(documents):
        for row in one.rows:
            picture = row.get("picture")
            if picture is not None:
                target = picture.get("at_target")
                when = "" if target is None else f" when target {target} was reached"
                yield Picture(
                    file=f"worst_{at + 1}_{_plain(row['engine'])}_{_plain(row['strategy'])}.png",
                    png=one.pictures[picture["file"]].png,
                    jpeg=one.pictures[picture["file"]].jpeg,
                    caption=f"{one.video}, {row['engine']}, {row['strategy']}: the worst poses"
                    f"{when}, beside their labels ({picture['file']}).",
                )


def _plain(name: str) -> str:
    """``name`` as part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40] or "unnamed"


# --- published ------------------------------------------------------------------------------------


def _published(evaluations: Sequence[Evaluation]) -> list[Section]:
    """The papers' tables, once each, under the label that keeps them apart."""
    made: list[Section] = []
    for one in evaluations:
        if one.published is None or any(_is_shown(one, other) for other in evaluations):
            continue
        parts: list[Part] = []
        for table in one.published["tables"]:
            title = f"{table['source']}, table {table['table']}: {table['caption']}"
            parts += [
                Notes(title=title, lines=[]),
                Table(
                    title=str(table["columns"][0]),
                    columns=[str(column) for column in table["columns"][1:]],
                    # as printed there: our three decimals would claim digits they do not have
                    rows=[[None if c is None else str(c) for c in row] for row in table["rows"]],
                ),
            ]
        for paper, lines in one.published.get("contradictions", {}).items():
            parts.append(Notes(title=f"{paper} contradicts itself", lines=lines))
        label = one.published["label"]
        made.append(Section(title=f"[{label}] Tables of the papers ({one.file})", parts=parts))
    return made


def _is_shown(one: Evaluation, other: Evaluation) -> bool:
    """Whether ``other`` comes before ``one`` and holds the same tables."""
    return other.published == one.published and other.file < one.file
