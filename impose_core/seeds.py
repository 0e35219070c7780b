"""What detected identities leave in the marks: seeds, few, sure and never over a human's word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.association import Tracklet, Word
from impose_core.bank import Sighting
from impose_core.corrections.changes import Changes
from impose_core.corrections.pose_acts import SEEDS_YIELD
from impose_core.marks import UNMARKED, Mark, Marks, Patch
from impose_core.poses import Origin, Visibility

NEAREST: Final = 8
"""Frames between two seeds at least ..."""
FARTHEST: Final = 16
"""... and at most, where somebody is seen."""
LEAST_JOINT: Final = 0.3
"""Score below which a joint is left unplaced."""
LEFT: Final = 45
"""Frames unseen after which a person has left, until he is seen again."""
JUMP: Final = 0.15
"""Body sizes: a joint further from the way between the sightings before and after is left out."""
JUMP_WITHIN: Final = 6
"""Frames those are away at most."""
CROWDED: Final = 0.5
"""Of the quality of a sighting, taken by somebody in the same place."""


def words_of(marks: Marks) -> list[Word]:
    """What the marks say about who is where: points, and seeds of edits and of the detector."""
    words = []
    for (track, frame), mark in marks.items():
        if mark.placed.any():
            firm = bool((mark.placed & (mark.origin != Origin.DETECTED)).any())
            words.append(Word(frame=frame, person=track, xy=mark.xy, firm=firm))
    return words


def removed_words(acts: Sequence[Patch], marks: Marks) -> list[Word]:
    """Who a human removed altogether, with negative ids: nobody is to be found there again.

    An act that leaves a person nothing and gives it to nobody has removed him. One after which
    nobody at all is left, of several, was a new beginning.
    """
    words: list[Word] = []
    now = Marks(marks.keypoints)
    removed = 0
    for act in acts:
        before = set(now.tracks)
        now.apply(act)
        gone = before - set(now.tracks)
        only_took = all(after is None for _, after in act.values())
        if not only_took or (not now.tracks and len(gone) > 1):
            continue
        for track in sorted(gone):
            removed += 1
            words += [
                Word(frame=frame, person=-removed, xy=mark.xy, firm=False)
                for (of, frame), (mark, _) in act.items()
                if of == track and mark is not None and mark.placed.any()
            ]
    return words


def seeded(
    persons: Sequence[Tracklet], marks: Marks, *, frames: Sequence[int]
) -> tuple[Changes, list[int]]:
    """The marks with the seeds of ``persons`` in place of all earlier ones.

    Args:
        persons: of :func:`impose_core.association.joined`; negative ids leave nothing.
        marks: as they are; human points in them stay, and keep seeds of their joints away.
        frames: that were looked at, ascending.

    Returns:
        What changes, and the id of each of ``persons``.
    """
    ids: list[int] = []
    changes: Changes = {cell: _unseeded(mark) for cell, mark in marks.items() if _seeds(mark).any()}
    bare = marks.copy()
    bare.apply({cell: (marks.get(*cell), mark) for cell, mark in changes.items()})
    taken = {p.person for p in persons} | set(marks.tracks)
    new = iter(i for i in range(1, 2 + len(persons) + len(taken)) if i not in taken)
    for person in persons:
        track = next(new) if person.person is None else person.person
        ids.append(track)
        if track < 0:  # removed by a human
            continue
        others = [p for p in persons if p is not person]
        for frame, seed in _seeds_of(person, others, frames, marks.keypoints):
            base = bare.get(track, frame) or Mark.blank(marks.keypoints)
            changes[track, frame] = _laid(seed, base, _free(marks, track, frame))
    return changes, ids


def _seeds_of(
    person: Tracklet, others: Sequence[Tracklet], frames: Sequence[int], keypoints: int
) -> Iterator[tuple[int, Mark]]:
    sightings = [s for s in person.sightings if s.seen]
    if not sightings:
        return
    if person.sightings[0].frame > frames[0]:
        yield 0, _gone(keypoints)
    every = [s.frame for s in person.sightings]
    nexts = [*every[1:], None]
    for frame, following in zip(every, nexts, strict=True):
        later = [t for t in frames if t > frame]
        left = later and (following is None or following - frame > LEFT)
        if left and (following is None or later[0] < following):
            yield later[0], _gone(keypoints)
    for i in _picked(sightings, person, others):
        yield sightings[i].frame, _seed(sightings, i)


def _picked(
    sightings: Sequence[Sighting], person: Tracklet, others: Sequence[Tracklet]
) -> list[int]:
    """Which sightings become seeds: the first, the last, and the best ones between."""
    quality = [_quality(s, person, others) for s in sightings]
    picked, last = [0], len(sightings) - 1
    while picked[-1] < last:
        begun = sightings[picked[-1]].frame
        ahead = range(picked[-1] + 1, last + 1)
        due = [i for i in ahead if NEAREST <= sightings[i].frame - begun <= FARTHEST]
        if due:
            picked.append(max(due, key=lambda i: (quality[i], -i)))
        else:
            beyond = [i for i in ahead if sightings[i].frame - begun > FARTHEST]
            picked.append(beyond[0] if beyond else last)
    return picked


def _quality(sighting: Sighting, person: Tracklet, others: Sequence[Tracklet]) -> float:
    """How sure and alone a body is."""
    crowd = 0.0
    for other in others:
        for s in other.sightings:
            if s.frame == sighting.frame:
                both = s.speaks & sighting.speaks
                if both.any():
                    off = np.median(np.linalg.norm(s.xy[both] - sighting.xy[both], axis=-1))
                    crowd = max(crowd, float(np.exp(-((off / sighting.size) ** 2) / 2)))
    doubt = person.doubts.get(sighting.frame, 0.0)
    return float(sighting.score.mean()) * (1 - CROWDED * crowd) * (1 - doubt)


def _seed(sightings: Sequence[Sighting], i: int) -> Mark:
    now = sightings[i]
    placed = (now.score >= LEAST_JOINT) & np.isfinite(now.xy).all(-1)
    if 0 < i < len(sightings) - 1:
        before, after = sightings[i - 1], sightings[i + 1]
        if max(now.frame - before.frame, after.frame - now.frame) <= JUMP_WITHIN:
            share = (now.frame - before.frame) / (after.frame - before.frame)
            way = before.xy + share * (after.xy - before.xy)
            both = before.speaks & after.speaks
            off = np.linalg.norm(np.where(both[:, None], now.xy - way, 0.0), axis=-1)
            around = np.linalg.norm(np.where(both[:, None], after.xy - before.xy, 0.0), axis=-1)
            placed &= off <= np.maximum(JUMP * now.size, around)
    mark = Mark.blank(len(now.xy))
    mark.xy[placed] = now.xy[placed]
    mark.visibility[placed], mark.origin[placed] = Visibility.VISIBLE, Origin.DETECTED
    return mark


def _gone(keypoints: int) -> Mark:
    mark = Mark.blank(keypoints)
    mark.visibility[:], mark.origin[:] = Visibility.ABSENT, Origin.DETECTED
    return mark


def _free(marks: Marks, track: int, frame: int) -> NDArray[np.bool_]:
    """[K]: joints of which no human word holds on ``frame`` or is near."""
    near, gone = np.zeros((2, marks.keypoints), bool)
    for t, mark in marks.of(track).items():
        if abs(t - frame) <= SEEDS_YIELD:
            near |= mark.human & mark.placed
        if t == frame:
            near |= (mark.visibility != UNMARKED) & ~_seeds(mark)
        if t <= frame:  # gone until the joint's next mark
            gone = (gone | (mark.absent & ~_seeds(mark))) & ~mark.placed
    return np.asarray(~near & ~gone)


def _laid(seed: Mark, base: Mark, free: NDArray[np.bool_]) -> Mark:
    """``seed`` under ``base``: where the joint is ``free``."""
    new = free & (seed.visibility != UNMARKED)
    return Mark(
        xy=np.where(new[:, None], seed.xy, base.xy),
        visibility=np.where(new, seed.visibility, base.visibility).astype(np.uint8),
        origin=np.where(new, seed.origin, base.origin).astype(np.uint8),
        box=base.box,
    )


def _seeds(mark: Mark) -> NDArray[np.bool_]:
    return np.asarray(mark.origin == Origin.DETECTED)


def _unseeded(mark: Mark) -> Mark:
    seeds = _seeds(mark)
    return Mark(
        xy=np.where(seeds[:, None], np.nan, mark.xy),
        visibility=np.where(seeds, UNMARKED, mark.visibility).astype(np.uint8),
        origin=np.where(seeds, Origin.NONE, mark.origin).astype(np.uint8),
        box=mark.box,
    )
