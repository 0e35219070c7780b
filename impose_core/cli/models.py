"""``impose models``: what a user does with weights of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from impose_core.cli.outcome import reported
from impose_core.errors import DeviceError, LicenceNotAccepted, UsageError

SUFFIX: Final = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which terms public weights may be used."""

    name: str
    text: str
    """In a sentence; the licence itself counts."""
    url: str


_IDEA: Final = (
    "Non-commercial scientific research only; anything else needs the permission of IDEA."
)
_COTRACKER: Final = Terms(
    name="CC-BY-NC-4.0",
    text="Non-commercial use only.",
    url="https://github.com/facebookresearch/co-tracker",
)
TERMS: Final[Mapping[str, Terms]] = {
    "click-pose-r50": Terms(
        name="IDEA License 1.0",
        text=_IDEA,
        url="https://github.com/IDEA-Research/Click-Pose",
    ),
    "ed-pose-r50": Terms(
        name="IDEA License 1.0",
        text=_IDEA,
        url="https://github.com/IDEA-Research/ED-Pose",
    ),
    "cotracker3-online": _COTRACKER,
    "cotracker3-offline": _COTRACKER,
    "motip-r50": Terms(
        name="Apache-2.0",
        text="The data the weights were trained on may have terms of their own.",
        url="https://github.com/MCG-NJU/MOTIP",
    ),
}

models = typer.Typer(help="Weights of others, from files you have.", no_args_is_help=True)


@models.callback()
def _root() -> None:
    """A group even while it has one command."""


@models.command()
def convert(
    file: Annotated[Path, typer.Argument(help="Your own copy of a public checkpoint (.pth).")],
    kind: Annotated[str, typer.Option("--as", help=f"What it is: {', '.join(TERMS)}.")],
    out: Annotated[
        Path | None, typer.Option(help=f"Default: beside it, ending in {SUFFIX}.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept-licence", help="You have read its licence and accept it.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for machines.")
    ] = False,
) -> None:
    """Turn a public checkpoint into safetensors that say where they are from.

    Nothing is downloaded, and nothing of it becomes a default.
    """
    with reported(as_json=as_json):
        convert_file(file, kind, out, accept=accept, as_json=as_json)


def convert_file(file: Path, kind: str, out: Path | None, *, accept: bool, as_json: bool) -> None:
    """Convert, and say what came out.

    Raises:
        UsageError: if ``kind`` is unknown, or ``out`` is no name for safetensors.
        LicenceNotAccepted: if the licence is not accepted; nothing is read then.
        DeviceError: if torch is not installed.
        WeightsError: if the file cannot be read or is another network.
        OutputError: if ``out`` cannot be written.
    """
    if kind not in TERMS:
        raise UsageError(f"Expected '--as' to be one of {', '.join(TERMS)}, got {kind!r}.")
    target = file.with_suffix(SUFFIX) if out is None else out
    if target.suffix != SUFFIX or target.resolve() == file.resolve():
        raise UsageError(f"Expected '--out' to be a new file ending in {SUFFIX}, got {target}.")
    terms = TERMS[kind]
    if not accept:
        raise LicenceNotAccepted(
            f"Expected '--accept-licence': {kind} is under the {terms.name}. {terms.text}",
            hint=f"Read {terms.url}, and add --accept-licence if you may use it.",
        )
    try:
        # torch is optional, and slow to import
        from impose_core.nets import conversion, tracker_conversion
    except ImportError as error:
        raise DeviceError(
            f"Expected torch and safetensors to be installed, got: {error}.",
            hint="pip install 'impose[torch]'",
        ) from error
    made: conversion.Provenance | tracker_conversion.TrackerProvenance
    if kind in tracker_conversion.KINDS:
        made = tracker_conversion.convert_tracker(file, target, kind=kind, licence=terms.name)
        what = f"{made.kind}, {made.tensors} tensors"
    else:
        made = conversion.convert(file, target, preset=kind, licence=terms.name)
        what = f"{made.preset}, {made.joints} joints"
    if as_json:
        typer.echo(json.dumps({"out": str(target), **asdict(made)}))
        return
    typer.echo(f"{target}: {what}, from {made.source}")
    typer.echo(f"licence: {made.licence}. {terms.text}")
