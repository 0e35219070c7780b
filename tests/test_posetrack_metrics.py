import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from tracking_golden import POSETRACK, load

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.evaluation import posetrack_ap as ap_module
from impose_core.evaluation.ignore_regions import (
    inside,
    without_ignored_boxes,
    without_ignored_keypoints,
)
from impose_core.evaluation.keypoint_hota import hota_keypoints
from impose_core.evaluation.posetrack_ap import posetrack_ap
from impose_core.evaluation.posetrack_joints import JOINTS
from impose_core.evaluation.tracking import hota_box
from impose_core.io.mot import read_mot_labels, read_mot_predictions
from impose_core.io.posetrack21 import parse_labels, parse_predictions
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.skeleton import POSETRACK15, POSETRACK17

SQUARE = np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]])


def _sets(case):
    return parse_labels(case["gt"]), parse_predictions(case["pr"])


def _percent(figures):
    return {name: 100 * value for name, value in figures.items()}


def _assert_table(expected, scores, totals):
    """A table of the kit: 15 columns, then a last one whose meaning differs."""
    for name, last in totals.items():
        got = [scores.joints[joint].means()[name] for joint in JOINTS] + [last]
        assert got == pytest.approx(expected[name], abs=1e-6)
    pooled = scores.pooled
    for name, counts in (("TP", pooled.tp), ("FN", pooled.fn), ("FP", pooled.fp)):
        key = f"HOTA_{name}_sum_over_joints_per_alpha"
        assert counts == pytest.approx(np.array(expected[key]), abs=1e-6)


# --- HOTA-kp -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["posetrack21_official", "posetrack21_with_issue10_fix"])
@pytest.mark.parametrize("name", POSETRACK)
def test_keypoint_hota_of_the_posetrack21_kit(name, which):
    case = load("posetrack", name)
    expected = case["expected"][which]
    result = hota_keypoints(*_sets(case))
    found = result.official if which == "posetrack21_official" else result.fixed
    if (
        "error" in expected
    ):  # a labelled frame without labels: we go on, and claim no official value
        assert result.official is None
        assert result.fixed.combined.pooled.fp[0] > 0
        return
    for file, table in expected["per_sequence_mean_over_alpha"].items():
        scores = found.videos[file.removesuffix(".json")]
        _assert_table(table, scores, scores.joint_means())
    table, scores = expected["combined_mean_over_alpha"], found.combined
    _assert_table(table, scores, scores.pooled.means())


def test_issue_10_makes_one_frame_without_predictions_cost_the_whole_video():
    result = hota_keypoints(*_sets(load("posetrack", "P3_labelled_frame_without_prediction")))
    fixed, official = result.fixed.combined.pooled, result.official.combined.pooled
    assert fixed.means()["HOTA"] == pytest.approx(0.711, abs=1e-3)
    assert official.means()["HOTA"] == pytest.approx(0.521, abs=1e-3)


# --- mAP ---------------------------------------------------------------------------------------

CALLED = {"neck": "head_bottom"}
TIED = {"P7_three_sequences", "P8_real_posetrack_tracks"}
"""Cases with equal scores of right and wrong joints in one column."""


def _as_numpy_1_23(monkeypatch):
    """The kits rank equal scores as numpy's unstable sort leaves them.

    Since numpy 1.25 that depends on the processor, but not for long doubles.
    """
    monkeypatch.setattr(
        ap_module, "_ranked", lambda score: np.argsort(score.astype(np.longdouble))[::-1]
    )


def _assert_poseval(case, result, abs_):
    expected = case["expected"]["poseval"]
    by_joint = {CALLED.get(joint, joint): ap for joint, ap in expected["AP"].items()}
    by_joint = {joint: np.nan if ap is None else ap for joint, ap in by_joint.items()}
    assert _percent(result.ap.joints) == pytest.approx(by_joint, abs=abs_, nan_ok=True)
    row = expected["AP_groups(Head,Shou,Elb,Wri,Hip,Knee,Ankl,Total)"]
    row = [np.nan if ap is None else ap for ap in row]
    groups = [*result.ap.groups.values(), result.ap.mean]
    assert [100 * ap for ap in groups] == pytest.approx(row, abs=abs_, nan_ok=True)
    assert 100 * result.ap.mean == pytest.approx(expected["AP_total"], abs=abs_)
    assert 100 * result.precision.mean == pytest.approx(expected["precision_total"], abs=1e-6)
    assert 100 * result.recall.mean == pytest.approx(expected["recall_total"], abs=1e-6)


def _assert_posetrack21(case, result, abs_):
    expected = case["expected"]["posetrack21_official"]["PosemAP"]
    for name, figures, tolerance in (
        ("map", result.ap, abs_),
        ("precision", result.precision, 1e-6),
        ("recall", result.recall, 1e-6),
    ):
        found = _percent({**figures.groups, "Total": figures.mean})
        assert found == pytest.approx(expected[name], abs=tolerance)


@pytest.mark.parametrize("name", POSETRACK)
def test_poseval(name, monkeypatch):
    case = load("posetrack", name)
    if name in TIED:
        _assert_poseval(case, posetrack_ap(*_sets(case)), 0.06)
        _as_numpy_1_23(monkeypatch)
    _assert_poseval(case, posetrack_ap(*_sets(case)), 1e-6)


@pytest.mark.parametrize("name", [name for name in POSETRACK if name[:2] != "P5"])
def test_map_of_the_posetrack21_kit(name, monkeypatch):
    case = load("posetrack", name)
    if name in TIED:
        _assert_posetrack21(case, posetrack_ap(*_sets(case), kit="posetrack21"), 0.06)
        _as_numpy_1_23(monkeypatch)
    labels, predictions = _sets(case)
    if name[:2] == "P8":  # the kit saw the files in the order of the file system
        labels = replace(labels, sequences=labels.sequences[::-1])
    _assert_posetrack21(case, posetrack_ap(labels, predictions, kit="posetrack21"), 1e-6)


def test_where_the_posetrack21_kit_stops_predictions_without_labels_are_wrong():
    labels, predictions = _sets(load("posetrack", "P5_labelled_frame_without_gt"))
    kit = posetrack_ap(labels, predictions, kit="posetrack21")
    assert kit.precision.mean == pytest.approx(5 / 6)
    assert posetrack_ap(labels, predictions).precision.mean == 1


# --- small worlds ------------------------------------------------------------------------------


def _person(track, at=(100.0, 100.0), score=0.5, keypoints=POSETRACK15.keypoints):
    """Everything at one point; the head measures 30 px."""
    people = Instances.unknown(1, len(keypoints))
    people.xy[:] = at
    people.visibility[:] = 2
    people.keypoint_score[:] = score
    people.track_id[:] = track
    people.head_box[0] = [at[0], at[1], at[0] + 30, at[1] + 40]
    people.box[0] = [at[0], at[1], at[0] + 50, at[1] + 100]
    return people


def _both(first, second):
    return Instances(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in Instances.__dataclass_fields__
        }
    )


def _video(*people, regions=(), keypoints=POSETRACK15.keypoints):
    frames = tuple(
        LabelledFrame(index=t, instances=one, ignore_regions=regions)
        for t, one in enumerate(people)
    )
    sequence = PoseSequence(name="a", width=0, height=0, frames=frames)
    return PoseSet(keypoints=keypoints, sequences=(sequence,))


@pytest.mark.parametrize(("off", "ap"), [(14.9, 1), (15.1, 0)])
def test_a_joint_is_right_within_half_a_head_size(off, ap):
    labels, found = _video(_person(1)), _video(_person(1, at=(100 + off, 100.0)))
    assert posetrack_ap(labels, found).ap.mean == pytest.approx(ap)


def test_a_label_is_given_to_the_prediction_that_hits_most_of_it():
    worse = _person(2, score=0.9)
    worse.xy[0, :5] += 50
    result = posetrack_ap(_video(_person(1)), _video(_both(worse, _person(1))))
    assert result.recall.mean == 1
    assert result.precision.mean == 0.5
    assert result.ap.mean == pytest.approx(0.5)  # the wrong one is more certain


def test_equal_scores_are_ranked_the_same_on_every_machine():
    right, wrong = _person(1), _person(2, at=(500.0, 500.0))
    labels = _video(_person(1))
    assert posetrack_ap(labels, _video(_both(right, wrong))).ap.mean == pytest.approx(0.5)
    assert posetrack_ap(labels, _video(_both(wrong, right))).ap.mean == pytest.approx(1)


def test_a_prediction_counts_for_the_label_of_which_it_hits_most():
    # the first prediction hits all of label 1 and ten joints of label 2, the second five
    first, second, near = _person(1), _person(2), _person(9)
    second.xy[0, 10:] += 50
    near.xy[0, :10] += 500
    near.xy[0, 10:] += 50
    result = posetrack_ap(_video(_both(second, first)), _video(_both(_person(8), near)))
    hit = [1.0] * 10 + [2.0] * 5
    assert list(result.recall.joints.values()) == pytest.approx([count / 2 for count in hit])


def test_a_video_without_any_prediction_is_missed_once_officially_too():
    labels = _video(_person(1), _person(1))
    result = hota_keypoints(labels, _video())
    assert result.fixed.combined.pooled.fn[0] == 30
    assert result.official.combined.pooled.fn[0] == 30


def test_joints_are_matched_frame_by_frame_whatever_the_tracks():
    # in frame 0 track 2 is a bit nearer than track 1, which is right everywhere else
    near = _both(_person(1, at=(106.0, 100.0)), _person(2, at=(104.0, 100.0)))
    found = _video(near, *[_person(1)] * 9)
    result = hota_keypoints(_video(*[_person(1)] * 10), found).fixed.combined.pooled
    assert result.ass_a[0] == pytest.approx((9 * 9 / (10 + 10 - 9) + 1 / (10 + 1 - 1)) / 10)


def test_joints_on_or_beyond_the_left_border_exist_for_poseval_alone():
    labels = _video(_both(_person(1), _person(2, at=(0.0, 50.0))))
    assert posetrack_ap(labels, labels).recall.mean == 1
    assert posetrack_ap(labels, labels, kit="posetrack21").recall.mean == 1
    assert hota_keypoints(labels, labels).fixed.combined.pooled.tp[0] == 15
    found = _video(_person(1))
    assert posetrack_ap(labels, found).recall.mean == 0.5
    assert posetrack_ap(labels, found, kit="posetrack21").recall.mean == 1


def test_a_joint_nobody_has_counts_for_posetrack21_alone():
    label = _person(1)
    label.visibility[0, 0] = 0
    labels, found = _video(label), _video(_person(1))
    assert posetrack_ap(labels, found).ap.mean == pytest.approx(1)
    assert np.isnan(posetrack_ap(labels, found).ap.groups["Head"])
    assert posetrack_ap(labels, found, kit="posetrack21").ap.mean == pytest.approx(14 / 15)


def test_ears_are_not_evaluated():
    label, found = (_person(1, keypoints=POSETRACK17.keypoints) for _ in range(2))
    found.xy[0, 3:5] = 900
    found.keypoint_score[0, 3:5] = 1
    pair = (_video(one, keypoints=POSETRACK17.keypoints) for one in (label, found))
    assert posetrack_ap(*pair).ap.mean == pytest.approx(1)


def test_a_head_without_size_is_never_hit():
    label = _person(1)
    label.head_box[0, 2:] = label.head_box[0, :2]
    assert posetrack_ap(_video(label), _video(_person(1))).ap.mean == 0


def test_no_frames_at_all():
    empty = _video()
    assert posetrack_ap(empty, empty).ap.mean == 0
    assert hota_keypoints(empty, empty).fixed.combined.pooled.means()["HOTA"] == 0


def test_what_posetrack_needs_is_asked_for():
    good = _video(_person(1))
    for name, message in (
        ("head_box", "labels with a head box, got none in frame 0 of 'a'"),
        ("track_id", "labels with track ids, got a person without one in frame 0 of 'a'"),
    ):
        bare = _person(1)
        getattr(bare, name)[:] = getattr(Instances.unknown(1, 15), name)
        with pytest.raises(UsageError, match=message):
            hota_keypoints(_video(bare), good)
    with pytest.raises(UsageError, match="a score of every keypoint, got none in frame 0 of 'a'"):
        posetrack_ap(good, _video(_person(1, score=np.nan)))
    with pytest.raises(SkeletonMismatch, match="got none called 'right_ankle'"):
        posetrack_ap(good, _video(keypoints=POSETRACK15.keypoints[:-1]))
    with pytest.raises(UsageError, match="'kit' to be 'poseval' or 'posetrack21', got 'mmpose'"):
        posetrack_ap(good, good, kit="mmpose")
    with pytest.raises(UsageError, match="track ids of the labels of frame 0 to differ"):
        hota_keypoints(_video(_both(_person(1), _person(1))), good)


# --- ignore regions ----------------------------------------------------------------------------


def test_inside_is_strictly_inside_of_any_polygon():
    xy = np.array([[5.0, 5], [0, 5], [25, 5], [50, 5], [np.nan, 5]])
    regions = [SQUARE, SQUARE + np.array([20, 0])]
    assert inside(xy, regions).tolist() == [True, False, True, False, False]
    assert not inside(xy, []).any()


def test_ignored_keypoints_vanish_from_both_sides_and_whole_persons_with_them():
    half, whole = _person(1), _person(2, at=(5.0, 5.0))
    half.xy[0, :5] = 5.0
    people = _both(half, whole)
    elsewhere = LabelledFrame(index=1, instances=whole)
    labels = _video(people, regions=(SQUARE,))
    labels = replace(
        labels,
        sequences=(replace(labels.sequences[0], frames=(*labels.sequences[0].frames, elsewhere)),),
    )
    predictions = _video(people, whole)
    for kept in without_ignored_keypoints(labels, predictions):
        first, second = kept.sequences[0].frames
        assert first.instances.track_id.tolist() == [1]
        assert first.instances.visibility[0].tolist() == [0] * 5 + [2] * 10
        assert np.isnan(first.instances.xy[0, :5]).all()
        assert np.isnan(first.instances.keypoint_score[0, :5]).all()
        assert first.instances.box.tolist() == half.box.tolist()
        assert second.instances.track_id.tolist() == [2]
    assert people.visibility.all()  # what came in is as it was


def test_posetrack21s_numbers_on_boxes(tmp_path):
    case = load("posetrack", "M1_posetrack21_mot_boxes")
    (tmp_path / "found").mkdir()
    for name, lines in case["gt_txt"].items():
        (tmp_path / "truth" / name / "gt").mkdir(parents=True)
        (tmp_path / "truth" / name / "gt/gt.txt").write_text("\n".join(lines))
        info = json.dumps(case["image_info"][name])
        (tmp_path / "truth" / name / "image_info.json").write_text(info)
        (tmp_path / "found" / f"{name}.txt").write_text("\n".join(case["pr_txt"][name]))
    labels = read_mot_labels(tmp_path / "truth")
    predictions = read_mot_predictions(tmp_path / "found")
    result = hota_box(labels, without_ignored_boxes(labels, predictions))
    expected = dict(case["expected_mean_over_alpha"])
    scores = {**result.videos, "COMBINED_SEQ": result.combined}
    assert scores.keys() == expected.keys()
    for name, found in scores.items():
        counts = {"HOTA_TP": found.hota.tp, "HOTA_FN": found.hota.fn, "HOTA_FP": found.hota.fp}
        means = {key: float(values.mean()) for key, values in counts.items()}
        assert found.hota.means() | means == pytest.approx(expected[name], abs=1e-6)


def test_boxes_in_ignore_regions_vanish_unless_they_are_a_labels():
    # one region around each of two persons, of whom the first is labelled; boxes are 50 × 100
    regions = (SQUARE * 15 + 50, SQUARE * 15 + 450)
    people = _both(_person(1), _person(2, at=(500.0, 500.0)))
    labels = _video(_person(1), regions=regions)
    kept = without_ignored_boxes(labels, _video(people)).sequences[0].frames[0].instances
    assert kept.track_id.tolist() == [1]
    wide = _video(_person(1), regions=(SQUARE * 30 + 450,))
    kept = without_ignored_boxes(wide, _video(people)).sequences[0].frames[0].instances
    assert kept.track_id.tolist() == [1, 2]  # less than a tenth of what both cover
    nobody = _video(Instances.unknown(0, 15), regions=regions)
    kept = without_ignored_boxes(nobody, _video(people)).sequences[0].frames[0].instances
    assert kept.track_id.tolist() == [1, 2]  # nothing is labelled: the kit does not look


def test_ignored_boxes_need_boxes():
    bare = _person(1)
    bare.box[:] = np.nan
    with pytest.raises(UsageError, match="predictions with a box, got none in frame 0 of 'a'"):
        without_ignored_boxes(_video(_person(1), regions=(SQUARE,)), _video(bare))


def test_polygons_that_cross_themselves_are_areas_too():
    bow = np.array([[190.0, 190], [260, 310], [260, 190], [190, 310]])
    labels = _video(_person(1), regions=(bow,))
    found = _video(_person(2, at=(200.0, 200.0)))
    kept = without_ignored_boxes(labels, found).sequences[0].frames[0].instances
    assert not len(kept)


def test_without_shapely_ignore_regions_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "shapely", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="shapely to be installed") as error:
        inside(np.zeros((1, 2)), [SQUARE])
    assert "impose[evaluate]" in error.value.hint
    labels = _video(_person(1))
    assert posetrack_ap(labels, labels).ap.mean == pytest.approx(1)  # not needed without regions
