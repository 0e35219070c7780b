from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.config import EstimateConfig
from impose_core.errors import UsageError
from impose_core.readings import Readings
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
        "readings": Readings.none(nodes),
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


def read(*places, score=1.0, mistrust=1.0):
    """Readings of one place per node and argument [M, 2]."""
    xy = np.stack(places, axis=1)
    scores = np.broadcast_to(score, xy.shape[:2]).copy()
    scores[np.isnan(xy).any(-1)] = 0
    return Readings(xy=xy, score=scores, mistrust=np.full(len(xy), mistrust))


def lost_on(path, **changes):
    """A forward track that stays where it began, and no other."""
    return chains(
        np.repeat(path[:1], len(path), axis=0),
        np.full_like(path, np.nan),
        forward_deviation=8.0,
        end_variance=np.array([np.inf]),
        **changes,
    )


def test_readings_pull_a_lost_track_back_and_wild_ones_are_outvoted():
    path = arc()
    wild = path.copy()
    wild[5] += 200  # a neighbour's limb
    result = smooth(lost_on(path, readings=read(wild)), CONFIG)
    assert np.abs(result.xy[1:] - path[1:]).max() < 12
    assert np.abs(path - path[0]).max() > 100


def test_of_several_places_the_one_on_the_way_is_taken():
    path = arc()
    other = path + np.array([0, 90])  # the other arm, as sure as this one
    drift = np.linspace([0, 0], [30, 30], len(path))
    tracks = chains(path + drift, path + drift[::-1])
    alone = np.abs(smooth(tracks, CONFIG).xy - path).max()
    told = np.abs(smooth(replace(tracks, readings=read(other, path)), CONFIG).xy - path).max()
    assert told < alone / 2


def test_mistrusted_readings_hardly_move_good_tracks():
    path = arc()
    away = path + np.array([10, 0])
    trusted, not_trusted = (
        np.abs(smooth(chains(path, path, readings=read(away, mistrust=m)), CONFIG).xy - path).max()
        for m in (1.0, 400.0)
    )
    assert not_trusted < trusted / 5
    assert not_trusted < 0.5


def test_readings_tell_when_both_tracks_followed_somebody_else():
    """They agree with each other on the way; only the readings know better."""
    path = arc()
    forward, backward = path.copy(), path.copy()
    forward[6:] += [0, 40]
    backward[:15] += [0, 40]
    alone = smooth(chains(forward, backward), CONFIG)
    told = smooth(chains(forward, backward, readings=read(path)), CONFIG)
    assert np.abs(alone.xy - path)[7:14].mean() > 15
    assert np.abs(told.xy - path)[7:14].mean() < 8


def test_readings_make_surer_but_never_less_sure():
    path = arc()
    alone = smooth(chains(path, path), CONFIG).variance
    told = smooth(chains(path, path, readings=read(path)), CONFIG).variance
    assert (told <= alone + 1e-12).all()
    assert told[10] < alone[10]


def test_without_places_readings_change_nothing():
    path = arc()
    nobody = read(np.full_like(path, np.nan))
    tracks = chains(path, path + np.random.default_rng(0).normal(0, 3, path.shape))
    unread = smooth(tracks, CONFIG)
    told = smooth(replace(tracks, readings=nobody), CONFIG)
    np.testing.assert_array_equal(told.xy, unread.xy)
    np.testing.assert_array_equal(told.variance, unread.variance)


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
            if name not in ("first", "readings")
        },
        readings=Readings.none(sum(lengths)),
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
    with pytest.raises(UsageError, match=r"'readings' to be of 21 nodes, got 3"):
        chains(arc(), arc(), readings=Readings.none(3))


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


def test_tracks_that_readings_contradict_all_along_are_believed_less():
    """Both slid off with their surroundings, close the loop and know nothing of it."""
    path = arc(30)
    slid = path + np.sin(np.linspace(0, np.pi, len(path)))[:, None] * [0.0, 40.0]
    tracks = chains(slid, slid, readings=read(path))
    blind = replace(CONFIG, readings=replace(CONFIG.readings, contradicted=1e12))
    told, stubborn = (np.abs(smooth(tracks, c).xy - path)[10:20].mean() for c in (CONFIG, blind))
    assert told < 0.8 * stubborn
