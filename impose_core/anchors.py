"""The marks of a video on a grid of frames, persons and joints: which anchor rules where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from impose_core.geometry import body_size
from impose_core.marks import Marks
from impose_core.poses import Visibility

NO_FRAME = -1
"""In ``previous`` and ``following``: there is no such anchor."""


Scalar = TypeVar("Scalar", bound=np.generic)


def rearranged(array: NDArray[Scalar], columns: NDArray[np.int64], fill: float) -> NDArray[Scalar]:
    """``array`` [T, N, ...] with person n taken from ``columns[n]``, or ``fill`` where -1."""
    out = np.full((len(array), len(columns), *array.shape[2:]), fill, array.dtype)
    out[:, columns >= 0] = array[:, columns[columns >= 0]]
    return out


class Anchor(IntEnum):
    """What a joint's mark on a frame does to its trajectory."""

    NONE = 0
    PLACED = 1
    ABSENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorGrid:
    """Where every joint is anchored.

    Attributes:
        kind: uint8 [T, N, K], :class:`Anchor`.
        xy: float64 [T, N, K, 2] pixels; NaN where not placed.
        hidden: bool [T, N, K]: placed, and said to be occluded.
        seeded: bool [T, N, K]: placed, but by no human: the joint is about there.
        size: float64 [T, N] pixels: body size on frames with a mark, else NaN.
        previous: int32 [T, N, K]: the last anchored frame <= t, or ``NO_FRAME``.
        following: int32 [T, N, K]: the first anchored frame >= t, or ``NO_FRAME``.
    """

    kind: NDArray[np.uint8]
    xy: NDArray[np.float64]
    hidden: NDArray[np.bool_]
    seeded: NDArray[np.bool_]
    size: NDArray[np.float64]
    previous: NDArray[np.int32]
    following: NDArray[np.int32]

    @classmethod
    def of(
        cls, marks: Marks, *, track_id: list[int], frames: int, width: int, height: int
    ) -> AnchorGrid:
        """The grid of ``marks`` over ``frames`` frames of a ``width`` x ``height`` video."""
        shape = (frames, len(track_id), marks.keypoints)
        kind = np.zeros(shape, np.uint8)
        xy = np.full((*shape, 2), np.nan)
        hidden = np.zeros(shape, bool)
        seeded = np.zeros(shape, bool)
        size = np.full(shape[:2], np.nan)
        for n, track in enumerate(track_id):
            for frame, mark in marks.of(track).items():
                kind[frame, n, mark.placed] = Anchor.PLACED
                kind[frame, n, mark.absent] = Anchor.ABSENT
                xy[frame, n] = mark.xy
                hidden[frame, n] = mark.placed & (mark.visibility == Visibility.OCCLUDED)
                seeded[frame, n] = mark.placed & ~mark.human
                size[frame, n] = body_size(mark.xy, width=width, height=height)
        frame_index = np.arange(frames, dtype=np.int32)[:, None, None]
        anchored = kind != Anchor.NONE
        previous = np.maximum.accumulate(np.where(anchored, frame_index, NO_FRAME), axis=0)
        mirrored = np.where(anchored, frame_index, frames)[::-1]
        following = np.minimum.accumulate(mirrored, axis=0)[::-1]
        following = np.where(following == frames, NO_FRAME, following)
        return cls(
            kind=kind,
            xy=xy,
            hidden=hidden,
            seeded=seeded,
            size=size,
            previous=previous.astype(np.int32),
            following=following.astype(np.int32),
        )

    @classmethod
    def nobody(cls, frames: int, keypoints: int) -> AnchorGrid:
        """The grid of a video in which nobody is marked."""
        return cls.of(Marks(keypoints), track_id=[], frames=frames, width=1, height=1)

    def persons(self, columns: NDArray[np.int64]) -> AnchorGrid:
        """The same grid with the N axis rearranged (-1: a person without anchors)."""
        return AnchorGrid(
            kind=rearranged(self.kind, columns, Anchor.NONE),
            xy=rearranged(self.xy, columns, np.nan),
            hidden=rearranged(self.hidden, columns, False),
            seeded=rearranged(self.seeded, columns, False),
            size=rearranged(self.size, columns, np.nan),
            previous=rearranged(self.previous, columns, NO_FRAME),
            following=rearranged(self.following, columns, NO_FRAME),
        )

    def kind_at(self, frame: NDArray[np.int32]) -> NDArray[np.uint8]:
        """[..., N, K]: the kind of each joint's anchor on ``frame`` [..., N, K]."""
        n, k = np.ogrid[: frame.shape[-2], : frame.shape[-1]]
        return np.where(frame == NO_FRAME, Anchor.NONE, self.kind[frame, n, k]).astype(np.uint8)

    def changed_since(self, old: AnchorGrid) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """[T, N, K] each: where the previous (the following) anchor is not what it was.

        Both grids must have the same shape.
        """
        n, k = np.indices(self.kind.shape[1:])
        moved = (
            (self.kind != old.kind)
            | (self.hidden != old.hidden)
            | (self.seeded != old.seeded)
            | ~(
                (self.xy == old.xy).all(-1) | (np.isnan(self.xy).all(-1) & np.isnan(old.xy).all(-1))
            )
        )
        # a joint's threshold is in body sizes, so its evidence also hangs on its anchor's size
        moved |= (self.size != old.size)[..., None] & (self.kind != Anchor.NONE)
        answers = []
        for mine, theirs in ((self.previous, old.previous), (self.following, old.following)):
            answers.append((mine != theirs) | ((mine != NO_FRAME) & moved[mine, n, k]))
        return answers[0], answers[1]
