"""When did each track slip? The posterior over both directions together.

A forward track is right until it slips at some node *s*; a backward track is right from some
node *r* on. Where ``s == r`` the one hands over to the other; where ``s < r`` neither saw the
joint on the way between (it was hidden), and it moved freely. Every pair (s, r) explains the
distance between the forward track at s and the backward track at r with its own variance, and
pays for what it assumes. The sum over all pairs says how far each track is to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.config import SlipConfig

Floats = NDArray[np.float64]

_CELLS = 2_000_000
"""Pairs worked on at a time; bounds memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """C bridged joints of the same length L, from their left anchor to their right one.

    Attributes:
        forward, backward: float64 [C, L, 2] pixels, each equal to its own anchor there.
        forward_variance, backward_variance: float64 [C, L] pixels squared: of the steps from
            a node to the next one; the last column is 0.
        start_hidden, end_hidden: bool [C]: the anchor was said to be occluded, so the track
            may have started on what lies over the joint.
        size: float64 [C] pixels, body size.
        forward_surprise, backward_surprise, free_surprise: float64 [C, L] nats: what other
            witnesses hold against each track at a node, and against the joint being seen by
            neither.
    """

    forward: Floats
    backward: Floats
    forward_variance: Floats
    backward_variance: Floats
    start_hidden: NDArray[np.bool_]
    end_hidden: NDArray[np.bool_]
    size: Floats
    forward_surprise: Floats
    backward_surprise: Floats
    free_surprise: Floats

    def rows(self, chosen: slice) -> Tracks:
        """Some of the C joints."""
        return Tracks(**{name: getattr(self, name)[chosen] for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What to make of tracks, per node [..., L].

    Attributes:
        forward, backward: probability that the track's step to the *next* node is right.
        doubt: pixels squared, per axis: the spread of the node's place over the two tracks,
            each as probable as it is to be right (law of total variance).
    """

    forward: Floats
    backward: Floats
    doubt: Floats


def trust(tracks: Tracks, config: SlipConfig) -> Trust:
    """How far each track is to be trusted, step by step."""
    count, length = tracks.forward.shape[:2]
    width = min(length, config.longest_free + 1)
    many = max(1, _CELLS // (length * width))
    parts = [_trust(tracks.rows(slice(i, i + many)), width, config) for i in range(0, count, many)]
    return Trust(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Trust.__slots__
        }
    )


def _trust(tracks: Tracks, width: int, config: SlipConfig) -> Trust:
    # variance of the steps before a node, and of the steps from it on
    forward_total = np.cumsum(tracks.forward_variance, axis=1) - tracks.forward_variance
    backward_total = np.cumsum(tracks.backward_variance, axis=1) - tracks.backward_variance
    backward_total = backward_total[:, -1:] - backward_total

    slipped_at, back_at = _posterior(tracks, forward_total, backward_total, width, config)
    slipped = np.clip(np.cumsum(slipped_at, axis=1), 0.0, 1.0)  # at this node or before
    back = np.clip(np.cumsum(back_at, axis=1), 0.0, 1.0)
    apart = ((tracks.forward - tracks.backward) ** 2).sum(-1)
    # a track that arrives on the far anchor has hardly slipped, whatever the other one did
    forward_closes = 1 / (1 + apart[:, -1:] / np.maximum(forward_total[:, -1:], 1e-12))
    backward_closes = 1 / (1 + apart[:, :1] / np.maximum(backward_total[:, :1], 1e-12))
    neither_closes = (1 - forward_closes) * (1 - backward_closes)
    return Trust(
        forward=np.maximum(forward_closes + (1 - forward_closes) * (1 - slipped), config.least),
        backward=np.maximum(backward_closes + (1 - backward_closes) * back, config.least),
        doubt=neither_closes * (1 - slipped + slipped_at) * back * apart / 2,
    )


def _posterior(
    tracks: Tracks,
    forward_total: Floats,
    backward_total: Floats,
    width: int,
    config: SlipConfig,
) -> tuple[Floats, Floats]:
    """[C, L] each: the probability of every s, and of every r."""
    count, length = forward_total.shape
    gap = np.arange(width)
    s = np.arange(length)[:, None]
    r = np.minimum(s + gap, length - 1)
    squared = ((tracks.forward[:, :, None] - tracks.backward[:, r]) ** 2).sum(-1)
    free = gap * (config.free_deviation * tracks.size[:, None]) ** 2
    variance = np.maximum(
        forward_total[:, :, None] + backward_total[:, r] + free[:, None, :], 1e-12
    )
    cost = config.free_cost * gap + config.gap_cost * (gap > 0)
    surprise = (
        (config.nu + 2) / 2 * np.log1p(squared / variance / config.nu) + np.log(variance) + cost
    )
    surprise += config.hidden_cost * (tracks.start_hidden[:, None, None] & (s > 0))
    surprise += config.hidden_cost * (tracks.end_hidden[:, None, None] & (r < length - 1))
    surprise += _witnessed(tracks, r)
    surprise = np.where(s + gap < length, surprise, np.inf).reshape(count, -1)
    weight = np.exp(surprise.min(1, keepdims=True) - surprise)
    weight = (weight / weight.sum(1, keepdims=True)).reshape(count, length, width)
    back_at = np.zeros((count, length))
    for g in range(width):
        back_at[:, g:] += weight[:, : length - g, g]
    return weight.sum(2), back_at


def _witnessed(tracks: Tracks, r: NDArray[np.int64]) -> Floats:
    """[C, L, G]: against the forward track up to s, the backward one from ``r`` [L, G] on, and
    neither between."""
    forward = np.cumsum(tracks.forward_surprise, axis=1)
    free = np.cumsum(tracks.free_surprise, axis=1)
    backward = np.cumsum(tracks.backward_surprise[:, ::-1], axis=1)[:, ::-1]
    between = np.where(r > np.arange(r.shape[0])[:, None], free[:, np.maximum(r - 1, 0)], 0.0)
    between -= np.where(r > np.arange(r.shape[0])[:, None], free[:, :, None], 0.0)
    return np.asarray(forward[:, :, None] + backward[:, r] + between)
