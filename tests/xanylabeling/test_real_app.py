"""The real app, offscreen, driven by mouse and keys: what a user does and what may go wrong."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def tell(sentence):
    """Shown by ``pytest -s``: what was counted."""
    sys.stdout.write(f"\n{sentence}\n")


@pytest.fixture
def keys():
    from PyQt6.QtCore import Qt

    return Qt.Key


def contents(folder):
    """All JSON files of a folder, byte for byte."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def joints(document, person):
    return {
        shape["label"]: tuple(shape["points"][0])
        for shape in document["shapes"]
        if shape["group_id"] == person and shape["shape_type"] == "point"
    }


def persons(document):
    return {shape["group_id"] for shape in document["shapes"] if shape["group_id"] is not None}


def near(a, b):
    """Whether the same joints are at the same places."""
    return a.keys() == b.keys() and all(apart(a[name], b[name]) < 1e-6 for name in a)


def apart(a, b):
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))


def undo(app):
    from driver import CONTROL
    from PyQt6.QtCore import Qt

    app.key(Qt.Key.Key_Z, CONTROL)
    app.calm()


def propagated(app, keys):
    app.plugin.status.say("")
    app.key(keys.Key_N)
    app.calm()
    assert app.said, "the key was heard"


def test_one_drag_and_one_key(clip, keys):
    """The whole story: open, propagate, see it wrong, drag, refine, one key, undo all of it."""
    app = clip
    first = app.saved(0)
    propagated(app, keys)
    assert "23 frames written" in app.said
    assert app.saved(0)["shapes"] == first["shapes"]
    assert app.saved(0)["of_another_tool"] == {"kept": True}

    app.open(3)
    before, selected = app.pose(1), "left_wrist"
    after_first_run = contents(app.folder)
    app.drags = app.clicks = app.keys = 0

    app.drag(1, selected, -25, 20)
    dropped = app.at(1, selected)
    assert apart(dropped, before[selected]) > 15
    app.calm()
    refined = app.pose(1)
    assert refined[selected] == dropped, "the joint that was dragged is where it was dropped"
    moved = {n for n in refined if n != selected and apart(refined[n], before[n]) > 1e-6}
    assert [s.label for s in app.canvas.selected_shapes] == [selected], "the selection stays"
    assert near(joints(app.saved(3), 1), refined)

    propagated(app, keys)
    tell(
        f"actions for one correction: {app.drags} drag, {app.keys} key, {app.clicks} clicks; "
        f"{len(moved)} other joints refined; {app.said}"
    )
    assert (app.drags, app.keys, app.clicks) == (1, 1, 0)
    corrected = contents(app.folder)
    for frame in range(4, 14):
        document = app.saved(frame)
        assert persons(document) == {1, 2, 3}
        assert corrected[app.file(frame).name] != after_first_run[app.file(frame).name]
        for shape in document["shapes"]:
            if shape["shape_type"] == "point":
                assert shape["impose"]["origin"] == "propagated"
    for frame in range(3):
        assert corrected[app.file(frame).name] == after_first_run[app.file(frame).name]

    undo(app)  # the run, on every frame
    assert "frames written" in app.said
    for frame in range(4, 24):
        name = app.file(frame).name
        assert contents(app.folder)[name] == after_first_run[name]
    assert app.pose(1)[selected] == dropped
    if moved:
        undo(app)  # the refinement
        assert app.pose(1)[selected] == dropped
        assert {n: app.pose(1)[n] for n in moved} == {n: before[n] for n in moved}
    undo(app)  # the drag
    assert app.pose(1) == before


def test_a_drag_moves_the_joints_that_were_wrong_with_it(clip, keys):
    """Estimates of a forearm are 40 pixels off: putting the wrist right puts the elbow right."""
    app = clip
    propagated(app, keys)
    document = app.saved(10)
    right = joints(document, 1)
    for shape in document["shapes"]:
        if shape["group_id"] == 1 and shape["label"] in ("left_elbow", "left_wrist"):
            shape["points"][0][0] += 40
            shape["impose"]["xy"] = shape["points"][0]
    app.file(10).write_text(json.dumps(document))
    app.open(10)
    app.drag(1, "right_wrist", 3, 3)
    app.calm()
    human, wrong = app.at(1, "right_wrist"), app.at(1, "left_elbow")
    app.drag(1, "left_wrist", -40, 0)
    app.calm()
    elbow = app.at(1, "left_elbow")
    tell(
        f"elbow {apart(wrong, right['left_elbow']):.1f} px off before the wrist was dragged, "
        f"{apart(elbow, right['left_elbow']):.1f} px after"
    )
    assert apart(elbow, right["left_elbow"]) < apart(wrong, right["left_elbow"]) / 2
    assert app.at(1, "right_wrist") == human
    assert [s.label for s in app.canvas.selected_shapes] == ["left_wrist"]
    assert near(joints(app.saved(10), 1), app.pose(1))
    undo(app)
    assert app.at(1, "left_elbow") == wrong
    assert app.at(1, "left_wrist")[0] < right["left_wrist"][0] + 20
    undo(app)
    assert apart(app.at(1, "left_wrist"), (right["left_wrist"][0] + 40, right["left_wrist"][1])) < 1


def test_the_command_opens_a_video_in_the_app(tmp_path):
    """The launcher itself, in a process of its own; its window is closed when the clip is open."""
    video = tmp_path / "demo.mp4"
    shutil.copy(Path(__file__).resolve().parents[2] / "docs" / "demo" / "clip.mp4", video)
    program = """
import sys
from PyQt6 import QtCore, QtWidgets
from impose_xanylabeling import launcher, plugin
def look():
    for window in QtWidgets.QApplication.topLevelWidgets():
        ours = getattr(window, "impose_plugin", None)
        if ours is None or ours.clip is None:
            continue
        panel = ours.view.auto_labeling_widget
        if not asked:
            asked.append(ours.auto_run_model())
        elif panel.model_manager.loaded_model_config:
            print("listed", "impose.yaml" in open(settings).read())
            print("frames", len(ours.clip.images), "pid", ours.provider.pid, flush=True)
            timer.stop()
            window.close()
asked, settings = [], sys.argv[1]
made = plugin.Plugin.__init__
def init(self, *args):
    global timer
    made(self, *args)
    timer = QtCore.QTimer()
    timer.timeout.connect(look)
    timer.start(100)
plugin.Plugin.__init__ = init
sys.exit(launcher.main(sys.argv[2:]))
"""
    settings = tmp_path / ".xanylabelingrc"
    options = ["--work-dir", str(tmp_path), "--no-auto-update-check", "--logger-level", "error"]
    done = subprocess.run(
        [sys.executable, "-c", program, str(settings), str(video), *options],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "HOME": str(tmp_path)},
        check=False,
    )
    line = next((x for x in done.stdout.splitlines() if x.startswith("frames")), done.stderr)
    assert line.startswith("frames 100 pid "), done.stderr
    assert "listed True" in done.stdout
    assert "impose.yaml" not in settings.read_text(encoding="utf-8"), "others could not load it"
    assert done.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(line.split()[-1]), 0)  # the service went with the window


def test_human_joints_and_checked_frames_stay(clip, keys):
    from driver import CONTROL
    from PyQt6.QtCore import Qt

    app = clip
    propagated(app, keys)
    app.open(6)
    app.drag(2, "right_wrist", 14, 9)
    app.calm()
    human = app.at(2, "right_wrist")
    app.open(9)
    app.key(keys.Key_K, CONTROL | Qt.KeyboardModifier.AltModifier)
    app.settle()
    assert app.saved(9)["checked"] is True
    checked = app.file(9).read_bytes()
    app.open(0)
    app.drag(1, "left_ankle", 10, 10)
    app.calm()
    propagated(app, keys)
    assert joints(app.saved(6), 2)["right_wrist"] == pytest.approx(human)
    assert app.file(9).read_bytes() == checked
    app.open(6)
    app.key(keys.Key_M)  # between the nearest checked frames
    app.calm()
    assert app.file(9).read_bytes() == checked
    assert joints(app.saved(6), 2)["right_wrist"] == pytest.approx(human)


def test_backward_from_a_later_frame(clip, keys):
    from driver import SHIFT

    app = clip
    app.file(0).replace(app.file(10))
    said = json.loads(app.file(10).read_text())
    app.file(10).write_text(json.dumps({**said, "imagePath": "frame_00010.jpg"}))
    app.open(10)
    app.key(keys.Key_N, SHIFT)
    app.calm()
    assert persons(app.saved(0)) == {1, 2, 3}
    assert not app.file(11).exists()


def test_swap_from_here_on_and_back(clip, keys):
    from driver import CONTROL

    app = clip
    propagated(app, keys)
    before = contents(app.folder)
    app.open(8)
    was = {person: app.pose(person) for person in (1, 2)}
    app.click(1, "left_hip")
    app.click(2, "left_hip", CONTROL)
    app.key(keys.Key_Y)
    app.calm()
    assert app.said.startswith("Swap")
    assert app.pose(1) == was[2]
    assert app.pose(2) == was[1]
    assert near(joints(app.saved(8), 1), was[2])
    assert contents(app.folder)["frame_00007.json"] == before["frame_00007.json"]
    for frame in (12, 23):
        old = json.loads(before[app.file(frame).name])
        assert joints(app.saved(frame), 1) == joints(old, 2)
        assert joints(app.saved(frame), 2) == joints(old, 1)
    undo(app)
    assert contents(app.folder) == before
    assert app.pose(1) == was[1]


def test_split_end_assign_and_merge_by_the_menu(clip, keys):
    app = clip
    propagated(app, keys)
    app.open(5)
    app.click(3, "left_hip")
    app.menu("split")
    app.calm()
    assert persons(app.saved(4)) == {1, 2, 3}
    assert persons(app.saved(5)) == {1, 2, 4}
    assert persons(app.saved(20)) == {1, 2, 4}
    app.click(4, "left_hip")
    app.menu("assign", "9")
    app.calm()
    assert persons(app.saved(20)) == {1, 2, 9}
    app.click(9, "left_hip")
    app.menu("merge", "3")
    app.calm()
    assert persons(app.saved(4)) == persons(app.saved(20)) == {1, 2, 9}
    app.open(15)
    app.click(9, "left_hip")
    app.menu("end")
    app.calm()
    assert persons(app.saved(14)) == {1, 2, 9}
    assert persons(app.saved(15)) == persons(app.saved(23)) == {1, 2}


def test_draw_a_box_get_a_pose(clip, keys):
    app = clip
    app.open(4)
    app.key(keys.Key_H)
    app.click_at(130, 190)
    app._move(app._screen(300, 570))
    app.click_at(300, 570)
    app.calm()
    assert app.said == "Persons found: 4."  # 1 to 3 are taken, on another frame
    assert len(app.pose(4)) >= 8
    assert app.canvas.editing()
    undo(app)
    assert app.pose(4) == {}


def test_find_everybody_without_a_click(clip, keys):
    from driver import SHIFT

    app = clip
    app.open(12)
    app.key(keys.Key_H, SHIFT)
    app.calm()
    assert len(persons(app.saved(12))) >= 2
    app.menu("detect_clip")
    app.calm(300)
    assert all(len(persons(app.saved(frame))) >= 2 for frame in range(24)), app.said


def test_go_where_a_look_helps_and_back(clip, keys):
    from driver import SHIFT

    app = clip
    propagated(app, keys)
    app.key(keys.Key_J)
    app.calm()
    first = app.frame
    assert first != 0
    assert len(app.canvas.selected_shapes) == 1
    app.key(keys.Key_J)
    app.calm()
    assert app.frame not in (0, first)
    app.key(keys.Key_J, SHIFT)
    app.calm()
    assert app.frame == first


def test_skeletons_are_drawn_and_can_be_put_away(clip, keys):
    app = clip
    app.settle()
    drawn = app.canvas.grab().toImage()
    app.key(keys.Key_K)
    plain = app.canvas.grab().toImage()
    assert drawn != plain
    app.key(keys.Key_K)
    assert app.canvas.grab().toImage() == drawn


def test_status_line_counts(clip, keys):
    app = clip
    before = app.plugin.tally.clicks
    app.drag(1, "nose", 4, 4)
    app.calm()
    propagated(app, keys)
    line = app.plugin.status.text.text()
    assert f"clicks {before + 1}," in line
    assert "frames done 24 of 24" in line
    assert "#1:" in line


@pytest.mark.parametrize("by", ["mouse", "key"])
def test_cancel_keeps_what_is_done(clip, keys, by):
    from driver import CONTROL, LEFT
    from PyQt6.QtTest import QTest

    app = clip
    app.key(keys.Key_N)
    app.until(lambda: app.file(1).exists())
    if by == "mouse":
        QTest.mouseClick(app.plugin.status.cancel, LEFT)
    else:
        app.key(keys.Key_Period, CONTROL)
    app.calm()
    written = {frame for frame in range(24) if app.file(frame).exists()}
    assert written == set(range(len(written))), "a valid prefix"
    assert len(written) < 24
    undo(app)
    assert [frame for frame in range(24) if app.file(frame).exists()] == [0]


def test_service_killed_in_mid_run_loses_nothing(clip, keys, service):
    app = clip
    first = app.file(0).read_bytes()
    app.key(keys.Key_N)
    app.until(lambda: app.file(1).exists())
    os.kill(service.real.pid, signal.SIGKILL)
    app.calm()
    assert "What is done stays" in app.said or "cannot be" in app.said
    assert app.file(0).read_bytes() == first
    for frame in range(24):
        if app.file(frame).exists():
            assert persons(app.saved(frame)) == {1, 2, 3}
    assert not list(app.folder.glob(".xal_*"))
    propagated(app, keys)  # it was started again; the user goes on
    assert all(persons(app.saved(frame)) == {1, 2, 3} for frame in range(24)), app.said


def test_service_down_a_drag_and_a_key_lose_nothing(clip, keys, service):
    app = clip
    propagated(app, keys)
    service.down = True
    app.open(2)
    before = contents(app.folder)
    app.drag(1, "left_knee", 12, 5)
    app.calm()
    dropped = app.at(1, "left_knee")
    propagated(app, keys)
    assert "switched off" in app.said
    after = contents(app.folder)
    assert {n for n in after if after[n] != before[n]} == {"frame_00002.json"}
    assert joints(app.saved(2), 1)["left_knee"] == pytest.approx(dropped)


def load_model(app):
    manager = app.view.auto_labeling_widget.model_manager
    if manager.loaded_model_config is None:
        app.menu("auto_run_model")
        app.until(lambda: manager.loaded_model_config, 30)
        app.settle(0.3)


def auto_run(app, to):
    """The host's own batch, from the displayed frame to frame ``to``."""
    from anylabeling.views.labeling.utils.batch import BatchRangeDialog
    from PyQt6 import QtCore, QtWidgets

    def answer():
        for dialog in QtWidgets.QApplication.topLevelWidgets():
            if isinstance(dialog, BatchRangeDialog) and dialog.isVisible():
                dialog.to_input.setValue(to + 1)
                dialog.accept()

    load_model(app)
    timer = QtCore.QTimer()
    timer.timeout.connect(answer)
    timer.start(50)
    app.view.actions.run_all_images.trigger()
    app.until(lambda: not getattr(app.view, "_batch_processing_active", False))
    timer.stop()
    app.calm()


def test_stock_auto_run_goes_on_from_what_is_corrected(clip, keys):
    app = clip
    first = app.saved(0)["shapes"]
    auto_run(app, to=6)
    assert app.saved(0)["shapes"] == first
    assert all(persons(app.saved(frame)) == {1, 2, 3} for frame in range(7)), app.said
    assert not app.file(7).exists()


def test_auto_run_of_one_frame_adds_who_is_not_there(clip, keys, service):
    app = clip
    load_model(app)
    app.open(12)
    app.key(keys.Key_I)
    app.until(lambda: persons(app.saved(12)) if app.file(12).exists() else None)
    app.settle(0.5)
    found = app.saved(12)["shapes"]
    assert len(persons(app.saved(12))) >= 2
    app.key(keys.Key_I)  # nobody is there twice
    app.settle(3)
    assert app.saved(12)["shapes"] == found
    app.open(0)
    before = contents(app.folder)
    service.down = True
    app.key(keys.Key_I)
    app.settle(2)
    after = contents(app.folder)
    assert json.loads(after.pop("frame_00000.json"))["shapes"] == app.saved(0)["shapes"]
    assert near(joints(app.saved(0), 1), joints(json.loads(before.pop("frame_00000.json")), 1))
    assert after == before


def test_stock_auto_run_with_the_service_down_empties_nothing(clip, keys, service):
    app = clip
    propagated(app, keys)
    before = contents(app.folder)
    service.down = True
    auto_run(app, to=10)
    assert contents(app.folder) == before


def test_an_exception_inside_the_model_empties_nothing(clip, keys, monkeypatch):
    from impose_xanylabeling import auto_run as ours

    app = clip
    propagated(app, keys)
    before = contents(app.folder)

    def fails(*_):
        raise RuntimeError("a fault inside")

    monkeypatch.setattr(ours, "_predict", fails)
    auto_run(app, to=10)
    assert contents(app.folder) == before


def test_a_failed_prediction_of_another_model_empties_nothing(clip, keys):
    """The host has None for a model that raised, and of its own would save that as nobody."""
    from anylabeling.views.labeling.utils import batch

    app = clip
    before = contents(app.folder)
    batch.save_auto_labeling_result(app.view, str(app.folder / "frame_00000.jpg"), None)
    assert contents(app.folder) == before


def test_a_fault_in_our_own_code_does_not_end_the_app(clip, keys, monkeypatch):
    app = clip

    def fails(*_, **__):
        raise RuntimeError("a fault inside")

    monkeypatch.setattr(app.plugin.requests.clips, "call", fails)
    before = contents(app.folder)
    app.drag(1, "left_elbow", 6, 6)
    app.calm()
    assert "a fault inside" in app.said
    monkeypatch.setattr(app.plugin, "_propagate", fails)
    app.key(keys.Key_N)
    assert set(contents(app.folder)) == set(before)
    assert app.window.isVisible()


def test_a_full_disk_loses_nothing(clip, keys, service):
    app = clip
    propagated(app, keys)
    app.open(0)
    app.drag(1, "left_wrist", -20, 10)
    app.calm()
    before = contents(app.folder)
    # no file of the service may grow beyond 2000 bytes: as a disk that takes no more
    service.client()
    _, hard = resource.prlimit(service.real.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.real.pid, resource.RLIMIT_FSIZE, (2000, hard))
    propagated(app, keys)
    assert contents(app.folder) == before
    assert not [p for p in app.folder.iterdir() if p.suffix not in (".jpg", ".json", "")]
    tell(f"full disk: {app.said}")
    resource.prlimit(service.real.pid, resource.RLIMIT_FSIZE, (hard, hard))
    propagated(app, keys)
    assert contents(app.folder) != before


def test_a_file_that_another_program_is_writing_keeps_its_content(clip, keys):
    app = clip
    propagated(app, keys)
    half = app.file(5).read_bytes()[:700]
    app.file(5).write_bytes(half)
    app.open(0)
    app.drag(1, "left_wrist", -20, 10)
    app.calm()
    propagated(app, keys)
    assert app.file(5).read_bytes() == half
    assert persons(app.saved(6)) == {1, 2, 3}


def test_a_file_that_another_program_wrote_during_a_run_is_left_alone(clip, keys):
    app = clip
    propagated(app, keys)
    app.open(0)
    app.drag(1, "left_wrist", -20, 10)
    app.calm()
    first = app.file(1).read_bytes()
    app.key(keys.Key_N)
    app.until(lambda: app.file(1).read_bytes() != first)
    theirs = json.dumps({**app.saved(20), "of_another_program": 1}).encode()
    app.file(20).write_bytes(theirs)
    app.calm()
    assert "Left alone: 20 (changed)" in app.said
    assert app.file(20).read_bytes() == theirs
    assert app.saved(21) != theirs


def test_the_displayed_frame_written_by_another_program_has_both_edits(clip, keys):
    app = clip
    propagated(app, keys)
    app.open(5)
    said = app.saved(5)
    for shape in said["shapes"]:
        if (shape["group_id"], shape["label"]) == (2, "right_knee"):
            shape["points"][0][0] += 30
            moved = tuple(shape["points"][0])
    car = {**said["shapes"][0], "label": "car", "group_id": None, "theirs": [1]}
    said["shapes"].append(car)
    app.file(5).write_text(json.dumps({**said, "checked": True, "theirs": {"kept": 1}}))
    app.drag(1, "left_wrist", -25, 20)
    dropped = app.at(1, "left_wrist")
    app.calm()
    app.until(lambda: not app.view.dirty)
    both = app.saved(5)
    assert joints(both, 2)["right_knee"] == moved == app.at(2, "right_knee")
    assert joints(both, 1)["left_wrist"] == pytest.approx(dropped)
    assert [s["theirs"] for s in both["shapes"] if s["label"] == "car"] == [[1]]
    assert (both["checked"], both["theirs"]) == (True, {"kept": 1})


def test_the_displayed_frame_half_written_by_another_program_waits(clip, keys):
    app = clip
    propagated(app, keys)
    app.open(5)
    whole = app.file(5).read_bytes()
    app.file(5).write_bytes(whole[:700])
    app.drag(1, "left_wrist", -25, 20)
    dropped = app.at(1, "left_wrist")
    app.calm()
    app.settle(1.2)
    assert app.file(5).read_bytes() == whole[:700]
    assert "left alone" in app.said
    before = contents(app.folder)
    propagated(app, keys)  # nothing may go on from what is not saved
    assert contents(app.folder) == before
    app.file(5).write_bytes(whole)
    app.until(lambda: not app.view.dirty, 10)
    assert joints(app.saved(5), 1)["left_wrist"] == pytest.approx(dropped)


def test_a_frame_written_by_a_run_in_the_middle_of_a_drag_has_both(clip, keys):
    """The service writes the frame while a joint of it is in the hand."""
    from driver import LEFT
    from PyQt6.QtTest import QTest

    app = clip
    propagated(app, keys)
    app.open(0)
    app.drag(2, "left_wrist", -20, 10)
    app.calm()
    old = app.file(3).read_bytes()
    app.key(keys.Key_N)
    app.open(3)
    at = app.press(1, "nose")
    app._move(at + at / 40, LEFT)
    app.until(lambda: app.file(3).read_bytes() != old)
    written = app.saved(3)
    QTest.mouseRelease(app.canvas, LEFT, pos=at + at / 40)
    dropped = app.at(1, "nose")
    app.calm()
    app.until(lambda: not app.view.dirty)
    assert joints(app.saved(3), 1)["nose"] == pytest.approx(dropped)
    assert near(joints(app.saved(3), 2), joints(written, 2))


def test_a_full_disk_when_the_app_itself_saves_loses_nothing(clip, keys, monkeypatch):
    from PyQt6.QtWidgets import QMessageBox

    app = clip
    propagated(app, keys)
    app.open(5)
    before = contents(app.folder)

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, app.answering(QMessageBox, "") as asked:
        patch.setattr(os, "fsync", full)
        app.drag(1, "left_wrist", -25, 20)
        dropped = app.at(1, "left_wrist")
        app.calm()
        assert contents(app.folder) == before
        assert app.view.dirty, "the host asks before it leaves the frame"
        app.key(keys.Key_N)
        app.calm()
        assert "could not be saved" in app.said
    assert contents(app.folder) == before
    assert all("No space left" in words for words in asked)
    propagated(app, keys)
    assert joints(app.saved(5), 1)["left_wrist"] == pytest.approx(dropped)
    assert not app.view.dirty


def test_the_apps_own_remote_server_model(clip, keys, service):
    """What an unmodified desktop does: its panel, one image, then video mode, for real."""
    from driver import LEFT
    from PyQt6.QtTest import QTest

    app = clip
    propagated(app, keys)
    before = contents(app.folder)
    client, panel = service.client(), app.view.auto_labeling_widget
    manager = panel.model_manager
    for name, value in (("server_url", client.url), ("api_key", client._token)):
        manager.update_model_config(":/remote_server.yaml", name, value)
    if not panel.isVisible():
        app.view.toggle_auto_labeling_widget()
    manager.load_model(":/remote_server.yaml")
    app.until(lambda: panel.remote_task_select_combobox.count() == 2, 30)
    tasks, replace = panel.remote_task_select_combobox, panel.toggle_preserve_existing_annotations

    app.open(12)
    assert panel.button_run.isVisible()
    assert replace.isVisible(), "the switch that keeps what is on the image"
    if not replace.isChecked():
        QTest.mouseClick(replace, LEFT)
    app.key(keys.Key_I)
    app.until(lambda: app.file(12).read_bytes() != before["frame_00012.json"])
    app.settle(0.3)
    old = json.loads(before["frame_00012.json"])["shapes"]
    assert len(app.saved(12)["shapes"]) > len(old)
    QTest.mouseClick(replace, LEFT)
    app.key(keys.Key_I)
    app.until(lambda: len(app.saved(12)["shapes"]) <= len(old) + 17)
    app.settle(0.3)

    tasks.setCurrentIndex(1)
    app.settle()
    app.open(4)
    panel.edit_text.setText("pose")
    QTest.mouseClick(panel.button_send, LEFT)
    app.until(lambda: app.file(4).read_bytes() != before["frame_00004.json"])
    app.settle(0.3)
    people = persons(app.saved(4))
    assert len(people) >= 2
    auto_run(app, to=10)
    now = contents(app.folder)
    written = {name for name in now if now[name] != before[name]} - {"frame_00012.json"}
    assert written == {f"frame_{frame:05d}.json" for frame in range(4, 11)}
    assert all(persons(app.saved(frame)) == people for frame in range(4, 11))
    manager.unload_model()


def test_a_frame_looked_at_while_it_is_written_shows_what_was_written(clip, keys):
    app = clip
    app.key(keys.Key_N)
    app.until(lambda: app.file(1).exists())
    app.open(20)
    app.calm()
    assert near(app.pose(1), joints(app.saved(20), 1))
    app.drag(1, "left_wrist", 5, 5)
    app.calm()
    assert persons(app.saved(20)) == {1, 2, 3}


def test_the_window_is_alive_while_the_service_works(clip, keys):
    from PyQt6 import QtCore

    app = clip
    ticks = []
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    app.key(keys.Key_N)
    app.calm()
    timer.stop()
    longest = max(b - a for a, b in pairwise(ticks))
    tell(f"{len(ticks)} ticks while propagating; longest pause {longest * 1000:.0f} ms; {app.said}")
    assert len(ticks) > 20


def test_pictures_of_the_story_are_not_empty(clip, keys, tmp_path: Path):
    app = clip
    app.screenshot(tmp_path / "window.jpg")
    assert (tmp_path / "window.jpg").stat().st_size > 20_000
