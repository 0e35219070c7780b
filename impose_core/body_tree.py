"""The likeliest body out of places its joints may have: exact, over a tree of joint pairs.

Left and right of a joint are one node of the tree, so that they can refuse each other's place
and the trunk, a ring of four joints, is one edge::

    eyes, ears - nose - shoulders - elbows - wrists
                           |
                         hips - knees - ankles

Costs are nats, added up along the edges; the least sum wins (max-product in logarithms). It is
found exactly, by passing minima from the leaves to the shoulders and choices back. All is
done for B bodies (or B hypotheses about one) at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.limbs import limb_cost, shoulders_over_hips
from impose_core.skeleton import COCO17

Floats = NDArray[np.float64]

JOINTS: Final = COCO17.keypoints
"""The K axis of everything here."""
CLOSE: Final = 0.12
"""Torsos: nearer than this, left and right stand on the same pixels ..."""
SAME_PLACE: Final = 2.0
"""... which costs up to so many nats: one of the two is probably not there."""

_SAME_PIXELS: Final = ("elbow", "wrist", "knee", "ankle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the joints of B bodies may be: M places each.

    Attributes:
        xy: float64 [B, K, M, 2] pixels; NaN is "nowhere", a place that only its cost speaks of.
        cost: float64 [B, K, M] nats; inf where there is no such place. At least one of each
            joint must be finite.
    """

    xy: Floats
    cost: Floats


def best_bodies(places: Places, torso: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The cheapest choice [B, K] of places, and what it costs [B].

    Args:
        places: see :class:`Places`.
        torso: [B] pixels, how long the body's trunk is when seen from the side.
    """
    bodies = _Bodies(places, torso)
    left, right = _pair("shoulder")
    up = bodies.up_to_shoulders()
    flat = up.reshape(len(up), -1)
    best = flat.argmin(-1)
    choice = np.zeros(places.cost.shape[:2], np.int64)
    choice[:, left], choice[:, right] = np.divmod(best, up.shape[-1])
    bodies.down(choice)
    return choice, np.take_along_axis(flat, best[:, None], -1)[:, 0]


def body_cost(places: Places, torso: Floats, choice: NDArray[np.int64]) -> Floats:
    """What ``choice`` [B, K] costs [B]: the sum that :func:`best_bodies` makes least."""
    chosen = Places(
        xy=np.take_along_axis(places.xy, choice[..., None, None], 2),
        cost=np.take_along_axis(places.cost, choice[..., None], 2),
    )
    return best_bodies(chosen, torso)[1]


class _Bodies:
    """The sums of one call. Messages are [B, M] for a single joint, [B, M, M] for a pair."""

    def __init__(self, places: Places, torso: Floats) -> None:
        self._xy, self._cost, self._torso = places.xy, places.cost, torso

    def up_to_shoulders(self) -> Floats:
        """[B, M, M]: the least cost of everything, for each place of both shoulders."""
        own = self._pair_cost("shoulder")
        arms = self._from_pair("shoulder", "elbow", self._elbows())
        head = self._head_on_shoulders().min(-1)
        trunk = self._trunk(self._hips()).min((-2, -1))
        return np.asarray(own + arms + head + trunk)

    def down(self, choice: NDArray[np.int64]) -> None:
        """Fill in ``choice`` [B, K], of which the shoulders are chosen."""
        b = np.arange(len(choice))
        shoulders = choice[:, _pair("shoulder")].T
        self._choose(choice, "hip", self._trunk(self._hips())[b, shoulders[0], shoulders[1]])
        choice[:, _NOSE] = self._head_on_shoulders()[b, shoulders[0], shoulders[1]].argmin(-1)
        for name in ("eye", "ear"):
            self._choose(choice, name, self._pair_given(name, "nose", choice, 0.0))
        self._choose(choice, "elbow", self._pair_given("elbow", "shoulder", choice, self._wrists()))
        self._choose(choice, "wrist", self._pair_given("wrist", "elbow", choice, 0.0))
        self._choose(choice, "knee", self._pair_given("knee", "hip", choice, self._ankles()))
        self._choose(choice, "ankle", self._pair_given("ankle", "knee", choice, 0.0))

    def _elbows(self) -> Floats:
        return self._pair_cost("elbow") + self._wrists()

    def _wrists(self) -> Floats:
        return self._from_pair("elbow", "wrist", self._pair_cost("wrist"))

    def _hips(self) -> Floats:
        knees = self._pair_cost("knee") + self._ankles()
        return self._pair_cost("hip") + self._from_pair("hip", "knee", knees)

    def _ankles(self) -> Floats:
        return self._from_pair("knee", "ankle", self._pair_cost("ankle"))

    def _pair_cost(self, name: str) -> Floats:
        """[B, M, M]: both places of a pair, and what they think of each other."""
        left, right = _pair(name)
        cost = self._cost[:, left, :, None] + self._cost[:, right, None, :]
        vector = self._between(left, right)
        if name in ("shoulder", "hip"):
            return np.asarray(cost + limb_cost(f"{name} - other {name}", vector))
        if name in _SAME_PIXELS:
            near = np.exp(-(vector**2).sum(-1) / (2 * CLOSE**2))
            return np.asarray(cost + SAME_PLACE * np.nan_to_num(near))
        return np.asarray(cost)

    def _from_pair(self, parent: str, child: str, message: Floats) -> Floats:
        """[B, M, M]: the least of ``message`` about the child pair, at each parent pair."""
        (pl, pr), (cl, cr) = _pair(parent), _pair(child)
        left, right = self._limb(parent, child, pl, cl), self._limb(parent, child, pr, cr)
        by_left = (left[:, :, :, None] + message[:, None]).min(2)  # [B, parent left, child right]
        return np.asarray((right[:, None] + by_left[:, :, None]).min(-1))

    def _head_on_shoulders(self) -> Floats:
        """[B, M, M, M]: left shoulder, right shoulder, nose with eyes and ears."""
        nose = self._cost[:, _NOSE].copy()
        for name in ("eye", "ear"):
            nose += sum(
                (self._limb("nose", name, _NOSE, k) + self._cost[:, k, None]).min(-1)
                for k in _pair(name)
            )
        left, right = (self._limb("nose", "shoulder", _NOSE, k) for k in _pair("shoulder"))
        return np.asarray(
            left.swapaxes(1, 2)[:, :, None] + right.swapaxes(1, 2)[:, None] + nose[:, None, None]
        )

    def _trunk(self, hips: Floats) -> Floats:
        """[B, M, M, M, M]: left shoulder, right shoulder, left hip, right hip."""
        (sl, sr), (hl, hr) = _pair("shoulder"), _pair("hip")
        left, right = (self._limb("shoulder", "hip", s, h) for s, h in ((sl, hl), (sr, hr)))
        above, below = self._between(sl, sr), self._between(hl, hr) * shoulders_over_hips()
        twist = limb_cost("twist", above[:, :, :, None, None] - below[:, None, None])
        return np.asarray(
            left[:, :, None, :, None] + right[:, None, :, None] + hips[:, None, None] + twist
        )

    def _pair_given(
        self, name: str, parent: str, choice: NDArray[np.int64], message: Floats | float
    ) -> Floats:
        """[B, M, M]: the costs of a pair below a parent that is chosen."""
        b = np.arange(len(choice))
        parents = (_NOSE, _NOSE) if parent == "nose" else _pair(parent)
        left, right = (
            self._limb(parent, name, p, k)[b, choice[:, p]]
            for p, k in zip(parents, _pair(name), strict=True)
        )
        return np.asarray(self._pair_cost(name) + message + left[:, :, None] + right[:, None])

    def _choose(self, choice: NDArray[np.int64], name: str, cost: Floats) -> None:
        left, right = _pair(name)
        best = cost.reshape(len(cost), -1).argmin(-1)
        choice[:, left], choice[:, right] = np.divmod(best, cost.shape[-1])

    def _limb(self, parent: str, child: str, p: int, c: int) -> Floats:
        """[B, M of joint p, M of joint c]."""
        return limb_cost(f"{parent} - {child}", self._between(p, c))

    def _between(self, p: int, c: int) -> Floats:
        """[B, M, M, 2] torsos from each place of ``p`` to each of ``c``."""
        vector = self._xy[:, c, None] - self._xy[:, p, :, None]
        return np.asarray(vector / self._torso[:, None, None, None])


def _pair(name: str) -> tuple[int, int]:
    return JOINTS.index(f"left_{name}"), JOINTS.index(f"right_{name}")


_NOSE: Final = JOINTS.index("nose")
