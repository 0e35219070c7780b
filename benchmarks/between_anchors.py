"""Between the labels of every G-th frame: how close does each method come to the others?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip
from impose_core.anchors import Anchor, AnchorGrid
from impose_core.chains import Spans, Taken, chains_of, nodes_of
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin
from impose_core.propagation import Propagation
from impose_core.readings import Readings
from impose_core.smoothing import Chains, smooth
from impose_core.stopwatch import Stopwatch

METHODS = ("linear", "forward", "forward bridged", "backward bridged", "estimate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Over person-frames: mean OKS, share below .85, how many."""

    mean: float
    below: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One clip at one gap: a score per method, and the estimate's errors in its deviations.

    ``ratio`` float [n]: error over reported deviation of every joint between anchors.
    """

    scores: dict[str, Score]
    ratio: NDArray[np.float64]


def marks_of_every(clip: Clip, gap: int) -> Marks:
    """The labels of every ``gap``-th frame as human marks."""
    truth = clip.truth
    marks = Marks(len(truth.skeleton))
    patch = {}
    for n, track in enumerate(truth.track_id.tolist()):
        for frame in range(0, len(truth), gap):
            known = np.isfinite(truth.xy[frame, n]).all(-1)
            if known.any():
                mark = Mark(
                    xy=truth.xy[frame, n].copy(),
                    visibility=np.where(known, truth.visibility[frame, n], UNMARKED).astype("u1"),
                    origin=np.where(known, Origin.HUMAN, Origin.NONE).astype("u1"),
                    box=np.full(4, np.nan),
                )
                patch[track, frame] = (None, mark)
    marks.apply(patch)
    return marks


def propagated(
    clip: Clip, marks: Marks, config: Config | None = None, engine: Engine | None = None
) -> Propagation:
    """The whole clip estimated from ``marks``; without an engine, from tracks alone."""
    propagation = Propagation(
        clip.frames,
        skeleton=clip.truth.skeleton,
        engine=engine or Engine(),
        config=config or Config(),
        watch=Stopwatch(),
    )
    grid = AnchorGrid.of(
        marks,
        track_id=clip.truth.track_id.tolist(),
        frames=len(clip.truth),
        width=clip.frames.width,
        height=clip.frames.height,
    )
    propagation.rebase(grid, np.full(len(clip.truth.track_id), -1))
    for start in range(0, len(clip.truth), 10):
        propagation.estimate(start, min(start + 10, len(clip.truth)))
    return propagation


def run(clip: Clip, gap: int, config: Config | None = None, engine: Engine | None = None) -> Run:
    """Score every method on ``clip`` with anchors every ``gap`` frames."""
    config = config or Config()
    return scored(clip, gap, propagated(clip, marks_of_every(clip, gap), config, engine), config)


def scored(clip: Clip, gap: int, propagation: Propagation, config: Config | None = None) -> Run:
    """Score every method on ``clip``; ``propagation`` has anchors every ``gap`` frames."""
    config = config or Config()
    grid, estimates = propagation.grid, propagation.estimates
    between = is_between(clip, gap, grid)
    spans = spans_of(grid, between)
    nodes = nodes_of(spans, grid)
    # the methods beside the estimate are tracks alone, without the guard against captures
    nobody = np.zeros(len(nodes.frame), bool)
    taken = Taken(forward=nobody, backward=nobody)
    unread = Readings.none(len(nodes.frame))
    chains = chains_of(
        spans,
        nodes,
        propagation.evidence,
        estimates,
        taken,
        unread,
        config.tracking,
        seed_deviation=config.estimate.seed_deviation,
    )
    tracks = {
        "linear": _linear(chains, nodes.span),
        "forward": chains.forward,
        "forward bridged": smooth(_alone(chains, "backward"), config.estimate).xy,
        "backward bridged": smooth(_alone(chains, "forward"), config.estimate).xy,
    }
    scores = {}
    for method in METHODS:
        xy = np.full(estimates.xy.shape, np.nan)
        if method == "estimate":
            xy = estimates.xy
        else:
            xy[nodes.frame, nodes.person, nodes.joint] = tracks[method]
        scores[method] = score(clip, xy, between)
    return Run(scores=scores, ratio=error_in_deviations(clip, propagation, between, config))


def is_between(clip: Clip, gap: int, grid: AnchorGrid) -> NDArray[np.bool_]:
    """[T, N, K]: labelled joints between two anchors that are ``gap`` frames apart."""
    return np.asarray(
        (grid.kind == Anchor.NONE)
        & (grid.kind_at(grid.previous) == Anchor.PLACED)
        & (grid.kind_at(grid.following) == Anchor.PLACED)
        & (grid.following - grid.previous == gap)
        & np.isfinite(clip.truth.xy).all(-1)
    )


def error_in_deviations(
    clip: Clip, propagation: Propagation, counts: NDArray[np.bool_], config: Config
) -> NDArray[np.float64]:
    """[n]: error over reported deviation of the joints ``counts`` [T, N, K]."""
    estimates = propagation.estimates
    error = np.hypot(*np.moveaxis(estimates.xy - clip.truth.xy, -1, 0))[counts]
    deviation = np.sqrt(estimates.variance[counts]) * config.estimate.bridged_scale
    return np.asarray(error / deviation)


def score(clip: Clip, xy: NDArray[np.float64], counts: NDArray[np.bool_]) -> Score:
    """OKS per person-frame over the joints ``counts`` [T, N, K], each label's own area."""
    kappa = 2 * np.asarray(clip.truth.skeleton.sigmas)
    squared = ((xy - clip.truth.xy) ** 2).sum(-1)
    term = np.exp(-squared / (2 * kappa**2 * clip.area[..., None]))
    term = np.where(counts, np.nan_to_num(term), 0.0)  # a joint without a position scores 0
    joints = counts.sum(-1)
    oks = (term.sum(-1) / np.maximum(joints, 1))[joints > 0]
    if not len(oks):
        return Score(mean=float("nan"), below=float("nan"), count=0)
    return Score(mean=float(oks.mean()), below=float((oks < 0.85).mean()), count=len(oks))


def spans_of(grid: AnchorGrid, between: NDArray[np.bool_]) -> Spans:
    """The spans that the joints ``between`` [T, N, K] lie on, anchors included."""
    _, n, k = np.nonzero(between)
    rows = np.stack([n, k, grid.previous[between], grid.following[between]], axis=1)
    return Spans.of(np.unique(rows, axis=0), forward=True, backward=True)


def _linear(chains: Chains, chain: NDArray[np.int64]) -> NDArray[np.float64]:
    last = chains.first + chains.length - 1
    start, end = chains.forward[chains.first][chain], chains.backward[last][chain]
    share = (np.arange(len(chain)) - chains.first[chain]) / (chains.length - 1)[chain]
    return start + share[:, None] * (end - start)


def _alone(chains: Chains, without: str) -> Chains:
    """The same chains, both ends pinned, one of the two tracks taken away."""
    track = getattr(chains, without).copy()
    end = chains.first if without == "forward" else chains.first + chains.length - 1
    held = track[end]
    track[:] = np.nan
    track[end] = held
    return replace(chains, **{without: track})
