"""Labelled images to train on: documents with their pixels, or scenes that are rendered.

A source is ``LABELS=MEDIA``: a COCO keypoint document (pictures, or frames of videos) and the
folder of its images, or its video; or ``synthetic:NAME``, rendered with exact truth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument, MediaError, SkeletonMismatch, UsageError
from impose_core.frames import FrameSource, ImageFolder, open_frames
from impose_core.io.coco.sections import read_category
from impose_core.io.coco_instances import read_labels
from impose_core.io.json_fields import as_list, as_object, read_json
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence
from impose_core.poses import PoseTracks, Visibility
from impose_core.skeleton import Skeleton
from impose_core.synthesis import difficulty, render

Image = NDArray[np.uint8]
SYNTHETIC: Final = "synthetic:"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """The labelled frames of one video, or one picture.

    Attributes:
        name: for messages.
        frames: labelled ones, by index.
        read: the image of ``frames[i]``: uint8 [H, W, 3] RGB. May be called by any thread.
    """

    name: str
    frames: tuple[LabelledFrame, ...]
    read: Callable[[int], Image]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clips:
    """All there is to train on.

    Attributes:
        skeleton: of all clips.
        clips: at least one, each with a frame or more.
        sources: as they were asked for, for the record.
    """

    skeleton: Skeleton
    clips: tuple[Clip, ...]
    sources: tuple[str, ...]


def open_sources(sources: tuple[str, ...]) -> Clips:
    """The clips of ``sources``, each ``LABELS=MEDIA`` or ``synthetic:NAME``.

    Raises:
        UsageError: if a source is neither, or there is none.
        BadDocument: if labels break their format, or speak of images that are not there.
        MediaError: if pixels cannot be had.
        SkeletonMismatch: if sources speak of different bodies.
    """
    if not sources:
        raise UsageError("Expected '--data' at least once, got none.")
    opened = [_opened(source) for source in sources]
    first = opened[0].skeleton
    for source, clips in zip(sources, opened, strict=True):
        if clips.skeleton.keypoints != first.keypoints:
            raise SkeletonMismatch(
                f"Expected all data to have the {len(first)} joints of {sources[0]}, got "
                f"{len(clips.skeleton)} joints or others in {source}."
            )
    every = tuple(clip for clips in opened for clip in clips.clips)
    if not every:
        raise BadDocument(f"Expected labelled frames in {', '.join(sources)}, got none.")
    return Clips(skeleton=first, clips=every, sources=sources)


def clip_of(name: str, images: NDArray[np.uint8], tracks: PoseTracks) -> Clip:
    """A clip in memory: images [T, H, W, 3] and the truth of every frame."""
    frames = tuple(LabelledFrame(index=t, instances=_people(tracks, t)) for t in range(len(tracks)))
    return Clip(name=name, frames=frames, read=images.__getitem__)


def _opened(source: str) -> Clips:
    if source.startswith(SYNTHETIC):
        return _rendered(source)
    labels, separator, media = source.rpartition("=")
    if not separator or not labels or not media:
        raise UsageError(
            f"Expected '--data' to be LABELS=MEDIA or {SYNTHETIC}NAME, got {source!r}.",
            hint="For example: --data labels.json=video.mp4, or --data synthetic:crossing",
        )
    root = as_object(read_json(labels), "document")
    skeleton = read_category(as_list(root.get("categories"), "categories"), None).skeleton
    sequences = read_labels(root).sequences
    clips = tuple(_clip(sequence, Path(media), sequences) for sequence in sequences)
    clips = tuple(clip for clip in clips if clip.frames)
    return Clips(skeleton=skeleton, clips=clips, sources=(source,))


def _clip(sequence: PoseSequence, media: Path, every: tuple[PoseSequence, ...]) -> Clip:
    if not media.is_dir() and len(every) > 1:
        raise BadDocument(
            f"Expected labels of one video beside {media}, got {len(every)} videos or pictures.",
            hint="Give the folder that holds the images instead.",
        )
    # a video's frame without persons is mostly one nobody labelled, a picture's is a picture
    video = len(sequence.frames) > 1
    frames = tuple(f for f in sequence.frames if f.labelled and (len(f.instances) or not video))
    pixels = _Pixels(media, frames, named=len(every) > 1)
    return Clip(name=sequence.name or media.name, frames=frames, read=pixels.read)


class _Pixels:
    """Images of labelled frames; sources are opened by each thread for itself.

    Where ``named``, images are found by their names alone; else by number too, as of a video.
    """

    def __init__(self, media: Path, frames: tuple[LabelledFrame, ...], *, named: bool) -> None:
        self._media, self._frames, self._named = media, frames, named
        self._open = threading.local()
        self._own = [self._file(frame) for frame in frames]
        if not any(self._own) and frames:
            last, count = frames[-1].index, len(self._source())
            if last >= count:
                raise BadDocument(
                    f"Expected labels of the {count} frames of {media}, got one of frame {last}."
                )

    def read(self, position: int) -> Image:
        """The image of ``frames[position]``."""
        own = self._own[position]
        if own is not None:
            with ImageFolder(own) as picture:
                return picture.read(0)
        return self._source().read(self._frames[position].index)

    def _file(self, frame: LabelledFrame) -> Path | None:
        """The image by its name, if the folder has it."""
        if not frame.file_name or not self._media.is_dir():
            return None
        path = self._media / frame.file_name
        if path.is_file():
            return path
        if self._named:
            raise MediaError(f"Expected the image {frame.file_name!r} in {self._media}, got none.")
        return None

    def _source(self) -> FrameSource:
        if not hasattr(self._open, "source"):
            self._open.source = open_frames(self._media)
        source: FrameSource = self._open.source
        return source


def _rendered(source: str) -> Clips:
    """``synthetic:NAME,clips=4,frames=60,seed=0,width=640,height=360,persons=3``."""
    name, *options = source.removeprefix(SYNTHETIC).split(",")
    wanted = {"clips": 4, "frames": 60, "seed": 0}
    scene: dict[str, Any] = {}
    for option in options:
        key, separator, value = option.partition("=")
        fits = separator and value.isascii() and value.isdigit()
        if key not in (*wanted, "width", "height", "persons") or not fits:
            raise UsageError(
                f"Expected clips, frames, seed, width, height or persons =NUMBER in {source!r}, "
                f"got {option!r}."
            )
        (wanted if key in wanted else scene)[key] = int(value)
    if wanted["clips"] < 1:
        raise UsageError(f"Expected 'clips' to be 1 or more in {source!r}.")
    configs = [
        replace(difficulty(name, wanted["seed"] + i, frames=wanted["frames"]), **scene)
        for i in range(wanted["clips"])
    ]
    scenes = [render(config) for config in configs]
    clips = tuple(
        clip_of(f"{name}-{config.seed}", scene.frames, scene.tracks)
        for config, scene in zip(configs, scenes, strict=True)
    )
    return Clips(skeleton=scenes[0].tracks.skeleton, clips=clips, sources=(source,))


def _people(tracks: PoseTracks, t: int) -> Instances:
    there = np.isfinite(tracks.xy[t]).all(axis=-1).any(axis=-1)
    people = Instances.unknown(int(there.sum()), len(tracks.skeleton))
    people.xy[:] = tracks.xy[t, there]
    seen = np.isfinite(people.xy).all(axis=-1)
    people.visibility[:] = np.where(seen, tracks.visibility[t, there], Visibility.ABSENT)
    people.track_id[:] = tracks.track_id[there]
    people.box[:] = tracks.box[t, there]
    return people
