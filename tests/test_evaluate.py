"""All metrics of one set: what comes out, what is skipped, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_set_cases import people, pictures, video
from tracking_golden import load

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.evaluation.conventions import with_areas
from impose_core.evaluation.evaluate import evaluate
from impose_core.evaluation.figures import METRICS
from impose_core.evaluation.keypoint_ap import keypoint_ap
from impose_core.evaluation.published import contradictions, published_tables
from impose_core.io.pose_set_files import read_labels, read_predictions
from impose_core.io.posetrack21 import parse_labels, parse_predictions
from impose_core.pose_sets import NO_TRACK, PoseSet
from impose_core.poses import Origin, PoseTracks
from impose_core.skeleton import COCO17, skeleton_from_names

DEMO = Path(__file__).parents[1] / "docs" / "demo" / "labels.json"
NAMES = ("tip", "middle", "root")
BODY = np.array([[10.0, 10.0], [20.0, 30.0], [40.0, 50.0]])


def persons(*offsets, **given):
    """One person at each offset, with all that metrics may ask for."""
    xy = np.array([BODY + offset for offset in offsets]).reshape(-1, 3, 2)
    box = np.concatenate([xy.min(1), xy.max(1)], axis=-1)
    defaults = {
        "score": 0.9,
        "keypoint_score": 0.9,
        "track_id": np.arange(len(xy)) + 1,
        "box": box,
        "area": 900.0,
    }
    return people(xy, **{**defaults, **given})


def clip(*frames, **options):
    return video(NAMES, list(frames), **options)


def changed(poses, **fields):
    """``poses`` with these fields set on everybody."""
    sequences = []
    for sequence in poses.sequences:
        frames = []
        for frame in sequence.frames:
            some = frame.instances.pick(np.arange(len(frame.instances)))
            for name, value in fields.items():
                getattr(some, name)[:] = value
            frames.append(replace(frame, instances=some))
        sequences.append(replace(sequence, frames=tuple(frames)))
    return replace(poses, sequences=tuple(sequences))


@pytest.fixture(scope="module")
def demo():
    labels = read_labels(DEMO)
    return labels, read_predictions(DEMO, labels)


# --- what comes out --------------------------------------------------------------------------


def test_labels_against_themselves_are_perfect(demo):
    found = evaluate(*demo)
    assert found["AP"] == pytest.approx(1)
    assert found["mean_joint_AP"] == pytest.approx(1)
    assert set(found["per_joint_AP"]) == set(COCO17.keypoints)
    for variant in ("HOTA-OKS", "HOTA-box"):
        assert found[variant] == pytest.approx(dict.fromkeys(found[variant], 1.0))
    assert found["drift"]["0.95"]["any_joint"] == {
        "mean": 99,
        "censored": 1,
        "n": 3,
        "survival": {"frames": [0], "share": [1.0], "at_risk": [3], "longest": 99},
    }
    assert found["occlusion"]["0.95"]["all"]["rate"] == 1
    assert found["jitter"]["predicted"] == found["jitter"]["labelled"] > 0
    assert found["n"] == {
        "sequences": 1,
        "images": 100,
        "labelled": 300,
        "ignored": 0,
        "predicted": 300,
    }
    assert found["conventions"]["sigmas"] == "coco17"
    assert found["conventions"]["area"] == "area of the file"
    assert set(found["skipped"]) == {"HOTA-kp", "PCKh-mAP", "calibration"}


def test_shifted_labels_score_less_in_every_metric(demo):
    labels, predictions = demo
    xy = [f.instances.xy + np.array([12, 0]) for _, f in predictions]
    box = [f.instances.box + np.array([12, 0, 12, 0]) for _, f in predictions]
    sequence = predictions.sequences[0]
    frames = tuple(
        replace(frame, instances=replace(frame.instances, xy=xy[t], box=box[t]))
        for t, frame in enumerate(sequence.frames)
    )
    found = evaluate(labels, replace(predictions, sequences=(replace(sequence, frames=frames),)))
    assert 0 < found["AP"] < 0.9
    assert 0 < found["mean_joint_AP"] < 0.9
    assert 0 < found["HOTA-OKS"]["HOTA"] < 0.95
    assert 0 < found["HOTA-box"]["HOTA"] < 0.95
    assert found["drift"]["0.95"]["any_joint"] == {
        "mean": 0,
        "censored": 0,
        "n": 3,
        "survival": {"frames": [0], "share": [0.0], "at_risk": [3], "longest": 0},
    }
    assert found["occlusion"]["0.95"]["all"]["rate"] < 1
    assert found["jitter"]["predicted"] == pytest.approx(found["jitter"]["labelled"])


def test_the_result_is_json_with_null_for_what_could_not_be_evaluated():
    found = evaluate(clip(persons((0, 0))), clip(persons((0, 0))))
    assert found["APM"] is None  # the one person is small
    assert found["jitter"]["predicted"] is None  # one frame has no second difference
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_only_what_is_asked_for_is_computed(demo):
    found = evaluate(*demo, metrics=["HOTA-OKS"])
    assert set(found) == {"HOTA-OKS", "conventions", "n", "skipped"}


def test_areas_from_boxes_are_named_and_the_other_convention_is_given_too():
    labels = clip(persons((0, 0), area=np.nan))
    shifted = clip(persons((4, 0)))
    found = evaluate(labels, shifted, metrics=["AP"])
    assert found["conventions"]["area"] == "0.53·w·h of the box"
    whole = evaluate(labels, shifted, metrics=["AP"], share_of_box=1.0)
    assert found["AP_whole_box"] == whole["AP"] > found["AP"]
    assert "AP_whole_box" not in whole


def test_persons_with_few_joints_are_ignored_if_asked():
    labels = clip(persons((0, 0), (300, 0)))
    labels.sequences[0].frames[0].instances.visibility[1, :2] = 0
    predictions = clip(persons((0, 0)))
    few = evaluate(labels, predictions, min_labelled_joints=2)
    assert (few["n"]["labelled"], few["n"]["ignored"], few["AP"]) == (1, 1, pytest.approx(1))
    assert evaluate(labels, predictions)["AP"] < 0.6


def test_calibration_counts_joints_within_their_deviation():
    labels = clip(persons((0, 0)), persons((0, 0)))
    tracks = PoseTracks.empty(
        frames=3, track_id=[9, 1], skeleton=skeleton_from_names("stick", NAMES[::-1])
    )
    tracks.xy[:2, 1] = BODY[::-1]
    tracks.xy[0, 1, 0] += [2.5, 0]
    tracks.xy[1, 1, 1] += [0, 1.5]
    tracks.deviation[:2, 1] = 1.0
    tracks.origin[:2, 1] = Origin.PROPAGATED
    found = evaluate(labels, labels, metrics=["calibration"], tracks=tracks)
    shares = {"within_one": 4 / 6, "within_two": 5 / 6, "n": 6}
    assert found["calibration"]["propagated"] == pytest.approx(shares)
    assert found["calibration"]["human"] == {"within_one": None, "within_two": None, "n": 0}


# --- PoseTrack ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "P3_labelled_frame_without_prediction",
        "P4_ignore_regions_unlabelled_frames",
        "P6_boundaries",
    ],
)
def test_posetracks_own_metrics_agree_with_its_kits(name):
    case = load("posetrack", name)
    found = evaluate(parse_labels(case["gt"]), parse_predictions(case["pr"]))
    expected = case["expected"]
    fixed = expected["posetrack21_with_issue10_fix"]["combined_mean_over_alpha"]
    for figure in ("HOTA", "DetA", "AssA"):
        assert found["HOTA-kp"][figure] == pytest.approx(fixed[figure][-1], abs=1e-6)
    assert 100 * found["PCKh-mAP"]["mAP"] == pytest.approx(expected["poseval"]["AP_total"])
    kit = expected["posetrack21_official"]["PosemAP"]["map"]["Total"]
    assert 100 * found["PCKh-mAP"]["mAP_posetrack21_kit"] == pytest.approx(kit)
    assert found["conventions"]["sigmas"] == "posetrack17"
    assert found["conventions"]["area"] == "0.53·w·h of the box"
    assert found["conventions"]["ignore_regions_applied"] == ("ignore_regions" in name)
    assert found["skipped"] == {"calibration": "predictions without deviations"}


def test_keypoints_in_ignore_regions_count_for_nobody():
    square = np.array([[290.0, -10], [400, -10], [400, 100], [290, 100]])
    labels = clip(persons((0, 0), (300, 0)))
    frame = replace(labels.sequences[0].frames[0], ignore_regions=(square,))
    labels = replace(labels, sequences=(replace(labels.sequences[0], frames=(frame,)),))
    found = evaluate(labels, clip(persons((0, 0), (305, 3))))
    assert found["AP"] == pytest.approx(1)
    assert found["HOTA-OKS"]["HOTA"] == pytest.approx(1)
    assert found["n"]["labelled"] == found["n"]["predicted"] == 1


# --- what formats do not hold ------------------------------------------------------------------

LACKING = {
    "AP": ({"score": np.nan}, "predictions without a score (2 of 2 persons)"),
    "per_joint_AP": ({"score": np.nan}, "predictions without a score (2 of 2 persons)"),
    "HOTA-OKS": ({"track_id": NO_TRACK}, "predictions without a track id (2 of 2 persons)"),
    "HOTA-box": ({"box": np.nan}, "predictions without a box (2 of 2 persons)"),
    "drift": ({"track_id": NO_TRACK}, "predictions without a track id (2 of 2 persons)"),
    "occlusion": ({"track_id": NO_TRACK}, "predictions without a track id (2 of 2 persons)"),
    "jitter": ({"track_id": NO_TRACK}, "predictions without a track id (2 of 2 persons)"),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_a_file_does_not_hold_is_skipped_by_default_and_refused_by_name(name):
    fields, reason = LACKING[name]
    labels = clip(persons((0, 0)), persons((0, 0)))
    predictions = changed(labels, **fields)
    found = evaluate(labels, predictions)
    assert found["skipped"][name] == reason
    assert name not in found
    with pytest.raises(UsageError) as error:
        evaluate(labels, predictions, metrics=[name])
    assert error.value.message == f"Expected what '{name}' needs, got {reason}."


def test_the_labels_may_be_what_lacks_something():
    labels = clip(persons((0, 0)), persons((0, 0)))
    found = evaluate(changed(labels, track_id=NO_TRACK), labels)
    assert found["skipped"]["HOTA-OKS"] == "labels without a track id (2 of 2 persons)"
    found = evaluate(clip(persons((0, 0), (300, 0), crowd=[False, True])), clip(persons((0, 0))))
    assert found["skipped"]["HOTA-OKS"] == "labels with crowds"
    assert found["AP"] == pytest.approx(1)


def test_boxes_alone_give_box_hota_alone():
    labels = clip(persons((0, 0)), persons((3, 0)))
    boxes = PoseSet(keypoints=(), sequences=_without_keypoints(labels))
    for gt, pred in ((boxes, boxes), (labels, boxes), (boxes, labels)):
        found = evaluate(gt, pred)
        assert set(found) == {"HOTA-box", "conventions", "n", "skipped"}
        assert found["HOTA-box"]["HOTA"] == pytest.approx(1)
        assert found["conventions"]["sigmas"] is None
        assert found["n"]["labelled"] == 2
    assert evaluate(labels, boxes)["skipped"]["AP"] == "predictions without keypoints"


def _without_keypoints(poses):
    none = np.zeros(0, np.int64)
    return tuple(
        replace(
            s, frames=tuple(replace(f, instances=f.instances.keypoints(none)) for f in s.frames)
        )
        for s in poses.sequences
    )


def test_if_nothing_can_be_computed_that_is_an_error():
    labels = pictures(NAMES, {"a.jpg": persons((0, 0), track_id=NO_TRACK)})
    with pytest.raises(UsageError, match="what 'AP' needs, got predictions without a score"):
        evaluate(labels, changed(labels, score=np.nan))


def test_metrics_that_do_not_exist_are_refused(demo):
    with pytest.raises(UsageError, match=r"'metrics' to be of AP, per_joint_AP, .*got 'HOTA'"):
        evaluate(*demo, metrics=["AP", "HOTA"])
    with pytest.raises(UsageError, match="got none"):
        evaluate(*demo, metrics=[])


# --- bad input ---------------------------------------------------------------------------------


def test_keypoints_are_matched_by_name_and_those_not_predicted_are_named():
    labels = clip(persons((0, 0)))
    swapped = replace(labels, sequences=_reversed(labels), keypoints=NAMES[::-1])
    assert evaluate(labels, swapped)["AP"] == pytest.approx(1)
    renamed = replace(labels, keypoints=("tip", "middle", "foot"))
    found = evaluate(labels, renamed)
    assert found["conventions"]["keypoints_not_predicted"] == ["root"]
    assert found["AP"] < 1
    with pytest.raises(SkeletonMismatch, match="share a keypoint name"):
        evaluate(labels, replace(labels, keypoints=("a", "b", "c")))


def _reversed(poses):
    back = np.arange(len(poses.keypoints))[::-1]
    return tuple(
        replace(
            s, frames=tuple(replace(f, instances=f.instances.keypoints(back)) for f in s.frames)
        )
        for s in poses.sequences
    )


def test_frames_nobody_labelled_are_left_out_with_their_predictions():
    labels = clip(persons((0, 0)), persons(), labelled=[True, False])
    predictions = clip(persons((0, 0)), persons((0, 0), (50, 50), track_id=NO_TRACK))
    found = evaluate(labels, predictions)
    assert (found["n"]["images"], found["n"]["predicted"]) == (1, 1)
    assert found["AP"] == pytest.approx(1)
    assert found["HOTA-OKS"]["HOTA"] == pytest.approx(1)


def test_no_predictions_at_all_score_zero():
    labels = clip(persons((0, 0)), persons((0, 0)))
    found = evaluate(labels, clip(persons(), persons()))
    assert found["AP"] == found["HOTA-OKS"]["HOTA"] == found["HOTA-box"]["HOTA"] == 0
    assert found["drift"]["0.75"]["whole_pose"] == {"mean": 0, "censored": 0, "n": 1}


@pytest.mark.parametrize(
    "labels",
    [
        clip(persons()),
        clip(persons((0, 0)), labelled=[False]),
        clip(persons((0, 0), crowd=True)),
        clip(persons((0, 0), visibility=0)),
    ],
    ids=["nobody", "unlabelled", "crowd", "no joint"],
)
def test_labels_with_nobody_to_find_are_refused(labels):
    with pytest.raises(UsageError, match=r"somebody to find, got nobody on [01] labelled images"):
        evaluate(labels, clip(persons((0, 0))))


def test_frames_that_come_twice_are_refused():
    once = clip(persons((0, 0)))
    frame = once.sequences[0].frames[0]
    twice = replace(once, sequences=(replace(once.sequences[0], frames=(frame, frame)),))
    with pytest.raises(UsageError, match="frames of the labels to differ, got frame 0 of 'clip'"):
        evaluate(twice, once)
    with pytest.raises(UsageError, match="one frame of the predictions for each of the labels"):
        evaluate(once, twice)


def test_track_ids_that_come_twice_are_refused():
    good = clip(persons((0, 0), (300, 0)))
    bad = clip(persons((0, 0), (300, 0), track_id=[7, 7]))
    for labels, predictions, side in ((bad, good, "labels"), (good, bad, "predictions")):
        with pytest.raises(UsageError, match=f"track ids of {side} in frame 0 .* got 7 twice"):
            evaluate(labels, predictions)


def test_predictions_for_other_videos_are_refused():
    labels = clip(persons((0, 0)))
    with pytest.raises(UsageError, match="to be of a sequence of the labels"):
        evaluate(labels, clip(persons((0, 0)), name="another"))


WRONG = {
    "labelled NaN": ("labels", {"xy": np.nan}, "finite positions of labelled keypoints"),
    "infinite": ("predictions", {"xy": np.inf}, "positions that are finite or missing"),
    "half NaN": ("predictions", {"xy": [np.nan, 1.0]}, "positions that are finite or missing"),
    "score": ("predictions", {"score": np.inf}, "finite scores"),
    "box": ("predictions", {"box": [5.0, 5, 1, 1]}, "a finite 'box', its corners in order"),
    "area": ("labels", {"area": -1.0}, "an 'area' of 0 or more"),
}


@pytest.mark.parametrize("name", WRONG)
def test_numbers_that_make_no_sense_are_refused(name):
    side, fields, expected = WRONG[name]
    sets = {"labels": clip(persons((0, 0))), "predictions": clip(persons((0, 0)))}
    sets[side] = changed(sets[side], **fields)
    with pytest.raises(UsageError) as error:
        evaluate(**sets)
    assert f"Expected {side} with {expected}" in error.value.message
    assert "got others in frame 0 of 'clip'" in error.value.message


def test_options_that_make_no_sense_are_refused(demo):
    for options, message in (
        ({"sigmas": "coco18"}, "'sigmas' to be one of"),
        ({"share_of_box": 0.0}, "'share_of_box' to be above 0"),
        ({"min_labelled_joints": 0}, "'min_labelled_joints' to be 1 or more"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(*demo, metrics=["HOTA-OKS"], **options)


# --- the whole agrees with its parts, and with nothing else --------------------------------------


def test_figures_are_those_of_the_metric_itself():
    labels = clip(persons((0, 0), (90, 0)), persons((2, 0), (80, 5)))
    predictions = clip(persons((1, 1), (92, 0)), persons((0, 0), (70, 5)))
    found = evaluate(labels, predictions)
    alone = keypoint_ap(labels, predictions)
    assert (found["AP"], found["AR"]) == (alone.ap, alone.ar)
    assert found["per_joint_AP"] == {name: one.ap for name, one in alone.joints.items()}
    assert with_areas(labels)[1] == found["conventions"]["area"]


def test_published_figures_are_whole_tables_with_their_source():
    tables = published_tables()
    assert all(len(row) == len(one.columns) for one in tables for row in one.rows)
    assert all(one.source and one.caption for one in tables)
    by_number = {(one.paper, one.table): one for one in tables}
    assert by_number["IMPose", "III"].rows[-1] == ("yes", "yes", 75.1, 67.25, 68.5, 4.55)
    assert len(by_number["IMPose", "II"].rows) == 20
    assert contradictions()["IMPose"]


def test_every_metric_is_documented():
    text = (DEMO.parents[1] / "evaluation.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in text] == []
