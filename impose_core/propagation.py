"""The path of a correction through time, window by window (paper III-C, V-C).

Evidence first: every joint is followed from its anchors, forward from the left one and
backward from the right one. Then the estimate: one trajectory per joint out of all evidence,
anchors untouched. A pose reader, where the engine has one, reads each frame around that
first estimate, and the estimate is made again with its readings: a tracked point is a prior,
not an answer. What is read hangs on the tracks alone, never on earlier readings, so that the
answer is a function of pixels and marks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid
from impose_core.chains import Spans, Taken, chains_of, nodes_of, unsolved, visible_nodes
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch
from impose_core.estimates import Estimates
from impose_core.evidence import Evidence
from impose_core.following import EncodedFrames
from impose_core.frames import FrameSource
from impose_core.readers.naming import columns
from impose_core.reading import SpanReader
from impose_core.readings import Readings
from impose_core.rivals import beaten_tracks
from impose_core.skeleton import Skeleton
from impose_core.smoothing import smooth
from impose_core.stopwatch import Stopwatch
from impose_core.tails import TailFilter


class Propagation:
    """All that was worked out about one video; marks go in, estimates come out."""

    def __init__(
        self,
        frames: FrameSource,
        *,
        skeleton: Skeleton,
        engine: Engine,
        config: Config,
        watch: Stopwatch,
    ) -> None:
        self._frames, self._skeleton = frames, skeleton
        config = engine.own(config)
        self._engine, self._config, self._watch = engine, config, watch
        shape = (len(frames), 0, len(skeleton))
        self._tracked = Estimates.unknown(shape)
        """From tracks alone."""
        self._reader = self._reader_of(engine)
        self.estimates = self._tracked if self._reader is None else Estimates.unknown(shape)
        nobody = AnchorGrid.nobody(len(frames), len(skeleton))
        encoded = EncodedFrames(frames, engine.points, capacity=config.encoded_frames, watch=watch)
        self.evidence = Evidence(nobody, engine.points, encoded, config.tracking)
        if self._reader is not None:
            self._tails = TailFilter(
                engine.points, encoded, self._reader, config=config, watch=watch
            )

    @property
    def grid(self) -> AnchorGrid:
        """The anchors the estimates hang on."""
        return self.evidence.grid

    def is_known(self) -> NDArray[np.bool_]:
        """[T]: every joint that has anchors to hang on is estimated there."""
        grid = self.grid
        speaks = (grid.kind_at(grid.previous) == Anchor.PLACED) | (
            (grid.previous == NO_FRAME) & (grid.kind_at(grid.following) == Anchor.PLACED)
        )
        missing = speaks & (grid.kind == Anchor.NONE) & ~self.estimates.known
        return np.asarray(~missing.any((1, 2)))

    def rebase(self, grid: AnchorGrid, columns: NDArray[np.int64]) -> None:
        """Take ``grid`` as the anchors; estimates that hung on changed ones are forgotten.

        ``columns`` says for each person of ``grid`` which one it was before, -1 for a new one.
        """
        leaving = np.setdiff1d(np.arange(self.grid.kind.shape[1]), columns)
        gone = np.asarray(self.evidence.is_known()[:, leaving].any(1, keepdims=True))
        self.evidence.persons(columns)
        self._tracked = self._tracked.persons(columns)
        self.estimates = self._tracked if self._reader is None else self.estimates.persons(columns)
        old = self.grid
        previous_changed, following_changed = grid.changed_since(old)
        forgotten = self.evidence.rebase(grid)
        # an open trajectory also falls when its person's other joints lost their evidence
        stale = previous_changed | following_changed | forgotten
        # tracks also arrive on the far anchor itself
        stale[1:] |= previous_changed[:-1]
        stale[:-1] |= following_changed[1:]
        stale |= _shaken(stale, gone, grid)
        self._tracked.known &= ~stale
        if self._reader is not None:
            changed = (stale | (grid.kind != old.kind) | gone).any((1, 2))
            self.estimates.known &= ~_seen_otherwise(changed, grid)

    def estimate(self, start: int, stop: int) -> None:
        """Make the estimates of frames ``start`` to ``stop`` (exclusive) known."""
        with self._watch.stage("estimate"):
            spans = unsolved(self.grid, self.estimates.known, start, stop)
            if self._reader is not None:
                spans = self._with_companions(spans, start, stop)
        if not len(spans):
            return
        if self._reader is None:
            self._solve(spans, self._tracked, *_range(spans, start, stop))
            return
        start, stop = _range(spans, *self._with_anchors(spans, start, stop))
        tracked = unsolved(self.grid, self._tracked.known, start, stop)
        if len(tracked):
            self._solve(tracked, self._tracked, *_range(tracked, start, stop))
        between = spans.only(spans.bridged)
        if len(between):
            self._solve(between, self.estimates, start, stop, reader=self._reader)
        self._tails.run(spans.only(~spans.bridged), self.grid, self.estimates, self._tracked)

    def _reader_of(self, engine: Engine) -> SpanReader | None:
        """The engine's reader, if it knows bodies of this skeleton."""
        if engine.reader is None:
            return None
        try:
            known = columns(self._skeleton, engine.reader.skeleton)
        except SkeletonMismatch:  # of other bodies than the reader knows: tracks alone
            return None
        return SpanReader(
            engine.reader,
            known,
            image=self._image,
            capacity=self._config.kept_readings,
            config=self._config.estimate.readings,
        )

    def _with_companions(self, spans: Spans, start: int, stop: int) -> Spans:
        """``spans``, and whatever else is open on their frames: beyond their outermost anchors
        all joints are filtered together."""
        while len(spans):
            opened = spans.only(~spans.bridged)
            if not len(opened):
                break
            wider = _range(opened, start, stop)
            if wider == (start, stop):
                break
            start, stop = wider
            companions = unsolved(self.grid, self.estimates.known, start, stop)
            spans = spans.only(spans.bridged) + companions.only(~companions.bridged)
        return spans

    def _with_anchors(self, spans: Spans, start: int, stop: int) -> tuple[int, int]:
        """The frames ``start`` to ``stop`` (exclusive), and the anchors of ``spans``: there the
        reader's bias is measured."""
        begun = self.grid.previous[spans.first, spans.person, spans.joint]
        ended = self.grid.following[spans.last, spans.person, spans.joint]
        begun = np.where(begun != NO_FRAME, begun, start)
        return min(start, int(begun.min())), max(stop, int(ended.max()) + 1)

    def _solve(
        self,
        spans: Spans,
        estimates: Estimates,
        start: int,
        stop: int,
        *,
        reader: SpanReader | None = None,
    ) -> None:
        """Write the trajectories of ``spans`` into ``estimates``.

        Frames ``start`` to ``stop`` (exclusive) are tracked for everybody: whoever is near may
        be a rival.
        """
        self.evidence.cover(start, stop, self._watch)
        with self._watch.stage("rivals"):
            beaten = beaten_tracks(self.evidence, start, stop, self._image, self._config.rivals)
        nodes = nodes_of(spans, self.grid)
        readings = Readings.none(len(nodes.frame))
        if reader is not None:
            with self._watch.stage("read"):
                readings = reader.read(spans, nodes, self.grid, self._tracked)
        with self._watch.stage("estimate"):
            taken = Taken.of(nodes, spans, beaten)
            chains = chains_of(
                spans,
                nodes,
                self.evidence,
                estimates,
                taken,
                readings,
                self._config.tracking,
                seed_deviation=self._config.estimate.seed_deviation,
            )
            result = smooth(chains, self._config.estimate)
            visible = visible_nodes(
                spans,
                nodes,
                chains,
                self.evidence,
                taken,
                estimates,
                result.xy,
                self._config.visibility,
            )
            write = nodes.inner
            at = (nodes.frame[write], nodes.person[write], nodes.joint[write])
            estimates.xy[at] = result.xy[write]
            estimates.variance[at] = result.variance[write]
            estimates.visible[at] = visible[write]
            estimates.bridged[at] = spans.bridged[nodes.span[write]]
            estimates.known[at] = True

    def _image(self, t: int) -> NDArray[np.uint8]:
        with self._watch.stage("decode"):
            return self._frames.read(t)


def _range(spans: Spans, start: int, stop: int) -> tuple[int, int]:
    """The frames ``start`` to ``stop`` (exclusive), and all of ``spans``."""
    return min(start, int(spans.first.min())), max(stop, int(spans.last.max()) + 1)


def _shaken(
    stale: NDArray[np.bool_], gone: NDArray[np.bool_], grid: AnchorGrid
) -> NDArray[np.bool_]:
    """[T, N, K]: spans between anchors along which a possible rival is not what it was.

    That is the same joint of somebody who is still there (``stale`` [T, N, K]) or not any
    more (``gone`` [T, 1, K]).
    """
    others = gone | (stale.sum(1, keepdims=True) > stale)
    until = np.concatenate([np.zeros((1, *others.shape[1:]), int), np.cumsum(others, axis=0)])
    bounded = (grid.previous != NO_FRAME) & (grid.following != NO_FRAME)
    begun, ended = np.where(bounded, grid.previous, 0), np.where(bounded, grid.following, 0)
    within = np.take_along_axis(until, ended + 1, 0) - np.take_along_axis(until, begun, 0)
    return np.asarray(bounded & (within > 0))


def _seen_otherwise(changed: NDArray[np.bool_], grid: AnchorGrid) -> NDArray[np.bool_]:
    """[T, N, K]: joints whose readings may differ, since somebody is tracked otherwise.

    A body is read where all its joints are, what is seen there is shared with whoever is near,
    and readings of a whole span hang on the bias at its anchors. ``changed`` [T]: where some
    track or anchor is not what it was.
    """
    until = np.concatenate([[0], np.cumsum(changed)])
    begun = np.where(grid.previous != NO_FRAME, grid.previous, 0)
    ended = np.where(grid.following != NO_FRAME, grid.following, len(grid.kind) - 1)
    seen_otherwise = until[ended + 1] > until[begun]
    # beyond their outermost anchors all joints go together or not at all
    bridged = (grid.kind_at(grid.previous) == Anchor.PLACED) & (
        grid.kind_at(grid.following) == Anchor.PLACED
    )
    together = (seen_otherwise & ~bridged).any((1, 2), keepdims=True)
    return np.asarray(seen_otherwise | (together & ~bridged))
