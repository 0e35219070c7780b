"""What is asked of the service about the displayed clip, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

from PyQt6 import QtCore

from impose_xanylabeling import canvas as on_canvas
from impose_xanylabeling.client import Json, ServiceDown, ServiceError
from impose_xanylabeling.clips import Clip, Clips, Folders
from impose_xanylabeling.display import Display
from impose_xanylabeling.status_line import StatusLine
from impose_xanylabeling.worker import Job, Worker


class Requests:
    """One method per kind of request. All return at once; answers come by the worker.

    Args:
        view: the host's labeling widget.
        clips: used in the worker's thread only.
        worker: does the requests one after the other.
        display: where answers about the displayed frame go.
        status: where the user reads what became of it.
        news: called when ``clip`` is known anew.
    """

    def __init__(
        self,
        view: Any,
        clips: Clips,
        worker: Worker,
        display: Display,
        status: StatusLine,
        news: Callable[[], None],
    ) -> None:
        self.view, self.clips, self.worker = view, clips, worker
        self.display, self.status, self._news = display, status, news
        self.clip: Clip | None = None
        self.folders: Folders | None = None
        self.runs: list[str] = []
        """Runs that Ctrl+Z takes back: those since the last edit on the canvas."""

    # where we are

    def open(self, folders: Folders) -> None:
        """Another clip is displayed."""
        self.folders, self.clip = folders, None
        self.runs.clear()
        self.refresh()

    def frame(self) -> int | None:
        """The displayed frame; None if the clip is not known yet."""
        if self.clip is None or not self.view.filename:
            return None
        return self.clip.frame(self.view.filename)

    def ready(self) -> int | None:
        """The displayed frame; None, and a word about it, if nothing can be asked about it yet."""
        frame = self.frame()
        if frame is None and self.folders is not None:
            self.status.say("The clip is being opened; press again when it is.")
            self.refresh()
        return frame

    def go(self, frame: int) -> None:
        """Display another frame."""
        if self.clip is None or self.folders is None or not self.view.may_continue():
            return
        self.view.load_file(str(Path(self.folders[0]) / self.clip.images[frame]))

    def refresh(self) -> None:
        """Ask how the clip stands now; opens it if need be."""
        folders = self.folders
        if folders is None:
            return

        def work(_: Event) -> Iterator[Json]:
            yield {"clip": self.clips.clip(folders, anew=True)}

        def answered(answer: Json) -> None:
            if folders == self.folders:
                self.clip = answer["clip"]
                self._news()

        def ended(wrong: Exception | None) -> None:
            if wrong is not None:
                self.status.say(f"The clip cannot be opened: {wrong}")

        self.worker.submit(Job(title="Opening", work=work, answered=answered, ended=ended))

    # about the displayed frame

    def refine(self, person: int, joints: dict[str, list[float]]) -> None:
        """Estimate a body anew of which ``joints`` were dragged from where they were."""
        frame, folders, asked = self.frame(), self.folders, on_canvas.shapes_of(self.view)
        picture = self.view.filename
        if frame is None or folders is None:
            return
        moved = {"person": person, "moved": list(joints), "before": joints}
        body = {**moved, "frame": frame, "shapes": asked}
        self._submit(
            "Refining",
            lambda _: iter([self.clips.call(folders, "refine", body)]),
            lambda answer: self.display.put_wanted(picture, answer["shapes"], asked),
        )

    def find(self, verb: str, body: Json, title: str) -> None:
        """Ask for persons on the displayed frame."""
        frame, folders, asked = self.ready(), self.folders, on_canvas.shapes_of(self.view)
        picture = self.view.filename
        if frame is None or folders is None:
            return
        whole = {**body, "frame": frame, "shapes": asked}

        def answered(answer: Json) -> None:
            self.display.put_wanted(picture, answer["shapes"], asked)
            persons = answer.get("persons", [answer.get("person")])
            self.status.say(f"Persons found: {', '.join(map(str, persons)) or 'nobody new'}.")

        self._submit(
            title, lambda _: iter([self.clips.call(folders, verb, whole)]), answered, refresh=True
        )

    # about the clip

    def review(self, limit: int, answered: Callable[[Json], None]) -> None:
        """Ask which frames need a look."""
        folders = self.folders
        if folders is not None:
            self._submit(
                "Review",
                lambda _: iter([self.clips.get(folders, f"review?limit={limit}")]),
                answered,
            )

    def run(self, verb: str, body: Json, title: str) -> None:
        """A stream that writes files: progress, cancel, one undo for all of it."""
        folders = self._may_write()
        if folders is None:
            return
        whole = {**body, "displayed": None}  # it was saved: its file says all
        kept: list[str] = []

        def answered(event: Json) -> None:
            if event["event"] == "started":
                self.runs.append(event["run"])
                self.status.say("")
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

    def identity(self, body: Json) -> None:
        """Say who is who."""
        folders = self._may_write()
        if folders is None:
            return
        whole = {**body, "displayed": None}
        self._submit(
            "Who is who",
            lambda _: iter([self.clips.call(folders, "identity", whole)]),
            lambda answer: self._acted(folders, answer, str(body["act"]).capitalize()),
            refresh=True,
        )

    def undo(self, run: str | None) -> None:
        """Take a run back, on every frame; None: the last of all."""
        folders = self._may_write()
        if folders is None:
            return
        body = {"run": run, "displayed": None}

        def answered(answer: Json) -> None:
            runs = list(self.runs)
            self._acted(folders, answer, "Undo")
            self.runs = runs  # an undo is not undone by pressing Ctrl+Z once more

        self._submit(
            "Undo", lambda _: iter([self.clips.call(folders, "undo", body)]), answered, refresh=True
        )

    # answers

    def _may_write(self) -> Folders | None:
        """The clip whose files a request may write; None, and a word, if it may not now."""
        if self.ready() is None:
            return None
        if not self.display.save_first():
            self.status.say("What you see could not be saved; nothing else was done.")
            return None
        return self.folders

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
        if self.clip is None or folders != self.folders or frame >= len(self.clip.images):
            return
        picture = str(Path(folders[0]) / self.clip.images[frame])
        row = self.view.fn_to_index.get(picture)
        if row is not None:
            with QtCore.QSignalBlocker(self.view.file_list_widget):
                item = self.view.file_list_widget.item(row)
                item.setCheckState(QtCore.Qt.CheckState.Checked)
        if frame == self.frame():
            self.display.show_file()

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
                self.refresh()

        self.worker.submit(Job(title=title, work=work, answered=answered, ended=ended))
