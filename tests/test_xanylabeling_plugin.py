"""The parts of the plugin for X-AnyLabeling that need neither the app nor Qt."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from threading import Event

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "xanylabeling_plugin"))

from impose_xanylabeling import launcher, versions  # noqa: E402  from the folder above
from impose_xanylabeling.client import Client, ServiceDown, ServiceError  # noqa: E402
from impose_xanylabeling.clips import Clips  # noqa: E402
from impose_xanylabeling.poses import (  # noqa: E402
    body_size,
    is_human,
    is_uncertain,
    key_of,
    missing_in,
    moved_joints,
    persons_in,
    still_wanted,
)
from impose_xanylabeling.service_process import (  # noqa: E402
    RunningService,
    ServiceProcess,
)
from impose_xanylabeling.tally import Tally  # noqa: E402

STAND_IN = (sys.executable, str(ROOT / "tests" / "xanylabeling_service.py"))
NAMES = ("nose", "left_wrist", "right_wrist")


def point(person, label, x, y, **more):
    return {
        "label": label,
        "shape_type": "point",
        "points": [[x, y]],
        "group_id": person,
        "difficult": False,
        **more,
    }


def box(person):
    return {"label": "person", "shape_type": "rectangle", "group_id": person, "points": []}


@pytest.fixture
def service():
    process = ServiceProcess(STAND_IN)
    yield process
    process.stop()
    assert process.pid is None


@pytest.mark.parametrize("version", ["4.1.0", "4.2.1", "4.99"])
def test_supported_versions_pass(version):
    versions.check(version)


@pytest.mark.parametrize("version", ["4.0.2", "3.3.10", "5.0.0", "5.0.0rc1", "nightly", None])
def test_other_versions_are_refused_with_what_to_install(version):
    with pytest.raises(versions.UnsupportedHost, match=r'x-anylabeling-cvhub\[cpu\]>=4.1,<5"') as e:
        versions.check(version)
    assert version is None or version in str(e.value)


def test_launcher_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(versions, "installed", lambda: "3.3.10")
    assert launcher.main(["somewhere"]) == 2
    assert "got 3.3.10" in capsys.readouterr().err


def test_launcher_refuses_what_is_neither_folder_nor_video(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(versions, "installed", lambda: "4.2.1")
    assert launcher.main([str(tmp_path / "nothing.mp4"), "--service", "http://127.0.0.1:9"]) == 1
    assert "nothing.mp4" in capsys.readouterr().err


def test_only_joints_and_boxes_of_persons_have_a_key():
    assert key_of(point(1, "nose", 0, 0)) == (1, "nose", "point")
    assert key_of(box(2)) == (2, "person", "rectangle")
    for foreign in (
        point(None, "nose", 0, 0),
        point(True, "nose", 0, 0),
        {**box(1), "label": "car"},
        {"label": "person", "shape_type": "polygon", "group_id": 1},
    ):
        assert key_of(foreign) is None


def test_the_joint_that_moved_is_found_with_where_it_was():
    before = [box(1), *(point(1, n, i, i) for i, n in enumerate(NAMES)), point(2, "nose", 5, 5)]
    after = [*before[:2], point(1, "left_wrist", 9, 4), *before[3:]]
    assert moved_joints(before, after, NAMES) == {1: {"left_wrist": [1.0, 1.0]}}


def test_a_carried_person_is_not_a_correction():
    before = [point(1, n, i, i) for i, n in enumerate(NAMES)]
    after = [point(1, n, i + 5, i + 2) for i, n in enumerate(NAMES)]
    assert moved_joints(before, after, NAMES) == {}


def test_one_joint_alone_is_corrected_not_carried():
    moved = moved_joints([point(1, "nose", 1, 1)], [point(1, "nose", 2, 2)], NAMES)
    assert moved == {1: {"nose": [1.0, 1.0]}}


def test_points_of_other_names_and_new_points_did_not_move():
    before = [point(1, "tail", 1, 1)]
    assert moved_joints(before, [point(1, "tail", 2, 2), point(1, "nose", 3, 3)], NAMES) == {}


def test_what_was_touched_since_it_was_asked_is_left_alone():
    asked = [point(1, n, i, i) for i, n in enumerate(NAMES)]
    now = [
        asked[0],
        point(1, "left_wrist", 50, 50),  # moved since
        {**asked[2], "difficult": True},  # flagged since
    ]
    answer = [point(1, n, 7, 7) for n in NAMES] + [point(2, "nose", 8, 8)]
    wanted = still_wanted(answer, asked, now)
    assert [(s["group_id"], s["label"]) for s in wanted] == [(1, "nose"), (2, "nose")]
    assert still_wanted(answer[:1], asked, []) == []  # deleted since


def test_what_is_gone_from_a_file_goes_unless_a_human_touched_it():
    asked = [point(1, n, i, i) for i, n in enumerate(NAMES)]
    now = [asked[0], point(1, "left_wrist", 50, 50), asked[2]]  # the second was moved since
    assert missing_in(asked[2:], asked, now) == {(1, "nose", "point")}
    assert missing_in([], asked, []) == set()  # deleted since
    assert missing_in([], [], now) == set()  # drawn since


def test_who_is_there():
    assert persons_in([point(3, "nose", 0, 0), box(7), point(1, "nose", 0, 0)]) == [1, 3]


def test_human_is_what_no_tool_made_or_what_was_changed_since():
    made = {"origin": "propagated", "xy": [1.0, 2.0], "difficult": False, "deviation": 9.0}
    assert not is_human(point(1, "nose", 1, 2, impose=made))
    assert is_human(point(1, "nose", 1, 2))
    assert is_human(point(1, "nose", 1.5, 2, impose=made))
    assert is_human({**point(1, "nose", 1, 2, impose=made), "difficult": True})
    assert is_human(point(1, "nose", 1, 2, impose={"origin": "human"}))


def test_uncertain_is_a_tenth_of_a_body_and_never_a_human_point():
    made = {"origin": "propagated", "xy": [1.0, 2.0], "deviation": 9.0}
    assert is_uncertain(point(1, "nose", 1, 2, impose=made), 80)
    assert not is_uncertain(point(1, "nose", 1, 2, impose=made), 100)
    assert not is_uncertain(point(1, "nose", 3, 2, impose=made), 1)
    assert body_size([[0, 0], [30, 120]]) == 60


def test_the_tally_counts_work_and_not_the_lunch():
    tally = Tally()
    tally.click(100.0, 1)
    tally.key(104.0)
    tally.click(4000.0)
    assert (tally.clicks, tally.keys, tally.seconds) == (2, 1, 34.0)
    person = {"person": 1, "frames": 8, "human_joints": 3, "checked_frames": 0}
    line = tally.line([person], 12)
    assert "clicks 2, keys 1, 34 s" in line
    assert "frames done 8 of 12" in line
    assert "#1: clicks 1, frames 8, by hand 3" in line


def test_a_service_is_started_asked_and_stopped(service):
    clips = Clips(service)
    clip = clips.clip(("/data", None))
    assert clip.frame("/data/frame_00003.jpg") == 3
    assert clip.frame("/data/other.jpg") is None
    answer = clips.call(("/data", None), "refine", {"frame": 3, "shapes": [point(1, "nose", 1, 2)]})
    assert answer["shapes"] == [point(1, "nose", 1, 2)]


def test_a_killed_service_is_started_again_and_the_clip_opened(service):
    clips = Clips(service)
    clips.clip(("/data", None))
    first = service.pid
    os.kill(first, signal.SIGKILL)
    while service.pid is not None:
        time.sleep(0.01)
    assert clips.call(("/data", None), "refine", {"frame": 0, "shapes": []})["frame"] == 0
    assert service.pid not in (None, first)


def test_a_request_that_kills_every_service_is_given_up(service):
    with pytest.raises(ServiceDown):
        Clips(service).call(("/data", None), "refine", {"frame": 11, "shapes": []})


def test_a_service_that_keeps_dying_is_not_started_for_ever(service):
    clips = Clips(service)
    for _ in range(3):
        with pytest.raises(ServiceDown):
            clips.call(("/data", None), "refine", {"frame": 11, "shapes": []})
    with pytest.raises(ServiceDown, match="3 times in a row"):
        service.client()


def test_a_command_that_does_not_exist_or_ends_at_once_is_said():
    with pytest.raises(ServiceDown, match="cannot be started"):
        ServiceProcess(("/nowhere/impose",)).client()
    ends = ServiceProcess((sys.executable, "-c", "import sys; sys.exit('no weights')"))
    with pytest.raises(ServiceDown, match="no weights"):
        ends.client()
    ends.stop()


def test_refusals_come_with_their_words(service):
    client = Client(service.client().url, "wrong")
    with pytest.raises(ServiceError, match=r"A wrong token\.") as error:
        client.call("POST", "/impose/clips", {})
    assert (error.value.status, error.value.code) == (401, "unauthorized")
    assert error.value.hint == "Bring one."


def test_nobody_there_is_said():
    client = RunningService("http://127.0.0.1:9", None).client()
    with pytest.raises(ServiceDown):
        client.call("GET", "/health")
    with pytest.raises(ServiceDown):
        list(client.stream("/impose/extract", {}, Event()))


@pytest.mark.parametrize("url", ["https://example.org", "localhost:8765", "http://"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        Client(url)


def test_a_run_that_is_cut_off_is_told_from_one_that_failed(service):
    clips = Clips(service)
    events = clips.run(("/data", None), "propagate", {"count": 1}, Event())
    assert [next(events)["event"], next(events)["event"]] == ["started", "frame"]
    with pytest.raises(ServiceDown):
        next(events)
    with pytest.raises(ServiceError, match=r"No pixels\.") as error:
        list(clips.run(("/data", None), "propagate", {"count": 2}, Event()))
    assert error.value.code == "media"


def test_a_cancelled_run_closes_its_connection(service):
    clips, cancelled = Clips(service), Event()
    for _ in clips.run(("/data", None), "propagate", {"count": 3}, cancelled):
        cancelled.set()
    deadline = time.monotonic() + 10
    while not clips.get(("/data", None), "review")["closed_early"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
