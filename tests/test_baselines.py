"""What other tools make of human points: hold, linear interpolation, plain tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from impose_core.evaluation.baselines import Tracks, hold, linear
from impose_core.frames import ArrayFrames
from impose_core.synthesis import Scene, SceneConfig, render

CONFIG = SceneConfig(seed=1, frames=16, width=320, height=240, persons=1, motion="dance")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render(CONFIG)


def joint(frames, clicked):
    """Points [T, 1, 1, 2] of a joint clicked at (x, 10 x) on some frames, frame -> x."""
    points = np.full((frames, 1, 1, 2), np.nan)
    for t, x in clicked.items():
        points[t] = (x, 10 * x)
    return points


def xs(poses):
    """The x of the joint of :func:`joint`; its y must be 10 x."""
    np.testing.assert_allclose(poses[..., 1], 10 * poses[..., 0])
    return poses[:, 0, 0, 0].tolist()


# --- by hand -----------------------------------------------------------------------------------


def test_hold_waits_for_the_next_point():
    assert xs(hold(joint(6, {1: 4.0, 4: 7.0}))) == [4, 4, 4, 4, 7, 7]


def test_linear_draws_a_straight_line_and_stays_level_outside_of_it():
    assert xs(linear(joint(6, {1: 4.0, 4: 7.0}))) == [4, 4, 5, 6, 7, 7]


@pytest.mark.parametrize("method", [hold, linear])
def test_one_point_is_everywhere(method):
    assert xs(method(joint(4, {2: 5.0}))) == [5, 5, 5, 5]


@pytest.mark.parametrize("method", [hold, linear])
def test_a_joint_nobody_clicked_is_nowhere(method):
    points = np.concatenate([joint(4, {2: 5.0}), joint(4, {})], axis=2)
    found = method(points)
    assert np.isfinite(found[:, :, 0]).all()
    assert np.isnan(found[:, :, 1]).all()


@pytest.mark.parametrize("method", [hold, linear])
def test_joints_and_persons_go_their_own_ways(method):
    points = np.concatenate([joint(6, {1: 4.0, 4: 7.0}), joint(6, {0: 1.0, 5: 9.0})], axis=2)
    together = np.concatenate([points, points[:, :, ::-1]], axis=1)
    found = method(together)
    for n in range(2):
        for k in range(2):
            np.testing.assert_array_equal(found[:, n, k], method(together[:, n : n + 1])[:, 0, k])


def some_points(frames, persons, keypoints, *, size):
    """Points [T, N, K, 2] in an image of ``size``, about a third of them clicked."""
    shape = (frames, persons, keypoints)
    place = st.floats(0, 1, width=32)
    clicked = arrays.arrays(bool, shape, elements=st.sampled_from([True, False, False]))
    return st.builds(
        lambda xy, there: np.where(there[..., None], xy * size, np.nan),
        arrays.arrays(float, (*shape, 2), elements=place),
        clicked,
    )


@given(some_points(7, 2, 3, size=(320, 240)))
def test_human_points_come_back_as_they_are(points):
    clicked = np.isfinite(points)
    for method in (hold, linear):
        found = method(points)
        np.testing.assert_array_equal(found[clicked], points[clicked])
        # a joint that was clicked once is known everywhere, another one nowhere
        np.testing.assert_array_equal(
            np.isfinite(found), np.broadcast_to(clicked.any(0), found.shape)
        )


# --- tracks ------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(some_points(4, 1, 3, size=(96, 64)), st.sampled_from(["forward", "average"]))
def test_tracks_pass_exactly_through_human_points(points, way):
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 96, 3), dtype=np.uint8)
    found = Tracks(ArrayFrames(images), way=way)(points)
    clicked = np.isfinite(points)
    np.testing.assert_array_equal(found[clicked], points[clicked])
    np.testing.assert_array_equal(np.isfinite(found), np.broadcast_to(clicked.any(0), found.shape))


def points_of(scene, frames):
    """The truth of ``frames`` as points; joints that leave the image are not clicked."""
    points = np.full(scene.tracks.xy.shape, np.nan)
    always = np.isfinite(scene.tracks.xy).all((0, 3))
    points[frames] = np.where(always[..., None], scene.tracks.xy[frames], np.nan)
    return points


def distance(found, scene):
    """Median distance to the truth in pixels, of joints that are known."""
    gap = np.linalg.norm(found - scene.tracks.xy, axis=-1)
    return float(np.nanmedian(gap))


@pytest.mark.parametrize("way", ["forward", "average"])
def test_tracks_follow_what_moves(scene, way):
    points = points_of(scene, [0])
    found = Tracks(ArrayFrames(scene.frames), way=way)(points)
    assert distance(found, scene) < 0.4 * distance(hold(points), scene)
    # before the first point: backward
    points = points_of(scene, [len(points) - 1])
    found = Tracks(ArrayFrames(scene.frames), way=way)(points)
    assert distance(found, scene) < 0.4 * distance(hold(points), scene)


def test_between_two_points_tracks_from_both_sides_are_blended(scene):
    last = len(scene.frames) - 1
    frames = ArrayFrames(scene.frames)
    both = points_of(scene, [0, last])
    forward = Tracks(frames, way="forward")(both)
    average = Tracks(frames, way="average")(both)
    # the second point does not change a track that came from the first ...
    alone = Tracks(frames, way="forward")(points_of(scene, [0]))
    backward = Tracks(frames, way="forward")(points_of(scene, [last]))
    # (beyond the outermost point joints hang together, so only good tracks can be the same)
    agree = np.isclose(forward[:last], alone[:last], atol=0.1)
    assert np.median(agree) == 1
    # ... and the blend lies between both, nearer to the nearer point's
    early, late = average[1] - forward[1], average[last - 1] - backward[last - 1]
    assert np.nanmedian(np.abs(early)) < 0.5
    assert np.nanmedian(np.abs(late)) < 0.5
    assert distance(average, scene) < distance(linear(both), scene)


@pytest.mark.parametrize("way", ["forward", "average"])
def test_points_one_by_one_give_what_they_give_at_once(scene, way):
    frames = ArrayFrames(scene.frames)
    whole = points_of(scene, [0, 7, 12])
    growing, method = np.full(whole.shape, np.nan), Tracks(frames, way=way)
    for t in (0, 12, 7):
        for part in (slice(0, 5), slice(5, None)):
            growing[t, :, part] = whole[t, :, part]
            method(growing)
    growing[7, 0, 3] += 4  # a point that is placed again
    method(growing)
    growing[7] = whole[7]
    np.testing.assert_array_equal(method(growing), Tracks(frames, way=way)(whole))
