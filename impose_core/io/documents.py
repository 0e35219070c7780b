"""Poses of one video together with what a file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument, UsageError
from impose_core.io.json_fields import Json
from impose_core.poses import PoseTracks


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The video a document speaks of.

    Attributes:
        file_name: as the document gives it; "" if it gives none.
        width: pixels; of images of several sizes the largest.
        height: pixels, likewise.
        frames: how many frames the video has.
        fps: frames a second, None if unknown.
    """

    file_name: str
    width: int
    height: int
    frames: int
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """What a document holds beside the poses, to be written back untouched.

    Attributes:
        document: top-level sections other than the four of COCO (info, licenses).
        video: further keys of the video; its ``id`` if that is not 1.
        category: further keys of the category; its ``id`` if that is not 1, its ``skeleton``
            if the skeleton is a preset and the document draws other limbs.
        other_categories: categories without keypoints, whole.
        images: by frame, further keys of its image, and ``id``, ``file_name``, ``width``,
            ``height`` where they are not what the writer would choose.
        annotations: by (frame, track id), further keys of an annotation. One number for the
            whole person in ``score`` is kept as ``instance_score``.
        listed: frames that have an image; None means all.
    """

    document: Json = field(default_factory=dict)
    video: Json = field(default_factory=dict)
    category: Json = field(default_factory=dict)
    other_categories: tuple[Json, ...] = ()
    images: Mapping[int, Json] = field(default_factory=dict)
    annotations: Mapping[tuple[int, int], Json] = field(default_factory=dict)
    listed: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseDocument:
    """Poses of one video, as a file holds them.

    Attributes:
        tracks: the poses, T frames and N persons.
        video: what they are poses in; ``video.frames`` must be T.
        area: float64 [T, N], square pixels, the A of OKS; NaN where unknown.
        category: name of the category.
        extra: everything else the file held.

    Raises:
        UsageError: if ``video.frames`` or ``area`` does not fit ``tracks``.
    """

    tracks: PoseTracks
    video: VideoInfo
    area: NDArray[np.float64]
    category: str = "person"
    extra: Extra = field(default_factory=Extra)

    def __post_init__(self) -> None:
        shape = (len(self.tracks), len(self.tracks.track_id))
        if self.video.frames != shape[0]:
            raise UsageError(
                f"Expected 'video.frames' to be {shape[0]}, the length of 'tracks', "
                f"got {self.video.frames}."
            )
        if self.area.shape != shape:
            raise UsageError(f"Expected 'area' to have shape {shape}, got {self.area.shape}.")

    def __eq__(self, other: object) -> bool:
        """Equal in every field; NaN equals NaN."""
        if not isinstance(other, PoseDocument):
            return NotImplemented
        plain = ("video", "category", "extra")
        arrays = [f.name for f in fields(PoseTracks) if f.name != "skeleton"]
        return (
            all(getattr(self, name) == getattr(other, name) for name in plain)
            and self.tracks.skeleton == other.tracks.skeleton
            and all(_same(getattr(self.tracks, a), getattr(other.tracks, a)) for a in arrays)
            and _same(self.area, other.area)
        )

    __hash__ = None  # type: ignore[assignment] # holds arrays


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def check_video(document: PoseDocument, *, width: int, height: int, frames: int, name: str) -> None:
    """Make sure that ``document`` speaks of the video ``name`` of this size and length.

    A document that states no length should be read with ``frames=`` of the video.

    Raises:
        BadDocument: if size or length differ.
    """
    video = document.video
    if (video.width, video.height, video.frames) != (width, height, frames):
        raise BadDocument(
            f"Expected a document of '{name}' ({width}×{height}, {frames} frames), got one of "
            f"'{video.file_name}' ({video.width}×{video.height}, {video.frames} frames).",
            hint="Is this the annotation file of another video?",
        )
