"""``impose propagate``: marks of a few frames in, poses of all frames out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from impose_core.cli.files import check_outputs, read_annotations
from impose_core.cli.outcome import uninterrupted
from impose_core.cli.pictures import progress, spread, write_overlay, write_plot, write_sheet
from impose_core.errors import Cancelled, FrameOutOfRange, UsageError
from impose_core.frames import FrameSource, ImageFolder, open_frames
from impose_core.io.coco import PoseDocument, write_document
from impose_core.poses import Origin, PoseTracks
from impose_core.session import Session
from impose_core.stopwatch import Stopwatch

STAGES = ("decode", "track", "read", "estimate", "write", "draw")
"""In the order in which a frame passes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where to write; None for what nobody asked for."""

    out: Path
    overlay: Path | None
    sheet: Path | None
    plot: Path | None
    journal: Path | None

    def by_option(self) -> dict[str, Path | None]:
        """All of them by the names of their options."""
        return {f"--{field.name}": getattr(self, field.name) for field in fields(self)}


def propagate_video(
    video: Path,
    anchors: Path,
    outputs: Outputs,
    *,
    start: int,
    last: int | None,
    as_json: bool,
) -> None:
    """Run the command.

    Raises:
        Cancelled: on an interrupt; the frames done so far are in ``outputs.out``.
    """
    check_outputs(outputs.by_option(), inputs=[video, anchors])
    with open_frames(video) as frames:
        document = _naming_images(read_annotations(anchors, frames), frames)
        indices = _indices(start, last, len(frames))
        with Session(frames, skeleton=document.tracks.skeleton, journal=outputs.journal) as session:
            session.load(document.tracks)
            marks = session.tracks.copy()
            if not (marks.origin == Origin.HUMAN).any():
                raise UsageError(
                    f"Expected {anchors} to hold human points, got none.",
                    hint="Mark every person on at least one frame.",
                )
            watch = Stopwatch()

            def save(done: range) -> None:
                with uninterrupted(), watch.stage("write"):
                    _write(outputs.out, document, _estimated(marks, session.tracks, done), done)

            _estimate(session, indices, save, outputs.out)
            with watch.stage("draw"):
                _draw(outputs, frames, session.tracks, marks, indices)
            spent = {**session.seconds, **watch.seconds}
            seconds = {stage: spent[stage] for stage in STAGES if stage in spent}
            report = _report(frames, session, marks, indices, seconds, outputs)
    typer.echo(json.dumps(report) if as_json else _table(report))


def _indices(start: int, last: int | None, count: int) -> range:
    stop = count if last is None else last + 1
    if not 0 <= start < stop <= count:
        raise FrameOutOfRange(
            f"Expected '--from' and '--to' in order within 0 to {count - 1}, "
            f"got {start} and {stop - 1}."
        )
    return range(start, stop)


def _estimate(session: Session, indices: range, save: Callable[[range], None], out: Path) -> None:
    """Estimate and save the frames ``indices``; if interrupted, those that were done."""
    stop = indices.start
    try:
        results = session.propagate(indices.start, indices.stop)
        for result in progress(results, total=len(indices), what="propagate"):
            stop = result.frame + 1
    except KeyboardInterrupt:
        save(range(indices.start, stop))
        done = f"frames {indices.start} to {stop - 1}" if stop > indices.start else "no frame"
        raise Cancelled(
            f"Stopped with {done} of {indices.start} to {indices.stop - 1} done; "
            f"{out} holds what is done and every human point."
        ) from None
    save(indices)


def _estimated(marks: PoseTracks, tracks: PoseTracks, done: range) -> PoseTracks:
    """Every mark, and of the estimates the frames ``done``.

    An interrupt may leave a frame of ``tracks`` half written, but only one that is not done.
    """
    kept = marks.copy()
    for name in ("xy", "visibility", "origin", "score", "deviation", "box"):
        getattr(kept, name)[done.start : done.stop] = getattr(tracks, name)[done.start : done.stop]
    return kept


def _write(path: Path, document: PoseDocument, tracks: PoseTracks, done: range) -> None:
    """Write ``tracks`` in the place of the document's, and all else as it came."""
    area = np.full(tracks.box.shape[:2], np.nan)
    columns = {track: n for n, track in enumerate(document.tracks.track_id.tolist())}
    for n, track in enumerate(tracks.track_id.tolist()):
        if track in columns:
            area[:, n] = document.area[:, columns[track]]
    listed = {*done, *(document.extra.listed or ())}
    extra = replace(
        document.extra, listed=None if len(listed) == len(tracks) else tuple(sorted(listed))
    )
    write_document(path, replace(document, tracks=tracks, area=area, extra=extra))


def _naming_images(document: PoseDocument, frames: FrameSource) -> PoseDocument:
    """The document, with the names of the images in a folder for frames it does not list."""
    if not isinstance(frames, ImageFolder):
        return document
    images = {
        t: {"file_name": name, **document.extra.images.get(t, {})}
        for t, name in enumerate(frames.file_names)
    }
    return replace(document, extra=replace(document.extra, images=images))


def _draw(
    outputs: Outputs, frames: FrameSource, tracks: PoseTracks, marks: PoseTracks, indices: range
) -> None:
    try:
        if outputs.overlay is not None:
            write_overlay(outputs.overlay, frames, tracks, indices)
        if outputs.sheet is not None:
            write_sheet(outputs.sheet, frames, tracks, spread(indices))
        if outputs.plot is not None:
            write_plot(outputs.plot, _estimated(marks, tracks, indices))
    except KeyboardInterrupt:
        raise Cancelled(f"Stopped while drawing; {outputs.out} is complete.") from None


def _report(
    frames: FrameSource,
    session: Session,
    marks: PoseTracks,
    indices: range,
    seconds: Mapping[str, float],
    outputs: Outputs,
) -> dict[str, Any]:
    human = marks.origin == Origin.HUMAN
    drawing = seconds["draw"]
    return {
        "video": frames.name,
        "frames": len(indices),
        "from": indices.start,
        "to": indices.stop - 1,
        "persons": len(marks.track_id),
        "anchors": int(human.any((1, 2)).sum()),
        "human_joints": int(human.sum()),
        "seconds": {stage: round(s, 4) for stage, s in seconds.items()},
        "frames_per_second": round(len(indices) / max(sum(seconds.values()) - drawing, 1e-9), 1),
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
        "written": {
            option.removeprefix("--"): str(path)
            for option, path in outputs.by_option().items()
            if path is not None
        },
        "notes": list(frames.notes),
    }


def _table(report: Mapping[str, Any]) -> str:
    seconds = {stage: s for stage, s in report["seconds"].items() if stage != "draw" or s >= 0.01}
    rows = [
        ("frames", f"{report['frames']} ({report['from']} to {report['to']})"),
        ("persons", str(report["persons"])),
        ("anchors", f"{report['anchors']} frames, {report['human_joints']} human joints"),
        ("seconds", "   ".join(f"{stage} {s:.2f}" for stage, s in seconds.items())),
        ("speed", f"{report['frames_per_second']:.0f} frames/s, drawing apart"),
    ]
    lines = [f"{name:9s} {value}" for name, value in rows]
    lines += ["least sure of:"] if report["review"] else []
    lines += [
        f"  frame {s['frame']:5d}   person {s['track']}   expected OKS {s['expected_oks']:.3f}   "
        f"{s['keypoint']} ± {s['deviation']:.1f} px"
        for s in report["review"]
    ]
    return "\n".join(lines)
