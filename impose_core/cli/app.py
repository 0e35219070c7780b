"""Commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from impose_core.cli import doctor_report
from impose_core.cli.convert import FORMATS, convert_poses
from impose_core.cli.detect import Found, detect_people
from impose_core.cli.doctor import print_doctor
from impose_core.cli.engines import READERS, SEEING, TRACKERS, TrackerChoice, engine_of
from impose_core.cli.evaluate import AUTO, Request, evaluate_files
from impose_core.cli.export import export
from impose_core.cli.identity import identity_of
from impose_core.cli.models import models
from impose_core.cli.outcome import reported
from impose_core.cli.propagate import Outputs, propagate_video
from impose_core.cli.report import report_folder
from impose_core.cli.serve import serve as run_service
from impose_core.cli.show import show_document
from impose_core.cli.simulate import Work, simulate_video
from impose_core.cli.train import train
from impose_core.evaluation.annotation_tools import ENGINES
from impose_core.evaluation.annotator import STRATEGIES
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.session import DETECT_EVERY

app = typer.Typer(
    help="Correct a skeleton once, the clip follows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(models, name="models")
app.command()(train)
app.command()(export)

for _host in sorted(entry_points(group="impose.commands"), key=lambda host: host.name):
    app.add_typer(_host.load(), name=_host.name)  # each declares itself; none is imported by name

Video = Annotated[Path, typer.Argument(help="A video file, or a folder of images.")]
Overlay = Annotated[
    Path | None, typer.Option(help="Write a video with the poses drawn (.mp4, .mkv, .mov).")
]
Sheet = Annotated[Path | None, typer.Option(help="Write a contact sheet (.png, .jpg).")]
Plot = Annotated[
    Path | None, typer.Option(help="Write a plot of trajectories with their 1-sigma band (.png).")
]
Weights = Annotated[
    Path | None,
    typer.Option(help="Of --reader network (.safetensors), from 'train' or 'models convert'."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, for machines.")
]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"impose {doctor_report.version()}")
        raise typer.Exit


@app.command()
def propagate(
    video: Video,
    anchors: Annotated[
        Path,
        typer.Option(
            help="Annotations (COCO keypoints of a video) of some frames, or what 'detect' wrote."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Write the annotations of every frame here.")],
    corrections: Annotated[
        Path | None,
        typer.Option(help="Likewise: human points on top of the anchors, of the same persons."),
    ] = None,
    reader: Annotated[
        str,
        typer.Option(help=f"Looks at the frames between: {', '.join(READERS)}."),
    ] = READERS[0],
    weights: Weights = None,
    tracker: Annotated[
        str, typer.Option(help=f"Follows points from frame to frame: {', '.join(TRACKERS)}.")
    ] = TRACKERS[0],
    tracker_weights: Annotated[
        Path | None,
        typer.Option(help="Of --tracker cotracker, as 'models convert' wrote them."),
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option(help="You accept the tracker's licence; CoTracker's is non-commercial."),
    ] = False,
    overlay: Overlay = None,
    sheet: Sheet = None,
    plot: Plot = None,
    start: Annotated[
        int, typer.Option("--from", metavar="FRAME", help="First frame to estimate, from 0.")
    ] = 0,
    last: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="FRAME", help="Last frame to estimate, included; default: the last."
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(help="Record the human points here; those of an existing journal count too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry human marks on a few frames to all frames, for every person.

    Human points leave exactly as they came. Ctrl-C keeps the frames done so far. The reader
    helps with people; persons with other joints than it knows are carried without it.
    """
    outputs = Outputs(out=out, overlay=overlay, sheet=sheet, plot=plot, journal=journal)
    with reported(as_json=as_json):
        propagate_video(
            video,
            anchors,
            corrections,
            outputs,
            reader=reader,
            weights=weights,
            tracker=TrackerChoice(
                name=tracker, weights=tracker_weights, accept_licence=accept_licence
            ),
            start=start,
            last=last,
            as_json=as_json,
        )


@app.command()
def detect(
    video: Video,
    out: Annotated[Path, typer.Option(help="Write the annotations of every frame here.")],
    every: Annotated[
        int, typer.Option(min=1, help="Frames from one look for people to the next.")
    ] = DETECT_EVERY,
    reader: Annotated[str, typer.Option(help=f"Sees people: {', '.join(SEEING)}.")] = SEEING[0],
    weights: Weights = None,
    identity: Annotated[
        Path | None,
        typer.Option(help="An ID decoder (.safetensors) that says who is who; from 'train'."),
    ] = None,
    overlay: Overlay = None,
    sheet: Sheet = None,
    as_json: Json = False,
) -> None:
    """Find every person on every frame, without a click, each with one identity throughout.

    Correct what is wrong, in any tool that edits the annotations.
    """
    with reported(as_json=as_json):
        found = Found(out=out, overlay=overlay, sheet=sheet)
        engine = engine_of(reader, weights=weights)
        if identity is not None:
            engine = replace(engine, identity=identity_of(identity))
        detect_people(video, found, engine=engine, every=every, as_json=as_json)


@app.command()
def show(
    video: Video,
    annotations: Annotated[Path, typer.Argument(help="Any annotation file of this video.")],
    overlay: Overlay = None,
    sheet: Sheet = None,
    plot: Plot = None,
    frames: Annotated[
        str | None,
        typer.Option(help="Frames of the sheet, such as 0,30,60; default: spread evenly."),
    ] = None,
    columns: Annotated[int, typer.Option(min=1, help="Columns of the sheet.")] = 4,
    as_json: Json = False,
) -> None:
    """Draw an annotation file on its video."""
    with reported(as_json=as_json):
        show_document(
            video,
            annotations,
            overlay=overlay,
            sheet=sheet,
            plot=plot,
            frames=frames,
            columns=columns,
            as_json=as_json,
        )


@app.command()
def evaluate(
    gt: Annotated[Path, typer.Option(help="Labels: a file or folder of any format below.")],
    pred: Annotated[
        list[Path], typer.Option(help="Predictions; give it several times for several rows.")
    ],
    name: Annotated[
        list[str] | None, typer.Option(help="What to call each row; default: its file.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Such as AP,HOTA-OKS; default: all the files allow.")
    ] = None,
    gt_format: Annotated[
        str, typer.Option(help="auto, coco, posetrack21, mot, xanylabeling, cvat or 3dpw.")
    ] = AUTO,
    pred_format: Annotated[str, typer.Option(help="Likewise, of all predictions.")] = AUTO,
    keypoints: Annotated[
        str | None,
        typer.Option(help="Keypoints of X-AnyLabeling: a preset, or names with commas."),
    ] = None,
    default_score: Annotated[
        float | None, typer.Option(help="Score of predictions whose file gives none.")
    ] = None,
    sigmas: Annotated[str | None, typer.Option(help="Sigma set; default: by keypoints.")] = None,
    area_share: Annotated[
        float, typer.Option(help="Area in units of w·h where the labels give none.")
    ] = AREA_OF_BOX,
    min_labelled_joints: Annotated[
        int, typer.Option(help="Persons with fewer labelled keypoints are ignored.")
    ] = 1,
    out: Annotated[Path | None, typer.Option(help="Write the JSON object here too.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Print the papers' tables beside (other data).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure predictions against labels, by the published metrics."""
    with reported(as_json=as_json):
        evaluate_files(
            Request(
                gt=gt,
                pred=pred,
                name=name or (),
                metrics=metrics,
                gt_format=gt_format,
                pred_format=pred_format,
                keypoints=keypoints,
                default_score=default_score,
                sigmas=sigmas,
                area_share=area_share,
                min_labelled_joints=min_labelled_joints,
                out=out,
                published=published,
                as_json=as_json,
            )
        )


@app.command()
def simulate(
    video: Annotated[Path, typer.Argument(help="A video file or a folder of images.")],
    gt: Annotated[Path, typer.Option(help="Its labels, of any format of 'evaluate'.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(ENGINES)}; several times for several rows."),
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option(help=f"Where to look: {', '.join(STRATEGIES)}; likewise.")
    ] = None,
    target: Annotated[
        list[float] | None, typer.Option(help="When a person is right; default: .75, .85, .95.")
    ] = None,
    measure: Annotated[
        str, typer.Option(help="Of what: accuracy (as IMPose's VNoC) or oks (its mean).")
    ] = "accuracy",
    clicks_per_visit: Annotated[
        int, typer.Option(help="Joints corrected on a frame at most, worst first.")
    ] = 3,
    accept: Annotated[float, typer.Option(help="OKS term from which on a joint is right.")] = 0.95,
    noise: Annotated[
        float, typer.Option(help="How far clicks miss: one sigma in body sizes.")
    ] = 0.0,
    miss: Annotated[float, typer.Option(help="Share of wrong joints overlooked on a visit.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Of chance.")] = 0,
    gt_format: Annotated[str, typer.Option(help="As of 'evaluate'.")] = AUTO,
    sigmas: Annotated[str | None, typer.Option(help="Sigma set; default: by keypoints.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON object here too.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for pictures of the worst poses.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count the clicks a simulated annotator needs until a labelled video is right."""
    with reported(as_json=as_json):
        simulate_video(
            video,
            gt,
            Work(
                engines=engine or ("impose", "linear"),
                strategies=strategy or ("worst",),
                targets=target or (0.75, 0.85, 0.95),
                measure=measure,
                joints_per_visit=clicks_per_visit,
                accept=accept,
                noise=noise,
                miss=miss,
                seed=seed,
            ),
            gt_format=gt_format,
            sigmas=sigmas,
            out=out,
            pictures=pictures,
            as_json=as_json,
        )


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Where 'evaluate' and 'simulate' wrote their '--out' (.json)."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The page (.html), Markdown beside it; default: DIR/report.html."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a page of tables, plots and pictures of all that was measured in a folder."""
    with reported(as_json=as_json):
        report_folder(folder, out=out, as_json=as_json)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A file or folder of one video.")],
    target: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    to: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")],
    source_format: Annotated[
        str, typer.Option("--from", help="Likewise; auto: by its content.")
    ] = AUTO,
    video: Annotated[
        Path | None,
        typer.Option(help="The video or folder of images, where the source does not say enough."),
    ] = None,
    keypoints: Annotated[
        str | None, typer.Option(help="A preset, or names with commas; default: as the source.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry the poses of one video from one format to another, with their identities."""
    with reported(as_json=as_json):
        convert_poses(
            source,
            target,
            to=to,
            source_format=source_format,
            video=video,
            keypoints=keypoints,
            as_json=as_json,
        )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8765,
    root: Annotated[
        Path | None, typer.Option(help="Nothing outside of this folder is read or written.")
    ] = None,
    reader: Annotated[str, typer.Option(help=f"Sees people: {', '.join(READERS)}.")] = READERS[0],
    weights: Weights = None,
    skeleton: Annotated[str, typer.Option(help="Preset of clips that name none.")] = "coco17",
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", help="End when standard input closes.")
    ] = False,
) -> None:
    """Answer an annotation tool over HTTP (docs/service.md), on this machine unless told else."""
    with reported(as_json=False):
        run_service(
            host=host,
            port=port,
            root=root,
            reader=reader,
            weights=weights,
            skeleton=skeleton,
            stop_with_stdin=stop_with_stdin,
        )


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what works, and under which licence."""
    with reported(as_json=as_json):
        report = doctor_report.examine()
    if as_json:
        typer.echo(json.dumps(report))
    else:
        print_doctor(report)
    if not report["healthy"]:
        raise typer.Exit(5)
