"""A folder of X-AnyLabeling as a document of one video, and back, with who made what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from impose_core.atomic import write_bytes
from impose_core.errors import BadDocument, OutputError, UsageError
from impose_core.io.documents import Extra, PoseDocument, VideoInfo
from impose_core.io.files import files_of, naming
from impose_core.io.json_fields import as_integer, parse_json
from impose_core.io.xanylabeling import IMAGE_SUFFIXES
from impose_core.io.xanylabeling_files import read_frame
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.io.xanylabeling_people import Pose, people_of
from impose_core.io.xanylabeling_placing import Placed, with_people
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton


def read_xanylabeling_document(
    folder: str | os.PathLike[str], skeleton: Skeleton
) -> tuple[PoseDocument, list[str]]:
    """The poses in the JSON files of ``folder``, and the names of the images.

    Frames are images and JSON files in natural order of their names, an image and its JSON
    being one; without an image one is called as its JSON says, or like it.

    Raises:
        BadDocument: if a file breaks the format, or none says how large the images are.
    """
    names: dict[str, str] = {}
    files: dict[str, Path] = {}
    for file in files_of(folder):
        if file.suffix.lower() == ".json":
            files[file.stem] = file
            names.setdefault(file.stem, "")
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            names[file.stem] = file.name
    labels = {i: read_frame(files[stem]) for i, stem in enumerate(names) if stem in files}
    if not labels:
        raise BadDocument(f"Expected '{folder}' to hold JSON files, got none.")
    images = [name or f"{stem}.jpg" for stem, name in names.items()]
    width, height = _size(labels, [files.get(stem) for stem in names])
    video = VideoInfo(
        file_name=Path(folder).resolve().name, width=width, height=height, frames=len(names)
    )
    tracks = _tracks(labels, skeleton, video, [files.get(stem) for stem in names])
    extra = Extra(
        images={i: {"file_name": image} for i, image in enumerate(images)},
        listed=None if len(labels) == len(names) else tuple(labels),
    )
    area = np.full(tracks.box.shape[:2], np.nan)
    return PoseDocument(tracks=tracks, video=video, area=area, extra=extra), images


def write_xanylabeling_document(
    folder: str | os.PathLike[str], document: PoseDocument, *, images: Sequence[str]
) -> None:
    """Write a JSON file into ``folder`` for every image, called ``images``, that is listed.

    Raises:
        OutputError: if a file is there already, or cannot be written.
        UsageError: if two images would share a file.
    """
    place = Path(folder)
    listed = range(len(images)) if document.extra.listed is None else document.extra.listed
    files = {frame: place / f"{Path(images[frame]).stem}.json" for frame in listed}
    if len(set(files.values())) < len(files):
        raise UsageError("Expected images whose names differ before the suffix, got some twice.")
    there = [file for file in files.values() if os.path.lexists(file)]
    if there:
        raise OutputError(
            f"Expected no file of this name yet, got {there[0]}.",
            hint="Nothing is written over annotations; name another folder.",
        )
    video = document.video
    for frame, file in files.items():
        people = {
            track: Placed(pose=_pose(document.tracks, frame, n))
            for n, track in enumerate(document.tracks.track_id.tolist())
        }
        labels = with_people(FrameLabels(), people, document.tracks.skeleton, video)
        content = labels.as_bytes(
            image=Path(images[frame]).name, width=video.width, height=video.height
        )
        write_bytes(file, content)


def _pose(tracks: PoseTracks, frame: int, n: int) -> Pose:
    at = (frame, n)
    known = np.isfinite(tracks.xy[at]).all(-1)
    flags = np.where(tracks.visibility[at] == Visibility.OCCLUDED, 1, 2)
    origin = np.where(tracks.origin[at] == Origin.NONE, Origin.HUMAN, tracks.origin[at])
    return Pose(
        xy=np.where(known[:, None], tracks.xy[at], np.nan),
        visibility=np.where(known, flags, 0).astype(np.uint8),
        origin=np.where(known, origin, Origin.NONE).astype(np.uint8),
        seed=known & (origin == Origin.DETECTED),
        deviation=tracks.deviation[at].astype(np.float64),
        score=tracks.score[at].astype(np.float64),
    )


def _size(labels: dict[int, FrameLabels], files: list[Path | None]) -> tuple[int, int]:
    """Of the images, by the first file that says so."""
    for frame, one in labels.items():
        root = {
            key: one.members[key].value
            for key in ("imageWidth", "imageHeight")
            if key in one.members
        }
        values = {key: parse_json(text) for key, text in root.items()}
        if len(values) == 2 and None not in values.values():
            with naming(str(files[frame])):
                return (
                    as_integer(values["imageWidth"], "imageWidth", 1, 10**6),
                    as_integer(values["imageHeight"], "imageHeight", 1, 10**6),
                )
    raise BadDocument("Expected a file to say 'imageWidth' and 'imageHeight', got none.")


def _tracks(
    labels: dict[int, FrameLabels], skeleton: Skeleton, video: VideoInfo, files: list[Path | None]
) -> PoseTracks:
    people = {}
    for frame, one in labels.items():
        with naming(str(files[frame])):
            people[frame] = people_of(one, skeleton)
    ids = sorted({i for here in people.values() for i, one in here.items() if one.places})
    tracks = PoseTracks.empty(frames=video.frames, track_id=ids, skeleton=skeleton)
    for frame, here in people.items():
        for n, identity in enumerate(ids):
            if identity in here:
                pose, at = here[identity].pose, (frame, n)
                tracks.xy[at], tracks.visibility[at] = pose.xy, pose.visibility
                tracks.origin[at], tracks.box[at] = pose.origin, here[identity].box
                tracks.deviation[at], tracks.score[at] = pose.deviation, pose.score
    return tracks
