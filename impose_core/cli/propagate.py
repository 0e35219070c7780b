"""``impose propagate``: marks of a few frames in, poses of all frames out."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from impose_core.cli.pictures import (
    check_outputs,
    progress,
    spread,
    write_overlay,
    write_plot,
    write_sheet,
)
from impose_core.errors import Cancelled, FrameOutOfRange
from impose_core.frames import FrameSource, open_frames
from impose_core.io.coco import PoseDocument, check_video, read_document, write_document
from impose_core.poses import Origin, PoseTracks
from impose_core.review import Suggestion
from impose_core.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where to write; None for what nobody asked for."""

    out: Path
    overlay: Path | None
    sheet: Path | None
    plot: Path | None

    def paths(self) -> list[Path | None]:
        """All of them."""
        return [self.out, self.overlay, self.sheet, self.plot]


def propagate_video(
    video: Path,
    anchors: Path,
    outputs: Outputs,
    *,
    start: int,
    last: int | None,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Run the command.

    Raises:
        Cancelled: on an interrupt; the frames done so far are in ``outputs.out``.
    """
    check_outputs([*outputs.paths(), journal], inputs=[video, anchors])
    signal.signal(signal.SIGTERM, _interrupt)
    with open_frames(video) as frames:
        document = read_document(anchors)
        check_video(
            document, width=frames.width, height=frames.height, frames=len(frames), name=str(video)
        )
        stop = len(frames) if last is None else last + 1
        if not 0 <= start < stop <= len(frames):
            raise FrameOutOfRange(
                f"Expected '--from' and '--to' in order within 0 to {len(frames) - 1}, "
                f"got {start} and {stop - 1}."
            )
        _run(frames, document, outputs, range(start, stop), journal, as_json)


def _run(
    frames: FrameSource,
    document: PoseDocument,
    outputs: Outputs,
    indices: range,
    journal: Path | None,
    as_json: bool,
) -> None:
    with Session(frames, skeleton=document.tracks.skeleton, journal=journal) as session:
        session.load(document.tracks)
        human = (document.tracks.origin == Origin.HUMAN).any(-1)
        done = indices.start
        results = session.propagate(indices.start, indices.stop)
        try:
            for result in progress(results, total=len(indices), what="propagate"):
                done = result.frame + 1
        except KeyboardInterrupt:
            results.close()
            _save(outputs.out, document, session.tracks, range(indices.start, done))
            raise Cancelled(
                f"Stopped after frame {done - 1}; the frames done are in {outputs.out}."
                if done > indices.start
                else f"Stopped before the first frame was done; {outputs.out} holds the marks.",
            ) from None
        begun = time.perf_counter()
        _save(outputs.out, document, session.tracks, indices)
        _draw(outputs, frames, session.tracks, indices, human.any(-1))
        seconds = {**session.seconds, "write": time.perf_counter() - begun}
        report = _report(frames, session, human, indices, seconds)
        typer.echo(json.dumps(report)) if as_json else _print(report, session.review(5))


def _draw(
    outputs: Outputs,
    frames: FrameSource,
    tracks: PoseTracks,
    indices: range,
    anchors: NDArray[np.bool_],
) -> None:
    if outputs.overlay is not None:
        write_overlay(outputs.overlay, frames, tracks, indices)
    if outputs.sheet is not None:
        padded = np.zeros(len(frames), bool)
        padded[: len(anchors)] = anchors[: len(frames)]
        write_sheet(outputs.sheet, frames, tracks, spread(indices), anchors=padded)
    if outputs.plot is not None:
        write_plot(outputs.plot, tracks.frames(0, indices.stop))


def _save(path: Path, document: PoseDocument, tracks: PoseTracks, done: range) -> None:
    """Write the frames ``done`` and, whatever happened, every human mark."""
    kept = tracks.copy()
    outside = np.ones(len(tracks), bool)
    outside[done.start : done.stop] = False
    forget = outside[:, None, None] & (tracks.origin != Origin.HUMAN)
    kept.xy[forget] = np.nan
    kept.score[forget] = kept.deviation[forget] = np.nan
    kept.visibility[forget] = kept.origin[forget] = 0
    area = np.full(kept.box.shape[:2], np.nan)
    known = {track: n for n, track in enumerate(document.tracks.track_id.tolist())}
    for n, track in enumerate(kept.track_id.tolist()):
        if track in known:
            area[: len(document.area), n] = document.area[: len(area), known[track]]
    write_document(path, replace(document, tracks=kept, area=area))


def _report(
    frames: FrameSource,
    session: Session,
    human: NDArray[np.bool_],
    indices: range,
    seconds: dict[str, float],
) -> dict[str, Any]:
    return {
        "video": frames.name,
        "frames": len(indices),
        "persons": len(session.tracks.track_id),
        "anchors": int(human.any(-1).sum()),
        "human_joints": int((session.tracks.origin == Origin.HUMAN).sum()),
        "seconds": {stage: round(s, 4) for stage, s in seconds.items()},
        "review": [
            {
                "frame": s.frame,
                "track": s.track,
                "keypoint": s.keypoint,
                "expected_oks": round(s.expected_oks, 4),
                "deviation": round(s.deviation, 2),
            }
            for s in session.review(5)
        ],
        "notes": list(frames.notes),
    }


def _print(report: dict[str, Any], review: list[Suggestion]) -> None:
    for note in report["notes"]:
        typer.echo(f"warning: {note}", err=True)
    typer.echo(f"frames {report['frames']}   persons {report['persons']}")
    typer.echo(f"anchors {report['anchors']} frames, {report['human_joints']} human joints")
    seconds = report["seconds"]
    stages = "   ".join(f"{stage} {s:.2f} s" for stage, s in seconds.items())
    rate = report["frames"] / max(sum(seconds.values()), 1e-9)
    typer.echo(f"{stages}   ({rate:.0f} frames/s in all)")
    if review:
        typer.echo("least sure of:")
    for s in review:
        typer.echo(
            f"  frame {s.frame:5d}  person {s.track}  expected OKS {s.expected_oks:.3f}  "
            f"{s.keypoint} ± {s.deviation:.1f} px"
        )


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal's shape
    raise KeyboardInterrupt
