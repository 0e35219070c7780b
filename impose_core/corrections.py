"""What a human may say about a video: the verbs, and what each does to the marks."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadCorrection, FrameOutOfRange, SkeletonMismatch, UnknownTrack
from impose_core.geometry import FAR_OUTSIDE
from impose_core.marks import UNMARKED, Cell, Mark, Marks, Patch
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton

LARGEST_TRACK = 2**53
"""Ids travel through JSON, where larger integers lose digits."""
SAME_PLACE = 0.01
"""Pixels: documents that differ by less say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShape:
    """What a correction must fit: number of ``frames``, ``width`` and ``height`` in pixels."""

    frames: int
    width: int
    height: int

    def to_json(self) -> dict[str, int]:
        """As a JSON object."""
        return {"frames": self.frames, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveKeypoints:
    """The joints of ``xy`` (name -> pixels) are exactly there. A new ``track`` is a new person.

    ``visibility`` flags joints of ``xy``; one it does not name keeps the flag it had on this
    frame, else is visible.
    """

    frame: int
    track: int
    xy: Mapping[str, tuple[float, float]]
    visibility: Mapping[str, Visibility] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVisibility:
    """Flag joints. ``ABSENT``: gone from this frame until the joint's next mark."""

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
    """``absorb`` was ``keep`` all along. Refused where humans marked both on one frame."""

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


def patch_of(
    correction: Correction,
    marks: Marks,
    *,
    skeleton: Skeleton,
    video: VideoShape,
    estimate: PoseTracks,
) -> Patch:
    """What ``correction`` changes in ``marks``; nothing is changed yet.

    ``estimate`` is what stands in the ledger: identity edits carry it over where no human
    placed a joint. Applied twice, a correction equals itself applied once; only a swap undoes
    itself, and a new name is not there to be given again.

    Raises:
        BadCorrection, UnknownTrack, UnknownKeypoint, FrameOutOfRange: naming the field.
    """
    act = _Act(marks=marks, skeleton=skeleton, video=video, estimate=estimate)
    changed = {
        MoveKeypoints: act.move,
        SetVisibility: act.flag,
        SetBox: act.frame_box,
        SwapIdentity: act.swap,
        MergeIdentity: act.merge,
        SplitIdentity: act.split,
        AssignIdentity: act.assign,
        RemovePerson: act.remove,
    }[type(correction)](correction)  # type: ignore[operator]  # each takes its own verb
    return _patch(marks, changed)


def marks_from_tracks(
    tracks: PoseTracks, marks: Marks, skeleton: Skeleton, video: VideoShape
) -> Patch:
    """The human points, flags and boxes of a document, as a patch of ``marks``.

    Raises:
        SkeletonMismatch: if the document's joints are not the skeleton's.
        FrameOutOfRange: if it marks a frame the video does not have.
    """
    if tracks.skeleton.keypoints != skeleton.keypoints:
        raise SkeletonMismatch(
            f"Expected keypoints {list(skeleton.keypoints)}, got {list(tracks.skeleton.keypoints)}."
        )
    changed: dict[Cell, Mark | None] = {}
    human = tracks.origin == Origin.HUMAN
    spoken = human.any(-1)
    for frame, n in np.argwhere(spoken).tolist():
        if frame >= video.frames:
            raise FrameOutOfRange(
                f"Expected marks on frames 0 to {video.frames - 1}, got one on frame {frame}."
            )
        cell = (int(tracks.track_id[n]), frame)
        said = human[frame, n]
        old = marks.get(*cell) or Mark.blank(len(skeleton))
        changed[cell] = Mark(
            xy=np.where(said[:, None], tracks.xy[frame, n], old.xy),
            visibility=np.where(said, tracks.visibility[frame, n], old.visibility).astype(np.uint8),
            origin=np.where(said, Origin.HUMAN, old.origin).astype(np.uint8),
            box=tracks.box[frame, n].copy(),
        )
    return _patch(marks, changed)


def diff(before: PoseTracks, after: PoseTracks) -> list[Correction]:
    """The corrections that turn one document of a video into another.

    Both must have the same skeleton and number of frames. A joint that moved by less than a
    hundredth of a pixel did not move.

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
    ids = sorted({*before.track_id.tolist(), *after.track_id.tolist()})
    found: list[Correction] = []
    for track in ids:
        if track not in after.track_id:
            found.append(RemovePerson(track=track))
            continue
        found.extend(_differences(before, after, track))
    return found


def _differences(before: PoseTracks, after: PoseTracks, track: int) -> Iterator[Correction]:
    new = after.person(track)
    names = after.skeleton.keypoints
    for frame in range(len(after)):
        xy, flags, box = after.xy[frame, new], after.visibility[frame, new], after.box[frame, new]
        if track in before.track_id:
            old = before.person(track)
            was_xy, was = before.xy[frame, old], before.visibility[frame, old]
            was_box = before.box[frame, old]
        else:
            was_xy, was, was_box = np.full_like(xy, np.nan), np.zeros_like(flags), box * np.nan
        known, was_known = np.isfinite(xy).all(-1), np.isfinite(was_xy).all(-1)
        still = np.hypot(*(xy - was_xy).T) <= SAME_PLACE
        moved = np.flatnonzero(known & ~(was_known & still))
        flagged = np.flatnonzero(known & was_known & still & (flags != was))
        gone = np.flatnonzero(was_known & ~known)
        if len(moved):
            yield MoveKeypoints(
                frame=frame,
                track=track,
                xy={names[k]: (float(xy[k, 0]), float(xy[k, 1])) for k in moved},
                visibility={names[k]: Visibility(int(flags[k]) or 2) for k in moved},
            )
        if len(flagged) or len(gone):
            flag = {names[k]: Visibility(int(flags[k])) for k in flagged}
            flag |= {names[k]: Visibility.ABSENT for k in gone}
            yield SetVisibility(frame=frame, track=track, visibility=flag)
        if np.isfinite(box).all() and not (np.abs(box - was_box) <= SAME_PLACE).all():
            x1, y1, x2, y2 = (float(v) for v in box)
            yield SetBox(frame=frame, track=track, box=(x1, y1, x2, y2))


def _patch(marks: Marks, changed: Mapping[Cell, Mark | None]) -> Patch:
    patch = {}
    for cell, after in changed.items():
        before = marks.get(*cell)
        after = None if after is None or after.is_blank else after
        if before != after:
            patch[cell] = (before, after)
    return patch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    """The validated acts: each returns the marks it leaves, by cell."""

    marks: Marks
    skeleton: Skeleton
    video: VideoShape
    estimate: PoseTracks

    def move(self, said: MoveKeypoints) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._id(said.track, "track")
        if not said.xy:
            raise BadCorrection("Expected 'xy' to name at least one keypoint, got none.")
        for name in said.visibility:
            if name not in said.xy:
                raise BadCorrection(
                    f"Expected 'visibility' to flag keypoints of 'xy', got '{name}' as well."
                )
        mark = self._copy(track, frame)
        for name, point in said.xy.items():
            k = self.skeleton.index(name)
            mark.xy[k] = self._numbers(point, 2, f"xy['{name}']")
            flag = said.visibility.get(name)
            if flag is not None:
                mark.visibility[k] = self._flag(flag, name)
            elif mark.visibility[k] in (UNMARKED, Visibility.ABSENT):
                mark.visibility[k] = Visibility.VISIBLE
            if mark.visibility[k] == Visibility.ABSENT:
                raise BadCorrection(
                    f"Expected a visible or occluded 'visibility' for '{name}', which has a "
                    "position; got absent."
                )
            mark.origin[k] = Origin.HUMAN
        return {(track, frame): mark}

    def flag(self, said: SetVisibility) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._known(said.track, "track")
        if not said.visibility:
            raise BadCorrection("Expected 'visibility' to name at least one keypoint, got none.")
        mark = self._copy(track, frame)
        for name, flag in said.visibility.items():
            k = self.skeleton.index(name)
            mark.visibility[k] = self._flag(flag, name)
            mark.origin[k] = Origin.HUMAN
            if flag == Visibility.ABSENT:
                mark.xy[k] = np.nan
        return {(track, frame): mark}

    def frame_box(self, said: SetBox) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._id(said.track, "track")
        x1, y1, x2, y2 = box = self._numbers(said.box, 4, "box")
        if x2 <= x1 or y2 <= y1:
            raise BadCorrection(f"Expected 'box' as x1 < x2 and y1 < y2, got {tuple(box)}.")
        mark = self._copy(track, frame)
        mark.box[:] = box
        return {(track, frame): mark}

    def swap(self, said: SwapIdentity) -> dict[Cell, Mark | None]:
        frame = self._frame(said.frame)
        first, second = self._known(said.first, "first"), self._known(said.second, "second")
        if first == second:
            raise BadCorrection(f"Expected 'first' and 'second' to differ, got {first} twice.")
        changed = {**self._moved(first, second, frame), **self._moved(second, first, frame)}
        changed[first, frame] = self._seeded(changed.get((first, frame)), second, frame)
        changed[second, frame] = self._seeded(changed.get((second, frame)), first, frame)
        return changed

    def merge(self, said: MergeIdentity) -> dict[Cell, Mark | None]:
        keep, absorb = self._known(said.keep, "keep"), self._known(said.absorb, "absorb")
        if keep == absorb:
            raise BadCorrection(f"Expected 'keep' and 'absorb' to differ, got {keep} twice.")
        changed: dict[Cell, Mark | None] = {}
        for frame, mark in self.marks.of(absorb).items():
            other = self.marks.get(keep, frame)
            if other is not None and other.human.any() and mark.human.any():
                raise BadCorrection(
                    f"Expected 'keep' {keep} and 'absorb' {absorb} not to be marked on the same "
                    f"frame, got human marks of both on frame {frame}."
                )
            changed[absorb, frame] = None
            changed[keep, frame] = mark if other is None or mark.human.any() else other
        return changed

    def split(self, said: SplitIdentity) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._known(said.track, "track")
        new = self._new(said.new_track)
        changed = {**self._moved(track, new, frame)}
        changed |= dict.fromkeys(self._cells(track, frame))
        changed[new, frame] = self._seeded(changed.get((new, frame)), track, frame)
        changed[track, frame] = self._gone()
        return changed

    def assign(self, said: AssignIdentity) -> dict[Cell, Mark | None]:
        track, new = self._known(said.track, "track"), self._new(said.new_track)
        changed = self._moved(track, new, 0)
        return changed | dict.fromkeys(self._cells(track, 0))

    def remove(self, said: RemovePerson) -> dict[Cell, Mark | None]:
        track, start = self._known(said.track, "track"), self._frame(said.start, "start")
        changed: dict[Cell, Mark | None] = dict.fromkeys(self._cells(track, start))
        if start > 0:
            changed[track, start] = self._gone()
        return changed

    def _copy(self, track: int, frame: int) -> Mark:
        mark = self.marks.get(track, frame) or Mark.blank(len(self.skeleton))
        return Mark(
            xy=mark.xy.copy(),
            visibility=mark.visibility.copy(),
            origin=mark.origin.copy(),
            box=mark.box.copy(),
        )

    def _cells(self, track: int, start: int) -> list[Cell]:
        return [(track, frame) for frame in self.marks.of(track) if frame >= start]

    def _moved(self, source: int, target: int, start: int) -> dict[Cell, Mark | None]:
        """The marks of ``source`` from ``start`` on as those of ``target``, whose own go."""
        changed: dict[Cell, Mark | None] = dict.fromkeys(self._cells(target, start))
        for track, frame in self._cells(source, start):
            changed[target, frame] = self.marks.get(track, frame)
        return changed

    def _seeded(self, mark: Mark | None, source: int, frame: int) -> Mark | None:
        """``mark``, and where it places nothing, what stands in the ledger for ``source``."""
        if source not in self.estimate.track_id:
            return mark
        n = self.estimate.person(source)
        base = mark or Mark.blank(len(self.skeleton))
        xy, flags = self.estimate.xy[frame, n], self.estimate.visibility[frame, n]
        seed = (base.visibility == UNMARKED) & np.isfinite(xy).all(-1)
        return Mark(
            xy=np.where(seed[:, None], xy, base.xy),
            visibility=np.where(seed, flags, base.visibility).astype(np.uint8),
            origin=np.where(seed, Origin.PROPAGATED, base.origin).astype(np.uint8),
            box=base.box,
        )

    def _gone(self) -> Mark:
        mark = Mark.blank(len(self.skeleton))
        mark.visibility[:], mark.origin[:] = Visibility.ABSENT, Origin.HUMAN
        return mark

    def _frame(self, value: int, name: str = "frame") -> int:
        frame = _integer(value, name)
        if not 0 <= frame < self.video.frames:
            raise FrameOutOfRange(
                f"Expected '{name}' to lie in 0 to {self.video.frames - 1}, got {frame}."
            )
        return frame

    def _id(self, value: int, name: str) -> int:
        track = _integer(value, name)
        if not 0 <= track <= LARGEST_TRACK:
            raise BadCorrection(f"Expected '{name}' to lie in 0 to 2**53, got {track}.")
        return track

    def _known(self, value: int, name: str) -> int:
        track = self._id(value, name)
        if track not in self.marks.tracks:
            raise UnknownTrack(f"Expected '{name}' to be one of {self.marks.tracks}, got {track}.")
        return track

    def _new(self, value: int) -> int:
        track = self._id(value, "new_track")
        if track in self.marks.tracks:
            raise BadCorrection(f"Expected 'new_track' to be new, got {track}, which exists.")
        return track

    def _flag(self, value: Visibility, name: str) -> int:
        if isinstance(value, bool) or value not in tuple(Visibility):
            raise BadCorrection(
                f"Expected visibility['{name}'] to be 0 absent, 1 occluded or 2 visible, "
                f"got {value!r}."
            )
        return int(value)

    def _numbers(self, value: object, count: int, name: str) -> NDArray[np.float64]:
        try:
            numbers = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.empty(0)
        if numbers.shape != (count,) or not np.isfinite(numbers).all():
            raise BadCorrection(f"Expected '{name}' to be {count} finite numbers, got {value!r}.")
        size = np.resize([self.video.width, self.video.height], count)
        if (numbers < -FAR_OUTSIDE * size).any() or (numbers > (1 + FAR_OUTSIDE) * size).any():
            raise BadCorrection(
                f"Expected '{name}' within one image size of the {self.video.width} x "
                f"{self.video.height} image, got {tuple(numbers.tolist())}."
            )
        return numbers


def _integer(value: object, name: str) -> int:
    if not isinstance(value, bool):
        try:
            return operator.index(value)  # type: ignore[arg-type]  # that is the question
        except TypeError:
            pass
    raise BadCorrection(f"Expected '{name}' to be an integer, got {value!r}.")
