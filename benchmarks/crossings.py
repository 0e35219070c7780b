"""Bodies near each other: captures, with and without a rule against them; and visibility.

The rule: where the tracks of the same joint of two persons come close, the patch there is
compared with both owners' anchors; the owner it resembles less has lost its joint from there
on, so its track's steps count as lost. It is tried out here and not part of the product
unless it lowers captures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.between_anchors import marks_of_every, propagated, score
from benchmarks.clips import Clip
from impose_core.anchors import Anchor
from impose_core.chains import Nodes, Spans, chains_of, nodes_of
from impose_core.config import Config
from impose_core.evidence import DirectedTracks
from impose_core.poses import Visibility
from impose_core.propagation import Propagation
from impose_core.smoothing import Chains, smooth

NEAR = 0.15
"""Body sizes: closer than this, two tracks of the same joint may be on the same pixels."""
PATCH = 15
OFF, ON = 0.12, 0.06
"""Body sizes: captured is who is further than ``OFF`` from his own joint and closer than
``ON`` to somebody else's joint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Shares over estimated joints, mean OKS, and visibility against the rendered truth."""

    captured: float
    captured_with_rule: float
    oks: float
    oks_with_rule: float
    joints: int
    visible_recall: float
    occluded_recall: float


def run(clip: Clip, gap: int = 20) -> Crossing:
    """Try the rule on ``clip`` with anchors every ``gap`` frames."""
    config = Config()
    propagation = propagated(clip, marks_of_every(clip, gap), config)
    grid, estimates = propagation.grid, propagation.estimates
    between = (
        (grid.kind == Anchor.NONE)
        & (grid.kind_at(grid.previous) == Anchor.PLACED)
        & (grid.kind_at(grid.following) == Anchor.PLACED)
        & np.isfinite(clip.truth.xy).all(-1)
    )
    _, n, k = np.nonzero(between)
    rows = np.stack([n, k, grid.previous[between], grid.following[between]], axis=1)
    spans = Spans.of(np.unique(rows, axis=0), forward=True, backward=True)
    nodes = nodes_of(spans, grid)
    chains = chains_of(spans, nodes, propagation.evidence, estimates)
    ruled = np.full(estimates.xy.shape, np.nan)
    ruled[nodes.frame, nodes.person, nodes.joint] = smooth(
        _with_rule(chains, nodes, propagation, clip, config), config.estimate
    ).xy
    truly = clip.truth.visibility
    seen = between & (truly == Visibility.VISIBLE)
    hidden = between & (truly == Visibility.OCCLUDED)
    return Crossing(
        captured=_captured(clip, estimates.xy, between),
        captured_with_rule=_captured(clip, ruled, between),
        oks=score(clip, estimates.xy, between).mean,
        oks_with_rule=score(clip, ruled, between).mean,
        joints=int(between.sum()),
        visible_recall=float(estimates.visible[seen].mean()),
        occluded_recall=float((~estimates.visible[hidden]).mean()) if hidden.any() else np.nan,
    )


def _captured(clip: Clip, xy: NDArray[np.float64], counts: NDArray[np.bool_]) -> float:
    truth = clip.truth.xy
    low, high = np.nanmin(truth, axis=2), np.nanmax(truth, axis=2)
    size = np.hypot(*np.moveaxis(high - low, -1, 0))[..., None] / 2
    off = np.hypot(*np.moveaxis(xy - truth, -1, 0)) > OFF * size
    on = np.zeros_like(off)
    for a, b in combinations(range(truth.shape[1]), 2):
        for mine, other in ((a, b), (b, a)):
            # from each of my joints to every joint of the other: [T, K, K]
            gap = truth[:, other][:, None] - xy[:, mine][:, :, None]
            distance = np.hypot(gap[..., 0], gap[..., 1])
            on[:, mine] |= np.nanmin(distance, axis=-1) < ON * size[:, mine]
    return float((off & on)[counts].mean())


def _with_rule(
    chains: Chains, nodes: Nodes, propagation: Propagation, clip: Clip, config: Config
) -> Chains:
    """The chains with the losers' steps counted as lost."""
    grey = [cv2.cvtColor(clip.frames.read(t), cv2.COLOR_RGB2GRAY) for t in range(len(clip.truth))]
    evidence = propagation.evidence
    forward = _losers(evidence.forward, propagation.grid.previous, propagation, grey, 1)
    backward = _losers(evidence.backward, propagation.grid.following, propagation, grey, -1)
    at = (nodes.frame, nodes.person, nodes.joint)
    lost = config.tracking.lost_deviation * chains.size[nodes.span] + 1
    to_next = np.append(forward[at][1:], False)
    return replace(
        chains,
        forward_deviation=np.where(to_next, np.maximum(lost, chains.forward_deviation),
                                   chains.forward_deviation),
        backward_deviation=np.where(backward[at], np.maximum(lost, chains.backward_deviation),
                                    chains.backward_deviation),
    )  # fmt: skip


def _losers(
    tracks: DirectedTracks,
    origin: NDArray[np.int32],
    propagation: Propagation,
    grey: list[NDArray[np.uint8]],
    direction: int,
) -> NDArray[np.bool_]:
    """[T, N, K]: tracks that have lost a comparison since their anchor."""
    grid = propagation.grid
    beaten = np.zeros(tracks.known.shape, bool)
    order = range(len(grey)) if direction > 0 else range(len(grey) - 1, -1, -1)
    for t in order:
        before = t - direction
        if 0 <= before < len(grey):
            carried = beaten[before] & (grid.kind[before] == Anchor.NONE)
            beaten[t] |= carried
        for a, b in combinations(range(grid.kind.shape[1]), 2):
            for k in np.flatnonzero(tracks.known[t, a] & tracks.known[t, b]):
                anchors = origin[t - direction, [a, b], k]
                if (anchors < 0).any():
                    continue
                size = grid.size[anchors, [a, b]].mean()
                here = tracks.xy[t, [a, b], k]
                if np.hypot(*(here[0] - here[1])) > NEAR * size:
                    continue
                patches = [
                    _patch(grey[f], grid.xy[f, n, k])
                    for f, n in zip(anchors, (a, b), strict=True)
                ]
                found = _patch(grey[t], here.mean(0))
                likeness = [_likeness(p, found) for p in patches]
                beaten[t, a if likeness[0] < likeness[1] else b, k] = True
    return beaten


def _patch(image: NDArray[np.uint8], xy: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(
        cv2.getRectSubPix(image, (PATCH, PATCH), (float(xy[0]) - 0.5, float(xy[1]) - 0.5)),
        np.float32,
    )


def _likeness(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0])
