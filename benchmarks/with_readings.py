"""Between anchors, with a pose reader: what its readings add, and what they are worth alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.between_anchors import (
    Run,
    error_in_deviations,
    is_between,
    marks_of_every,
    propagated,
    score,
    spans_of,
)
from benchmarks.clips import Clip
from impose_core.anchors import Anchor
from impose_core.chains import Nodes, Spans, nodes_of
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch
from impose_core.propagation import Propagation
from impose_core.readers import PoseReader
from impose_core.readers.naming import columns
from impose_core.reading import SpanReader

Floats = NDArray[np.float64]

METHODS = ("with readings", "readings alone", "readings alone, unbiased")
"""*Alone*: in the same views, each joint at the place the reader likes best; *unbiased*: less what
the reader was off at the anchors."""
TUNED_ON = ("p2s_multi_cam01", "human_dance17")
"""Clips on which the constants of readings were chosen."""
LOOKED_AT = ("p2s_multi_cam03",)
"""... and one that was looked at while they were; all others only report."""


def run(clip: Clip, gap: int, tracked: Propagation, reader: PoseReader) -> Run | None:
    """Score :data:`METHODS` on ``clip`` with anchors every ``gap`` frames.

    Args:
        clip: the video.
        gap: frames from anchor to anchor.
        tracked: the same without a reader.
        reader: reads.

    Returns:
        None if the reader does not know such bodies.

    Raises:
        AssertionError: if it does not, and the estimates differ all the same.
    """
    read = propagated(clip, marks_of_every(clip, gap), engine=Engine(reader=reader))
    try:
        known = columns(clip.truth.skeleton, reader.skeleton)
    except SkeletonMismatch:
        np.testing.assert_array_equal(read.estimates.xy, tracked.estimates.xy)
        np.testing.assert_array_equal(read.estimates.variance, tracked.estimates.variance)
        return None
    between = is_between(clip, gap, read.grid)
    spans = spans_of(read.grid, between)
    nodes = nodes_of(spans, read.grid)
    best, bias = alone(clip, spans, nodes, tracked, reader, known)
    poses = {"with readings": read.estimates.xy}
    for method, places in zip(METHODS[1:], (best, best - bias), strict=True):
        poses[method] = np.full(read.estimates.xy.shape, np.nan)
        poses[method][nodes.frame, nodes.person, nodes.joint] = places
    return Run(
        scores={method: score(clip, poses[method], between) for method in METHODS},
        ratio=error_in_deviations(clip, read, between, Config()),
    )


def alone(
    clip: Clip,
    spans: Spans,
    nodes: Nodes,
    tracked: Propagation,
    reader: PoseReader,
    known: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """The places [M, 2] of ``nodes`` that the reader likes best, and its bias [M, 2] there."""
    grid, estimates, config = tracked.grid, tracked.estimates, Config()
    looking = SpanReader(
        reader,
        known,
        image=clip.frames.read,
        capacity=config.kept_readings,
        config=config.estimate.readings,
    )
    best = np.full((len(nodes.frame), 2), np.nan)
    for t in np.unique(nodes.frame).tolist():
        here = np.flatnonzero(nodes.frame == t)
        person = np.unique(nodes.person[here])
        placed = grid.kind[t, person] == Anchor.PLACED
        xy = np.where(placed[..., None], grid.xy[t, person], estimates.xy[t, person])
        xy[~(placed | estimates.known[t, person])] = np.nan
        seen = looking.look(t, person, xy, grid, (nodes.person[here], nodes.joint[here]))
        if seen.score.shape[-1]:
            best[here] = seen.xy[:, 0]
    bias = looking.bias(spans, grid, estimates).xy[:, nodes.span]
    length = np.maximum(spans.last - spans.first, 1)[nodes.span]
    share = ((nodes.frame - spans.first[nodes.span]) / length)[:, None]
    return best, (1 - share) * bias[0] + share * bias[1]
