"""Labels or predictions of many images: what evaluation compares.

A :class:`PoseSet` is the common form behind every file format evaluation reads. Unlike the
ledger (:mod:`impose_core.poses`) it has no identities that must span a video, keeps several
sequences side by side, and knows what only labels have: ignore regions, crowds, head boxes,
frames nobody labelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError

NO_TRACK = -1
"""The ``track_id`` of an instance that has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instances:
    """P instances on one frame, K keypoints each, in the order of the file they came from.

    Coordinates are pixels, x right, y down, as in :class:`impose_core.poses.PoseTracks`.

    Attributes:
        xy: float64 [P, K, 2] pixels. In predictions NaN is a keypoint that is missing; where
            ``visibility`` is 0 in labels the value means nothing.
        visibility: uint8 [P, K], :class:`impose_core.poses.Visibility`; 0 is not labelled.
            Predictions carry 2 wherever they have a position; metrics do not look at it.
        score: float64 [P], of the instance; NaN where the file gives none.
        keypoint_score: float64 [P, K]; NaN where the file gives none.
        track_id: int64 [P]; ``NO_TRACK`` where the file gives none.
        box: float64 [P, 4] xyxy pixels; NaN where the file gives none.
        head_box: float64 [P, 4] xyxy pixels (PoseTrack); NaN where the file gives none.
        area: float64 [P] square pixels, the A of OKS; NaN where the file gives none.
        crowd: bool [P]: COCO's ``iscrowd``: whoever matches it is neither right nor wrong.

    Raises:
        UsageError: if the shapes do not fit each other.
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    score: NDArray[np.float64]
    keypoint_score: NDArray[np.float64]
    track_id: NDArray[np.int64]
    box: NDArray[np.float64]
    head_box: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def __post_init__(self) -> None:
        persons, keypoints = self.visibility.shape
        expected = {
            "xy": (persons, keypoints, 2),
            "visibility": (persons, keypoints),
            "score": (persons,),
            "keypoint_score": (persons, keypoints),
            "track_id": (persons,),
            "box": (persons, 4),
            "head_box": (persons, 4),
            "area": (persons,),
            "crowd": (persons,),
        }
        for name, shape in expected.items():
            got = getattr(self, name).shape
            if got != shape:
                raise UsageError(f"Expected '{name}' to have shape {shape}, got {got}.")

    @classmethod
    def unknown(cls, persons: int, keypoints: int) -> Instances:
        """Instances of which nothing is known yet; to be filled in place."""
        return cls(
            xy=np.full((persons, keypoints, 2), np.nan),
            visibility=np.zeros((persons, keypoints), np.uint8),
            score=np.full(persons, np.nan),
            keypoint_score=np.full((persons, keypoints), np.nan),
            track_id=np.full(persons, NO_TRACK, np.int64),
            box=np.full((persons, 4), np.nan),
            head_box=np.full((persons, 4), np.nan),
            area=np.full(persons, np.nan),
            crowd=np.zeros(persons, bool),
        )

    def __len__(self) -> int:
        """Number of instances."""
        return len(self.xy)

    def pick(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Instances:
        """The instances ``chosen``: a mask or indices on the P axis."""
        return Instances(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def keypoints(self, columns: NDArray[np.int64]) -> Instances:
        """The same instances with the K axis rearranged: keypoint k was ``columns[k]``."""
        per_keypoint = {"xy", "visibility", "keypoint_score"}
        return Instances(
            **{
                f.name: getattr(self, f.name)[:, columns]
                if f.name in per_keypoint
                else getattr(self, f.name)
                for f in fields(self)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledFrame:
    """One image of a sequence.

    Attributes:
        index: frame in the video, from 0.
        file_name: as the file gives it; "" where it gives none.
        instances: who is on it.
        labelled: False where nobody looked: such a frame is no evidence of absence.
        ignore_regions: polygons float64 [V, 2] in pixels in which nothing is evaluated.
    """

    index: int
    instances: Instances
    file_name: str = ""
    labelled: bool = True
    ignore_regions: tuple[NDArray[np.float64], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseSequence:
    """The images of one video, by ascending ``index``; single images are sequences of one.

    Attributes:
        name: of the video, unique in its set.
        width: pixels; 0 where the file does not say.
        height: pixels, likewise.
        frames: the images the file lists.
    """

    name: str
    width: int
    height: int
    frames: tuple[LabelledFrame, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoseSet:
    """Labels or predictions of several sequences, one skeleton.

    Attributes:
        keypoints: K names, in the order of the K axis.
        sequences: the videos.
    """

    keypoints: tuple[str, ...]
    sequences: tuple[PoseSequence, ...]

    def __iter__(self) -> Iterator[tuple[PoseSequence, LabelledFrame]]:
        """Every frame with its sequence."""
        for sequence in self.sequences:
            for frame in sequence.frames:
                yield sequence, frame
