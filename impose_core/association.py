"""Who is who: bodies seen on single frames become identities through time.

Forward in time, frame by frame: the joints of everybody known so far are followed by the point
tracker to the next frame that was looked at, and the bodies seen there are given to those whose
joints arrived on them (an assignment over pose, limbs and clothes). Who finds no body for a
while is lost; a body that is nobody's is a newborn. Then over the whole video: where one
tracklet ends and another begins, they are one if motion from both sides, limbs and clothes
agree. What a human said about who is who on a frame holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.bank import Identity, Sighting, likeness, motion_of
from impose_core.geometry import robust_similarity
from impose_core.points import PointTracker

Floats = NDArray[np.float64]

REACH: Final = 0.2
"""Body sizes, one sigma: how far a joint is seen from where it was followed to ..."""
REACH_UNSEEN: Final = 0.02
"""... and how much that grows with every frame on which nobody was seen there."""
LEAST: Final = 0.1
"""Similarity below which a body is somebody else's."""
DOUBT: Final = 0.7
"""Logarithm: two ways to assign that differ by less are doubtful."""
LOOKS_COUNT: Final = 0.7
"""Share of a similarity that limbs and clothes can take away: light changes, people turn."""
LOST: Final = 15
"""Frames without a body after which a tracklet ends."""
JOIN: Final = 90
"""Frames a person may be out of sight and still be the same one."""
JOIN_REACH: Final = 0.4
"""Body sizes, one sigma, between where two tracklets' motions lead ..."""
JOIN_UNSEEN: Final = 0.03
"""... and how much that grows with every frame between them."""
LEAST_JOIN: Final = 0.15
"""Similarity below which two tracklets are two persons."""
SAME: Final = 0.15
"""Body sizes: a joint so near to the same joint of another body, or its mirror image, is it."""
ECHO: Final = 0.4
"""Share of such joints from which a body nobody waits for is no newborn (measured on
human_dance17)."""
FEWEST: Final = 3
"""Sightings (of those the video allows) below which a track is spurious."""
SELDOM: Final = 0.2
"""Share of the looks between a track's ends below which it is spurious too."""
LOST_ERROR: Final = 0.06
"""Body sizes: a round trip that misses its start by more has lost the joint."""
SCALE_PER_STEP: Final = (0.7, 1.4)
_FORBIDDEN: Final = -1e6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Word:
    """What is known of who is where: ``person`` has these joints on ``frame``.

    Attributes:
        frame: where.
        person: who.
        xy: float64 [K, 2] pixels, NaN where nothing was said.
        firm: a human said so: it holds even where no body was seen.
    """

    frame: int
    person: int
    xy: Floats
    firm: bool


@dataclass(slots=True, eq=False)
class Tracklet:
    """An identity as far as it was followed.

    Attributes:
        known: what is remembered of it.
        at: float64 [K, 2]: where its joints are by now, NaN where unknown.
        last_seen: frame.
        doubts: frame -> 0 to 1, how near it was to be somebody else from there on.
    """

    known: Identity
    at: Floats
    last_seen: int
    doubts: dict[int, float] = field(default_factory=dict)

    @property
    def person(self) -> int | None:
        """Who a human said it is."""
        return self.known.person

    @property
    def sightings(self) -> list[Sighting]:
        """In order."""
        return self.known.sightings

    @property
    def first(self) -> int:
        """The first frame."""
        return self.sightings[0].frame

    @classmethod
    def begun(cls, body: Sighting) -> Tracklet:
        """The identity of a newborn."""
        return cls(known=Identity.of([body], body.person), at=_pose(body), last_seen=body.frame)

    def add(self, body: Sighting, doubt: float) -> None:
        """``body`` is this one too, later than all before; a human's word names all of it."""
        if body.person is not None:
            self.known.person = body.person
        self.known.add(body)
        self.at, self.last_seen = _pose(body), body.frame
        if doubt > 0:
            self.doubts[body.frame] = doubt


class Associator(Protocol):
    """Tells who is who, look by look. Same input, same identities; it holds no images.

    What a human said (``words``) must hold: a body that is somebody's by a word gets that person's
    identity and nobody else does, and a firm word that no body fits is a body of its own.
    """

    def carry(self, source: Any, target: Any, tracker: PointTracker) -> None:
        """The video goes on by one frame, from one encoded image to the next."""
        ...

    def step(self, frame: int, sightings: Sequence[Sighting], words: Iterable[Word] = ()) -> None:
        """Give the bodies of ``frame`` (later than all before) to identities."""
        ...

    def tracklets(self) -> list[Tracklet]:
        """All identities, by first frame."""
        ...


class Association:
    """The :class:`Associator` that goes by geometry: where joints are followed to, and looks.

    Args:
        mirrored: int64 [K], for each joint the one on the other side.
    """

    def __init__(self, mirrored: NDArray[np.intp]) -> None:
        self._mirrored = mirrored
        self._open: list[Tracklet] = []
        self._closed: list[Tracklet] = []
        self._frame = -1

    def carry(self, source: Any, target: Any, tracker: PointTracker) -> None:
        """Follow everybody's joints by one frame, from one encoded image to the next."""
        following = [t for t in self._open if t.last_seen == self._frame]
        known = [np.asarray(np.isfinite(t.at).all(-1)) for t in following]
        points = [t.at[k] for t, k in zip(following, known, strict=True)]
        count = np.cumsum([0, *(len(p) for p in points)])
        steps = tracker.step(source, target, np.concatenate([np.empty((0, 2)), *points]))
        for i, tracklet in enumerate(following):
            part = slice(count[i], count[i + 1])
            _move(tracklet.at, known[i], steps.xy[part], steps.error[part])
        for tracklet in self._open:
            if tracklet.last_seen != self._frame:  # hidden: what is seen there is somebody else
                tracklet.at += tracklet.known.motion

    def step(self, frame: int, sightings: Sequence[Sighting], words: Iterable[Word] = ()) -> None:
        """Give the bodies of ``frame`` (later than all before) to the tracklets."""
        bodies = labelled(sightings, [w for w in words if w.frame == frame])
        forced = self._forced(bodies)
        free = [b for b in range(len(bodies)) if b not in forced.values()]
        waiting = [t for t in range(len(self._open)) if t not in forced]
        similar = np.array(
            [[self._similarity(self._open[t], bodies[b], frame) for b in free] for t in waiting]
        ).reshape(len(waiting), len(free))
        pairs = assigned(similar)
        doubts = doubts_of(similar, pairs)
        for t, b in forced.items():
            self._open[t].add(bodies[b], 0.0)
        for (t, b), doubt in zip(pairs, doubts, strict=True):
            self._open[waiting[t]].add(bodies[free[b]], doubt)
        taken = {free[b] for _, b in pairs} | set(forced.values())
        for b in sorted(set(range(len(bodies))) - taken, key=lambda b: -bodies[b].score.mean()):
            body, there = bodies[b], [bodies[o] for o in sorted(taken)]
            if body.person is not None or not self._is_echo(body, there):
                taken.add(b)
                self._open.append(Tracklet.begun(body))
        self._closed += [t for t in self._open if frame - t.last_seen >= LOST]
        self._open = [t for t in self._open if frame - t.last_seen < LOST]
        self._frame = frame

    def _is_echo(self, body: Sighting, others: Sequence[Sighting]) -> bool:
        """Whether ``body`` shares so much with one of ``others`` that it is no newborn."""
        speaks = body.speaks
        for other in others:
            reach = SAME * min(body.size, other.size)
            shared = np.zeros(len(speaks), bool)
            for order in (np.arange(len(speaks)), self._mirrored):
                off = np.linalg.norm(body.xy[order] - other.xy, axis=-1)
                shared |= speaks[order] & other.speaks & (off < reach)
            if shared.sum() >= ECHO * max(min(speaks.sum(), other.speaks.sum()), 1):
                return True
        return False

    def tracklets(self) -> list[Tracklet]:
        """All of them, by first frame."""
        return by_first_frame(self._closed + self._open)

    def _forced(self, bodies: Sequence[Sighting]) -> dict[int, int]:
        """Tracklet -> body, where a human said who the body is and he is followed already."""
        of = {t.person: i for i, t in enumerate(self._open) if t.person is not None}
        return {of[b.person]: i for i, b in enumerate(bodies) if b.person in of}

    def _similarity(self, tracklet: Tracklet, body: Sighting, frame: int) -> float:
        # a tracklet a human named is only given bodies he may have
        if None not in (tracklet.person, body.person) and tracklet.person != body.person:
            return 0.0
        unseen = frame - tracklet.sightings[-1].frame if tracklet.last_seen != self._frame else 0
        reach = REACH + REACH_UNSEEN * unseen
        near = pose_similarity(tracklet.at, body, tracklet.sightings[-1].size, reach)
        known = tracklet.known
        alike = likeness((known.limbs, body.limbs), (known.colour, body.colour))
        return near * (LOOKS_COUNT * alike + 1 - LOOKS_COUNT)


def pose_similarity(at: Floats, body: Sighting, size: float, reach: float) -> float:
    """How near the joints ``at`` [K, 2] are to those of ``body``, 0 to 1.

    Args:
        at: pixels.
        body: what was seen.
        size: pixels, of the body that was followed.
        reach: body sizes, one sigma.
    """
    both = np.isfinite(at).all(-1) & body.speaks
    if not both.any():
        return 0.0
    scale = reach * min(max(size, body.size / 2), 2 * body.size)
    squared = ((at[both] - body.xy[both]) ** 2).sum(-1) / scale**2
    return float(np.average(np.exp(-squared / 2), weights=body.score[both]))


def assigned(similar: Floats) -> list[tuple[int, int]]:
    """The pairs (row, column) of ``similar`` [A, B] that are most similar together."""
    if not similar.size:
        return []
    gain = np.where(similar >= LEAST, np.log(np.maximum(similar, LEAST) / LEAST) + 1e-6, 0.0)
    rows, columns = linear_sum_assignment(-gain)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(r, c) for r, c in pairs if similar[r, c] >= LEAST]


def doubts_of(similar: Floats, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """For each pair, 0 to 1: how nearly as good it would be to swap it with another."""
    doubts = [0.0] * len(pairs)
    for i, j in combinations(range(len(pairs)), 2):
        (a, b), (c, d) = pairs[i], pairs[j]
        swapped = similar[a, d], similar[c, b]
        if min(swapped) < LEAST:
            continue
        margin = np.log(similar[a, b] * similar[c, d] / (swapped[0] * swapped[1]))
        doubt = float(np.clip(1 - margin / DOUBT, 0.0, 1.0))
        doubts[i], doubts[j] = max(doubts[i], doubt), max(doubts[j], doubt)
    return doubts


def joined(tracklets: Sequence[Tracklet], *, looks: Sequence[int]) -> list[Tracklet]:
    """The persons of a video: tracklets put end to end, without the spurious ones.

    Args:
        tracklets: of :meth:`Association.tracklets`.
        looks: frames that were looked at, ascending.
    """
    chains: list[list[int]] = [[i] for i in range(len(tracklets))]
    whose = list(range(len(tracklets)))
    links = [
        (1.0, i, j)
        for i, j in combinations(range(len(tracklets)), 2)
        if tracklets[i].person is not None and tracklets[i].person == tracklets[j].person
    ]
    for i, first in enumerate(tracklets):
        for j, second in enumerate(tracklets):
            similar = _join_similarity(first, second)
            if similar >= LEAST_JOIN:
                links.append((min(similar, 0.999), i, j))
    for similar, i, j in sorted(links, key=lambda link: (-link[0], link[1], link[2])):
        a, b = whose[i], whose[j]
        if a == b or (similar < 1 and not _may_join(tracklets, chains[a], chains[b])):
            continue
        rivals = [s for s, x, y in links if s < 1 and (x == i) != (y == j)]
        if similar < 1 and rivals and (margin := np.log(similar / max(rivals))) < DOUBT:
            tracklets[j].doubts[tracklets[j].first] = float(np.clip(1 - margin / DOUBT, 0, 1))
        chains[a] += chains[b]
        for x in chains[b]:
            whose[x] = a
        chains[b] = []
    persons = [_chained([tracklets[x] for x in chain]) for chain in chains if chain]
    kept = [p for p in persons if p.person is not None or not _is_spurious(p, looks)]
    return by_first_frame(kept)


def by_first_frame(tracklets: Iterable[Tracklet]) -> list[Tracklet]:
    """``tracklets`` in an order that does not hang on how their bodies came."""
    return sorted(tracklets, key=lambda t: (t.first, _place(t.sightings[0])))


def _is_spurious(person: Tracklet, looks: Sequence[int]) -> bool:
    """Whether somebody was seen too seldom to be there."""
    chances = sum(person.first <= t <= person.sightings[-1].frame for t in looks)
    return len(person.sightings) < max(min(FEWEST, len(looks)), SELDOM * chances)


def _may_join(tracklets: Sequence[Tracklet], a: list[int], b: list[int]) -> bool:
    """No two persons, and never twice on a frame."""
    persons = {tracklets[x].person for x in a + b} - {None}
    spans = [{s.frame for x in chain for s in tracklets[x].sightings} for chain in (a, b)]
    apart = max(spans[0]) < min(spans[1]) or max(spans[1]) < min(spans[0])
    inside = apart or _in_gaps(tracklets, a, b)
    return len(persons) <= 1 and inside and not spans[0] & spans[1]


def _in_gaps(tracklets: Sequence[Tracklet], a: list[int], b: list[int]) -> bool:
    ends = [(tracklets[x].first, tracklets[x].sightings[-1].frame) for x in a]
    others = [(tracklets[x].first, tracklets[x].sightings[-1].frame) for x in b]
    return all(last < begun or end < first for first, last in ends for begun, end in others)


def _join_similarity(first: Tracklet, second: Tracklet) -> float:
    """How likely ``second`` goes on where ``first`` ends."""
    end, start = first.sightings[-1], second.sightings[0]
    gap = start.frame - end.frame
    if not 0 < gap <= JOIN:
        return 0.0
    reach = JOIN_REACH + JOIN_UNSEEN * gap
    size = (end.size + start.size) / 2
    # people slow down and turn: of a long way, motion says less and less
    steps = 10 * (1 - np.exp(-gap / 10))
    ahead = end.xy + first.known.motion * steps
    back = start.xy - motion_of(second.sightings[:5]) * steps
    off = [_apart(ahead, start.xy), _apart(back, end.xy), _apart(end.xy, start.xy)]
    near = float(np.exp(-((np.mean(sorted(off)[:2]) / (reach * size)) ** 2) / 2))
    later = Identity.of(second.sightings[:30])
    alike = likeness((first.known.limbs, later.limbs), (first.known.colour, later.colour))
    return near * alike


def _apart(a: Floats, b: Floats) -> float:
    """Pixels between the middles of the joints both [K, 2] have."""
    both = np.isfinite(a).all(-1) & np.isfinite(b).all(-1)
    return float(np.hypot(*np.median(a[both] - b[both], axis=0))) if both.any() else np.inf


def _chained(parts: Sequence[Tracklet]) -> Tracklet:
    """Several tracklets of one person as one; where two saw him, the one he was named on."""
    by_frame: dict[int, Sighting] = {}
    doubts: dict[int, float] = {}
    for part in sorted(parts, key=lambda t: (len(t.sightings), t.first)):
        for sighting in part.sightings:
            other = by_frame.get(sighting.frame)
            if other is None or other.person is None or sighting.person is not None:
                by_frame[sighting.frame] = sighting
        doubts |= part.doubts
    person = next((p.person for p in parts if p.person is not None), None)
    sightings = [by_frame[t] for t in sorted(by_frame)]
    return Tracklet(
        known=Identity.of(sightings, person),
        at=_pose(sightings[-1]),
        last_seen=sightings[-1].frame,
        doubts=doubts,
    )


def labelled(sightings: Iterable[Sighting], words: Iterable[Word]) -> list[Sighting]:
    """The bodies of a frame, in an order that does not hang on how they came: those a word is
    about with the person's id, and firm words nobody was seen at."""
    bodies = sorted(sightings, key=_place)
    words = sorted(words, key=lambda w: w.person)
    similar = np.array([[_meant(word, body) for body in bodies] for word in words]).reshape(
        len(words), len(bodies)
    )
    pairs = dict(assigned(similar))
    out = list(bodies)
    for w, word in enumerate(words):
        if w in pairs:
            out[pairs[w]] = replace(bodies[pairs[w]], person=word.person)
        elif word.firm:
            out.append(_pointed_at(word))
    return out


def _meant(word: Word, body: Sighting) -> float:
    """How well ``body`` fits what was said, 0 to 1."""
    both = np.isfinite(word.xy).all(-1) & np.isfinite(body.xy).all(-1)
    if not both.any():
        return 0.0
    squared = ((word.xy[both] - body.xy[both]) ** 2).sum(-1) / (1.5 * REACH * body.size) ** 2
    return float(np.exp(-squared / 2).mean())


def _pointed_at(word: Word) -> Sighting:
    known = np.isfinite(word.xy).all(-1)
    return Sighting(
        frame=word.frame,
        xy=word.xy,
        score=np.asarray(known, np.float64),
        limbs=np.empty(0),
        colour=np.empty(0),
        person=word.person,
        seen=False,
    )


def _pose(body: Sighting) -> Floats:
    """Joints to follow: those that speak, or all there are."""
    speaks = body.speaks if body.speaks.any() else np.ones(len(body.xy), bool)
    return np.where(speaks[:, None], body.xy, np.nan)


def _move(at: Floats, known: NDArray[np.bool_], there: Floats, error: Floats) -> None:
    """Put the ``known`` joints of a body ``at`` [K, 2] where they went; lost ones go along."""
    if not known.any():
        return
    here = at[known]
    size = max(float(np.hypot(*np.ptp(here, axis=0))) / 2, 4.0)
    good = error <= max(LOST_ERROR * size, 1.0)
    motion = robust_similarity(here[good], there[good], scale=SCALE_PER_STEP)
    along = here @ motion[:, :2].T + motion[:, 2]
    far = np.hypot(*(there - along).T) > 0.3 * size
    at[known] = np.where((good & ~far)[:, None], there, along)


def _place(body: Sighting) -> tuple[float, ...]:
    """By this bodies of a frame are ordered, however they came."""
    middle = np.nanmean(body.xy, axis=0) if np.isfinite(body.xy).any() else np.zeros(2)
    return (*middle.tolist(), *np.nan_to_num(body.xy).ravel().tolist())
