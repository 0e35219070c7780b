import copy
import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impose_core.errors import BadDocument, OutputError, UsageError
from impose_core.io import files
from impose_core.io.coco import (
    PoseDocument,
    VideoInfo,
    check_video,
    parse_document,
    read_document,
    to_mapping,
    write_document,
)
from impose_core.io.coco import read as coco_read
from impose_core.poses import Origin, PoseTracks
from impose_core.skeleton import COCO17, Skeleton

SHARED = Path(__file__).parents[2] / "shared" / "data"
CLIPS = [
    "flies13_clip",
    "flies24_pair",
    "human_dance17",
    "lspet_500",
    "mouse_reaching",
    "p2s_multi_cam01",
    "p2s_multi_cam03",
    "p2s_single_cam01",
]


def person(frame: int, track: int, **more: object) -> dict:
    x = 20.1 + frame
    return {
        "id": 10 * frame + track,
        "image_id": frame + 1,
        "category_id": 1,
        "track_id": track,
        "keypoints": [x, 30.3, 2, x + 10, 40, 1, 0, 0, 0],
        "num_keypoints": 2,
        "bbox": [x - 1, 29.3, 12, 11.7],
        "area": 140.5,
        "iscrowd": 0,
        **more,
    }


def plain(frames: int = 3) -> dict:
    """Two persons, three joints; what another tool would hand us."""
    return {
        "info": {"year": 2024},
        "videos": [
            {"id": 1, "file_name": "a.mp4", "width": 100, "height": 80, "fps": 25, "n_frames": 3}
        ],
        "categories": [
            {"id": 1, "name": "bird", "keypoints": ["beak", "left_wing", "right_wing"]}
            | {"skeleton": [[1, 2], [1, 3]], "supercategory": "animal"}
        ],
        "images": [
            {"id": t + 1, "video_id": 1, "frame_id": t, "file_name": f"a.mp4#{t}"}
            | {"width": 100, "height": 80}
            for t in range(frames)
        ],
        "annotations": [person(t, track, source="user") for t in range(frames) for track in (1, 4)],
    }


def result() -> dict:
    """The same with the three lists a result carries."""
    document = plain()
    for annotation in document["annotations"]:
        annotation["score"] = [1.0, 0.8765, None]
        annotation["deviation"] = [0.0, 2.125, None]
        annotation["origin"] = ["human", "propagated", "none"]
    return document


def again(document: PoseDocument) -> PoseDocument:
    return parse_document(json.loads(json.dumps(to_mapping(document), allow_nan=False)))


# --- reading ---------------------------------------------------------------------------------


def test_a_plain_document_is_what_humans_marked():
    document = parse_document(plain())
    tracks = document.tracks
    assert tracks.track_id.tolist() == [1, 4]
    assert tracks.xy[2, 1, 0].tolist() == [22.1, 30.3]
    assert tracks.visibility[0, 0].tolist() == [2, 1, 0]
    assert tracks.origin[0, 0].tolist() == [Origin.HUMAN, Origin.HUMAN, Origin.NONE]
    assert tracks.score[0, 0, :2].tolist() == [1, 1]
    assert tracks.deviation[0, 0, :2].tolist() == [0, 0]
    assert document.video == VideoInfo(file_name="a.mp4", width=100, height=80, frames=3, fps=25)
    assert document.category == "bird"
    assert tracks.skeleton.flip_pairs == ((1, 2),)
    assert document.area[0].tolist() == [140.5, 140.5]
    np.testing.assert_allclose(tracks.box[0, 0], [19.1, 29.3, 31.1, 41.0])


def test_an_unlabelled_joint_is_unknown_whatever_its_coordinates():
    given_ = plain()
    given_["annotations"][0]["keypoints"][6:] = [55, 66, 0]
    tracks = parse_document(given_).tracks
    assert np.isnan(tracks.xy[0, 0, 2]).all()
    assert np.isnan(tracks.score[0, 0, 2])


def test_the_caller_says_whose_marks_a_plain_document_holds():
    tracks = parse_document(plain(), default_origin=Origin.DETECTED).tracks
    assert tracks.origin[0, 0].tolist() == [Origin.DETECTED, Origin.DETECTED, Origin.NONE]
    assert np.isnan(tracks.score).all()
    with pytest.raises(UsageError, match="default_origin"):
        parse_document(plain(), default_origin=Origin.NONE)


def test_a_result_carries_score_deviation_and_origin():
    tracks = parse_document(result()).tracks
    assert tracks.origin[0, 0].tolist() == [Origin.HUMAN, Origin.PROPAGATED, Origin.NONE]
    np.testing.assert_allclose(tracks.score[0, 0], [1, 0.8765, np.nan], rtol=1e-6)
    np.testing.assert_allclose(tracks.deviation[0, 0], [0, 2.125, np.nan])


def test_a_human_may_declare_a_joint_absent():
    given_ = result()
    given_["annotations"][0]["origin"][2] = "human"
    document = parse_document(given_)
    assert document.tracks.origin[0, 0, 2] == Origin.HUMAN
    assert document.tracks.visibility[0, 0, 2] == 0
    assert again(document) == document


def test_names_of_coco17_are_coco17_whatever_limbs_the_document_draws():
    given_ = plain()
    given_["categories"][0].update(keypoints=list(COCO17.keypoints), skeleton=[[17, 16]])
    given_["annotations"] = []
    document = parse_document(given_)
    assert document.tracks.skeleton is COCO17
    assert to_mapping(document)["categories"][0]["skeleton"] == [[17, 16]]


@pytest.mark.parametrize("key", ["n_frames", "length", "nframes"])
def test_the_video_says_how_many_frames_it_has(key):
    given_ = plain()
    del given_["videos"][0]["n_frames"]
    given_["videos"][0][key] = 7
    document = parse_document(given_)
    assert len(document.tracks) == document.video.frames == 7
    assert document.extra.listed == (0, 1, 2)


def test_without_a_stated_length_the_caller_knows_else_the_last_image_is_the_last_frame():
    given_ = plain()
    del given_["videos"][0]["n_frames"]
    assert len(parse_document(given_, frames=9).tracks) == 9
    assert len(parse_document(given_).tracks) == 3


def test_loose_pictures_are_ordered_as_a_person_would_order_their_names():
    given_ = plain()
    del given_["videos"]
    for image, name in zip(given_["images"], ["img10.jpg", "img9.jpg", "img100.jpg"], strict=True):
        image["file_name"] = name
        del image["frame_id"], image["video_id"]
    document = parse_document(given_)
    names = [document.extra.images[t]["file_name"] for t in range(3)]
    assert names == ["img9.jpg", "img10.jpg", "img100.jpg"]
    assert document.tracks.xy[1, 0, 0, 0] == 20.1, "the pose of image 1, img10, is on frame 1"
    assert again(document) == document


def test_pictures_of_several_sizes_keep_their_sizes():
    given_ = plain()
    del given_["videos"]
    given_["images"][1].update(width=60, height=90)
    document = parse_document(given_)
    assert (document.video.width, document.video.height) == (100, 90)
    assert "width" not in to_mapping(document)["videos"][0]
    assert again(document) == document


def test_annotations_without_track_need_the_callers_word():
    given_ = plain(1)
    given_["annotations"] = given_["annotations"][:1]
    del given_["annotations"][0]["track_id"]
    with pytest.raises(BadDocument, match=r"annotations\[0\]\.track_id") as error:
        parse_document(given_)
    assert "default_track" in error.value.hint
    assert parse_document(given_, default_track=5).tracks.track_id.tolist() == [5]


def test_where_no_box_is_given_it_is_the_extent_plus_ten_percent_inside_the_image():
    given_ = plain()
    annotation = given_["annotations"][0]
    del annotation["bbox"], annotation["area"]
    annotation["keypoints"] = [1.0, 30, 2, 51.0, 50, 2, 0, 0, 0]
    document = parse_document(given_)
    assert document.tracks.box[0, 0].tolist() == [0, 28, 56, 52]
    assert document.area[0, 0] == pytest.approx(0.53 * 56 * 24)
    assert again(document) == document


def test_one_number_for_the_person_in_score_is_kept_beside_the_joints_scores():
    given_ = plain()
    given_["annotations"][0]["score"] = 39.07
    given_["annotations"][1]["score"] = None
    document = parse_document(given_)
    written = to_mapping(document)["annotations"]
    assert written[0]["instance_score"] == 39.07
    assert written[0]["score"] == [1, 1, None]
    assert again(document) == document


def test_of_several_videos_the_caller_chooses_one():
    given_ = plain()
    given_["videos"].append({**given_["videos"][0], "id": 2, "file_name": "b.mp4"})
    given_["images"].append({**given_["images"][0], "id": 99, "video_id": 2})
    given_["annotations"].append(person(0, 8, image_id=99))
    with pytest.raises(BadDocument, match="one video, got 2") as error:
        parse_document(given_)
    assert "video_id" in error.value.hint
    assert parse_document(given_, video_id=1).tracks.track_id.tolist() == [1, 4]
    other = parse_document(given_, video_id=2)
    assert (other.tracks.track_id.tolist(), other.video.file_name) == ([8], "b.mp4")
    assert again(other) == other


def test_of_several_categories_the_caller_chooses_one():
    given_ = plain()
    given_["categories"].append({"id": 2, "name": "fish", "keypoints": ["fin"]})
    given_["annotations"].append(person(0, 8, category_id=2, keypoints=[1, 2, 2]))
    with pytest.raises(BadDocument, match="exactly one category with keypoints, got 2"):
        parse_document(given_)
    assert parse_document(given_, category="bird").tracks.track_id.tolist() == [1, 4]
    fish = parse_document(given_, category="fish")
    assert fish.tracks.skeleton.keypoints == ("fin",)
    assert again(fish) == fish


# --- exactness -------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [plain, result])
def test_writing_and_reading_gives_an_equal_document(make, tmp_path):
    document = parse_document(make())
    write_document(tmp_path / "a.json", document)
    assert read_document(tmp_path / "a.json") == document


def test_unknown_keys_are_kept_at_every_level():
    given_ = plain()
    given_["licenses"] = [{"id": 3}]
    given_["videos"][0].update(id=5, place="barn")
    given_["images"][1].update(id=77, weather="rain")
    for image in given_["images"]:
        image["video_id"] = 5
    for annotation in given_["annotations"][2:4]:
        annotation.update(image_id=77, segmentation=[[1, 2, 3]])
    given_["annotations"][2]["iscrowd"] = 1
    given_["categories"].insert(0, {"id": 4, "name": "tree", "color": "green"})
    written = to_mapping(parse_document(given_))
    assert (written["licenses"], written["info"]) == ([{"id": 3}], {"year": 2024})
    assert written["videos"][0]["id"] == 5
    assert written["videos"][0]["place"] == "barn"
    assert written["images"][1]["id"] == 77
    assert written["images"][1]["weather"] == "rain"
    assert {c["name"]: c.get("color", c.get("supercategory")) for c in written["categories"]} == {
        "bird": "animal",
        "tree": "green",
    }
    assert written["annotations"][2]["segmentation"] == [[1, 2, 3]]
    assert [a["iscrowd"] for a in written["annotations"]] == [0, 0, 1, 0, 0, 0]
    assert parse_document(written) == parse_document(given_)


@given(st.floats(-99, 199, allow_subnormal=True), st.sampled_from(["human", None]))
def test_a_humans_coordinates_leave_to_the_last_bit(x, origin):
    given_ = plain()
    given_["annotations"][0]["keypoints"][0] = x
    if origin:
        given_["annotations"][0]["origin"] = ["human", "human", "none"]
    written = to_mapping(parse_document(given_))["annotations"][0]["keypoints"][0]
    assert json.dumps(written) == json.dumps(x)


def test_estimates_are_written_to_a_thousandth_of_a_pixel():
    given_ = result()
    given_["annotations"][0]["keypoints"][3] = 30.123456
    document = parse_document(given_)
    assert to_mapping(document)["annotations"][0]["keypoints"][3] == 30.123
    assert again(document) == document


def test_a_wild_estimate_can_still_be_read_again():
    tracks = parse_document(result()).tracks.copy()
    tracks.xy[0, 0, 1] = 1e308
    tracks.deviation[0, 0, 1] = np.inf
    tracks.box[0, 0] = np.nan
    document = parse_document(result())
    wild = replace(document, tracks=tracks, area=np.full_like(document.area, np.nan))
    assert again(wild).tracks.xy[0, 0, 1].tolist() == [1e6, 1e6]


def test_a_person_of_whom_nothing_is_known_is_not_written():
    body = Skeleton(name="dot", keypoints=("beak",))
    tracks = PoseTracks.empty(frames=2, track_id=[9, 3], skeleton=body)
    tracks.xy[1, 1, 0], tracks.visibility[1, 1, 0] = (5, 6), 2
    tracks.origin[1, 1, 0], tracks.score[1, 1, 0] = Origin.PROPAGATED, 0.5
    video = VideoInfo(file_name="a.mp4", width=10, height=10, frames=2)
    document = PoseDocument(tracks=tracks, video=video, area=np.full((2, 2), np.nan))
    written = to_mapping(document)
    assert [i["frame_id"] for i in written["images"]] == [0, 1], "a result lists every frame"
    (only,) = written["annotations"]
    assert (only["id"], only["image_id"], only["track_id"]) == (1, 2, 3)
    assert only["bbox"] == [4, 5, 2, 2]
    assert (only["score"], only["deviation"], only["origin"]) == ([0.5], [None], ["propagated"])


def test_a_joint_nobody_placed_cannot_be_written():
    document = parse_document(plain())
    document.tracks.origin[0, 0, 0] = Origin.NONE
    with pytest.raises(BadDocument, match="'beak' of track 1 in frame 0"):
        to_mapping(document)


def test_a_ledger_of_another_length_is_no_document():
    document = parse_document(plain())
    with pytest.raises(UsageError, match=r"video\.frames"):
        replace(document, video=replace(document.video, frames=4))
    with pytest.raises(UsageError, match="area"):
        replace(document, area=document.area[:2])


def test_documents_differ_where_one_number_differs():
    document, other = parse_document(plain()), parse_document(plain())
    assert document == other
    other.tracks.xy[0, 0, 0, 0] += 1e-12
    assert document != other
    assert document != "a document"


# --- files -----------------------------------------------------------------------------------


def test_a_document_of_another_video_is_refused():
    document = parse_document(plain())
    check_video(document, width=100, height=80, frames=3, name="a.mp4")
    with pytest.raises(BadDocument, match=r"'b.mp4' \(100×80, 4 frames\), got one of 'a.mp4'"):
        check_video(document, width=100, height=80, frames=4, name="b.mp4")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.json.*No space left"):
        write_document(path, parse_document(plain()))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "old")]


@pytest.mark.parametrize("name", ["no/such/folder.json", "", "nul\0.json"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, name):
    with pytest.raises(OutputError, match="can be written"):
        write_document(f"{tmp_path}/{name}", parse_document(plain()))
    assert list(tmp_path.iterdir()) == []


def test_a_written_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_document(tmp_path / "link.json", parse_document(plain()))
    assert (tmp_path / "link.json").is_symlink()
    assert read_document(tmp_path / "real.json") == parse_document(plain())


def test_nan_is_never_written(tmp_path):
    document = parse_document(plain())
    odd = replace(document, extra=replace(document.extra, document={"info": float("nan")}))
    with pytest.raises(BadDocument, match="extra"):
        write_document(tmp_path / "a.json", odd)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff\xfe\xfa", "JSON"),
        (b"[1]", "'document' to be an object"),
        (b"{}", "'categories' to be a list, got nothing"),
        (b"[" * 100_000, "deep"),
        (b'{"info": ' + b"[" * 80 + b"]" * 80 + b"}", "deep"),
        (b'{"info": ' + b"9" * 5000 + b"}", "JSON"),
        (b'{"info": ' + b"9" * 400 + b"}", "'info' to be a number that fits a double"),
        (b'{"info": {"a": [NaN]}}', r"'info.a\[0\]' to be a finite number, got nan"),
        (b'{"info": -Infinity}', "'info' to be a finite number, got -inf"),
        (b'{"info": 1e999}', "'info' to be a finite number, got inf"),
        (b'{"info": 1, "info": 2}', "'info' twice"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path, content, complaint):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadDocument, match=complaint):
        read_document(path)


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadDocument, match="No such file"):
        read_document(tmp_path / "none.json")
    with pytest.raises(BadDocument, match="directory"):
        read_document(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    monkeypatch.setattr(files, "MAX_BYTES", 1)
    with pytest.raises(BadDocument, match="at most 1 bytes, got 2"):
        read_document(tmp_path / "a.json")


# --- bad input -------------------------------------------------------------------------------

MISSING = object()
A0, A1, I0 = ("annotations", 0), ("annotations", 1), ("images", 0)
V0, C0 = ("videos", 0), ("categories", 0)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("images",), MISSING, "'images' to be a list, got nothing"),
        (("videos",), {}, "'videos' to be a list"),
        (("annotations",), {}, "'annotations' to be a list"),
        (("categories",), [], "exactly one category with keypoints"),
        ((*C0, "keypoints"), [], "exactly one category with keypoints"),
        ((*C0, "keypoints"), ["a", "b", "a"], r"categories\[0\].*'a' 2 times"),
        ((*C0, "keypoints"), ["a", 1, "b"], r"categories\[0\]\.keypoints\[1\]' to be a name"),
        ((*C0, "keypoints"), [*"abcd"], r"annotations\[0\]\.keypoints' to be a list of 12"),
        ((*C0, "skeleton"), [[1, 4]], r"categories\[0\]\.skeleton\[0\]\[1\]' .* ≤ 3, got 4"),
        ((*C0, "skeleton"), [[1, 1]], r"edges\[0\]"),
        ((*C0, "skeleton"), [[1]], r"skeleton\[0\]' to be a list of 2, got"),
        ((*C0, "id"), 2, r"annotations\[0\]\.category_id' to be the id of a category"),
        ((*V0, "width"), 0, r"videos\[0\]\.width"),
        ((*V0, "width"), 101, r"images\[0\]\.width' to be 101"),
        ((*V0, "fps"), 0, r"videos\[0\]\.fps' to be above 0"),
        ((*V0, "n_frames"), 2, r"images\[2\]\.frame_id' to be a frame from 0 to 1, got 2"),
        ((*V0, "n_frames"), 10**9, r"videos\[0\]\.n_frames"),
        ((*I0, "id"), 2, r"images\[1\]\.id' to be unique"),
        ((*I0, "id"), 9, r"annotations\[0\]\.image_id' to be the id of an image"),
        ((*I0, "frame_id"), 1, r"images\[1\]\.frame_id' to be unique"),
        ((*I0, "frame_id"), 0.0, r"images\[0\]\.frame_id' to be an integer"),
        ((*I0, "frame_id"), MISSING, r"images\[0\]\.frame_id' .*got nothing"),
        ((*I0, "frame_id"), -1, r"images\[0\]\.frame_id' to be an integer ≥ 0"),
        ((*I0, "video_id"), 2, r"images\[0\]\.video_id' to be the id of a video"),
        ((*A0, "id"), 4, r"annotations\[1\]\.id' to be unique"),
        ((*A0, "id"), True, r"annotations\[0\]\.id' to be an integer, got True"),
        ((*A0, "track_id"), 4, r"annotations\[1\]\.track_id' to be once in frame 0"),
        ((*A0, "track_id"), MISSING, r"annotations\[0\]\.track_id' .*got nothing"),
        ((*A0, "track_id"), 2**63, r"annotations\[0\]\.track_id' to be an integer"),
        ((*A0, "track_id"), "1", r"annotations\[0\]\.track_id' to be an integer, got '1'"),
        ((*A0, "keypoints"), MISSING, r"annotations\[0\]\.keypoints' to be a list"),
        ((*A0, "keypoints"), [1] * 8, r"annotations\[0\]\.keypoints' to be a list of 9 "),
        ((*A1, "keypoints", 4), None, r"annotations\[1\]\.keypoints\[4\]' to be a number"),
        ((*A1, "keypoints", 4), True, r"annotations\[1\]\.keypoints\[4\]' to be a number"),
        ((*A1, "keypoints", 4), "40", r"annotations\[1\]\.keypoints\[4\]' to be a number"),
        ((*A1, "keypoints", 4), float("nan"), r"annotations\[1\]\.keypoints\[4\]' .*finite"),
        ((*A1, "keypoints", 5), 3, r"annotations\[1\]\.keypoints\[5\]' to be a visibility"),
        ((*A1, "keypoints", 5), -1, r"annotations\[1\]\.keypoints\[5\]' to be a visibility"),
        ((*A1, "keypoints", 5), 1.5, r"annotations\[1\]\.keypoints\[5\]' to be a visibility"),
        ((*A1, "keypoints", 3), 201, r"keypoints\[3\]' to be in or near the image of 100×80"),
        ((*A1, "keypoints", 4), -81, r"keypoints\[4\]' to be in or near the image of 100×80"),
        ((*A0, "bbox"), [1, 2, 3], r"annotations\[0\]\.bbox' to be a list of 4"),
        ((*A0, "bbox"), [1, 2, -3, 4], r"annotations\[0\]\.bbox\[2\]' to be ≥ 0, got -3"),
        ((*A0, "bbox"), [1, 2, 1e9, 4], r"annotations\[0\]\.bbox' to be within"),
        ((*A0, "bbox"), [1e308, 2, 1e308, 4], r"annotations\[0\]\.bbox' to be within"),
        ((*A0, "area"), -1, r"annotations\[0\]\.area' to be ≥ 0, got -1"),
        ((*A0, "iscrowd"), 2, r"annotations\[0\]\.iscrowd"),
        ((*A0, "score"), [0.5, 1.5, None], r"score\[1\]' to be ≥ 0 and ≤ 1, got 1.5"),
        ((*A0, "score"), "high", r"annotations\[0\]\.score' to be a number"),
        ((*A0, "deviation"), [0, -1, 0], r"annotations\[0\]\.deviation\[1\]"),
        ((*A0, "origin"), ["human"], r"annotations\[0\]\.origin' to be a list of 3"),
        ((*A0, "origin"), ["human", "robot", "none"], r"origin\[1\]' to be one of .*'robot'"),
        ((*A0, "origin"), ["none", "human", "none"], r"origin\[0\]' to be given"),
    ],
)
def test_bad_input_is_named_with_its_place(path, value, complaint):
    document = plain()
    at = document
    for key in path[:-1]:
        at = at[key]
    if value is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    with pytest.raises(BadDocument, match=complaint):
        parse_document(document)


def test_a_ledger_that_would_not_fit_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr(coco_read, "MAX_JOINTS", 10)
    with pytest.raises(BadDocument, match="3 × 2 × 3"):
        parse_document(plain())


def test_annotations_of_a_category_without_keypoints_are_not_dropped_unasked():
    document = plain()
    document["categories"].append({"id": 2, "name": "nest"})
    document["annotations"][0]["category_id"] = 2
    with pytest.raises(BadDocument, match="category_id") as error:
        parse_document(document)
    assert "category='bird'" in error.value.hint


# --- fuzz ------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, 1, 2, 3, -1, 4.5, 1e300, float("nan"), 2**63, 10**400, "", "human", "\ud800"]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in [(*path, k), *places(v, (*path, k))]]
    if isinstance(value, list):
        return [p for k, v in enumerate(value) for p in [(*path, k), *places(v, (*path, k))]]
    return []


def mutate(document: dict, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(places(document)))
    at = document
    for key in path[:-1]:
        at = at[key]
    act = data.draw(st.sampled_from(["delete", "replace", "duplicate", "move"]))
    if act == "delete":
        del at[path[-1]]
    elif act == "duplicate" and isinstance(at, list):
        at.insert(path[-1], copy.deepcopy(at[path[-1]]))
    elif act == "move":
        other = data.draw(st.sampled_from(places(document)))
        found = document
        for key in other:
            found = found[key]
        at[path[-1]] = copy.deepcopy(found)
    else:
        at[path[-1]] = data.draw(JSON)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_document_is_refused_or_read_as_something_that_round_trips(data):
    given_ = data.draw(st.sampled_from([plain, result]))()
    for _ in range(data.draw(st.integers(1, 3))):
        if given_:
            mutate(given_, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_read, "MAX_JOINTS", 10_000)
        try:
            document = parse_document(given_)
        except BadDocument:
            return
        assert again(document) == document


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=40), st.integers(0, 3000), st.integers(0, 40))
def test_random_bytes_are_refused_or_read_as_something_that_round_trips(
    tmp_path_factory, noise, start, length
):
    path = tmp_path_factory.getbasetemp() / "noise.json"
    content = json.dumps(result()).encode()
    path.write_bytes(content[:start] + noise + content[start + length :])
    try:
        document = read_document(path)
    except BadDocument:
        return
    assert again(document) == document


# --- the development clips -------------------------------------------------------------------


@pytest.mark.parametrize("clip", CLIPS)
def test_development_clips_survive_a_rewrite(clip, tmp_path):
    path = SHARED / clip / "annotations.json"
    if not path.exists():
        pytest.skip(f"{path} is not there: development data is not part of the package")
    loose = clip == "lspet_500"  # pictures, one person each, no track ids
    document = read_document(path, default_track=0 if loose else None)
    write_document(tmp_path / "a.json", document)
    assert read_document(tmp_path / "a.json") == document

    old, new = json.loads(path.read_text()), json.loads((tmp_path / "a.json").read_text())
    assert new["categories"] == old["categories"]
    assert {i["id"] for i in new["images"]} == {i["id"] for i in old["images"]}
    rewritten = {(a["image_id"], a["track_id"]): a for a in new["annotations"]}
    assert len(rewritten) == len(old["annotations"])
    for a in old["annotations"]:
        b = rewritten[a["image_id"], a.get("track_id", 0)]
        known = [v > 0 for v in a["keypoints"][2::3] for _ in range(3)]
        assert b["keypoints"] == [x if k else 0 for x, k in zip(a["keypoints"], known, strict=True)]
        assert b["bbox"] == pytest.approx(a["bbox"], abs=0.1)
        assert b["area"] == a["area"]
