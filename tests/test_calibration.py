import numpy as np
import pytest
from pose_set_cases import tracklet

from impose_core.errors import UsageError
from impose_core.evaluation.calibration import WITHIN_ONE, WITHIN_TWO, calibration
from impose_core.evaluation.smoothness import jitter
from impose_core.poses import Origin, PoseTracks
from impose_core.skeleton import Skeleton


def _tracks(xy, deviation, origin):
    skeleton = Skeleton(name="one", keypoints=("a",))
    tracks = PoseTracks.empty(frames=len(xy), track_id=[1], skeleton=skeleton)
    tracks.xy[:, 0, 0] = xy
    tracks.deviation[:, 0, 0] = deviation
    tracks.origin[:, 0, 0] = origin
    return tracks


def test_gaussian_errors_are_within_their_deviation_as_often_as_they_should():
    draw = np.random.default_rng(0)
    deviation = draw.uniform(0.5, 4.0, 20_000)
    errors = draw.normal(size=(20_000, 2)) * deviation[:, None]
    tracks = _tracks(errors, deviation, Origin.PROPAGATED)
    truth = np.zeros_like(tracks.xy)
    found = calibration(tracks, truth, np.full(truth.shape[:-1], 2, np.uint8))
    row = found[Origin.PROPAGATED]
    assert row.n == 20_000
    assert row.within_one == pytest.approx(WITHIN_ONE, abs=0.01)
    assert row.within_two == pytest.approx(WITHIN_TWO, abs=0.01)
    assert (round(WITHIN_ONE, 2), round(WITHIN_TWO, 2)) == (0.39, 0.86)


def test_shares_are_by_origin_and_what_is_unknown_is_left_out():
    xy = [[0, 0], [3, 4], [3, 4], [np.nan, 0], [0, 0], [0, 0], [1, 0]]
    deviation = [1, 5, 4.9, 1, np.nan, 1, 0]
    origin = [Origin.DETECTED] * 3 + [Origin.PROPAGATED] * 3 + [Origin.HUMAN]
    visibility = np.full((7, 1, 1), 2, np.uint8)
    visibility[5] = 0
    tracks = _tracks(xy, deviation, origin)
    found = calibration(tracks, np.zeros_like(tracks.xy), visibility)
    detected = found[Origin.DETECTED]
    assert (detected.within_one, detected.within_two, detected.n) == (2 / 3, 1.0, 3)
    assert found[Origin.PROPAGATED].n == 0
    assert np.isnan(found[Origin.PROPAGATED].within_one)
    human = found[Origin.HUMAN]
    assert (human.within_one, human.n) == (0.0, 1)


def test_labels_must_be_of_the_same_people():
    tracks = _tracks([[0, 0]], [1], [Origin.HUMAN])
    with pytest.raises(UsageError, match="shape"):
        calibration(tracks, np.zeros((1, 2, 1, 2)), np.zeros((1, 2, 1), np.uint8))


def test_jitter_is_the_second_difference_beside_that_of_the_labels():
    steady = np.arange(5.0)[:, None, None] * [3.0, 4.0]
    shaking = steady + np.array([0, 1, 0, 1, 0])[:, None, None] * [3.0, 4.0]
    found = jitter([tracklet(steady, shaking, area=25.0)])
    assert (found.predicted, found.labelled) == (10.0, 0.0)
    assert (found.predicted_per_scale, found.labelled_per_scale) == (2.0, 0.0)
    assert found.n == 3


def test_jitter_needs_three_frames_in_a_row():
    steady = np.arange(6.0)[:, None, None] * [3.0, 4.0]
    gap = steady.copy()
    gap[2] = np.nan
    assert jitter([tracklet(steady, gap)]).n == 1
    assert jitter([tracklet(steady, gap, [[2], [2], [2], [2], [0], [2]])]).n == 0
    assert np.isnan(jitter([tracklet(steady[:2], steady[:2])]).predicted)
    assert jitter([]).n == 0


def test_a_label_without_extent_has_no_scale():
    steady = np.arange(3.0)[:, None, None] * [3.0, 4.0]
    found = jitter([tracklet(steady, steady, area=0.0)])
    assert found.n == 1
    assert found.predicted == 0.0
    assert np.isnan(found.predicted_per_scale)
