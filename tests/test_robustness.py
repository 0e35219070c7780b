import numpy as np
import pytest
from pose_set_cases import golden, tracklet, tracklets

from impose_core.errors import UsageError
from impose_core.evaluation.blur import Third, blur_score, blurriest_of_first_half, thirds
from impose_core.evaluation.drift import Drift, Fails, frames_until_drift, summarize, survival
from impose_core.evaluation.occlusion import (
    Occlusion,
    Recovery,
    occlusions,
    recoveries,
    recovery_rates,
)

DRIFT = [golden("video", name) for name in ("D1_drift", "D2_drift_real_tracks")]
READINGS = {"all_joints": Fails.ANY_JOINT, "mean_oks": Fails.WHOLE_POSE}


@pytest.mark.parametrize("case", DRIFT)
@pytest.mark.parametrize("reading", READINGS)
def test_frames_until_drift(case, reading):
    for tau, expected in case["expected"][reading].items():
        found = {
            name: frames_until_drift(
                one,
                case["tracklets"][name]["annotation_frame"],
                tau=float(tau),
                sigmas=np.array(case["sigmas"]),
                fails=READINGS[reading],
            )
            for name, one in tracklets(case).items()
        }
        assert {name: one.frames for name, one in found.items()} == expected["frames"]
        assert {name: one.censored for name, one in found.items()} == expected["censored"]
        summary = summarize(list(found.values()))
        assert summary.mean == pytest.approx(expected["mean"], abs=1e-9)
        assert summary.n == len(found)
        assert summary.censored == np.mean(list(expected["censored"].values()))


SIGMAS = np.full(2, 0.1)
STILL = np.full((5, 2, 2), 50.0)


def _frames(predicted, visibility=None, annotated=0, fails=Fails.ANY_JOINT):
    one = tracklet(STILL, predicted, visibility)
    return frames_until_drift(one, annotated, tau=0.9, sigmas=SIGMAS, fails=fails)


def test_one_joint_fails_any_joint_but_not_the_whole_pose():
    predicted = STILL.copy()
    predicted[3, 1] += 0.7  # s = exp(-2 · .49 / 8) = .88, mean .94
    assert _frames(predicted) == Drift(frames=2, censored=False)
    assert _frames(predicted, fails=Fails.WHOLE_POSE) == Drift(frames=4, censored=True)


def test_only_joints_labelled_on_the_annotated_frame_count():
    predicted = STILL.copy()
    predicted[:, 1] += 99.0
    assert _frames(predicted, [[2, 0]] + [[2, 2]] * 4) == Drift(frames=4, censored=True)
    # frames without such a joint neither count nor fail
    seen = [[2, 0], [0, 2], [2, 2], [0, 0], [2, 2]]
    assert _frames(predicted, seen) == Drift(frames=2, censored=True)


def test_a_missing_person_fails():
    predicted = STILL.copy()
    predicted[2] = np.nan
    assert _frames(predicted, annotated=1) == Drift(frames=0, censored=False)


def test_the_annotated_frame_must_be_labelled():
    for annotated in (0, 5, -1):
        with pytest.raises(UsageError, match="annotated"):
            _frames(STILL, [[0, 0]] + [[2, 2]] * 4, annotated=annotated)


def test_survival_leaves_censored_clips_out_of_those_at_risk():
    # the textbook case: of 4, one fails at 2, one is censored at 3, one fails at 4
    drifts = [Drift(frames=2, censored=False), Drift(frames=3, censored=True)]
    drifts += [Drift(frames=4, censored=False), Drift(frames=6, censored=True)]
    curve = survival(drifts)
    assert curve.frames.tolist() == [0, 2, 4]
    assert curve.at_risk.tolist() == [4, 4, 2]
    assert curve.share.tolist() == [1.0, 0.75, 0.375]


def test_survival_can_fall_at_once_and_be_of_nobody():
    assert survival([Drift(frames=0, censored=False)]).share.tolist() == [0.0]
    assert survival([]).share.tolist() == [1.0]
    nothing = summarize([])
    assert nothing.n == 0
    assert np.isnan(nothing.mean)


@pytest.mark.parametrize("case", [golden("video", "O1_occlusion_recovery")])
def test_occlusion_events_and_recovery(case):
    found = []
    for name, one in case["joints"].items():
        joint = tracklet(
            np.array(one["gt"])[:, None],
            np.array(one["gt"])[:, None],
            np.array(one["v"])[:, None],
            np.array(one["area"]),
        )

        def track(_, event, one=one):
            return np.array(one["propagated"][str(event.last)][-1])

        mine = recoveries([joint], sigmas=np.array([one["sigma"]]), track=track)
        events = [[r.event.last, r.event.first, r.event.duration] for r in mine]
        assert events == case["expected"]["events"][name]
        for tau, expected in case["expected"]["recovered"].items():
            assert [r.term >= float(tau) for r in mine] == expected[name]
        found += mine
    for tau, rate in case["expected"]["recovery_rate"].items():
        rates = recovery_rates(found, tau=float(tau))
        assert rates.all.rate == pytest.approx(rate, abs=1e-9)
        assert rates.all.n == case["expected"]["n_events"]
        duration = case["expected"]["mean_occlusion_length"]
        assert rates.all.mean_duration == pytest.approx(duration, abs=1e-9)


def test_gaps_at_the_ends_are_no_events_and_occluded_is_out_of_sight():
    seen = np.array([[0, 2, 1, 0, 2, 2, 0]]).T.astype(np.uint8)
    assert list(occlusions(seen)) == [Occlusion(joint=0, last=1, first=4)]
    assert next(occlusions(seen)).duration == 2
    assert list(occlusions(np.zeros((3, 2), np.uint8))) == []


def test_32_frames_are_short_and_33_long():
    def ended(duration, term):
        return Recovery(event=Occlusion(joint=0, last=0, first=duration + 1), term=term)

    rates = recovery_rates([ended(32, 0.9), ended(33, 0.7), ended(99, 0.9)], tau=0.9)
    assert (rates.short.rate, rates.short.n) == (1.0, 1)
    assert (rates.long.rate, rates.long.n, rates.long.mean_duration) == (0.5, 2, 66.0)
    assert np.isnan(recovery_rates([], tau=0.9).all.rate)


def test_a_lost_joint_is_not_recovered():
    seen = np.array([[2, 0, 2, 2, 2]]).T * [1, 1]
    found = recoveries(
        [tracklet(STILL, STILL, seen)], sigmas=SIGMAS, track=lambda *_: np.array([np.nan, 50.0])
    )
    assert [one.term for one in found] == [0.0, 0.0]


@pytest.mark.parametrize("case", [golden("video", "laplacian_blur")])
def test_blur_score_is_minus_the_variance_of_the_laplacian(case):
    for image in case["images"]:
        score = blur_score(np.array(image["gray"], np.uint8))
        assert score == pytest.approx(-image["laplacian_variance"], rel=1e-6)


def test_a_blurred_image_scores_higher():
    sharp = np.zeros((8, 8), np.uint8)
    sharp[:, 4:] = 200
    soft = np.tile(np.linspace(0, 200, 8).astype(np.uint8), (8, 1))
    assert blur_score(soft) > blur_score(sharp)
    # by hand: -4·9 at the middle, 9 at its four neighbours, mean 0
    point = np.zeros((5, 5), np.uint8)
    point[2, 2] = 9
    assert blur_score(point) == -(36**2 + 4 * 9**2) / 25
    # in the corner: the border is mirrored without the corner itself
    corner = np.roll(point, (-2, -2), (0, 1))
    expected = (36**2 + 2 * 9**2) / 25 - (18 / 25) ** 2
    assert blur_score(corner) == pytest.approx(-expected)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2)), np.zeros((0, 2), np.uint8)]
)
def test_blur_needs_one_channel_of_bytes(wrong):
    with pytest.raises(UsageError, match="grey"):
        blur_score(wrong)


def test_the_blurriest_frame_is_of_the_first_half():
    assert blurriest_of_first_half([-5, -1, -3, -2, 0]) == 1
    assert blurriest_of_first_half([-2, -2, 0, 0]) == 0
    with pytest.raises(UsageError, match="scores"):
        blurriest_of_first_half([])


def test_thirds_go_by_rank_and_ties_by_name():
    scores = {"c": -1.0, "d": -9.0, "b": -9.0, "a": -2.0}
    found = thirds(scores)
    assert found == {"b": Third.SHARP, "d": Third.SHARP, "a": Third.MIDDLE, "c": Third.BLURRED}
    assert thirds({}) == {}
    with pytest.raises(UsageError, match="'x'"):
        thirds({"x": np.nan})
