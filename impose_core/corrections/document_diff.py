"""Two documents of a video compared: the corrections that lead from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from impose_core.corrections.document_marks import positions
from impose_core.corrections.verbs import (
    Correction,
    MoveKeypoints,
    RemovePerson,
    SetBox,
    SetVisibility,
)
from impose_core.errors import FrameOutOfRange, SkeletonMismatch
from impose_core.marks import UNMARKED
from impose_core.poses import Origin, PoseTracks, Visibility

SAME_PLACE = 0.01
"""Pixels: documents that differ by less say the same."""


def corrections_in(tracks: PoseTracks) -> list[Correction]:
    """The human points and flags of a document as acts on persons of the same ids.

    Estimates, seeds and boxes in it are not looked at: a document of corrections may be one of
    results in which somebody moved a few joints.
    """
    human = np.equal(tracks.origin, Origin.HUMAN)
    said = replace(
        tracks,
        xy=np.where(human[..., None], tracks.xy, np.nan),
        visibility=np.where(human, tracks.visibility, Visibility.ABSENT).astype(np.uint8),
        box=np.full_like(tracks.box, np.nan),
    )
    nobody = PoseTracks.empty(
        frames=len(tracks), track_id=tracks.track_id.tolist(), skeleton=tracks.skeleton
    )
    return diff(nobody, said)


def diff(before: PoseTracks, after: PoseTracks) -> list[Correction]:
    """The corrections that turn one document of a video into another.

    Both must have the same skeleton and number of frames. A joint that moved by less than a
    hundredth of a pixel did not move, and nobody speaks of it, be it an estimate or a seed of
    the detector in either; one that lost its position is absent. A person without
    any joint is nobody. Marks that say what ``before`` says then say what ``after`` says, but
    for what no verb expresses: a box that went, and a joint no longer said to be absent.

    Ordered by track and frame; flags of a new person come last, when somebody is there.

    Raises:
        SkeletonMismatch: if the documents speak of different bodies.
        FrameOutOfRange: if they have different numbers of frames.
    """
    if before.skeleton.keypoints != after.skeleton.keypoints:
        raise SkeletonMismatch(
            f"Expected both documents to have keypoints {list(before.skeleton.keypoints)}, "
            f"got {list(after.skeleton.keypoints)}."
        )
    if len(before) != len(after):
        raise FrameOutOfRange(f"Expected {len(before)} frames in both documents, got {len(after)}.")
    found: list[Correction] = []
    for track in sorted({*before.track_id.tolist(), *after.track_id.tolist()}):
        old, new = _Said.of(before, track), _Said.of(after, track)
        if old.anybody and not new.anybody:
            found.append(RemovePerson(track=track))
            old = _Said.nobody(len(before), len(before.skeleton))
        changes = list(_differences(old, new, track, after.skeleton.keypoints))
        if not old.anybody:
            changes.sort(key=lambda change: isinstance(change, SetVisibility))
        found.extend(changes)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a document says about one person.

    ``xy`` [T, K, 2], NaN where unknown; ``flags`` [T, K], ``UNMARKED`` where nothing is said;
    ``box`` [T, 4].
    """

    xy: NDArray[np.float64]
    flags: NDArray[np.uint8]
    box: NDArray[np.float64]

    @classmethod
    def nobody(cls, frames: int, keypoints: int) -> _Said:
        """Nothing is said about anybody."""
        return cls(
            xy=np.full((frames, keypoints, 2), np.nan),
            flags=np.full((frames, keypoints), UNMARKED, np.uint8),
            box=np.full((frames, 4), np.nan),
        )

    @classmethod
    def of(cls, tracks: PoseTracks, track: int) -> _Said:
        """What ``tracks`` says about ``track``, who need not be there."""
        if track not in tracks.track_id:
            return cls.nobody(len(tracks), len(tracks.skeleton))
        n = tracks.person(track)
        xy, flags = positions(tracks.xy[:, n], tracks.visibility[:, n])
        silent = (flags == Visibility.ABSENT) & (tracks.origin[:, n] != Origin.HUMAN)
        flags = np.where(silent, UNMARKED, flags).astype(np.uint8)
        return cls(xy=xy, flags=flags, box=tracks.box[:, n])

    @property
    def known(self) -> NDArray[np.bool_]:
        """[T, K]: the joints that have a position."""
        return np.asarray(~np.isnan(self.xy[..., 0]))

    @property
    def anybody(self) -> bool:
        """True if a joint has a position anywhere."""
        return bool(self.known.any())


def _differences(
    old: _Said, new: _Said, track: int, names: tuple[str, ...]
) -> Iterator[MoveKeypoints | SetVisibility | SetBox]:
    known, was_known = new.known, old.known
    step = new.xy - old.xy
    stays = np.less_equal(np.hypot(step[..., 0], step[..., 1]), SAME_PLACE)  # NaN: unknown, no
    moved, gone = known & ~stays, was_known & ~known
    alone = ~known & ~was_known & (new.flags != UNMARKED) & new.anybody
    flagged = (stays | alone) & (new.flags != old.flags)
    same_box = (np.abs(new.box - old.box) <= SAME_PLACE).all(-1)
    boxed = np.asarray(np.isfinite(new.box).all(-1) & ~same_box)
    for frame in np.flatnonzero((moved | gone | flagged).any(-1) | boxed).tolist():
        at = {
            name: Visibility(int(f))
            for name, f in zip(names, new.flags[frame], strict=True)
            if f != UNMARKED
        }
        placed = [names[k] for k in np.flatnonzero(moved[frame])]
        if placed:
            points = new.xy[frame, moved[frame]].tolist()
            yield MoveKeypoints(
                frame=frame,
                track=track,
                xy={name: (x, y) for name, (x, y) in zip(placed, points, strict=True)},
                visibility={name: at[name] for name in placed},
            )
        flags = {names[k]: at[names[k]] for k in np.flatnonzero(flagged[frame])}
        flags |= {names[k]: Visibility.ABSENT for k in np.flatnonzero(gone[frame])}
        if flags:
            yield SetVisibility(frame=frame, track=track, visibility=flags)
        if boxed[frame]:
            x1, y1, x2, y2 = new.box[frame].tolist()
            yield SetBox(frame=frame, track=track, box=(x1, y1, x2, y2))
