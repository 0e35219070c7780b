import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.body_tree import JOINTS, Places, best_bodies, body_cost
from impose_core.limbs import limb_cost, limb_length, torso_seen

TORSO = 100.0


def standing() -> np.ndarray:
    """A body from the front, 100 pixels from shoulders to hips."""
    at = {
        "nose": (300, 150),
        "eye": (6, 143, 294),
        "ear": (14, 146, 286),
        "shoulder": (35, 200, 265),
        "elbow": (45, 250, 255),
        "wrist": (48, 297, 252),
        "hip": (23, 300, 277),
        "knee": (25, 388, 275),
        "ankle": (27, 468, 273),
    }
    xy = np.zeros((17, 2))
    for k, name in enumerate(JOINTS):
        side, _, part = name.rpartition("_")
        if side:
            out, y, _ = at[part]
            xy[k] = (300 + out if side == "left" else 300 - out, y)
        else:
            xy[k] = at[name]
    return xy


def places(xy: np.ndarray, cost: np.ndarray) -> Places:
    return Places(xy=xy[None], cost=cost[None])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), free=st.sets(st.integers(0, 16), min_size=1, max_size=6))
def test_the_choice_is_the_best_of_all_choices(seed, free):
    rng = np.random.default_rng(seed)
    count = 3
    xy = standing()[:, None] + rng.normal(0, 40, (17, count, 2))
    cost = rng.uniform(0, 4, (17, count))
    fixed = np.setdiff1d(np.arange(17), list(free))
    cost[fixed, 1:] = np.inf
    choice, least = best_bodies(places(xy, cost), np.array([TORSO]))
    every = np.zeros((count ** len(free), 17), np.int64)
    every[:, sorted(free)] = list(itertools.product(range(count), repeat=len(free)))
    n = len(every)
    all_costs = body_cost(
        Places(xy=np.repeat(xy[None], n, 0), cost=np.repeat(cost[None], n, 0)),
        np.full(n, TORSO),
        every,
    )
    assert least[0] == pytest.approx(all_costs.min())
    same = body_cost(places(xy, cost), np.array([TORSO]), choice)
    assert same[0] == pytest.approx(least[0])


def test_the_cost_is_the_sum_over_limbs():
    """Written out by hand, so that the messages cannot forget an edge."""
    xy = standing()
    total = 0.0
    joint = dict(zip(JOINTS, xy / TORSO, strict=True))

    def limb(name, a, b):
        return float(limb_cost(name, joint[b] - joint[a]))

    for side in ("left", "right"):
        chains = ("shoulder", "elbow", "wrist"), ("shoulder", "hip", "knee", "ankle")
        for chain in chains:
            for a, b in itertools.pairwise(chain):
                total += limb(f"{a} - {b}", f"{side}_{a}", f"{side}_{b}")
        for part in ("shoulder", "eye", "ear"):
            total += limb(f"nose - {part}", "nose", f"{side}_{part}")
    for part in ("shoulder", "hip"):
        total += limb(f"{part} - other {part}", f"left_{part}", f"right_{part}")
    above = joint["right_shoulder"] - joint["left_shoulder"]
    below = joint["right_hip"] - joint["left_hip"]
    ratio = limb_length("shoulder - other shoulder") / limb_length("hip - other hip")
    total += float(limb_cost("twist", above - ratio * below))
    for part in ("elbow", "wrist", "knee", "ankle"):
        apart = joint[f"left_{part}"] - joint[f"right_{part}"]
        total += 2.0 * np.exp(-(apart**2).sum() / (2 * 0.12**2))
    _, least = best_bodies(places(xy[:, None], np.zeros((17, 1))), np.array([TORSO]))
    assert least[0] == pytest.approx(total, rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), joint=st.integers(0, 16))
def test_one_more_place_never_raises_the_cost(seed, joint):
    rng = np.random.default_rng(seed)
    xy = standing()[:, None] + rng.normal(0, 40, (17, 4, 2))
    cost = rng.uniform(0, 4, (17, 4))
    fewer = cost.copy()
    fewer[joint, 3] = np.inf
    torso = np.array([TORSO])
    assert best_bodies(places(xy, cost), torso)[1] <= best_bodies(places(xy, fewer), torso)[1]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(5)))
def test_bodies_do_not_know_of_each_other(order):
    rng = np.random.default_rng(3)
    xy = standing()[None, :, None] + rng.normal(0, 40, (5, 17, 3, 2))
    cost, torso = rng.uniform(0, 4, (5, 17, 3)), rng.uniform(60, 140, 5)
    choice, least = best_bodies(Places(xy=xy, cost=cost), torso)
    order = list(order)
    again, least_again = best_bodies(Places(xy=xy[order], cost=cost[order]), torso[order])
    np.testing.assert_array_equal(again, choice[order])
    np.testing.assert_allclose(least_again, least[order])


def test_nowhere_is_a_place_like_others():
    xy, cost = standing()[:, None].repeat(2, 1), np.zeros((17, 2))
    wrist = JOINTS.index("left_wrist")
    xy[wrist, 1] = np.nan
    xy[wrist, 0] += 900  # out of reach
    choice, least = best_bodies(places(xy, cost), np.array([TORSO]))
    assert choice[0, wrist] == 1
    assert np.isfinite(least).all()
    nothing, least = best_bodies(
        places(np.full((17, 1, 2), np.nan), np.zeros((17, 1))), np.array([TORSO])
    )
    assert (nothing == 0).all()
    assert np.isfinite(least).all()


def test_left_and_right_refuse_each_others_place():
    """Both knees are seen best on the left leg; the right one has a weaker place of its own."""
    xy, cost = standing()[:, None].repeat(2, 1), np.full((17, 2), np.inf)
    cost[:, 0] = 0.0
    left, right = JOINTS.index("left_knee"), JOINTS.index("right_knee")
    xy[right, 1] = xy[left, 0]
    cost[right] = (0.5, 0.0)
    choice, _ = best_bodies(places(xy, cost), np.array([TORSO]))
    assert choice[0, right] == 0


def test_a_limb_may_look_short_but_hardly_long():
    reach = limb_length("hip - knee")
    lengths = np.array([0.5, 1.0, 1.5, 3.0, 6.0, 60.0]) * reach
    cost = limb_cost("hip - knee", np.stack([lengths, np.zeros(6)], axis=-1))
    assert cost[1] < cost[2] < cost[3] <= cost[4] < cost[5]
    assert cost[0] < cost[2]


def test_the_torso_is_seen_from_any_limb():
    assert torso_seen(standing()) == pytest.approx(TORSO, rel=0.12)
    legs = standing()
    legs[:11] = np.nan
    assert torso_seen(legs) == pytest.approx(TORSO, rel=0.12)
    assert np.isnan(torso_seen(np.full((17, 2), np.nan)))
