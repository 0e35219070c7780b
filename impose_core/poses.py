"""The ledger: every joint of every person on every frame, and who says so."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch, UnknownTrack, UsageError
from impose_core.skeleton import Skeleton


class Visibility(IntEnum):
    """COCO keypoint visibility."""

    ABSENT = 0
    OCCLUDED = 1
    VISIBLE = 2


class Origin(IntEnum):
    """Who placed a joint."""

    NONE = 0
    DETECTED = 1
    PROPAGATED = 2
    HUMAN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTracks:
    """Poses of N persons over T frames, K keypoints each. NaN means unknown.

    Coordinates are pixels, x right, y down; the origin is the outer corner of the
    top-left pixel, so that pixel's centre is at (0.5, 0.5) (as in CVAT).

    Attributes:
        skeleton: what the K axis means.
        track_id: int64 [N], unique.
        xy: float64 [T, N, K, 2]. Double precision, so that a human's coordinates
            leave exactly as they came.
        visibility: uint8 [T, N, K], :class:`Visibility`.
        origin: uint8 [T, N, K], :class:`Origin`.
        score: float32 [T, N, K], 0 to 1: the expected OKS term of the joint
            (1 at human points); NaN where the joint is unknown.
        deviation: float32 [T, N, K], pixels, one sigma per axis; 0 at human points.
        box: float64 [T, N, 4], xyxy pixels; NaN where nobody drew or derived one.

    Raises:
        SkeletonMismatch: if the K axis of an array does not fit the skeleton.
        UsageError: if another axis does not fit, or track ids repeat.
    """

    skeleton: Skeleton
    track_id: NDArray[np.int64]
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    score: NDArray[np.float32]
    deviation: NDArray[np.float32]
    box: NDArray[np.float64]

    def __post_init__(self) -> None:
        t, n, k = len(self.xy), len(self.track_id), len(self.skeleton)
        expected = {
            "track_id": (n,),
            "xy": (t, n, k, 2),
            "visibility": (t, n, k),
            "origin": (t, n, k),
            "score": (t, n, k),
            "deviation": (t, n, k),
            "box": (t, n, 4),
        }
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                wrong_k = len(got) > 2 and name != "box" and got[2] != k
                raise (SkeletonMismatch if wrong_k else UsageError)(
                    f"Expected '{name}' to have shape {shape} for skeleton "
                    f"'{self.skeleton.name}', got {got}."
                )
        if len(np.unique(self.track_id)) != n:
            raise UsageError(f"Expected 'track_id' to be unique, got {self.track_id.tolist()}.")

    @classmethod
    def empty(cls, *, frames: int, track_id: list[int], skeleton: Skeleton) -> PoseTracks:
        """A ledger of ``frames`` frames in which nothing is known yet."""
        shape = (frames, len(track_id), len(skeleton))
        return cls(
            skeleton=skeleton,
            track_id=np.asarray(track_id, dtype=np.int64),
            xy=np.full((*shape, 2), np.nan),
            visibility=np.zeros(shape, np.uint8),
            origin=np.zeros(shape, np.uint8),
            score=np.full(shape, np.nan, np.float32),
            deviation=np.full(shape, np.nan, np.float32),
            box=np.full((*shape[:2], 4), np.nan),
        )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.xy)

    def person(self, track_id: int) -> int:
        """Index on the N axis of ``track_id``.

        Raises:
            UnknownTrack: if nobody has this id.
        """
        found = np.flatnonzero(self.track_id == track_id)
        if not len(found):
            raise UnknownTrack(
                f"Expected 'track' to be one of {self.track_id.tolist()}, got {track_id}."
            )
        return int(found[0])

    def frames(self, start: int, stop: int) -> PoseTracks:
        """The ledger of frames ``start`` to ``stop`` (exclusive), as views."""
        per_frame = ("xy", "visibility", "origin", "score", "deviation", "box")
        cut = {name: getattr(self, name)[start:stop] for name in per_frame}
        return PoseTracks(skeleton=self.skeleton, track_id=self.track_id, **cut)

    def only(self, n: int) -> PoseTracks:
        """The person at index ``n`` of the N axis alone, as views."""
        per_person = ("xy", "visibility", "origin", "score", "deviation", "box")
        cut = {name: getattr(self, name)[:, n : n + 1] for name in per_person}
        return PoseTracks(skeleton=self.skeleton, track_id=self.track_id[n : n + 1], **cut)

    def read_only(self) -> PoseTracks:
        """The same ledger, as views that cannot be written to."""
        views = {f.name: getattr(self, f.name)[:] for f in fields(self) if f.name != "skeleton"}
        for view in views.values():
            view.flags.writeable = False
        return PoseTracks(skeleton=self.skeleton, **views)

    def copy(self) -> PoseTracks:
        """A ledger that shares no array with this one."""
        names = [f.name for f in fields(self) if f.name != "skeleton"]
        arrays = {name: getattr(self, name).copy() for name in names}
        return PoseTracks(skeleton=self.skeleton, **arrays)
