"""From evidence to one trajectory per joint, with its deviation (DESIGN section 3).

A *chain* is one joint over the frames from one anchor to the next. Between neighbouring
frames three things speak about the joint's step: the forward track, the backward track and a
weak pull towards straight motion. How far each track is to be trusted at each step comes from
the posterior of where it slipped (:mod:`impose_core.slips`). With these variances the
trajectory is the exact Gaussian smoother: one tridiagonal system for all chains of all joints
and persons at once, whose inverse's diagonal is the variance of each joint.

Readings of a pose reader enter as absolute robust terms beside the steps, each with its own
variance: where tracks and readings disagree the more probable one wins. They are also
witnesses in the question of where a track slipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpttrf, dpttrs

from impose_core.config import EstimateConfig, ReadingConfig
from impose_core.errors import UsageError
from impose_core.readings import OneReading, Readings
from impose_core.slips import Tracks, Trust, trust

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chains:
    """C chains, their nodes (joint on a frame) one after the other: M nodes in all.

    Attributes:
        first: int64 [C], index of each chain's first node; the chains follow one another.
        forward, backward: float64 [M, 2] pixels: each direction's track, equal to the anchor
            at its own; NaN throughout a chain that has no such track.
        forward_deviation, backward_deviation: float64 [M] pixels, one sigma of the step from
            a node to the *next* one; a chain's last entry is not read.
        start_variance, end_variance: float64 [C] pixels squared: 0 pins the end node to its
            track, inf leaves it free.
        start_hidden, end_hidden: bool [C]: the end is an anchor said to be occluded.
        size: float64 [C] pixels: body size.
        readings: of the M nodes.
    """

    first: NDArray[np.int64]
    forward: Floats
    backward: Floats
    forward_deviation: Floats
    backward_deviation: Floats
    start_variance: Floats
    end_variance: Floats
    start_hidden: NDArray[np.bool_]
    end_hidden: NDArray[np.bool_]
    size: Floats
    readings: Readings

    def __post_init__(self) -> None:
        nodes, chains = len(self.forward), len(self.first)
        expected = {
            "backward": (nodes, 2),
            "forward_deviation": (nodes,),
            "backward_deviation": (nodes,),
            "start_variance": (chains,),
            "end_variance": (chains,),
            "start_hidden": (chains,),
            "end_hidden": (chains,),
            "size": (chains,),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise UsageError(
                    f"Expected '{name}' to have shape {shape}, got {getattr(self, name).shape}."
                )

        if len(self.readings.score) != nodes:
            raise UsageError(
                f"Expected 'readings' to be of {nodes} nodes, got {len(self.readings.score)}."
            )

    @property
    def bridged(self) -> NDArray[np.bool_]:
        """[C]: held at both ends."""
        return np.asarray(np.isfinite(self.start_variance) & np.isfinite(self.end_variance))

    @property
    def length(self) -> NDArray[np.int64]:
        """[C]: nodes per chain."""
        return np.diff(np.append(self.first, len(self.forward)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectories:
    """``xy`` float64 [M, 2] pixels and ``variance`` float64 [M] (per axis, pixels squared)."""

    xy: Floats
    variance: Floats


def smooth(chains: Chains, config: EstimateConfig) -> Trajectories:
    """The most probable trajectory of every chain, with its posterior variance."""
    if len(chains.first) == 0:
        return Trajectories(xy=np.empty((0, 2)), variance=np.empty(0))
    chain = np.repeat(np.arange(len(chains.first)), chains.length)
    read = np.logical_or.reduceat(chains.readings.present, chains.first)
    increment, precision, doubt = _steps(chains, chain, read, config)
    system = _System(increment, precision, *_ends(chains))
    result = system.solved()
    doubt = np.where(np.isinf(system.held), 0.0, doubt)
    tracked = result.variance + doubt
    if read.any():
        result = _with_readings(chains, chain, system, tracked, config.readings)
    else:
        result = Trajectories(xy=result.xy, variance=tracked)
    return _with_open_ends(chains, precision, read, result)


def _with_readings(
    chains: Chains,
    chain: NDArray[np.int64],
    system: _System,
    tracked: Floats,
    config: ReadingConfig,
) -> Trajectories:
    """The trajectories with the places of a reader, one per node: the best near the estimate.

    A reading that disagrees with its trajectory is outvoted, not averaged: its score fades with
    the distance, and its weight is that of a Student-t.

    Args:
        chains: with readings in some.
        chain: [M], which chain each node is of.
        system: steps and ends.
        tracked: [M] variance without readings.
        config: what readings are worth.
    """
    readings, size = chains.readings, chains.size[chain]
    alone = system.solved()
    result, unsure = alone, tracked
    for _ in range(config.rounds + 1):
        near = readings.near(result.xy, unsure, size, config)
        # the first look is from the tracks, which may be far off
        first = unsure if result is alone else np.zeros_like(unsure)
        weight = near.weight(result.xy, first, config)
        judged = _System(
            system.increment,
            system.precision / _contradicted(chains, alone, near, config.contradicted)[chain],
            system.anchor,
            system.held,
        )
        result = judged.solved(near.xy, weight / near.variance)
        unsure = result.variance
    # what the readings know comes on top of what the tracks know, their doubts included
    read = np.logical_or.reduceat(readings.present, chains.first)[chain] & (tracked > 0)
    before, after, total = (
        np.where(read, v, 1.0) for v in (alone.variance, result.variance, tracked)
    )
    said = np.maximum(1 / after - 1 / before, 0.0)
    return Trajectories(
        xy=result.xy, variance=np.where(read, 1 / (1 / total + said / config.alike), tracked)
    )


def _contradicted(chains: Chains, tracked: Trajectories, near: OneReading, belief: float) -> Floats:
    """[C], at least 1: by how much tracks deviate more than their checks say.

    Judged by readings all along the way, which see what no check does: a track that slid off
    with its surroundings. As :func:`_excess`, with one degree of freedom for each reading.
    """
    read = np.isfinite(near.variance) & (tracked.variance > 0)
    squared = np.where(read, ((near.xy - tracked.xy) ** 2).sum(-1) / 2, 0.0)
    expected = np.where(read, tracked.variance + near.variance, 1.0)
    surprise = np.add.reduceat(squared / expected, chains.first)
    count = np.add.reduceat(read.astype(float), chains.first)
    return np.maximum((belief + surprise) / (belief + count), 1.0)


def _steps(
    chains: Chains,
    chain: NDArray[np.int64],
    read: NDArray[np.bool_],
    config: EstimateConfig,
) -> tuple[Floats, Floats, Floats]:
    """Mean [M, 2] and precision [M] of each step to the next node, and doubt [M].

    Precision is 0 at chain ends. Doubt is the variance of not knowing which track is right.
    ``chain`` [M] is the chain of each node, ``read`` [C] which chains have readings.
    """
    length = chains.length
    last = np.append(chains.first[1:], len(chain)) - 1
    is_step = np.ones(len(chain), bool)
    is_step[last] = False

    steps = np.maximum(length - 1, 1)
    # a miss of either click has to be walked off between the two; one click is the truth
    click = np.where(chains.bridged, config.click_deviation**2 / steps, 0.0)
    floor = chains.size**2 * (config.step_floor**2 + click)
    forward_step, backward_step = _differences(chains.forward), _differences(chains.backward)
    has_forward, has_backward = (
        is_step & np.isfinite(step).all(-1) for step in (forward_step, backward_step)
    )
    forward_variance = np.where(has_forward, chains.forward_deviation**2 + floor[chain], 0.0)
    backward_variance = np.where(has_backward, chains.backward_deviation**2 + floor[chain], 0.0)
    trusted = _trust(chains, chain, forward_variance, backward_variance, config)
    forward_precision = _over(trusted.forward, forward_variance, has_forward)
    backward_precision = _over(trusted.backward, backward_variance, has_backward)
    straight_step, straight_precision = _straight(
        chains, forward_step, backward_step, has_forward & has_backward, chain, last, config
    )
    precision = forward_precision + backward_precision + straight_precision
    total = (
        forward_precision[:, None] * np.nan_to_num(forward_step)
        + backward_precision[:, None] * np.nan_to_num(backward_step)
        + straight_precision[:, None] * straight_step
    )
    step = total / np.where(precision > 0, precision, 1.0)[:, None]
    excess = _excess(chains, forward_variance, backward_variance, config.readings.closing)
    precision = precision / np.where(read, excess, 1.0)[chain]
    return step, precision, trusted.doubt


def _excess(
    chains: Chains, forward_variance: Floats, backward_variance: Floats, belief: float
) -> Floats:
    """[C], at least 1: by how much tracks deviate more than their checks say.

    Judged by how far the better one of both misses the far anchor: the mean of an inverse gamma
    with ``belief`` degrees of freedom around 1.
    """
    first = chains.first
    last = first + chains.length - 1
    apart = ((chains.forward - chains.backward) ** 2).sum(-1)
    expected = np.add.reduceat(forward_variance, first), np.add.reduceat(backward_variance, first)
    with np.errstate(invalid="ignore", divide="ignore"):
        missed = np.minimum(apart[last] / expected[0], apart[first] / expected[1])
    missed = np.where(chains.bridged & np.isfinite(missed), missed, 0.0)
    return np.maximum((belief + missed) / (belief + 2), 1.0)


def _trust(
    chains: Chains,
    chain: NDArray[np.int64],
    forward_variance: Floats,
    backward_variance: Floats,
    config: EstimateConfig,
) -> Trust:
    """How far each direction is to be trusted, per node [M]."""
    surprise = _witnesses(chains, chain, config.readings)
    nodes = len(chains.forward)
    # a chain with one track only has nothing to be judged by
    found = Trust(forward=np.ones(nodes), backward=np.ones(nodes), doubt=np.zeros(nodes))
    last = chains.first + chains.length - 1
    both = np.isfinite(chains.backward[chains.first] + chains.forward[last]).all(-1)
    for length in np.unique(chains.length[both]):
        # alike in length: no chain's rounding may hang on which others are with it
        chosen = np.flatnonzero(both & (chains.length == length))
        at = chains.first[chosen, None] + np.arange(length)
        part = trust(
            Tracks(
                forward=chains.forward[at],
                backward=chains.backward[at],
                forward_variance=forward_variance[at],
                backward_variance=backward_variance[at],
                start_hidden=chains.start_hidden[chosen],
                end_hidden=chains.end_hidden[chosen],
                size=chains.size[chosen],
                forward_surprise=surprise[0][at],
                backward_surprise=surprise[1][at],
                free_surprise=surprise[2][at],
            ),
            config.slips,
        )
        for name in Trust.__slots__:
            getattr(found, name)[at] = getattr(part, name)
    return found


def _witnesses(
    chains: Chains, chain: NDArray[np.int64], config: ReadingConfig
) -> tuple[Floats, Floats, Floats]:
    """What the readings hold, in nats [M], against the forward track, the backward one, both."""
    readings, size = chains.readings, chains.size[chain, None]
    share = np.where(readings.present, config.witness / readings.mistrust, 0.0)

    def against(track: Floats) -> Floats:
        squared = ((readings.xy - track[:, None]) ** 2).sum(-1)
        near = np.exp(-squared / (2 * (config.witness_deviation * size) ** 2))
        likelihood = np.where(readings.score > 0, readings.score * near, 0.0).max(-1, initial=0.0)
        return np.asarray(-share * np.log(config.witness_floor + likelihood))

    free = -share * np.log(config.witness_free)
    return against(chains.forward), against(chains.backward), free


def _straight(
    chains: Chains,
    forward_step: Floats,
    backward_step: Floats,
    both: NDArray[np.bool_],
    chain: NDArray[np.int64],
    last: NDArray[np.int64],
    config: EstimateConfig,
) -> tuple[Floats, Floats]:
    """The pull towards straight motion: step [M, 2], precision [M].

    Its strength comes from the chain's own measured steps: a joint that moves evenly is
    pulled firmly, one that dances hardly at all.
    """
    first = chains.first
    steps = np.maximum(chains.length - 1, 1)
    whole = np.nan_to_num(chains.backward[last] - chains.forward[first])
    straight = (whole / steps[:, None])[chain]
    squared = ((forward_step - straight) ** 2 + (backward_step - straight) ** 2).sum(-1) / 4
    mean = np.add.reduceat(np.where(both, squared, 0.0), first) / steps
    variance = np.maximum(config.straight_variance * mean, 1e-4)[chain]
    return straight, np.where(both, 1 / variance, 0.0)


def _ends(chains: Chains) -> tuple[Floats, Floats]:
    """Where end nodes are held [M, 2] and how firmly [M]: inf pins, 0 leaves free."""
    anchor = np.zeros_like(chains.forward)
    precision = np.zeros(len(anchor))
    last = np.append(chains.first[1:], len(anchor)) - 1
    for node, track, variance in (
        (chains.first, chains.forward, chains.start_variance),
        (last, chains.backward, chains.end_variance),
    ):
        held = np.isfinite(variance)
        anchor[node[held]] = track[node[held]]
        with np.errstate(divide="ignore"):
            precision[node[held]] = 1 / variance[held]
    return anchor, precision


def _with_open_ends(
    chains: Chains, precision: Floats, read: NDArray[np.bool_], result: Trajectories
) -> Trajectories:
    """``result`` with chains held at one end and not ``read`` [C] put down in closed form.

    Such a chain is its track, and its variance a running sum. Written so, the last bit does
    not hang on where a trajectory was cut into chains.
    """
    length = chains.length
    step = 1 / np.where(precision > 0, precision, np.inf)
    last = chains.first + length - 1
    xy, variance = result.xy, result.variance
    for track, start, end, order in (
        (chains.forward, chains.start_variance, chains.end_variance, 1),
        (chains.backward, chains.end_variance, chains.start_variance, -1),
    ):
        mine = np.repeat(np.isfinite(start) & np.isinf(end) & ~read, length)
        growth = np.append(0.0, step[:-1]) if order > 0 else step.copy()
        growth[chains.first if order > 0 else last] = np.where(np.isfinite(start), start, 0.0)
        total = _summed(growth[::order], length[::order])[::order]
        xy = np.where(mine[:, None], track, xy)
        variance = np.where(mine, total, variance)
    return Trajectories(xy=xy, variance=variance)


@dataclass(frozen=True, slots=True)
class _System:
    """Steps [M, 2] to the next node with their precision [M], and ends: where [M, 2] they are
    ``held`` [M]; infinite pins, 0 leaves free."""

    increment: Floats
    precision: Floats
    anchor: Floats
    held: Floats

    def solved(self, reading: Floats | None = None, known: Floats | None = None) -> Trajectories:
        """The least weighted squares of steps, ends and readings over all nodes.

        Args:
            reading: [M, 2] pixels.
            known: [M] their precision.
        """
        precision, anchor, pinned = self.precision, self.anchor, np.isinf(self.held)
        before = np.append(0.0, precision[:-1])  # of the step that leads to a node
        push = precision[:, None] * self.increment
        held = np.where(pinned, 0.0, self.held)
        diagonal = before + precision + held
        right = held[:, None] * anchor - push
        right[1:] += push[:-1]
        if reading is not None and known is not None:
            diagonal += known
            right += known[:, None] * reading

        # pinned nodes leave the system: their neighbours know where they are
        coupling = -precision[:-1].copy()
        to_next, to_previous = pinned[:-1], pinned[1:]
        right[1:][to_next] -= coupling[to_next, None] * anchor[:-1][to_next]
        right[:-1][to_previous] -= coupling[to_previous, None] * anchor[1:][to_previous]
        coupling[to_next | to_previous] = 0.0
        diagonal[pinned], right[pinned] = 1.0, anchor[pinned]

        pivots, factors, failed = dpttrf(diagonal, coupling)
        if failed:
            raise UsageError(
                f"Expected every chain to be held somewhere, got a free one (node {failed - 1})."
            )
        xy, _ = dpttrs(pivots, factors, right)
        from_the_end, _, _ = dpttrf(diagonal[::-1], coupling[::-1])
        variance = 1 / (pivots + from_the_end[::-1] - diagonal)
        xy[pinned], variance[pinned] = anchor[pinned], 0.0
        return Trajectories(xy=xy, variance=np.maximum(variance, 0.0))


def _summed(values: Floats, length: NDArray[np.int64]) -> Floats:
    """Running sums [M] within each chain of ``length`` [C] nodes.

    Chain by chain, not over all with the start taken off again: the rounding of a chain must
    not hang on which others are estimated with it, or undo would not restore the last bit.
    """
    rows = np.zeros((len(length), int(length.max())))
    inside = np.arange(rows.shape[1]) < length[:, None]
    rows[inside] = values
    return np.asarray(np.cumsum(rows, axis=1)[inside])


def _differences(track: Floats) -> Floats:
    """The step from each node to the next; the last entry is NaN."""
    return np.append(np.diff(track, axis=0), np.full((1, 2), np.nan), axis=0)


def _over(trust: Floats, variance: Floats, where: NDArray[np.bool_]) -> Floats:
    return np.where(where, trust / np.where(variance > 0, variance, 1.0), 0.0)
