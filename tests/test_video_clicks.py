import numpy as np
import pytest
from pose_set_cases import golden, people, tracklet, tracklets, video

from impose_core.errors import UsageError
from impose_core.evaluation.conventions import gather
from impose_core.evaluation.tracklets import tracklets_of, with_poses
from impose_core.evaluation.video_clicks import (
    WHOLE_PERSON,
    correct_keyframes,
    stay,
    video_number_of_clicks,
)
from impose_core.pose_sets import NO_TRACK

GOLDEN = [golden("video", name) for name in ("V1_vnoc", "V2_vnoc_real_tracks")]


def _offset(horizon, decay):
    """The golden cases' propagator: neighbours ahead move along, less and less."""

    def propagate(predicted, clicks):
        after = stay(predicted, clicks)
        move = clicks.xy - predicted[clicks.frame, clicks.joints]
        for ahead in range(1, min(horizon, clicks.stop - 1 - clicks.frame) + 1):
            after[clicks.frame + ahead, clicks.joints] += move * decay**ahead
        return after

    return propagate


def _propagator(given):
    return stay if given["type"] == "identity" else _offset(given["horizon"], given["decay"])


@pytest.mark.parametrize("case", GOLDEN)
def test_accuracy_before_any_click(case):
    sigmas = np.array(case["sigmas"])
    found = {name: one.accuracy(one.predicted, sigmas) for name, one in tracklets(case).items()}
    assert found == pytest.approx(case["initial_tracklet_AP"], abs=1e-9)


@pytest.mark.parametrize("case", GOLDEN)
def test_clicks_until_the_target(case):
    given, sigmas = tracklets(case), np.array(case["sigmas"])
    for expected in case["expected"]:
        for target, ratios in expected["VNoC"].items():
            found = video_number_of_clicks(
                list(given.values()),
                float(target),
                sigmas=sigmas,
                propagate=_propagator(expected["propagation"]),
            )
            clicks = {name: one.clicks for name, one in zip(given, found.tracklets, strict=True)}
            counts = {name: len(one) for name, one in clicks.items()}
            assert counts == expected["clicks_per_tracklet"][target]
            assert found.per_tracklet == pytest.approx(ratios["per_tracklet"], abs=1e-9)
            assert found.per_person_frame == pytest.approx(ratios["per_person_frame"], abs=1e-9)
            assert found.per_video_frame == pytest.approx(ratios["per_video_frame"], abs=1e-9)
            if target == "0.95":
                log = expected["click_log(frame,joint)@0.95"]
                assert {name: [list(c) for c in one] for name, one in clicks.items()} == log


@pytest.mark.parametrize("case", GOLDEN)
def test_keyframes_every_window(case):
    sigmas = np.array(case["sigmas"])
    for expected in case["expected_sweep"]:
        found = {
            name: correct_keyframes(
                one,
                expected["k"],
                expected["window"],
                sigmas=sigmas,
                propagate=_propagator(expected["propagation"]),
            )
            for name, one in tracklets(case).items()
        }
        assert {name: len(one.clicks) for name, one in found.items()} == expected["clicks"]
        accuracy = {name: one.accuracy for name, one in found.items()}
        assert accuracy == pytest.approx(expected["tracklet_AP"], abs=1e-9)


SIGMAS = np.full(2, 0.1)
STILL = np.full((4, 2, 2), 50.0)
GONE = np.full((2, 2), np.nan)


def test_a_missing_person_costs_a_click_before_any_joint():
    predicted = STILL + [[[0, 9]]] * 4
    predicted[2] = GONE
    found = video_number_of_clicks([tracklet(STILL, predicted)], 1.0, sigmas=SIGMAS)
    (one,) = found.tracklets
    assert one.clicks[0] == (2, WHOLE_PERSON)
    # all joints at the centre of the labelled box, far from the labels: they come next
    assert one.clicks[1:3] == ((2, 0), (2, 1))


def test_a_person_without_a_box_cannot_be_created():
    one = tracklet(STILL, np.full_like(STILL, np.nan))
    one.box[:] = np.nan
    with pytest.raises(UsageError, match="box"):
        video_number_of_clicks([one], 1.0, sigmas=SIGMAS)


def test_who_cannot_arrive_stops_at_the_cap_and_is_counted():
    def spoil(predicted, clicks):
        return np.zeros_like(predicted)

    given = [tracklet(STILL, STILL + 20), tracklet(STILL, STILL)]
    found = video_number_of_clicks(given, 0.9, sigmas=SIGMAS, propagate=spoil)
    assert [len(one.clicks) for one in found.tracklets] == [8, 0]
    assert (found.capped, found.clicks) == (1, 8)
    assert found.per_tracklet == 4.0
    assert found.per_person_frame == 1.0
    assert found.per_video_frame == 2.0


def test_a_target_missed_by_rounding_alone_is_reached_unless_strict():
    predicted = STILL.copy()
    predicted[0] = 90.0
    given = [tracklet(STILL, predicted)]
    target = 0.75 + 1e-12
    assert video_number_of_clicks(given, target, sigmas=SIGMAS).clicks == 0
    assert video_number_of_clicks(given, target, sigmas=SIGMAS, strict_float=True).clicks > 0


def test_who_is_nowhere_labelled_is_no_tracklet():
    given = [tracklet(STILL, STILL, np.zeros((4, 2)))]
    found = video_number_of_clicks(given, 0.9, sigmas=SIGMAS)
    assert found.tracklets == ()
    assert np.isnan(found.per_tracklet)
    assert np.isnan(given[0].accuracy(STILL, SIGMAS))
    assert correct_keyframes(given[0], 1, 1, sigmas=SIGMAS).clicks == ()


def test_a_window_ends_where_the_next_begins():
    def everywhere(predicted, clicks):
        return np.full_like(predicted, 50.0)

    found = correct_keyframes(tracklet(STILL, STILL + 9), 1, 3, sigmas=SIGMAS, propagate=everywhere)
    assert found.clicks == ((0, 0), (3, 0))
    late = tracklet(STILL, STILL + 9, [[0, 0], [2, 2], [2, 2], [2, 2]])
    found = correct_keyframes(late, 1, 2, sigmas=SIGMAS, propagate=everywhere)
    assert found.clicks == ((1, 0), (3, 0))
    assert found.tracklet.predicted[0].tolist() == [[59, 59], [59, 59]]


def test_only_labelled_joints_are_replaced():
    half = tracklet(STILL, STILL + 9, [[2, 0]] * 4)
    found = correct_keyframes(half, 2, 2, sigmas=SIGMAS)
    assert found.clicks == ((0, 0), (2, 0))


def test_a_video_is_as_long_as_its_longest_tracklet():
    given = [tracklet(STILL, STILL + 20), tracklet(STILL[:1], STILL[:1])]
    assert video_number_of_clicks(given, 1.0, sigmas=SIGMAS).per_video_frame == 2.0


def test_bad_arguments_are_named():
    one = tracklet(STILL, STILL + 9)
    with pytest.raises(UsageError, match="window"):
        correct_keyframes(one, 1, 0, sigmas=SIGMAS)
    with pytest.raises(UsageError, match="propagator"):
        correct_keyframes(one, 1, 1, sigmas=SIGMAS, propagate=lambda *_: STILL[:2])
    with pytest.raises(UsageError, match="'predicted'"):
        tracklet(STILL, STILL[:3])
    with pytest.raises(UsageError, match="area"):
        tracklet(STILL, STILL, area=np.nan)


KEYPOINTS = ("a", "b")


def _person(x, identity, visibility=None, **given):
    xy = [[[x, 10.0], [x, 30.0]]]
    return people(xy, visibility, box=[x - 5, 5, x + 5, 35], track_id=identity, **given)


def _both(*persons):
    return gather(persons, 2)


def test_identities_take_the_track_that_fits_them_longest():
    labels = video(KEYPOINTS, [_both(_person(20, 1), _person(80, 2)) for _ in range(3)])
    frames = [_both(_person(80, 7, score=0.5), _person(21, 8, score=0.9)) for _ in range(2)]
    frames.append(_both(_person(20, 7, score=0.5), _person(80, 8, score=0.9)))
    found = tracklets_of(labels, video(KEYPOINTS, frames), sigmas=SIGMAS)
    assert [(one.track_id, one.predicted_id) for one in found] == [(1, 8), (2, 7)]
    assert found[0].predicted[:, 0, 0].tolist() == [21, 21, 80]


def test_an_identity_nobody_overlaps_stays_without_a_track():
    labels = video(KEYPOINTS, [_person(20, 1)])
    nobody = video(KEYPOINTS, [people(np.zeros((0, 2, 2)))])
    (found,) = tracklets_of(labels, nobody, sigmas=SIGMAS)
    assert found.predicted_id == NO_TRACK
    assert np.isnan(found.predicted).all()
    far = video(KEYPOINTS, [_person(1e6, 3, score=1.0)])
    (found,) = tracklets_of(labels, far, sigmas=SIGMAS)
    assert found.predicted_id == NO_TRACK


def test_crowds_small_labels_and_unlabelled_frames_are_no_tracklets():
    frames = [
        _both(_person(20, 1), _person(80, 2, visibility=[[2, 0]]), _person(50, 3, crowd=True)),
        _both(_person(20, 4)),
    ]
    labels = video(KEYPOINTS, frames, labelled=[True, False])
    predictions = video(KEYPOINTS, [_person(20, 1, score=1.0)] * 2)
    found = tracklets_of(labels, predictions, sigmas=SIGMAS, min_labelled_joints=2)
    assert [one.track_id for one in found] == [1]
    assert found[0].on.tolist() == [True, False]
    assert np.isfinite(found[0].predicted).all()  # propagation may use what evaluation skips


def test_everybody_needs_an_identity():
    labels = video(KEYPOINTS, [_person(20, 1)])
    with pytest.raises(UsageError, match="track id"):
        tracklets_of(labels, video(KEYPOINTS, [_person(20, NO_TRACK)]), sigmas=SIGMAS)
    twice = video(KEYPOINTS, [_both(_person(20, 1), _person(80, 1))])
    with pytest.raises(UsageError, match="differ"):
        tracklets_of(labels, twice, sigmas=SIGMAS)


def test_corrected_tracks_return_to_the_predictions():
    labels = video(KEYPOINTS, [_person(20, 1) for _ in range(3)])
    nobody = people(np.zeros((0, 2, 2)))
    predicted = [_person(22, 5, score=0.25), nobody, _person(22, 5, score=0.75)]
    predictions = video(KEYPOINTS, predicted)
    (one,) = tracklets_of(labels, predictions, sigmas=SIGMAS)

    def follow(track, clicks):
        after = np.where(np.isnan(track), 22.0, track)
        after[2] = np.nan
        return stay(after, clicks)

    corrected = correct_keyframes(one, 1, 3, sigmas=SIGMAS, propagate=follow)
    frames = with_poses(labels, predictions, [corrected.tracklet]).sequences[0].frames
    assert frames[0].instances.xy.tolist() == [[[20, 10], [22, 30]]]
    assert frames[0].instances.score.tolist() == [0.25]
    assert frames[1].instances.xy.tolist() == [[[22, 22], [22, 22]]]
    assert frames[1].instances.score.tolist() == [0.5]
    assert frames[1].instances.track_id.tolist() == [5]
    assert len(frames[2].instances) == 0
    assert predictions.sequences[0].frames[0].instances.xy[0, 0].tolist() == [22, 10]
