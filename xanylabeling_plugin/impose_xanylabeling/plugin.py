"""The controller: what happens when the user drags a joint, presses a key, opens a picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

from PyQt6 import QtCore, QtWidgets

from impose_xanylabeling import canvas as on_canvas
from impose_xanylabeling.actions import add_actions
from impose_xanylabeling.client import Json, ServiceDown, ServiceError
from impose_xanylabeling.clips import Clip, Clips, Folders
from impose_xanylabeling.poses import moved_joints, persons_in, still_wanted
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
        self.clips = Clips(provider)
        self.clip: Clip | None = None
        self.skeletons = True
        self.drawing_box = False
        self.tally = Tally()
        self.runs: list[str] = []
        """Runs that Ctrl+Z takes back: those since the last edit on the canvas."""
        self._own_edit = False
        self._folders: Folders | None = None
        self._looked: list[int] = []
        self.worker = Worker(self)
        self.worker.busy.connect(self._busy)
        self.worker.start()
        window.statusBar().clearMessage()  # the host's own name and version, which need the room
        self.status = StatusLine(window.statusBar(), self.cancel)
        self.actions = add_actions(self, self.view)
        self.view.canvas.shape_moved.connect(safely(self.joint_dragged))
        self.view.impose_plugin = self
        application = QtWidgets.QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(safely(self.close))
        self.picture_loaded()

    def close(self) -> None:
        """The window closes: end the worker and the service."""
        self.worker.finish()
        self.provider.stop()

    # what the host tells (host.py)

    def picture_loaded(self) -> None:
        """Another picture is displayed."""
        self._enable_undo()
        folders = on_canvas.folders_of(self.view)
        if folders is None or folders == self._folders:
            return
        self._folders, self.clip = folders, None
        self.runs.clear()
        self._looked.clear()
        self._refresh()

    def edited(self) -> None:
        """Shapes of the displayed frame changed, by whomever."""
        if not self._own_edit:
            self.runs.clear()

    def joint_dragged(self) -> None:
        """A drag ended: estimate the other joints of that body anew."""
        backups = self.view.canvas.shapes_backups
        if self.clip is None or len(backups) < 2:
            return
        before = [on_canvas.plain(shape) for shape in backups[-2]]
        after = on_canvas.shapes_of(self.view)
        for person, joints in moved_joints(before, after, self.clip.keypoints).items():
            self.tally.click(time.monotonic(), person)
            self._refine(person, joints)
        self._show_tally()

    def box_drawn(self) -> bool:
        """A rectangle was drawn; True if it was meant for us."""
        if not self.drawing_box:
            return False
        self.drawing_box = False
        corners = on_canvas.take_back(self.view)["points"]
        self.view.set_edit_mode()
        self.view.toggle_drawing_sensitive(False)
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        self.tally.click(time.monotonic())
        box = [min(xs), min(ys), max(xs), max(ys)]
        self._ask_frame("box", {"box_xyxy": box, "person": None}, "Pose in the box")
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
        self._run("detect", {"every": 3}, "Finding people")

    def detect_frame(self) -> None:
        """Everybody on this frame who is not there yet."""
        self.tally.key(time.monotonic())
        self._ask_frame("detect_frame", {}, "Finding people")

    def box(self) -> None:
        """The next rectangle drawn becomes a pose."""
        if self._ready() is None:
            return
        self.tally.key(time.monotonic())
        self.drawing_box = True
        self.view.toggle_draw_mode(False, create_mode="rectangle")
        self.status.say("Two clicks: the corners of a box around a person.")

    def cancel(self) -> None:
        """Stop what runs; what is done stays."""
        self.worker.cancel()

    def undo_run(self) -> None:
        """Take back the last run of all, on every frame."""
        self._undo(None)

    def undo_latest(self) -> bool:
        """Ctrl+Z: True if the latest thing that happened was a run, which is now taken back."""
        if not self.runs:
            return False
        self._undo(self.runs.pop())
        return True

    def swap(self) -> None:
        """From this frame on two persons are each other."""
        pair = self._two_persons("Swap with")
        if pair is not None:
            self._identity(
                {"act": "swap", "frame": self._frame(), "first": pair[0], "second": pair[1]}
            )

    def merge(self) -> None:
        """Two persons were one all along."""
        pair = self._two_persons("Is the same as")
        if pair is not None:
            self._identity({"act": "merge", "keep": pair[0], "absorb": pair[1]})

    def split(self) -> None:
        """From this frame on it is somebody new."""
        person = self._one_person()
        if person is not None:
            self._identity(
                {"act": "split", "frame": self._frame(), "person": person, "new_person": None}
            )

    def assign(self) -> None:
        """A person gets another id on all frames."""
        person = self._one_person()
        if person is None:
            return
        known = [int(status["person"]) for status in self.clip.persons] if self.clip else []
        new, sure = QtWidgets.QInputDialog.getInt(
            self.view, "IMPose", f"New id of person {person}", max([0, *known]) + 1, 1
        )
        if sure:
            self._identity({"act": "assign", "person": person, "new_person": new})

    def end(self) -> None:
        """A person is not there from this frame on."""
        person = self._one_person()
        if person is not None:
            self._identity({"act": "end", "frame": self._frame(), "person": person})

    def next_look(self) -> None:
        """Go where a correction helps most and nobody has looked yet."""
        folders = self._folders
        if folders is None or self._ready() is None:
            return
        self.tally.key(time.monotonic())
        self._submit(
            "Review",
            lambda _: iter([self.clips.get(folders, f"review?limit={SUGGESTIONS}")]),
            self._look,
        )

    def previous_look(self) -> None:
        """Go back to the frame looked at before."""
        self.tally.key(time.monotonic())
        if self._looked and self._looked[-1] == self._frame():
            self._looked.pop()
        if self._looked:
            self._go(self._looked[-1])

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

    # requests

    def _refine(self, person: int, joints: dict[str, list[float]]) -> None:
        frame, folders, asked = self._frame(), self._folders, on_canvas.shapes_of(self.view)
        picture = self.view.filename
        if frame is None or folders is None:
            return
        body = {
            "frame": frame,
            "person": person,
            "moved": list(joints),
            "before": joints,
            "shapes": asked,
        }
        self._submit(
            "Refining",
            lambda _: iter([self.clips.call(folders, "refine", body)]),
            lambda answer: self._put_wanted(picture, answer["shapes"], asked),
        )

    def _ask_frame(self, verb: str, body: Json, title: str) -> None:
        """Ask for shapes of the displayed frame, and put them in place."""
        frame, folders, asked = self._ready(), self._folders, on_canvas.shapes_of(self.view)
        picture = self.view.filename
        if frame is None or folders is None:
            return
        whole = {**body, "frame": frame, "shapes": asked}

        def answered(answer: Json) -> None:
            self._put_wanted(picture, answer["shapes"], asked)
            persons = answer.get("persons", [answer.get("person")])
            self.status.say(f"Persons found: {', '.join(map(str, persons)) or 'nobody new'}.")

        self._submit(
            title, lambda _: iter([self.clips.call(folders, verb, whole)]), answered, refresh=True
        )

    def _put_wanted(self, picture: str, answer: list[Json], asked: list[Json]) -> None:
        if self.view.filename != picture:
            return  # the frame was left: what is in its file is what its human left there
        if getattr(self.view.canvas, "moving_shape", False):
            return  # the next drag has begun, and will ask again
        self._put(still_wanted(answer, asked, on_canvas.shapes_of(self.view)))

    def _put(self, shapes: list[Json], *, whole: bool = False, save: bool = True) -> None:
        self._own_edit = True
        try:
            on_canvas.put(self.view, shapes, whole=whole, save=save)
        finally:
            self._own_edit = False

    def _propagate(self, direction: str) -> None:
        frame = self._ready()
        if frame is not None:
            body = {"frame": frame, "direction": direction, "count": None}
            self._run("propagate", body, "Propagating")

    def _run(self, verb: str, body: Json, title: str) -> None:
        """A stream that writes files: progress, cancel, one undo for all of it."""
        folders = self._folders
        if folders is None or self._ready() is None or not on_canvas.save_first(self.view):
            return
        self.tally.key(time.monotonic())
        whole = {**body, "displayed": None}  # it was saved: its file says all
        kept: list[str] = []

        def answered(event: Json) -> None:
            if event["event"] == "started":
                self.runs.append(event["run"])
            elif event["event"] in ("frame", "looked"):
                self.status.working(title, done=event["done"], total=event["total"])
                if event.get("outcome") == "written":
                    self._frame_written(folders, event["frame"])
                elif event.get("outcome") == "kept":
                    kept.append(f"{event['frame']} ({event.get('reason')})")
            elif event["event"] == "finished":
                words = f"{event['written']} frames written in {event['seconds']:.1f} s."
                self.status.say(words + (f" Left alone: {', '.join(kept)}." if kept else ""))

        self._submit(
            title,
            lambda cancelled: self.clips.run(folders, verb, whole, cancelled),
            answered,
            refresh=True,
            told="What is done stays; Ctrl+Z takes it back.",
        )

    def _identity(self, body: Json) -> None:
        folders = self._folders
        if folders is None or self._ready() is None or not on_canvas.save_first(self.view):
            return
        self.tally.click(time.monotonic())
        whole = {**body, "displayed": None}
        self._submit(
            "Who is who",
            lambda _: iter([self.clips.call(folders, "identity", whole)]),
            lambda answer: self._acted(folders, answer, str(body["act"]).capitalize()),
            refresh=True,
        )

    def _undo(self, run: str | None) -> None:
        folders = self._folders
        if folders is None or self._ready() is None or not on_canvas.save_first(self.view):
            return
        self.tally.key(time.monotonic())
        body = {"run": run, "displayed": None}

        def answered(answer: Json) -> None:
            runs = list(self.runs)
            self._acted(folders, answer, "Undo")
            self.runs = runs  # an undo is not undone by pressing Ctrl+Z once more

        self._submit(
            "Undo", lambda _: iter([self.clips.call(folders, "undo", body)]), answered, refresh=True
        )

    def _acted(self, folders: Folders, answer: Json, what: str) -> None:
        self.runs.append(answer["run"])
        for frame in answer["written"]:
            self._frame_written(folders, frame)
        kept = len(answer["kept"])
        self.status.say(
            f"{what}: {len(answer['written'])} frames written"
            + (f", {kept} left alone: changed since." if kept else ".")
        )

    def _frame_written(self, folders: Folders, frame: int) -> None:
        """The service wrote the file of ``frame``: show it where it is shown."""
        if self.clip is None or folders != self._folders or frame >= len(self.clip.images):
            return
        picture = str(Path(folders[0]) / self.clip.images[frame])
        row = self.view.fn_to_index.get(picture)
        if row is not None:
            with QtCore.QSignalBlocker(self.view.file_list_widget):
                item = self.view.file_list_widget.item(row)
                item.setCheckState(QtCore.Qt.CheckState.Checked)
        if frame == self._frame():
            self._show_file()

    def _show_file(self) -> None:
        """Bring the canvas to what the displayed frame's file says; the host's undo remains."""
        if getattr(self.view.canvas, "moving_shape", False) or self.view.dirty:
            return  # what the human is doing now comes first
        try:
            said = json.loads(Path(self.view.get_label_file()).read_text(encoding="utf-8"))
            shapes = list(said["shapes"])
        except FileNotFoundError:
            said, shapes = {}, []
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.status.say(f"The frame's file cannot be read: {error}")
            return
        self._put(shapes, whole=True, save=False)
        if "impose" in said:
            self.view.other_data["impose"] = said["impose"]
        else:
            self.view.other_data.pop("impose", None)

    def _look(self, answer: Json) -> None:
        here = self._frame()
        for suggestion in answer["suggestions"]:
            frame = int(suggestion["frame"])
            if frame in self._looked or frame == here:
                continue
            self._looked.append(frame)
            self._go(frame)
            self._select(int(suggestion["person"]), str(suggestion["keypoint"]))
            self.status.say(
                f"Frame {frame}: person {suggestion['person']}, {suggestion['keypoint']} "
                f"({suggestion['reason']}, expected OKS {suggestion['expected_oks']:.2f})."
            )
            return
        self._looked.clear()
        self.status.say("No frame is left that nobody looked at; the next press begins anew.")

    # small things

    def _submit(
        self,
        title: str,
        work: Callable[[Event], Iterator[Json]],
        answered: Callable[[Json], None],
        *,
        refresh: bool = False,
        told: str = "Nothing was changed.",
    ) -> None:
        def ended(wrong: Exception | None) -> None:
            if wrong is not None:
                hint = f" {wrong.hint}" if isinstance(wrong, ServiceError) and wrong.hint else ""
                self.status.say(f"{title}: {wrong}{hint} {told}")
            if refresh or isinstance(wrong, ServiceDown):
                self._refresh()

        self.worker.submit(Job(title=title, work=work, answered=answered, ended=ended))

    def _refresh(self) -> None:
        """Ask how the clip stands now; opens it if need be."""
        folders = self._folders
        if folders is None:
            return

        def work(_: Event) -> Iterator[Json]:
            yield {"clip": self.clips.clip(folders, anew=True)}

        def answered(answer: Json) -> None:
            if folders == self._folders:
                self.clip = answer["clip"]
                self._show_tally()
                self._enable_undo()
                self.view.canvas.update()

        def ended(wrong: Exception | None) -> None:
            if wrong is not None:
                self.status.say(f"The clip cannot be opened: {wrong}")

        self.worker.submit(Job(title="Opening", work=work, answered=answered, ended=ended))

    def _busy(self, job: Job | None) -> None:
        if job is None:
            self.status.idle()
        else:
            self.status.working(job.title)

    def _enable_undo(self) -> None:
        """The host's Ctrl+Z is ours while there is a run to take back."""
        if self.view.canvas.editing():  # while drawing the key is another action's
            restorable = self.view.canvas.is_shape_restorable
            self.view.actions.undo.setEnabled(bool(self.runs) or restorable)

    def _show_tally(self) -> None:
        if self.clip is not None:
            self.status.count(self.tally.line(self.clip.persons, len(self.clip.images)))

    def _ready(self) -> int | None:
        """The displayed frame; None, and a word about it, if nothing can be asked about it yet."""
        frame = self._frame()
        if frame is None and self._folders is not None:
            self.status.say("The clip is being opened; press again when it is.")
            self._refresh()
        return frame

    def _frame(self) -> int | None:
        if self.clip is None or not self.view.filename:
            return None
        return self.clip.frame(self.view.filename)

    def _go(self, frame: int) -> None:
        if self.clip is None or self._folders is None or not self.view.may_continue():
            return
        self.view.load_file(str(Path(self._folders[0]) / self.clip.images[frame]))

    def _select(self, person: int, joint: str) -> None:
        for shape in self.view.canvas.shapes:
            if shape.group_id == person and shape.label == joint:
                self.view.canvas.select_shapes([shape])

    def _one_person(self) -> int | None:
        """Who is meant: of whom something is selected, else who is alone, else who is chosen."""
        if self._ready() is None:
            return None
        chosen = on_canvas.selected_persons(self.view)
        return chosen[0] if chosen else self._choose("Person", set())

    def _two_persons(self, question: str) -> tuple[int, int] | None:
        if self._ready() is None:
            return None
        chosen = on_canvas.selected_persons(self.view)
        if len(chosen) >= 2:
            return chosen[0], chosen[1]
        first = chosen[0] if chosen else self._choose("Person", set())
        second = None if first is None else self._choose(question, {first})
        return None if first is None or second is None else (first, second)

    def _choose(self, question: str, without: set[int]) -> int | None:
        assert self.clip is not None
        here = set(persons_in(on_canvas.shapes_of(self.view)))
        known = here | {int(status["person"]) for status in self.clip.persons}
        others = sorted(known - without)
        if not others:
            self.status.say("There is no such person here.")
            return None
        if len(others) == 1:
            return others[0]
        names = [str(person) for person in others]
        said, sure = QtWidgets.QInputDialog.getItem(self.view, "IMPose", question, names, 0, False)
        return int(said) if sure else None
