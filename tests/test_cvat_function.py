"""The tracker and the detector for CVAT: what CVAT of any version sends, what it gets back.

Requests and answers have the forms of the server code of CVAT 2.15 and 2.73; contexts and
events are Nuclio's own types.
"""

from __future__ import annotations

import base64
import copy
import json
import multiprocessing
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cvat_calls import SceneReader, call, context, event, image, refused, through_a_browser

from cvat_function import detector, tracker
from cvat_function.detecting import Detector
from cvat_function.limits import STATE_BYTES
from cvat_function.tracking import Tracker
from impose_core.engine import Engine
from impose_core.frames import open_frames
from impose_core.io.coco import read_document
from impose_core.points import PointSteps
from impose_core.poses import Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.skeleton import COCO17, HALPE26
from impose_core.synthesis import SceneConfig, render

DEMO = Path(__file__).parents[1] / "docs" / "demo"
NAMES = COCO17.keypoints


@pytest.fixture(scope="module")
def scene():
    return render(SceneConfig(seed=4, frames=8, persons=2, noise=0.5))


@pytest.fixture(scope="module")
def function(scene):
    return Tracker(engine=Engine(reader=SceneReader(scene)), skeleton=COCO17).answer


@pytest.fixture(scope="module")
def frames(scene):
    return [image(frame) for frame in scene.frames]


def elements_of(scene, n, label=lambda k: {"label": NAMES[k]}):
    """Person ``n`` on the first frame as CVAT's API has a skeleton."""
    xy, seen = scene.tracks.xy[0, n], scene.tracks.visibility[0, n]
    return {
        "type": "skeleton",
        "points": [],
        "elements": [
            {
                **label(k),
                "type": "points",
                "points": [] if seen[k] == Visibility.ABSENT else xy[k].tolist(),
                "outside": bool(seen[k] == Visibility.ABSENT),
                "occluded": bool(seen[k] == Visibility.OCCLUDED),
                "attributes": [{"spec_id": 5, "value": "left"}],
            }
            for k in range(17)
        ],
        "track_id": 7 + n,
        "group": None,
    }


def flat_of(scene, n):
    return np.nan_to_num(scene.tracks.xy[0, n], nan=1.0).ravel().tolist()


def followed(function, frames, shapes, upto, **rest):
    """The answers on the first ``upto`` frames; shapes are sent once, as CVAT 2.40 does."""
    answers = []
    sent, states = shapes, []
    for text in frames[:upto]:
        status, answer = call(function, {"image": text, "shapes": sent, "states": states, **rest})
        assert status == 200, answer
        answers.append(answer)
        sent, states = [None] * len(shapes), answer["states"]
    return answers


def errors(shape, scene, n, t):
    """Pixels between the answer's joints and the truth, where both are on the image."""
    known = [not element["outside"] for element in shape["elements"]]
    found = np.array([element["points"] for element in shape["elements"]])
    off = np.hypot(*(found - scene.tracks.xy[t, n]).T)
    return off[known & np.isfinite(off)]


# --- forms ------------------------------------------------------------------------------------


def test_skeletons_by_label_name_as_cvat_2_73_sends_them(function, scene, frames):
    shapes = [elements_of(scene, n) for n in range(2)]
    answers = followed(function, frames, shapes, 6)
    assert answers[0]["shapes"] == shapes
    for n, shape in enumerate(answers[-1]["shapes"]):
        assert shape["type"] == "skeleton"
        assert shape["points"] == []
        assert shape["track_id"] == 7 + n
        assert shape["group"] is None
        assert [element["label"] for element in shape["elements"]] == list(NAMES)
        assert all(e["attributes"] == [{"spec_id": 5, "value": "left"}] for e in shape["elements"])
        assert np.median(errors(shape, scene, n, 5)) < 3


@pytest.mark.parametrize(
    ("label", "extra"),
    [
        (
            lambda k: {"label_id": 40 + k},
            {"label": {"sublabels": [{"id": 40 + k, "name": NAMES[k]} for k in range(17)]}},
        ),
        (lambda k: {"label_id": 40 + k}, {}),
        (lambda k: {"label": {"id": 40 + k, "name": NAMES[k]}}, {}),
        (lambda k: {"label": {"name": NAMES[k]}, "label_id": 40 + k}, {}),
        (lambda k: {}, {}),
    ],
)
def test_every_way_to_name_the_elements_gives_the_same_poses(function, scene, frames, label, extra):
    by_name = followed(function, frames, [elements_of(scene, 0)], 3)
    other = followed(function, frames, [{**elements_of(scene, 0, label), **extra}], 3)
    for one, two in zip(by_name, other, strict=True):
        assert points_of(one) == points_of(two)
        assert one["states"][0]["names"] == two["states"][0]["names"] == list(NAMES)


def points_of(answer):
    return [[e["points"] for e in shape["elements"]] for shape in answer["shapes"]]


def test_ids_in_any_order_mean_the_label_s_order(function, scene, frames):
    shuffled = elements_of(scene, 0, lambda k: {"label_id": 40 + k})
    shuffled["elements"].reverse()
    (state,) = followed(function, frames, [shuffled], 1)[0]["states"]
    assert state["names"] == list(NAMES[::-1])


def test_ids_are_also_looked_up_in_the_labels_of_the_request(function, scene, frames):
    shape = elements_of(scene, 0, lambda k: {"label_id": 99 - k})
    labels = [{"sublabels": [{"id": 99 - k, "name": NAMES[k]} for k in range(17)]}]
    (state,) = followed(function, frames, [shape], 1, labels=labels)[0]["states"]
    assert state["names"] == list(NAMES)


def test_the_flat_forms_of_a_skeleton_follow_as_elements_do(function, scene, frames):
    typed = {"type": "skeleton", "points": flat_of(scene, 0), "source": "semi-auto"}
    one = followed(function, frames, [typed], 4)[-1]["shapes"][0]
    two = followed(function, frames, [flat_of(scene, 0)], 4)[-1]["shapes"][0]
    assert one["points"] == two
    assert len(two) == 34
    assert one["source"] == "semi-auto"


def test_cvat_2_15_sends_flat_boxes_and_sends_them_again(function, scene, frames):
    box = [100.0, 80.0, 180.0, 240.0]
    status, first = call(function, {"image": frames[0], "shapes": [box]})
    assert (status, first["shapes"]) == (200, [box])
    again = {"image": frames[1], "shapes": [box], "states": first["states"]}
    _, second = call(function, again)
    _, without = call(function, {**again, "shapes": [None]})
    assert second == without
    assert len(second["shapes"][0]) == 4


def test_a_body_no_preset_knows_is_followed_by_its_points(function, frames):
    three = [200.0, 100.0, 220.0, 130.0, 240.0, 110.0]
    answer = followed(function, frames, [three], 3)[-1]
    assert len(answer["shapes"][0]) == 6
    assert answer["states"][0]["names"] == ["joint_0", "joint_1", "joint_2"]


def test_somebody_may_join_later_and_all_go_on_in_their_order(function, scene, frames):
    shapes = [elements_of(scene, n) for n in range(2)]
    _, first = call(function, {"image": frames[0], "shapes": shapes[:1], "states": []})
    joining = {
        "image": frames[0],
        "shapes": [None, shapes[1], [50, 50, 90, 120]],
        "states": first["states"],
    }
    _, second = call(function, joining)
    assert second["shapes"][1:] == [shapes[1], [50, 50, 90, 120]]
    _, third = call(
        function, {"image": frames[1], "shapes": [None] * 3, "states": second["states"]}
    )
    for n in range(2):
        assert np.median(errors(third["shapes"][n], scene, n, 1)) < 3
    # the shapes may also be missing altogether
    assert call(function, {"image": frames[1], "states": second["states"]})[1] == third


def test_nobody_is_no_mistake(function, frames):
    nobody = {"shapes": [], "states": []}
    assert call(function, {"image": frames[0], **nobody}) == (200, nobody)


def test_bodies_of_different_skeletons_share_a_call(function, scene, frames):
    shapes = [elements_of(scene, 0), [10, 10, 60, 60], flat_of(scene, 1), [9.0, 9, 20, 20, 30, 5]]
    together = followed(function, frames, shapes, 4)[-1]["shapes"]
    alone = [followed(function, frames, [shape], 4)[-1]["shapes"][0] for shape in shapes]
    assert [type(shape) for shape in together] == [type(shape) for shape in alone]
    # sums over arrays that lie elsewhere in memory end in other last digits
    for one, two in zip(together[1:], alone[1:], strict=True):
        np.testing.assert_allclose(one, two, atol=0.05)


def test_the_content_type_may_say_more(function, frames):
    body = {"image": frames[0], "shapes": [[10, 10, 60, 60]]}
    assert call(function, body, "application/json; charset=utf-8")[0] == 200


# --- what is outside, hidden or gone ----------------------------------------------------------


def test_elements_outside_stay_outside_where_they_were(function, scene, frames):
    shape = elements_of(scene, 0)
    shape["elements"][3] |= {"outside": True, "points": [12.5, 13.5]}
    shape["elements"][4] |= {"outside": 1, "points": []}
    last = followed(function, frames, [shape], 3)[-1]["shapes"][0]
    assert last["elements"][3]["outside"] is True
    assert last["elements"][3]["points"] == [12.5, 13.5]
    assert last["elements"][4]["outside"] is True
    assert len(last["elements"][4]["points"]) == 2
    assert last["outside"] is False


def test_somebody_all_outside_keeps_a_shape_and_a_state(function, scene, frames):
    shape = elements_of(scene, 0)
    for element in shape["elements"]:
        element["outside"] = True
    answers = followed(function, frames, [shape, elements_of(scene, 1)], 3)
    assert answers[-1]["shapes"][0]["outside"] is True
    assert all(e["outside"] for e in answers[-1]["shapes"][0]["elements"])
    assert answers[-1]["shapes"][1]["outside"] is False


class Rightwards:
    """Says of every point that it goes 40 pixels to the right."""

    name = "rightwards"

    def encode(self, picture):
        return picture

    def step(self, source, target, xy):
        return PointSteps(xy=xy + np.array([40.0, 0.0]), error=np.zeros(len(xy)))


def test_somebody_who_leaves_the_image_is_outside_and_never_null(frames):
    function = Tracker(engine=Engine(points=Rightwards()), skeleton=COCO17).answer
    shapes = [
        [560.0, 100, 570, 120, 580, 140],
        {"type": "rectangle", "points": [500, 90, 620, 150]},
        [500, 90, 620, 150],
    ]
    answers = followed(function, frames, shapes, 8)
    for answer in answers:
        assert None not in answer["shapes"]
    joints, box, flat_box = answers[-1]["shapes"]
    assert np.isfinite(joints).all()
    assert answers[-1]["states"][0]["outside"] == [True] * 3
    assert box["outside"] is True
    assert box["points"] == flat_box
    assert flat_box[0] <= 639
    assert flat_box[2] == 640


# --- boxes ------------------------------------------------------------------------------------


def test_a_plain_box_goes_with_what_is_in_it():
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (240, 320, 3)), (0, 0), 2)
    ground = np.clip(110 + 30 * noise / noise.std(), 0, 255).astype(np.uint8)
    thing = rng.integers(0, 255, (60, 50, 3), np.uint8)
    thing = cv2.GaussianBlur(thing, (0, 0), 1.5)
    moving = []
    for t in range(10):
        frame = ground.copy()
        frame[80 + t : 140 + t, 60 + 4 * t : 110 + 4 * t] = thing
        moving.append(image(frame))
    function = Tracker(engine=Engine(), skeleton=COCO17).answer
    shape = {"type": "rectangle", "points": [60, 80, 110, 140], "rotation": 0, "attributes": []}
    answers = followed(function, moving, [shape], 10)
    last = answers[-1]["shapes"][0]
    assert np.abs(np.array(last["points"]) - [96, 89, 146, 149]).max() < 3
    assert last["rotation"] == 0
    assert answers[-1]["states"][0]["carried"] == "points"


@pytest.fixture(scope="module")
def demo():
    labels = read_document(DEMO / "labels.json").tracks
    with open_frames(DEMO / "clip.mp4") as video:
        return labels, [video.read(t) for t in range(12)]


@pytest.fixture(scope="module")
def movenet():
    return MoveNet(threads=1)


def test_a_box_around_a_person_goes_with_the_pose_inside(demo, movenet):
    labels, pictures = demo
    function = Tracker(engine=Engine(reader=movenet), skeleton=COCO17).answer

    def around(t):
        known = [xy[np.isfinite(xy).all(-1)] for xy in labels.xy[t]]
        return [[*(xy.min(0) - 15), *(xy.max(0) + 15)] for xy in known]

    boxes = [{"type": "rectangle", "points": [float(v) for v in box]} for box in around(0)]
    answers = followed(function, [image(p) for p in pictures], boxes, 12)
    assert [state["carried"] for state in answers[0]["states"]] == ["pose"] * len(boxes)
    assert answers[0]["shapes"] == boxes
    for shape, box in zip(answers[-1]["shapes"], around(11), strict=True):
        expected = np.clip(box, 0, [*pictures[0].shape[1::-1]] * 2)
        assert overlap(np.array(shape["points"]), expected) > 0.8


def overlap(one, two):
    low, high = np.maximum(one[:2], two[:2]), np.minimum(one[2:], two[2:])
    both = np.prod(np.maximum(high - low, 0))
    return both / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - both)


# --- states -----------------------------------------------------------------------------------


def test_a_state_survives_a_browser_and_says_the_same(function, scene, frames):
    shapes = [elements_of(scene, 0), [10, 10, 60, 60]]
    _, first = call(function, {"image": frames[0], "shapes": shapes})
    body = {"image": frames[1], "shapes": [None, None]}
    here = call(function, {**body, "states": first["states"]})
    there = call(function, {**body, "states": through_a_browser(first["states"])})
    assert here[0] == 200
    assert here == there


def _worker(questions, answers):
    """A worker process of its own, with its own context."""
    made = context()
    tracker.init_context(made)
    for body in iter(questions.get, None):
        response = tracker.handler(made, event(body))
        answers.put((response.status_code, response.body))


def test_a_killed_worker_is_continued_by_another_to_the_same_bytes(demo, movenet):
    """Every frame on a new process, the last one killed, against one worker throughout."""
    labels, pictures = demo
    texts = [image(p) for p in pictures[:3]]
    xy = labels.xy[0, 0]
    shape = {
        "type": "skeleton",
        "elements": [
            {"label": name, "points": [] if np.isnan(p[0]) else [float(v) for v in p],
             "outside": bool(np.isnan(p[0]))}
            for name, p in zip(NAMES, xy, strict=True)
        ],
    }  # fmt: skip
    function = Tracker(engine=Engine(reader=movenet), skeleton=COCO17).answer
    expected = followed(function, texts, [shape], 3)
    spawn = multiprocessing.get_context("spawn")
    states, sent, got = [], [shape], []
    for text in texts:
        questions, answers = spawn.Queue(), spawn.Queue()
        worker = spawn.Process(target=_worker, args=(questions, answers), daemon=True)
        worker.start()
        questions.put({"image": text, "shapes": sent, "states": states})
        status, body = answers.get(timeout=120)
        worker.kill()
        worker.join()
        assert status == 200, body
        got.append(json.loads(body))
        sent, states = [None], got[-1]["states"]
    assert got == expected


def test_a_state_stays_below_its_cap_even_for_noise(scene):
    """A picture of noise is the largest there is; and what is measured for people."""
    noise = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    function = Tracker(engine=Engine(), skeleton=COCO17).answer
    wide = np.random.default_rng(1).uniform((300, 100), (1500, 1000), (17, 2))
    shape = {"type": "skeleton", "points": wide.ravel().tolist()}
    answers = followed(function, [image(noise)] * 2, [shape], 2)
    sizes = [len(json.dumps(answer["states"][0])) for answer in answers]
    people = followed(function, [image(scene.frames[0])], [elements_of(scene, 0)], 1)
    sizes.append(len(json.dumps(people[0]["states"][0])))
    sys.stderr.write(f"states in bytes: of noise {sizes[:2]}, of a person {sizes[2]}\n")
    assert max(sizes) <= STATE_BYTES


@pytest.fixture(scope="module")
def states(function, scene, frames):
    shapes = [elements_of(scene, 0), [10, 10, 60, 60]]
    return followed(function, frames, shapes, 1)[0]["states"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "another-function"),
        (("version",), 2),
        (("version",), True),
        (("form",), "list"),
        (("points", 3, 0), 1.5),
        (("names", 3), "tail"),
        (("outside", 0), True),
        (("rest", "track_id"), 8),
        (("online", "xy", 2), [1.0, 2.0]),
        (("online", "version"), 1),
        (("online", "picture"), ""),
        (("check",), "0" * 32),
        (("check",), None),
        (("check",), "é"),
    ],
)
def test_an_edited_or_foreign_state_is_a_conflict(function, frames, states, path, value):
    edited = copy.deepcopy(states)
    place = edited[0]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    body = {"image": frames[1], "shapes": [None, None], "states": edited}
    refused(function, body, 409, "states[0]")


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_a_state_has_its_fields_and_no_others(function, frames, states, change):
    edited = copy.deepcopy(states[0])
    if change == "more":
        edited["new"] = 1
    if change == "less":
        del edited["names"]
    if change == "other":
        edited = {"model": "siammask", "target_pos": [1, 2]}
    refused(function, {"image": frames[1], "states": [edited]}, 409, "states[0]")


def test_a_state_of_another_image_size_is_a_conflict_that_names_it(function, states):
    small = image(np.zeros((90, 160, 3), np.uint8))
    refused(function, {"image": small, "states": states}, 409, "width", "states[0]")


def test_with_a_key_only_who_has_it_makes_states(scene, frames, states):
    engine = Engine(reader=SceneReader(scene))
    keyed = Tracker(engine=engine, skeleton=COCO17, key=b"secret").answer
    refused(keyed, {"image": frames[1], "states": states}, 409, "check")
    assert len(followed(keyed, frames, [elements_of(scene, 0)], 3)) == 3


# --- the detector -----------------------------------------------------------------------------


def test_everybody_is_found_with_every_element_of_the_label(scene, frames):
    function = Detector(reader=SceneReader(scene), skeleton=COCO17).answer
    status, found = call(function, {"image": frames[0]})
    assert status == 200
    assert len(found) == 2
    for n, skeleton in enumerate(found):
        assert (skeleton["label"], skeleton["type"]) == ("person", "skeleton")
        assert isinstance(skeleton["confidence"], str)
        assert [element["label"] for element in skeleton["elements"]] == list(NAMES)
        for k, element in enumerate(skeleton["elements"]):
            absent = scene.tracks.visibility[0, n, k] == Visibility.ABSENT
            assert element["outside"] == int(absent)
            if not absent:
                np.testing.assert_allclose(element["points"], scene.tracks.xy[0, n, k], atol=1e-3)


def test_joints_the_reader_does_not_know_come_back_outside(scene, frames):
    function = Detector(reader=SceneReader(scene), skeleton=HALPE26).answer
    _, found = call(function, {"image": frames[0]})
    outside = {e["label"] for e in found[0]["elements"] if e["outside"]}
    assert {"head", "neck", "hip", "left_big_toe"} <= outside
    assert len(found[0]["elements"]) == 26
    assert all(np.isfinite(e["points"]).all() for e in found[0]["elements"])


def test_nobody_found_is_an_empty_list(scene):
    function = Detector(reader=SceneReader(scene), skeleton=COCO17).answer
    assert call(function, {"image": image(np.zeros((40, 60, 3), np.uint8))}) == (200, [])


def test_a_threshold_hides_who_is_less_sure(scene, frames):
    function = Detector(reader=SceneReader(scene), skeleton=COCO17).answer
    assert len(call(function, {"image": frames[0], "threshold": 0.7})[1]) == 2
    assert call(function, {"image": frames[0], "threshold": 0.9})[1] == []
    refused(function, {"image": frames[0], "threshold": 2}, 400, "threshold")
    refused(function, {"image": frames[0], "threshold": "0.5"}, 400, "threshold")


def test_the_real_entry_points_find_and_follow_people(demo):
    """``init_context`` and ``handler`` as Nuclio calls them, with the embedded reader."""
    labels, pictures = demo
    made = context()
    detector.init_context(made)
    tracker.init_context(made)
    response = detector.handler(made, event({"image": image(pictures[0])}))
    found = json.loads(response.body)
    assert response.status_code == 200
    assert len(found) == len(labels.track_id)
    shapes = [{"type": "skeleton", "elements": person["elements"]} for person in found]
    response = tracker.handler(made, event({"image": image(pictures[0]), "shapes": shapes}))
    first = json.loads(response.body)
    assert response.status_code == 200
    again = {"image": image(pictures[1]), "shapes": [None] * 3, "states": first["states"]}
    assert tracker.handler(made, event(again)).status_code == 200


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"image": None}, 400, ["image"]),
        ({"image": "no base64!"}, 400, ["image", "base64"]),
        ({"image": "aGVsbG8="}, 422, ["image", "PNG"]),
        ({"image": 5}, 400, ["image"]),
        ({"shapes": "box"}, 400, ["shapes", "list"]),
        ({"shapes": [None]}, 400, ["shapes[0]", "null"]),
        ({"shapes": [5]}, 400, ["shapes[0]"]),
        ({"shapes": [[1, 2, 3]]}, 400, ["shapes[0]", "pairs"]),
        ({"shapes": [[]]}, 400, ["shapes[0]"]),
        ({"shapes": [[1, 2, 1, 2]]}, 400, ["shapes[0]", "a pixel"]),
        ({"shapes": [[1, 2, 9, "9"]]}, 400, ["shapes[0][3]", "number"]),
        ({"shapes": [[1, 2, 9, True]]}, 400, ["shapes[0][3]"]),
        ({"shapes": [[1, 2, 9, 10**400]]}, 400, ["shapes[0][3]"]),
        ({"shapes": [[1, 2, 9, float("nan")]]}, 400, ["shapes[0][3]", "finite"]),
        ({"shapes": [[1, 2, 9, float("inf")]]}, 400, ["shapes[0][3]", "finite"]),
        ({"shapes": [[1, 2, 9000, 9000]]}, 400, ["shapes[0]", "640 x 360"]),
        ({"shapes": [{"type": "polygon", "points": [1, 2]}]}, 400, ["shapes[0].type"]),
        ({"shapes": [{"points": [1, 2, 9, 9]}]}, 400, ["shapes[0].type"]),
        ({"shapes": [{"type": "rectangle", "points": [1, 2]}]}, 400, ["shapes[0].points"]),
        ({"shapes": [{"type": "skeleton"}]}, 400, ["shapes[0].points"]),
        ({"shapes": [{"type": "skeleton", "elements": 5}]}, 400, ["shapes[0].elements"]),
        (
            {
                "shapes": [
                    {
                        "type": "skeleton",
                        "points": [float("nan")],
                        "elements": [{"points": [1, 2]}],
                    }
                ]
            },
            400,
            ["shapes[0].points[0]"],
        ),
        ({"shapes": [{"type": "skeleton", "elements": [5]}]}, 400, ["shapes[0].elements[0]"]),
        (
            {"shapes": [{"type": "skeleton", "elements": [{"points": [1]}]}]},
            400,
            ["shapes[0].elements[0].points"],
        ),
        (
            {"shapes": [{"type": "skeleton", "elements": [{"points": [1, 2], "outside": "no"}]}]},
            400,
            ["shapes[0].elements[0].outside"],
        ),
        (
            {"shapes": [{"type": "skeleton", "elements": [{"type": "mask", "points": [1, 2]}]}]},
            400,
            ["shapes[0].elements[0].type"],
        ),
        (
            {"shapes": [{"type": "skeleton", "elements": [{"label": "a", "points": [1, 2]}] * 2}]},
            400,
            ["shapes[0].elements[1]", "'a'"],
        ),
        ({"shapes": [[1, 2, 9, 9]] * 51}, 413, ["shapes", "50", "51"]),
        ({"shapes": [[1, 2] * 201]}, 413, ["shapes[0]", "400"]),
        (
            {"shapes": [{"type": "rectangle", "points": [1, 2, 9, 9], "x": "y" * 20_000}]},
            413,
            ["shapes[0]", "16384"],
        ),
        (
            {"shapes": [{"type": "rectangle", "points": [1, 2, 9, 9], "x": float("nan")}]},
            400,
            ["shapes[0]", "finite"],
        ),
        ({"shapes": [], "states": ["pickled"]}, 400, ["states[0]"]),
        ({"shapes": [], "states": 5}, 400, ["states"]),
        ({"shapes": [], "labels": [{"sublabels": [{"id": 5}]}]}, 400, ["sublabels[0].name"]),
    ],
)
def test_a_bad_request_is_refused_by_the_name_of_its_field(function, frames, change, status, words):
    refused(function, {"image": frames[0], "shapes": [[1, 2, 50, 60]], **change}, status, *words)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff\xfe", b"null", b"{}"])
def test_a_body_that_is_no_request_is_refused(function, body):
    status, told = call(function, body)
    assert status == 400
    assert told["message"]


def test_a_bomb_is_refused_before_it_is_decoded(function):
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    bomb = base64.b64encode(header + b"\0" * 100).decode()
    refused(function, {"image": bomb, "shapes": [[1, 2, 50, 60]]}, 413, "100000 x 100000")


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
@pytest.mark.parametrize("grey", [False, True])
def test_images_of_every_kind_cvat_keeps_are_read(function, scene, kind, grey):
    picture = scene.frames[0].copy()
    if grey:
        picture[:] = picture.mean(-1, keepdims=True).astype(np.uint8)
    body = {"image": image(picture, kind), "shapes": [[10, 10, 60, 60]]}
    assert call(function, body)[0] == 200


def test_a_damaged_image_is_refused(function, frames):
    refused(function, {"image": frames[0][:4000], "shapes": [[1, 2, 50, 60]]}, 422, "image")


def test_an_image_of_a_pixel_is_an_image(function):
    tiny = image(np.zeros((1, 1, 3), np.uint8))
    status, _ = call(function, {"image": tiny, "shapes": [[0, 0, 1, 1]]})
    assert status == 200


def test_our_own_fault_is_500_without_a_traceback(frames):
    class Broken:
        name, skeleton = "broken", COCO17

        def detect(self, picture):
            raise RuntimeError("secret path")

    function = Detector(reader=Broken(), skeleton=COCO17).answer
    status, told = call(function, {"image": frames[0]})
    assert status == 500
    assert "secret" not in json.dumps(told)
