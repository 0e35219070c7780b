import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impose_core.errors import BadDocument, SkeletonMismatch, UsageError
from impose_core.evaluation.alignment import align
from impose_core.io.coco import parse_document, to_mapping
from impose_core.io.coco_instances import read_labels, read_predictions
from impose_core.pose_sets import NO_TRACK, PoseSet


def body():
    return {"id": 1, "name": "person", "keypoints": ["head", "hand"]}


def annotation(number, image_id, keypoints, **more):
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints,
        "num_keypoints": 2,
        **more,
    }


def loose():
    """Two loose pictures, the one with the greater id first."""
    return {
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 64, "height": 48},
            {"id": 4, "file_name": "a.jpg", "width": 32, "height": 24},
        ],
        "annotations": [
            annotation(1, 9, [1, 2, 2, 3, 4, 1], bbox=[1, 2, 10, 20], area=120.5),
            annotation(2, 4, [5, 6, 2, 7, 8, 0], iscrowd=1),
            annotation(3, 9, [0, 0, 0, 0, 0, 0], bbox=[0, 0, 4, 5]),
        ],
        "categories": [body()],
    }


def video():
    """Two videos, one of two frames; also a result by its scores."""
    return {
        "videos": [{"id": 1, "name": "v.mp4", "width": 64, "height": 48}, {"id": 2, "name": "w"}],
        "images": [
            {"id": 1, "video_id": 1, "frame_id": 5, "file_name": "v/5.jpg"},
            {"id": 2, "video_id": 1, "frame_id": 0, "file_name": "v/0.jpg"},
            {"id": 3, "video_id": 2, "frame_id": 0, "width": 10, "height": 20},
        ],
        "annotations": [
            annotation(1, 1, [1, 2, 2, 3, 4, 1], track_id=7, score=0.5),
            annotation(2, 2, [1, 2, 2, 0, 0, 0], track_id=7, score=[0.25, None]),
            annotation(3, 3, [3, 2, 2, 1, 0, 2], score=[0.2, 0.4], instance_score=0.9),
        ],
        "categories": [body(), {"id": 2, "name": "dog"}],
    }


def results():
    return [
        {"image_id": 9, "category_id": 1, "keypoints": [1, 2, 1.0, 0, 0, 1.0], "score": 0.5},
        {"image_id": 4, "category_id": 1, "keypoints": [5, 6, 0.1, 0, 8, 0], "score": -3},
    ]


def frames(poses):
    return [(sequence.name, frame.index) for sequence, frame in poses]


def people(poses, name, index=0):
    return next(f.instances for s, f in poses if (s.name, f.index) == (name, index))


# --- labels --------------------------------------------------------------------------------------


def test_loose_pictures_are_sequences_of_one_by_id():
    labels = read_labels(loose())
    assert labels.keypoints == ("head", "hand")
    assert frames(labels) == [("a.jpg", 0), ("b.jpg", 0)]
    assert labels.image_ids == (4, 9)
    assert [(s.width, s.height) for s in labels.sequences] == [(32, 24), (64, 48)]
    without_names = loose()
    for image in without_names["images"]:
        del image["file_name"]
    assert frames(read_labels(without_names)) == [("4", 0), ("9", 0)]


def test_what_is_said_of_a_person():
    found = people(read_labels(loose()), "b.jpg")
    assert len(found) == 2
    assert found.xy[0].tolist() == [[1, 2], [3, 4]]
    assert found.visibility.tolist() == [[2, 1], [0, 0]]
    assert found.box.tolist() == [[1, 2, 11, 22], [0, 0, 4, 5]]
    assert found.area[0] == 120.5
    assert np.isnan(found.area[1])
    assert np.isnan(found.xy[1]).all()
    assert found.track_id.tolist() == [NO_TRACK, NO_TRACK]
    assert found.crowd.tolist() == [False, False]
    assert people(read_labels(loose()), "a.jpg").crowd.tolist() == [True]


def test_persons_keep_the_order_of_the_file_inside_their_image():
    document = loose()
    document["annotations"] = [
        annotation(50 - i, [9, 4][i % 2], [i, 1, 2, 1, 1, 2]) for i in range(40)
    ]
    labels = read_labels(document)
    assert people(labels, "b.jpg").xy[:, 0, 0].tolist() == list(range(0, 40, 2))
    assert people(labels, "a.jpg").xy[:, 0, 0].tolist() == list(range(1, 40, 2))


def test_videos_by_name_and_frames_by_index():
    labels = read_labels(video())
    assert frames(labels) == [("v.mp4", 0), ("v.mp4", 5), ("w", 0)]
    assert labels.image_ids == (2, 1, 3)
    assert people(labels, "v.mp4", 5).track_id.tolist() == [7]
    assert [(s.width, s.height) for s in labels.sequences] == [(64, 48), (10, 20)]


def test_videos_without_names():
    document = video()
    del document["videos"]
    assert frames(read_labels(document)) == [("1", 0), ("1", 5), ("2", 0)]
    document["images"] = document["images"][:2]
    document["annotations"] = document["annotations"][:2]
    assert frames(read_labels(document)) == [("", 0), ("", 5)]
    for image in document["images"]:
        del image["video_id"]
    assert frames(read_labels(document)) == [("", 0), ("", 5)]


def test_boxes_of_other_categories_are_left_out():
    document = video()
    document["annotations"].append({"id": 8, "image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]})
    assert len(people(read_labels(document), "v.mp4", 5)) == 1


def test_of_several_categories_with_keypoints_the_caller_names_one():
    document = loose()
    document["categories"].append({"id": 2, "name": "fly", "keypoints": ["wing"]})
    document["annotations"].append(annotation(9, 4, [1, 1, 2]) | {"category_id": 2})
    with pytest.raises(BadDocument, match="exactly one category"):
        read_labels(document)
    assert len(people(read_labels(document, category="person"), "a.jpg")) == 1
    flies = read_labels(document, category="fly")
    assert flies.keypoints == ("wing",)
    assert len(people(flies, "a.jpg")) == 1


# --- results -------------------------------------------------------------------------------------


def test_a_result_list_lies_on_the_images_of_the_labels():
    labels = read_labels(loose())
    predictions = read_predictions(results(), labels)
    assert frames(predictions) == frames(labels)
    first = people(predictions, "b.jpg")
    assert first.score.tolist() == [0.5]
    assert first.xy[0, 0].tolist() == [1, 2]
    assert np.isnan(first.xy[0, 1]).all()  # (0, 0) is missing, whatever stands for v
    assert first.visibility.tolist() == [[2, 0]]
    assert people(predictions, "a.jpg").xy[0].tolist() == [[5, 6], [0, 8]]
    assert len(people(read_predictions([], labels), "a.jpg")) == 0


def test_a_result_list_needs_labels_with_ids():
    labels = read_labels(loose())
    bare = PoseSet(keypoints=labels.keypoints, sequences=labels.sequences)
    with pytest.raises(UsageError, match="got a PoseSet"):
        read_predictions(results(), bare)


def test_scores_of_persons():
    labels = read_labels(video())
    predictions = read_predictions(video(), labels)
    assert people(predictions, "v.mp4", 5).score.tolist() == [0.5]
    assert people(predictions, "v.mp4", 0).score.tolist() == [0.25]  # mean of what is known
    assert people(predictions, "w").score.tolist() == [0.9]
    assert people(predictions, "w").keypoint_score.tolist() == [[0.2, 0.4]]
    document = video()
    document["annotations"][1]["score"] = [None, None]
    with pytest.raises(BadDocument, match=r"annotations\[1\].score' to be a number") as error:
        read_predictions(document, labels)
    assert "default_score=1" in error.value.hint
    defaulted = read_predictions(document, labels, default_score=1)
    assert people(defaulted, "v.mp4", 0).score.tolist() == [1]
    assert people(defaulted, "v.mp4", 5).score.tolist() == [0.5]
    with pytest.raises(UsageError, match="default_score"):
        read_predictions(document, labels, default_score=float("nan"))


def test_this_tools_own_results_are_predictions():
    document = video()
    document["videos"], document["images"] = document["videos"][:1], document["images"][:2]
    document["annotations"] = [
        annotation(1, 1, [1, 2, 2, 0, 0, 0], track_id=7, origin=["human", "human"]),
        annotation(2, 2, [0, 0, 0, 0, 0, 0], track_id=7, origin=["human", "human"]),
    ]
    written = to_mapping(parse_document(document))
    assert len(written["annotations"]) == 2
    predictions = align(read_predictions(written, read_labels(video())), read_labels(document))
    found = people(predictions, "v.mp4", 5)
    assert found.score.tolist() == [1]
    assert found.xy[0, 0].tolist() == [1, 2]
    assert len(people(predictions, "v.mp4", 0)) == 0  # declared absent: nobody


def test_positions_without_visibility_are_no_predictions_by_mistake():
    document = video()
    document["annotations"][0]["keypoints"] = [1, 2, 0, 3, 4, 0]
    assert len(people(read_labels(document), "v.mp4", 5)) == 1
    with pytest.raises(BadDocument, match=r"annotations\[0\].keypoints' to have v = 1 or 2"):
        read_predictions(document, read_labels(video()))


def test_images_that_carry_only_ids_are_those_of_the_labels():
    document = loose()
    document["images"] = [{"id": 9}]
    document["annotations"] = [annotation(1, 9, [1, 2, 2, 3, 4, 1], score=1)]
    labels = read_labels(loose())
    predictions = read_predictions(document, labels)
    assert frames(predictions) == frames(labels)
    assert len(people(predictions, "b.jpg")) == 1
    document["images"].append({"id": 5})
    with pytest.raises(BadDocument, match="images of the labels, by id, got 5"):
        read_predictions(document, labels)


# --- align ---------------------------------------------------------------------------------------


def predicted(document):
    """The document with a score for everybody, as predictions."""
    document = copy.deepcopy(document)
    for item in document["annotations"]:
        item["score"] = 1
    return read_predictions(document, read_labels(document))


def test_frames_are_matched_by_video_and_index():
    dense = video()
    dense["images"].append({"id": 8, "video_id": 1, "frame_id": 1})
    dense["annotations"].append(annotation(8, 8, [9, 9, 2, 9, 9, 2]))
    for image in dense["images"]:
        image.pop("file_name", None)
        image["id"] += 100
    for item in dense["annotations"]:
        item["image_id"] += 100
    labels = read_labels(video())
    aligned = align(predicted(dense), labels)
    assert frames(aligned) == frames(labels)
    assert people(aligned, "v.mp4", 5).xy[0, 1].tolist() == [3, 4]
    assert frames(align(aligned, labels)) == frames(labels)


def test_frames_are_matched_by_file_name():
    other = loose()
    other["images"][0]["id"], other["images"][1]["id"] = 1, 2
    for item in other["annotations"]:
        item["image_id"] = {9: 1, 4: 2}[item["image_id"]]
    other["annotations"] = [a for a in other["annotations"] if a["id"] != 3]
    aligned = align(predicted(other), read_labels(loose()))
    assert people(aligned, "a.jpg").xy[0, 0].tolist() == [5, 6]
    assert people(aligned, "b.jpg").xy[0, 0].tolist() == [1, 2]


def test_a_video_without_a_name_is_the_only_other():
    document = video()
    document["images"], document["annotations"] = (
        document["images"][:2],
        document["annotations"][:2],
    )
    document["videos"] = document["videos"][:1]
    labels = read_labels(document)
    del document["videos"]
    aligned = align(predicted(document), labels)
    assert frames(aligned) == [("v.mp4", 0), ("v.mp4", 5)]
    assert len(people(aligned, "v.mp4", 5)) == 1


def test_frames_counted_from_one_are_not_taken_for_others():
    shifted = video()
    shifted["images"][0]["frame_id"], shifted["images"][1]["frame_id"] = 6, 5
    shifted["images"][1]["file_name"], shifted["images"][0]["file_name"] = "v/0.jpg", "v/5.jpg"
    with pytest.raises(UsageError, match="by its index and another by its file name"):
        align(predicted(shifted), read_labels(video()))


def test_frames_of_something_else_are_refused():
    other = loose()
    other["images"][0]["file_name"] = "c.jpg"
    with pytest.raises(UsageError, match=r"frame 0 of 'c.jpg', file 'c.jpg' of the predictions"):
        align(predicted(other), read_labels(loose()))
    forgotten = loose()
    del forgotten["images"][1], forgotten["annotations"][1]
    with pytest.raises(UsageError, match=r"none of 'a\.jpg'"):
        align(predicted(forgotten), read_labels(loose()))


def test_a_file_name_that_several_frames_bear_names_none():
    document = video()
    for image in document["images"]:
        image["file_name"] = "1.jpg"
    other = loose()
    del other["images"][1], other["annotations"][1]
    other["images"][0]["file_name"] = "1.jpg"
    with pytest.raises(UsageError, match=r"\(v.mp4, w\), got one that is not there"):
        align(predicted(other), read_labels(document))


def test_two_frames_with_one_partner_are_refused():
    twice = video()
    twice["images"].append({"id": 4, "video_id": 2, "frame_id": 9, "file_name": "v/0.jpg"})
    with pytest.raises(UsageError, match="besides frame"):
        align(predicted(twice), read_labels(video()))


def test_keypoints_are_matched_by_name_and_lacking_ones_are_missing():
    other = loose()
    other["categories"] = [{"id": 1, "name": "person", "keypoints": ["hand", "tail", "head"]}]
    for item in other["annotations"]:
        item["keypoints"] = [1, 1, 2, 2, 2, 2, 3, 3, 2]
        item["score"] = [0.1, 0.2, 0.3]
    labels = read_labels(loose())
    found = people(align(read_predictions(other, labels), labels), "a.jpg")
    assert found.xy[0].tolist() == [[3, 3], [1, 1]]
    assert found.keypoint_score[0].tolist() == [0.3, 0.1]
    other["categories"][0]["keypoints"] = ["tail", "wing", "head"]
    found = people(align(read_predictions(other, labels), labels), "a.jpg")
    assert found.xy[0, 0].tolist() == [3, 3]
    assert np.isnan(found.xy[0, 1]).all()
    assert np.isnan(found.keypoint_score[0, 1])
    assert found.visibility[0].tolist() == [2, 0]
    other["categories"][0]["keypoints"] = ["tail", "wing", "leg"]
    with pytest.raises(SkeletonMismatch, match=r"\(head, hand\), got tail, wing, leg"):
        align(read_predictions(other, labels), labels)


# --- what is refused -----------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


def put(*path):
    """A damage: the last of ``path`` is put where the others lead; ``...`` removes it."""

    def damage(document):
        *way, last, value = path
        for key in way:
            document = document[key]
        if value is ...:
            del document[last]
        else:
            document[last] = value

    return damage


BOTH = [  # damages of any document
    (put("images", ...), "'images' to be a list, got nothing"),
    (put("images", []), "'images' to hold one image or more, got 0"),
    (put("annotations", ...), "'annotations' to be a list, got nothing"),
    (put("categories", ...), "'categories' to be a list, got nothing"),
    (put("categories", []), "exactly one category with keypoints"),
    (put("categories", 0, "keypoints", ["head", "head"]), "'head' 2 times"),
    (put("images", 0, "id", ...), r"'images\[0\].id' to be an integer, got nothing"),
    (put("images", 1, "id", 1), r"'images\[1\].id' to be unique \(so has images\[0\]\)"),
    (put("images", 0, "frame_id", ...), r"'images\[0\].frame_id'"),
    (put("images", 0, "frame_id", -1), r"'images\[0\].frame_id' to be an integer ≥ 0, got -1"),
    (put("images", 1, "frame_id", 5), r"'images\[1\].frame_id' to be unique in its video"),
    (put("images", 0, "video_id", 3), r"'images\[0\].video_id' to be the id of a video"),
    (put("images", 0, "video_id", ...), r"'images\[0\].video_id' to be an integer, got nothing"),
    (put("images", 0, "file_name", 3), r"'images\[0\].file_name' to be a name, got 3"),
    (put("videos", 1, "id", 1), r"'videos\[1\].id' to be unique"),
    (put("videos", 1, "name", "v.mp4"), r"'videos\[1\].file_name' to be unique"),
    (put("annotations", 0, 5), r"'annotations\[0\]' to be an object, got 5"),
    (put("annotations", 0, "id", ...), r"'annotations\[0\].id' to be an integer, got nothing"),
    (put("annotations", 2, "id", 1), r"'annotations\[2\].id' to be unique"),
    (put("annotations", 0, "image_id", 8), "'annotations.0..image_id' to be the id of an image"),
    (put("annotations", 0, "image_id", True), r"'annotations\[0\].image_id' to be an integer"),
    (put("annotations", 0, "category_id", 8), "'annotations.0..category_id' to be the id of a"),
    (put("annotations", 0, "keypoints", ...), r"'annotations\[0\].keypoints' to be a list"),
    (
        put("annotations", 0, "keypoints", [1, 2, 2]),
        "a list of 6 .x, y, v of 2 keypoints., got '3 entries'",
    ),
    (put("annotations", 0, "keypoints", 4, NAN), r"'annotations\[0\].keypoints\[4\]' .* got nan"),
    (put("annotations", 0, "keypoints", 4, -INF), r"'annotations\[0\].keypoints\[4\]' .* got -inf"),
    (put("annotations", 0, "keypoints", 4, "3"), r"keypoints\[4\]' to be a number, got '3'"),
    (put("annotations", 0, "keypoints", 4, True), r"keypoints\[4\]' to be a number, got True"),
    (put("annotations", 0, "keypoints", 4, 10**400), r"keypoints\[4\]' .* an integer of 1329 bits"),
    (put("annotations", 0, "keypoints", 2, 3), r"keypoints\[2\]' to be a visibility of 0, 1 or 2"),
    (put("annotations", 0, "keypoints", 5, 0.5), r"keypoints\[5\]' to be a visibility"),
    (put("annotations", 0, "bbox", [1, 2, 3]), r"'annotations\[0\].bbox' to be a list of 4"),
    (put("annotations", 0, "bbox", [1, 2, -3, 4]), r"'annotations\[0\].bbox\[2\]' to be ≥ 0"),
    (put("annotations", 0, "bbox", [NAN, 2, 3, 4]), r"'annotations\[0\].bbox\[0\]' .* got nan"),
    (put("annotations", 0, "area", -1), r"'annotations\[0\].area' to be ≥ 0"),
    (put("annotations", 0, "area", NAN), r"'annotations\[0\].area' .* got nan"),
    (put("annotations", 0, "iscrowd", 2), r"'annotations\[0\].iscrowd'"),
    (put("annotations", 0, "track_id", "a"), r"'annotations\[0\].track_id' to be an integer"),
]


@pytest.mark.parametrize(("damage", "message"), BOTH)
@pytest.mark.parametrize("read", [read_labels, lambda d: read_predictions(d, read_labels(video()))])
def test_a_damaged_document_is_refused_by_the_name_of_the_field(damage, message, read):
    document = video()
    damage(document)
    with pytest.raises(BadDocument, match=message):
        read(document)


SCORES = [
    (put("annotations", 0, "score", ...), r"'annotations\[0\].score' to be a number, got nothing"),
    (put("annotations", 0, "score", NAN), r"'annotations\[0\].score' to be a finite number"),
    (put("annotations", 0, "score", 10**400), r"'annotations\[0\].score' to be a finite number"),
    (put("annotations", 0, "score", "1"), r"'annotations\[0\].score' to be a number, got '1'"),
    (put("annotations", 0, "score", True), r"'annotations\[0\].score' to be a number, got True"),
    (put("annotations", 0, "score", [1]), r"'annotations\[0\].score' to be a list of 2"),
    (put("annotations", 0, "score", [1, INF]), r"'annotations\[0\].score\[1\]' to be a finite"),
    (put("annotations", 2, "instance_score", NAN), r"'annotations\[2\].instance_score'"),
]


@pytest.mark.parametrize(("damage", "message"), SCORES)
def test_a_damaged_score_is_refused(damage, message):
    document = video()
    damage(document)
    with pytest.raises(BadDocument, match=message):
        read_predictions(document, read_labels(video()))


RESULTS = [
    (put(0, 3), r"'results\[0\]' to be an object"),
    (put(0, "image_id", ...), r"'results\[0\].image_id' to be an integer, got nothing"),
    (put(1, "image_id", 5), r"'results\[1\].image_id' to be the id of an image of the labels"),
    (put(1, "category_id", 5), r"'results\[1\].category_id' to be the id of a category of the lab"),
    (put(0, "keypoints", ...), r"'results\[0\].keypoints' to be a list"),
    (put(0, "keypoints", [1] * 9), r"'results\[0\].keypoints' to be a list of 6"),
    (put(0, "keypoints", 5, NAN), r"'results\[0\].keypoints\[5\]' .* got nan"),
    (put(0, "score", ...), r"'results\[0\].score' to be a number, got nothing"),
    (put(0, "score", INF), r"'results\[0\].score' to be a finite number"),
]


@pytest.mark.parametrize(("damage", "message"), RESULTS)
def test_a_damaged_result_is_refused(damage, message):
    items = results()
    damage(items)
    with pytest.raises(BadDocument, match=message):
        read_predictions(items, read_labels(loose()))


def test_a_track_twice_in_one_image_is_refused():
    document = video()
    document["annotations"].append(annotation(4, 1, [1, 1, 2, 1, 1, 2], track_id=7))
    with pytest.raises(BadDocument, match=r"'annotations\[3\].track_id' to be unique in its image"):
        read_labels(document)


def test_loose_pictures_with_one_name_are_refused():
    document = loose()
    document["images"][1]["file_name"] = "b.jpg"
    with pytest.raises(BadDocument, match=r"'images\[1\].file_name' to be unique"):
        read_labels(document)


@pytest.mark.parametrize("root", [None, 3, "no such file", [], [[]]])
def test_what_is_no_document_is_no_labels(root):
    with pytest.raises(BadDocument):
        read_labels(root)


@pytest.mark.parametrize("content", ["", "{", "null", "[1", '{"images": [], "images": []}'])
def test_files_that_are_no_documents(tmp_path, content):
    path = tmp_path / "labels.json"
    path.write_text(content)
    with pytest.raises(BadDocument):
        read_labels(path)
    with pytest.raises(BadDocument):
        read_predictions(path, read_labels(loose()))


def test_errors_say_which_file(tmp_path):
    truth, found = tmp_path / "labels.json", tmp_path / "results.json"
    truth.write_text(json.dumps(loose()))
    found.write_text(json.dumps([{**results()[0], "score": None}]))
    labels = read_labels(str(truth))
    with pytest.raises(BadDocument, match=r"In '.*results.json': Expected 'results\[0\].score'"):
        read_predictions(found, labels)
    truth.write_text(json.dumps(loose() | {"images": 3}))
    with pytest.raises(BadDocument, match=r"In '.*labels.json': Expected 'images'"):
        read_labels(truth)


# --- fuzz ----------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(
            [0, 1, 2, 9, -1, 4.5, 1e300, NAN, INF, 2**63, 10**400, "", "head", "\ud800"]
        ),
        st.integers(),
        st.floats(),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in decoded JSON, as keys that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))


def mutate(value, data):
    way = data.draw(st.sampled_from(sorted(places(value), key=str)))
    for key in way[:-1]:
        value = value[key]
    if data.draw(st.booleans()):
        value[way[-1]] = data.draw(JUNK)
    elif isinstance(value, list) and data.draw(st.booleans()):
        value.append(copy.deepcopy(value[way[-1]]))
    else:
        del value[way[-1]]


def check_sound(poses, source, *, scored):
    """Everything a metric relies on holds, and nobody has vanished or appeared."""
    assert len({s.name for s in poses.sequences}) == len(poses.sequences)
    count = 0
    for sequence in poses.sequences:
        indices = [frame.index for frame in sequence.frames]
        assert indices == sorted(set(indices))
        for frame in sequence.frames:
            one = frame.instances
            count += len(one)
            assert set(np.unique(one.visibility)) <= {0, 1, 2}
            assert (np.isfinite(one.xy).all(-1) == (one.visibility > 0)).all()
            assert not np.isinf(one.box).any()
            assert not (one.area < 0).any()
            assert not np.isinf(one.area).any()
            assert np.isfinite(one.score).all() == (scored or not len(one))
            given_ids = one.track_id[one.track_id != NO_TRACK].tolist()
            assert len(set(given_ids)) == len(given_ids)
    assert count <= len(source)
    return count


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_labels_are_refused_or_sound(data):
    document = data.draw(st.sampled_from([loose, video]))()
    for _ in range(data.draw(st.integers(1, 3))):
        if document:
            mutate(document, data)
    try:
        labels = read_labels(document)
    except BadDocument:
        return
    categories = [c for c in document["categories"] if c.get("keypoints")]
    own = [a for a in document["annotations"] if a["category_id"] == categories[0]["id"]]
    assert check_sound(labels, own, scored=False) == len(own)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_predictions_are_refused_or_sound(data):
    source, truth = data.draw(st.sampled_from([(results, loose), (video, video)]))
    items = source()
    for _ in range(data.draw(st.integers(1, 3))):
        if items:
            mutate(items, data)
    labels = read_labels(truth())
    try:
        predictions = read_predictions(items, labels)
    except BadDocument:
        return
    rows = items if isinstance(items, list) else items["annotations"]
    count = check_sound(predictions, rows, scored=True)
    if isinstance(items, list):
        assert count == len(rows)
    try:
        aligned = align(predictions, labels)
    except UsageError:
        return
    assert frames(aligned) == frames(labels)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=40), st.integers(0, 900), st.integers(0, 40))
def test_random_bytes_are_refused_or_sound(tmp_path, noise, start, length):
    content = json.dumps(video()).encode()
    path = tmp_path / "noise.json"
    path.write_bytes(content[:start] + noise + content[start + length :])
    try:
        labels = read_labels(path)
    except BadDocument:
        return
    check_sound(labels, json.loads(path.read_bytes())["annotations"], scored=False)
