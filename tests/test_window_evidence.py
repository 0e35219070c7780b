"""Evidence from a tracker that looks at windows of frames and at the points of a body together."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import WindowedField
from hypothesis import given, settings
from hypothesis import strategies as st
from test_propagation import (
    BODY,
    SKELETON,
    grid_of,
    mark,
    marks_at,
    path_of,
    propagation,
    run,
    steady,
    swinging,
)

from impose_core.marks import Marks
from impose_core.points import WindowTracker
from impose_core.points.lucas_kanade import LucasKanade


def test_a_tracker_says_itself_whether_it_looks_at_windows():
    assert isinstance(WindowedField(steady), WindowTracker)
    assert not isinstance(LucasKanade(), WindowTracker)


def test_between_and_beyond_anchors_a_track_is_reproduced():
    path = path_of(swinging, 40)
    p = propagation(40, WindowedField(swinging))
    estimates = run(p, marks_at(path, [8, 20]), [1], 40)
    off = np.where(estimates.known[:, 0, :, None], estimates.xy[:, 0] - BODY - path[:, None], 0.0)
    assert estimates.known[:, 0].sum() == 38 * len(BODY)  # all but the anchors
    assert np.abs(off).max() < 1.0


def test_windows_are_counted_from_the_anchor_and_tracked_whole():
    tracker = WindowedField(steady, window=6)
    p = propagation(40, tracker)
    p.rebase(grid_of(marks_at(path_of(steady, 40), [3]), [1], 40), np.array([-1]))
    p.estimate(10, 12)
    assert tracker.asked == [(3, 8, 4), (8, 13, 4), (3, 0, 4)][: len(tracker.asked)]
    p.estimate(12, 14)
    assert tracker.asked.count((8, 13, 4)) == 1  # known already


@pytest.mark.parametrize("order", [(0, 10, 20, 30), (30, 0, 20, 10)])
def test_what_was_asked_for_first_makes_no_difference(order):
    marks = marks_at(path_of(swinging, 40), [4, 25])
    answers = []
    for starts in ((0, 10, 20, 30), order):
        p = propagation(40, WindowedField(swinging))
        p.rebase(grid_of(marks, [1], 40), np.array([-1]))
        for start in starts:
            p.estimate(start, start + 10)
        answers.append(p.estimates.xy)
    np.testing.assert_array_equal(*answers)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_what_is_kept_between_corrections_equals_a_fresh_start(seed):
    """Marks of single joints come and go; two people; points lean on their body's."""
    rng = np.random.default_rng(seed)
    path, frames, tracks = path_of(swinging, 30), 30, [1, 2]
    marks = marks_at(path, [5])
    marks.apply({(2, 9): (None, mark(BODY + path[9] + (150, 0)))})
    kept = propagation(frames, WindowedField(swinging))
    run(kept, marks, tracks, frames)
    for _ in range(4):
        cell = (int(rng.choice(tracks)), int(rng.integers(frames)))
        xy = BODY + path[cell[1]] + (150 * (cell[0] - 1), 0) + rng.normal(0, 3, BODY.shape)
        xy[rng.random(len(BODY)) < 0.5] = np.nan
        gone = rng.random() < 0.3
        marks.apply({cell: (marks.get(*cell), None if gone else mark(xy))})
        columns = [0, 1]
        got = run(kept, marks, tracks, frames, columns)
    again = Marks(len(SKELETON))
    again.apply({cell: (None, one) for cell, one in marks.items()})
    want = run(propagation(frames, WindowedField(swinging)), again, tracks, frames)
    np.testing.assert_array_equal(got.known, want.known)
    np.testing.assert_array_equal(
        np.where(got.known[..., None], got.xy, 0), np.where(want.known[..., None], want.xy, 0)
    )
