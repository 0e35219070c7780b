"""``impose show``: any annotation file, drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import typer

from impose_core.cli.files import check_outputs, read_annotations
from impose_core.cli.pictures import spread, write_overlay, write_plot, write_sheet
from impose_core.errors import FrameOutOfRange, UsageError
from impose_core.frames import open_frames


def show_document(
    video: Path,
    annotations: Path,
    *,
    overlay: Path | None,
    sheet: Path | None,
    plot: Path | None,
    frames: str | None,
    columns: int,
    as_json: bool,
) -> None:
    """Run the command."""
    if overlay is None and sheet is None and plot is None:
        raise UsageError("Expected '--overlay', '--sheet' or '--plot', got none of them.")
    check_outputs(
        {"--overlay": overlay, "--sheet": sheet, "--plot": plot}, inputs=[video, annotations]
    )
    with open_frames(video) as source:
        tracks = read_annotations(annotations, source).tracks
        drawn = np.isfinite(tracks.xy).any((1, 2, 3))
        everywhere = np.flatnonzero(drawn).tolist() or [0]
        shown = spread(everywhere) if frames is None else _frames(frames, len(source))
        if overlay is not None:
            write_overlay(overlay, source, tracks, range(len(source)))
        if sheet is not None:
            write_sheet(sheet, source, tracks, shown, columns=columns)
        if plot is not None:
            write_plot(plot, tracks)
        report = {
            "video": source.name,
            "frames": len(source),
            "annotated_frames": int(drawn.sum()),
            "persons": len(tracks.track_id),
            "skeleton": tracks.skeleton.name,
            "notes": list(source.notes),
        }
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(
        f"{report['annotated_frames']} of {report['frames']} frames annotated, "
        f"{report['persons']} persons, skeleton {report['skeleton']}"
    )


def _frames(text: str, count: int) -> list[int]:
    try:
        frames = [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"Expected '--frames' as numbers like 0,30,60, got {text!r}.") from None
    for frame in frames:
        if not 0 <= frame < count:
            raise FrameOutOfRange(f"Expected '--frames' within 0 to {count - 1}, got {frame}.")
    return frames
