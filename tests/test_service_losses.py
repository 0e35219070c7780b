"""Nothing an annotator made is lost: killed, faulty, full disk, other writers, bad requests."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service is an extra: pip install 'impose[serve]'")
pytest.importorskip("uvicorn")

import impose_core.io.xanylabeling_files as files
from impose_core.engine import Engine
from impose_core.io.xanylabeling_frame import FrameLabels
from tests.fakes import FieldTracker
from tests.service_clips import (
    FRAMES,
    STEP,
    Caller,
    contents,
    fake_engine,
    joints,
    make_images,
    running,
    write_labels,
)

CHILD = """
import sys, time
import numpy as np
from tests import service_clips as clips
from tests.fakes import FieldTracker
from impose_core.cli import engines
from impose_core.cli import serve

def slow(t, xy):
    time.sleep({pause})
    return np.broadcast_to(clips.STEP, xy.shape)

serve.engine_of = lambda reader, **_: clips.fake_engine(FieldTracker(slow))
from impose_core.cli import main
sys.argv = ["impose", "serve", "--port", "0", "--stop-with-stdin"]
main()
"""


class Child:
    """``impose serve`` as a process of its own, with an engine that takes its time."""

    def __init__(self, pause: float) -> None:
        env = {**os.environ, "IMPOSE_TOKEN": "secret", "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(pause=pause)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
        )
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        assert ready["event"] == "ready"
        self.client = httpx.Client(base_url=ready["url"], headers={"Token": "secret"}, timeout=60)

    def end(self) -> int:
        """Close its standard input, and see how it ends."""
        self.client.close()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        self.client.close()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make_images(tmp_path / "clip")
    write_labels(made, 0, joints(0))
    return made


def expected(folder: Path, tmp_path: Path) -> dict[str, bytes]:
    """What an undisturbed service leaves of the same clip."""
    twin = make_images(tmp_path / "twin" / folder.name)
    for name, content in contents(folder).items():
        (twin / name).write_bytes(content)
    with running() as client:
        Caller(client, twin).lines("propagate", frame=0, direction="forward")
    return contents(twin)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_service_killed_in_mid_run_is_started_again_and_ends_alike(
    folder: Path, tmp_path: Path
) -> None:
    wanted = expected(folder, tmp_path)
    child = Child(pause=0.01)
    clip = Caller(child.client, folder)
    body = {"frame": 0, "direction": "forward"}
    with child.client.stream("POST", f"{clip.base}/propagate", json=body) as answer:
        lines = answer.iter_lines()
        while '"frame":4,' not in next(lines):
            pass
        child.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):  # cut off, and not ended
            list(lines)
    child.kill()
    halfway = contents(folder)
    assert 4 <= len(halfway) < FRAMES
    assert all(wanted[name] == content for name, content in halfway.items())
    again = Child(pause=0.0)
    Caller(again.client, folder).lines("propagate", frame=0, direction="forward")
    assert contents(folder) == wanted
    # the killed run can still be taken back
    clip = Caller(again.client, folder)
    clip.said("undo")
    clip.said("undo")
    assert contents(folder).keys() == {"frame_00000.json"}
    assert again.end() == 0


def test_a_fault_in_the_model_ends_the_run_and_the_next_one_begins_anew(
    folder: Path, tmp_path: Path
) -> None:
    wanted = expected(folder, tmp_path)
    faulty = {"on": True}

    def field(t: int, xy: Any) -> Any:
        if faulty["on"] and t >= 14:
            raise RuntimeError("a fault of the model")
        return np.broadcast_to(STEP, xy.shape)

    with running(fake_engine(FieldTracker(field))) as client:
        clip = Caller(client, folder)
        lines = clip.lines("propagate", frame=0, direction="forward")
        assert lines[-1]["event"] == "failed"
        assert lines[-1]["error"]["code"] == "internal"
        assert all(wanted[name] == content for name, content in contents(folder).items())
        faulty["on"] = False
        assert clip.lines("propagate", frame=0, direction="forward")[-1]["event"] == "finished"
    assert contents(folder) == wanted


def test_a_fault_in_the_reader_is_an_answer_and_writes_nothing(folder: Path) -> None:
    class Faulty(type(fake_engine().reader)):  # type: ignore[misc]
        def detect(self, image: Any) -> Any:
            raise RuntimeError("a fault of the model")

    before = contents(folder)
    with running(Engine(points=fake_engine().points, reader=Faulty())) as client:
        clip = Caller(client, folder)
        answer = clip.post("detect_frame", {"frame": 0, "shapes": []})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
        assert clip.lines("detect")[-1]["event"] == "failed"
    assert contents(folder) == before


def test_a_full_disk_leaves_every_file_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for frame in range(1, 6):
        write_labels(folder, frame, [])
    before = contents(folder)
    real = os.fsync
    count = {"left": 6}

    def full(descriptor: int) -> None:
        count["left"] -= 1
        if count["left"] < 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with running() as client:
        clip = Caller(client, folder)
        monkeypatch.setattr(files.os, "fsync", full)
        lines = clip.lines("propagate", frame=0, direction="forward")
        monkeypatch.setattr(files.os, "fsync", real)
        assert lines[-1]["event"] == "failed"
        assert lines[-1]["error"]["code"] == "output"
        after = contents(folder)
        assert after.keys() == before.keys()
        changed = [name for name in after if after[name] != before[name]]
        assert len(changed) == lines[-1]["written"]
        for content in after.values():
            FrameLabels.from_bytes(content)
        assert clip.lines("propagate", frame=0, direction="forward")[-1]["event"] == "finished"


def test_a_file_that_another_program_is_writing_keeps_its_content(folder: Path) -> None:
    half = write_labels(folder, 3, joints(3)).read_bytes()[:700]
    (folder / "frame_00003.json").write_bytes(half)
    with running() as client:
        clip = Caller(client, folder)
        assert [p["frame"] for p in clip.about["problems"]] == [3]
        lines = clip.lines("propagate", frame=0, direction="forward")
        assert lines[0]["skipped"] == [{"frame": 3, "reason": "unreadable"}]
        assert lines[-1]["written"] == FRAMES - 2
        assert (folder / "frame_00003.json").read_bytes() == half
        refused = clip.post("identity", {"act": "assign", "person": 1, "new_person": 3})
        assert refused.status_code == 400
        assert "frame_00003.json" in refused.json()["error"]["message"]


def test_a_file_written_while_a_run_goes_on_is_kept(folder: Path) -> None:
    def field(t: int, xy: Any) -> Any:
        if t == 12 and not (folder / "frame_00018.json").exists():
            write_labels(folder, 18, joints(18, 5))
            (folder / "frame_00019.json").write_bytes(b'{"shapes": [')
        return np.broadcast_to(STEP, xy.shape)

    with running(fake_engine(FieldTracker(field))) as client:
        lines = Caller(client, folder).lines("propagate", frame=0, direction="forward")
    kept = {line["frame"]: line["reason"] for line in lines if line.get("outcome") == "kept"}
    assert kept == {18: "changed", 19: "unreadable"}
    found = json.loads((folder / "frame_00018.json").read_bytes())
    assert {s["group_id"] for s in found["shapes"]} == {5}
    assert (folder / "frame_00019.json").read_bytes() == b'{"shapes": ['


def test_undo_keeps_what_was_written_since(folder: Path) -> None:
    with running() as client:
        clip = Caller(client, folder)
        clip.lines("propagate", frame=0, direction="forward", count=5)
        mine = write_labels(folder, 3, joints(3, 9)).read_bytes()
        said = clip.said("undo")
    assert said["kept"] == [{"frame": 3, "reason": "changed"}]
    assert contents(folder).keys() == {"frame_00000.json", "frame_00003.json"}
    assert (folder / "frame_00003.json").read_bytes() == mine


@pytest.mark.parametrize("way", ["request", "close"])
def test_a_cancelled_run_leaves_what_is_done_and_gives_the_clip_back(
    folder: Path, tmp_path: Path, way: str
) -> None:
    wanted = expected(folder, tmp_path)

    def field(t: int, xy: Any) -> Any:
        time.sleep(0.01)
        return np.broadcast_to(STEP, xy.shape)

    with running(fake_engine(FieldTracker(field))) as client:
        clip = Caller(client, folder)
        body = {"frame": 0, "direction": "forward"}
        with client.stream("POST", f"{clip.base}/propagate", json=body) as answer:
            lines = answer.iter_lines()
            while '"event":"frame"' not in next(lines):
                pass
            busy = clip.post("propagate", body)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
            # looking at a frame does not wait for the run
            assert clip.post("box", {"frame": 0, "box_xyxy": [1, 1, 90, 90], "shapes": []})
            if way == "request":
                assert clip.said("cancel") == {"cancelled": True}
                assert json.loads(list(lines)[-1])["cancelled"] is True
        deadline = time.monotonic() + 30
        while (answer := clip.post("undo", {"run": "r-none"})).status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.json()["error"]["code"] == "unknown_run"
        done = contents(folder)
        assert 2 <= len(done) < FRAMES
        assert all(wanted[name] == content for name, content in done.items())
        assert clip.lines("propagate", **body)[-1]["event"] == "finished"
    assert contents(folder) == wanted


def test_a_service_ends_with_whoever_started_it() -> None:
    assert Child(pause=0.0).end() == 0


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    with running(token="a long secret") as client:
        yield client


def test_without_the_token_nothing_is_answered_but_health(guarded: httpx.Client) -> None:
    assert guarded.get("/health").status_code == 200
    for headers in ({}, {"Token": "a long secre"}, {"Authorization": "Bearer x"}):
        answer = guarded.get("/impose/clips/c", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    for headers in ({"Token": "a long secret"}, {"Authorization": "Bearer a long secret"}):
        assert guarded.get("/impose/clips/c", headers=headers).status_code == 404


def test_a_web_page_under_another_name_is_refused(folder: Path) -> None:
    with running() as client:
        answer = client.get("/health", headers={"Host": "evil.example:80"})
        assert answer.status_code == 403
        form = client.post("/impose/clips", content=json.dumps({"path": str(folder)}))
        assert form.status_code == 400  # without a content type of JSON


def test_nothing_outside_the_root_is_reached(folder: Path, tmp_path: Path) -> None:
    other = make_images(tmp_path / "other", 1)
    (folder / "link").symlink_to(other)
    with running(root=folder) as client:
        for path in (other, folder / ".." / "other", folder / "link"):
            answer = client.post("/impose/clips", json={"path": str(path)})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert client.post("/impose/clips", json={"path": str(folder)}).status_code == 200


def test_bodies_that_are_too_large_are_refused(folder: Path) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 2**20

    with running() as client:
        kind = {"Content-Type": "application/json"}
        stated = client.post("/impose/clips", content=b" " * (17 * 2**20), headers=kind)
        assert stated.status_code == 413
        unstated = client.post("/impose/clips", content=endless(), headers=kind)
        assert unstated.status_code == 413


JUNK = [
    None, True, 0, -1, 1, 2**31, 2**70, 1.5, -1e300, "", "x", "nose", "\0", "..", "/", [], {},
    [[]], [None], [1, 2], ["nose"], {"a": 1}, [{}], [{"label": 1}], [{"label": "nose"}],
    [{"label": "nose", "shape_type": "point", "points": [[1]], "group_id": 1}],
    [{"label": "nose", "shape_type": "point", "points": [[1e9, 1]], "group_id": 1}],
    [{"label": "person", "shape_type": "rectangle", "points": [[1, 1]], "group_id": 1}],
    {"frame": 1, "shapes": [], "impose": {"gone": [1]}},
    {"frame": 1, "shapes": [], "impose": {"joints": {"1": 3}}},
]  # fmt: skip


def test_malformed_requests_are_refused_and_change_nothing(folder: Path) -> None:
    write_labels(folder, 1, joints(1, 2, 50.0))
    dice = random.Random(7)
    asked = {
        "refine": {"frame": 0, "person": 1, "moved": ["nose"], "before": {"nose": [1, 2]},
                   "shapes": joints(0)[:3]},
        "box": {"frame": 0, "box_xyxy": [1, 1, 50, 50], "person": 3, "shapes": joints(0)[:2]},
        "detect_frame": {"frame": 0, "shapes": joints(0)[:2]},
        "propagate": {"frame": 99, "direction": "forward", "count": 1, "start": None,
                      "displayed": {"frame": 1, "shapes": joints(0)[:2], "impose": None}},
        "identity": {"act": "none", "frame": 1, "first": 1, "second": 2, "person": 1,
                     "keep": 1, "absorb": 2, "new_person": 5, "displayed": None},
        "undo": {"run": "r-0", "displayed": None},
    }  # fmt: skip
    before = contents(folder)
    raw = [b"", b"{", b"[]", b"null", b'{"a":1,"a":2}', b"\xff\xfe", b"[" * 100_000, b'"x"']
    codes = set()
    with running() as client:
        clip = Caller(client, folder)
        for _ in range(3000):
            what = dice.choice(list(asked))
            if dice.random() < 0.1:
                answer = client.post(
                    f"{clip.base}/{what}",
                    content=dice.choice(raw),
                    headers={"Content-Type": "application/json"},
                )
            else:
                answer = clip.post(what, mutated(asked[what], dice))
            codes.add(answer.status_code)
            assert answer.status_code < 500, (what, answer.text)
            if answer.status_code != 200:
                assert answer.json()["error"]["message"].startswith(("Expected", "In"))
        assert contents(folder) == before
        assert clip.client.get(clip.base).status_code == 200
    assert {200, 400, 404} <= codes


def mutated(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """The body with one field or two of it, or of a shape in it, replaced or left out."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    for _ in range(dice.choice((1, 1, 2))):
        inner = [v for v in copy.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        inner = [[one for one in v if one] for v in inner if any(v)]
        place = dice.choice(dice.choice(inner)) if inner and dice.random() < 0.5 else copy
        key = dice.choice(list(place))
        if key == "act":  # a valid act would rightly write
            continue
        if dice.random() < 0.2:
            place.pop(key)
        else:
            place[key] = dice.choice(JUNK)
        if not place:
            break
    if "direction" in body:  # a valid run would rightly write
        copy["frame"] = 99
        if copy.get("start") in range(FRAMES + 1):
            copy["start"] = -1
    return copy


def test_two_services_on_one_clip_never_overwrite_each_other(folder: Path) -> None:
    """Both write the same frames at the same time: each file is one of theirs, whole."""
    with running() as one, running() as two:
        clips = [Caller(client, folder) for client in (one, two)]
        ends: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda c=clip: ends.append(
                    c.lines("propagate", frame=0, direction="forward")[-1]
                )
            )
            for clip in clips
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [end["event"] for end in ends] == ["finished", "finished"]
    assert len(contents(folder)) == FRAMES
    for content in contents(folder).values():
        FrameLabels.from_bytes(content)
