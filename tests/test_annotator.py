"""A simulated annotator: which frames it looks at, which joints it clicks, how well it hits."""

from __future__ import annotations

import numpy as np
import pytest

from impose_core.errors import UsageError
from impose_core.evaluation.annotator import STRATEGIES, Annotator

NAN = np.nan
TERMS = np.array(
    [
        [0.99, 0.99, 0.99],  # 0: all is right
        [0.80, 0.99, 0.70],  # 1
        [NAN, NAN, NAN],  # 2: not labelled
        [0.99, 0.10, 0.99],  # 3: the worst joint
        [0.50, NAN, 0.60],  # 4: two bad ones, one joint not labelled
    ]
)


def looked(annotator, terms=TERMS, *, clicked=(), suggested=()):
    """The frames of one visit and the joints of the last one."""
    done = np.zeros(terms.shape, bool)
    for cell in clicked:
        done[cell] = True
    visits = list(annotator.visits(terms, done, list(suggested)))
    frames = [frame for frame, _ in visits]
    return frames, visits[-1][1].tolist() if visits else []


# --- where to look -----------------------------------------------------------------------------


def test_worst_goes_straight_to_the_joint_that_is_furthest_off():
    assert looked(Annotator(strategy="worst")) == ([3], [1])


def test_worst_does_not_come_back_to_what_was_clicked():
    assert looked(Annotator(strategy="worst"), clicked=[(3, 1)]) == ([4], [0])


def test_first_error_scrubs_over_what_is_right_and_skips_what_is_not_labelled():
    annotator = Annotator(strategy="first-error")
    assert looked(annotator) == ([0, 1], [2])
    assert looked(annotator, clicked=[(1, 0), (1, 2)]) == ([0, 1, 3], [1])


def test_review_looks_where_the_tool_says_even_in_vain():
    annotator = Annotator(strategy="review")
    assert looked(annotator, suggested=[4, 3]) == ([4], [0])
    assert looked(annotator, suggested=[0, 2, 3]) == ([0, 3], [1])


def test_review_goes_on_by_chance_and_looks_at_no_frame_twice():
    terms = np.where(np.isnan(TERMS), NAN, 0.99)
    terms[4, 2] = 0.5
    for seed in range(5):
        frames, joints = looked(Annotator(strategy="review", seed=seed), terms, suggested=[1, 0])
        assert frames[:2] == [1, 0]
        assert len(set(frames)) == len(frames)
        assert (frames[-1], joints) == (4, [2])


def test_random_looks_at_labelled_frames_in_any_order():
    first = {looked(Annotator(strategy="random", seed=seed))[0][0] for seed in range(40)}
    assert first == {0, 1, 3, 4}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_nothing_is_wrong_nothing_is_clicked(strategy):
    right = np.where(np.isnan(TERMS), NAN, 1.0)
    frames, joints = looked(Annotator(strategy=strategy), right, suggested=[3])
    # who does not know the truth has to look at every labelled frame to find out
    assert sorted(frames) == ([] if strategy == "worst" else [0, 1, 3, 4])
    assert joints == []


# --- what to click -----------------------------------------------------------------------------


def test_joints_per_visit_takes_the_worst_first():
    def clicks(most):
        return looked(Annotator(strategy="first-error", joints_per_visit=most))[1]

    assert [clicks(most) for most in (1, 2, 3)] == [[2], [2, 0], [2, 0]]


def test_accept_decides_what_is_wrong():
    def visit(accept):
        return looked(Annotator(strategy="first-error", accept=accept, joints_per_visit=3))

    assert visit(0.75) == ([0, 1], [2])
    assert visit(0.70) == ([0, 1, 3], [1])  # a term of just that much is right
    assert visit(1.0) == ([0], [0, 1, 2])


def test_a_joint_the_tool_does_not_show_is_wrong():
    terms = np.where(np.isnan(TERMS), NAN, 0.0)
    assert looked(Annotator(strategy="first-error", joints_per_visit=3), terms) == ([0], [0, 1, 2])


def test_miss_is_the_share_of_wrong_joints_that_are_overlooked():
    terms = np.full((1, 1000), 0.5)
    annotator = Annotator(miss=0.3, joints_per_visit=1000, seed=1)
    noticed = [len(looked(annotator, terms)[1]) for _ in range(20)]
    assert np.mean(noticed) == pytest.approx(700, abs=15)
    assert len(set(noticed)) > 1
    assert len(looked(Annotator(joints_per_visit=1000), terms)[1]) == 1000


def test_who_overlooks_everything_goes_on_to_the_next_frame():
    terms = np.full((200, 1), 0.5)
    annotator = Annotator(miss=0.9, seed=1)
    lengths = [len(looked(annotator, terms)[0]) for _ in range(1000)]
    assert np.mean(lengths) == pytest.approx(10, abs=1)  # geometric with p = 0.1


def test_who_overlooked_everything_everywhere_stops():
    terms = np.full((3, 1), 0.5)
    looks = [looked(Annotator(miss=0.9, seed=seed), terms) for seed in range(20)]
    stopped = [frames for frames, joints in looks if not joints]
    assert stopped
    assert all(frames == [0, 1, 2] for frames in stopped)


# --- how well it hits --------------------------------------------------------------------------


def test_clicks_without_noise_hit():
    xy = np.array([[3.25, 4.5], [0.1, 0.2]])
    np.testing.assert_array_equal(Annotator().clicks(xy, 50.0), xy)


@pytest.mark.parametrize("size", [10.0, 200.0])
def test_noise_is_in_body_sizes_on_both_axes(size):
    xy = np.full((20000, 2), 7.0)
    missed = Annotator(noise=0.02, seed=3).clicks(xy, size) - xy
    np.testing.assert_allclose(missed.std(0), 0.02 * size, rtol=0.03)
    np.testing.assert_allclose(missed.mean(0), 0, atol=0.001 * size)
    assert abs(np.corrcoef(missed.T)[0, 1]) < 0.03


def test_the_same_seed_does_the_same():
    def everything(seed):
        annotator = Annotator(strategy="random", miss=0.5, noise=0.1, seed=seed)
        return looked(annotator), annotator.clicks(np.zeros((2, 2)), 10.0).tolist()

    assert everything(4) == everything(4)
    assert everything(4) != everything(5)
    # who is alike is equal, whatever happened since
    assert Annotator(seed=4) == Annotator(seed=4) != Annotator(seed=5)


BAD = {
    "strategy": ["best", ""],
    "joints_per_visit": [0, -1],
    "accept": [0.0, 1.1, NAN],
    "noise": [-0.1, np.inf, NAN],
    "miss": [-0.1, 1.0, NAN],
    "seed": [-1],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_values_are_refused_by_name(name, value):
    with pytest.raises(UsageError, match=rf"^Expected '{name}' to be .*, got {value!r}\.$"):
        Annotator(**{name: value})
