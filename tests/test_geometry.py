import numpy as np
import pytest

from impose_core.geometry import body_size, inside_image, robust_similarity

LIMITS = (0.7, 1.4)


def test_body_size_is_half_the_diagonal_of_the_known_joints():
    xy = np.array([[0, 0], [30, 40], [np.nan, np.nan], [10, 10.0]])
    assert body_size(xy, width=640, height=360) == 25


def test_two_joints_say_nothing_about_a_body():
    xy = np.array([[0, 0], [300, 400.0]])
    assert body_size(xy, width=600, height=800) == pytest.approx(50)


def test_the_image_includes_its_edges():
    xy = np.array([[0, 0], [640, 360], [640.1, 0], [np.nan, 3]])
    assert inside_image(xy, width=640, height=360).tolist() == [True, True, False, False]


def test_a_similarity_is_found_in_spite_of_a_captured_joint():
    rng = np.random.default_rng(0)
    source = rng.normal(0, 50, (17, 2))
    turn = np.deg2rad(10)
    linear = 1.1 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = source @ linear.T + (5, -3)
    target[4] += 150
    found = robust_similarity(source, target, scale=LIMITS, rounds=20)
    np.testing.assert_allclose(found[:, :2], linear, atol=0.05)


def test_the_scale_of_one_step_is_limited():
    source = np.array([[0, 0], [10, 0], [0, 10.0]])
    found = robust_similarity(source, source * 5, scale=LIMITS)
    assert np.hypot(*found[:, 0]) == pytest.approx(1.4)


@pytest.mark.parametrize("count", [0, 1])
def test_one_point_gives_a_shift_and_none_the_identity(count):
    source = np.array([[3.0, 4.0]])[:count]
    found = robust_similarity(source, source + 2, scale=LIMITS)
    np.testing.assert_allclose(found, [[1, 0, 2 * count], [0, 1, 2 * count]])
