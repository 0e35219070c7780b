from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pose_set_cases import golden, people, pictures

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.evaluation.click_matching import matched_as_click_pose
from impose_core.evaluation.click_rounds import ClickProtocol, image_rounds, images_of, place_clicks
from impose_core.evaluation.click_strategies import low_score, random_joint, worst_l1, worst_oks
from impose_core.evaluation.clicks import click_curve, number_of_clicks
from impose_core.evaluation.keypoint_ap import keypoint_ap
from impose_core.pose_sets import LabelledFrame, PoseSequence, PoseSet
from impose_core.skeleton import COCO17

NAMES = ("02_noc_shift_refiner", "01_noc_identity")
GOLDEN = [golden("clicks", name) for name in NAMES]


def ap(labels, predictions):
    return keypoint_ap(labels, predictions, joints=False).ap


def _instances(rows, **given):
    triples = np.array([row["keypoints"] for row in rows]).reshape(len(rows), -1, 3)
    box = np.array([row["bbox"] for row in rows])
    box = np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=-1)
    seen = np.minimum(triples[..., 2], 2)
    return people(triples[..., :2], seen, box=box, **given)


def _sets(case):
    """Labels, predictions, and the official matching as a Matching."""
    labels, predictions, pairs = [], [], {}
    for image in case["gt"]["images"]:
        number = str(image["id"])
        rows = [row for row in case["gt"]["annotations"] if row["image_id"] == image["id"]]
        found = case["predictions_by_image_sorted_by_score"][number]
        at = {row["id"]: i for i, row in enumerate(rows)}
        matching = case["expected"]["matching_query_to_gt"][number]
        truth = _instances(rows, area=[row["area"] for row in rows])
        answer = _instances(found, score=[row["score"] for row in found])
        pairs[truth.xy.tobytes()] = np.array([(q, at[annotation]) for q, annotation in matching])
        sequence = PoseSequence(
            name=number,
            width=image["width"],
            height=image["height"],
            frames=(LabelledFrame(index=0, instances=truth),),
        )
        labels.append(sequence)
        predictions.append(replace(sequence, frames=(LabelledFrame(index=0, instances=answer),)))

    def matching(predicted, labelled, image_size):
        return pairs[labelled.xy.tobytes()]

    names = COCO17.keypoints
    return (
        PoseSet(keypoints=names, sequences=tuple(labels)),
        PoseSet(keypoints=names, sequences=tuple(predictions)),
        matching,
    )


def _shift(gain, persons, clicks, image):
    """The golden cases' refiner."""
    size = np.array([image.width, image.height])
    xy = persons.xy / size
    for person, joint, target in zip(clicks.person, clicks.joint, clicks.xy / size, strict=True):
        move = target - xy[person, joint]
        if np.abs(move).max() >= 1e-5:
            others = np.arange(xy.shape[1]) != joint
            xy[person, others] += gain * move
            xy[person, joint] = target
    return replace(persons, xy=np.clip(xy, 0.002, 0.998) * size)


def _protocol(case, matching):
    shifts = case["refiner"]["type"] == "shift"
    refine = partial(_shift, case["refiner"]["gain"]) if shifts else place_clicks
    return ClickProtocol(matching=matching, refine=refine, freeze_clicked=False)


@pytest.mark.parametrize("case", GOLDEN)
def test_click_poses_own_curve(case):
    labels, predictions, matching = _sets(case)
    curve = click_curve(
        labels, predictions, average_precision=ap, protocol=_protocol(case, matching)
    )
    expected = [case["expected"]["Ck"][str(k)]["AP"] for k in range(9)]
    assert curve.average_precision == pytest.approx(expected, abs=1e-6)
    persons = sum(len(pairs) for pairs in case["expected"]["matching_query_to_gt"].values())
    assert curve.clicks == tuple(k * persons for k in range(9))


@pytest.mark.parametrize("case", GOLDEN)
def test_click_poses_own_number_of_clicks(case):
    labels, predictions, matching = _sets(case)
    found = number_of_clicks(
        labels,
        predictions,
        average_precision=ap,
        protocol=_protocol(case, matching),
        strict_float=True,
    )
    for one in found:
        key = f"{one.target:.2f}"
        counts = {name: k for (name, _), k in one.per_image.items()}
        assert counts == case["expected"]["noc_per_image"][key]
        assert one.mean == pytest.approx(case["expected"]["NoC"][key], abs=1e-6)
        assert one.never == 1  # image 8 has a person nobody predicted


@pytest.mark.parametrize("case", GOLDEN)
def test_click_poses_own_ap_of_each_image(case):
    labels, predictions, matching = _sets(case)
    seen = []

    def recorded(truth, found):
        seen.append(ap(truth, found))
        return seen[-1]

    number_of_clicks(
        labels,
        predictions,
        average_precision=recorded,
        protocol=_protocol(case, matching),
        targets=(2.0,),
        most=8,
    )
    expected = case["expected"]["ap_per_image_after_k"]
    in_order = [expected[str(k)][one.name] for one in labels.sequences for k in range(9)]
    assert seen == pytest.approx(in_order, abs=1e-6)


@pytest.mark.parametrize("case", GOLDEN)
def test_click_poses_own_order_of_clicks(case):
    labels, predictions, matching = _sets(case)
    for image in images_of(labels, predictions):
        rounds = image_rounds(image, _protocol(case, matching))
        next(rounds)
        expected = case["expected"]["clicks_query_joint_per_iteration"][image.key.sequence]
        for iteration in expected:
            clicks = next(rounds).clicks
            pairs = np.stack([clicks.person, clicks.joint], axis=-1).tolist()
            assert sorted(pairs) == sorted(iteration)


@pytest.mark.parametrize("case", GOLDEN)
def test_click_poses_own_matching(case):
    labels, predictions, matching = _sets(case)
    ours = matched_as_click_pose(np.array(COCO17.sigmas))
    for (sequence, frame), (_, answer) in zip(labels, predictions, strict=True):
        size = (sequence.width, sequence.height)
        given = matching(answer.instances, frame.instances, size)
        found = ours(answer.instances, frame.instances, size)
        assert sorted(found.tolist()) == sorted(given.tolist())


KEYPOINTS = ("a", "b", "c")
ZEROS = np.zeros((1, 3, 2))


def first_with_first(predicted, labelled, image_size):
    return np.array([[0, 0]])


def _rounds(predicted, labelled, **choices):
    labels = pictures(KEYPOINTS, {"p": labelled})
    predictions = pictures(KEYPOINTS, {"p": predicted})
    protocol = ClickProtocol(matching=first_with_first, **choices)
    return image_rounds(images_of(labels, predictions)[0], protocol)


def _clicked(rounds, count):
    next(rounds)
    return [next(rounds).clicks.joint.tolist() for _ in range(count)]


def _labelled(visibility=None):
    return people(ZEROS + 50, visibility, area=100.0, box=[0, 0, 100, 100])


def test_the_worst_joint_goes_first_and_the_lowest_of_equals():
    predicted = people([[[50, 52], [53, 50], [53, 50]]])
    assert _clicked(_rounds(predicted, _labelled()), 3) == [[1], [2], [0]]


@pytest.mark.parametrize("strategy", [worst_l1, worst_oks(np.full(3, 0.1))])
def test_a_missing_joint_is_the_worst(strategy):
    predicted = people([[[50, 99], [50, 50], [np.nan, np.nan]]])
    assert _clicked(_rounds(predicted, _labelled(), strategy=strategy), 2) == [[2], [0]]


def test_only_labelled_joints_are_clicked():
    predicted = people([[[0, 0], [1, 1], [2, 2]]])
    assert _clicked(_rounds(predicted, _labelled([0, 1, 0])), 2) == [[1], [1]]


def test_worst_oks_knows_what_a_joint_may_err():
    # the same distance weighs more on the eye than on the hip
    predicted = people([[[50, 50], [50, 55], [50, 55]]])
    strategy = worst_oks(np.array([0.1, 0.1, 0.02]))
    assert _clicked(_rounds(predicted, _labelled(), strategy=strategy), 2) == [[2], [1]]


def test_low_scores_go_first_and_none_twice():
    predicted = people(ZEROS, keypoint_score=[[0.9, 0.2, 0.5]])
    rounds = _rounds(predicted, _labelled(), strategy=low_score)
    assert _clicked(rounds, 4) == [[1], [2], [0], []]


def test_low_score_needs_scores():
    with pytest.raises(UsageError, match="keypoint_score"):
        _clicked(_rounds(people(ZEROS), _labelled(), strategy=low_score), 1)


def test_random_clicks_are_drawn_from_their_seed_and_cover_all():
    orders = [
        _clicked(_rounds(people(ZEROS), _labelled(), strategy=random_joint(seed)), 3)
        for seed in (1, 1, 2, 3, 4)
    ]
    assert orders[0] == orders[1]
    assert len({str(order) for order in orders}) > 1
    assert all(sorted(order) == [[0], [1], [2]] for order in orders)


def test_once_puts_the_worst_of_the_first_state_together():
    predicted = people([[[50, 52], [53, 50], [54, 50]]])
    rounds = _rounds(predicted, _labelled(), loop="once")
    assert _clicked(rounds, 4) == [[2], [2, 1], [2, 1, 0], [2, 1, 0]]
    scored = people(ZEROS, keypoint_score=[[0.9, 0.2, 0.5]])
    rounds = _rounds(scored, _labelled(), loop="once", strategy=low_score)
    assert _clicked(rounds, 3) == [[1], [1, 2], [1, 2, 0]]


@pytest.mark.parametrize("loop", ["once", "progressive"])
def test_clicks_are_counted_from_the_first_state(loop):
    labels, predictions, how = _three_joints(loop=loop)
    curve = click_curve(labels, predictions, most=3, **how)
    assert curve.clicks == (0, 1, 2, 3)
    assert curve.average_precision == pytest.approx((0, 1 / 3, 2 / 3, 1), abs=1e-9)


def _push(persons, clicks, image):
    """A refiner that moves everything, clicked joints too."""
    return replace(persons, xy=place_clicks(persons, clicks, image).xy + 1)


@pytest.mark.parametrize(("freeze", "where"), [(True, 50.0), (False, 52.0)])
def test_clicked_joints_stay_if_they_are_frozen(freeze, where):
    rounds = _rounds(people(ZEROS), _labelled(), refine=_push, freeze_clicked=freeze)
    for _ in range(3):
        state = next(rounds)
    assert state.clicks.joint.tolist() == [1]
    assert state.persons.xy[0, 0].tolist() == [where, where]


def test_a_box_grows_to_hold_a_click():
    predicted = people(ZEROS, box=[0, 0, 10, 10])
    rounds = _rounds(predicted, _labelled())
    next(rounds)
    assert next(rounds).persons.box.tolist() == [[0, 0, 50, 50]]
    assert predicted.box.tolist() == [[0, 0, 10, 10]]


def _share_right(labels, predictions):
    """A stand-in for AP: the share of joints on their label, less what floats lose."""
    (_, truth), (_, found) = next(iter(labels)), next(iter(predictions))
    return float((truth.instances.xy[0] == found.instances.xy[0]).all(-1).mean()) - 1e-16


def _three_joints(labelled=None, **choices):
    labels = pictures(KEYPOINTS, {"p": labelled if labelled is not None else _labelled()})
    predictions = pictures(KEYPOINTS, {"p": people(ZEROS, score=1.0)})
    protocol = ClickProtocol(matching=first_with_first, **choices)
    return labels, predictions, {"average_precision": _share_right, "protocol": protocol}


@pytest.mark.parametrize(("strict", "count"), [(False, 2), (True, 3)])
def test_an_ap_lower_by_rounding_alone_counts_unless_strict(strict, count):
    labels, predictions, how = _three_joints()
    (found,) = number_of_clicks(labels, predictions, targets=(2 / 3,), strict_float=strict, **how)
    assert dict(found.per_image) == {("p", 0): count}


def test_who_never_arrives_counts_the_cap_and_is_counted():
    labels, predictions, how = _three_joints()
    found = number_of_clicks(labels, predictions, targets=(0.3, 1.1), most=5, **how)
    assert [(one.mean, one.never) for one in found] == [(1.0, 0), (5.0, 1)]


def test_images_with_nobody_to_click_on_are_no_images_of_noc():
    labels, predictions, how = _three_joints(_labelled([0, 0, 0]))
    (found,) = number_of_clicks(labels, predictions, targets=(0.5,), **how)
    assert dict(found.per_image) == {}
    assert np.isnan(found.mean)


def test_an_image_without_predictions_stays_as_it_is():
    labels, _, _ = _three_joints()
    empty = pictures(KEYPOINTS, {"p": people(np.zeros((0, 3, 2)))})
    nobody = ClickProtocol(matching=lambda *_: np.zeros((0, 2), np.int64))
    curve = click_curve(labels, empty, average_precision=lambda *_: 0.0, protocol=nobody, most=2)
    assert curve.clicks == (0, 0, 0)


def test_what_does_not_fit_is_said():
    labels, predictions, how = _three_joints()
    with pytest.raises(SkeletonMismatch):
        click_curve(labels, pictures(("x",), {"p": people(np.zeros((1, 1, 2)))}), **how)
    with pytest.raises(UsageError, match="progressive"):
        ClickProtocol(matching=first_with_first, loop="twice")
    _, _, how = _three_joints(refine=lambda persons, clicks, image: people(np.zeros((2, 3, 2))))
    with pytest.raises(UsageError, match="refiner"):
        click_curve(labels, predictions, **how)
    unknown_size = replace(labels, sequences=(replace(labels.sequences[0], width=0, height=0),))
    _, _, how = _three_joints()
    with pytest.raises(UsageError, match="image size"):
        click_curve(unknown_size, predictions, **how)
    with pytest.raises(UsageError, match="scores"):
        matched_as_click_pose(np.ones(3))(people(ZEROS), _labelled(), (100, 100))


def test_worst_l1_is_the_strategy_of_the_official_code():
    assert ClickProtocol(matching=first_with_first).strategy is worst_l1
