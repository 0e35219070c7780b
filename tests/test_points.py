"""One contract for every point tracker."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from fakes import FieldTracker

from impose_core.points.lucas_kanade import LucasKanade

MOVE = np.array([2.5, -1.25])


@pytest.fixture(scope="module")
def frames():
    """A texture that moves by MOVE every frame: uint8 [6, 240, 320, 3]."""
    rough = np.random.default_rng(0).uniform(0, 255, (40, 53)).astype(np.float32)
    texture = cv2.resize(rough, (424, 320), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    images = []
    for t in range(6):
        shift = np.array([[1, 0, -50 + MOVE[0] * t], [0, 1, -40 + MOVE[1] * t]])
        image = cv2.warpAffine(texture, shift, (320, 240), flags=cv2.INTER_LINEAR)
        images.append(np.repeat(image.astype(np.uint8)[..., None], 3, axis=2))
    return images


GRID = np.stack(np.meshgrid(np.arange(60, 260, 25.0), np.arange(60, 180, 25.0)), -1).reshape(-1, 2)


@pytest.fixture
def tracker():
    return LucasKanade()


@pytest.mark.parametrize("direction", [1, -1])
def test_it_follows_a_moving_texture_within_a_pixel_either_way(tracker, frames, direction):
    xy = GRID.copy()
    order = range(5) if direction > 0 else range(5, 0, -1)
    for t in order:
        steps = tracker.step(tracker.encode(frames[t]), tracker.encode(frames[t + direction]), xy)
        assert (steps.error < 0.5).all()
        xy = steps.xy
    assert np.abs(xy - GRID - 5 * direction * MOVE).max() < 1


def test_its_origin_is_the_corner_of_the_top_left_pixel(tracker):
    """A blob centred on pixel (100, 80) is at (100.5, 80.5): half a pixel matters."""
    x, y = np.meshgrid(np.arange(200), np.arange(160))

    def blob(cx, cy):
        grey = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 72)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)

    # mirrored about the image's middle, a point must land on its mirror image exactly
    left = tracker.step(
        tracker.encode(blob(60, 80)), tracker.encode(blob(63, 80)), np.array([[60.5, 80.5]])
    ).xy[0]
    right = tracker.step(
        tracker.encode(blob(60, 80)[:, ::-1]),
        tracker.encode(blob(63, 80)[:, ::-1]),
        np.array([[200 - 60.5, 80.5]]),
    ).xy[0]
    assert left[0] == pytest.approx(200 - right[0], abs=0.02)
    assert left == pytest.approx([63.5, 80.5], abs=0.1)


def test_points_do_not_hear_of_each_other(tracker, frames):
    source, target = tracker.encode(frames[0]), tracker.encode(frames[1])
    together = tracker.step(source, target, GRID)
    for i in (0, 7, len(GRID) - 1):
        alone = tracker.step(source, target, GRID[i : i + 1])
        np.testing.assert_array_equal(alone.xy[0], together.xy[i])
        np.testing.assert_array_equal(alone.error[0], together.error[i])


def test_the_same_twice(tracker, frames):
    source, target = tracker.encode(frames[0]), tracker.encode(frames[1])
    first, second = (tracker.step(source, target, GRID) for _ in range(2))
    assert first.xy.tobytes() == second.xy.tobytes()


def test_no_points_are_no_trouble(tracker, frames):
    steps = tracker.step(tracker.encode(frames[0]), tracker.encode(frames[1]), np.empty((0, 2)))
    assert steps.xy.shape == (0, 2)
    assert steps.error.shape == (0,)


@pytest.mark.parametrize("place", [(-500.0, 20.0), (5e5, 5e5), (319.9, 239.9), (0.0, 0.0)])
def test_a_point_outside_or_at_the_edge_gets_an_answer(tracker, frames, place):
    steps = tracker.step(tracker.encode(frames[0]), tracker.encode(frames[1]), np.array([place]))
    assert np.isfinite(steps.xy).all()
    assert not np.isnan(steps.error).any()


def test_a_scene_cut_is_noticed(tracker, frames):
    other = np.random.default_rng(5).integers(0, 255, frames[0].shape, dtype=np.uint8)
    steps = tracker.step(tracker.encode(frames[0]), tracker.encode(other), GRID)
    assert np.median(steps.error) > 2


def test_the_stand_in_keeps_the_contract_too():
    tracker = FieldTracker(lambda t, xy: np.broadcast_to(MOVE, xy.shape))
    steps = tracker.step(3, 4, GRID)
    np.testing.assert_allclose(steps.xy, GRID + MOVE)
    np.testing.assert_allclose(tracker.step(4, 3, steps.xy).xy, GRID)
