"""Commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from impose_core.cli import doctor_report
from impose_core.cli.doctor import print_doctor
from impose_core.cli.propagate import Outputs, propagate_video
from impose_core.cli.show import show_document
from impose_core.errors import (
    Cancelled,
    DeviceError,
    ImposeError,
    MediaError,
    StateError,
    UsageError,
    WeightsError,
)

EXIT_CODES: dict[type[ImposeError], int] = {
    UsageError: 2,
    StateError: 2,
    MediaError: 3,
    WeightsError: 4,
    DeviceError: 5,
    Cancelled: 130,
}

app = typer.Typer(
    help="Correct a skeleton once, the clip follows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Video = Annotated[Path, typer.Argument(help="A video file, or a folder of images.")]
Overlay = Annotated[Path | None, typer.Option(help="Write a video with the poses drawn (.mp4).")]
Sheet = Annotated[Path | None, typer.Option(help="Write a contact sheet (.png).")]
Plot = Annotated[
    Path | None, typer.Option(help="Write a plot of trajectories with their 1-sigma band (.png).")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]


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
    anchors: Annotated[Path, typer.Option(help="Annotations of the frames a human marked.")],
    out: Annotated[Path, typer.Option(help="Write the annotations of every frame here.")],
    overlay: Overlay = None,
    sheet: Sheet = None,
    plot: Plot = None,
    start: Annotated[int, typer.Option("--from", help="First frame, counted from 0.")] = 0,
    stop: Annotated[
        int | None, typer.Option("--to", help="Last frame, included; default: the last one.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="Record the acts here.")] = None,
    as_json: Json = False,
) -> None:
    """Carry human marks on a few frames to all frames, for every person."""
    outputs = Outputs(out=out, overlay=overlay, sheet=sheet, plot=plot)
    propagate_video(
        video, anchors, outputs, start=start, last=stop, journal=journal, as_json=as_json
    )


@app.command()
def show(
    video: Video,
    annotations: Annotated[Path, typer.Argument(help="Any annotation file of this video.")],
    overlay: Overlay = None,
    sheet: Sheet = None,
    plot: Plot = None,
    frames: Annotated[str | None, typer.Option(help="Frames of the sheet: 0,30,60.")] = None,
    columns: Annotated[int, typer.Option(help="Columns of the sheet.")] = 4,
    as_json: Json = False,
) -> None:
    """Draw an annotation file on its video."""
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
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what works, and under which licence."""
    report = doctor_report.examine()
    if as_json:
        typer.echo(json.dumps(report))
    else:
        print_doctor(report)
    if not report["healthy"]:
        raise typer.Exit(5)


def main() -> None:
    """Run ``impose``; errors become one sentence and an exit code."""
    try:
        app()
    except ImposeError as error:
        if "--json" in sys.argv:
            said = {"code": error.code, "message": error.message, "hint": error.hint}
            typer.echo(json.dumps({"error": said}))
        else:
            typer.echo(f"error: {error.message}", err=True)
            if error.hint:
                typer.echo(f"hint: {error.hint}", err=True)
        code = next((c for kind, c in EXIT_CODES.items() if isinstance(error, kind)), 1)
        raise SystemExit(code) from None
