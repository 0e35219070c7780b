import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.config import EstimateConfig
from impose_core.errors import UsageError
from impose_core.smoothing import Chains, smooth

CONFIG = EstimateConfig()


def chains(forward, backward, *, forward_deviation=0.3, backward_deviation=0.3, **changes):
    """One chain, pinned at both ends unless told otherwise."""
    nodes = len(forward)
    fields = {
        "first": np.array([0]),
        "forward": np.asarray(forward, float),
        "backward": np.asarray(backward, float),
        "forward_deviation": np.broadcast_to(np.asarray(forward_deviation, float), nodes).copy(),
        "backward_deviation": np.broadcast_to(np.asarray(backward_deviation, float), nodes).copy(),
        "start_variance": np.zeros(1),
        "end_variance": np.zeros(1),
        "start_hidden": np.zeros(1, bool),
        "end_hidden": np.zeros(1, bool),
        "size": np.array([100.0]),
        "reading": np.full((nodes, 2), np.nan),
        "reading_deviation": np.full(nodes, np.nan),
    }
    return Chains(**{**fields, **changes})


def arc(nodes=21):
    t = np.linspace(0, np.pi, nodes)
    return np.stack([100 * t, 60 * np.sin(t)], axis=1)


def test_anchors_stay_where_they_are_to_the_last_bit():
    path = arc() + 1 / 3
    result = smooth(chains(path, path + np.random.default_rng(0).normal(0, 3, path.shape)), CONFIG)
    moved = chains(path, path)
    np.testing.assert_array_equal(result.xy[0], moved.forward[0])
    assert result.variance[0] == result.variance[-1] == 0


def test_two_tracks_that_agree_are_followed_but_for_a_weak_pull_to_the_straight():
    path = arc()
    np.testing.assert_allclose(smooth(chains(path, path), CONFIG).xy, path, atol=0.2)


def test_where_tracks_part_each_is_believed_on_its_own_side():
    path = arc()
    forward, backward = path.copy(), path.copy()
    forward[14:] = forward[13]  # slides onto the background at frame 14
    backward[:8] = backward[8]  # so does the other one, before frame 8
    result = smooth(chains(forward, backward), CONFIG)
    assert np.abs(result.xy - path).max() < 4
    average = (forward + backward) / 2
    assert np.abs(average - path).max() > 20


def test_deviation_is_largest_far_from_anchors_and_where_tracks_disagree():
    path = arc()
    agreeing = smooth(chains(path, path), CONFIG).variance
    assert agreeing.argmax() in range(8, 13)
    forward, backward = path.copy(), path.copy()
    forward[7:] -= 40  # slips at 7, the other one at 13: nobody saw the frames between
    backward[:13] += 40
    apart = smooth(chains(forward, backward), CONFIG).variance
    assert apart[10] > 10 * agreeing[10]


def test_beyond_the_last_anchor_the_track_is_the_answer_and_deviation_only_grows():
    path = arc()
    nothing = np.full_like(path, np.nan)
    result = smooth(chains(path, nothing, end_variance=np.array([np.inf])), CONFIG)
    np.testing.assert_allclose(result.xy, path, atol=1e-6)
    assert (np.diff(result.variance) > 0).all()


def test_before_the_first_anchor_it_is_the_same_backward():
    path = arc()
    nothing = np.full_like(path, np.nan)
    result = smooth(chains(nothing, path, start_variance=np.array([np.inf])), CONFIG)
    np.testing.assert_allclose(result.xy, path, atol=1e-6)
    assert (np.diff(result.variance) < 0).all()


def test_a_start_that_is_itself_uncertain_adds_its_variance():
    path = arc()
    nothing = np.full_like(path, np.nan)
    free = {"end_variance": np.array([np.inf])}
    pinned = smooth(chains(path, nothing, **free), CONFIG).variance
    uncertain = smooth(chains(path, nothing, start_variance=np.array([9.0]), **free), CONFIG)
    np.testing.assert_allclose(uncertain.variance, pinned + 9.0, rtol=1e-6)


def test_readings_pull_a_lost_track_back_and_wild_ones_are_outvoted():
    path = arc()
    lost = np.repeat(path[:1], len(path), axis=0)
    nothing = np.full_like(path, np.nan)
    reading = path.copy()
    reading[5] += 200  # a neighbour's limb
    result = smooth(
        chains(
            lost,
            nothing,
            forward_deviation=8.0,
            end_variance=np.array([np.inf]),
            reading=reading,
            reading_deviation=np.full(len(path), 2.0),
        ),
        CONFIG,
    )
    assert np.abs(result.xy[1:] - path[1:]).max() < 12
    assert np.abs(lost - path).max() > 100


def test_chains_do_not_hear_of_each_other():
    rng = np.random.default_rng(1)
    singles = []
    for nodes in (2, 3, 17, 5):
        forward, backward = rng.normal(0, 20, (2, nodes, 2))
        backward[0], forward[-1] = forward[0] + 1, backward[-1] - 1
        singles.append(chains(forward, backward, forward_deviation=rng.uniform(0.3, 9, nodes)))
    singles.append(chains(arc(7), np.full((7, 2), np.nan), end_variance=np.array([np.inf])))
    lengths = [len(s.forward) for s in singles]
    joined = Chains(
        first=np.cumsum([0, *lengths[:-1]]),
        **{
            name: np.concatenate([getattr(s, name) for s in singles])
            for name in Chains.__slots__
            if name != "first"
        },
    )
    together = smooth(joined, CONFIG)
    alone = [smooth(s, CONFIG) for s in singles]
    np.testing.assert_allclose(together.xy, np.concatenate([a.xy for a in alone]), atol=1e-8)
    np.testing.assert_allclose(
        together.variance, np.concatenate([a.variance for a in alone]), atol=1e-6
    )


def test_the_posterior_variance_is_that_of_the_dense_inverse():
    """Three nodes, two tracks: one unknown, whose variance can be written down."""
    path = np.zeros((3, 2))
    config = EstimateConfig(step_floor=0.0, click_deviation=0.0, straight_variance=1e12)
    result = smooth(chains(path, path, forward_deviation=2.0, backward_deviation=3.0), config)
    precision = 2 * (1 / 2.0**2 + 1 / 3.0**2)  # two tracks, one step to each neighbour
    # the straight term's variance has a floor of 1e-4 px^2 for a joint that does not move
    assert result.variance[1] == pytest.approx(1 / (precision + 2 / 1e-4), rel=1e-6)


def test_a_chain_held_nowhere_is_refused():
    path = arc()
    free = np.array([np.inf])
    with pytest.raises(UsageError, match="held somewhere"):
        smooth(
            chains(np.full_like(path, np.nan), np.full_like(path, np.nan), start_variance=free,
                   end_variance=free),
            CONFIG,
        )  # fmt: skip


def test_wrong_shapes_are_named():
    with pytest.raises(UsageError, match=r"'reading' to have shape \(21, 2\), got \(3, 2\)"):
        chains(arc(), arc(), reading=np.zeros((3, 2)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    nodes=st.integers(2, 40),
    scale=st.sampled_from([1e-3, 1.0, 30.0, 1e4]),
)
def test_any_evidence_gives_finite_answers_and_pinned_ends(seed, nodes, scale):
    rng = np.random.default_rng(seed)
    forward, backward = rng.normal(0, scale, (2, nodes, 2))
    result = smooth(
        chains(
            forward,
            backward,
            forward_deviation=rng.uniform(0.3, 20, nodes),
            backward_deviation=rng.uniform(0.3, 20, nodes),
        ),
        CONFIG,
    )
    assert np.isfinite(result.xy).all()
    assert (result.variance >= 0).all()
    np.testing.assert_array_equal(result.xy[0], forward[0])
    np.testing.assert_array_equal(result.xy[-1], backward[-1])
