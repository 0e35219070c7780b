"""What was done survives whatever happens next."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impose_core.corrections import MoveKeypoints, VideoShape
from impose_core.errors import OutputError, StateError
from impose_core.journal import Journal, patch_from_json, patch_to_json
from impose_core.marks import Mark
from impose_core.skeleton import Skeleton

SKELETON = Skeleton(name="pair", keypoints=("a", "b"))
VIDEO = VideoShape(frames=1000, width=640, height=360)


def opened(path, skeleton=SKELETON, video=VIDEO, name="clip.mp4"):
    return Journal(path, skeleton=skeleton, video=video, name=name)


def act(i):
    mark = Mark.blank(2)
    mark.xy[0], mark.visibility[0], mark.origin[0] = (i / 3, 100.1), 2, 3
    said = MoveKeypoints(frame=i, track=1, xy={"a": (i / 3, 100.1)})
    return [said], {(1, i): (None, mark)}


def written(path, count):
    journal = opened(path)
    for i in range(count):
        journal.append(*act(i))
    journal.close()
    return path.read_bytes()


def test_acts_come_back_exactly(tmp_path):
    path = tmp_path / "j"
    written(path, 5)
    journal = opened(path)
    assert journal.acts == [act(i)[1] for i in range(5)]
    assert journal.notes == ()
    journal.close()


def test_an_undone_act_stays_undone(tmp_path):
    path = tmp_path / "j"
    journal = opened(path)
    journal.append(*act(0))
    journal.append(*act(1))
    journal.append_undo()
    journal.close()
    again = opened(path)
    assert again.acts == [act(0)[1]]
    again.append_undo()
    with pytest.raises(StateError, match="act to undo"):
        again.append_undo()
    again.close()


def test_cut_off_at_any_byte_it_loses_at_most_the_last_act(tmp_path):
    path = tmp_path / "j"
    data = written(path, 4)
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        journal = opened(path)
        whole = sum(end <= length for end in ends)
        assert journal.acts == [act(i)[1] for i in range(max(whole - 1, 0))]
        assert bool(journal.notes) == (length not in (0, *ends))
        journal.append(*act(77))
        journal.close()
        again = opened(path)
        assert again.acts[-1] == act(77)[1]
        again.close()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example starts anew
)
@given(data=st.data())
def test_damage_is_refused_or_leaves_a_prefix(tmp_path, data):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    good = bytearray(written(path, 4))
    place = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(["flip", "insert", "delete"]))
    if kind == "flip":
        good[place] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "insert":
        good[place:place] = data.draw(st.binary(min_size=1, max_size=5))
    else:
        del good[place : place + data.draw(st.integers(1, 20))]
    path.write_bytes(good)
    try:
        journal = opened(path)
    except StateError:
        assert path.read_bytes() == bytes(good)  # refused means untouched
        return
    acts = journal.acts
    journal.close()
    assert acts == [act(i)[1] for i in range(len(acts))]


WRITER = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_journal import act, opened
journal = opened(Path({path!r}))
for i in range(900):
    journal.append(*act(i))
    print(i, flush=True)
"""


@pytest.mark.parametrize("after", [0, 3, 40])
def test_killed_while_writing_it_keeps_every_act_that_was_done(tmp_path, after):
    path = tmp_path / "j"
    code = WRITER.format(here=os.path.dirname(__file__), path=str(path))  # noqa: PTH120
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    done = -1
    while done < after:
        done = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    reported = [int(line) for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    done = max([done, *reported])
    journal = opened(path)
    assert len(journal.acts) >= done + 1
    assert journal.acts == [act(i)[1] for i in range(len(journal.acts))]
    journal.close()


def test_a_second_session_is_turned_away(tmp_path):
    path = tmp_path / "j"
    journal = opened(path)
    with pytest.raises(StateError, match="in use"):
        opened(path)
    journal.close()
    opened(path).close()


def test_another_process_is_turned_away(tmp_path):
    path = tmp_path / "j"
    code = WRITER.format(here=os.path.dirname(__file__), path=str(path))  # noqa: PTH120
    code = code.replace("range(900)", "range(1)") + "import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    with pytest.raises(StateError, match="in use"):
        opened(path)
    process.kill()
    process.wait()
    process.stdout.close()
    opened(path).close()  # the kernel let go of the lock with the process


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "j"
    journal = opened(path)
    journal.append(*act(0))
    before = path.read_bytes()
    real = os.write

    def half(file, data):
        real(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OutputError, match="No space left"):
        journal.append(*act(1))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert journal.acts == [act(0)[1]]
    journal.append(*act(2))
    journal.close()
    again = opened(path)
    assert again.acts == [act(0)[1], act(2)[1]]
    again.close()


@pytest.mark.parametrize(
    "other",
    [
        {"video": VideoShape(frames=999, width=640, height=360)},
        {"video": VideoShape(frames=1000, width=641, height=360)},
        {"skeleton": Skeleton(name="pair", keypoints=("a", "c"))},
        {"name": "other.mp4"},
    ],
)
def test_a_journal_of_something_else_is_refused_by_field(tmp_path, other):
    path = tmp_path / "j"
    data = written(path, 2)
    with pytest.raises(StateError, match=r"skeleton|video"):
        opened(path, **other)
    assert path.read_bytes() == data


def test_a_folder_is_not_a_journal(tmp_path):
    with pytest.raises(OutputError, match="can be written"):
        opened(tmp_path)


def test_numbers_of_frames_survive_numpy(tmp_path):
    """Hosts hand over numpy integers; JSON knows none."""
    path = tmp_path / "j"
    journal = opened(path)
    _, patch = act(3)
    said = MoveKeypoints(frame=np.int64(3), track=np.int64(1), xy={"a": (np.float32(1), 2)})
    journal.append([said], {(np.int64(1), np.int64(3)): patch[1, 3]})
    journal.close()
    again = opened(path)
    assert again.acts == [patch]
    again.close()


def test_it_closes_itself_and_says_so_when_used_after(tmp_path):
    with opened(tmp_path / "j") as journal:
        journal.append(*act(0))
    with pytest.raises(StateError, match="was closed"):
        journal.append(*act(1))
    with pytest.raises(StateError, match="was closed"):
        journal.append_undo()
    assert journal.acts == [act(0)[1]]
    with opened(tmp_path / "j") as again:
        assert again.acts == [act(0)[1]]


@pytest.mark.parametrize(
    "content",
    [b"x", b"{}", b"one line\n", b'{"images": []}', b"\x00\x01\n", b"a\nb\n", b"\n", b"\n\n"],
)
def test_a_file_of_somebody_elses_is_never_touched(tmp_path, content):
    """A one-line JSON file has no good line: it must not pass for a torn journal."""
    path = tmp_path / "annotations.json"
    path.write_bytes(content)
    with pytest.raises(StateError):
        opened(path)
    assert path.read_bytes() == content


def test_a_person_with_a_negative_id_survives(tmp_path):
    """COCO documents may have such ids, and a journal that loads must open again."""
    said, patch = act(0)
    patch = {(-1, 0): patch[1, 0], (-(2**63), 0): patch[1, 0]}
    with opened(tmp_path / "j") as journal:
        journal.append(said, patch)
    with opened(tmp_path / "j") as again:
        assert again.acts == [patch]


def test_several_corrections_are_one_act(tmp_path):
    path = tmp_path / "j"
    with opened(path) as journal:
        journal.append([*act(0)[0], *act(1)[0]], act(0)[1] | act(1)[1])
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    said = json.loads(lines[1].split(" ", 1)[1])["said"]
    assert [one["frame"] for one in said] == [0, 1]
    path.write_bytes(path.read_bytes()[:-1])
    with opened(path) as again:
        assert again.acts == []


@settings(max_examples=100, deadline=None)
@given(
    x=st.floats(allow_nan=False, allow_infinity=False),
    y=st.floats(allow_nan=False, allow_infinity=False),
)
def test_every_float_survives_to_the_last_bit(x, y):
    mark = Mark.blank(2)
    mark.xy[0], mark.visibility[0], mark.origin[0] = (x, y), 1, 3
    patch = {(1, 0): (None, mark)}
    text = json.dumps(patch_to_json(patch), allow_nan=False)
    assert patch_from_json(json.loads(text), keypoints=2) == patch


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("track", True),
        ("track", 2**63),
        ("frame", -1),
        ("frame", 1000),
        ("frame", 1.0),
        ("after", []),
        ("after", {"xy": [[1, 2]], "visibility": [2], "origin": [3]}),
        ("after", {"xy": [[10**400, 2], None], "visibility": [2, None], "origin": [3, 0]}),
        ("after", {"xy": [["1", 2], None], "visibility": [2, None], "origin": [3, 0]}),
        ("after", {"xy": [[1, None], None], "visibility": [2, None], "origin": [3, 0]}),
        ("after", {"xy": [None, None], "visibility": [9, None], "origin": [3, 0]}),
        ("after", {"xy": [None, None], "visibility": [2, None], "origin": [True, 0]}),
        ("after", {"xy": [None] * 2, "visibility": [2, None], "origin": [3, 0], "box": [1]}),
    ],
)
def test_a_patch_from_elsewhere_is_refused_by_field(field, value):
    cell = patch_to_json(act(0)[1])[0]
    with pytest.raises(StateError, match=rf"patch\[0\]\.{field}"):
        patch_from_json([{**cell, field: value}], keypoints=2, frames=1000)


def test_a_disk_that_cannot_even_be_tidied_harms_no_record(tmp_path, monkeypatch):
    """The half-written line stays until the next act, which writes over it."""
    path = tmp_path / "j"
    journal = opened(path)
    journal.append(*act(0))
    good, real = path.read_bytes(), os.write

    def broken(file, length):
        raise OSError(errno.EIO, "Input/output error")

    def half(file, data):
        monkeypatch.setattr(os, "ftruncate", broken)
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OutputError, match="bytes could be written"):
        journal.append(*act(1))
    monkeypatch.undo()
    assert len(path.read_bytes()) > len(good)
    journal.append(*act(2))
    journal.close()
    with opened(path) as again:
        assert again.acts == [act(0)[1], act(2)[1]]
        assert again.notes == ()


LIMITED = """
import resource, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from test_journal import act, opened
from impose_core.errors import OutputError
journal = opened(Path({path!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
for i in range(900):
    try:
        journal.append(*act(i))
    except OutputError:
        print(i)
        break
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on file sizes")
def test_the_kernel_refusing_to_write_on_loses_only_that_act(tmp_path):
    path = tmp_path / "j"
    code = LIMITED.format(here=os.path.dirname(__file__), path=str(path))  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    refused = int(done.stdout)
    assert refused > 1
    assert len(path.read_bytes()) <= 1500
    with opened(path) as journal:
        assert journal.notes == ()  # it was tidied up at once
        assert journal.acts == [act(i)[1] for i in range(refused)]
        journal.append(*act(refused))


@pytest.mark.skipif(os.name == "nt", reason="flock")
def test_a_file_system_without_locks_is_not_called_in_use(tmp_path, monkeypatch):
    import fcntl

    def unsupported(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(OutputError, match="No locks available"):
        opened(tmp_path / "j")
