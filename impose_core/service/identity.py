"""Who is who: acts on all files of a clip, taken back as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from impose_core.errors import UnknownTrack, UsageError
from impose_core.io.xanylabeling_files import content_of
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.io.xanylabeling_identity import (
    renamed,
    seeded,
    with_gone,
    without,
    without_gone,
)
from impose_core.io.xanylabeling_people import Person, people_of
from impose_core.service.clip import Clip, Labels, free_person
from impose_core.service.errors import BadRequest
from impose_core.service.requests import Displayed, frame_of, new_person_of, person_of
from impose_core.service.runs import is_as_written
from impose_core.service.work import Line, write_frame
from impose_core.skeleton import Skeleton

Changed = dict[int, FrameLabels]


def identified(clip: Clip, body: Mapping[str, Any], displayed: Displayed | None) -> Line:
    """Do the act that ``body`` names, on all files; the answer.

    Raises:
        BadRequest, UnknownTrack, FrameOutOfRange: naming the field; nothing is written.
        UsageError: if a file that may have to change cannot be read.
        OutputError: if a file cannot be written; those before it are, and can be taken back.
    """
    act = body.get("act")
    if not isinstance(act, str) or act not in ACTS:
        raise BadRequest(f"Expected 'act' to be one of {', '.join(ACTS)}, got {act!r:.60}.")
    labels, problems = clip.frames(displayed)
    if problems:
        first = min(problems)
        raise UsageError(
            f"Expected all files to be readable to say who is who, got {len(problems)} that are "
            f"not. {problems[first]}",
            hint="Mend or move that file.",
        )
    after, person = ACTS[act](clip, body, labels)
    return _write_all(clip, act, labels, after, displayed) | {"person": person}


def _write_all(
    clip: Clip, kind: str, before: Labels, after: Changed, displayed: Displayed | None
) -> Line:
    run = clip.runs.begin(kind)
    shown = None if displayed is None else displayed.frame
    answer: Line = {"run": run.name, "written": [], "kept": [], "displayed": None}
    for frame, labels in sorted(after.items()):
        line = write_frame(clip, frame, before[frame], labels, run, shown)
        if line["outcome"] == "displayed":
            answer["displayed"] = {"shapes": line["shapes"], "impose": line["impose"]}
        elif line["outcome"] == "written":
            answer["written"].append(frame)
        elif line["outcome"] == "kept":
            answer["kept"].append({"frame": frame, "reason": line["reason"]})
    return answer


def _swap(clip: Clip, body: Mapping[str, Any], labels: Labels) -> tuple[Changed, None]:
    frame = frame_of(body, len(clip))
    first, second = person_of(body, "first"), person_of(body, "second")
    if first == second:
        raise BadRequest(f"Expected 'first' and 'second' to differ, got {first} twice.")
    _check_known(labels, clip.skeleton, first=first, second=second)
    names = {first: second, second: first}
    after = {t: renamed(labels[t], names, clip.skeleton) for t in range(frame, len(clip))}
    _begin(after, {first, second}, clip.skeleton)
    return after, None


def _split(clip: Clip, body: Mapping[str, Any], labels: Labels) -> tuple[Changed, int]:
    frame, person = frame_of(body, len(clip)), person_of(body)
    new = _new(body, labels)
    _check_known(labels, clip.skeleton, person=person)
    after = {t: renamed(labels[t], {person: new}, clip.skeleton) for t in range(frame, len(clip))}
    if not any(_is_shown(one, new, clip.skeleton) for one in after.values()):
        raise BadRequest(f"Expected 'person' to be there on frame {frame} or later, got {person}.")
    _begin(after, {new}, clip.skeleton)
    after[frame] = with_gone(after[frame], person)
    if frame > 0:  # nobody was there before the split, or both would be
        after[0] = with_gone(labels[0], new)
    return after, new


def _assign(clip: Clip, body: Mapping[str, Any], labels: Labels) -> tuple[Changed, int]:
    person, new = person_of(body), _new(body, labels)
    _check_known(labels, clip.skeleton, person=person)
    return {t: renamed(one, {person: new}, clip.skeleton) for t, one in labels.items()}, new


def _end(clip: Clip, body: Mapping[str, Any], labels: Labels) -> tuple[Changed, None]:
    frame, person = frame_of(body, len(clip)), person_of(body)
    _check_known(labels, clip.skeleton, person=person)
    after = {t: without(labels[t], {person}, clip.skeleton) for t in range(frame, len(clip))}
    if frame > 0:
        after[frame] = with_gone(after[frame], person)
    return after, None


def _merge(clip: Clip, body: Mapping[str, Any], labels: Labels) -> tuple[Changed, None]:
    keep, absorb = person_of(body, "keep"), person_of(body, "absorb")
    if keep == absorb:
        raise BadRequest(f"Expected 'keep' and 'absorb' to differ, got {keep} twice.")
    _check_known(labels, clip.skeleton, keep=keep, absorb=absorb)
    after = {}
    last = max(
        t
        for t, one in labels.items()
        if any(_is_shown(one, i, clip.skeleton) for i in (keep, absorb))
    )
    for t, one in labels.items():
        people = people_of(one, clip.skeleton)
        ours, theirs = (_is_human(people.get(i)) for i in (keep, absorb))
        if ours and theirs:
            raise BadRequest(
                f"Expected 'keep' {keep} and 'absorb' {absorb} not to be placed by a human on "
                f"the same frame, got both on frame {t}."
            )
        both = all(i in people and _is_there(people[i]) for i in (keep, absorb))
        # that one identity is not there says nothing about the person it was all along
        left = without_gone(one, {keep, absorb}) if t <= last else one
        if both:
            left = without(left, {keep if theirs else absorb}, clip.skeleton)
        after[t] = renamed(left, {absorb: keep}, clip.skeleton)
    return after, None


def undone(clip: Clip, name: str | None, displayed: Displayed | None) -> Line:
    """Take a run back: files that are as it left them get their former bytes.

    Raises:
        UnknownRun: if it is not kept.
        OutputError: if a file cannot be written; those before it are as they were.
    """
    name = name or clip.runs.last()
    run = clip.runs.begin("undo", undoes=name)
    shown = None if displayed is None else displayed.frame
    frames = {path.name: index for index, path in enumerate(clip.files)}
    answer: Line = {"run": run.name, "written": [], "kept": [], "displayed": None, "person": None}
    for written in reversed(clip.runs.written(name)):
        frame = frames.get(written.name)
        if frame is None:
            continue
        now = content_of(clip.files[frame])
        if now == written.before:
            continue
        if frame == shown or not is_as_written(now, written):
            answer["kept"].append({"frame": frame, "reason": "changed"})
            continue
        run.write(clip.files[frame], now, written.before)
        answer["written"].append(frame)
    answer["written"].sort()
    return answer


def _begin(after: Changed, persons: set[int], skeleton: Skeleton) -> None:
    """Let estimates go on from where each of ``persons`` is shown first."""
    waiting = set(persons)
    for frame in sorted(after):
        here = {p for p in waiting if _is_shown(after[frame], p, skeleton)}
        if here:
            after[frame] = seeded(after[frame], here, skeleton)
            waiting -= here
        if not waiting:
            return


def _new(body: Mapping[str, Any], labels: Labels) -> int:
    new = new_person_of(body, "new_person")
    if new is None:
        return free_person(list(labels.values()))
    if any(new == shape.person for one in labels.values() for shape in one.shapes):
        raise BadRequest(f"Expected 'new_person' to be new, got {new}, which exists.")
    return new


def _check_known(labels: Labels, skeleton: Skeleton, **persons: int) -> None:
    known: set[int] = set()
    for one in labels.values():
        known |= {i for i, p in people_of(one, skeleton).items() if _is_there(p)}
    for field, person in persons.items():
        if person not in known:
            raise UnknownTrack(f"Expected '{field}' to be one of {sorted(known)}, got {person}.")


def _is_shown(labels: FrameLabels, person: int, skeleton: Skeleton) -> bool:
    found = people_of(labels, skeleton).get(person)
    return found is not None and _is_there(found)


def _is_there(person: Person) -> bool:
    return bool(person.places) or person.rectangle is not None


def _is_human(person: Person | None) -> bool:
    return person is not None and bool(person.pose.human.any())


Act = Callable[[Clip, Mapping[str, Any], Labels], tuple[Changed, int | None]]
ACTS: Final[Mapping[str, Act]] = {
    "swap": _swap,
    "merge": _merge,
    "split": _split,
    "assign": _assign,
    "end": _end,
}
