import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from impose_core.errors import UsageError
from impose_core.evaluation.conventions import (
    SIGMA_SETS,
    WHOLE_BOX,
    ignored,
    sigmas_for,
    with_areas,
)
from impose_core.evaluation.keypoint_ap import keypoint_ap
from impose_core.evaluation.oks import oks
from impose_core.io.coco_instances import read_labels, read_predictions
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.skeleton import COCO17, DEFAULT_SIGMA, POSETRACK15, POSETRACK17

SHIPPED = Path(__file__).parent / "data/metrics"
GOLDEN = Path(__file__).resolve().parents[2] / "shared/golden/metrics/coco_ap"
STATS = [f"{kind}{at}" for kind in ("ap", "ar") for at in ("", "50", "75", "_medium", "_large")]
ONE = pytest.approx(1, abs=1e-12)  # pycocotools keeps precision an ulp below 1


def _cases():
    here = {path.stem.removeprefix("coco_ap_"): path for path in SHIPPED.glob("coco_ap_*.json")}
    there = {path.stem: path for path in GOLDEN.glob("*.json")} if GOLDEN.exists() else {}
    cases = [pytest.param(p, id=name) for name, p in sorted({**there, **here}.items())]
    if not there:
        cases.append(pytest.param(None, marks=pytest.mark.skip("needs ../shared/golden")))
    return cases


@pytest.fixture(params=_cases())
def case(request):
    return json.loads(request.param.read_text())


def _sigma_set(case):
    return "posetrack17_mmpose" if "head_top" in case["joint_names"] else "coco17"


def _edges():
    return json.loads((SHIPPED / "coco_ap_02_edges.json").read_text())


# --- pycocotools' numbers ----------------------------------------------------------------------


def test_the_ten_numbers_of_pycocotools(case):
    labels = read_labels(case["gt"])
    predictions = read_predictions(case["dt"], labels)
    result = keypoint_ap(labels, predictions, sigmas=_sigma_set(case), joints=False)
    got = [getattr(result, name) for name in STATS]
    assert got == pytest.approx(case["expected"]["stats"], abs=1e-6)
    assert result.sigmas == _sigma_set(case)
    assert (result.images, result.predicted) == (len(case["gt"]["images"]), len(case["dt"]))


def test_every_joint_as_pycocotools_sees_it_alone(case):
    labels = read_labels(case["gt"])
    predictions = read_predictions(case["dt"], labels)
    result = keypoint_ap(labels, predictions, sigmas=_sigma_set(case))
    expected = case["expected"]["per_joint"]
    assert result.joints.keys() == expected.keys()
    for name, joint in result.joints.items():
        want = expected[name]
        assert joint.ap == pytest.approx(want["AP"], abs=1e-6)
        assert joint.ap50 == pytest.approx(want["AP50"], abs=1e-6)
        assert joint.ap75 == pytest.approx(want["AP75"], abs=1e-6)
        assert joint.labelled == want["n_gt"]
    able = [want["AP"] for want in expected.values() if want["AP"] >= 0]
    assert result.mean_joint_ap == pytest.approx(np.mean(able) if able else -1, abs=1e-6)


def test_the_similarities_of_pycocotools(case):
    labels = read_labels(case["gt"])
    predictions = read_predictions(case["dt"], labels)
    sigmas = np.array(case["sigmas"])
    seen = 0
    for image_id, (_, truth), (_, found) in zip(labels.image_ids, labels, predictions, strict=True):
        expected = case["expected"]["oks"].get(str(image_id), {"matrix_dt_by_gt": []})
        matrix = np.array(expected["matrix_dt_by_gt"])
        if not matrix.size:
            assert not len(truth.instances) or not len(found.instances)
            continue
        best = np.argsort(-found.instances.score, kind="stable")[:20]
        people = truth.instances
        got = oks(
            np.nan_to_num(found.instances.xy[best]),  # as result files write a missing joint
            np.nan_to_num(people.xy),
            people.visibility,
            area=people.area,
            box_xyxy=people.box,
            sigmas=sigmas,
        )
        np.testing.assert_allclose(got, matrix, atol=1e-6)
        seen += matrix.size
    total = sum(np.size(o["matrix_dt_by_gt"]) for o in case["expected"]["oks"].values())
    assert seen == total


def test_sigmas_of_the_golden_cases(case):
    chosen = sigmas_for(case["joint_names"], _sigma_set(case))
    np.testing.assert_allclose(chosen.values, case["sigmas"], atol=1e-12)


# --- traps of pycocotools ----------------------------------------------------------------------


def test_annotation_ids_do_not_matter():
    case = _edges()
    for annotation in case["gt"]["annotations"]:
        annotation["id"] -= 1  # pycocotools itself takes a match with id 0 for none
    labels = read_labels(case["gt"])
    result = keypoint_ap(labels, read_predictions(case["dt"], labels), joints=False)
    assert result.ap == pytest.approx(case["expected"]["stats"][0], abs=1e-6)


def test_no_predictions_and_nobody_at_all():
    labels = read_labels(_edges()["gt"])
    result = keypoint_ap(labels, read_predictions([], labels))
    assert (result.ap, result.ar, result.mean_joint_ap, result.predicted) == (0, 0, 0, 0)
    empty = _edges()["gt"] | {"annotations": []}
    labels = read_labels(empty)
    result = keypoint_ap(labels, read_predictions([], labels))
    assert {getattr(result, name) for name in STATS} == {-1.0}
    assert (result.mean_joint_ap, result.area) == (-1, "no area")


def test_a_set_without_frames_has_no_numbers():
    nothing = PoseSet(keypoints=COCO17.keypoints, sequences=())
    result = keypoint_ap(nothing, nothing, joints=False)
    assert (result.ap, result.images) == (-1, 0)


def test_pycocotools_stays_silent(capfd):
    labels = read_labels(_edges()["gt"])
    keypoint_ap(labels, read_predictions(_edges()["dt"], labels), joints=False)
    assert capfd.readouterr() == ("", "")


def test_without_pycocotools_the_error_says_what_to_install(monkeypatch):
    labels = read_labels(_edges()["gt"])
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(UsageError, match="pycocotools") as error:
        keypoint_ap(labels, read_predictions([], labels))
    assert error.value.hint == "pip install 'impose[evaluate]'"


def test_a_prediction_without_a_score_is_refused():
    labels = read_labels(_edges()["gt"])
    with pytest.raises(UsageError, match="6 of 6 without"):
        keypoint_ap(labels, labels)


# --- what the numbers are taken of ---------------------------------------------------------------


def person(xy, *, visibility=None, **known):
    """One person, whose keypoints are at ``xy``."""
    xy = np.array(xy, float)
    people = Instances.unknown(1, len(xy))
    people.xy[0] = xy
    people.visibility[0] = (2 if visibility is None else visibility) * ~np.isnan(xy[:, 0])
    for name, value in known.items():
        getattr(people, name)[0] = value
    return people


def pictures(*people, labelled=True, keypoints=("nose", "wingL", "wingR")):
    """One picture for each of ``people``."""
    return PoseSet(
        keypoints=keypoints,
        sequences=tuple(
            PoseSequence(
                name=f"{i}.jpg",
                width=100,
                height=100,
                frames=(LabelledFrame(index=0, instances=one, labelled=labelled),),
            )
            for i, one in enumerate(people)
        ),
    )


BODY = [[10, 10], [50, 20], [30, 90]]


def test_any_number_of_keypoints():
    labels = pictures(person(BODY))
    result = keypoint_ap(labels, pictures(person(BODY, score=1.0)))
    assert (result.ap, result.mean_joint_ap, result.sigmas) == (ONE, ONE, "by_name")
    assert result.area == "0.53·w·h of the keypoints' extent"


def test_a_missing_keypoint_is_as_far_as_the_corner():
    labels = pictures(person(BODY))
    lost = [[np.nan, np.nan], *BODY[1:]]
    corner = [[0, 0], *BODY[1:]]
    results = [keypoint_ap(labels, pictures(person(xy, score=1.0))) for xy in (lost, corner)]
    assert results[0] == results[1]
    assert results[0].joints["nose"].ap == 0
    assert results[0].joints["wingL"].ap == ONE


def test_frames_nobody_labelled_are_no_evidence():
    nobody = Instances.unknown(0, 3)
    found = pictures(person(np.array(BODY) + 500.0, score=2.0), person(BODY, score=1.0))
    first, second = pictures(nobody, person(BODY)).sequences
    unlabelled = pictures(nobody, labelled=False).sequences[0]
    counted = PoseSet(keypoints=found.keypoints, sequences=(first, second))
    left_out = PoseSet(keypoints=found.keypoints, sequences=(unlabelled, second))
    assert keypoint_ap(counted, found).ap == pytest.approx(0.5)
    assert keypoint_ap(left_out, found).ap == ONE
    assert keypoint_ap(left_out, found).images == 1


def test_people_with_too_few_labelled_joints_are_ignored_not_missed():
    poor = person(BODY, visibility=np.array([2, 0, 0]), area=500)
    labels = pictures(person(BODY), poor)
    found = pictures(person(BODY, score=1.0), person(BODY, score=2.0))
    missed = pictures(person(BODY, score=1.0), Instances.unknown(0, 3))
    assert keypoint_ap(labels, missed).ar == 0.5
    for predictions in (found, missed):
        result = keypoint_ap(labels, predictions, min_labelled_joints=2)
        assert (result.ap, result.ar, result.labelled) == (ONE, ONE, 1)
        assert result.joints["nose"].labelled == 1


def test_someone_of_whom_nothing_is_given_cannot_be_matched():
    nothing = person(np.full((3, 2), np.nan), area=100)
    found = pictures(person(BODY, score=1.0), person(BODY, score=2.0))
    result = keypoint_ap(pictures(person(BODY), nothing), found)
    assert (result.ap, result.labelled) == (pytest.approx(0.5), 1)


def test_an_unmatched_prediction_is_as_large_as_its_box_or_else_its_keypoints():
    far = np.array(BODY) * 4.0
    labels = pictures(person(far), Instances.unknown(0, 3))
    boxed = person(far, score=2.0, box=[0, 0, 20, 20])
    bare = person(far, score=2.0)
    small = keypoint_ap(labels, pictures(person(far, score=1.0), boxed))
    large = keypoint_ap(labels, pictures(person(far, score=1.0), bare))
    assert (small.ap, small.ap_large) == (pytest.approx(0.5), ONE)
    assert (large.ap, large.ap_large) == (pytest.approx(0.5), pytest.approx(0.5))


def test_keypoints_are_compared_by_name():
    labels = pictures(person(BODY))
    turned = pictures(person(BODY[::-1], score=1.0), keypoints=("wingR", "wingL", "nose"))
    assert keypoint_ap(labels, turned).mean_joint_ap == ONE


# --- conventions ---------------------------------------------------------------------------------


def test_area_of_the_file_else_of_the_box_else_of_the_keypoints():
    given = person(BODY, area=7.0, box=[0, 0, 10, 10])
    boxed = person(BODY, box=[0, 0, 10, 20])
    bare = person([[1, 1], [3, 6], [np.nan, np.nan]])
    unknown = person(np.full((3, 2), np.nan))
    filled, name = with_areas(pictures(given, boxed, bare, unknown))
    areas = [float(frame.instances.area[0]) for _, frame in filled]
    assert areas == pytest.approx([7, 106, 5.3, np.nan], nan_ok=True)
    assert name == (
        "area of the file, else 0.53·w·h of the box, else 0.53·w·h of the keypoints' extent"
    )
    filled, name = with_areas(pictures(boxed), share_of_box=WHOLE_BOX)
    assert next(iter(filled))[1].instances.area.tolist() == [200]
    assert name == "1·w·h of the box"
    assert np.isnan(boxed.area).all()  # the caller's arrays are left alone


def test_a_larger_area_forgives_more():
    labels = pictures(person(BODY))
    off = pictures(person(np.array(BODY) + 2.0, score=1.0))
    strict = keypoint_ap(labels, off, joints=False)
    lenient = keypoint_ap(labels, off, share_of_box=WHOLE_BOX, joints=False)
    assert strict.ap < lenient.ap
    assert lenient.area == "1·w·h of the keypoints' extent"


def test_sigmas_by_the_names_of_the_keypoints():
    assert sigmas_for(COCO17.keypoints).name == "coco17"
    turned = sigmas_for(COCO17.keypoints[::-1])
    assert (turned.name, turned.values.tolist()) == ("coco17", list(COCO17.sigmas[::-1]))
    assert sigmas_for(POSETRACK15.keypoints).name == "posetrack15_head079"
    own = sigmas_for(("nose", "wingL"))
    assert (own.name, own.values.tolist()) == ("by_name", [0.026, DEFAULT_SIGMA])


def test_posetracks_head_is_an_eye_to_mmpose_alone():
    head = POSETRACK17.keypoints.index("head_top")
    assert sigmas_for(POSETRACK17.keypoints, "posetrack17_mmpose").values[head] == 0.025
    assert sigmas_for(POSETRACK17.keypoints).values[head] == 0.079
    assert SIGMA_SETS["posetrack15_head079"]["head_top"] == 0.079


def test_ignored_are_crowds_and_the_poor():
    people = person(BODY, visibility=np.array([2, 1, 0]))
    assert ignored(people).tolist() == [False]
    assert ignored(people, 3).tolist() == [True]
    people.crowd[0] = True
    assert ignored(people).tolist() == [True]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sigmas_for(COCO17.keypoints, "coco18"), "got 'coco18'"),
        (lambda: sigmas_for(["wingL"], "coco17"), "got 'wingL'"),
        (lambda: with_areas(pictures(), share_of_box=0), "above 0, got 0"),
        (lambda: with_areas(pictures(), share_of_box=float("nan")), "above 0, got nan"),
        (lambda: ignored(person(BODY), 0), "1 or more, got 0"),
    ],
)
def test_arguments_that_make_no_sense(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_what_is_passed_in_is_not_changed():
    case = _edges()
    before = copy.deepcopy(case)
    labels = read_labels(case["gt"])
    keypoint_ap(labels, read_predictions(case["dt"], labels), joints=False)
    assert case == before
