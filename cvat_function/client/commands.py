"""The options of ``impose cvat``; what they do is in the modules beside this one.

Nothing heavy is imported before a command runs: ``impose`` mounts this on every start.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Carry skeletons through a job of CVAT, over its API.", no_args_is_help=True)

JobNumber = Annotated[int, typer.Option("--job", min=1, help="The job's number in CVAT.")]
Server = Annotated[
    str | None,
    typer.Option(help="Address of CVAT; default: CVAT_SERVER, or cvat-cli's default profile."),
]
Profile = Annotated[str | None, typer.Option(help="A profile of cvat-cli: address and token.")]
Label = Annotated[str | None, typer.Option(help="The skeleton label, if the job has several.")]
From = Annotated[
    int | None, typer.Option("--from", metavar="FRAME", help="First frame that may change.")
]
To = Annotated[
    int | None, typer.Option("--to", metavar="FRAME", help="Last frame that may change, included.")
]
Engine = Annotated[
    str,
    typer.Option(help="local, or function:NAME for a tracker deployed beside CVAT (forward only)."),
]
Reader = Annotated[str, typer.Option(help="Looks at the frames between: movenet, none.")]
Tolerance = Annotated[
    float,
    typer.Option(min=0.0, help="Pixels between the result and what CVAT shows between keyframes."),
]
PinOption = Annotated[
    str,
    typer.Option(
        "--pin",
        help="What you fix on a frame you touch: frame (the whole body), or moved (joints you "
        "moved; the others are estimated).",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Work it out, and write nothing.")]
Add = Annotated[
    bool, typer.Option("--add-attributes", help="Give the label the attributes it lacks.")
]
Backups = Annotated[
    Path | None, typer.Option(help="Folder for what the job held before; default: your data.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for machines.")]


@app.command()
def propagate(
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    label: Label = None,
    start: From = None,
    last: To = None,
    engine: Engine = "local",
    reader: Reader = "movenet",
    tolerance: Tolerance = 0.5,
    pin: PinOption = "frame",
    dry_run: DryRun = False,
    add_attributes: Add = False,
    backups: Backups = None,
    as_json: Json = False,
) -> None:
    """Carry the skeletons you drew on some frames to all frames of a job.

    Save in CVAT before, reload after. What you drew stays exactly as it is.
    """
    from cvat_function.client.run import Request, run

    request = Request(
        job=job, server=server, profile=profile, label=label, start=start, last=last,
        engine=engine, reader=reader, tolerance=tolerance, pin=pin, dry_run=dry_run,
        add_attributes=add_attributes, backups=backups, as_json=as_json,
    )  # fmt: skip
    run("propagate", request, os.environ)


@app.command()
def detect(
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    label: Label = None,
    tolerance: Tolerance = 0.5,
    dry_run: DryRun = False,
    add_attributes: Add = False,
    backups: Backups = None,
    as_json: Json = False,
) -> None:
    """Find everybody in a job without a click: a whole track for each, with an identity."""
    from cvat_function.client.run import Request, run

    request = Request(
        job=job, server=server, profile=profile, label=label, tolerance=tolerance,
        dry_run=dry_run, add_attributes=add_attributes, backups=backups, as_json=as_json,
    )  # fmt: skip
    run("detect", request, os.environ)


@app.command()
def repair(
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    label: Label = None,
    start: From = None,
    last: To = None,
    tolerance: Tolerance = 0.5,
    dry_run: DryRun = False,
    add_attributes: Add = False,
    backups: Backups = None,
    as_json: Json = False,
) -> None:
    """Where you moved a joint, choose the rest of that body anew, on that frame alone."""
    from cvat_function.client.run import Request, run

    request = Request(
        job=job, server=server, profile=profile, label=label, start=start, last=last,
        tolerance=tolerance, pin="moved", dry_run=dry_run, add_attributes=add_attributes,
        backups=backups, as_json=as_json,
    )  # fmt: skip
    run("repair", request, os.environ)


@app.command()
def watch(
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    label: Label = None,
    start: From = None,
    last: To = None,
    engine: Engine = "local",
    reader: Reader = "movenet",
    tolerance: Tolerance = 0.5,
    pin: PinOption = "frame",
    every: Annotated[float, typer.Option(min=0.5, help="Seconds from one look to the next.")] = 3.0,
    add_attributes: Add = False,
    backups: Backups = None,
) -> None:
    """Stay beside a job: whenever you save, carry on what you changed. Ctrl-C ends it."""
    from cvat_function.client.run import Request, run_watch

    request = Request(
        job=job, server=server, profile=profile, label=label, start=start, last=last,
        engine=engine, reader=reader, tolerance=tolerance, pin=pin,
        add_attributes=add_attributes, backups=backups,
    )  # fmt: skip
    run_watch(request, os.environ, every=every)


@app.command()
def status(
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    label: Label = None,
    as_json: Json = False,
) -> None:
    """Say who is in a job, and what changed since the last command. Changes nothing."""
    from cvat_function.client.run import Request, run_status

    run_status(
        Request(job=job, server=server, profile=profile, label=label, as_json=as_json), os.environ
    )


@app.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="A file that a command kept.")],
    job: JobNumber,
    server: Server = None,
    profile: Profile = None,
    backups: Backups = None,
) -> None:
    """Make all annotations of a job what a backup says; those of now are kept as another."""
    from cvat_function.client.run import Request, run_restore

    run_restore(
        Request(job=job, server=server, profile=profile, backups=backups), backup, os.environ
    )


@app.command("label-spec")
def label_spec(
    skeleton: Annotated[
        str,
        typer.Argument(help="A preset (coco17, halpe26, ...), or a COCO annotation file."),
    ] = "coco17",
) -> None:
    """Print the label to paste into CVAT: Raw, in the label editor."""
    from cvat_function.client.labels import client_label
    from impose_core.cli.outcome import reported
    from impose_core.io.coco import read_document
    from impose_core.skeleton import PRESETS, skeleton_named

    with reported(as_json=False):
        found: Any = (
            read_document(Path(skeleton)).tracks.skeleton
            if skeleton not in PRESETS and Path(skeleton).is_file()
            else skeleton_named(skeleton)
        )
    typer.echo(json.dumps([client_label(found)], indent=2))
