"""A clip: images, the JSON files that are the truth about them, and a session that may be lost."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from impose_core.engine import Engine
from impose_core.errors import BadDocument
from impose_core.frames import FrameSource, ImageFolder, open_frames
from impose_core.io.documents import VideoInfo
from impose_core.io.xanylabeling_files import read_frame
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.io.xanylabeling_people import Person, people_of
from impose_core.journal import patch_to_json
from impose_core.marks import Cell, Mark, Patch
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.service.errors import BadRequest, Busy
from impose_core.service.requests import Displayed
from impose_core.service.runs import Runs
from impose_core.service.seeds import without_overruled
from impose_core.session import Session
from impose_core.skeleton import Skeleton

WAITING: Final = 8
"""Requests that may wait to look at a clip's pixels; more are told to come again."""
TORN_SECONDS: Final = 60

Labels = Mapping[int, FrameLabels]
"""What is known of each frame whose file can be read."""


class Clip:
    """An open clip. Its files may change at any time; they are read anew for every request.

    Args:
        path: a folder of images, or a video file.
        labels: the folder of the JSON files.
        skeleton: whose joints are meant.
        engine: the parts that look at pixels.

    Attributes:
        name: which clip it is, the same for the same folder, labels and skeleton.
        images: file name of each frame's image.
        files: JSON file of each frame.
        video: what the frames are.
        runs: what was replaced in the files.

    Raises:
        MediaError: if there is nothing to show at ``path``.
        BadRequest: if two images would share a JSON file.
    """

    def __init__(self, path: Path, labels: Path, skeleton: Skeleton, engine: Engine) -> None:
        self.path, self.labels_folder = path, labels
        self.skeleton, self.engine = skeleton, engine
        # two sources: somebody may look at a frame while a run reads others
        self._frames: FrameSource = open_frames(path)
        self._shown: FrameSource = open_frames(path)
        count = len(self._frames)
        self.images = (
            self._frames.file_names
            if isinstance(self._frames, ImageFolder)
            else tuple(image_name(t) for t in range(count))
        )
        self.files = tuple(labels / f"{Path(image).stem}.json" for image in self.images)
        if len(set(self.files)) < count:
            twice = next(f for i, f in enumerate(self.files) if f in self.files[:i])
            raise BadRequest(
                f"Expected the images of {path} to have names that differ before the suffix, "
                f"got several of '{twice.stem}'."
            )
        self.video = VideoInfo(
            file_name=self._frames.name,
            width=self._frames.width,
            height=self._frames.height,
            frames=count,
            fps=self._frames.fps,
        )
        self.name = clip_name(path, labels, skeleton)
        self.runs = Runs(labels)
        self._session: Session | None = None
        self._read: dict[int, tuple[tuple[int, int, int] | None, FrameLabels | BadDocument]] = {}
        self._reading = threading.Lock()
        self._looking, self._waiting = threading.Lock(), threading.Semaphore(WAITING)
        self._running = threading.Lock()
        _clean(labels)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.files)

    def close(self) -> None:
        """Let go of the images."""
        self._frames.close()
        self._shown.close()

    @contextmanager
    def looking(self) -> Iterator[FrameSource]:
        """The frames, for one at a time; never kept waiting by a run.

        Raises:
            Busy: if too many wait already.
        """
        if not self._waiting.acquire(blocking=False):
            raise Busy(f"Expected at most {WAITING} requests at once for a clip, got more.")
        try:
            with self._looking:
                yield self._shown
        finally:
            self._waiting.release()

    def begin(self) -> None:
        """Take the files for a run; :meth:`end` gives them back, from any thread.

        Raises:
            Busy: if a run is under way.
        """
        if not self._running.acquire(blocking=False):
            raise Busy(
                "Expected no run on this clip to be under way, got one.",
                hint="Wait for its end, or cancel it.",
            )

    def end(self) -> None:
        """Give the files back."""
        self._running.release()

    def frame(self, index: int) -> FrameLabels:
        """What the file of a frame says.

        Raises:
            BadDocument: if it is not such a file, or half of one.
        """
        found = self._frame(index)
        if isinstance(found, BadDocument):
            raise found
        return found

    def _frame(self, index: int) -> FrameLabels | BadDocument:
        path = self.files[index]
        with self._reading:
            now = _signature(path)
            held = self._read.get(index)
            if held is None or held[0] != now:
                held = (now, self._found(path))
                self._read[index] = held
        return held[1]

    def _found(self, path: Path) -> FrameLabels | BadDocument:
        try:
            found = read_frame(path)
            people_of(found, self.skeleton)
        except BadDocument as error:
            return error
        return found

    def frames(self, displayed: Displayed | None = None) -> tuple[Labels, dict[int, str]]:
        """What is known of every frame, and what is wrong with the files that cannot be read.

        Raises:
            BadRequest: if what is displayed breaks the format.
        """
        labels, problems = {}, {}
        for index in range(len(self)):
            found = self._frame(index)
            if isinstance(found, BadDocument):
                problems[index] = found.message
            else:
                labels[index] = found
        if displayed is not None:
            labels[displayed.frame] = self._in_memory(displayed, labels.get(displayed.frame))
            problems.pop(displayed.frame, None)
        return labels, problems

    def _in_memory(self, displayed: Displayed, file: FrameLabels | None) -> FrameLabels:
        labels = displayed.labels
        if not displayed.noted and file is not None:
            labels = labels.with_shapes(labels.shapes, file.impose)
        try:
            people_of(labels, self.skeleton)
        except BadDocument as error:
            raise BadRequest(f"In 'displayed': {error.message}") from error
        return labels

    def people(self, labels: Labels) -> dict[int, dict[int, Person]]:
        """Everybody on every frame."""
        return {index: people_of(frame, self.skeleton) for index, frame in labels.items()}

    def session(self, labels: Labels) -> Session:
        """The session, brought to what the files say. Only a run may ask for it."""
        if self._session is None:
            self._session = Session(self._frames, skeleton=self.skeleton, engine=self.engine)
        marks: dict[Cell, Mark] = {}
        for index, people in self.people(labels).items():
            for track, person in people.items():
                mark = person.mark()
                if not mark.is_blank:
                    marks[track, index] = mark
        patch: Patch = {cell: (None, mark) for cell, mark in without_overruled(marks).items()}
        self._session.restore({**self._session.snapshot(), "marks": patch_to_json(patch)})
        return self._session

    def forget(self) -> None:
        """Drop the session: after a fault inside nobody knows what it holds."""
        self._session = None

    def tracks(self, labels: Labels) -> PoseTracks:
        """All that stands in the files, as a ledger."""
        people = self.people(labels)
        shown = {
            identity
            for here in people.values()
            for identity, person in here.items()
            if person.places
        }
        ids = sorted(shown)
        tracks = PoseTracks.empty(frames=len(self), track_id=ids, skeleton=self.skeleton)
        for index, here in people.items():
            for n, identity in enumerate(ids):
                person = here.get(identity)
                if person is not None:
                    _fill(tracks, (index, n), person)
        return tracks

    def about(self) -> dict[str, Any]:
        """The clip as an answer tells of it."""
        labels, problems = self.frames()
        reader = self.engine.reader
        return {
            "clip": self.name,
            "path": str(self.path),
            "labels": str(self.labels_folder),
            "frames": len(self),
            "width": self.video.width,
            "height": self.video.height,
            "fps": self.video.fps,
            "images": list(self.images),
            "keypoints": list(self.skeleton.keypoints),
            "edges": [list(edge) for edge in self.skeleton.edges],
            "flip_pairs": [list(pair) for pair in self.skeleton.flip_pairs],
            "reader": "none" if reader is None else reader.name,
            "problems": [
                {"frame": index, "file": self.files[index].name, "message": message}
                for index, message in problems.items()
            ],
            "persons": status_of_persons(self.tracks(labels), labels),
        }


def image_name(frame: int) -> str:
    """What the image of a video's frame is called, as X-AnyLabeling calls it."""
    return f"frame_{frame:05d}.jpg"


def clip_name(path: Path, labels: Path, skeleton: Skeleton) -> str:
    """The name of the clip at a place: the same after a restart."""
    what = "\0".join([str(path), str(labels), *skeleton.keypoints])
    return f"c{hashlib.sha256(what.encode(errors='surrogateescape')).hexdigest()[:16]}"


def status_of_persons(tracks: PoseTracks, labels: Labels) -> list[dict[str, Any]]:
    """How far each person is."""
    checked = np.zeros(len(tracks), bool)
    checked[[index for index, frame in labels.items() if frame.checked]] = True
    found = []
    for n, identity in enumerate(tracks.track_id.tolist()):
        shown = np.isfinite(tracks.xy[:, n]).all(-1)
        human = shown & (tracks.origin[:, n] == Origin.HUMAN)
        frames = np.flatnonzero(shown.any(-1))
        scores = tracks.score[:, n][shown]
        scores = scores[np.isfinite(scores)]
        found.append(
            {
                "person": identity,
                "frames": len(frames),
                "human_frames": int(human.any(-1).sum()),
                "human_joints": int(human.sum()),
                "checked_frames": int((shown.any(-1) & checked).sum()),
                "first": int(frames[0]),
                "last": int(frames[-1]),
                "mean_score": round(float(scores.mean()), 4) if len(scores) else None,
            }
        )
    return found


def _fill(tracks: PoseTracks, at: tuple[int, int], person: Person) -> None:
    pose, known = person.pose, person.pose.known
    tracks.xy[at] = pose.xy
    tracks.visibility[at] = np.where(known, pose.visibility, Visibility.ABSENT)
    tracks.origin[at] = np.where(known, pose.origin, Origin.NONE)
    tracks.deviation[at], tracks.score[at] = pose.deviation, pose.score
    tracks.box[at] = person.box


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _clean(labels: Path) -> None:
    """Remove what a process that died left half written; what is younger may be another's."""
    for torn in labels.glob(".impose-*.json"):
        with suppress(OSError):
            if time.time() - torn.stat().st_mtime > TORN_SECONDS:
                torn.unlink()


def free_person(labels: Sequence[FrameLabels]) -> int:
    """An id that no shape of any frame has."""
    taken = {shape.person or 0 for frame in labels for shape in frame.shapes}
    gone = {entry["person"] for frame in labels for entry in frame.impose.get("gone", [])}
    return int(max({0, *taken, *gone})) + 1
