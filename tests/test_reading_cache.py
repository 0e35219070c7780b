"""The same view of the same frame is read once; and what is kept is bounded."""

import numpy as np
import pytest

from impose_core.readers import Candidates
from impose_core.reading_cache import ROWS, ReadingCache
from impose_core.skeleton import COCO17


class Counting:
    """Sees the view itself: its numbers and the frame's are the places."""

    name, skeleton = "counting", COCO17

    def __init__(self):
        self.read_views = []

    def read(self, images, views):
        self.read_views += [tuple(v) for v in views.tolist()]
        xy = np.zeros((len(views), 17, 2, 2))
        xy[:, :, 0, 0], xy[:, :, 0, 1] = views[:, None, 0], views[:, None, 1]
        xy[:, :, 1, 0], xy[:, :, 1, 1] = views[:, None, 2], np.array(images)[:, None]
        return Candidates(xy=xy, score=np.full((len(views), 17, 2), 0.25))


def views(*rows):
    return np.array(rows, np.int64).reshape(-1, 3)


def test_a_view_is_read_once_on_each_frame():
    reader = Counting()
    cache = ReadingCache(reader, capacity=100)
    first = cache.read(3, views((1, 2, 30), (4, 5, 60)), lambda t: t)
    again = cache.read(3, views((4, 5, 60), (1, 2, 30), (7, 8, 90)), lambda t: t)
    assert reader.read_views == [(1, 2, 30), (4, 5, 60), (7, 8, 90)]
    np.testing.assert_array_equal(again.xy[:2], first.xy[::-1])
    assert again.xy[2, 0].tolist() == [[7, 8], [90, 3]]
    other = cache.read(4, views((1, 2, 30)), lambda t: t)
    assert other.xy[0, 0, 1].tolist() == [30, 4]


def test_two_persons_in_one_view_are_read_together():
    reader = Counting()
    both = ReadingCache(reader, capacity=100).read(0, views((1, 2, 30), (1, 2, 30)), lambda t: t)
    assert len(reader.read_views) == 1
    np.testing.assert_array_equal(both.xy[0], both.xy[1])


def test_an_image_is_only_asked_for_when_something_is_new():
    cache = ReadingCache(Counting(), capacity=100)
    cache.read(0, views((1, 2, 30)), lambda t: t)
    cache.read(0, views((1, 2, 30)), lambda t: pytest.fail("kept"))


def test_what_nobody_asked_for_longest_is_forgotten():
    reader = Counting()
    cache = ReadingCache(reader, capacity=3)
    for left in (1, 2, 3):
        cache.read(0, views((left, 0, 9)), lambda t: t)
    cache.read(0, views((1, 0, 9)), lambda t: t)  # looked at again: now 2 is the oldest
    cache.read(0, views((4, 0, 9)), lambda t: t)
    assert len(cache) == 3
    reader.read_views.clear()
    kept = cache.read(0, views((1, 0, 9), (3, 0, 9), (4, 0, 9)), lambda t: t)
    assert reader.read_views == []
    assert kept.xy[:, 0, 0, 0].tolist() == [1, 3, 4]
    cache.read(0, views((2, 0, 9)), lambda t: t)
    assert reader.read_views == [(2, 0, 9)]


def test_more_views_at_once_than_are_kept_are_all_answered():
    found = ReadingCache(Counting(), capacity=2).read(
        0, views(*((left, 0, 9) for left in range(5))), lambda t: t
    )
    assert found.xy[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_many_readings_spill_to_files_and_come_back():
    cache = ReadingCache(Counting(), capacity=3 * ROWS)
    for frame in range(2 * ROWS + 10):
        cache.read(frame, views((frame, 1, 9)), lambda t: t)
    back = cache.read(5, views((5, 1, 9)), lambda t: pytest.fail("kept"))
    assert back.xy[0, 0].tolist() == [[5, 1], [9, 5]]
    assert back.score.tolist() == np.full((1, 17, 2), 0.25).tolist()
