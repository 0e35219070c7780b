"""The verbs: what a human may say about a video, and what saying it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from impose_core.poses import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveKeypoints:
    """The joints of ``xy`` (name -> pixels) are exactly there. A new ``track`` is a new person.

    ``visibility`` flags joints of ``xy``; one it does not name keeps the flag a human gave it on
    this frame, else is visible.
    """

    frame: int
    track: int
    xy: Mapping[str, tuple[float, float]]
    visibility: Mapping[str, Visibility] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVisibility:
    """Flag joints. ``ABSENT``: gone from this frame until the joint's next mark.

    A joint whose position is fixed on this frame keeps it, as the human's from now on;
    otherwise the flag alone is fixed, and the joint may still move.
    """

    frame: int
    track: int
    visibility: Mapping[str, Visibility]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBox:
    """The person fills ``box`` (x1, y1, x2, y2 in pixels). A new ``track`` is a new person."""

    frame: int
    track: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapIdentity:
    """From ``frame`` on ``first`` is ``second`` and the other way round."""

    frame: int
    first: int
    second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeIdentity:
    """``absorb`` was ``keep`` all along. Refused where humans marked both on one frame.

    "All gone" (what a split or a removal leaves) says that this identity is not there; it
    yields to a mark of the other, so that a merge undoes a split.
    """

    keep: int
    absorb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitIdentity:
    """From ``frame`` on ``track`` is somebody else: ``new_track``, who must be new."""

    frame: int
    track: int
    new_track: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignIdentity:
    """``track`` is called ``new_track`` from now on, on all frames."""

    track: int
    new_track: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovePerson:
    """``track`` is not there from frame ``start`` on; from 0 on, never was."""

    track: int
    start: int = 0


Correction: TypeAlias = (
    MoveKeypoints
    | SetVisibility
    | SetBox
    | SwapIdentity
    | MergeIdentity
    | SplitIdentity
    | AssignIdentity
    | RemovePerson
)


def clicks(correction: Correction) -> int:
    """What the act cost the annotator: one per joint touched, one for anything else."""
    if isinstance(correction, MoveKeypoints):
        return len(correction.xy)
    return len(correction.visibility) if isinstance(correction, SetVisibility) else 1
