"""From a command's options to its work, and what it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from cvat_function.client import backup, flows
from cvat_function.client.chunks import ChunkFrames
from cvat_function.client.connection import open_server
from cvat_function.client.errors import BadJob
from cvat_function.client.estimators import Estimator, FunctionEstimator, LocalEstimator
from cvat_function.client.job import read_job
from cvat_function.client.keyframes import TOLERANCE
from cvat_function.client.labels import read_label, with_attributes
from cvat_function.client.persons import Person, Pin
from cvat_function.client.watching import watch
from cvat_function.client.work import Numbers, Options, Outcome, Place, inside, read_scene
from impose_core.cli.engines import engine_of
from impose_core.cli.outcome import reported
from impose_core.errors import UsageError
from impose_core.poses import Visibility

Command = Literal["propagate", "detect", "repair"]
PINS: Mapping[str, Pin] = {"frame": "frame", "moved": "moved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of a command, as they came."""

    job: int
    server: str | None = None
    profile: str | None = None
    label: str | None = None
    start: int | None = None
    last: int | None = None
    engine: str = "local"
    reader: str = "movenet"
    tolerance: float = TOLERANCE
    pin: str = "frame"
    dry_run: bool = False
    add_attributes: bool = False
    backups: Path | None = None
    as_json: bool = False


def run(command: Command, request: Request, environment: Mapping[str, str]) -> None:
    """Run ``propagate``, ``detect`` or ``repair`` and print what it did."""
    with reported(as_json=request.as_json), opened(request, environment) as place:
        options = _options(request, environment)
        inside(place.job, options)  # refused before pictures are fetched
        with ChunkFrames(place.server, place.job) as frames:
            step = _progress(len(place.job.frames), quiet=request.as_json)
            if request.engine == "local":
                local = LocalEstimator(frames, place.label, engine_of(request.reader))
                outcome = {
                    "propagate": lambda: flows.propagate(place, options, local, step),
                    "detect": lambda: flows.detect(place, options, local, step),
                    "repair": lambda: flows.repair(place, options, local),
                }[command]()
            else:
                outcome = flows.propagate(place, options, _function(request, place), step)
            report = _report(command, place, request, outcome, frames.fetched)
    typer.echo(json.dumps(report) if request.as_json else _table(report))


def run_watch(request: Request, environment: Mapping[str, str], *, every: float) -> None:
    """Run ``watch`` until it is interrupted."""
    with reported(as_json=False), opened(request, environment) as place:
        options = _options(request, environment)
        inside(place.job, options)
        with ChunkFrames(place.server, place.job) as frames:
            estimator: Estimator = (
                LocalEstimator(frames, place.label, engine_of(request.reader))
                if request.engine == "local"
                else _function(request, place)
            )
            typer.echo(f"watching {place.job.name}; save in CVAT, reload after each line")
            for event in watch(place, options, estimator, every=every):
                typer.echo(event)


def run_status(request: Request, environment: Mapping[str, str]) -> None:
    """Run ``status``."""
    with reported(as_json=request.as_json), opened(request, environment, bare=True) as place:
        annotations = place.server.annotations(place.job.number)
        scene, nameless = read_scene(annotations, place, "frame", Numbers())
        report = {
            "job": place.job.number,
            "task": place.job.task,
            "frames": len(place.job.frames),
            "from": place.job.first,
            "to": place.job.last,
            "deleted": len(place.job.deleted),
            "label": place.label.name,
            "joints": len(place.label.joints),
            "missing_attributes": place.label.missing,
            "shapes_without_id": nameless,
            "persons": [_person(person, place) for person in scene.persons],
        }
    typer.echo(json.dumps(report) if request.as_json else _status_table(report))


def run_restore(request: Request, path: Path, environment: Mapping[str, str]) -> None:
    """Run ``restore``."""
    with (
        reported(as_json=False),
        open_server(
            host=request.server, profile=request.profile, environment=environment
        ) as server,
    ):
        wanted = backup.load(path, host=server.host, job=request.job)
        folder = request.backups or backup.default_folder(environment)
        now = server.annotations(request.job)
        kept = backup.save(folder, host=server.host, job=request.job, annotations=now)
        server.put_annotations(request.job, wanted)
        typer.echo(f"job {request.job} is as in {path}; what it held is in {kept}")


@contextmanager
def opened(
    request: Request, environment: Mapping[str, str], *, bare: bool = False
) -> Iterator[Place]:
    """The server, job and label of ``request``; ``bare``: the label may lack attributes."""
    with open_server(
        host=request.server, profile=request.profile, environment=environment
    ) as server:
        job = read_job(server, request.job)
        label = read_label(server, job, name=request.label)
        if not bare and not (request.dry_run and not request.add_attributes):
            label = with_attributes(
                server, job, label, create=request.add_attributes and not request.dry_run
            )
        yield Place(server=server, job=job, label=label)


def _options(request: Request, environment: Mapping[str, str]) -> Options:
    if request.pin not in PINS:
        raise UsageError(f"Expected '--pin' to be frame or moved, got {request.pin!r}.")
    return Options(
        start=request.start,
        last=request.last,
        pin=PINS[request.pin],
        tolerance=request.tolerance,
        dry_run=request.dry_run,
        backups=request.backups or backup.default_folder(environment),
    )


def _function(request: Request, place: Place) -> FunctionEstimator:
    kind, _, name = request.engine.partition(":")
    if kind != "function" or not name:
        raise BadJob(f"Expected '--engine' to be local or function:NAME, got {request.engine!r}.")
    return FunctionEstimator(place.server, place.job, place.label, name)


def _progress(total: int, *, quiet: bool) -> Callable[[int], None]:
    """A line on a terminal that counts frames."""
    shown = not quiet and sys.stderr.isatty()

    def step(done: int) -> None:
        if shown:
            end = "\n" if done >= total else "\r"
            typer.echo(f"{done} of {total} frames", nl=False, err=True)
            typer.echo(end, nl=False, err=True)

    return step


def _report(
    command: str, place: Place, request: Request, outcome: Outcome, fetched: int
) -> dict[str, Any]:
    count = outcome.count
    return {
        "command": command,
        "job": place.job.number,
        "frames": len(place.job.frames),
        "persons": outcome.persons,
        "keyframes": count.written,
        "human_keyframes": count.human,
        "shown": count.shown,
        "saved": max(count.shown - count.written, 0),
        "tolerance": request.tolerance,
        "chunks": fetched,
        "rounds": outcome.rounds,
        "shapes_without_id": outcome.nameless,
        "dry_run": request.dry_run,
        "written": outcome.written,
        "backup": None if outcome.backup is None else str(outcome.backup),
    }


def _table(report: Mapping[str, Any]) -> str:
    share = report["saved"] / max(report["shown"], 1)
    lines = [
        f"job       {report['job']}, {report['frames']} frames, {report['chunks']} chunks fetched",
        f"persons   {len(report['persons'])}: {', '.join(report['persons']) or 'nobody'}",
        f"keyframes {report['keyframes']} of joints, {report['human_keyframes']} of them yours; "
        f"{report['saved']} of {report['shown']} ({share:.0%}) saved, "
        f"within {report['tolerance']:g} px",
    ]
    if report["shapes_without_id"]:
        lines.append(f"left out  {report['shapes_without_id']} skeleton shapes without an 'id'")
    if report["rounds"] > 1:
        lines.append(f"rounds    {report['rounds']}: somebody saved meanwhile")
    if report["dry_run"]:
        lines.append("written   nothing (--dry-run)")
    elif not report["written"]:
        lines.append("written   nothing: the job holds this already")
    else:
        lines.append("written   reload the job in CVAT before you go on")
        lines.append(
            f"backup    {report['backup']}\n"
            f"          back: impose cvat restore --job {report['job']} {report['backup']}"
        )
    return "\n".join(lines)


def _person(person: Person, place: Place) -> dict[str, Any]:
    said = person.said("frame")
    human = {frame for joint in said for frame in joint}
    new = person.touched & set(place.job.frames.tolist())
    there = [
        frame
        for k in range(len(person.joints))
        for frame, state in zip(
            place.job.frames.tolist(),
            person.shown(k, place.job.frames, place.job.deleted).state.tolist(),
            strict=True,
        )
        if state != Visibility.ABSENT
    ]
    return {
        "id": person.identity,
        "first": min(there, default=None),
        "last": max(there, default=None),
        "keyframes": sum(len(joint) for joint in person.joints),
        "human_frames": sorted(human),
        "new_frames": sorted(new),
        "copies": len(person.copies),
    }


def _status_table(report: Mapping[str, Any]) -> str:
    lines = [
        f"job       {report['job']} of task {report['task']}: frames {report['from']} to "
        f"{report['to']}, {report['deleted']} deleted",
        f"label     {report['label']}, {report['joints']} joints",
    ]
    if report["missing_attributes"]:
        lines.append(f"missing   attributes {', '.join(report['missing_attributes'])}")
    if report["shapes_without_id"]:
        lines.append(f"shapes    {report['shapes_without_id']} without an 'id'")
    lines.append(f"persons   {len(report['persons'])}")
    for one in report["persons"]:
        new = f", {len(one['new_frames'])} changed since" if one["new_frames"] else ""
        lines.append(
            f"  {one['id']:8s} frames {one['first']} to {one['last']}, {one['keyframes']} "
            f"keyframes of joints, {len(one['human_frames'])} frames yours{new}"
        )
    return "\n".join(lines)
