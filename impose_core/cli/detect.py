"""``impose detect``: a video in, everybody on every frame out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import typer

from impose_core.cli.files import check_outputs
from impose_core.cli.outcome import uninterrupted
from impose_core.cli.pictures import progress, spread, write_overlay, write_sheet
from impose_core.engine import Engine
from impose_core.errors import Cancelled
from impose_core.frames import FrameSource, ImageFolder, open_frames
from impose_core.io.coco import PoseDocument, VideoInfo, write_document
from impose_core.io.documents import Extra
from impose_core.poses import Origin, PoseTracks
from impose_core.session import Session
from impose_core.skeleton import COCO17
from impose_core.stopwatch import Stopwatch

STAGES = ("decode", "detect", "follow", "track", "rivals", "read", "estimate", "write", "draw")
"""In the order in which a frame passes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where to write; None for what nobody asked for."""

    out: Path
    overlay: Path | None
    sheet: Path | None

    def by_option(self) -> dict[str, Path | None]:
        """All of them by the names of their options."""
        return {f"--{field.name}": getattr(self, field.name) for field in fields(self)}


def detect_people(video: Path, found: Found, *, engine: Engine, every: int, as_json: bool) -> None:
    """Run the command.

    Raises:
        UsageError: if the engine has no reader.
        Cancelled: on an interrupt; nothing was written, or all but the pictures.
    """
    check_outputs(found.by_option(), inputs=[video])
    skeleton = COCO17 if engine.reader is None else engine.reader.skeleton
    with (
        open_frames(video) as frames,
        Session(frames, skeleton=skeleton, engine=engine) as session,
    ):
        for _ in progress(session.detect(every=every), total=len(frames), what="detect"):
            pass
        for _ in progress(session.propagate(), total=len(frames), what="propagate"):
            pass
        watch, tracks = Stopwatch(), session.tracks
        with uninterrupted(), watch.stage("write"):
            write_document(found.out, _document(frames, tracks))
        try:
            with watch.stage("draw"):
                if found.overlay is not None:
                    write_overlay(found.overlay, frames, tracks, range(len(frames)))
                if found.sheet is not None:
                    write_sheet(found.sheet, frames, tracks, spread(range(len(frames))))
        except KeyboardInterrupt:
            raise Cancelled(f"Stopped while drawing; {found.out} is complete.") from None
        seconds = {**session.seconds, **watch.seconds}
        report = _report(frames, session, every, seconds, found)
    typer.echo(json.dumps(report) if as_json else _table(report))


def _document(frames: FrameSource, tracks: PoseTracks) -> PoseDocument:
    extra = Extra()
    if isinstance(frames, ImageFolder):
        extra = Extra(images={t: {"file_name": n} for t, n in enumerate(frames.file_names)})
    return PoseDocument(
        tracks=tracks,
        video=VideoInfo(
            file_name=frames.name,
            width=frames.width,
            height=frames.height,
            frames=len(frames),
            fps=frames.fps or None,
        ),
        area=np.full(tracks.box.shape[:2], np.nan),
        extra=extra,
    )


def _report(
    frames: FrameSource,
    session: Session,
    every: int,
    seconds: Mapping[str, float],
    found: Found,
) -> dict[str, Any]:
    tracks = session.tracks
    there = np.asarray(np.isfinite(tracks.xy).all(-1).any(-1))
    seeds = (tracks.origin == Origin.DETECTED) & np.isfinite(tracks.xy).all(-1)
    return {
        "video": frames.name,
        "frames": len(frames),
        "every": every,
        "persons": [
            {
                "track": track,
                "first": int(np.flatnonzero(there[:, n])[0]) if there[:, n].any() else None,
                "last": int(np.flatnonzero(there[:, n])[-1]) if there[:, n].any() else None,
                "frames": int(there[:, n].sum()),
                "seeds": int(seeds[:, n].any(-1).sum()),
            }
            for n, track in enumerate(tracks.track_id.tolist())
        ],
        "seconds": {stage: round(seconds[stage], 4) for stage in STAGES if stage in seconds},
        "review": [
            {
                "frame": s.frame,
                "track": s.track,
                "keypoint": s.keypoint,
                "expected_oks": round(s.expected_oks, 4),
                "deviation": round(s.deviation, 2),
                "reason": s.reason,
            }
            for s in session.review(5)
        ],
        "written": {
            option.removeprefix("--"): str(path)
            for option, path in found.by_option().items()
            if path is not None
        },
        "notes": list(frames.notes),
    }


def _table(report: Mapping[str, Any]) -> str:
    persons = report["persons"]
    seconds = "   ".join(f"{stage} {s:.2f}" for stage, s in report["seconds"].items() if s >= 0.01)
    lines = [
        f"frames    {report['frames']}, looked at every {report['every']}",
        f"persons   {len(persons)}",
        *(
            f"  person {p['track']:3d}   {p['frames']:5d} frames ({p['first']} to {p['last']}), "
            f"{p['seeds']} seeds"
            for p in persons
        ),
        f"seconds   {seconds}",
    ]
    lines += ["least sure of:"] if report["review"] else []
    lines += [
        f"  frame {s['frame']:5d}   person {s['track']}   "
        + ("who is it?" if s["reason"] == "identity" else f"{s['keypoint']}")
        for s in report["review"]
    ]
    return "\n".join(lines)
