"""``impose train``: networks trained on labelled videos, pictures or rendered scenes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from impose_core.cli.outcome import reported
from impose_core.errors import DeviceError, UsageError

if TYPE_CHECKING:  # torch is optional, and slow to import
    from impose_core.training.loop import Progress
    from impose_core.training.runs import Request

PRESETS: Final = ("nano", "click-pose-r50", "ed-pose-r50", "identity")
_EVERY: Final = 50


def train(
    preset: Annotated[str, typer.Argument(help=f"What to train: {', '.join(PRESETS)}.")],
    data: Annotated[
        list[str],
        typer.Option(
            help="LABELS=MEDIA: COCO keypoints and the folder or video they speak of; or "
            "synthetic:NAME (rendered). Several times for more."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: weights, checkpoint, log.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a setting, such as lr=2e-4 or part=clicks."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="The same as --set steps=N.")] = None,
    init: Annotated[
        Path | None, typer.Option(help="Weights to begin with: trained or converted ones.")
    ] = None,
    backbone: Annotated[
        Path | None, typer.Option(help="Your copy of a torchvision ResNet (.pth) to begin with.")
    ] = None,
    looks: Annotated[
        Path | None,
        typer.Option(help="Of identity: a pose network that says how bodies look."),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Of the weights that come out, to be written into them.")
    ] = "",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in --out stopped.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, for machines.")
    ] = False,
) -> None:
    """Train a network; several GPUs by ``torchrun -m impose_core train ...``.

    Ctrl-C leaves a checkpoint of the last step. docs/training.md says what can be set.
    """
    with reported(as_json=as_json):
        try:
            from impose_core.training.runs import Request
        except ImportError as error:
            raise DeviceError(
                f"Expected torch and safetensors to be installed, got: {error}.",
                hint="pip install 'impose[torch]'",
            ) from error
        wanted = dict(_setting(change) for change in changes or ())
        if steps is not None:
            wanted["steps"] = str(steps)
        _run(
            Request(
                preset=preset,
                data=tuple(data),
                out=out,
                changes=wanted,
                init=init,
                backbone=backbone,
                looks=looks,
                licence=licence,
                device=device,
                resume=resume,
            ),
            as_json=as_json,
        )


def _setting(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UsageError(f"Expected '--set' to be NAME=VALUE, got {text!r}.")
    return name, value


def _run(request: Request, *, as_json: bool) -> None:
    """Train, and say how it goes; only the first of several processes speaks."""
    from impose_core.training import runs
    from impose_core.training.settings import settings_json

    speaks = os.environ.get("RANK", "0") == "0"
    settings = runs.settings_of(request)
    config = {"preset": request.preset, "settings": settings_json(settings)}
    if speaks:
        typer.echo(json.dumps(config) if as_json else json.dumps(config, indent=2))
    for last in runs.train(request):
        if speaks and (last.step % _EVERY == 0 or last.step in (1, settings.steps)):
            typer.echo(_said(last, settings.steps, as_json=as_json))
    if speaks:
        weights = request.out / runs.WEIGHTS
        if as_json:
            typer.echo(json.dumps({"weights": str(weights), "steps": settings.steps}))
        else:
            typer.echo(f"{weights}: {settings.steps} steps")


def _said(progress: Progress, steps: int, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {"step": progress.step, "loss": progress.loss, "lr": progress.lr, **progress.terms}
        )
    return (
        f"step {progress.step}/{steps}  loss {progress.loss:.4g}  "
        f"gradient {progress.norm:.3g}  lr {progress.lr:.2g}"
    )
