"""The controller: what happens when the user drags a joint, presses a key, opens a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from PyQt6 import QtCore, QtWidgets

from impose_xanylabeling import auto_run, choosing
from impose_xanylabeling import canvas as on_canvas
from impose_xanylabeling.actions import add_actions
from impose_xanylabeling.client import Json
from impose_xanylabeling.clips import Clip, Clips
from impose_xanylabeling.display import Display
from impose_xanylabeling.poses import moved_joints
from impose_xanylabeling.requests import Requests
from impose_xanylabeling.service_process import Provider
from impose_xanylabeling.status_line import StatusLine
from impose_xanylabeling.tally import Tally
from impose_xanylabeling.worker import Job, Worker, safely

IMPOSE_YAML = Path(__file__).with_name("impose.yaml")
SUGGESTIONS = 50


class Plugin(QtCore.QObject):
    """IMPose in one window of X-AnyLabeling."""

    def __init__(self, window: Any, provider: Provider) -> None:
        super().__init__(window)
        self.view = window.labeling_widget.view
        self.provider = provider
        self.skeletons = True
        self.tally = Tally()
        self._drawing_box = False
        self._looked: list[int] = []
        self.worker = Worker(self)
        self.worker.busy.connect(self._busy)
        self.worker.start()
        window.statusBar().clearMessage()  # the host's own name and version, which need the room
        self.status = StatusLine(window.statusBar(), self.cancel)
        self.display = Display(self.view, self.status.say)
        self.requests = Requests(
            self.view, Clips(provider), self.worker, self.display, self.status, self._news
        )
        self.actions = add_actions(self, self.view)
        self.view.canvas.shape_moved.connect(safely(self.joint_dragged))
        self.view.impose_plugin = self
        application = QtWidgets.QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(safely(self.close))
        self.picture_loaded()

    @property
    def clip(self) -> Clip | None:
        """The displayed one; None while it is being opened."""
        return self.requests.clip

    def close(self) -> None:
        """The window closes: end the worker and the service, and leave the host as it was."""
        self.worker.finish()
        self.provider.stop()
        auto_run.forget(IMPOSE_YAML)

    # what the host tells (host.py)

    def picture_loaded(self) -> None:
        """Another picture is displayed."""
        self.display.loaded()
        self._enable_undo()
        folders = on_canvas.folders_of(self.view)
        if folders is not None and folders != self.requests.folders:
            self._looked.clear()
            self.requests.open(folders)

    def edited(self) -> None:
        """Shapes of the displayed frame changed, by whomever."""
        if not self.display.putting:
            self.requests.runs.clear()

    def joint_dragged(self) -> None:
        """A drag ended: estimate the other joints of that body anew."""
        backups = self.view.canvas.shapes_backups
        if self.clip is None or len(backups) < 2:
            return
        before = [on_canvas.plain(shape) for shape in backups[-2]]
        after = on_canvas.shapes_of(self.view)
        for person, joints in moved_joints(before, after, self.clip.keypoints).items():
            self.tally.click(time.monotonic(), person)
            self.requests.refine(person, joints)
        self._show_tally()

    def box_drawn(self) -> bool:
        """A rectangle was drawn; True if it was meant for us."""
        if not self._drawing_box:
            return False
        self._drawing_box = False
        corners = on_canvas.take_back(self.view)["points"]
        self.view.set_edit_mode()
        self.view.toggle_drawing_sensitive(False)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        self.tally.click(time.monotonic())
        box = [min(xs), min(ys), max(xs), max(ys)]
        self.requests.find("box", {"box_xyxy": box, "person": None}, "Pose in the box")
        return True

    # what the user asks for (actions.py)

    def propagate(self) -> None:
        """Frames after this one follow it."""
        self._propagate("forward")

    def propagate_back(self) -> None:
        """Frames before this one follow it."""
        self._propagate("backward")

    def propagate_between(self) -> None:
        """All frames from the nearest checked one before to the nearest one after."""
        self._propagate("between")

    def detect_clip(self) -> None:
        """Everybody on every frame."""
        self.tally.key(time.monotonic())
        self.requests.run("detect", {"every": 3}, "Finding people")

    def detect_frame(self) -> None:
        """Everybody on this frame who is not there yet."""
        self.tally.key(time.monotonic())
        self.requests.find("detect_frame", {}, "Finding people")

    def box(self) -> None:
        """The next rectangle drawn becomes a pose."""
        if self.requests.ready() is None:
            return
        self.tally.key(time.monotonic())
        self._drawing_box = True
        self.view.toggle_draw_mode(False, create_mode="rectangle")
        self.status.say("Two clicks: the corners of a box around a person.")

    def cancel(self) -> None:
        """Stop what runs; what is done stays."""
        self.worker.cancel()

    def undo_run(self) -> None:
        """Take back the last run of all, on every frame."""
        self.tally.key(time.monotonic())
        self.requests.undo(None)

    def undo_latest(self) -> bool:
        """Ctrl+Z: True if the latest thing that happened was a run, which is now taken back."""
        if not self.requests.runs:
            return False
        self.tally.key(time.monotonic())
        self.requests.undo(self.requests.runs.pop())
        return True

    def swap(self) -> None:
        """From this frame on two persons are each other."""
        pair = self._two("Swap with")
        if pair is not None:
            self._identity("swap", frame=self.requests.frame(), first=pair[0], second=pair[1])

    def merge(self) -> None:
        """Two persons were one all along."""
        pair = self._two("Is the same as")
        if pair is not None:
            self._identity("merge", keep=pair[0], absorb=pair[1])

    def split(self) -> None:
        """From this frame on it is somebody new."""
        person = self._one()
        if person is not None:
            self._identity("split", frame=self.requests.frame(), person=person, new_person=None)

    def assign(self) -> None:
        """A person gets another id on all frames."""
        person = self._one()
        if person is None or self.clip is None:
            return
        new = choosing.new_id(self.view, self.clip, person)
        if new is not None:
            self._identity("assign", person=person, new_person=new)

    def end(self) -> None:
        """A person is not there from this frame on."""
        person = self._one()
        if person is not None:
            self._identity("end", frame=self.requests.frame(), person=person)

    def next_look(self) -> None:
        """Go where a correction helps most and nobody has looked yet."""
        if self.requests.ready() is not None:
            self.tally.key(time.monotonic())
            self.requests.review(SUGGESTIONS, self._look)

    def previous_look(self) -> None:
        """Go back to the frame looked at before."""
        self.tally.key(time.monotonic())
        if self._looked and self._looked[-1] == self.requests.frame():
            self._looked.pop()
        if self._looked:
            self.requests.go(self._looked[-1])

    def toggle_skeletons(self) -> None:
        """Draw skeletons, or leave the picture as the host draws it."""
        self.skeletons = not self.skeletons
        self.actions["toggle_skeletons"].setChecked(self.skeletons)
        self.view.canvas.update()

    def auto_run_model(self) -> None:
        """Load the model for the host's own Auto Run."""
        if not self.view.auto_labeling_widget.isVisible():
            self.view.toggle_auto_labeling_widget()
        self.view.auto_labeling_widget.load_custom_model_config(str(IMPOSE_YAML))

    # what becomes of it

    def _propagate(self, direction: str) -> None:
        frame = self.requests.ready()
        if frame is not None:
            self.tally.key(time.monotonic())
            body = {"frame": frame, "direction": direction, "count": None}
            self.requests.run("propagate", body, "Propagating")

    def _identity(self, act: str, **said: Any) -> None:
        self.tally.click(time.monotonic())
        self.requests.identity({"act": act, **said})

    def _one(self) -> int | None:
        if self.requests.ready() is None or self.clip is None:
            return None
        return choosing.one_person(self.view, self.clip)

    def _two(self, question: str) -> tuple[int, int] | None:
        if self.requests.ready() is None or self.clip is None:
            return None
        return choosing.two_persons(self.view, self.clip, question)

    def _look(self, answer: Json) -> None:
        here = self.requests.frame()
        for suggestion in answer["suggestions"]:
            frame = int(suggestion["frame"])
            if frame in self._looked or frame == here:
                continue
            self._looked.append(frame)
            self.requests.go(frame)
            self.display.select(int(suggestion["person"]), str(suggestion["keypoint"]))
            self.status.say(
                f"Frame {frame}: person {suggestion['person']}, {suggestion['keypoint']} "
                f"({suggestion['reason']}, expected OKS {suggestion['expected_oks']:.2f})."
            )
            return
        self._looked.clear()
        self.status.say("No frame is left that nobody looked at; the next press begins anew.")

    def _news(self) -> None:
        self._show_tally()
        self._enable_undo()
        self.view.canvas.update()

    def _busy(self, job: Job | None) -> None:
        if job is None:
            self.status.idle()
        else:
            self.status.working(job.title)

    def _enable_undo(self) -> None:
        """The host's Ctrl+Z is ours while there is a run to take back."""
        if self.view.canvas.editing():  # while drawing the key is another action's
            restorable = self.view.canvas.is_shape_restorable
            self.view.actions.undo.setEnabled(bool(self.requests.runs) or restorable)

    def _show_tally(self) -> None:
        if self.clip is not None:
            self.status.count(self.tally.line(self.clip.persons, len(self.clip.images)))
