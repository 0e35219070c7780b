"""The functions inside Nuclio's own Python wrapper, over its Unix sockets.

IMPOSE_NUCLIO_WRAPPER is the path of ``_nuclio_wrapper.py``
(``pkg/processor/runtime/python/py`` of Nuclio's repository).
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cvat_calls import image, packed

from impose_core.frames import open_frames
from impose_core.skeleton import COCO17

ROOT = Path(__file__).parents[1]
WRAPPER = os.environ.get("IMPOSE_NUCLIO_WRAPPER", "")

pytestmark = pytest.mark.skipif(
    not Path(WRAPPER).is_file(), reason="needs IMPOSE_NUCLIO_WRAPPER, Nuclio's _nuclio_wrapper.py"
)


class Worker:
    """A wrapper process, as Nuclio's processor starts one."""

    def __init__(self, folder, function):
        self._listening = {}
        for name in ("event", "control"):
            self._listening[name] = socket.socket(socket.AF_UNIX)
            self._listening[name].bind(str(folder / f"{name}.sock"))
            self._listening[name].listen(1)
            self._listening[name].settimeout(60)
        command = [
            *(sys.executable, "-u", WRAPPER, "--handler", "main:handler"),
            *("--event-socket-path", str(folder / "event.sock")),
            *("--control-socket-path", str(folder / "control.sock")),
            *("--platform-kind", "local", "--namespace", "nuclio", "--worker-id", "0"),
            *("--trigger-kind", "http", "--trigger-name", "myHttpTrigger"),
            "--decode-event-strings",
        ]
        path = f"{ROOT / 'deploy' / function}:{ROOT}"
        self._process = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
        )
        self._event, _ = self._listening["event"].accept()
        self._control, _ = self._listening["control"].accept()
        self._event.settimeout(120)
        self._lines = self._event.makefile("rb")
        while not self._read("s"):
            pass

    def call(self, body, content_type="application/json"):
        msgpack = pytest.importorskip("msgpack", reason="comes with impose[dev]")
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = msgpack.packb(packed(data, content_type))
        self._event.sendall(struct.pack(">I", len(message)) + message)
        while not (line := self._read("r")):
            pass
        answer = json.loads(line[1:])
        return answer["status_code"], answer["content_type"], json.loads(answer["body"])

    def _read(self, kind):
        line = self._lines.readline().decode()
        assert line, "the wrapper is gone"
        return line if line.startswith(kind) else ""

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._lines.close()
        for one in (self._event, self._control, *self._listening.values()):
            one.close()


@pytest.fixture
def worker(tmp_path):
    started = []

    def start(function):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Worker(folder, function))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture(scope="module")
def frames():
    with open_frames(ROOT / "docs" / "demo" / "clip.mp4") as video:
        return [image(video.read(t)) for t in range(4)]


def test_the_detector_answers_one_json_list(worker, frames):
    function = worker("detector")
    status, kind, found = function.call({"image": frames[0]})
    assert (status, kind) == (200, "application/json")
    assert isinstance(found, list)
    assert len(found) == 3
    assert [e["label"] for e in found[0]["elements"]] == list(COCO17.keypoints)
    assert function.call(b"{", "application/json")[0] == 400


def test_a_tracker_goes_on_where_a_killed_one_stopped(worker, frames):
    box = {"type": "rectangle", "points": [100, 200, 410, 590], "track_id": 3}
    one = worker("tracker")
    status, _, first = one.call({"image": frames[0], "shapes": [box], "states": []})
    assert (status, first["shapes"]) == (200, [box])
    body = {"image": frames[1], "shapes": [None], "states": first["states"]}
    here = one.call(body)
    one.kill()
    there = worker("tracker").call(body, "application/json; charset=utf-8")
    assert here == there
    assert here[2]["shapes"][0]["track_id"] == 3


def test_a_bad_request_is_a_message_and_the_worker_lives(worker, frames):
    function = worker("tracker")
    status, kind, told = function.call({"image": frames[0], "shapes": [[1, 2, 3]]})
    assert (status, kind) == (400, "application/json")
    assert "shapes[0]" in told["message"]
    assert function.call({"image": frames[0], "shapes": []})[0] == 200
