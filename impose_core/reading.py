"""Reading the frames of spans: where a pose reader sees their joints, its bias taken out.

A reader has its own idea of where a hip is. At the anchors the human's idea is known: reading
minus human point is the reader's **bias** against this annotator there, and between two anchors
it is interpolated (DESIGN section 3, "Readings").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid
from impose_core.chains import Nodes, Spans, sizes_of
from impose_core.config import ReadingConfig
from impose_core.estimates import Estimates
from impose_core.readers.naming import inverse, renamed
from impose_core.readers.protocol import Candidates, Image, PoseReader, Priors, views_around
from impose_core.reading_cache import ReadingCache
from impose_core.readings import Readings, claimed

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SOUGHT = 2 / 3
"""Of the limit of a bias, one sigma: which place is the joint is decided mostly by its score."""


class SpanReader:
    """Reads the bodies of one video around where their tracks put them.

    Args:
        reader: what reads.
        columns: int64 [K], the place of each joint in the reader's skeleton, or -1.
        image: gives a frame by its index.
        capacity: readings kept.
        config: what readings are worth.
    """

    def __init__(
        self,
        reader: PoseReader,
        columns: Ints,
        *,
        image: Callable[[int], Image],
        capacity: int,
        config: ReadingConfig,
    ) -> None:
        self._reader, self._columns, self._image, self._config = reader, columns, image, config
        self._joints = inverse(columns, reader.skeleton)
        self._cache = ReadingCache(reader, capacity=capacity)

    def read(self, spans: Spans, nodes: Nodes, grid: AnchorGrid, tracked: Estimates) -> Readings:
        """The readings of all nodes of spans between two anchors, unbiased.

        Args:
            spans: C of them.
            nodes: theirs, M.
            grid: the anchors.
            tracked: what the tracks alone say, on every frame of ``spans``, ends included.
        """
        bias = self.bias(spans, grid, tracked)
        frame, person = _cells(nodes.frame, nodes.person)
        places, pinned = _places(frame, person, grid, tracked), _by_humans(frame, person, grid)
        seen = self._seen(frame, person, places, pinned)
        at = seen.of(nodes.frame, nodes.person, nodes.joint)
        self._read_freely(at, nodes, grid, tracked)
        size = sizes_of(spans, grid)[nodes.span]
        score = claimed(
            at.xy,
            at.score,
            nodes.person,
            _everybody(nodes, grid, tracked),
            size,
            self._config,
        )
        length = np.maximum(spans.last - spans.first, 1)[nodes.span]
        share = (nodes.frame - spans.first[nodes.span]) / length
        at = Candidates(xy=at.xy, score=score)
        return bias.taken_from(at, nodes.span, share, size, self._config)

    def look(
        self, frame: int, person: Ints, xy: Floats, grid: AnchorGrid, cells: tuple[Ints, Ints]
    ) -> Candidates:
        """What is seen on one frame of the A joints ``cells`` (indices of persons and joints).

        Args:
            frame: where.
            person: [P] ascending.
            xy: [P, K, 2] pixels, where to look for these persons; NaN for joints not known.
            grid: the anchors.
            cells: [A] of ``person``, and joints [A].
        """
        frames = np.full(len(person), frame)
        seen = self._seen(frames, person, xy, _by_humans(frames, person, grid))
        return seen.of(np.full(len(cells[0]), frame), *cells)

    def bias(self, spans: Spans, grid: AnchorGrid, tracked: Estimates) -> Bias:
        """How the reader differs from the human at the anchors of ``spans``.

        Args:
            spans: C of them, each with an anchor on one side at least.
            grid: the anchors.
            tracked: what the tracks alone say on the frames of the anchors.
        """
        anchors = (
            grid.previous[spans.first, spans.person, spans.joint].astype(np.int64),
            grid.following[spans.last, spans.person, spans.joint].astype(np.int64),
        )
        xy = np.zeros((2, len(spans), 2))
        wrong = np.ones((2, len(spans)))
        seeded, human = np.zeros((2, len(spans)), bool), np.zeros((2, len(spans)), bool)
        for side, frame in enumerate(anchors):
            at = (frame, spans.person, spans.joint)
            there = (frame != NO_FRAME) & (grid.kind[at] == Anchor.PLACED)
            # a seed is nobody's word: it says nothing of how the annotator sees the joint
            seeded[side], human[side] = there & grid.seeded[at], there & ~grid.seeded[at]
            chosen = np.flatnonzero(human[side])
            at = (frame[chosen], spans.person[chosen], spans.joint[chosen])
            frames, persons = _cells(*at[:2])
            seen = self._unpinned(frames, persons, grid, tracked)
            apart, right = missed(seen.of(*at), grid.xy[at], grid.size[at[:2]], self._config)
            xy[side, chosen], wrong[side, chosen] = apart, ~right
        for side, other in ((0, 1), (1, 0)):
            borrowed = wrong[side] == 1
            xy[side, borrowed] = xy[other, borrowed]
        wrong[seeded] = 0.0
        return Bias(xy=xy, wrong=np.where(human | seeded, wrong, wrong[::-1]))

    def _read_freely(
        self, at: Candidates, nodes: Nodes, grid: AnchorGrid, tracked: Estimates
    ) -> None:
        """Put into ``at`` [M] what is seen of human points when they are not pinned.

        A pinned joint is read where the human has it, which says nothing about the reader.
        """
        where = (nodes.frame, nodes.person, nodes.joint)
        human = (grid.kind[where] == Anchor.PLACED) & ~grid.seeded[where]
        if human.any():
            frame, person = _cells(nodes.frame[human], nodes.person[human])
            seen = self._unpinned(frame, person, grid, tracked)
            freely = seen.of(*(index[human] for index in where))
            at.xy[human], at.score[human] = freely.xy, freely.score

    def _unpinned(self, frame: Ints, person: Ints, grid: AnchorGrid, tracked: Estimates) -> _Seen:
        """What the reader sees of persons [A] on frames [A] around human points it may move."""
        places = _places(frame, person, grid, tracked)
        return self._seen(frame, person, places, np.zeros(places.shape[:2], bool))

    def _seen(self, frame: Ints, person: Ints, xy: Floats, pinned: NDArray[np.bool_]) -> _Seen:
        """What the reader sees of persons [A] on frames [A], ascending, around ``xy`` [A, K, 2].

        ``pinned`` [A, K] are held where they are, by a reader that can.
        """
        extents = extents_of(xy)
        shown = np.flatnonzero(np.isfinite(extents).all(-1))
        priors = Priors(
            box_xyxy=extents[shown],
            xy=renamed(xy[shown], self._joints, np.nan),
            pinned=renamed(pinned[shown].astype(np.float64), self._joints, 0.0) > 0,
        )
        views = views_around(self._reader, priors)
        candidates: list[Candidates] = [
            self._cache.read(int(t), views[frame[shown] == t], self._image)
            for t in np.unique(frame[shown])
        ]
        return _Seen.of_cells(frame, person, shown, candidates, self._columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """At the first and the last anchor of C spans.

    Attributes:
        xy: float64 [2, C, 2] pixels: what the reader adds to the human's points.
        wrong: float64 [2, C], 1 where it saw something else than the joint, else 0.
    """

    xy: Floats
    wrong: Floats

    def taken_from(
        self, seen: Candidates, span: Ints, share: Floats, size: Floats, config: ReadingConfig
    ) -> Readings:
        """``seen`` of A joints without it.

        Args:
            seen: what the reader says.
            span: [A] of which span each is.
            share: [A] of the way from the first anchor to the last.
            size: [A] pixels, body size.
            config: which places are readings, and which are mistrusted.
        """
        shift = (1 - share)[:, None] * self.xy[0, span] + share[:, None] * self.xy[1, span]
        wrong = (1 - share) * self.wrong[0, span] + share * self.wrong[1, span]
        # a bias that changes from anchor to anchor is known the less between them
        change = ((self.xy[0, span] - self.xy[1, span]) ** 2).sum(-1) / 2
        wander = config.wander * change * share * (1 - share) / (config.deviation * size) ** 2
        enough = seen.score >= config.least_score
        return Readings(
            xy=np.where(enough[..., None], seen.xy - shift[:, None], np.nan),
            score=np.where(enough, seen.score, 0.0),
            mistrust=1 + config.mistrust * wrong**4 + wander,
        )


def missed(
    found: Candidates, xy: Floats, size: Floats, config: ReadingConfig
) -> tuple[Floats, NDArray[np.bool_]]:
    """How far [A, 2] the best places ``found`` near the true ``xy`` [A, 2] miss it, 0 if far off.

    Also whether they are near enough [A], in body sizes ``size`` [A] px, to be of the same joint.
    """
    if not found.score.shape[-1]:  # nobody was seen
        return np.zeros_like(xy), np.zeros(len(xy), bool)
    limit = config.bias_limit * size
    apart = found.xy - xy[:, None]
    squared = (apart**2).sum(-1)
    fade = np.exp(-squared / (2 * (_SOUGHT * limit[:, None]) ** 2))
    score = np.where(found.score > 0, found.score * fade, 0.0)
    row, best = np.arange(len(xy)), score.argmax(-1)
    right = (score[row, best] > 0) & (squared[row, best] < limit**2)
    return np.where(right[:, None], apart[row, best], 0.0), right


def _cells(frame: Ints, person: Ints) -> tuple[Ints, Ints]:
    """The frames and persons that occur together, once each, ascending."""
    frames, persons = np.unique(np.stack([frame, person], axis=1), axis=0).T
    return frames, persons


def _places(frame: Ints, person: Ints, grid: AnchorGrid, tracked: Estimates) -> Floats:
    """[A, K, 2]: where the joints of persons [A] are on frames [A] by anchors or tracks."""
    placed = grid.kind[frame, person] == Anchor.PLACED
    known = placed | tracked.known[frame, person]
    xy = np.where(placed[..., None], grid.xy[frame, person], tracked.xy[frame, person])
    return np.asarray(np.where(known[..., None], xy, np.nan))


def _by_humans(frame: Ints, person: Ints, grid: AnchorGrid) -> NDArray[np.bool_]:
    """[A, K]: a human placed the joint of persons [A] on frames [A]."""
    placed = grid.kind[frame, person] == Anchor.PLACED
    return np.asarray(placed & ~grid.seeded[frame, person])


@dataclass(frozen=True, slots=True)
class _Seen:
    """Candidates [A, K, P] of persons on frames (each ascending) by joint of the skeleton."""

    cell: Ints
    xy: Floats
    score: Floats

    @classmethod
    def of_cells(
        cls,
        frame: Ints,
        person: Ints,
        shown: Ints,
        candidates: Sequence[Candidates],
        columns: Ints,
    ) -> _Seen:
        """``candidates`` are those of the cells ``shown``, in their order."""
        places = candidates[0].score.shape[-1] if candidates else 0
        xy = np.full((len(frame), len(columns), places, 2), np.nan)
        score = np.zeros((len(frame), len(columns), places))
        known = np.flatnonzero(columns >= 0)
        if candidates:
            at = np.ix_(shown, known)
            xy[at] = np.concatenate([one.xy for one in candidates])[:, columns[known]]
            score[at] = np.concatenate([one.score for one in candidates])[:, columns[known]]
        return cls(_code(frame, person), xy, score)

    def of(self, frame: Ints, person: Ints, joint: Ints) -> Candidates:
        """The candidates of B joints, [B, P]."""
        row = np.searchsorted(self.cell, _code(frame, person))
        return Candidates(xy=self.xy[row, joint], score=self.score[row, joint])


def _code(frame: Ints, person: Ints) -> Ints:
    return np.asarray(frame, np.int64) << 32 | np.asarray(person, np.int64)


def _everybody(nodes: Nodes, grid: AnchorGrid, tracked: Estimates) -> Floats:
    """[M, N, 2]: where the same joint of every person is on the frame of each node."""
    first, stop = int(nodes.frame.min()), int(nodes.frame.max()) + 1
    persons = np.arange(grid.kind.shape[1])
    frames = np.repeat(np.arange(first, stop), len(persons))
    xy = _places(frames, np.tile(persons, stop - first), grid, tracked)
    xy = xy.reshape(stop - first, len(persons), *xy.shape[1:])
    return np.asarray(xy[nodes.frame - first, :, nodes.joint])


def extents_of(xy: Floats) -> Floats:
    """[A, 4] xyxy around the known joints of ``xy`` [A, K, 2]; NaN where none is known."""
    known = np.isfinite(xy).all(-1, keepdims=True)
    low = np.where(known, xy, np.inf).min(1)
    high = np.where(known, xy, -np.inf).max(1)
    extents = np.concatenate([low, high], axis=-1)
    return np.asarray(np.where(np.isfinite(extents), extents, np.nan))
