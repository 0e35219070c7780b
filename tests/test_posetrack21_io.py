import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impose_core.errors import BadDocument, ImposeError
from impose_core.io.posetrack21 import (
    parse_labels,
    parse_predictions,
    read_labels,
    read_predictions,
)
from impose_core.pose_sets import NO_TRACK
from impose_core.skeleton import POSETRACK17

IMAGE = 10_000_010_000


def labels():
    """Two frames, the second not labelled; a person of whom joint 1 is hidden, 2 unlabelled."""
    keypoints = [value for k in range(17) for value in (10.0 + k, 20.0 + k, 1)]
    keypoints[3:9] = [-4.0, 21.0, 0, 0, 0, 0]
    return {
        "images": [
            {
                "id": IMAGE + t,
                "frame_id": IMAGE + t,
                "vid_id": "000001",
                "file_name": f"images/val/000001_bonn/{t:06}.jpg",
                "is_labeled": t == 4,
                "ignore_regions_x": [[0, 9, 9]],
                "ignore_regions_y": [[0, 0, 9]],
            }
            for t in (6, 4)
        ],
        "annotations": [
            {
                "id": 7,
                "image_id": IMAGE + 4,
                "track_id": 0,
                "person_id": 1024,
                "bbox": [10, 20, 30, 40],
                "bbox_head": [11, 21, 3, 4],
                "keypoints": keypoints,
            }
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(POSETRACK17.keypoints)}],
    }


def predictions():
    """Like the example of the format: no categories, no ids, no v that means something."""
    keypoints = [value for k in range(17) for value in (10.0 + k, 20.0 + k, 0)]
    keypoints[6:9] = [0, 0, 0]
    return {
        "images": [{"id": IMAGE + 4, "file_name": "images/val/000001_bonn/000004.jpg"}],
        "annotations": [
            {
                "image_id": IMAGE + 4,
                "track_id": 3,
                "keypoints": keypoints,
                "scores": [k / 16 for k in range(17)],
            }
        ],
    }


def _frames(poses):
    return poses.sequences[0].frames


def test_labels():
    poses = parse_labels({"000001_bonn": labels()})
    assert poses.keypoints == POSETRACK17.keypoints
    assert [sequence.name for sequence in poses.sequences] == ["000001_bonn"]
    assert [(frame.index, frame.labelled) for frame in _frames(poses)] == [(4, True), (6, False)]
    assert _frames(poses)[0].file_name == "images/val/000001_bonn/000004.jpg"
    assert [region.tolist() for region in _frames(poses)[0].ignore_regions] == [
        [[0, 0], [9, 0], [9, 9]]
    ]
    person = _frames(poses)[0].instances
    assert person.visibility[0].tolist() == [2, 1, 0] + [2] * 14
    assert person.xy[0, :2].tolist() == [[10, 20], [-4, 21]]
    assert np.isnan(person.xy[0, 2]).all()
    assert person.box[0].tolist() == [10, 20, 40, 60]
    assert person.head_box[0].tolist() == [11, 21, 14, 25]
    assert person.track_id.tolist() == [0]
    assert np.isnan([person.score, person.area]).all()
    assert not len(_frames(poses)[1].instances)


def test_predictions():
    person = _frames(parse_predictions({"a": predictions()}))[0].instances
    assert person.visibility[0].tolist() == [2, 2, 0] + [2] * 14
    assert np.isnan(person.xy[0, 2]).all()
    assert math.isnan(person.keypoint_score[0, 2])
    assert person.keypoint_score[0, 16] == 1
    assert person.score[0] == pytest.approx((sum(range(17)) - 2) / 16 / 16)
    assert person.track_id.tolist() == [3]
    assert np.isnan(person.box).all()


def test_only_zero_zero_zero_is_no_joint():
    for parse, document in ((parse_labels, labels()), (parse_predictions, predictions())):
        document["annotations"][0]["keypoints"][:6] = [0, 0, 1, 0, 0, 0]
        person = _frames(parse({"a": document}))[0].instances
        assert person.visibility[0, :2].tolist() == [2, 0]
        assert person.xy[0, 0].tolist() == [0, 0]


def test_predictions_may_have_boxes():
    document = predictions()
    document["annotations"][0]["bbox"] = [1, 2, 3, 4]
    assert _frames(parse_predictions({"a": document}))[0].instances.box.tolist() == [[1, 2, 4, 6]]


def test_a_score_of_the_person_goes_before_those_of_the_keypoints():
    document = predictions()
    document["annotations"][0]["score"] = 0.25
    person = _frames(parse_predictions({"a": document}))[0].instances
    assert person.score.tolist() == [0.25]


def test_predictions_without_tracks_have_none():
    document = predictions()
    document["annotations"] *= 2
    for item in document["annotations"]:
        item.pop("track_id", None)
    people = _frames(parse_predictions({"a": document}))[0].instances
    assert people.track_id.tolist() == [NO_TRACK] * 2


def test_a_single_ignore_region_may_be_flat_and_empty_ones_are_none():
    document = labels()
    document["images"][0].update(ignore_regions_x=[0, 9, 9], ignore_regions_y=[0, 0, 9])
    document["images"][1].update(ignore_regions_x=[[]], ignore_regions_y=[[]])
    empty, flat = _frames(parse_labels({"a": document}))
    assert [region.tolist() for region in flat.ignore_regions] == [[[0, 0], [9, 0], [9, 9]]]
    assert empty.ignore_regions == ()


@pytest.mark.parametrize("read", [read_labels, read_predictions])
def test_a_file_and_a_folder_of_them(tmp_path, read):
    document = json.dumps(labels() if read is read_labels else predictions())
    for name in ("2_test.json", "10_test.json", ".hidden.json", "notes.txt"):
        (tmp_path / name).write_text(document)
    assert [one.name for one in read(tmp_path).sequences] == ["2_test", "10_test"]
    assert [one.name for one in read(tmp_path / "10_test.json").sequences] == ["10_test"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadDocument, match=r"to hold files called \*\.json, got none"):
        read(empty)
    (tmp_path / "2_test.json").write_text('{"images": []}')
    with pytest.raises(BadDocument, match=r"In '.*2_test\.json': Expected 'annotations' to be a"):
        read(tmp_path)


WRONG_ANYWHERE = [
    (("images",), None, "'images' to be a list, got nothing"),
    (("images", 0, "id"), None, r"'images\[0\]\.id' to be an integer ≥ 0, got nothing"),
    (("images", 0, "id"), -1, r"'images\[0\]\.id' to be an integer ≥ 0, got -1"),
    (("images", 0, "file_name"), 5, r"'images\[0\]\.file_name' to be a name, got 5"),
    (("images", 0, "width"), -2, r"'images\[0\]\.width' to be an integer ≥ 0, got -2"),
    (("annotations", 0), [], r"'annotations\[0\]' to be an object"),
    (("annotations", 0, "image_id"), 5, r"'annotations\[0\]\.image_id' to be the id of an image"),
    (("annotations", 0, "image_id"), None, r"'annotations\[0\]\.image_id' to be an integer"),
    (("annotations", 0, "track_id"), -1, r"'annotations\[0\]\.track_id' to be an integer ≥ 0"),
    (("annotations", 0, "keypoints"), None, r"'annotations\[0\]\.keypoints' to be a list"),
    (("annotations", 0, "keypoints"), [1] * 45, r"keypoints' to be a list of 51, got '45 ent"),
    (("annotations", 0, "keypoints", 4), math.nan, r"'annotations\[0\]\.keypoints\[4\]' to be a f"),
    (("annotations", 0, "keypoints", 4), math.inf, r"'annotations\[0\]\.keypoints\[4\]' to be a f"),
    (("annotations", 0, "keypoints", 4), "3", r"'annotations\[0\]\.keypoints\[4\]' to be a numb"),
    (("annotations", 0, "keypoints", 4), 1e9, r"keypoints\[4\]' to be ≥ -1e\+06 and ≤ 1e\+06"),
    (("annotations", 0, "bbox"), [1, 2, 3], r"'annotations\[0\]\.bbox' to be a list of 4, got '3"),
    (
        ("annotations", 0, "bbox"),
        [1, 2, -3, 4],
        r"\.bbox' to be a box with a width and height of 0",
    ),
    (("categories",), [{"keypoints": ["nose"]}], r"'categories\[0\]\.keypoints' to be the 17 of"),
]
WRONG_LABELS = [
    (("images", 0, "is_labeled"), None, r"'images\[0\]\.is_labeled' to be true or false, got noth"),
    (("images", 0, "is_labeled"), 1, r"'images\[0\]\.is_labeled' to be true or false, got 1"),
    (("images", 0, "ignore_regions_y"), None, "ignore_regions_y' to be a list of 1 polygons as in"),
    (
        ("images", 0, "ignore_regions_y"),
        [[1]],
        r"ignore_regions_y\[0\]' to be a list of 3, got '1 ",
    ),
    (("images", 0, "ignore_regions_x", 0, 1), None, r"ignore_regions_x\[0\]\[1\]' to be a number"),
    (("annotations", 0, "id"), None, r"'annotations\[0\]\.id' to be an integer, got nothing"),
    (("annotations", 0, "bbox"), None, r"'annotations\[0\]\.bbox' to be a list, got nothing"),
    (("annotations", 0, "bbox_head"), None, r"\[0\]\.bbox_head' to be a list, got nothing"),
    (("annotations", 0, "track_id"), None, r"\[0\]\.track_id' to be an integer ≥ 0, got nothing"),
    (("annotations", 0, "keypoints", 5), 3, r"keypoints\[5\]' to be a visibility of 0, 1 or 2, g"),
]
WRONG_PREDICTIONS = [
    (("annotations", 0, "scores"), None, r"'annotations\[0\]\.scores' to be a list, got nothing"),
    (("annotations", 0, "scores"), [1] * 15, r"\.scores' to be a list of 17, got '15 ent"),
    (("annotations", 0, "scores", 3), math.nan, r"scores\[3\]' to be a finite number, got nan"),
    (("annotations", 0, "scores", 3), True, r"scores\[3\]' to be a number, got True"),
    (("annotations", 0, "score"), "high", r"'annotations\[0\]\.score' to be a number, got 'high'"),
]


def _with(document, path, value):
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return document


@pytest.mark.parametrize(("path", "value", "message"), WRONG_ANYWHERE + WRONG_LABELS)
def test_errors_of_labels_name_the_field(path, value, message):
    with pytest.raises(BadDocument, match=message) as error:
        parse_labels({"a": _with(labels(), path, value)})
    assert "In 'a': " in error.value.message


@pytest.mark.parametrize(("path", "value", "message"), WRONG_ANYWHERE + WRONG_PREDICTIONS)
def test_errors_of_predictions_name_the_field(path, value, message):
    with pytest.raises(BadDocument, match=message):
        parse_predictions({"a": _with(predictions(), path, value)})


def test_what_must_be_unique():
    twice = labels()
    twice["images"][1]["id"] = 20_000_010_006
    with pytest.raises(BadDocument, match=r"'images\[1\]\.id \(its last four digits\)' to be uniq"):
        parse_labels({"a": twice})
    twice = labels()
    twice["annotations"] *= 2
    with pytest.raises(BadDocument, match=r"'annotations\[1\]\.id' to be unique"):
        parse_labels({"a": twice})
    twice["annotations"] = [{**twice["annotations"][0], "id": i} for i in (7, 8)]
    with pytest.raises(BadDocument, match=r"'annotations\[1\]\.track_id' to be unique in its ima"):
        parse_labels({"a": twice})
    twice = predictions()
    twice["annotations"] *= 2
    with pytest.raises(BadDocument, match=r"'annotations\[1\]\.track_id' to be unique in its ima"):
        parse_predictions({"a": twice})


def test_a_polygon_needs_three_points():
    document = labels()
    document["images"][0].update(ignore_regions_x=[[1, 2]], ignore_regions_y=[[1, 2]])
    with pytest.raises(BadDocument, match=r"ignore_regions_x\[0\]' to be a polygon of three point"):
        parse_labels({"a": document})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def _places(value, path=()):
    """Every path into ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from _places(item, (*path, key))


@pytest.mark.parametrize(
    ("parse", "document"), [(parse_labels, labels), (parse_predictions, predictions)]
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_is_read_or_refused_in_words(parse, document, data):
    path = data.draw(st.sampled_from(list(_places(document()))))
    value = data.draw(JSON)
    changed = _with(document(), path, value)
    try:
        poses = parse({"a": changed})
    except ImposeError:
        return
    assert "NaN" not in json.dumps(changed)
    assert "Infinity" not in json.dumps(changed)
    for _, frame in poses:
        people = frame.instances
        assert np.isfinite(people.xy[people.visibility > 0]).all()
        assert all(np.isfinite(region).all() for region in frame.ignore_regions)
