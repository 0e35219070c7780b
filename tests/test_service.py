"""The requests of docs/service.md, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service is an extra: pip install 'impose[serve]'")
pytest.importorskip("uvicorn")

import cv2

from impose_core.engine import Engine
from impose_core.frames import open_frames
from impose_core.readers.movenet import MoveNet
from tests.media import numbered_frames, write_video
from tests.service_clips import (
    FRAMES,
    Caller,
    contents,
    joints,
    labels,
    make_images,
    places,
    running,
    truth,
    write_labels,
)

DEMO = Path(__file__).parent.parent / "docs" / "demo" / "clip.mp4"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running() as found:
        yield found


@pytest.fixture
def clip(client: httpx.Client, tmp_path: Path) -> Caller:
    folder = make_images(tmp_path / "clip")
    write_labels(folder, 0, joints(0))
    return Caller(client, folder)


def test_health_says_who_answers(client: httpx.Client) -> None:
    said = client.get("/health").json()
    assert (said["status"], said["name"], said["protocol"]) == ("ok", "impose", 1)


def test_open_tells_frames_in_order_and_how_far_everybody_is(clip: Caller) -> None:
    assert clip.about["frames"] == FRAMES
    assert clip.about["images"][2] == "frame_00002.png"
    assert clip.about["keypoints"][0] == "nose"
    (person,) = clip.about["persons"]
    assert (person["person"], person["frames"], person["human_joints"]) == (1, 1, 17)


def test_opening_twice_gives_the_same_clip(clip: Caller) -> None:
    again = clip.client.post("/impose/clips", json={"path": str(clip.folder)})
    assert again.json()["clip"] == clip.about["clip"]


def test_forward_writes_every_frame_after_and_no_other(clip: Caller) -> None:
    before = contents(clip.folder)
    lines = clip.lines("propagate", frame=0, direction="forward", count=10)
    assert [line["frame"] for line in lines if line["event"] == "frame"] == list(range(1, 11))
    assert lines[-1] | {"seconds": 0} == {
        "event": "finished", "cancelled": False, "run": lines[0]["run"], "written": 10,
        "kept": 0, "seconds": 0,
    }  # fmt: skip
    after = contents(clip.folder)
    assert len(after) == 11
    assert after["frame_00000.json"] == before["frame_00000.json"]
    assert np.allclose(list(places(clip.folder, 7).values()), truth(7), atol=0.5)


def test_backward_is_nearest_first_and_the_same_as_forward(clip: Caller) -> None:
    (clip.folder / "frame_00000.json").unlink()
    write_labels(clip.folder, 20, joints(20))
    lines = clip.lines("propagate", frame=20, direction="backward")
    assert [line["frame"] for line in lines if line["event"] == "frame"] == list(range(19, -1, -1))
    backward = contents(clip.folder)
    assert {
        line["outcome"]
        for line in clip.lines("propagate", start=0, stop=20)
        if line["event"] == "frame"
    } == {"same"}
    assert contents(clip.folder) == backward


def test_between_stays_between_the_nearest_checked_frames(clip: Caller) -> None:
    for frame in (5, 15):
        write_labels(clip.folder, frame, joints(frame), checked=True)
    lines = clip.lines("propagate", frame=8, direction="between")
    assert lines[0]["frames"] == list(range(6, 15))


def test_checked_frames_are_skipped_and_their_joints_are_anchors(clip: Caller) -> None:
    shapes = joints(10)
    shapes[9]["points"][0][0] += 30.0
    noted = {"origin": "propagated", "xy": shapes[9]["points"][0], "difficult": False}
    shapes[9]["impose"] = noted
    path = write_labels(clip.folder, 10, shapes, checked=True)
    before = path.read_bytes()
    lines = clip.lines("propagate", start=1, stop=20)
    assert lines[0]["skipped"] == [{"frame": 10, "reason": "checked"}]
    assert path.read_bytes() == before
    assert abs(places(clip.folder, 9)["left_wrist"][0] - truth(9)[9, 0]) > 15


def test_a_moved_joint_is_human_and_never_moves_again(clip: Caller) -> None:
    clip.lines("propagate", frame=0, direction="forward", count=10)
    document = labels(clip.folder, 6)
    wrist = next(s for s in document["shapes"] if s["label"] == "left_wrist")
    wrist["points"] = [[150.123456789, 77.7]]
    (clip.folder / "frame_00006.json").write_text(json.dumps(document))
    clip.lines("propagate", start=0, stop=FRAMES)
    after = next(s for s in labels(clip.folder, 6)["shapes"] if s["label"] == "left_wrist")
    assert after["points"] == [[150.123456789, 77.7]]
    assert abs(places(clip.folder, 5)["left_wrist"][0] - truth(5)[9, 0]) > 10  # it counts nearby


def test_a_deleted_joint_stays_deleted(clip: Caller) -> None:
    clip.lines("propagate", frame=0, direction="forward", count=10)
    document = labels(clip.folder, 4)
    document["shapes"] = [s for s in document["shapes"] if s["label"] != "right_ear"]
    (clip.folder / "frame_00004.json").write_text(json.dumps(document))
    for _ in range(2):  # also once the file was written anew
        clip.lines("propagate", frame=0, direction="forward", count=10)
        assert "right_ear" in places(clip.folder, 3)
        assert all("right_ear" not in places(clip.folder, frame) for frame in (4, 5, 9))


def test_foreign_shapes_survive_a_run(clip: Caller) -> None:
    car = {"label": "car", "shape_type": "polygon", "points": [[1, 2], [3, 4], [5, 6.10]], "x": {}}
    nameless = {"label": "nose", "shape_type": "point", "points": [[1, 1]], "group_id": None}
    write_labels(clip.folder, 3, [car, nameless], note="é", huge=12345678901234567890)
    clip.lines("propagate", frame=0, direction="forward", count=5)
    after = labels(clip.folder, 3)
    assert after["shapes"][:2] == [car, nameless]
    assert (after["note"], after["huge"]) == ("é", 12345678901234567890)


def test_nothing_to_go_on_from_is_said(clip: Caller) -> None:
    (clip.folder / "frame_00000.json").unlink()
    answer = clip.post("propagate", {"frame": 0, "direction": "forward"})
    assert answer.status_code == 400
    assert "human placed" in answer.json()["error"]["message"]


def test_the_displayed_frame_comes_back_and_is_not_written(clip: Caller) -> None:
    shown = {"frame": 5, "shapes": [{"label": "car", "shape_type": "circle", "points": []}]}
    lines = clip.lines("propagate", frame=0, direction="forward", count=8, displayed=shown)
    (line,) = [one for one in lines if one.get("frame") == 5]
    assert line["outcome"] == "displayed"
    assert line["shapes"][0] == shown["shapes"][0]
    assert len([s for s in line["shapes"] if s.get("group_id") == 1]) == 18
    assert set(line["impose"]["joints"]) == {"1"}
    assert not (clip.folder / "frame_00005.json").exists()


def test_what_is_displayed_counts_before_the_file(clip: Caller) -> None:
    shown = {"frame": 0, "shapes": joints(0, shift=40.0)}
    clip.lines("propagate", frame=0, direction="forward", count=3, displayed=shown)
    assert np.allclose(list(places(clip.folder, 2).values()), truth(2, 40.0), atol=0.5)


def test_after_a_drag_human_joints_stay_and_others_become_seeds(clip: Caller) -> None:
    shapes = joints(0, shift=30.0)
    for shape in shapes:
        point = shape["points"][0]
        noted = {"origin": "propagated", "xy": list(point), "difficult": False, "deviation": 9.0}
        shape["impose"] = noted
    moved, still = shapes[9], shapes[10]
    moved["points"] = [truth(0)[9].tolist()]
    still.pop("impose")  # a human placed it there
    said = clip.said("refine", frame=0, person=1, moved=["left_wrist"], shapes=shapes)
    found = {s["label"]: s for s in said["shapes"]}
    assert found["left_wrist"]["impose"]["origin"] == "human"
    assert found["left_wrist"]["points"] == moved["points"]
    assert "right_wrist" not in found
    rest = [s["impose"] for name, s in found.items() if name != "left_wrist"]
    assert rest
    assert all(noted["seed"] and noted["origin"] == "detected" for noted in rest)
    assert contents(clip.folder).keys() == {"frame_00000.json"}


def test_a_drag_brings_a_real_body_back(tmp_path: Path) -> None:
    """The joints that were put 60 px beside a real person go where a reader sees them."""
    folder = tmp_path / "clip"
    folder.mkdir()
    with open_frames(DEMO) as frames:
        cv2.imwrite(str(folder / "a.png"), cv2.cvtColor(frames.read(0), cv2.COLOR_RGB2BGR))
    with running(Engine(reader=MoveNet())) as client:
        clip = Caller(client, folder)
        found = clip.said("detect_frame", frame=0, shapes=[])["shapes"]
        mine = [s for s in found if s["group_id"] == 1 and s["shape_type"] == "point"]
        seen = {s["label"]: np.array(s["points"][0]) for s in mine}
        arm = ("right_shoulder", "right_elbow", "right_wrist", "right_hip")
        for shape in mine:
            if shape["label"] in arm:
                shape["points"] = [(seen[shape["label"]] + [60, 0]).tolist()]
                shape["impose"] |= {"xy": shape["points"][0], "deviation": 20.0}
        wrist = next(s for s in mine if s["label"] == "right_wrist")
        wrist["points"] = [seen["right_wrist"].tolist()]
        said = clip.said("refine", frame=0, person=1, moved=["right_wrist"], shapes=mine)
        boxes = [s for s in found if s["group_id"] == 1 and s["shape_type"] == "rectangle"]
        (x1, y1), _, (x2, y2), _ = boxes[0]["points"]
        drawn = clip.said("box", frame=0, box_xyxy=[x1, y1, x2, y2], shapes=[])
    after = {s["label"]: np.array(s["points"][0]) for s in said["shapes"]}
    off = [np.linalg.norm(after[name] - seen[name]) for name in arm if name in after]
    assert len(off) >= 3
    assert np.median(off) < 10
    posed = {s["label"]: np.array(s["points"][0]) for s in drawn["shapes"] if s["label"] in seen}
    assert np.median([np.linalg.norm(posed[name] - seen[name]) for name in posed]) < 10


def test_box_gives_a_pose_and_a_new_id(clip: Caller) -> None:
    said = clip.said("box", frame=2, box_xyxy=[30, 30, 80, 180], shapes=[])
    assert said["person"] == 2
    assert [s["shape_type"] for s in said["shapes"]] == ["rectangle"] + ["point"] * 17
    assert {s["group_id"] for s in said["shapes"]} == {2}


def test_detect_frame_finds_only_who_is_not_there_yet(clip: Caller) -> None:
    said = clip.said("detect_frame", frame=0, shapes=joints(0))
    assert said["persons"] == [2]
    beside = clip.said("detect_frame", frame=1, shapes=[])
    assert beside["persons"] == [1, 2]  # who stands where person 1 stood is person 1


def test_detect_finds_everybody_with_one_identity(clip: Caller) -> None:
    (clip.folder / "frame_00000.json").unlink()
    lines = clip.lines("detect", every=3)
    assert lines[-1]["written"] == FRAMES
    assert any(line["event"] == "looked" for line in lines)
    persons = clip.client.get(clip.base).json()["persons"]
    assert [(p["person"], p["frames"]) for p in persons] == [(1, FRAMES), (2, 29)] or [
        p["frames"] for p in persons
    ] == [FRAMES, FRAMES]
    # what a rebuilt session makes of the files is what stands there
    again = clip.lines("propagate", start=0, stop=FRAMES)
    assert {line["outcome"] for line in again if line["event"] == "frame"} == {"same"}


def test_swap_from_a_frame_on_and_back_by_undo(clip: Caller) -> None:
    write_labels(clip.folder, 0, joints(0) + joints(0, 2, 100.0))
    clip.lines("propagate", frame=0, direction="forward", count=10)
    before = contents(clip.folder)
    said = clip.said("identity", act="swap", frame=4, first=1, second=2)
    assert said["written"] == list(range(4, 11))
    assert places(clip.folder, 6, 1)["nose"] == pytest.approx(truth(6, 100.0)[0], abs=0.5)
    assert places(clip.folder, 3, 1)["nose"] == pytest.approx(truth(3)[0], abs=0.5)
    # the estimate agrees with what was said
    clip.lines("propagate", frame=4, direction="forward")
    assert places(clip.folder, 20, 1)["nose"] == pytest.approx(truth(20, 100.0)[0], abs=1.0)
    clip.said("undo")
    undone = clip.said("undo")
    assert undone["written"] == list(range(4, 11))
    assert contents(clip.folder) == before
    redone = clip.said("undo", run=undone["run"])
    assert redone["written"] == list(range(4, 11))
    assert places(clip.folder, 6, 1)["nose"] == pytest.approx(truth(6, 100.0)[0], abs=0.5)


def test_split_and_merge_are_inverse(clip: Caller) -> None:
    clip.lines("propagate", frame=0, direction="forward")
    said = clip.said("identity", act="split", frame=12, person=1)
    assert said["person"] == 2
    clip.lines("propagate", start=0, stop=FRAMES)
    assert not places(clip.folder, 20, 1)
    assert not places(clip.folder, 5, 2)
    clip.said("identity", act="merge", keep=1, absorb=2)
    clip.lines("propagate", start=0, stop=FRAMES)
    assert all(len(places(clip.folder, frame, 1)) == 17 for frame in (5, 12, 20))


def test_merge_of_two_whom_a_human_placed_on_one_frame_is_refused(clip: Caller) -> None:
    write_labels(clip.folder, 0, joints(0) + joints(0, 2, 100.0))
    before = contents(clip.folder)
    answer = clip.post("identity", {"act": "merge", "keep": 1, "absorb": 2})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert contents(clip.folder) == before


def test_end_and_assign(clip: Caller) -> None:
    clip.lines("propagate", frame=0, direction="forward")
    clip.said("identity", act="end", frame=12, person=1)
    clip.lines("propagate", start=0, stop=FRAMES)
    assert places(clip.folder, 11)
    assert not places(clip.folder, 12)
    assert not places(clip.folder, 25)
    clip.said("identity", act="assign", person=1, new_person=7)
    assert len(places(clip.folder, 5, 7)) == 17
    assert not places(clip.folder, 5, 1)


def test_identity_of_the_displayed_frame_comes_back(clip: Caller) -> None:
    write_labels(clip.folder, 0, joints(0) + joints(0, 2, 100.0))
    before = contents(clip.folder)
    shown = {"frame": 0, "shapes": joints(0) + joints(0, 2, 100.0)}
    said = clip.said("identity", act="swap", frame=0, first=1, second=2, displayed=shown)
    assert [s["group_id"] for s in said["displayed"]["shapes"]] == [2] * 17 + [1] * 17
    assert contents(clip.folder) == before


def test_review_names_frames_worth_a_look(clip: Caller) -> None:
    clip.lines("propagate", frame=0, direction="forward")
    found = clip.client.get(f"{clip.base}/review", params={"limit": 3}).json()["suggestions"]
    assert 1 <= len(found) <= 3
    assert found[0]["person"] == 1
    assert found[0]["frame"] > 0


def test_a_video_becomes_a_folder_of_all_its_frames(client: httpx.Client, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", numbered_frames(6))
    answer = client.post("/impose/extract", json={"video": str(video)})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0]["folder"] == str(tmp_path / "v")
    assert lines[-1]["written"] == 6
    assert len(list((tmp_path / "v").glob("frame_*.jpg"))) == 6
    needs = client.post("/impose/clips", json={"path": str(video)})
    assert needs.status_code == 400
    assert "extract" in needs.json()["error"]["hint"]
    opened = client.post("/impose/clips", json={"path": str(video), "labels": str(tmp_path)})
    assert opened.json()["frames"] == 6


def test_a_closed_clip_is_unknown(clip: Caller) -> None:
    assert clip.client.delete(clip.base).json() == {"closed": True}
    answer = clip.client.get(clip.base)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_clip")
