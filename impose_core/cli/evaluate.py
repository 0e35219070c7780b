"""``impose evaluate``: figures of files of predictions, one row for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from impose_core.atomic import whole_file
from impose_core.cli.evaluate_table import published_text, table
from impose_core.cli.files import check_outputs
from impose_core.errors import ImposeError, UsageError
from impose_core.evaluation.evaluate import evaluate
from impose_core.evaluation.figures import METRICS
from impose_core.evaluation.published import LABEL, contradictions, published_tables
from impose_core.io.pose_set_files import (
    FORMATS,
    Format,
    read_deviations,
    read_labels,
    read_predictions,
)
from impose_core.pose_sets import PoseSet
from impose_core.skeleton import COCO17, PRESETS

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; None where the default is meant."""

    gt: Path
    pred: Sequence[Path]
    name: Sequence[str]
    metrics: str | None
    gt_format: str
    pred_format: str
    keypoints: str | None
    default_score: float | None
    sigmas: str | None
    area_share: float
    min_labelled_joints: int
    out: Path | None
    published: bool
    as_json: bool


def evaluate_files(request: Request) -> None:
    """Run the command."""
    check_outputs({"--out": request.out}, inputs=[request.gt, *request.pred])
    names = _names(request)
    _format(request.pred_format, "--pred-format")  # before the long work begins
    labels = read_labels(
        request.gt,
        _format(request.gt_format, "--gt-format"),
        keypoints=_keypoints(request.keypoints) or COCO17.keypoints,
    )
    rows = [
        {"name": name, "pred": str(path), "gt": str(request.gt), **_row(request, path, labels)}
        for name, path in zip(names, request.pred, strict=True)
    ]
    document: dict[str, Any] = dict(rows[0]) if len(rows) == 1 else {"rows": rows}
    if request.published:
        document["published"] = {
            "label": LABEL,
            "tables": [asdict(one) for one in published_tables()],
            "contradictions": contradictions(),
        }
    if request.out is not None:
        with whole_file(request.out) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    typer.echo(json.dumps(document) if request.as_json else table(rows))
    if request.published and not request.as_json:
        typer.echo(published_text())


def _row(request: Request, path: Path, labels: PoseSet) -> dict[str, Any]:
    try:
        predictions = read_predictions(
            path,
            labels,
            _format(request.pred_format, "--pred-format"),
            keypoints=_keypoints(request.keypoints),
            default_score=request.default_score,
        )
        metrics = None if request.metrics is None else _split(request.metrics)
        return evaluate(
            labels,
            predictions,
            metrics=metrics,
            sigmas=request.sigmas,
            share_of_box=request.area_share,
            min_labelled_joints=request.min_labelled_joints,
            tracks=None if "calibration" not in (metrics or METRICS) else read_deviations(path),
        )
    except ImposeError as error:
        if len(request.pred) == 1 or str(path) in error.message:
            raise
        raise type(error)(f"With '{path}': {error.message}", hint=error.hint) from error


def _names(request: Request) -> list[str]:
    if request.name and len(request.name) != len(request.pred):
        raise UsageError(
            f"Expected '--name' once for every '--pred', got {len(request.name)} for "
            f"{len(request.pred)}."
        )
    names = list(request.name) or [path.stem for path in request.pred]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"Expected the rows to have different names, got '{name}' twice.",
                hint="Give each '--pred' a '--name'.",
            )
    return names


def _format(text: str, option: str) -> Format | None:
    if text == AUTO:
        return None
    if text not in FORMATS:
        raise UsageError(
            f"Expected '{option}' to be one of {', '.join((AUTO, *FORMATS))}, got {text!r}."
        )
    return text


def _keypoints(text: str | None) -> tuple[str, ...] | None:
    """Names of a preset, or listed."""
    if text is None:
        return None
    return PRESETS[text].keypoints if text in PRESETS else tuple(_split(text))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
