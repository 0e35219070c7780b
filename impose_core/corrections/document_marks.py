"""What a document says, as marks: the points of humans, and the seeds of a detector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.corrections.changes import Changes, patch_from
from impose_core.corrections.pose_acts import SEEDS_YIELD
from impose_core.corrections.scene import VideoShape
from impose_core.errors import FrameOutOfRange, SkeletonMismatch
from impose_core.marks import UNMARKED, Mark, Marks, Patch
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton

SILENT: Final = 45
"""Frames: a detected person who is nowhere for longer, or up to an end of the video, was not
there. Documents have no word for it, and between two seeds of somebody seen there are fewer."""


def marks_from_tracks(
    tracks: PoseTracks, marks: Marks, skeleton: Skeleton, video: VideoShape
) -> Patch:
    """The human points, flags and boxes of a document and its seeds, as a patch of ``marks``.

    What the document does not speak about stays as it is marked. A position outweighs the flag
    ``ABSENT`` beside it. Joints of origin ``DETECTED`` become seeds where nothing is marked yet,
    but not near a human point of their joint in ``marks``: a detector has no say there. Detected
    persons are ``ABSENT`` while the document shows nothing of them. Estimates are not taken:
    they follow from the rest.

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
    seeds = np.isfinite(xy).all(-1) & (tracks.origin == Origin.DETECTED)
    spoken = np.argwhere((human | seeds).any(-1)).tolist()
    for frame, n in spoken:
        if frame >= video.frames:
            raise FrameOutOfRange(
                f"Expected marks on frames 0 to {video.frames - 1}, got one on frame {frame}."
            )
        track = int(tracks.track_id[n])
        said, box = human[frame, n], tracks.box[frame, n]
        old = marks.get(track, frame) or Mark.blank(len(skeleton))
        seed = np.zeros(len(skeleton), bool)
        if seeds[frame, n].any():
            seed = seeds[frame, n] & (old.visibility == UNMARKED) & _open(marks, track, frame)
        new = said | seed
        changes[track, frame] = Mark(
            xy=np.where(new[:, None], xy[frame, n], old.xy),
            visibility=np.where(new, flags[frame, n], old.visibility).astype(np.uint8),
            origin=np.where(new, tracks.origin[frame, n], old.origin).astype(np.uint8),
            # that of a seed is only the extent of its joints
            box=box.copy() if said.any() and np.isfinite(box).all() else old.box,
        )
    for n, track in enumerate(tracks.track_id.tolist()):
        shown = np.isfinite(xy[:, n]).all(-1) | human[:, n]
        for frame in _gone(shown, seeds[:, n], human[:, n]):
            if frame >= video.frames:
                continue
            old = marks.get(track, frame) or Mark.blank(len(skeleton))
            gone = (old.visibility == UNMARKED) & _open(marks, track, frame)
            changes[track, frame] = Mark(
                xy=old.xy,
                visibility=np.where(gone, Visibility.ABSENT, old.visibility).astype(np.uint8),
                origin=np.where(gone, Origin.DETECTED, old.origin).astype(np.uint8),
                box=old.box,
            )
    return patch_from(changes, marks)


def _gone(
    shown: NDArray[np.bool_], seeded: NDArray[np.bool_], human: NDArray[np.bool_]
) -> Iterator[int]:
    """The first frame of each stretch on which somebody was not there, by the detector's word.

    Args:
        shown: [T, K] the document shows the joint.
        seeded: [T, K] the detector placed it.
        human: [T, K] a human spoke of it.
    """
    if not seeded.any():
        return
    told = np.asarray(human.any(-1))
    marked = np.flatnonzero(seeded.any(-1) | told)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], shown.any(-1), [True]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        before, after = marked[marked < start], marked[marked >= stop]
        nearest = before[-1:] if len(before) else after[:1]
        silent = stop - start > SILENT or start == 0 or stop == len(shown)
        if silent and not told[nearest].any():
            yield start


def _open(marks: Marks, track: int, frame: int) -> NDArray[np.bool_]:
    """[K]: joints of which no human word holds on ``frame`` or is near."""
    near, gone = np.zeros((2, marks.keypoints), bool)
    for t, mark in marks.of(track).items():
        if abs(t - frame) <= SEEDS_YIELD:
            near |= mark.human & mark.placed
        if t <= frame:  # gone until the joint's next mark
            gone = (gone | (mark.absent & mark.human)) & ~mark.placed
    return np.asarray(~near & ~gone)


def positions(
    xy: NDArray[np.float64], visibility: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """``xy`` with NaN wherever a coordinate is missing, and no ``ABSENT`` beside a position."""
    known = np.asarray(np.isfinite(xy).all(-1))
    contradicted = known & (visibility == Visibility.ABSENT)
    flags = np.where(contradicted, Visibility.VISIBLE, visibility).astype(np.uint8)
    return np.where(known[..., None], xy, np.nan), flags
