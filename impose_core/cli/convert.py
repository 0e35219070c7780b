"""``impose convert``: the poses of one video from one format to another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import typer

from impose_core.cli.files import check_outputs
from impose_core.errors import BadDocument, UsageError
from impose_core.frames import ImageFolder, open_frames
from impose_core.io import posetrack21
from impose_core.io.coco import read_document, write_document
from impose_core.io.documents import Extra, PoseDocument, VideoInfo
from impose_core.io.pose_set_files import format_of
from impose_core.io.posetrack21_write import write_posetrack21
from impose_core.io.xanylabeling_document import (
    read_xanylabeling_document,
    write_xanylabeling_document,
)
from impose_core.io.yolo_pose import ABOUT, read_yolo_pose, write_yolo_pose
from impose_core.pose_sets import NO_TRACK, PoseSet
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import POSETRACK17, Skeleton, skeleton_from_names, skeleton_named

AUTO: Final = "auto"
FORMATS: Final = ("xanylabeling", "coco", "posetrack21", "yolo")
LOSSES: Final[Mapping[str, str]] = {
    "posetrack21": "joints that PoseTrack does not have, origin, deviation, score",
    "yolo": "origin, deviation, score",
}
"""What a format has no place for."""
LEFT_BEHIND: Final = "shapes of nobody, checked, who is gone"
"""What a folder of X-AnyLabeling has beside poses."""


def convert_poses(
    source: Path,
    target: Path,
    *,
    to: str,
    source_format: str,
    video: Path | None,
    keypoints: str | None,
    as_json: bool,
) -> None:
    """Run the command.

    Raises:
        UsageError: if a format is unknown, or cannot be told.
        BadDocument: if the source breaks its format.
        OutputError: if the target is there already or cannot be written.
    """
    kind = _format_of(source) if source_format == AUTO else _known(source_format, "--from")
    wanted = _known(to, "--to")
    document, images = _read(source, kind, video, keypoints)
    if video is not None:
        document, images = _of_video(document, images, video)
    if wanted in ("xanylabeling", "yolo"):
        target.mkdir(parents=True, exist_ok=True)
    else:
        check_outputs({"target": target}, inputs=[source])
    match wanted:
        case "xanylabeling":
            write_xanylabeling_document(target, document, images=images)
        case "coco":
            write_document(target, document)
        case "posetrack21":
            write_posetrack21(target, document, images=images)
        case _:
            write_yolo_pose(target, document, images=images)
    _tell(document, kind, wanted, target, as_json=as_json)


def _known(name: str, option: str) -> str:
    if name not in FORMATS:
        raise UsageError(f"Expected '{option}' to be one of {', '.join(FORMATS)}, got {name!r}.")
    return name


def _format_of(source: Path) -> str:
    if source.is_dir() and ((source / ABOUT).exists() or (source / "labels").is_dir()):
        return "yolo"
    found = format_of(source)
    if found not in FORMATS:
        raise UsageError(
            f"Expected {source} to be of one of {', '.join(FORMATS)}, got {found}.",
            hint="'impose evaluate' reads other formats.",
        )
    return found


def _read(
    source: Path, kind: str, video: Path | None, keypoints: str | None
) -> tuple[PoseDocument, list[str]]:
    skeleton = _skeleton(keypoints)
    if kind == "xanylabeling":
        return read_xanylabeling_document(source, skeleton or skeleton_named("coco17"))
    if kind == "posetrack21":
        return _single_video(posetrack21.read_labels(source), source)
    if kind == "yolo":
        names = None if skeleton is None else skeleton.keypoints
        if video is None:
            return read_yolo_pose(source, keypoints=names)
        with open_frames(video) as frames:
            images = _images_of(frames, len(frames))
            size = (frames.width, frames.height)
        return read_yolo_pose(source, keypoints=names, images=images, size=size)
    if video is None:
        document = read_document(source)
    else:
        with open_frames(video) as frames:
            document = read_document(source, frames=len(frames))
    return document, _image_names(document)


def _skeleton(keypoints: str | None) -> Skeleton | None:
    if keypoints is None:
        return None
    if "," in keypoints:
        return skeleton_from_names("keypoints", [name.strip() for name in keypoints.split(",")])
    return skeleton_named(keypoints)


def _images_of(frames: object, count: int) -> list[str]:
    if isinstance(frames, ImageFolder):
        return list(frames.file_names)
    return [f"frame_{t:05d}.jpg" for t in range(count)]


def _image_names(document: PoseDocument) -> list[str]:
    """As the document calls its images, if they have names that make files."""
    given = [document.extra.images.get(t, {}).get("file_name") for t in range(len(document.tracks))]
    names = [Path(name).name if isinstance(name, str) else "" for name in given]
    stems = {Path(name).stem for name in names}
    if len(stems) == len(names) and "" not in stems:
        return names
    return [f"frame_{t:05d}.jpg" for t in range(len(names))]


def _of_video(
    document: PoseDocument, images: list[str], video: Path
) -> tuple[PoseDocument, list[str]]:
    with open_frames(video) as frames:
        stated = (document.video.width, document.video.height, document.video.frames)
        actual = (frames.width, frames.height, len(frames))
        if 0 in stated[:2]:
            stated = (*actual[:2], stated[2])
        if stated != actual:
            raise BadDocument(
                f"Expected poses of {video.name} ({actual[0]}×{actual[1]}, {actual[2]} frames), "
                f"got those of a video of {stated[0]}×{stated[1]}, {stated[2]} frames."
            )
        named = _images_of(frames, len(frames)) if isinstance(frames, ImageFolder) else images
        info = VideoInfo(
            file_name=frames.name,
            width=frames.width,
            height=frames.height,
            frames=len(frames),
            fps=frames.fps,
        )
    return PoseDocument(
        tracks=document.tracks,
        video=info,
        area=document.area,
        category=document.category,
        extra=document.extra,
    ), named


def _single_video(poses: PoseSet, source: Path) -> tuple[PoseDocument, list[str]]:
    """The one sequence of a set, as a document."""
    if len(poses.sequences) != 1:
        raise UsageError(
            f"Expected one video in {source}, got {len(poses.sequences)}.",
            hint="Convert file by file.",
        )
    sequence = poses.sequences[0]
    if not sequence.frames:
        raise BadDocument(f"Expected {source} to list images, got none.")
    count = sequence.frames[-1].index + 1
    people = [(f.index, f.instances) for f in sequence.frames]
    ids = sorted({int(i) for _, here in people for i in here.track_id if i != NO_TRACK})
    tracks = PoseTracks.empty(frames=count, track_id=ids, skeleton=POSETRACK17)
    place = {track: n for n, track in enumerate(ids)}
    for frame, here in people:
        for p, track in enumerate(here.track_id.tolist()):
            if track == NO_TRACK:
                continue
            at = (frame, place[track])
            known = (here.visibility[p] > 0) & np.isfinite(here.xy[p]).all(-1)
            tracks.xy[at] = np.where(known[:, None], here.xy[p], np.nan)
            tracks.visibility[at] = np.where(known, here.visibility[p], Visibility.ABSENT)
            tracks.origin[at] = np.where(known, Origin.HUMAN, Origin.NONE)
            tracks.score[at] = np.where(known, 1.0, np.nan)
            tracks.deviation[at] = np.where(known, 0.0, np.nan)
            tracks.box[at] = here.box[p]
    listed = tuple(f.index for f in sequence.frames if f.labelled)
    video = VideoInfo(
        file_name=sequence.name, width=sequence.width, height=sequence.height, frames=count
    )
    named = {f.index: {"file_name": f.file_name} for f in sequence.frames if f.file_name}
    extra = Extra(images=named, listed=None if len(listed) == count else listed)
    area = np.full(tracks.box.shape[:2], np.nan)
    document = PoseDocument(tracks=tracks, video=video, area=area, extra=extra)
    return document, _image_names(document)


def _tell(document: PoseDocument, kind: str, wanted: str, target: Path, *, as_json: bool) -> None:
    tracks = document.tracks
    shown = np.isfinite(tracks.xy).all(-1)
    lost = [LOSSES[wanted]] if wanted in LOSSES else []
    lost += [LEFT_BEHIND] if kind == "xanylabeling" else []
    report = {
        "from": kind,
        "to": wanted,
        "out": str(target),
        "frames": len(tracks),
        "persons": len(tracks.track_id),
        "poses": int(shown.any(-1).sum()),
        "joints": int(shown.sum()),
        "lost": ", ".join(lost) or None,
    }
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(
        f"{report['poses']} poses of {report['persons']} persons on {report['frames']} frames: "
        f"{kind} -> {wanted}, {target}"
    )
    if report["lost"]:
        typer.echo(f"not kept: {report['lost']}")
