"""The contract of point trackers, kept by Lucas-Kanade and by the stand-ins for others' tests."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FieldTracker, WindowedField
from point_tracker_contract import MOVE, PixelTrackerContract, PointTrackerContract

from impose_core.points.lucas_kanade import LucasKanade


def moving(t, xy):
    return np.broadcast_to(MOVE, xy.shape)


class TestLucasKanade(PixelTrackerContract):
    @pytest.fixture
    def tracker(self):
        return LucasKanade()

    def test_a_good_step_comes_back_to_where_it_started(self, tracker, encoded):
        steps = tracker.step(encoded[0], encoded[1], np.array([[100.0, 100.0], [200.0, 150.0]]))
        assert (steps.error < 0.5).all()


class TestFieldTracker(PointTrackerContract):
    @pytest.fixture
    def tracker(self):
        return FieldTracker(moving)


class TestWindowedField(PointTrackerContract):
    @pytest.fixture
    def tracker(self):
        return WindowedField(moving)
