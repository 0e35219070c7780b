"""From what was found and read to persons: everybody once, every joint in one place."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.readers.multipose import Bodies
from impose_core.readers.protocol import Candidates
from impose_core.readers.whole_body import Neighbours, RepairConfig, repair
from impose_core.skeleton import COCO17

Floats = NDArray[np.float64]

SEEN: Final = 0.1
"""Score from which a joint speaks about where a body is."""
FEWEST: Final = 4
"""Joints that speak in any case: the best ones."""
SAME: Final = 0.15
"""Body sizes: a joint of one body that is so near to another's is the same joint."""
SHARED: Final = 0.75
"""Two bodies with this share of joints in common are one."""
NEAR: Final = 0.2
"""Body sizes, one sigma: how far the first idea of a joint may be off."""
FAR: Final = 0.02
"""Score times nearness: below, no candidate is this joint, and the first idea stays ..."""
UNREAD: Final = 0.05
"""... with this score at most."""
UNSURE: Final = 0.3
"""Body sizes, one sigma: how far a joint chosen by itself may be off ..."""
_AS_A_WHOLE: Final = RepairConfig(unclicked=0.3)
"""... and in torsos (both measured)."""
LEAST_SIZE: Final = 4.0
"""Pixels."""
_MIRRORED: Final = COCO17.flip_index()


def sizes(xy: Floats) -> Floats:
    """[N]: body sizes of ``xy`` [N, K, 2], half the diagonal of their extents."""
    if not len(xy):
        return np.empty(0)
    return np.asarray(np.maximum(np.hypot(*np.ptp(xy, axis=1).T) / 2, LEAST_SIZE))


def extents(found: Bodies) -> Floats:
    """[N, 4] xyxy pixels: of the joints that speak."""
    speaks = _speaking(found.score)[..., None]
    low = np.where(speaks, found.xy, np.inf).min(1, initial=np.inf)
    high = np.where(speaks, found.xy, -np.inf).max(1, initial=-np.inf)
    return np.concatenate([low, high], axis=-1)


def distinct(found: Bodies) -> Bodies:
    """Everybody once: of bodies that share most joints the best one."""
    return found.pick(_once(found.xy, found.score))


def chosen(found: Bodies, candidates: Candidates) -> tuple[Floats, Floats]:
    """Of each joint's candidates the one: places [N, K, 2], scores [N, K].

    A candidate counts by its score and by how near it is to where the joint was found.
    """
    size = sizes(found.xy)
    off = np.linalg.norm(candidates.xy - found.xy[:, :, None], axis=-1)
    claim = candidates.score * np.exp(-(off**2) / (2 * (NEAR * size)[:, None, None] ** 2))
    claim = np.nan_to_num(claim)
    best = claim.argmax(-1)[..., None]
    read = np.take_along_axis(claim, best, -1)[..., 0] >= FAR
    xy = np.take_along_axis(candidates.xy, best[..., None], 2)[:, :, 0]
    score = np.take_along_axis(candidates.score, best, -1)[..., 0]
    return (
        np.where(read[..., None], xy, found.xy),
        np.where(read, score, np.minimum(found.score, UNREAD)),
    )


def as_bodies(xy: Floats, score: Floats, candidates: Candidates) -> tuple[Floats, Floats]:
    """Places [N, K, 2] and scores [N, K] with every body weighed as a whole, and beside the others.

    The surest body first: who comes after it does not stand on its joints.

    Args:
        xy: [N, K, 2] pixels, COCO's joints: what :func:`chosen` makes of each joint by itself.
        score: [N, K].
        candidates: of N views.
    """
    xy, score, size = xy.copy(), score.copy(), sizes(xy)
    nobody = np.full(xy.shape[1:], np.nan)
    for n in np.argsort(-score.mean(-1), kind="stable").tolist():
        others = np.arange(len(xy)) != n
        found = repair(
            Candidates(xy=candidates.xy[[n]], score=candidates.score[[n]]),
            xy[n],
            np.full(xy.shape[1], UNSURE * size[n]),
            nobody,
            neighbours=Neighbours(xy=xy[others], sure=score[others]),
            config=_AS_A_WHOLE,
        )
        known = np.isfinite(found.xy).all(-1)
        xy[n, known], score[n, known] = found.xy[known], found.score[known]
    return xy, score


def as_seen(xy: Floats, score: Floats, *, least: float) -> NDArray[np.int64]:
    """Indices of the persons with a mean score of ``least`` or more, each once, left to right."""
    likely = np.flatnonzero(score.mean(-1) >= least)
    kept = likely[_once(xy[likely], score[likely])]
    middle = xy[kept].mean(1) if len(kept) else np.empty((0, 2))
    return np.asarray(kept[np.lexsort((middle[:, 1], middle[:, 0]))], np.int64)


def _once(xy: Floats, score: Floats) -> NDArray[np.int64]:
    """Indices of everybody, best first, without those who are somebody before them."""
    size, speaks = sizes(xy), _speaking(score)
    kept: list[int] = []
    for n in np.argsort(-score.mean(-1), kind="stable").tolist():
        if not kept:
            kept.append(n)
            continue
        others = np.array(kept)
        scale = np.minimum(size[others], size[n])
        shared = np.zeros(xy[others].shape[:2], bool)
        for order in (slice(None), _MIRRORED):  # a body seen from behind may be taken for its front
            off = np.linalg.norm(xy[others] - xy[n, order], axis=-1)
            shared |= (off < SAME * scale[:, None]) & speaks[others] & speaks[n, order]
        fewer = np.maximum(np.minimum(speaks[others].sum(-1), speaks[n].sum()), 1)
        if (shared.sum(-1) / fewer < SHARED).all():
            kept.append(n)
    return np.array(kept, np.int64)


def _speaking(score: Floats) -> NDArray[np.bool_]:
    if not len(score):
        return np.zeros(score.shape, bool)
    least = np.sort(score, axis=-1)[:, -min(FEWEST, score.shape[1])]
    return np.asarray(score >= np.minimum(SEEN, least)[:, None])
