from dataclasses import replace

import numpy as np
import pytest
from tracking_golden import HOTA, assert_scores, load

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.evaluation.tracking import box_iou, hota_box, hota_oks
from impose_core.pose_sets import NO_TRACK, Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.skeleton import COCO17, POSETRACK17


def _people(persons, keypoints):
    people = Instances.unknown(len(persons), keypoints)
    for p, person in enumerate(persons):
        triples = np.array(person["keypoints"], float).reshape(keypoints, 3)
        people.xy[p], people.visibility[p] = triples[:, :2], triples[:, 2]
        x, y, w, h = person["bbox"]
        people.box[p] = [x, y, x + w, y + h]
        people.area[p] = person.get("area", np.nan)
        people.track_id[p] = person["id"]
    return people


def _set(case, side):
    skeleton = POSETRACK17 if case["case"].startswith("13") else COCO17
    return PoseSet(
        keypoints=skeleton.keypoints,
        sequences=tuple(
            PoseSequence(
                name=sequence["name"],
                width=0,
                height=0,
                frames=tuple(
                    LabelledFrame(index=t, instances=_people(frame[side], len(skeleton)))
                    for t, frame in enumerate(sequence["frames"])
                ),
            )
            for sequence in case["sequences"]
        ),
    )


@pytest.mark.parametrize("kind", ["oks", "box"])
@pytest.mark.parametrize("name", HOTA)
def test_trackevals_numbers_from_poses(name, kind):
    case = load("hota", name)
    labels, predictions = _set(case, "gt"), _set(case, "pr")
    if kind == "box":
        result = hota_box(labels, predictions)
    else:
        sigmas = "posetrack17_mmpose" if name.startswith("13") else "coco17"
        result = hota_oks(labels, predictions, sigmas=sigmas)
        assert (result.sigmas, result.area) == (sigmas, "area of the file")
    expected = case["expected"][kind]
    assert result.variant == {"oks": "HOTA-OKS", "box": "HOTA-box"}[kind]
    assert result.videos.keys() == expected["sequences"].keys()
    for video, scores in result.videos.items():
        assert_scores(expected["sequences"][video], scores.hota, scores.identity, scores.clear)
    scores = result.combined
    assert_scores(expected["combined"], scores.hota, scores.identity, scores.clear)
    assert scores.summary()["HOTA"] == pytest.approx(expected["combined"]["HOTA"]["HOTA"], abs=1e-6)


def _person(track, x=0.0):
    """A person 100 px high, all keypoints on a diagonal."""
    people = Instances.unknown(1, 17)
    people.xy[0] = np.linspace([x, 0], [x + 50, 100], 17)
    people.visibility[:] = 2
    people.box[0] = [x, 0, x + 50, 100]
    people.track_id[:] = track
    return people


def _two(first, second):
    return Instances(
        **{
            name: np.concatenate([getattr(first, name), getattr(second, name)])
            for name in Instances.__dataclass_fields__
        }
    )


def _video(*frames, name="a"):
    sequence = PoseSequence(name=name, width=0, height=0, frames=tuple(frames))
    return PoseSet(keypoints=COCO17.keypoints, sequences=(sequence,))


def _frames(*people):
    return [LabelledFrame(index=t, instances=one) for t, one in enumerate(people)]


BOTH = pytest.mark.parametrize("variant", [hota_oks, hota_box])


def _scores(result):
    return result.combined.summary()


@BOTH
def test_perfect_predictions_score_one(variant):
    both = _two(_person(1), _person(2, x=200))
    video = _video(*_frames(both, both))
    assert _scores(variant(video, video)) == dict.fromkeys(
        ["HOTA", "DetA", "AssA", "IDF1", "MOTA"], 1
    )


@BOTH
def test_frames_are_matched_by_index_and_unlabelled_ones_dropped(variant):
    nobody = Instances.unknown(0, 17)
    first, second = _frames(_person(1), _person(1, x=300))
    unlabelled = LabelledFrame(index=7, instances=nobody, labelled=False)
    labels = _video(first, second, unlabelled)
    found = [replace(second), replace(first), LabelledFrame(index=7, instances=_person(4))]
    unlisted = LabelledFrame(index=9, instances=_person(5))
    assert _scores(variant(labels, _video(*found, unlisted)))["HOTA"] == 1


@BOTH
def test_a_labelled_frame_without_a_partner_has_nobody(variant):
    labels = _video(*_frames(_person(1), _person(1)))
    result = variant(labels, _video(*_frames(_person(1))))
    assert result.combined.hota.fn.tolist() == [1.0] * 19


def test_a_video_without_predictions_has_nobody_in_it():
    labels = _video(*_frames(_person(1)))
    result = hota_box(labels, PoseSet(keypoints=COCO17.keypoints, sequences=()))
    assert result.videos["a"].hota.fn.tolist() == [1.0] * 19


def test_a_label_without_a_keypoint_is_dropped_from_oks_alone():
    bare = _person(2, x=300)
    bare.visibility[:] = 0
    labels = _video(*_frames(_two(_person(1), bare)))
    predictions = _video(*_frames(_person(1)))
    assert _scores(hota_oks(labels, predictions))["DetA"] == 1
    assert _scores(hota_box(labels, predictions))["DetA"] == 0.5


def test_oks_takes_the_area_of_the_label_and_else_its_box():
    label, moved = _person(1), _person(1, x=4.0)
    label.area[:] = 50.0
    small = hota_oks(_video(*_frames(label)), _video(*_frames(moved)))
    assert small.area == "area of the file"
    large = hota_oks(_video(*_frames(_person(1))), _video(*_frames(moved)))
    assert large.area == "0.53·w·h of the box"
    assert _scores(small)["HOTA"] < _scores(large)["HOTA"]


def test_boxes_can_be_compared_whatever_the_skeletons():
    labels = _video(*_frames(_person(1)))
    boxes = replace(labels.sequences[0].frames[0].instances.keypoints(np.array([], int)))
    predictions = PoseSet(
        keypoints=(),
        sequences=(replace(labels.sequences[0], frames=tuple(_frames(boxes))),),
    )
    assert _scores(hota_box(labels, predictions))["HOTA"] == 1
    with pytest.raises(SkeletonMismatch, match="share a keypoint name with the labels"):
        hota_oks(labels, predictions)


@BOTH
@pytest.mark.parametrize("side", ["labels", "predictions"])
def test_missing_and_repeated_track_ids_are_refused(variant, side):
    good = _video(*_frames(_person(1)))
    for wrong, message in (
        (_person(NO_TRACK), f"{side} in frame 0 of 'a' to have track ids"),
        (_two(_person(4), _person(4, x=90)), f"ids of {side} in frame 0 of 'a' to differ, got 4"),
    ):
        bad = _video(*_frames(wrong))
        pair = (bad, good) if side == "labels" else (good, bad)
        with pytest.raises(UsageError, match=message):
            variant(*pair)


@BOTH
def test_crowds_are_refused(variant):
    crowd = _person(1)
    crowd.crowd[:] = True
    with pytest.raises(UsageError, match="single persons, got a crowd in frame 0 of 'a'"):
        variant(_video(*_frames(crowd)), _video(*_frames(_person(1))))


@pytest.mark.parametrize("side", ["labels", "predictions"])
def test_missing_boxes_are_refused(side):
    bare = _person(1)
    bare.box[:] = np.nan
    pair = [_video(*_frames(_person(1))), _video(*_frames(_person(1)))]
    pair[side == "predictions"] = _video(*_frames(bare))
    with pytest.raises(UsageError, match=f"{side} with a box, got none in frame 0 of 'a'"):
        hota_box(*pair)


def test_videos_that_do_not_fit_are_refused():
    labels = _video(*_frames(_person(1)))
    with pytest.raises(UsageError, match=r"videos of the labels \('a'\), got 'b'"):
        hota_box(labels, _video(*_frames(_person(1)), name="b"))
    twice = PoseSet(keypoints=labels.keypoints, sequences=labels.sequences * 2)
    with pytest.raises(UsageError, match="videos of the predictions to differ, got 'a' twice"):
        hota_box(labels, twice)
    with pytest.raises(UsageError, match="frames of 'a' of the labels to differ, got frame 0 tw"):
        hota_box(_video(*_frames(_person(1)) * 2), labels)


def test_box_iou():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]])
    expected = [[1, 1 / 3, 0, 0], [1 / 3, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert box_iou(boxes, boxes) == pytest.approx(np.array(expected))
