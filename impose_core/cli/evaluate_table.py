"""Figures of ``impose evaluate`` as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from impose_core.evaluation.published import LABEL, contradictions, published_tables

Row = Mapping[str, Any]
Column = tuple[str, tuple[str, ...]]
"""Its heading, and the keys that lead to the figure in a row."""


def _named(*names: str, under: str | None = None) -> tuple[Column, ...]:
    return tuple((name, (name,) if under is None else (under, name)) for name in names)


def _by_tau(*path: str, under: str) -> tuple[Column, ...]:
    return tuple((f"@{tau}", (under, tau, *path)) for tau in ("0.75", "0.85", "0.95"))


_TRACKING: Final = ("HOTA", "DetA", "AssA", "IDF1", "MOTA")

BLOCKS: Final[tuple[tuple[str, tuple[Column, ...]], ...]] = (
    (
        "keypoints",
        _named("AP", "AP50", "AP75", "APM", "APL", "AR", "AP_whole_box", "mean_joint_AP"),
    ),
    ("HOTA-OKS", _named(*_TRACKING, under="HOTA-OKS")),
    ("HOTA-box", _named(*_TRACKING, under="HOTA-box")),
    ("HOTA-kp", _named("HOTA", "DetA", "AssA", under="HOTA-kp")),
    ("PCKh-mAP", _named("mAP", "mAP_posetrack21_kit", under="PCKh-mAP")),
    (
        "frames until any joint drifts",
        (*_by_tau("any_joint", "mean", under="drift"), ("n", ("drift", "0.75", "any_joint", "n"))),
    ),
    ("share that never did", _by_tau("any_joint", "censored", under="drift")),
    (
        "recovered occlusions",
        (*_by_tau("all", "rate", under="occlusion"), ("n", ("occlusion", "0.75", "all", "n"))),
    ),
    (
        "propagated joints within",
        (
            ("1 deviation", ("calibration", "propagated", "within_one")),
            ("2 deviations", ("calibration", "propagated", "within_two")),
            ("n", ("calibration", "propagated", "n")),
        ),
    ),
    ("jitter, pixels per frame²", _named("predicted", "labelled", "n", under="jitter")),
)


def table(rows: Sequence[Row]) -> str:
    """All figures of ``rows``, what was skipped and why, and the conventions."""
    parts = [_block(title, columns, rows) for title, columns in BLOCKS]
    parts.append(_joints(rows))
    parts.append("\n".join(line for row in rows for line in _remarks(row)))
    return "\n\n".join(part for part in parts if part)


def published_text() -> str:
    """The published tables, each under the label that keeps them apart."""
    parts = []
    for one in published_tables():
        title = f"[{LABEL}] {one.source}, table {one.table}: {one.caption}"
        # as printed there: our three decimals would claim digits they do not have
        rows = [[_ABSENT if cell is None else str(cell) for cell in row] for row in one.rows]
        parts.append("\n".join([title, *aligned([one.columns, *rows])]))
    for paper, found in contradictions().items():
        notes = "\n".join(f"- {text}" for text in found)
        parts.append(f"[{LABEL}] {paper} contradicts itself:\n{notes}")
    return "\n" + "\n\n".join(parts)


def _block(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Nothing if no row has a figure; columns that no row has are left out."""
    shown = [
        (heading, path)
        for heading, path in columns
        if any(_figure(row, path) is not _ABSENT for row in rows)
    ]
    if not shown:
        return ""
    cells = [
        [title, *(heading for heading, _ in shown)],
        *([row["name"], *(_figure(row, path) for _, path in shown)] for row in rows),
    ]
    return "\n".join(aligned(cells))


def _joints(rows: Sequence[Row]) -> str:
    having = [row for row in rows if "per_joint_AP" in row]
    if not having:
        return ""
    cells = [
        ["AP by joint", *(row["name"] for row in having)],
        *(
            [joint, *(row["per_joint_AP"][joint] for row in having)]
            for joint in having[0]["per_joint_AP"]
        ),
    ]
    return "\n".join(aligned(cells))


def _remarks(row: Row) -> list[str]:
    n, chosen = row["n"], row["conventions"]
    persons = "everybody with a labelled keypoint"
    if chosen["min_labelled_joints"] > 1:
        persons = f"from {chosen['min_labelled_joints']} labelled keypoints on (not in HOTA, PCKh)"
    regions = "applied" if chosen["ignore_regions_applied"] else "none"
    lines = [
        f"{row['name']}: {n['labelled']} persons labelled ({n['ignored']} ignored), "
        f"{n['predicted']} predicted, on {n['images']} images in {n['sequences']} sequences",
        f"  sigmas {chosen['sigmas'] or 'none'}; {chosen['area']}; ignore regions: {regions}; "
        f"persons: {persons}",
    ]
    if chosen["keypoints_not_predicted"]:
        lines.append(f"  never predicted: {', '.join(chosen['keypoints_not_predicted'])}")
    return lines + [f"  skipped {name}: {reason}" for name, reason in row["skipped"].items()]


_ABSENT: Final = "–"


def _figure(row: Row, path: Sequence[str]) -> Any:
    """The figure at ``path``, None where nothing could be evaluated."""
    found: Any = row
    for key in path:
        if key not in found:
            return _ABSENT
        found = found[key]
    return found


def aligned(cells: Sequence[Sequence[Any]]) -> list[str]:
    """Lines of a table, the first column to the left and the others to the right."""
    texts = [[_text(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if at else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]


def _text(cell: Any) -> str:
    if cell is None:
        return _ABSENT
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
