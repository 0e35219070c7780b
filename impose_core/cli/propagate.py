"""``impose propagate``: marks or seeds of a few frames in, poses of all frames out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer

from impose_core.cli.engines import TrackerChoice, engine_of, reader_used
from impose_core.cli.files import check_outputs, read_annotations
from impose_core.cli.outcome import uninterrupted
from impose_core.cli.pictures import progress, spread, write_overlay, write_plot, write_sheet
from impose_core.corrections import Correction, MoveKeypoints, clicks, corrections_in
from impose_core.errors import Cancelled, FrameOutOfRange, UsageError
from impose_core.frames import FrameSource, ImageFolder, open_frames
from impose_core.io.coco import PoseDocument, write_document
from impose_core.poses import Origin, PoseTracks
from impose_core.session import Session
from impose_core.stopwatch import Stopwatch

STAGES = ("decode", "track", "rivals", "read", "estimate", "write", "draw")
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
    corrections: Path | None,
    outputs: Outputs,
    *,
    reader: str,
    weights: Path | None,
    tracker: TrackerChoice,
    start: int,
    last: int | None,
    as_json: bool,
) -> None:
    """Run the command.

    Raises:
        Cancelled: on an interrupt; the frames done so far are in ``outputs.out``.
    """
    inputs = [video, anchors] if corrections is None else [video, anchors, corrections]
    check_outputs(outputs.by_option(), inputs=inputs)
    engine = engine_of(reader, tracker, weights=weights)
    with open_frames(video) as frames:
        document = _naming_images(read_annotations(anchors, frames), frames)
        acts = _acts(corrections, frames)
        indices = _indices(start, last, len(frames))
        skeleton = document.tracks.skeleton
        with Session(frames, skeleton=skeleton, engine=engine, journal=outputs.journal) as session:
            session.load(document.tracks)
            marks = session.tracks.copy()
            if acts:
                _correct(session, acts)
                marks = _marks(session, frames)
            if not np.isfinite(marks.xy).all(-1).any():
                raise UsageError(
                    f"Expected {anchors} to hold human points or detected ones, got none.",
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
            used = {
                "tracker": engine.points.name,
                "reader": reader_used(engine, skeleton),
                "clicks": sum(map(clicks, acts)),
            }
            report = _report(frames, session, marks, indices, seconds, outputs, used)
    typer.echo(json.dumps(report) if as_json else _table(report))


def _acts(corrections: Path | None, frames: FrameSource) -> list[Correction]:
    """What a human says on top of the anchors."""
    if corrections is None:
        return []
    acts = corrections_in(read_annotations(corrections, frames).tracks)
    if not acts:
        raise UsageError(f"Expected {corrections} to hold human points, got none.")
    return acts


def _correct(session: Session, acts: Sequence[Correction]) -> None:
    """Let the session take ``acts`` as if they were made on what it shows: how far a click moves
    a joint says something about the others."""
    for frame in sorted({act.frame for act in acts if isinstance(act, MoveKeypoints)}):
        for _ in session.propagate(frame, frame + 1):
            pass
    session.correct(*acts)


def _marks(session: Session, frames: FrameSource) -> PoseTracks:
    """The marks of ``session`` alone, without any estimate."""
    bare = Session(frames, skeleton=session.tracks.skeleton)
    bare.restore(session.snapshot())
    return bare.tracks.copy()


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
    """Write ``tracks`` in the place of the document's, and all else as it came.

    Areas are a human's where a human spoke; those of estimates follow from the new ones.
    """
    area = np.full(tracks.box.shape[:2], np.nan)
    given = (document.tracks.origin == Origin.HUMAN).any(-1)
    columns = {track: n for n, track in enumerate(document.tracks.track_id.tolist())}
    for n, track in enumerate(tracks.track_id.tolist()):
        if track in columns:
            at = columns[track]
            area[:, n] = np.where(given[:, at], document.area[:, at], np.nan)
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
    used: Mapping[str, Any],
) -> dict[str, Any]:
    human = marks.origin == Origin.HUMAN
    seeds = (marks.origin == Origin.DETECTED) & np.isfinite(marks.xy).all(-1)
    drawing = seconds["draw"]
    return {
        "video": frames.name,
        "frames": len(indices),
        "from": indices.start,
        "to": indices.stop - 1,
        "persons": len(marks.track_id),
        "anchors": int(human.any((1, 2)).sum()),
        "human_joints": int(human.sum()),
        "detected_joints": int(seeds.sum()),
        **used,
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


def _anchors(report: Mapping[str, Any]) -> str:
    said = f"{report['anchors']} frames, {report['human_joints']} human joints"
    if report["clicks"]:
        said += f" ({report['clicks']} clicks)"
    if report["detected_joints"]:
        said += f", {report['detected_joints']} detected ones"
    return said


def _table(report: Mapping[str, Any]) -> str:
    seconds = {stage: s for stage, s in report["seconds"].items() if stage != "draw" or s >= 0.01}
    rows = [
        ("frames", f"{report['frames']} ({report['from']} to {report['to']})"),
        ("persons", str(report["persons"])),
        ("anchors", _anchors(report)),
        ("tracker", report["tracker"]),
        ("reader", report["reader"]),
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
