"""What the point tracker saw: every joint followed from its anchors, both ways in time.

Between two anchors a joint is followed forward from the left one and backward from the right
one, independently of every other joint; so evidence hangs on nothing but the pixels and the
anchor it starts from, stays valid while that anchor stays, and a correction re-tracks only
what starts from it. Beyond the outermost anchor a lost joint has no second track to rely on:
there it follows its person's common motion instead, and the joints of one person hang together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import NO_FRAME, Anchor, AnchorGrid, rearranged
from impose_core.config import TrackingConfig
from impose_core.following import BACKWARD, FORWARD, EncodedFrames, follow, settled
from impose_core.points import PointSteps, PointTracker, WindowTracker
from impose_core.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectedTracks:
    """One direction's tracks; the arrays are filled as they are wanted.

    Attributes:
        xy: float32 [T, N, K, 2] pixels: where the joint arrived on frame t, coming from its
            anchor (an anchor itself is not written here).
        deviation: float32 [T, N, K] pixels, one sigma of the step that arrived on t.
        lost: bool [T, N, K]: that step failed its check.
        known: bool [T, N, K]: the three above are valid.
    """

    xy: NDArray[np.float32]
    deviation: NDArray[np.float32]
    lost: NDArray[np.bool_]
    known: NDArray[np.bool_]

    @classmethod
    def unknown(cls, shape: tuple[int, int, int]) -> DirectedTracks:
        """Nothing tracked yet over [T, N, K]."""
        return cls(
            xy=np.full((*shape, 2), np.nan, np.float32),
            deviation=np.full(shape, np.nan, np.float32),
            lost=np.zeros(shape, bool),
            known=np.zeros(shape, bool),
        )

    def persons(self, columns: NDArray[np.int64]) -> DirectedTracks:
        """The same tracks with the N axis rearranged (-1: a person nothing is known of)."""
        return DirectedTracks(
            xy=rearranged(self.xy, columns, np.nan),
            deviation=rearranged(self.deviation, columns, np.nan),
            lost=rearranged(self.lost, columns, False),
            known=rearranged(self.known, columns, False),
        )


class Evidence:
    """The tracks of a video in both directions, kept while their anchors stay."""

    def __init__(
        self, grid: AnchorGrid, tracker: PointTracker, frames: EncodedFrames, config: TrackingConfig
    ) -> None:
        count, persons, keypoints = grid.kind.shape
        self.forward = DirectedTracks.unknown((count, persons, keypoints))
        self.backward = DirectedTracks.unknown((count, persons, keypoints))
        self.grid = grid
        self._tracker, self._frames, self._config = tracker, frames, config

    def is_known(self) -> NDArray[np.bool_]:
        """[T, N, K]: some track says where the joint is."""
        return self.forward.known | self.backward.known

    def arrives(self, direction: int, t: int) -> NDArray[np.bool_]:
        """[N, K]: a track that went in ``direction`` arrives on frame ``t``, and means the joint.

        What was tracked once may have lost its meaning since: a joint that was said to be
        absent is not followed up to there, nor back out of it.
        """
        grid = self.grid
        if direction == FORWARD:
            tracks, begun, far = self.forward, grid.previous[t - 1], grid.following[t]
            meant = (grid.kind_at(far) != Anchor.ABSENT) | (far > t)
        else:
            tracks, begun, far = self.backward, grid.following[t + 1], grid.previous[t]
            meant = grid.kind_at(far) != Anchor.ABSENT
        return np.asarray(tracks.known[t] & meant & (grid.kind_at(begun) == Anchor.PLACED))

    def rebase(self, grid: AnchorGrid) -> NDArray[np.bool_]:
        """Take ``grid`` (of the same shape) as the anchors; forget what hung on changed ones.

        Returns:
            [T, N, K]: where something was forgotten.
        """
        forgotten = np.zeros(grid.kind.shape, bool)
        previous_changed, following_changed = grid.changed_since(self.grid)
        if isinstance(self._tracker, WindowTracker):  # its points lean on those of their body
            before = self.grid
            previous_changed = _with_companions(previous_changed, before.previous, grid.previous)
            following_changed = _with_companions(
                following_changed, before.following, grid.following
            )
        for tracks, arrival, start, changed, far, old_far in (
            # what arrives on t started from the anchor before t, or after it
            (self.forward, slice(1, None), slice(None, -1), previous_changed,
             grid.following, self.grid.following),
            (self.backward, slice(None, -1), slice(1, None), following_changed,
             grid.previous, self.grid.previous),
        ):  # fmt: skip
            beyond, was_beyond = far[arrival] == NO_FRAME, old_far[arrival] == NO_FRAME
            stale = changed[start] | (beyond != was_beyond)
            # beyond the outermost anchor the joints of a person hang together
            shaken = (stale & (beyond | was_beyond)).any(-1, keepdims=True)
            forget = tracks.known[arrival] & (stale | (beyond & shaken))
            tracks.known[arrival] &= ~forget
            forgotten[arrival] |= forget
        self.grid = grid
        return forgotten

    def persons(self, columns: NDArray[np.int64]) -> None:
        """Rearrange the N axis: new person n was person ``columns[n]``, or is new (-1)."""
        self.grid = self.grid.persons(columns)
        self.forward, self.backward = (
            tracks.persons(columns) for tracks in (self.forward, self.backward)
        )

    def cover(self, start: int, stop: int, watch: Stopwatch) -> None:
        """Track whatever the frames ``start`` to ``stop`` (exclusive) need."""
        self._sweep(FORWARD, start, stop, watch)
        self._sweep(BACKWARD, start, stop, watch)

    def _sweep(self, direction: int, start: int, stop: int, watch: Stopwatch) -> None:
        grid = self.grid
        tracks, origin, far = self.forward, grid.previous, grid.following
        near, away = start, stop - 1
        if direction == BACKWARD:
            tracks, origin, far = self.backward, far, origin
            near, away = away, near
        first = _outermost(origin[near], near, -direction)
        end = _outermost(far[away], away, direction)
        steps = np.arange(first, end, direction)
        arrives = (steps + direction >= 0) & (steps + direction < len(grid.kind))
        sources = np.asarray(steps[arrives])
        targets = sources + direction

        wanted = self._wanted(direction, sources, targets, start, stop, origin, far)
        beyond = wanted & (far[targets] == NO_FRAME)
        missing = wanted & ~tracks.known[targets]
        # beyond the outermost anchor a person is tracked as a whole or not at all
        missing |= beyond & (beyond & missing).any(-1, keepdims=True)
        if isinstance(self._tracker, WindowTracker):
            run = WindowRun(self.grid, self._tracker, self._frames, self._config, direction)
            for u in targets[missing.any((1, 2))].tolist():
                joints = missing[abs(u - int(targets[0]))] & ~tracks.known[u]
                run.reach(tracks, origin, far, u, joints, watch)
            return
        for i in np.flatnonzero(missing.any((1, 2))):
            t, u = int(sources[i]), int(targets[i])
            source, target = self._frames[t], self._frames[u]
            with watch.stage("track"):
                self._step(tracks, origin, t, u, missing[i], beyond[i], source, target)

    def _wanted(
        self,
        direction: int,
        sources: NDArray[np.int64],
        targets: NDArray[np.int64],
        start: int,
        stop: int,
        origin: NDArray[np.int32],
        far: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """[L, N, K]: the joints whose L steps the frames start..stop-1 need."""
        begun, ended = origin[sources], far[targets]
        far_kind = self.grid.kind_at(ended)
        left, right = (begun, ended) if direction == FORWARD else (ended, begun)
        touches = (left < stop - 1) & (right > start)  # anchors themselves need no evidence
        arrival = targets[:, None, None]
        in_range = arrival < stop if direction == FORWARD else arrival >= start
        opens = ended == NO_FRAME
        if direction == FORWARD:
            # an absent anchor ends what comes before it, and nothing comes back out of it
            opens |= (far_kind == Anchor.ABSENT) & (ended > np.maximum(arrival, start))
        wanted = ((far_kind == Anchor.PLACED) & touches) | (opens & in_range)
        return np.asarray(wanted & (self.grid.kind_at(begun) == Anchor.PLACED))

    def _step(
        self,
        tracks: DirectedTracks,
        origin: NDArray[np.int32],
        t: int,
        u: int,
        missing: NDArray[np.bool_],
        beyond: NDArray[np.bool_],
        source: Any,
        target: Any,
    ) -> None:
        # joints by their flat place in [N, K]: one index instead of three, for every step
        joints = np.flatnonzero(missing)
        n = joints // missing.shape[1]
        on_anchor = self.grid.kind[t].ravel()[joints] == Anchor.PLACED
        arrived = tracks.xy[t].reshape(-1, 2)[joints]
        steps = follow(
            self._tracker,
            source,
            target,
            np.where(on_anchor[:, None], self.grid.xy[t].reshape(-1, 2)[joints], arrived),
            size=self.grid.size[origin[t].ravel()[joints], n],
            person=np.where(beyond.ravel()[joints], n, -1),
            config=self._config,
        )
        tracks.xy[u].reshape(-1, 2)[joints] = steps.xy
        tracks.deviation[u].reshape(-1)[joints] = steps.deviation
        tracks.lost[u].reshape(-1)[joints] = steps.lost
        tracks.known[u].reshape(-1)[joints] = True


class WindowRun:
    """Fills tracks window by window, for a tracker that looks at many frames together.

    Windows are counted from the anchor a track starts on, and a window is always tracked whole,
    with all joints of the person that start there: so what is found hangs on the pixels and the
    anchors, never on which frames were asked for first.

    Args:
        grid: the anchors.
        tracker: made the frames.
        frames: encoded.
        config: thresholds.
        direction: ``FORWARD`` or ``BACKWARD``.
    """

    def __init__(
        self,
        grid: AnchorGrid,
        tracker: WindowTracker,
        frames: EncodedFrames,
        config: TrackingConfig,
        direction: int,
    ) -> None:
        self._grid, self._tracker, self._frames = grid, tracker, frames
        self._config, self._direction = config, direction

    def reach(
        self,
        tracks: DirectedTracks,
        origin: NDArray[np.int32],
        far: NDArray[np.int32],
        u: int,
        missing: NDArray[np.bool_],
        watch: Stopwatch,
    ) -> None:
        """Track on up to frame ``u`` whatever is ``missing`` [N, K] there, and the rest of its
        windows. All earlier windows are known."""
        start = origin[u - self._direction]
        for anchor in np.unique(start[missing]).tolist():
            persons = np.flatnonzero((missing & (start == anchor)).any(-1))
            steps = self._tracker.window - 1
            begun = anchor + (abs(u - anchor) - 1) // steps * steps * self._direction
            last = min(max(begun + steps * self._direction, 0), len(origin) - 1)
            window = list(range(begun, last + self._direction, self._direction))
            with_whom = np.isin(np.arange(len(start)), persons)[:, None]
            if begun == anchor:
                with_whom = with_whom & (self._grid.kind[anchor] == Anchor.PLACED)
            else:  # joints whose next anchor came before this window are done
                with_whom = with_whom & tracks.known[begun] & (origin[begun] == anchor)
            encoded = [self._frames[frame] for frame in window]
            with watch.stage("track"):
                self._window(tracks, origin, far, anchor, window, with_whom, encoded)

    def _window(
        self,
        tracks: DirectedTracks,
        origin: NDArray[np.int32],
        far: NDArray[np.int32],
        anchor: int,
        window: list[int],
        joints: NDArray[np.bool_],
        encoded: list[Any],
    ) -> None:
        n, k = np.nonzero(joints)
        source = self._grid.xy[anchor] if window[0] == anchor else tracks.xy[window[0]]
        found = self._tracker.track(encoded, source[n, k].astype(np.float64), n)
        xy = found.xy[0]
        for i, (t, u) in enumerate(pairwise(window)):
            steps = settled(
                PointSteps(xy=found.xy[i + 1], error=found.error[i + 1]),
                xy,
                alone=found.xy[i + 1],  # it looks past what hides a point, so its guess counts
                size=self._grid.size[anchor, n],
                person=np.where(far[u, n, k] == NO_FRAME, n, -1),
                config=self._config,
            )
            xy = steps.xy
            here = origin[t, n, k] == anchor  # not beyond the next anchor
            at = (u, n[here], k[here])
            tracks.xy[at], tracks.known[at] = steps.xy[here], True
            tracks.deviation[at], tracks.lost[at] = steps.deviation[here], steps.lost[here]


def _with_companions(
    changed: NDArray[np.bool_], before: NDArray[np.int32], now: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """``changed`` [T, N, K] and the joints that start, or started, on the same anchors of the
    same persons."""
    out = np.array(changed)
    for n in np.flatnonzero(changed.any((0, 2))):
        for origin in (before, now):
            frames = np.unique(origin[:, n][changed[:, n]])
            frames = frames[frames != NO_FRAME]
            out[:, n] |= np.isin(before[:, n], frames) | np.isin(now[:, n], frames)
    return out


def _outermost(anchors: NDArray[np.int32], edge: int, direction: int) -> int:
    """The anchor furthest in ``direction``, or ``edge`` where none lies beyond it."""
    there = anchors[anchors != NO_FRAME]
    if not len(there):
        return edge
    return int(max(edge, there.max()) if direction > 0 else min(edge, there.min()))
