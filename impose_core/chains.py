"""Which stretches of which joints are to be estimated, and their evidence laid end to end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid
from impose_core.config import TrackingConfig, VisibilityConfig
from impose_core.estimates import Estimates
from impose_core.evidence import Evidence
from impose_core.readings import Readings
from impose_core.rivals import Beaten
from impose_core.smoothing import Chains

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """C stretches of joints, both end frames included.

    Attributes:
        person, joint, first, last: int64 [C]: indices, and frames.
        forward, backward: bool [C]: which tracks speak about the span. A span with both lies
            between two anchors; with one, beyond the outermost one.
    """

    person: Ints
    joint: Ints
    first: Ints
    last: Ints
    forward: NDArray[np.bool_]
    backward: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Ints, *, forward: bool, backward: bool) -> Spans:
        """From rows [C, 4] of person, joint, first and last frame."""
        person, joint, first, last = np.asarray(rows, np.int64).reshape(-1, 4).T
        return cls(
            person=person,
            joint=joint,
            first=first,
            last=last,
            forward=np.full(len(first), forward),
            backward=np.full(len(first), backward),
        )

    def __len__(self) -> int:
        """Number of spans."""
        return len(self.first)

    @property
    def bridged(self) -> NDArray[np.bool_]:
        """[C]: anchored on both sides."""
        return self.forward & self.backward

    def only(self, chosen: NDArray[np.bool_]) -> Spans:
        """Those ``chosen`` [C]."""
        return Spans(**{name: getattr(self, name)[chosen] for name in self.__slots__})

    def __add__(self, other: Spans) -> Spans:
        """These spans, then the other ones."""
        both = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in self.__slots__
        }
        return Spans(**both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The nodes of spans laid end to end: M of them.

    ``span``, ``frame``, ``person``, ``joint`` int64 [M]; ``first`` int64 [C], each span's
    first node; ``inner`` bool [M]: not an anchor, nor an estimate the span starts from.
    """

    span: Ints
    frame: Ints
    person: Ints
    joint: Ints
    first: Ints
    inner: NDArray[np.bool_]

    @property
    def last(self) -> Ints:
        """[C]: each span's last node."""
        return np.append(self.first[1:], len(self.frame)) - 1


def unsolved(grid: AnchorGrid, known: NDArray[np.bool_], start: int, stop: int) -> Spans:
    """The spans without which frames ``start`` to ``stop`` (exclusive) stay unknown."""
    begun, ended = grid.previous[start:stop], grid.following[start:stop]
    begun_kind, ended_kind = grid.kind_at(begun), grid.kind_at(ended)
    missing = (grid.kind[start:stop] == Anchor.NONE) & ~known[start:stop]
    follows = missing & (begun_kind == Anchor.PLACED)
    bridged = follows & (ended_kind == Anchor.PLACED)
    _, n, k = np.nonzero(bridged)
    between = np.unique(np.stack([n, k, begun[bridged], ended[bridged]], axis=1), axis=0)
    after = _stretches(follows & ~bridged, begun, start)
    # beyond the outermost anchor a span starts from what is known already, or the anchor
    anchor, first = after[:, 2], after[:, 3]
    last_known = first - 1
    n, k = after[:, 0], after[:, 1]
    from_estimate = known[last_known, n, k] & (last_known > anchor)
    after_rows = np.stack([n, k, np.where(from_estimate, last_known, anchor), after[:, 4]], axis=1)
    before = _stretches(missing & (begun == NO_FRAME) & (ended_kind == Anchor.PLACED), ended, start)
    anchor, last = before[:, 2], before[:, 4]
    first_known = np.minimum(last + 1, len(known) - 1)
    n, k = before[:, 0], before[:, 1]
    from_estimate = known[first_known, n, k] & (first_known < anchor)
    before_rows = np.stack(
        [n, k, before[:, 3], np.where(from_estimate, first_known, anchor)], axis=1
    )
    return (
        Spans.of(between, forward=True, backward=True)
        + Spans.of(after_rows, forward=True, backward=False)
        + Spans.of(before_rows, forward=False, backward=True)
    )


def _stretches(missing: NDArray[np.bool_], anchor: NDArray[np.int32], start: int) -> Ints:
    """Rows of person, joint, anchor, first and last missing frame, from masks [W, N, K]."""
    t, n, k = np.nonzero(missing)
    if not len(t):
        return np.empty((0, 5), np.int64)
    rows, group = np.unique(np.stack([n, k, anchor[missing]], axis=1), axis=0, return_inverse=True)
    first = np.full(len(rows), np.iinfo(np.int64).max)
    last = np.full(len(rows), -1, np.int64)
    np.minimum.at(first, group.ravel(), t + start)
    np.maximum.at(last, group.ravel(), t + start)
    return np.column_stack([rows, first, last]).astype(np.int64)


def nodes_of(spans: Spans, grid: AnchorGrid) -> Nodes:
    """Lay the frames of ``spans`` end to end."""
    length = spans.last - spans.first + 1
    first = np.cumsum(length) - length
    span = np.repeat(np.arange(len(spans)), length)
    frame = np.arange(len(span)) - first[span] + spans.first[span]
    person, joint = spans.person[span], spans.joint[span]
    inner = grid.kind[frame, person, joint] == Anchor.NONE
    # the end an open span starts from is known, and stays
    start = np.where(spans.forward, first, np.append(first[1:], len(span)) - 1)
    inner[start[~spans.bridged]] = False
    return Nodes(span=span, frame=frame, person=person, joint=joint, first=first, inner=inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Nodes [M] whose tracks look at a rival's joint by now (see :mod:`impose_core.rivals`)."""

    forward: NDArray[np.bool_]
    backward: NDArray[np.bool_]

    @classmethod
    def of(cls, nodes: Nodes, spans: Spans, beaten: Beaten) -> Taken:
        """Rivals count between anchors only: beyond, there is no second track to turn to."""
        between = spans.bridged[nodes.span]
        row = np.clip(nodes.frame - beaten.start, 0, len(beaten.forward) - 1)
        at = (row, nodes.person, nodes.joint)
        return cls(forward=beaten.forward[at] & between, backward=beaten.backward[at] & between)


def chains_of(
    spans: Spans,
    nodes: Nodes,
    evidence: Evidence,
    estimates: Estimates,
    taken: Taken,
    readings: Readings,
    config: TrackingConfig,
    *,
    seed_deviation: float,
) -> Chains:
    """The evidence about ``spans``, as the smoother wants it; ``readings`` of the M nodes.

    Seeds are where they are with ``seed_deviation`` body sizes.
    """
    grid, at = evidence.grid, (nodes.frame, nodes.person, nodes.joint)
    size = sizes_of(spans, grid)
    # a track that was taken over passes its checks, but on somebody else's joint
    lost = config.lost_deviation * size[nodes.span] + 1
    forward_deviation, backward_deviation = (
        np.where(taken_over, np.maximum(deviation, lost), deviation)
        for taken_over, deviation in (
            (taken.forward, evidence.forward.deviation[at].astype(np.float64)),
            (taken.backward, evidence.backward.deviation[at].astype(np.float64)),
        )
    )
    anchored = grid.kind[at] == Anchor.PLACED
    held = np.where(anchored[:, None], grid.xy[at], estimates.xy[at])
    forward = _track(evidence.forward.xy[at], held, anchored, nodes.first, spans.forward, nodes)
    backward = _track(evidence.backward.xy[at], held, anchored, nodes.last, spans.backward, nodes)
    seed = np.where(grid.seeded[at], (seed_deviation * size[nodes.span]) ** 2, 0.0)
    variance = np.where(anchored, seed, estimates.variance[at])
    return Chains(
        first=nodes.first,
        forward=forward,
        backward=backward,
        forward_deviation=np.append(forward_deviation[1:], np.nan),
        backward_deviation=backward_deviation,
        start_variance=np.where(spans.forward, variance[nodes.first], np.inf),
        end_variance=np.where(spans.backward, variance[nodes.last], np.inf),
        start_hidden=grid.hidden[at][nodes.first],
        end_hidden=grid.hidden[at][nodes.last],
        size=size,
        readings=readings,
    )


def _track(
    arrived: NDArray[np.float32],
    held: Floats,
    anchored: NDArray[np.bool_],
    origin: Ints,
    exists: NDArray[np.bool_],
    nodes: Nodes,
) -> Floats:
    """One direction's track [M, 2]; where it starts from an estimate, moved to start there."""
    track = arrived.astype(np.float64)
    # a track from an anchor was started on it; what arrived there belongs to another span
    shift = np.where(anchored[origin, None], 0.0, held[origin] - track[origin])
    track += shift[nodes.span]
    track[origin] = held[origin]
    track[~exists[nodes.span]] = np.nan
    return track


def sizes_of(spans: Spans, grid: AnchorGrid) -> Floats:
    """[C] body size in pixels: the larger one of the anchors each span hangs on."""
    n, k = spans.person, spans.joint
    sizes = np.full((2, len(spans)), -np.inf)
    for row, (frame, speaks) in enumerate(
        (
            (grid.previous[spans.first, n, k], spans.forward),
            (grid.following[spans.last, n, k], spans.backward),
        )
    ):
        sizes[row, speaks] = grid.size[frame[speaks], n[speaks]]
    return np.asarray(sizes.max(axis=0))


def visible_nodes(
    spans: Spans,
    nodes: Nodes,
    chains: Chains,
    evidence: Evidence,
    taken: Taken,
    estimates: Estimates,
    xy: Floats,
    config: VisibilityConfig,
) -> NDArray[np.bool_]:
    """[M]: some track that started on the visible joint has kept it so far.

    A track has lost the joint for good once a step failed its check: what it follows from
    there on is something else. It also speaks for the joint only where the estimate is.
    """
    grid, at = evidence.grid, (nodes.frame, nodes.person, nodes.joint)
    anchored = grid.kind[at] == Anchor.PLACED
    seen = np.where(anchored, ~grid.hidden[at], estimates.visible[at])
    near = config.agreement * chains.size[nodes.span]

    gone = np.where(nodes.inner, evidence.forward.lost[at] | taken.forward, False)
    lost = np.cumsum(gone)
    kept = seen[nodes.first][nodes.span] & (lost - lost[nodes.first][nodes.span] == 0)
    with np.errstate(invalid="ignore"):
        forward = kept & (np.hypot(*(chains.forward - xy).T) <= near)
        gone = np.where(nodes.inner, evidence.backward.lost[at] | taken.backward, False)
        lost = np.cumsum(gone[::-1])[::-1]
        kept = seen[nodes.last][nodes.span] & (lost - lost[nodes.last][nodes.span] == 0)
        backward = kept & (np.hypot(*(chains.backward - xy).T) <= near)
    forward &= spans.forward[nodes.span]
    backward &= spans.backward[nodes.span]
    return np.asarray(forward | backward)
