import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impose_core.errors import BadDocument, ImposeError, UsageError
from impose_core.io.xanylabeling import read_xanylabeling
from impose_core.poses import Visibility

KEYPOINTS = ("nose", "left_wrist")
BOX = [[130, 134], [230, 134], [230, 350], [130, 350]]


def shape(label, kind, points, group=1, **more):
    """A shape with the keys X-AnyLabeling 4.2 writes."""
    return {
        "label": label,
        "shape_type": kind,
        "points": points,
        "group_id": group,
        "score": None,
        "difficult": False,
        "description": "",
        "flags": {},
        "attributes": {},
        "kie_linking": [],
        **more,
    }


def document(*shapes, **more):
    return {
        "version": "4.2.1",
        "flags": {},
        "checked": False,
        "imagePath": "f.jpg",
        "imageData": None,
        "imageWidth": 640,
        "imageHeight": 480,
        "shapes": list(shapes),
        **more,
    }


PERSON = shape("person", "rectangle", BOX, score=0.75)
NOSE = shape("nose", "point", [[180.5, 150.25]], score=0.9)
WRIST = shape("left_wrist", "point", [[220.0, 245.0]], difficult=True)


@pytest.fixture
def folder(tmp_path):
    def write(**documents):
        for name, one in documents.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(one))
        return tmp_path

    return write


def read(path, **choices):
    return read_xanylabeling(path, **{"keypoints": KEYPOINTS, **choices})


def test_a_person_is_a_rectangle_and_points_of_one_group(folder):
    found = read(folder(f=document(PERSON, NOSE, WRIST)), name="clip")
    (sequence,) = found.sequences
    assert (sequence.name, sequence.width, sequence.height) == ("clip", 640, 480)
    (frame,) = sequence.frames
    people = frame.instances
    assert frame.file_name == "f.jpg"
    assert people.track_id.tolist() == [1]
    assert people.xy.tolist() == [[[180.5, 150.25], [220, 245]]]
    assert people.visibility.tolist() == [[Visibility.VISIBLE, Visibility.OCCLUDED]]
    assert people.box.tolist() == [[130, 134, 230, 350]]
    assert people.score.tolist() == [0.75]
    assert people.keypoint_score[0, 0] == 0.9
    assert np.isnan(people.keypoint_score[0, 1])
    assert np.isnan(people.area).all()


def test_frames_are_in_natural_order_and_those_without_json_are_not_labelled(folder):
    path = folder(frame2=document(NOSE), frame10=document())
    for name in ("frame2.jpg", "frame9.JPG", "frame10.png", ".hidden.jpg", "notes.txt"):
        (path / name).touch()
    (path / "more").mkdir()
    frames = read(path).sequences[0].frames
    assert [frame.file_name for frame in frames] == ["frame2.jpg", "frame9.JPG", "frame10.png"]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.labelled for frame in frames] == [True, False, True]
    assert [len(frame.instances) for frame in frames] == [1, 0, 0]


def test_two_opposite_corners_are_a_rectangle_too_and_others_may_stand_by(folder):
    labelme = shape("person", "rectangle", [[230, 350], [130, 134]])
    car = shape("car", "rectangle", BOX, group=None)
    line = shape("nose", "line", [[0, 0], [1, 1]], group=None)
    people = read(folder(f=document(labelme, car, line))).sequences[0].frames[0].instances
    assert people.box.tolist() == [[130, 134, 230, 350]]
    assert people.visibility.tolist() == [[0, 0]]


def test_groups_are_persons_by_ascending_id_with_or_without_a_rectangle(folder):
    shapes = [{**NOSE, "group_id": 5}, {**WRIST, "group_id": 2}]
    people = read(folder(f=document(*shapes))).sequences[0].frames[0].instances
    assert people.track_id.tolist() == [2, 5]
    assert np.isnan(people.box).all()


def test_a_file_may_be_silent_about_the_image(folder):
    silent = {"shapes": [NOSE]}
    (sequence,) = read(folder(f=silent, g=document())).sequences
    assert (sequence.width, sequence.frames[0].file_name) == (640, "")


@pytest.mark.parametrize(
    ("one", "field", "expected"),
    [
        (document({**NOSE, "group_id": None}), "shapes[0].group_id", "an integer ≥ 0"),
        (document({**PERSON, "group_id": -1}), "shapes[0].group_id", "an integer ≥ 0"),
        (document(PERSON, PERSON), "shapes[1].group_id", "one 'person' only"),
        (document({**NOSE, "label": "node"}), "shapes[0].label", "nose, left_wrist"),
        (document(NOSE, NOSE), "shapes[1].label", "once in group 1"),
        (document({**NOSE, "points": [[1, 2], [3, 4]]}), "shapes[0].points", "1 points"),
        (document({**PERSON, "points": [[1, 2]]}), "shapes[0].points", "2 or 4 points"),
        (document({**NOSE, "points": [[1, "2"]]}), "shapes[0].points[0][1]", "a number"),
        (document({**NOSE, "points": [[1, 2e6]]}), "shapes[0].points[0][1]", "1e+06"),
        (document({**NOSE, "points": [[1, float("nan")]]}), "shapes[0].points[0][1]", "finite"),
        (document({**NOSE, "difficult": 1}), "shapes[0].difficult", "true or false"),
        (document({**NOSE, "score": "high"}), "shapes[0].score", "a number"),
        (document({**NOSE, "shape_type": None}), "shapes[0].shape_type", "a name"),
        (document(imageWidth=0), "imageWidth", "an integer ≥ 1"),
        (document(imagePath=3), "imagePath", "a name"),
        (document(shapes={}), "shapes", "a list"),
        ([], "document", "an object"),
    ],
)
def test_errors_name_file_and_field(folder, one, field, expected):
    with pytest.raises(BadDocument) as error:
        read(folder(frame_7=one))
    assert "frame_7.json" in error.value.message
    assert f"'{field}'" in error.value.message
    assert expected in error.value.message


def test_images_of_a_video_have_one_size(folder):
    with pytest.raises(BadDocument, match=r"b.json.*640 and 480.*got 641 and 480"):
        read(folder(a=document(), b=document(imageWidth=641)))


def test_what_is_no_folder_of_json_is_said(tmp_path):
    with pytest.raises(BadDocument, match="JSON files"):
        read(tmp_path)
    with pytest.raises(BadDocument, match="to be a folder"):
        read(tmp_path / "nowhere")
    with pytest.raises(BadDocument, match="to be a folder"):
        read("a\0b")
    with pytest.raises(UsageError, match="keypoints"):
        read(tmp_path, keypoints=("nose", "nose"))
    (tmp_path / "a.json").write_bytes(b"\xff{")
    with pytest.raises(BadDocument, match=r"a\.json"):
        read(tmp_path)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from(["nose", "point", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["points", "label", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ["shape_type", "label", "points", "group_id", "difficult", "score"]


@given(
    edits=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KEYS), JSON), max_size=3),
    top=st.dictionaries(st.sampled_from(["imageWidth", "imagePath", "shapes"]), JSON, max_size=1),
)
def test_no_document_gets_through_with_nonsense(tmp_path_factory, edits, top):
    shapes = [dict(PERSON), dict(NOSE), dict(WRIST)]
    for at, key, value in edits:
        shapes[at][key] = value
    path = tmp_path_factory.mktemp("fuzz")
    (path / "f.json").write_text(json.dumps(document(*shapes, **top)))
    try:
        (frame,) = read(path).sequences[0].frames
    except ImposeError:
        return
    people = frame.instances
    assert np.isfinite(people.xy[people.visibility > 0]).all()
    assert np.isnan(people.xy[people.visibility == 0]).all()
    assert (np.isfinite(people.box).all(-1) | np.isnan(people.box).all(-1)).all()
    assert len(set(people.track_id.tolist())) == len(people)
