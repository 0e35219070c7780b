"""Bodies near each other: captures with and without the rule against them; and visibility."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmarks.between_anchors import marks_of_every, propagated, score
from benchmarks.clips import Clip
from impose_core.anchors import Anchor
from impose_core.config import Config
from impose_core.poses import Visibility

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
    """Propagate ``clip`` with the rule and without it, anchors every ``gap`` frames."""
    config, marks = Config(), marks_of_every(clip, gap)
    propagation = propagated(clip, marks, config)
    grid, estimates = propagation.grid, propagation.estimates
    without = replace(config, rivals=replace(config.rivals, near=0.0))
    unguarded = propagated(clip, marks, without).estimates
    between = (
        (grid.kind == Anchor.NONE)
        & (grid.kind_at(grid.previous) == Anchor.PLACED)
        & (grid.kind_at(grid.following) == Anchor.PLACED)
        & np.isfinite(clip.truth.xy).all(-1)
    )
    truly = clip.truth.visibility
    seen = between & (truly == Visibility.VISIBLE)
    hidden = between & (truly == Visibility.OCCLUDED)
    return Crossing(
        captured=_captured(clip, unguarded.xy, between),
        captured_with_rule=_captured(clip, estimates.xy, between),
        oks=score(clip, unguarded.xy, between).mean,
        oks_with_rule=score(clip, estimates.xy, between).mean,
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
