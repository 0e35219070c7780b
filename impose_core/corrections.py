"""What a human may say about a video: the verbs, and what each does to the marks."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from numbers import Real
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import (
    BadCorrection,
    FrameOutOfRange,
    SkeletonMismatch,
    UnknownKeypoint,
    UnknownTrack,
)
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


def correction_to_json(correction: Correction) -> dict[str, Any]:
    """A correction that :func:`patch_of` accepts, as a JSON object, positions exact."""
    record: dict[str, Any] = {"verb": type(correction).__name__}
    for item in fields(correction):
        value = getattr(correction, item.name)
        if item.name == "xy":
            record["xy"] = {name: [float(v) for v in point] for name, point in value.items()}
        elif item.name == "visibility":
            record["visibility"] = {name: int(flag) for name, flag in value.items()}
        else:
            box = item.name == "box"
            record[item.name] = [float(v) for v in value] if box else operator.index(value)
    return record


def correction_from_json(value: Any) -> Correction:
    """The correction that :func:`correction_to_json` wrote.

    Whether it fits a video and its persons is for :func:`patch_of` to say.

    Raises:
        BadCorrection: if a field is missing, unknown or of another kind; naming it.
    """
    given = dict(_object(value, "correction"))
    name = given.pop("verb", None)
    verbs = {verb.__name__: verb for verb in get_args(Correction)}
    if not isinstance(name, str) or name not in verbs:
        raise BadCorrection(f"Expected 'verb' to be one of {list(verbs)}, got {name!r}.")
    known = fields(verbs[name])
    required = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    unknown, missing = set(given) - {f.name for f in known}, required - set(given)
    if unknown or missing:
        raise BadCorrection(
            f"Expected a {name} to have the fields {[f.name for f in known]}, got "
            f"{'no' if missing else 'an unknown'} '{min(missing or unknown, key=str)}'."
        )
    read = {"xy": _points_from_json, "visibility": _flags_from_json, "box": _box_from_json}
    arguments = {f: read.get(f, _integer)(said, f) for f, said in given.items()}
    correction: Correction = verbs[name](**arguments)
    return correction


def _points_from_json(value: Any, name: str) -> dict[str, tuple[float, float]]:
    points = {k: _finite(v, 2, f"{name}['{k}']") for k, v in _object(value, name).items()}
    return {joint: (x, y) for joint, (x, y) in points.items()}


def _flags_from_json(value: Any, name: str) -> dict[str, Visibility]:
    return {joint: _flag(flag, joint) for joint, flag in _object(value, name).items()}


def _box_from_json(value: Any, name: str) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = _finite(value, 4, name)
    return (x1, y1, x2, y2)


def patch_of(
    correction: Correction,
    marks: Marks,
    *,
    skeleton: Skeleton,
    video: VideoShape,
    estimate: PoseTracks | None,
) -> Patch:
    """What ``correction`` changes in ``marks``; nothing is changed yet.

    ``estimate`` is what stands in the ledger (None: nothing): identity edits carry it over
    where no human placed a joint.

    Applied twice, a correction equals itself applied once: the second patch is empty. Except:
    a second swap brings the human marks back (seeds stay, now each person's own), and a person
    who was merged, split off, renamed or removed altogether is not there to be so again.

    Raises:
        BadCorrection, UnknownTrack, UnknownKeypoint, FrameOutOfRange: naming the field.
    """
    if not isinstance(correction, get_args(Correction)):
        raise BadCorrection(f"Expected a correction, got {correction!r}.")
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
    changed: dict[Cell, Mark | None] = {}
    human: NDArray[np.bool_] = np.equal(tracks.origin, Origin.HUMAN)
    xy, flags = _positions(tracks.xy, tracks.visibility)
    for frame, n in np.argwhere(human.any(-1)).tolist():
        if frame >= video.frames:
            raise FrameOutOfRange(
                f"Expected marks on frames 0 to {video.frames - 1}, got one on frame {frame}."
            )
        cell = (int(tracks.track_id[n]), frame)
        said, box = human[frame, n], tracks.box[frame, n]
        old = marks.get(*cell) or Mark.blank(len(skeleton))
        changed[cell] = Mark(
            xy=np.where(said[:, None], xy[frame, n], old.xy),
            visibility=np.where(said, flags[frame, n], old.visibility).astype(np.uint8),
            origin=np.where(said, Origin.HUMAN, old.origin).astype(np.uint8),
            box=box.copy() if np.isfinite(box).all() else old.box,
        )
    return _patch(marks, changed)


def _positions(
    xy: NDArray[np.float64], visibility: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """``xy`` with NaN wherever a coordinate is missing, and no ``ABSENT`` beside a position."""
    known = np.asarray(np.isfinite(xy).all(-1))
    contradicted = known & (visibility == Visibility.ABSENT)
    flags = np.where(contradicted, Visibility.VISIBLE, visibility).astype(np.uint8)
    return np.where(known[..., None], xy, np.nan), flags


def diff(before: PoseTracks, after: PoseTracks) -> list[Correction]:
    """The corrections that turn one document of a video into another.

    Both must have the same skeleton and number of frames. A joint that moved by less than a
    hundredth of a pixel did not move; one that lost its position is absent. A person without
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
        xy, flags = _positions(tracks.xy[:, n], tracks.visibility[:, n])
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
    estimate: PoseTracks | None

    def move(self, said: MoveKeypoints) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._id(said.track, "track")
        points, flags = _object(said.xy, "xy"), _object(said.visibility, "visibility")
        if not points:
            raise BadCorrection("Expected 'xy' to name at least one keypoint, got none.")
        for name in flags:
            if name not in points:
                raise BadCorrection(
                    f"Expected 'visibility' to flag keypoints of 'xy', got '{name}' as well."
                )
        mark = self._copy(track, frame)
        for name, point in points.items():
            k = self._joint(name, "xy")
            mark.xy[k] = self._near(point, 2, f"xy['{name}']")
            if name in flags:
                mark.visibility[k] = _flag(flags[name], name)
                if mark.visibility[k] == Visibility.ABSENT:
                    raise BadCorrection(
                        f"Expected visibility['{name}'] to be occluded or visible, as 'xy' says "
                        "where it is; got absent."
                    )
            elif not mark.human[k] or mark.absent[k]:
                mark.visibility[k] = Visibility.VISIBLE
            mark.origin[k] = Origin.HUMAN
        return {(track, frame): mark}

    def flag(self, said: SetVisibility) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._known(said.track, "track")
        flags = _object(said.visibility, "visibility")
        if not flags:
            raise BadCorrection("Expected 'visibility' to name at least one keypoint, got none.")
        mark = self._copy(track, frame)
        for name, flag in flags.items():
            k = self._joint(name, "visibility")
            mark.visibility[k] = _flag(flag, name)
            mark.origin[k] = Origin.HUMAN
            if mark.absent[k]:
                mark.xy[k] = np.nan
        return {(track, frame): mark}

    def frame_box(self, said: SetBox) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._id(said.track, "track")
        x1, y1, x2, y2 = box = self._near(said.box, 4, "box")
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
        began = False
        for frame, mark in self.marks.of(absorb).items():
            began = began or not _says_gone(mark)
            if not began:  # "not there yet" says nothing about the one it was all along
                changed[absorb, frame] = None
                continue
            other = self.marks.get(keep, frame) or Mark.blank(len(self.skeleton))
            if _is_human(other) and _is_human(mark):
                raise BadCorrection(
                    f"Expected 'keep' {keep} and 'absorb' {absorb} not to be marked on the same "
                    f"frame, got human marks of both on frame {frame}."
                )
            changed[absorb, frame] = None
            yields = other.is_blank or (_says_gone(other) and not _says_gone(mark))
            changed[keep, frame] = mark if yields or _is_human(mark) else other
        return changed

    def split(self, said: SplitIdentity) -> dict[Cell, Mark | None]:
        frame, track = self._frame(said.frame), self._known(said.track, "track")
        new = self._new(said.new_track)
        changed = {**self._moved(track, new, frame)}
        changed |= dict.fromkeys(self._cells(track, frame))
        changed[new, frame] = self._seeded(changed.get((new, frame)), track, frame)
        changed[track, frame] = self._gone()
        if frame > 0:  # nobody was there before the split, or both would be
            changed[new, 0] = self._gone()
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
        if self.estimate is None or source not in self.estimate.track_id:
            return mark
        n = self.estimate.person(source)
        base = mark or Mark.blank(len(self.skeleton))
        xy, flags = self.estimate.xy[frame, n], self.estimate.visibility[frame, n]
        there = np.isfinite(xy).all(-1) & (flags != Visibility.ABSENT)
        seed = there & ~base.placed & ~base.absent
        silent = seed & (base.visibility == UNMARKED)  # a human's flag holds on a seed too
        return Mark(
            xy=np.where(seed[:, None], xy, base.xy),
            visibility=np.where(silent, flags, base.visibility).astype(np.uint8),
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

    def _joint(self, name: str, where: str) -> int:
        try:
            return self.skeleton.index(name)
        except UnknownKeypoint as error:
            raise UnknownKeypoint(f"In '{where}': {error.message}", hint=error.hint) from None

    def _near(self, value: object, count: int, name: str) -> list[float]:
        numbers = _finite(value, count, name)
        for number, size in zip(numbers, (self.video.width, self.video.height) * 2, strict=False):
            if not -FAR_OUTSIDE * size <= number <= (1 + FAR_OUTSIDE) * size:
                raise BadCorrection(
                    f"Expected '{name}' within one image size of the {self.video.width} x "
                    f"{self.video.height} image, got {tuple(numbers)}."
                )
        return numbers


def _says_gone(mark: Mark) -> bool:
    """True if all that a mark says is that nobody is there."""
    return bool(mark.absent.all() and np.isnan(mark.box).all())


def _is_human(mark: Mark) -> bool:
    """True if a human pointed at somebody: a joint or a box. "All gone" points at nobody."""
    return bool((mark.human.any() or np.isfinite(mark.box).all()) and not _says_gone(mark))


def _object(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise BadCorrection(f"Expected '{name}' to map names to values, got {value!r}.")
    return value


def _flag(value: object, joint: str) -> Visibility:
    try:
        return Visibility(_integer(value, joint))
    except (BadCorrection, ValueError):
        raise BadCorrection(
            f"Expected visibility['{joint}'] to be 0 absent, 1 occluded or 2 visible, "
            f"got {value!r}."
        ) from None


def _finite(value: object, count: int, name: str) -> list[float]:
    """``count`` finite numbers; text and truth values, which numpy would convert, are none."""
    parts = list(value) if isinstance(value, Sequence | np.ndarray) else []
    if len(parts) == count and all(isinstance(v, Real) and not isinstance(v, bool) for v in parts):
        try:
            numbers = [float(v) for v in parts]
        except OverflowError:  # an integer beyond any float
            numbers = [np.inf]
        if np.isfinite(numbers).all():
            return numbers
    raise BadCorrection(f"Expected '{name}' to be {count} finite numbers, got {value!r}.")


def _integer(value: object, name: str) -> int:
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)  # type: ignore[arg-type]  # that is the question
        except TypeError:
            pass
    raise BadCorrection(f"Expected '{name}' to be an integer, got {value!r}.")
