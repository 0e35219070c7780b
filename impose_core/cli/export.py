"""``impose export``: a network as ONNX files, for machines without torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from impose_core.cli.outcome import reported
from impose_core.errors import DeviceError, UsageError


def export(
    weights: Annotated[Path, typer.Argument(help="What 'train' or 'models convert' wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for the ONNX files and export.json.")],
    size: Annotated[
        str | None,
        typer.Option(help="HEIGHTxWIDTH of images in pixels; default: as it was trained."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="On what the files are compared with torch: cpu or cuda.")
    ] = "cpu",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for machines.")
    ] = False,
) -> None:
    """Write a network as ONNX files, once they answer as torch does (within 1e-4)."""
    with reported(as_json=as_json):
        try:
            # torch is optional, and slow to import
            from impose_core.nets import export as onnx_export
        except ImportError as error:
            raise DeviceError(
                f"Expected torch, onnx and safetensors to be installed, got: {error}.",
                hint="pip install 'impose[torch]'",
            ) from error
        written = onnx_export.export(weights, out, size=_size(size), device=device)
        if as_json:
            typer.echo(json.dumps({"out": str(out), **asdict(written)}))
            return
        typer.echo(f"{written.weights}  SHA-256 {written.weights_sha256}")
        for graph in written.graphs:
            typer.echo(f"{out / graph.file}: within {graph.deviation:.1e} of torch")


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, separator, width = text.lower().partition("x")
    if (
        not separator
        or not (height.isascii() and width.isascii())
        or not (height.isdigit() and width.isdigit())
    ):
        raise UsageError(f"Expected '--size' to be HEIGHTxWIDTH, such as 384x512, got {text!r}.")
    return int(height), int(width)
