"""What was said about a video: the only input of the estimate besides the pixels.

Everything the estimate writes is a function of the pixels and of these marks, so undoing a
correction is nothing but restoring the marks it touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from impose_core.poses import Origin, Visibility

UNMARKED = 255
"""Visibility of a joint nobody marked (the three real values are taken)."""

Cell: TypeAlias = tuple[int, int]
"""(track id, frame index)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mark:
    """What is fixed about one person on one frame. The arrays must not be written to.

    Attributes:
        xy: float64 [K, 2] pixels (origin at the outer corner of the top-left pixel);
            NaN where no position is fixed.
        visibility: uint8 [K], :class:`~impose_core.poses.Visibility`, or ``UNMARKED``.
            ``ABSENT`` says that the joint is gone from this frame until its next mark.
        origin: uint8 [K]: ``HUMAN`` for a human's word; ``PROPAGATED`` for a seed, an
            estimate that an identity edit carried over to another person; ``DETECTED`` for a
            seed of the detector: where it saw the joint, or ``ABSENT`` after it lost the
            person; ``NONE`` where nothing is marked.
        box: float64 [4] xyxy pixels, NaN where no box was drawn.
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    box: NDArray[np.float64]

    @classmethod
    def blank(cls, keypoints: int) -> Mark:
        """A mark that fixes nothing about ``keypoints`` joints."""
        return cls(
            xy=np.full((keypoints, 2), np.nan),
            visibility=np.full(keypoints, UNMARKED, np.uint8),
            origin=np.zeros(keypoints, np.uint8),
            box=np.full(4, np.nan),
        )

    @property
    def placed(self) -> NDArray[np.bool_]:
        """[K]: the joints whose position is fixed."""
        return np.asarray(np.isfinite(self.xy).all(-1))

    @property
    def absent(self) -> NDArray[np.bool_]:
        """[K]: the joints said to be gone."""
        return np.asarray(self.visibility == Visibility.ABSENT)

    @property
    def human(self) -> NDArray[np.bool_]:
        """[K]: the joints a human spoke about."""
        return np.asarray(self.origin == Origin.HUMAN)

    @property
    def is_blank(self) -> bool:
        """True if nothing is fixed."""
        return bool((self.visibility == UNMARKED).all() and np.isnan(self.box).all())

    def key(self) -> bytes:
        """Bytes that are equal exactly when the marks are."""
        return b"".join(a.tobytes() for a in (self.xy, self.visibility, self.origin, self.box))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mark) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())


Patch: TypeAlias = Mapping[Cell, tuple[Mark | None, Mark | None]]
"""What an act changed: cell -> (mark before, mark after); None is no mark."""


class Marks:
    """The marks of a video: at most one :class:`Mark` per person and frame.

    Changes only by :meth:`apply`; a patch applied backward restores it exactly.
    """

    def __init__(self, keypoints: int) -> None:
        self.keypoints = keypoints
        self._tracks: dict[int, dict[int, Mark]] = {}

    @property
    def tracks(self) -> list[int]:
        """Ids of all persons with a mark, ascending."""
        return sorted(self._tracks)

    def get(self, track: int, frame: int) -> Mark | None:
        """The mark of a person on a frame, or None."""
        return self._tracks.get(track, {}).get(frame)

    def of(self, track: int) -> Mapping[int, Mark]:
        """Frame -> mark of one person, ascending frames; empty for an unknown person."""
        return dict(sorted(self._tracks.get(track, {}).items()))

    def items(self) -> Iterator[tuple[Cell, Mark]]:
        """All marks, ordered by person and frame."""
        for track in self.tracks:
            for frame, mark in self.of(track).items():
                yield (track, frame), mark

    def copy(self) -> Marks:
        """The same marks, to be changed on their own."""
        twin = Marks(self.keypoints)
        twin._tracks = {track: dict(frames) for track, frames in self._tracks.items()}
        return twin

    def apply(self, patch: Patch, *, backward: bool = False) -> None:
        """Put the marks of ``patch`` in place (those before it, if ``backward``)."""
        for (track, frame), (before, after) in patch.items():
            mark = before if backward else after
            frames = self._tracks.setdefault(track, {})
            if mark is None or mark.is_blank:
                frames.pop(frame, None)
            else:
                frames[frame] = mark
            if not frames:
                del self._tracks[track]
