"""The likeliest body out of what readings of it show.

Every place a reader gives for a joint competes with where the joint was, and the likeliest body
(:mod:`impose_core.body_tree`) is taken whole. A neighbour's limb, the body's own other side, two
readings that do not fit each other: each is plausible by itself, but not as one body.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.body_tree import JOINTS, Places, best_bodies
from impose_core.limbs import torso_seen
from impose_core.readers.protocol import Candidates
from impose_core.skeleton import COCO17

Floats = NDArray[np.float64]

TURNS: Final = 4
"""Quarter turns in which a body is read: networks know people who stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairConfig:
    """What a place costs before the body is looked at as a whole (chosen on LSPET; see docs).

    Costs are in nats, lengths in torsos.
    """

    most: int = 10
    """Places per joint that are weighed."""
    score_weight: float = 2.0
    """Nats per nat of a place's score."""
    score_floor: float = 0.01
    """What no score falls below."""
    unseen: float = 0.05
    """Score of a place at which the reader sees nothing."""
    near: float = 0.15
    """A place so near to a reading is what that reading saw."""
    other_reading: float = 1.0
    """For taking a joint from another reading than the rest of the body."""
    turned: float = 2.0
    """For a reading turned against the trunk as it was (half of it for a quarter turn)."""
    mirrored: float = 3.0
    """For a joint that is where its other side was."""
    guessed: float = 2.0
    """For the middle of a limb one end of which was clicked."""
    as_far: float = 1.0
    """Annotators click what is worst: one sigma of the others' errors over the clicked one's."""
    trusted: float = 4.0
    """At most so many of a joint's own deviations, where it has one."""
    at_least: float = 0.05
    """And this much besides."""
    unclicked: float = 0.5
    """That sigma where nobody clicked a joint that was known."""
    nu: float = 3.0
    """Degrees of freedom of the Student-t around where a joint was."""
    neighbour: float = 4.0
    """For standing where a neighbour's same joint surely stands."""
    sizes: tuple[float, ...] = (0.75, 1.0, 1.33)
    """Times the torso as it seems: sizes that are tried."""
    size_spread: float = 0.15
    """One sigma of the logarithm of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Other persons on the image.

    Attributes:
        xy: float64 [P, 17, 2] pixels; NaN where unknown.
        sure: float64 [P, 17], 0 to 1: how sure it is that they are there.
    """

    xy: Floats = field(default_factory=lambda: np.zeros((0, len(JOINTS), 2)))
    sure: Floats = field(default_factory=lambda: np.zeros((0, len(JOINTS))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A body after a click.

    Attributes:
        xy: float64 [17, 2] pixels; NaN where nothing is known. Pinned joints are where they were.
        score: float64 [17], 0 to 1, what the reader gives the places; 1 where pinned.
        cost: nats of the whole.
        reading: which reading explains most; -1: none, it is as it was.
    """

    xy: Floats
    score: Floats
    cost: float
    reading: int


def repair(
    readings: Candidates,
    xy: Floats,
    deviation: Floats,
    pinned: Floats,
    *,
    neighbours: Neighbours | None = None,
    config: RepairConfig | None = None,
) -> Repaired:
    """The choice alone; see :func:`repair_body`. ``readings`` are V views of the same body."""
    config = config or RepairConfig()
    now = np.where(np.isnan(pinned), xy, pinned)
    torso = torso_seen(now)
    if not np.isfinite(torso):
        torso = torso_seen(readings.xy[0, :, 0]) if len(readings.xy) else np.nan
    if not np.isfinite(torso):  # nothing to weigh limbs by
        return Repaired(xy=now, score=_known(now), cost=np.inf, reading=-1)
    choices = _Choices(readings, xy, deviation, pinned, torso, neighbours or Neighbours(), config)
    places, score, source = choices.table()
    hypotheses = np.arange(-1, len(readings.xy))
    strange = (source >= -1) & (source != hypotheses[:, None, None])
    cost = places.cost[0] + config.other_reading * strange
    against = _against_trunk(now)[np.maximum(hypotheses, 0) % TURNS] * (hypotheses >= 0)
    sizes = np.asarray(config.sizes)
    torsos = np.tile(sizes, len(hypotheses)) * torso
    several = Places(
        xy=np.broadcast_to(places.xy, (len(torsos), *places.xy.shape[1:])),
        cost=np.repeat(cost, len(sizes), axis=0),
    )
    choice, total = best_bodies(several, torsos)
    # densities are per square torso: what a limb of the same pixels costs more in a larger body
    limbs = int(np.isfinite(places.xy[0]).all(-1).any(-1).sum())
    grown = np.log(torsos / torso)
    total = total + 2 * limbs * grown + (grown / config.size_spread) ** 2 / 2
    total = total + np.repeat(config.turned * against, len(sizes))
    best = int(total.argmin())
    at = (np.arange(len(JOINTS)), choice[best])
    return Repaired(
        xy=places.xy[0][at],
        score=score[at],
        cost=float(total[best]),
        reading=int(hypotheses[best // len(sizes)]),
    )


class _Choices:
    """The places of one body, joint by joint."""

    def __init__(
        self,
        readings: Candidates,
        xy: Floats,
        deviation: Floats,
        pinned: Floats,
        torso: float,
        neighbours: Neighbours,
        config: RepairConfig,
    ) -> None:
        self._readings, self._xy, self._pinned = readings, xy, pinned
        self._torso, self._neighbours, self._config = torso, neighbours, config
        self._now = np.where(np.isnan(pinned), xy, pinned)
        self._is_pinned = np.asarray(np.isfinite(pinned).all(-1))
        self._sigma = self._sigmas(deviation)

    def table(self) -> tuple[Places, Floats, NDArray[np.int64]]:
        """Places of one body (B is 1), their scores and the readings they are from [17, M].

        Source -1: where the joint was, or what follows from it; -2: nothing to choose.
        """
        rows = [self._row(k) for k in range(len(JOINTS))]
        most = max(len(row[0]) for row in rows)
        xy = np.full((len(rows), most, 2), np.nan)
        cost, score = np.full((len(rows), most), np.inf), np.zeros((len(rows), most))
        source = np.full((len(rows), most), -2)
        for k, (places, costs, scores, sources) in enumerate(rows):
            part = (k, slice(len(places)))
            xy[part], cost[part], score[part], source[part] = places, costs, scores, sources
        return Places(xy=xy[None], cost=cost[None]), score, source

    def _row(self, k: int) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
        if self._is_pinned[k]:
            return self._pinned[k][None], np.zeros(1), np.ones(1), np.array([-2])
        views, _, places = self._readings.score.shape
        read, score = self._readings.xy[:, k].reshape(-1, 2), self._readings.score[:, k].ravel()
        source = np.repeat(np.arange(views), places)
        there = np.asarray(np.isfinite(read).all(-1))
        read, score, source = read[there], score[there], source[there]
        other, extra = self._other_places(k)
        near = np.linalg.norm(read - other[:, None], axis=-1) < self._config.near * self._torso
        seen = np.where(near, score, 0.0).max(-1, initial=self._config.unseen)
        xy = np.concatenate([read, other])
        score = np.concatenate([score, seen])
        source = np.concatenate([source, np.full(len(other), -1)])
        cost = np.concatenate([np.zeros(len(read)), extra])
        cost -= self._config.score_weight * np.log(score + self._config.score_floor)
        cost += self._away(k, xy) + self._crowded(k, xy)
        if not len(xy):
            return np.full((1, 2), np.nan), np.zeros(1), np.zeros(1), np.array([-2])
        best = np.argsort(cost, kind="stable")[: self._config.most]
        return xy[best], cost[best], score[best], source[best]

    def _other_places(self, k: int) -> tuple[Floats, Floats]:
        """Places no reading gives: where the joint was, and what the click makes of that."""
        places, extra = [self._xy[k]], [0.0]
        if self._is_pinned.any():
            if _FLIP[k] != k:
                places.append(self._xy[_FLIP[k]])
                extra.append(self._config.mirrored)
            for upper, lower in _BETWEEN.get(k, ()):
                if self._is_pinned[upper] or self._is_pinned[lower]:
                    places.append((self._now[upper] + self._now[lower]) / 2)
                    extra.append(self._config.guessed)
        known = np.asarray(np.isfinite(np.asarray(places)).all(-1))
        return np.asarray(places)[known].reshape(-1, 2), np.asarray(extra)[known]

    def _sigmas(self, deviation: Floats) -> Floats:
        """[17] pixels: how far each joint may be from where it was, now that this was clicked."""
        config, torso = self._config, self._torso
        moved = np.linalg.norm(self._pinned - self._xy, axis=-1)
        least = np.fmin(deviation, config.at_least * torso)
        if not np.isfinite(moved).any():
            far = np.fmin(deviation, config.unclicked * torso)
            return np.asarray(np.hypot(least, far))
        worst = int(np.nanargmax(moved))
        # a joint that was surer than the clicked one is not wrong to the same degree
        share = np.minimum(deviation / np.maximum(deviation[worst], 1e-6), 1.0)
        share = np.where(np.isnan(share), 1.0, share)
        doubt = np.fmin(config.as_far * moved[worst] * share, config.trusted * deviation)
        return np.asarray(np.hypot(least, doubt))

    def _away(self, k: int, xy: Floats) -> Floats:
        if not np.isfinite(self._xy[k]).all():
            return np.zeros(len(xy))
        squared = ((xy - self._xy[k]) ** 2).sum(-1) / max(self._sigma[k], 0.5) ** 2
        nu = self._config.nu
        return np.asarray((nu + 2) / 2 * np.log1p(squared / nu))

    def _crowded(self, k: int, xy: Floats) -> Floats:
        where = self._neighbours.xy[:, [k, _FLIP[k]]].reshape(-1, 2)
        sure = self._neighbours.sure[:, [k, _FLIP[k]]].ravel()
        if not len(where):
            return np.zeros(len(xy))
        squared = ((xy[:, None] - where) ** 2).sum(-1) / (self._config.near * self._torso) ** 2
        taken = np.nan_to_num(np.exp(-squared / 2)) * sure
        return np.asarray(self._config.neighbour * taken.max(-1))


def _against_trunk(xy: Floats) -> Floats:
    """[4]: 0 for the turn that sets the trunk of ``xy`` upright to 1 for its opposite."""
    shoulders, hips = xy[_SHOULDERS].mean(0), xy[_HIPS].mean(0)
    up = (shoulders - hips) / max(float(np.hypot(*(shoulders - hips))), 1e-6)
    against = (1 - np.array([[0, -1], [1, 0], [0, 1], [-1, 0]]) @ up) / 2
    return np.asarray(np.nan_to_num(against, nan=0.0), np.float64)


def _known(xy: Floats) -> Floats:
    return np.asarray(np.isfinite(xy).all(-1), np.float64)


_SHOULDERS: Final = [JOINTS.index("left_shoulder"), JOINTS.index("right_shoulder")]
_HIPS: Final = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
_FLIP: Final = COCO17.flip_index()


def _between() -> dict[int, list[tuple[int, int]]]:
    """Elbows and knees: the joints they lie between."""
    found: dict[int, list[tuple[int, int]]] = {}
    for side in ("left", "right"):
        for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")):
            joints = [JOINTS.index(f"{side}_{name}") for name in limb]
            ((upper, middle), (_, lower)) = pairwise(joints)
            found[middle] = [(upper, lower)]
    return found


_BETWEEN: Final = _between()
