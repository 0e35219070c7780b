"""The path of a correction through time, window by window (paper III-C, V-C).

Evidence first: every joint is followed from its anchors, forward from the left one and
backward from the right one. Then the estimate: one trajectory per joint out of all evidence,
anchors untouched. A pose reader, where the engine has one, reads each frame around that
first estimate, and the estimate is made again with its readings: a tracked point is a prior,
not an answer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid
from impose_core.chains import Spans, Taken, chains_of, nodes_of, unsolved, visible_nodes
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.estimates import Estimates
from impose_core.evidence import EncodedFrames, Evidence
from impose_core.frames import FrameSource
from impose_core.rivals import Beaten, beaten_tracks
from impose_core.skeleton import Skeleton
from impose_core.smoothing import smooth
from impose_core.stopwatch import Stopwatch


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
        self._engine, self._config, self._watch = engine, config, watch
        shape = (len(frames), 0, len(skeleton))
        self.estimates = Estimates.unknown(shape)
        nobody = AnchorGrid.nobody(len(frames), len(skeleton))
        encoded = EncodedFrames(frames, engine.points, capacity=config.encoded_frames, watch=watch)
        self.evidence = Evidence(nobody, engine.points, encoded, config.tracking)

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
        self.estimates = self.estimates.persons(columns)
        old = self.grid
        previous_changed, following_changed = grid.changed_since(old)
        forgotten = self.evidence.rebase(grid)
        # an open trajectory also falls when its person's other joints lost their evidence
        stale = previous_changed | following_changed | forgotten
        # tracks also arrive on the far anchor itself
        stale[1:] |= previous_changed[:-1]
        stale[:-1] |= following_changed[1:]
        self.estimates.known &= ~(stale | _shaken(stale, gone, grid))

    def estimate(self, start: int, stop: int) -> None:
        """Make the estimates of frames ``start`` to ``stop`` (exclusive) known."""
        with self._watch.stage("estimate"):
            spans = unsolved(self.grid, self.estimates.known, start, stop)
        if not len(spans):
            return
        first, last = min(start, int(spans.first.min())), max(stop, int(spans.last.max()) + 1)
        # whole spans, for everybody: whoever is near may be a rival
        self.evidence.cover(first, last, self._watch)
        with self._watch.stage("rivals"):
            beaten = beaten_tracks(self.evidence, first, last, self._image, self._config.rivals)
        with self._watch.stage("estimate"):
            self._solve(spans, beaten)
        if self._engine.reader is not None:
            self._read(spans)
            with self._watch.stage("estimate"):
                self._solve(spans, beaten)

    def _solve(self, spans: Spans, beaten: Beaten) -> None:
        nodes = nodes_of(spans, self.grid)
        taken = Taken.of(nodes, spans, beaten)
        chains = chains_of(
            spans, nodes, self.evidence, self.estimates, taken, self._config.tracking
        )
        result = smooth(chains, self._config.estimate)
        visible = visible_nodes(
            spans,
            nodes,
            chains,
            self.evidence,
            taken,
            self.estimates,
            result.xy,
            self._config.visibility,
        )
        write = nodes.inner
        at = (nodes.frame[write], nodes.person[write], nodes.joint[write])
        self.estimates.xy[at] = result.xy[write]
        self.estimates.variance[at] = result.variance[write]
        self.estimates.visible[at] = visible[write]
        self.estimates.bridged[at] = spans.bridged[nodes.span[write]]
        self.estimates.known[at] = True

    def _read(self, spans: Spans) -> None:
        """Ask the reader about every frame of ``spans``, anchors included, once."""
        reader = self._engine.reader
        assert reader is not None
        e, grid = self.estimates, self.grid
        for t in range(int(spans.first.min()), int(spans.last.max()) + 1):
            touched = spans.person[(spans.first <= t) & (t <= spans.last)]
            ask = np.unique(touched[~e.read[t, touched]])
            if not len(ask):
                continue
            placed = grid.kind[t, ask] == Anchor.PLACED
            prior = np.where(placed[..., None], grid.xy[t, ask], e.xy[t, ask])
            image = self._image(t)
            with self._watch.stage("read"):
                readings = reader.read(image, self._skeleton, prior, placed)
            e.reading[t, ask] = readings.xy
            e.reading_deviation[t, ask] = readings.deviation
            e.read[t, ask] = True

    def _image(self, t: int) -> NDArray[np.uint8]:
        with self._watch.stage("decode"):
            return self._frames.read(t)


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
