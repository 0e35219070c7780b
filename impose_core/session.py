"""The narrow waist: a video, what humans said about it, and what follows from that."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impose_core import online
from impose_core.anchors import AnchorGrid
from impose_core.click_seeds import seeds_of_boxes, seeds_of_clicks
from impose_core.config import Config
from impose_core.corrections import (
    Correction,
    MoveKeypoints,
    SetBox,
    VideoShape,
    marks_from_tracks,
    patch_of,
)
from impose_core.corrections.changes import patch_from
from impose_core.detection import Detection, Looked
from impose_core.engine import Engine
from impose_core.errors import FrameOutOfRange, StateError, UsageError
from impose_core.frames import FrameSource
from impose_core.journal import Journal, patch_from_json, patch_to_json
from impose_core.ledger import columns_of, with_persons, write_frames
from impose_core.marks import Cell, Mark, Marks, Patch
from impose_core.poses import PoseTracks, Visibility
from impose_core.propagation import Propagation
from impose_core.review import Suggestion, suggestions
from impose_core.seeds import removed_words, seeded, words_of
from impose_core.skeleton import Skeleton
from impose_core.stopwatch import Stopwatch

DETECT_EVERY = 3
"""Frames from one look of the detector to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameResult:
    """One frame's poses: the fields of :class:`PoseTracks` without the T axis."""

    frame: int
    track_id: NDArray[np.int64]
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    origin: NDArray[np.uint8]
    score: NDArray[np.float32]
    deviation: NDArray[np.float32]
    box: NDArray[np.float64]


class Session:
    """One annotator's work on one video.

    Corrections go in, poses of every frame come out; undo takes corrections back. The poses
    are a function of the pixels and of the marks that the corrections left, nothing else.

    Args:
        frames: the video. The session reads it and does not close it.
        skeleton: what a person's joints are.
        engine: the parts that look at pixels; the embedded default needs no download.
        config: thresholds.
        journal: file that records every act as it happens; an existing one is continued.
    """

    def __init__(
        self,
        frames: FrameSource,
        *,
        skeleton: Skeleton,
        engine: Engine | None = None,
        config: Config | None = None,
        journal: Path | None = None,
    ) -> None:
        self._frames, self._skeleton = frames, skeleton
        self._config, self._engine = config or Config(), engine or Engine()
        self._watch = Stopwatch()
        self._video = VideoShape(frames=len(frames), width=frames.width, height=frames.height)
        self._marks = Marks(len(skeleton))
        self._persons: list[int] = []  # on the N axis of the propagation
        self._acts: list[Patch] = []
        self._ledger = PoseTracks.empty(frames=len(frames), track_id=[], skeleton=skeleton)
        self._written = np.zeros(len(frames), bool)
        self._propagation = Propagation(
            frames,
            skeleton=skeleton,
            engine=self._engine,
            config=self._config,
            watch=self._watch,
        )
        self._detection: Detection | None = None
        self._doubts: list[tuple[Patch, dict[Cell, float]]] = []  # of each act of detect
        self._journal: Journal | None = None
        if journal is not None:
            self._journal = Journal(journal, skeleton=skeleton, video=self._video, name=frames.name)
            for patch in self._journal.acts:
                self._acts.append(patch)
                self._put(patch)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the journal. The session's results stay readable."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    @property
    def tracks(self) -> PoseTracks:
        """The ledger: human marks, and the estimates of every frame propagated so far."""
        return self._ledger.read_only()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall-clock seconds spent so far: "decode", "track", "read", "estimate"."""
        return dict(self._watch.seconds)

    def load(self, tracks: PoseTracks) -> None:
        """Take every human point of ``tracks`` as this session's own, as one act.

        Its detected joints become seeds again, as :meth:`detect` leaves them, but never where
        this session's human spoke. Estimates are left out: they follow from the rest.

        Raises:
            SkeletonMismatch: if it speaks of another body.
            UsageError: if it has more frames than the video.
        """
        self._do((), marks_from_tracks(tracks, self._marks, self._skeleton, self._video))

    def correct(self, *corrections: Correction) -> None:
        """Take corrections as one act. Estimates follow on the next :meth:`propagate`.

        All or none: if one of them is refused, nothing has changed.

        Raises:
            BadCorrection, UnknownTrack, UnknownKeypoint, FrameOutOfRange: naming the field.
            OutputError: if the journal cannot record the act; then it did not happen.
        """
        patch: dict[Cell, tuple[Mark | None, Mark | None]] = {}
        trial = self._marks.copy()
        for correction in corrections:
            step = patch_of(
                correction,
                trial,
                skeleton=self._skeleton,
                video=self._video,
                estimate=self._ledger,
            )
            trial.apply(step)
            for cell, (before, after) in step.items():
                patch[cell] = (patch[cell][0] if cell in patch else before, after)
        for cell, (_, after) in self._repairs(corrections, trial).items():
            patch[cell] = (patch[cell][0] if cell in patch else self._marks.get(*cell), after)
        self._do(corrections, {c: (b, a) for c, (b, a) in patch.items() if b != a})

    def _repairs(self, corrections: Sequence[Correction], marks: Marks) -> Patch:
        """What else clicks and boxes of ``corrections`` say about the bodies they touched."""
        clicked = {(c.track, c.frame): c for c in corrections if isinstance(c, MoveKeypoints)}
        boxed = {(c.track, c.frame): c for c in corrections if isinstance(c, SetBox)}
        reader = self._engine.reader
        if reader is None or not (clicked or boxed):
            return {}
        with self._watch.stage("read"):
            seeds = seeds_of_clicks(
                clicked,
                marks,
                before=self._marks,
                shown=self._ledger,
                frames=self._frames,
                reader=reader,
            )
            boxes = seeds_of_boxes(
                (cell for cell in boxed if cell not in clicked),
                marks,
                shown=self._ledger,
                frames=self._frames,
                reader=reader,
            )
        return {**seeds, **boxes}

    def detect(self, *, every: int = DETECT_EVERY) -> Generator[Looked, None, None]:
        """Find everybody, without a click; yields as each frame is done.

        At the end persons enter as one act that :meth:`undo` takes back: seeds of the detector
        on the frames where it is surest, which :meth:`propagate` goes on from. Human marks
        stay as they are. Seeds of an earlier run are replaced; who is who stays as it is marked,
        and nobody comes back whom a human removed. Closing the generator before its end leaves
        everything as it was.

        Args:
            every: frames from one look to the next; joints are followed between.

        Raises:
            UsageError: if the engine has no reader, or ``every`` is below 1.
            SkeletonMismatch: if the reader knows too few of this skeleton's joints.
            MediaError: if a frame cannot be read; then nothing has changed.
        """
        if every < 1:
            raise UsageError(f"Expected 'every' to be 1 or more, got {every}.")
        if self._detection is None:
            self._detection = Detection(
                self._frames, skeleton=self._skeleton, engine=self._engine, watch=self._watch
            )
        return self._detect(self._detection, every)

    def _detect(self, detection: Detection, every: int) -> Generator[Looked, None, None]:
        words = words_of(self._marks) + removed_words(self._acts, self._marks)
        last = self._video.frames - 1
        looks = sorted({*range(0, last + 1, every), last, *(w.frame for w in words)})
        yield from detection.run(looks, words)
        persons = detection.persons
        changes, ids = seeded(persons, self._marks, frames=looks)
        patch = patch_from(changes, self._marks)
        self._do((), patch)
        doubts = {
            (track, frame): doubt
            for track, person in zip(ids, persons, strict=True)
            for frame, doubt in person.doubts.items()
        }
        if self._acts:
            self._doubts.append((self._acts[-1], doubts))

    def undo(self) -> bool:
        """Take back the last act; False if there is none left.

        Frames that were propagated since are brought back to what they were.
        """
        if not self._acts:
            return False
        if self._journal is not None:
            self._journal.append_undo()
        self._put(self._acts.pop(), backward=True)
        self._rebase()
        for start, stop in _runs(self._written & ~self._propagation.is_known()):
            for _ in self._propagate(start, stop):
                pass
        for start, stop in _runs(self._written):  # also where now nothing is known any more
            self._write(start, stop)
        return True

    def propagate(
        self, start: int = 0, stop: int | None = None
    ) -> Generator[FrameResult, None, None]:
        """Estimate frames ``start`` to ``stop`` (exclusive; default: the end), in order.

        Yields each frame as it is done. Closing the generator cancels the work: the frames
        yielded so far are in the ledger, the others are as they were.

        Raises:
            FrameOutOfRange: if the range does not lie in the video.
            MediaError: if a frame cannot be read; what was yielded before stays.
        """
        end = len(self._frames) if stop is None else stop
        if not 0 <= start <= end <= len(self._frames):
            raise FrameOutOfRange(
                f"Expected 0 <= 'start' <= 'stop' <= {len(self._frames)}, got {start} and {end}."
            )
        return self._propagate(start, end)

    def _propagate(self, start: int, end: int) -> Generator[FrameResult, None, None]:
        self._rebase()
        window = self._config.window_frames
        while start < end:
            # windows lie on a fixed grid, so that the answer does not hang on where one began
            stop = min(end, (start // window + 1) * window)
            self._propagation.estimate(start, stop)
            with self._watch.stage("estimate"):
                self._write(start, stop)
            for frame in range(start, stop):
                self._written[frame] = True
                yield self._result(frame)
            start = stop

    def states(self, frame: int) -> list[dict[str, Any]]:
        """One state per person known on ``frame``: what :meth:`step` goes on from.

        Raises:
            FrameOutOfRange: if the video has no such frame.
        """
        image = self._frames.read(frame)
        known = np.isfinite(self._ledger.xy[frame]).all(-1)
        visible = self._ledger.visibility[frame] == Visibility.VISIBLE
        return [
            online.start(
                image,
                track=track,
                xy=self._ledger.xy[frame, n],
                visible=visible[n],
                keypoints=self._skeleton.keypoints,
                engine=self._engine,
                config=self._config,
            )
            for n, track in enumerate(self._ledger.track_id.tolist())
            if known[n].any()
        ]

    def step(
        self, image: NDArray[np.uint8], states: Sequence[Mapping[str, Any]]
    ) -> tuple[online.OnlinePoses, list[dict[str, Any]]]:
        """The causal form: follow ``states`` to the next image; see :func:`online.step`.

        It leaves the ledger alone. A host without a video calls ``online.step`` itself.
        """
        return online.step(image, list(states), engine=self._engine, config=self._config)

    def review(self, limit: int = 10) -> list[Suggestion]:
        """The frames where a look is expected to help most, most first.

        Not simply the least sure ones: of each the doubt is counted that a look there would
        take away, on all frames between the nearest ones a human touched (:mod:`.review`). So
        suggestions lie well inside long stretches that nobody has seen. Where the detector took
        one person for another nearly as well (since the last :meth:`detect` of this session),
        all that the person would be from there on is at stake.
        """
        standing = [d for act, d in self._doubts if any(act is a for a in self._acts)]
        return suggestions(self._ledger, limit=limit, doubts=standing[-1] if standing else {})

    def snapshot(self) -> dict[str, Any]:
        """All marks as JSON, positions exact; :meth:`restore` puts them back."""
        return {
            "format": "impose-snapshot",
            "version": 1,
            "skeleton": list(self._skeleton.keypoints),
            "video": self._video.to_json(),
            "marks": patch_to_json({cell: (None, mark) for cell, mark in self._marks.items()}),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Make the marks those of ``snapshot``, as one act that can be undone.

        Raises:
            StateError: if it is of another format, version, skeleton or video, or damaged.
        """
        expected = {
            "format": "impose-snapshot",
            "version": 1,
            "skeleton": list(self._skeleton.keypoints),
            "video": self._video.to_json(),
        }
        for name, value in expected.items():
            if snapshot.get(name) != value:
                raise StateError(
                    f"Expected snapshot '{name}' to be {value!r}, got {snapshot.get(name)!r}."
                )
        wanted = patch_from_json(
            snapshot.get("marks"), keypoints=len(self._skeleton), frames=self._video.frames
        )
        patch: dict[Cell, tuple[Mark | None, Mark | None]] = {
            cell: (mark, None) for cell, mark in self._marks.items()
        }
        for cell, (_, after) in wanted.items():
            patch[cell] = (self._marks.get(*cell), after)
        self._do((), {cell: (b, a) for cell, (b, a) in patch.items() if b != a})

    def _result(self, frame: int) -> FrameResult:
        names = ("xy", "visibility", "origin", "score", "deviation", "box")
        row = {name: getattr(self._ledger, name)[frame].copy() for name in names}
        return FrameResult(frame=frame, track_id=self._ledger.track_id.copy(), **row)

    def _do(self, corrections: Sequence[Correction], patch: Patch) -> None:
        """Record an act, then let it happen; an act that changes nothing is none."""
        if not patch:
            return
        if self._journal is not None:
            self._journal.append(corrections, patch)
        self._acts.append(patch)
        self._put(patch)

    def _put(self, patch: Patch, *, backward: bool = False) -> None:
        """Change the marks, and show them in the ledger at once."""
        self._marks.apply(patch, backward=backward)
        if self._marks.tracks != self._ledger.track_id.tolist():
            self._ledger = with_persons(self._ledger, self._marks.tracks)
        for frame in {frame for _, frame in patch}:
            # what stands there now may be a mark that went: start from the estimate again
            self._write(frame, frame + 1)

    def _write(self, start: int, stop: int) -> None:
        columns = columns_of(self._persons, self._marks.tracks)
        write_frames(
            self._ledger,
            self._propagation.estimates.rows(start, stop, columns),
            self._marks,
            start,
            width=self._video.width,
            height=self._video.height,
            config=self._config.estimate,
        )

    def _rebase(self) -> None:
        """Tell the propagation what is marked now; it forgets what hung on changed marks."""
        grid = AnchorGrid.of(
            self._marks,
            track_id=self._marks.tracks,
            frames=self._video.frames,
            width=self._video.width,
            height=self._video.height,
        )
        self._propagation.rebase(grid, columns_of(self._persons, self._marks.tracks))
        self._persons = self._marks.tracks


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop (exclusive) of each stretch of True in ``mask`` [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
