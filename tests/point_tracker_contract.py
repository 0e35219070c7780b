"""One contract for every point tracker: what evidence, association and the causal form rely on.

A module of tests subclasses :class:`PointTrackerContract` and gives a ``tracker``.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from fakes import index_of

from impose_core.points import PointTracks, WindowTracker

MOVE = np.array([2.5, -1.25])
COUNT, WIDTH, HEIGHT = 8, 320, 240
GRID = np.stack(np.meshgrid(np.arange(70, 250, 30.0), np.arange(60, 180, 30.0)), -1).reshape(-1, 2)


@cache
def moving_texture():
    """A texture that moves by MOVE every frame; its first pixel says which frame it is."""
    rough = np.random.default_rng(0).uniform(0, 255, (40, 53)).astype(np.float32)
    texture = cv2.resize(rough, (424, 320), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    images = []
    for t in range(COUNT):
        shift = np.array([[1, 0, -50 + MOVE[0] * t], [0, 1, -40 + MOVE[1] * t]])
        grey = cv2.warpAffine(texture, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
        image = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
        image[0, 0] = (0, t, 0)
        assert index_of(image) == t
        images.append(image)
    return images


def follow(tracker, encoded, xy, group=None):
    """``xy`` along ``encoded``, as the tracker is meant to be used over many frames."""
    if isinstance(tracker, WindowTracker):
        return tracker.track(encoded, xy, np.zeros(len(xy), int) if group is None else group)
    places, errors = [xy], [np.zeros(len(xy))]
    for source, target in pairwise(encoded):
        steps = tracker.step(source, target, places[-1])
        places.append(steps.xy)
        errors.append(steps.error)
    return PointTracks(xy=np.stack(places), error=np.stack(errors))


class PointTrackerContract:
    """What holds for all of them."""

    @pytest.fixture
    def encoded(self, tracker):
        return [tracker.encode(image) for image in moving_texture()]

    @pytest.mark.parametrize(
        "frames", [(0, 7), (7, 0), (2, 7), (5, 1)], ids=lambda f: f"{f[0]} to {f[1]}"
    )
    def test_it_follows_a_moving_texture_from_any_frame_either_way(self, tracker, encoded, frames):
        start, stop = frames
        direction = 1 if stop > start else -1
        order = list(range(start, stop + direction, direction))
        tracks = follow(tracker, [encoded[t] for t in order], GRID)
        np.testing.assert_array_equal(tracks.xy[0], GRID)
        moved = MOVE * direction * np.arange(len(order))[:, None, None]
        assert np.abs(tracks.xy - GRID - moved).max() < 1
        assert np.isfinite(tracks.error).all()
        assert tracks.xy.dtype == tracks.error.dtype == np.float64

    def test_a_step_is_within_a_pixel_too(self, tracker, encoded):
        for source, target in ((3, 4), (4, 3)):
            steps = tracker.step(encoded[source], encoded[target], GRID)
            assert np.abs(steps.xy - GRID - MOVE * (target - source)).max() < 1

    def test_points_added_later_find_what_they_would_have_found(self, tracker, encoded):
        early, late = GRID[:5], GRID[5:]
        before = follow(tracker, encoded, early)
        follow(tracker, encoded[3:], late)
        again = follow(tracker, encoded, early)
        assert before.xy.tobytes() == again.xy.tobytes()
        assert np.abs(follow(tracker, encoded[3:], late).xy[-1] - late - 4 * MOVE).max() < 1

    def test_steps_do_not_hear_of_each_other(self, tracker, encoded):
        together = tracker.step(encoded[0], encoded[1], GRID)
        for i in (0, 7, len(GRID) - 1):
            alone = tracker.step(encoded[0], encoded[1], GRID[i : i + 1])
            np.testing.assert_array_equal(alone.xy[0], together.xy[i])
            np.testing.assert_array_equal(alone.error[0], together.error[i])

    def test_groups_do_not_hear_of_each_other(self, tracker, encoded):
        group = np.arange(len(GRID)) % 3
        together = follow(tracker, encoded, GRID, group)
        for one in range(3):
            mine = group == one
            alone = follow(tracker, encoded, GRID[mine], group[mine])
            np.testing.assert_array_equal(alone.xy, together.xy[:, mine])
            np.testing.assert_array_equal(alone.error, together.error[:, mine])

    def test_the_same_twice(self, tracker, encoded):
        first, second = (follow(tracker, encoded, GRID) for _ in range(2))
        assert first.xy.tobytes() == second.xy.tobytes()
        assert first.error.tobytes() == second.error.tobytes()

    def test_a_point_that_leaves_the_image_is_not_said_to_be_in_it(self, tracker, encoded):
        """After 7 frames it is 11 pixels outside."""
        tracks = follow(tracker, encoded, np.array([[WIDTH - 6.5, 120.0]]))
        assert np.isfinite(tracks.xy).all()
        outside = (tracks.xy[-1, 0] < 0) | (tracks.xy[-1, 0] > (WIDTH, HEIGHT))
        assert outside.any() or tracks.error[1:, 0].max() > 1.5

    @pytest.mark.parametrize("place", [(-500.0, 20.0), (5e5, 5e5), (319.9, 239.9), (0.0, 0.0)])
    def test_a_point_outside_or_at_the_edge_gets_an_answer(self, tracker, encoded, place):
        steps = tracker.step(encoded[0], encoded[1], np.array([place]))
        assert np.isfinite(steps.xy).all()
        assert not np.isnan(steps.error).any()

    def test_no_points_are_no_trouble(self, tracker, encoded):
        steps = tracker.step(encoded[0], encoded[1], np.empty((0, 2)))
        assert steps.xy.shape == (0, 2)
        assert steps.error.shape == (0,)
        assert follow(tracker, encoded, np.empty((0, 2))).xy.shape == (COUNT, 0, 2)


class PixelTrackerContract(PointTrackerContract):
    """What holds for all that look at pixels."""

    def test_its_origin_is_the_corner_of_the_top_left_pixel(self, tracker):
        """A blob centred on pixel (60, 80) is at (60.5, 80.5): half a pixel matters."""
        x, y = np.meshgrid(np.arange(200), np.arange(160))

        def blob(cx, cy):
            grey = 255 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 72)
            return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)

        def moved(images, start):
            encoded = [tracker.encode(np.ascontiguousarray(image)) for image in images]
            return follow(tracker, encoded, np.array([start])).xy[-1, 0]

        images = [blob(60, 80), blob(63, 80)]
        left = moved(images, (60.5, 80.5))
        # mirrored about the image's middle, a point must land on its mirror image exactly
        right = moved([image[:, ::-1] for image in images], (200 - 60.5, 80.5))
        assert left[0] == pytest.approx(200 - right[0], abs=0.02)
        assert left == pytest.approx([63.5, 80.5], abs=0.1)

    def test_a_scene_cut_is_noticed(self, tracker, encoded):
        shape = (HEIGHT, WIDTH, 3)
        other = np.random.default_rng(5).integers(0, 255, shape, dtype=np.uint8)
        steps = tracker.step(encoded[0], tracker.encode(other), GRID)
        assert np.median(steps.error) > 2
