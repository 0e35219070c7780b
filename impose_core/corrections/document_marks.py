"""What the human points of a document say, as marks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.corrections.changes import Changes, patch_from
from impose_core.corrections.scene import VideoShape
from impose_core.errors import FrameOutOfRange, SkeletonMismatch
from impose_core.marks import Mark, Marks, Patch
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton


def marks_from_tracks(
    tracks: PoseTracks, marks: Marks, skeleton: Skeleton, video: VideoShape
) -> Patch:
    """The human points, flags and boxes of a document, as a patch of ``marks``.

    What the document does not speak about stays as it is marked. A position outweighs the flag
    ``ABSENT`` beside it.

    Raises:
        SkeletonMismatch: if the document's joints are not the skeleton's.
        FrameOutOfRange: if it marks a frame the video does not have.
    """
    if tracks.skeleton.keypoints != skeleton.keypoints:
        raise SkeletonMismatch(
            f"Expected keypoints {list(skeleton.keypoints)}, got {list(tracks.skeleton.keypoints)}."
        )
    changes: Changes = {}
    human: NDArray[np.bool_] = np.equal(tracks.origin, Origin.HUMAN)
    xy, flags = positions(tracks.xy, tracks.visibility)
    for frame, n in np.argwhere(human.any(-1)).tolist():
        if frame >= video.frames:
            raise FrameOutOfRange(
                f"Expected marks on frames 0 to {video.frames - 1}, got one on frame {frame}."
            )
        cell = (int(tracks.track_id[n]), frame)
        said, box = human[frame, n], tracks.box[frame, n]
        old = marks.get(*cell) or Mark.blank(len(skeleton))
        changes[cell] = Mark(
            xy=np.where(said[:, None], xy[frame, n], old.xy),
            visibility=np.where(said, flags[frame, n], old.visibility).astype(np.uint8),
            origin=np.where(said, Origin.HUMAN, old.origin).astype(np.uint8),
            box=box.copy() if np.isfinite(box).all() else old.box,
        )
    return patch_from(changes, marks)


def positions(
    xy: NDArray[np.float64], visibility: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """``xy`` with NaN wherever a coordinate is missing, and no ``ABSENT`` beside a position."""
    known = np.asarray(np.isfinite(xy).all(-1))
    contradicted = known & (visibility == Visibility.ABSENT)
    flags = np.where(contradicted, Visibility.VISIBLE, visibility).astype(np.uint8)
    return np.where(known[..., None], xy, np.nan), flags
