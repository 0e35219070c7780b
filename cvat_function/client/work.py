"""The path of a command: read, estimate, read again, keep a backup, write, look.

CVAT has no lock and no version of a job's annotations. So nothing is written that was not worked
out from what the server holds at that moment: it is read once more just before the write, and if
anything changed, the work starts anew with what is there now. Afterwards it is read a third time;
a browser that saved in between leaves a second track of the same person, which is merged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cvat_function.client import backup
from cvat_function.client.connection import Server
from cvat_function.client.errors import Conflict
from cvat_function.client.job import Job
from cvat_function.client.labels import SkeletonLabel
from cvat_function.client.persons import Person, Pin, anchors_of, new_identities, read_persons
from cvat_function.client.shapes import with_shapes
from cvat_function.client.tracks import Count, Rules, written_track
from impose_core.errors import FrameOutOfRange
from impose_core.poses import Origin, PoseTracks

TRIES: Final = 6
"""How often the work starts anew because somebody saved meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a command works.

    Attributes:
        start: the first frame that may change, as CVAT counts; None for the job's first.
        last: the last one, included.
        pin: what a human fixed on a frame they touched.
        tolerance: px between the result and what CVAT shows.
        dry_run: write nothing.
        backups: folder.
    """

    start: int | None = None
    last: int | None = None
    pin: Pin = "frame"
    tolerance: float
    dry_run: bool = False
    backups: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command works."""

    server: Server
    job: Job
    label: SkeletonLabel


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a command did.

    Attributes:
        persons: identity and frames shown of everybody.
        count: keyframes.
        written: whether the server holds something new.
        rounds: how often it was worked out.
        nameless: skeleton shapes without an ``id``, which were left out.
        backup: where what was there before is.
        result: poses on the job's frames, as worked out.
    """

    persons: list[str] = field(default_factory=list)
    count: Count = field(default_factory=Count)
    written: bool = False
    rounds: int = 0
    nameless: int = 0
    backup: Path | None = None
    result: PoseTracks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a job holds, as a document of the core with N persons."""

    persons: Sequence[Person]
    anchors: PoseTracks


Estimate = Callable[[Scene], tuple[PoseTracks, NDArray[np.bool_]]]
"""Poses, and the frames on which they may be written: [T], or [T, N] of each person."""


class Numbers:
    """A number for every identity, the same as long as a command runs."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def of(self, identities: Sequence[str]) -> Mapping[str, int]:
        """Numbers of ``identities``, 1, 2, ...; new ones get the next."""
        for identity in identities:
            self._of.setdefault(identity, len(self._of) + 1)
        return self._of


def inside(job: Job, options: Options) -> NDArray[np.bool_]:
    """[T]: the job's frames from ``options.start`` to ``options.last``.

    Raises:
        FrameOutOfRange: if the job has not both, or none between.
    """
    start = job.first if options.start is None else options.start
    last = job.last if options.last is None else options.last
    if not job.first <= start <= last <= job.last:
        raise FrameOutOfRange(
            f"Expected {job.first} <= '--from' <= '--to' <= {job.last} for {job.name}, "
            f"got {start} and {last}."
        )
    mask = np.asarray((job.frames >= start) & (job.frames <= last))
    if not mask.any():
        raise FrameOutOfRange(f"Expected a frame from {start} to {last}, got deleted ones only.")
    return mask


def carry_out(place: Place, options: Options, estimate: Estimate) -> Outcome:
    """Work out ``estimate`` on what the job holds, and write it.

    Raises:
        Conflict: if somebody else changed the job each time. What was written stays valid.
        CvatError: if the server does not answer; running again completes the work.
    """
    outcome, numbers = Outcome(), Numbers()
    for _ in range(TRIES):
        outcome.rounds += 1
        before = place.server.annotations(place.job.number)
        scene, outcome.nameless = read_scene(before, place, options.pin, numbers)
        result, changing = estimate(scene)
        tracks, gone = _planned(scene, result, changing, place, options, outcome)
        copies = [copy for person in scene.persons for copy in person.copies]
        if options.dry_run or not (copies or gone or _differ(tracks, before)):
            return outcome
        now = place.server.annotations(place.job.number)
        if fingerprint(now) != fingerprint(before):
            continue
        if outcome.backup is None:
            outcome.backup = backup.save(
                options.backups, host=place.server.host, job=place.job.number, annotations=now
            )
        place.server.put_tracks(place.job.number, tracks)
        outcome.written = True
        if copies or gone:
            place.server.delete_tracks(place.job.number, [*copies, *gone])
        after = place.server.annotations(place.job.number)
        if not any(person.copies for person in read_persons(after, place.label)):
            return outcome
    raise Conflict(
        f"Expected nobody else to save {place.job.name} meanwhile, got {TRIES} changes in a row.",
        hint="Save and close the job in CVAT, then run the command again.",
    )


def read_scene(
    annotations: Mapping[str, Any], place: Place, pin: Pin, numbers: Numbers
) -> tuple[Scene, int]:
    """Everybody in ``annotations``, and how many skeleton shapes say nothing of who they are."""
    persons, nameless = with_shapes(
        read_persons(annotations, place.label), annotations, place.label
    )
    known = numbers.of([person.identity for person in persons])
    anchors = anchors_of(persons, place.job, place.label, numbers=known, pin=pin)
    return Scene(persons=persons, anchors=anchors), nameless


def fingerprint(annotations: Mapping[str, Any]) -> str:
    """Equal for equal annotations; the server lists attributes and elements in any order."""
    held = {name: annotations.get(name, []) for name in ("shapes", "tracks")}
    return json.dumps(_ordered(held), sort_keys=True)


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(one) for name, one in value.items()}
    if isinstance(value, list):
        items = [_ordered(one) for one in value]
        if items and isinstance(items[0], dict):
            items.sort(key=lambda one: json.dumps(one, sort_keys=True))
        return items
    return value


def _planned(
    scene: Scene,
    result: PoseTracks,
    changing: NDArray[np.bool_],
    place: Place,
    options: Options,
    outcome: Outcome,
) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
    """The tracks to write, and those of persons who are nowhere any more."""
    changing = np.broadcast_to(
        changing if changing.ndim == 2 else changing[:, None], result.visibility.shape[:2]
    )
    outcome.count, outcome.persons, outcome.result = Count(), [], result
    tracks = []
    numbers = dict(zip(scene.anchors.track_id.tolist(), scene.persons, strict=True))
    names = new_identities([person.identity for person in scene.persons])
    for n, number in enumerate(result.track_id.tolist()):
        person = numbers.pop(number, None) or _newcomer(next(names), place.label)
        rules = Rules(inside=changing[:, n], pin=options.pin, tolerance=options.tolerance)
        track = written_track(person, result, n, place.job, place.label, rules, outcome.count)
        if track is not None:
            tracks.append(track)
            outcome.persons.append(person.identity)
    gone = [
        person.track
        for person in numbers.values()
        if person.track is not None and not any(person.said("frame"))
    ]
    return tracks, gone


def _newcomer(identity: str, label: SkeletonLabel) -> Person:
    nothing: tuple[Mapping[int, Any], ...] = tuple({} for _ in label.joints)
    return Person(identity=identity, track=None, joints=nothing, parents={}, confirmed=frozenset())


def _differ(tracks: Sequence[Mapping[str, Any]], before: Mapping[str, Any]) -> bool:
    """Whether ``tracks`` say anything the server does not hold."""
    held = {one.get("id"): one for one in before.get("tracks", ())}
    return any(
        "id" not in track or _content(track) != _content(held[track["id"]]) for track in tracks
    )


def _content(track: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                name: plain(one)
                for name, one in value.items()
                if name not in ("id", "score", "elements", "shapes") or isinstance(one, list)
            }
        return [plain(one) for one in value] if isinstance(value, list) else value

    return json.dumps(_ordered(plain(track)), sort_keys=True)


def moved_joints(scene: Scene, job: Job) -> NDArray[np.bool_]:
    """[T, N, K]: where a human spoke since the last write."""
    index = {t: i for i, t in enumerate(job.frames.tolist())}
    moved = np.zeros(scene.anchors.origin.shape, bool)
    for n, person in enumerate(scene.persons):
        touched = person.touched
        for k, joint in enumerate(person.joints):
            for frame in joint:
                if frame in index and frame in touched:
                    t = index[frame]
                    moved[t, n, k] = scene.anchors.origin[t, n, k] == Origin.HUMAN
    return moved
