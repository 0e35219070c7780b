"""From the ID decoder's shares to words: who gets which (MOTIP's three protocols).

All take float [M, V + 1], each body's shares of the V words and of "newborn", the ``live`` words
(those of trajectories that are remembered) and the ``least`` share that convinces. All give
int64 [M]: a live word, each at most once, or V, a newborn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Shares = NDArray[np.floating]
Words = NDArray[np.int64]


def object_max(shares: Shares, live: Words, least: float) -> Words:
    """Each body claims its likeliest word; of several claimants the surest one gets it."""
    count, newborn = len(shares), shares.shape[1] - 1
    claim, sure = shares.argmax(1), shares.max(1)
    out = np.full(count, newborn, np.int64)
    for word in sorted(set(claim.tolist()) & set(live.tolist())):
        claimants = np.flatnonzero(claim == word)
        best = claimants[sure[claimants].argmax()]
        if sure[best] >= least:
            out[best] = word
    return out


def hungarian(shares: Shares, live: Words, least: float) -> Words:
    """The words whose shares are largest together; any number may be newborn."""
    count, newborn = len(shares), shares.shape[1] - 1
    newborns = np.repeat(shares[:, -1:], max(count - 1, 0), axis=1)
    rows, columns = linear_sum_assignment(1 - np.concatenate([shares, newborns], axis=1))
    out = np.full(count, newborn, np.int64)
    for body, word in zip(rows.tolist(), columns.tolist(), strict=True):
        if word in live and shares[body, word] >= least:
            out[body] = word
    return out


def id_max(shares: Shares, live: Words, least: float) -> Words:
    """Each word, "newborn" too, claims its likeliest body; a body goes to the surest of them."""
    count, newborn = len(shares), shares.shape[1] - 1
    out = np.full(count, newborn, np.int64)
    if not count:
        return out
    claim, sure = shares.argmax(0), shares.max(0)
    for body in range(count):
        claimants = np.flatnonzero(claim == body)
        if len(claimants):
            best = int(claimants[sure[claimants].argmax()])
            if best in live and sure[best] >= least:
                out[body] = best
    return out


PROTOCOLS: Final[dict[str, Callable[[Shares, Words, float], Words]]] = {
    "object-max": object_max,
    "hungarian": hungarian,
    "id-max": id_max,
}
"""By the names they have in MOTIP."""
