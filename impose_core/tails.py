"""Beyond the outermost anchor, with a reader: a filter that goes from frame to frame.

There no second track says when the first one slipped, but the reader sees the joint on every
frame. So each frame's estimate is the step from the one before, corrected by what is read
there, and the next step starts from the corrected place: a tracker that drifts is put back.
The same update runs in the causal form (:mod:`impose_core.online`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import Anchor, AnchorGrid
from impose_core.chains import Spans
from impose_core.config import Config
from impose_core.estimates import Estimates
from impose_core.following import BACKWARD, FORWARD, EncodedFrames, Steps, follow
from impose_core.points import PointTracker
from impose_core.readers import Candidates
from impose_core.reading import Bias, SpanReader
from impose_core.readings import Readings, claimed, filtered
from impose_core.stopwatch import Stopwatch

Ints = NDArray[np.int64]


class TailFilter:
    """Estimates joints beyond their outermost anchors.

    Args:
        tracker: follows points from frame to frame.
        frames: encoded for it.
        reader: reads each frame.
        config: thresholds.
        watch: told how long tracking and reading take.
    """

    def __init__(
        self,
        tracker: PointTracker,
        frames: EncodedFrames,
        reader: SpanReader,
        *,
        config: Config,
        watch: Stopwatch,
    ) -> None:
        self._tracker, self._frames, self._reader = tracker, frames, reader
        self._config, self._watch = config, watch

    def run(self, spans: Spans, grid: AnchorGrid, estimates: Estimates, tracked: Estimates) -> None:
        """Write ``spans``, each open at one end, into ``estimates``.

        ``tracked`` says where the other joints of these persons are.
        """
        if not len(spans):
            return
        with self._watch.stage("read"):
            bias = self._reader.bias(spans, grid, tracked)
        for direction, mine in ((FORWARD, spans.forward), (BACKWARD, spans.backward)):
            chosen = np.flatnonzero(mine)
            if not len(chosen):
                continue
            first, last = int(spans.first[chosen].min()), int(spans.last[chosen].max())
            sources = range(first, last) if direction == FORWARD else range(last, first, -1)
            for t in sources:
                here = chosen[
                    (spans.first[chosen] <= min(t, t + direction))
                    & (max(t, t + direction) <= spans.last[chosen])
                ]
                if len(here):
                    self._step(t, t + direction, spans, here, bias, grid, estimates, tracked)

    def _step(
        self,
        t: int,
        u: int,
        spans: Spans,
        chosen: Ints,
        bias: Bias,
        grid: AnchorGrid,
        estimates: Estimates,
        tracked: Estimates,
    ) -> None:
        n, k = spans.person[chosen], spans.joint[chosen]
        anchored = grid.kind[t, n, k] == Anchor.PLACED
        xy = np.where(anchored[:, None], grid.xy[t, n, k], estimates.xy[t, n, k])
        visible = np.where(anchored, ~grid.hidden[t, n, k], estimates.visible[t, n, k])
        anchor = np.where(spans.forward[chosen], grid.previous[t, n, k], grid.following[t, n, k])
        size = grid.size[anchor, n]
        seed = (self._config.estimate.seed_deviation * size) ** 2 * grid.seeded[t, n, k]
        variance = np.where(anchored, seed, estimates.variance[t, n, k])
        source, target = self._frames[t], self._frames[u]
        with self._watch.stage("track"):
            steps = follow(
                self._tracker,
                source,
                target,
                xy,
                size=size,
                person=n,
                config=self._config.tracking,
            )
        with self._watch.stage("read"):
            readings = self._look(u, steps, size, chosen, spans, bias, grid, tracked)
        floor = (self._config.estimate.step_floor * size) ** 2
        variance = variance + self._config.estimate.readings.drift * (steps.deviation**2 + floor)
        after = filtered(readings, steps.xy, variance, size, self._config.estimate.readings)
        estimates.xy[u, n, k], estimates.variance[u, n, k] = after.xy, after.variance
        estimates.visible[u, n, k] = (visible & ~steps.lost) | after.seen
        estimates.bridged[u, n, k] = False
        estimates.known[u, n, k] = True

    def _look(
        self,
        u: int,
        steps: Steps,
        size: NDArray[np.float64],
        chosen: Ints,
        spans: Spans,
        bias: Bias,
        grid: AnchorGrid,
        tracked: Estimates,
    ) -> Readings:
        n, k = spans.person[chosen], spans.joint[chosen]
        everybody = np.arange(grid.kind.shape[1])
        placed = grid.kind[u] == Anchor.PLACED
        xy = np.where(placed[..., None], grid.xy[u], tracked.xy[u])
        xy = np.where((placed | tracked.known[u])[..., None], xy, np.nan)
        xy[n, k] = steps.xy
        person = np.unique(n)
        seen = self._reader.look(u, person, xy[person], grid, (n, k))
        claimants = xy[everybody[None], k[:, None]]
        score = claimed(seen.xy, seen.score, n, claimants, size, self._config.estimate.readings)
        share = np.where(spans.forward[chosen], 0.0, 1.0)
        at = Candidates(xy=seen.xy, score=score)
        return bias.taken_from(at, chosen, share, size, self._config.estimate.readings)
