"""``impose simulate``: how many clicks until a labelled video is right, with any engine."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import typer
from tqdm import tqdm

from impose_core.atomic import whole_file
from impose_core.cli.evaluate import AUTO
from impose_core.cli.files import check_folder, check_outputs
from impose_core.cli.simulate_report import figures, table, write_picture
from impose_core.errors import UsageError
from impose_core.evaluation.annotation_tools import ENGINES, annotation_tool
from impose_core.evaluation.annotator import STRATEGIES, Annotator
from impose_core.evaluation.conventions import Sigmas, sigmas_for, with_areas
from impose_core.evaluation.simulation import MEASURES, CurvePoint, Measure, simulate
from impose_core.evaluation.tracklets import Tracklet, labelled_tracklets
from impose_core.frames import FrameSource, open_frames
from impose_core.io.pose_set_files import FORMATS, Format, read_labels
from impose_core.pose_sets import PoseSet
from impose_core.skeleton import Skeleton, skeleton_from_names

_ROWS: Final = ("engines", "strategies")
"""Fields of :class:`Work` of which every combination is a row."""


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
            _row(frames, truth, work, measure, (engine, strategy), skeleton, chosen, pictures, out)
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
    typer.echo(json.dumps(report) if as_json else table(rows, len(truth)))


def _checked(work: Work) -> Measure:
    """Refuse what makes no sense before the long work begins."""
    for name, values, known in (
        ("--engine", work.engines, ENGINES),
        ("--strategy", work.strategies, tuple(STRATEGIES)),
    ):
        for value in values:
            if value not in known:
                raise UsageError(
                    f"Expected '{name}' to be one of {', '.join(known)}, got {value!r}."
                )
            if list(values).count(value) > 1:
                raise UsageError(f"Expected every '{name}' once, got {value!r} twice.")
    if work.joints_per_visit < 1:  # an option of another name
        raise UsageError(
            f"Expected '--clicks-per-visit' to be at least 1, got {work.joints_per_visit}."
        )
    for strategy in work.strategies:
        work.annotator(strategy)
    for target in work.targets:
        if not 0 < target <= 1:
            raise UsageError(f"Expected '--target' to be above 0 and at most 1, got {target}.")
    if work.measure not in MEASURES:
        raise UsageError(
            f"Expected '--measure' to be one of {', '.join(MEASURES)}, got {work.measure!r}."
        )
    return work.measure


def _format(text: str) -> Format | None:
    if text == AUTO:
        return None
    if text not in FORMATS:
        expected = ", ".join((AUTO, *FORMATS))
        raise UsageError(f"Expected '--gt-format' to be one of {expected}, got {text!r}.")
    return text


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
    out: Path | None,
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
    row = figures(done, strategy, seconds=time.perf_counter() - start)
    if pictures is not None and done.poses:
        file = pictures / f"worst_{engine}_{strategy}.png"
        target = min(done.poses)
        write_picture(file, frames, truth, done.poses[target], skeleton, sigmas.values)
        row["picture"] = {"file": _beside(file, out), "at_target": target}
    return row


def _beside(file: Path, out: Path | None) -> str:
    """The path of ``file`` from the folder of ``out``, if it is in there; else its name."""
    file = file.resolve()
    if out is not None and file.is_relative_to(out.resolve().parent):
        return file.relative_to(out.resolve().parent).as_posix()
    return file.name
