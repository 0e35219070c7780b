"""The persons of a job: its skeleton tracks, and what of them humans said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cvat_function.client.errors import BadJob
from cvat_function.client.job import Job
from cvat_function.client.labels import MANUAL, SkeletonLabel
from cvat_function.client.record import ESTIMATE, HUMAN, SEED, codes_of, joint_code
from impose_core.poses import Origin, PoseTracks, Visibility

SAME_PLACE: Final = 0.01
"""Pixels: a joint nearer to where CVAT showed it was not moved."""

Pin = Literal["frame", "moved"]
"""What a human fixes on a frame they touched: the whole body, as CVAT's own keyframe does, or the
joints they moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """A joint on a frame, as CVAT has it; ``kind`` is None if nothing here wrote it so."""

    shape: Mapping[str, Any]
    kind: str | None

    @property
    def xy(self) -> tuple[float, float]:
        """Pixels."""
        x, y = self.shape["points"][:2]
        return float(x), float(y)

    @property
    def state(self) -> Visibility:
        """Outside is absent."""
        if self.shape.get("outside"):
            return Visibility.ABSENT
        return Visibility.OCCLUDED if self.shape.get("occluded") else Visibility.VISIBLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A skeleton track.

    Attributes:
        identity: text by which CVAT's users know them.
        track: as CVAT has it; None if nobody there knows them yet.
        copies: older tracks of the same person, which a browser left behind.
        joints: keyframes by frame, of each joint.
        parents: the skeleton's own keyframes, by frame.
        confirmed: frames that a human took as they are: they set the keyframe of the whole
            skeleton, or its ``origin``.
    """

    identity: str
    track: Mapping[str, Any] | None
    copies: tuple[Mapping[str, Any], ...] = ()
    joints: tuple[Mapping[int, Keyframe], ...]
    parents: Mapping[int, Mapping[str, Any]]
    confirmed: frozenset[int]

    @property
    def begin(self) -> int | None:
        """The first frame on which CVAT shows them."""
        return min((t for joint in self.joints for t in joint), default=None)

    @property
    def touched(self) -> frozenset[int]:
        """Frames a human changed since the last write."""
        new = {t for joint in self.joints for t, one in joint.items() if one.kind is None}
        return frozenset(new | self.confirmed)

    def said(self, pin: Pin) -> tuple[frozenset[int], ...]:
        """For each joint the frames of its keyframes that are a human's word."""
        touched = self.touched
        return tuple(self._said(k, pin, touched) for k in range(len(self.joints)))

    def _said(self, joint: int, pin: Pin, touched: frozenset[int]) -> frozenset[int]:
        knots = self.joints[joint]
        if pin == "frame":
            return frozenset(t for t, one in knots.items() if one.kind == HUMAN or t in touched)
        ours = {t: one for t, one in knots.items() if one.kind is not None}
        return frozenset(
            t
            for t, one in knots.items()
            if one.kind == HUMAN
            or t in self.confirmed
            or (one.kind is None and _moved(one, t, ours))
        )

    def shown(self, joint: int, frames: NDArray[np.int64], deleted: frozenset[int]) -> Shown:
        """Where CVAT shows ``joint`` on ``frames``."""
        knots = {t: k for t, k in self.joints[joint].items() if t not in deleted}
        return shown(knots, frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """``xy`` [T, 2] px, also of what is outside, NaN before the first keyframe; ``state`` [T]."""

    xy: NDArray[np.float64]
    state: NDArray[np.uint8]


def shown(knots: Mapping[int, Keyframe], frames: NDArray[np.int64]) -> Shown:
    """Linear between keyframes, still after the last, its state that of the one before it."""
    if not knots:
        return Shown(xy=np.full((len(frames), 2), np.nan), state=np.zeros(len(frames), np.uint8))
    listed = np.array(sorted(knots))
    xy = np.array([knots[t].xy for t in listed.tolist()])
    states = np.array([knots[t].state for t in listed.tolist()], np.uint8)
    before = np.searchsorted(listed, frames, side="right") - 1
    after = np.minimum(before + 1, len(listed) - 1)
    gap = np.maximum(listed[after] - listed[before], 1)
    share = np.clip((frames - listed[before]) / gap, 0, 1)[:, None]
    there = before >= 0
    moved = xy[before] + (xy[after] - xy[before]) * share
    return Shown(
        xy=np.where(there[:, None], moved, np.nan),
        state=np.where(there, states[before], Visibility.ABSENT).astype(np.uint8),
    )


def read_persons(annotations: Mapping[str, Any], label: SkeletonLabel) -> list[Person]:
    """Everybody with a track of ``label``, in the order of the tracks.

    Raises:
        BadJob: if two tracks that are not copies of each other have one identity.
    """
    tracks = [one for one in annotations.get("tracks", ()) if one["label_id"] == label.number]
    tracks.sort(key=lambda one: int(one.get("id") or 0))
    found: dict[str, Person] = {}
    nameless = []
    for track in tracks:
        person = _person(track, label)
        if not person.identity:
            nameless.append(person)
        elif person.identity in found:
            found[person.identity] = _merged(found[person.identity], person, label)
        else:
            found[person.identity] = person
    names = new_identities(found)
    named = [replace(person, identity=next(names)) for person in nameless]
    return sorted([*found.values(), *named], key=lambda p: int((p.track or {}).get("id") or 0))


def new_identities(taken: Iterable[str]) -> Iterator[str]:
    """1, 2, ... as text, without those ``taken``."""
    used = set(taken)
    number = 0
    while True:
        number += 1
        if str(number) not in used:
            yield str(number)


def anchors_of(
    persons: Sequence[Person], job: Job, label: SkeletonLabel, *, numbers: Mapping[str, int],
    pin: Pin,
) -> PoseTracks:  # fmt: skip
    """What is shown of ``persons`` as a document of the core, on the frames of ``job``.

    Origins: ``HUMAN`` where a human spoke, ``DETECTED`` at seeds, ``PROPAGATED`` elsewhere.
    """
    tracks = PoseTracks.empty(
        frames=len(job.frames),
        track_id=[numbers[person.identity] for person in persons],
        skeleton=label.skeleton,
    )
    index = {t: i for i, t in enumerate(job.frames.tolist())}
    for n, person in enumerate(persons):
        said = person.said(pin)
        for k, joint in enumerate(person.joints):
            now = person.shown(k, job.frames, job.deleted)
            there = now.state != Visibility.ABSENT
            tracks.xy[there, n, k] = now.xy[there]
            tracks.visibility[:, n, k] = now.state
            tracks.origin[there, n, k] = Origin.PROPAGATED
            for frame, one in joint.items():
                if frame in index and frame in said[k]:
                    tracks.origin[index[frame], n, k] = Origin.HUMAN
                elif frame in index and one.kind == SEED and one.state != Visibility.ABSENT:
                    tracks.origin[index[frame], n, k] = Origin.DETECTED
    return tracks


def attribute(values: Iterable[Mapping[str, Any]], spec: int | None) -> str:
    """The value of attribute ``spec``; empty if there is none."""
    return next((str(one["value"]) for one in values if one["spec_id"] == spec), "")


def _person(track: Mapping[str, Any], label: SkeletonLabel) -> Person:
    parents = {int(shape["frame"]): shape for shape in track["shapes"]}
    count = len(label.joints)
    lines: dict[int, tuple[str | None, ...]] = {}
    confirmed = set()
    for frame, shape in parents.items():
        values = shape.get("attributes", ())
        origin = attribute(values, label.specs.get("origin")) or MANUAL
        codes = codes_of(attribute(values, label.specs.get("impose")), frame, origin, count)
        if codes is None:
            confirmed.add(frame)
        else:
            lines[frame] = codes
    joints: list[dict[int, Keyframe]] = [{} for _ in label.joints]
    for element in track.get("elements", ()):
        if element["label_id"] not in label.joints:
            continue
        k = label.joints.index(element["label_id"])
        for shape in element["shapes"]:
            frame = int(shape["frame"])
            code = lines[frame][k] if frame in lines else None
            joints[k][frame] = Keyframe(
                shape=shape, kind=_kind(shape, frame, label.joints[k], code)
            )
    return Person(
        identity=attribute(track.get("attributes", ()), label.specs.get("id")).strip(),
        track=track,
        joints=tuple(joints),
        parents=parents,
        confirmed=frozenset(confirmed),
    )


def _kind(shape: Mapping[str, Any], frame: int, joint: int, code: str | None) -> str | None:
    if code is None:
        return None
    x, y = shape["points"][:2]
    said = joint_code(
        code[0],
        frame,
        joint,
        (float(x), float(y)),
        outside=bool(shape.get("outside")),
        occluded=bool(shape.get("occluded")),
    )
    return code[0] if said == code else None


def _merged(older: Person, newer: Person, label: SkeletonLabel) -> Person:
    """Both as one: a browser that saved over a write leaves two tracks of one person.

    Of two keyframes of one joint on one frame the one that nothing here has seen yet counts,
    then the one known to be a human's, then the newer.
    """
    if not _same_history(older, newer):
        raise BadJob(
            f"Expected the persons of label {label.name!r} to have different attributes 'id', "
            f"got {newer.identity!r} for tracks {(older.track or {}).get('id')} and "
            f"{(newer.track or {}).get('id')}.",
            hint="Give one of them another 'id' in CVAT, save, and run again.",
        )
    joints = []
    for old, new in zip(older.joints, newer.joints, strict=True):
        both = dict(new)
        for frame, one in old.items():
            if _rank(one) > max(_rank(both.get(frame)), 0):
                both[frame] = one
        joints.append(both)
    copies = (*older.copies, *((older.track,) if older.track is not None else ()))
    return replace(
        newer,
        copies=copies,
        joints=tuple(joints),
        parents={**older.parents, **newer.parents},
        confirmed=older.confirmed | newer.confirmed,
    )


def _moved(one: Keyframe, frame: int, ours: Mapping[int, Keyframe]) -> bool:
    """CVAT's interface gives every joint a keyframe when one is dragged."""
    if not ours:
        return True
    there = shown(ours, np.array([frame]))
    if there.state[0] != one.state:
        return True
    away = np.linalg.norm(there.xy[0] - np.array(one.xy))
    return bool(one.state != Visibility.ABSENT and not away <= SAME_PLACE)


def _rank(one: Keyframe | None) -> int:
    if one is None:
        return -1
    return {None: 2, HUMAN: 1, SEED: 0, ESTIMATE: 0}[one.kind]


def _same_history(a: Person, b: Person) -> bool:
    """Whether both hold a keyframe of one and the same write."""
    return any(
        one.kind in (HUMAN, SEED)
        and frame in other
        and other[frame].kind == one.kind
        and other[frame].shape["points"] == one.shape["points"]
        for mine, other in zip(a.joints, b.joints, strict=True)
        for frame, one in mine.items()
    )
