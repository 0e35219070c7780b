"""``impose simulate``: how many clicks until a labelled video is right, with any engine."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import typer
from tqdm import tqdm

from impose_core.atomic import whole_file
from impose_core.cli.evaluate_table import aligned
from impose_core.cli.files import check_folder, check_outputs
from impose_core.cli.pictures import write_pairs
from impose_core.errors import UsageError
from impose_core.evaluation.annotation_tools import ENGINES, annotation_tool
from impose_core.evaluation.annotator import Annotator
from impose_core.evaluation.conventions import Sigmas, sigmas_for, with_areas
from impose_core.evaluation.figures import plain
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.simulation import CurvePoint, Measure, Simulation, simulate
from impose_core.evaluation.tracklets import Tracklet, labelled_tracklets
from impose_core.evaluation.worst_poses import worst_poses
from impose_core.frames import FrameSource, open_frames
from impose_core.io.pose_set_files import FORMATS, Format, read_labels
from impose_core.pose_sets import PoseSet
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton, skeleton_from_names

PICTURED = 6
"""Worst poses in a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What was asked for."""

    engines: Sequence[str]
    strategies: Sequence[str]
    targets: Sequence[float]
    measure: str
    joints_per_visit: int
    accept: float
    noise: float
    miss: float
    seed: int

    def annotator(self, strategy: str) -> Annotator:
        """Somebody who has not begun yet."""
        return Annotator(
            strategy=strategy,
            joints_per_visit=self.joints_per_visit,
            accept=self.accept,
            noise=self.noise,
            miss=self.miss,
            seed=self.seed,
        )


def simulate_video(
    video: Path,
    gt: Path,
    work: Work,
    *,
    gt_format: str,
    sigmas: str | None,
    out: Path | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Run the command."""
    check_outputs({"--out": out}, inputs=[video, gt])
    check_folder("--pictures", pictures, inputs=[video, gt])
    measure = _checked(work)
    labels = _one_sequence(read_labels(gt, _format(gt_format)), gt)
    chosen = sigmas_for(labels.keypoints, sigmas)
    skeleton = skeleton_from_names(chosen.name, labels.keypoints)
    truth = labelled_tracklets(labels)
    with open_frames(video) as frames:
        _check_length(truth, frames, gt)
        rows = [
            _row(frames, truth, work, measure, (engine, strategy), skeleton, chosen, pictures)
            for engine in work.engines
            for strategy in work.strategies
        ]
        report = {
            "video": frames.name,
            "gt": str(gt),
            "frames": len(frames),
            "persons": len(truth),
            "conventions": {
                **{name: value for name, value in asdict(work).items() if name not in _ROWS},
                "sigmas": chosen.name,
                "area": with_areas(labels)[1],
                "first_frame": "every labelled joint of a person's first labelled frame is a click",
            },
            "rows": rows,
        }
    if out is not None:
        with whole_file(out) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    typer.echo(json.dumps(report) if as_json else _table(rows, len(truth)))


_ROWS = ("engines", "strategies")


def _checked(work: Work) -> Measure:
    """Refuse what makes no sense before the long work begins."""
    for name, values, known in (
        ("--engine", work.engines, ENGINES),
        ("--strategy", work.strategies, ()),
    ):
        for value in values:
            if known and value not in known:
                raise UsageError(
                    f"Expected '{name}' to be one of {', '.join(known)}, got {value!r}."
                )
            if list(values).count(value) > 1:
                raise UsageError(f"Expected every '{name}' once, got {value!r} twice.")
    for strategy in work.strategies:
        work.annotator(strategy)
    for measure in get_args(Measure):
        if measure == work.measure:
            return measure  # type: ignore[no-any-return]  # of the literals
    raise UsageError(
        f"Expected '--measure' to be one of {', '.join(get_args(Measure))}, got {work.measure!r}."
    )


def _format(text: str) -> Format | None:
    if text == "auto":
        return None
    for one in FORMATS:
        if one == text:
            return one
    raise UsageError(f"Expected '--gt-format' to be auto or of {', '.join(FORMATS)}, got {text!r}.")


def _one_sequence(labels: PoseSet, gt: Path) -> PoseSet:
    if len(labels.sequences) != 1:
        raise UsageError(
            f"Expected {gt} to hold the labels of one video, got {len(labels.sequences)}.",
            hint="Write each video's labels to a file of its own.",
        )
    return labels


def _check_length(truth: Sequence[Tracklet], frames: FrameSource, gt: Path) -> None:
    if not truth:
        raise UsageError(f"Expected {gt} to hold a labelled person, got nobody.")
    labelled = len(truth[0].on)
    if labelled > len(frames):
        raise UsageError(
            f"Expected {gt} to hold labels of the {len(frames)} frames of {frames.name}, got one "
            f"of frame {labelled - 1}."
        )


def _row(
    frames: FrameSource,
    truth: Sequence[Tracklet],
    work: Work,
    measure: Measure,
    names: tuple[str, str],
    skeleton: Skeleton,
    sigmas: Sigmas,
    pictures: Path | None,
) -> dict[str, Any]:
    engine, strategy = names
    length = len(truth[0].on)
    tool = annotation_tool(engine, frames, frames=length, persons=len(truth), skeleton=skeleton)
    start = time.perf_counter()
    with tqdm(desc=f"{engine}, {strategy}", unit=" clicks", disable=None) as bar:

        def show(point: CurvePoint) -> None:
            bar.set_postfix(accuracy=f"{point.accuracy:.3f}", oks=f"{point.oks:.3f}")
            bar.update(point.clicks - bar.n)

        done = simulate(
            tool,
            truth,
            work.annotator(strategy),
            sigmas=sigmas.values,
            targets=work.targets,
            measure=measure,
            progress=show,
        )
    row = _figures(done, strategy, seconds=time.perf_counter() - start)
    if pictures is not None and done.poses:
        name = f"worst_{engine}_{strategy}.png"
        target = min(done.poses)
        _picture(pictures / name, frames, truth, done.poses[target], skeleton, sigmas.values)
        row["picture"] = {"file": name, "at_target": target}
    return row


def _figures(done: Simulation, strategy: str, *, seconds: float) -> dict[str, Any]:
    persons = [
        {**asdict(one), "reached": {f"{goal:g}": clicks for goal, clicks in one.reached.items()}}
        for one in done.persons
    ]
    figures = {
        "engine": done.tool,
        "strategy": strategy,
        "targets": {
            f"{goal:g}": {"clicks_per_person": done.clicks_to(goal), "never": done.never(goal)}
            for goal in done.targets
        },
        "clicks": done.curve[-1].clicks,
        "visited": done.curve[-1].visited,
        "identity_edits": done.identity_edits,
        "rounds": len(done.curve),
        "seconds": seconds,
        "persons": persons,
        "curve": [asdict(point) for point in done.curve],
    }
    readable: dict[str, Any] = plain(figures)
    return readable


def _picture(
    path: Path,
    frames: FrameSource,
    truth: Sequence[Tracklet],
    poses: Floats,
    skeleton: Skeleton,
    sigmas: Floats,
) -> None:
    labels = np.stack([one.xy for one in truth], axis=1)
    labelled = np.stack([one.visibility > 0 for one in truth], axis=1)
    ids = [one.track_id for one in truth]
    left = _ledger(np.where(labelled[..., None], labels, np.nan), ids, skeleton)
    right = _ledger(poses, ids, skeleton)
    pairs = [
        (one.frame, one.person, f"frame {one.frame}, person {ids[one.person]}, OKS {one.oks:.2f}")
        for one in worst_poses(truth, poses, sigmas=sigmas, limit=PICTURED)
    ]
    write_pairs(path, frames, ("label", left), ("tool", right), pairs)


def _ledger(xy: Floats, ids: Sequence[int], skeleton: Skeleton) -> PoseTracks:
    tracks = PoseTracks.empty(frames=len(xy), track_id=list(ids), skeleton=skeleton)
    known = np.isfinite(xy).all(-1)
    return replace(
        tracks,
        xy=xy,
        visibility=np.where(known, Visibility.VISIBLE, Visibility.ABSENT).astype(np.uint8),
        origin=np.where(known, Origin.HUMAN, Origin.NONE).astype(np.uint8),
    )


def _table(rows: Sequence[dict[str, Any]], persons: int) -> str:
    targets = list(rows[0]["targets"])
    cells: list[list[Any]] = [
        [
            "clicks per person",
            "strategy",
            *(f"to {target}" for target in targets),
            "never",
            "frames visited",
            "OKS at the end",
        ]
    ]
    for row in rows:
        reached = [row["targets"][target] for target in targets]
        cells.append(
            [
                row["engine"],
                row["strategy"],
                *(f"{one['clicks_per_person']:.1f}" for one in reached),
                f"{reached[-1]['never']} of {persons}",
                row["visited"],
                row["curve"][-1]["oks"],
            ]
        )
    return "\n".join(aligned(cells))
