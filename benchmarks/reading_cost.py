"""What a pose reader costs: per view, ten bodies at once, after a correction, in memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, rendered_clip
from benchmarks.cost import Looped, anchored, resident
from impose_core.corrections import MoveKeypoints
from impose_core.engine import Engine
from impose_core.frames import ArrayFrames
from impose_core.readers import Candidates, PoseReader
from impose_core.readers.movenet import MoveNet
from impose_core.readers.protocol import Detections, Image
from impose_core.readers.views import square_views
from impose_core.session import Session
from impose_core.skeleton import COCO17
from impose_core.synthesis import difficulty, render

FRAMES, PERSONS, GAP = 1000, 3, 50
LONG = 2000
"""Frames on which memory is measured."""


class FakeReader:
    """Answers at once: every joint is in the middle of the view."""

    name, skeleton = "fake", COCO17

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        """As MoveNet's."""
        return square_views(extents)

    def read(self, images: Sequence[Image], views: NDArray[np.int64]) -> Candidates:  # noqa: ARG002
        """As many places as MoveNet gives."""
        middle = views[:, :2] + views[:, 2:] / 2
        xy = np.broadcast_to(middle[:, None, None], (len(views), len(COCO17), 4, 2)).copy()
        return Candidates(xy=xy, score=np.full(xy.shape[:3], 0.3))

    def detect(self, image: Image) -> Detections:
        """Nobody."""
        raise NotImplementedError


def measure() -> dict[str, dict[str, float]]:
    """Everything, JSON-ready."""
    cv2.setNumThreads(1)
    kept = memory()  # before a network takes its share
    return {"views": views(), "correction": correction(), "memory": kept}


def views() -> dict[str, float]:
    """Milliseconds per view on one thread, and ten bodies of an image together over one by one."""
    clip = rendered_clip("many", 1)
    image = clip.frames.read(0)
    one, cores = MoveNet(threads=1), MoveNet(threads=os.cpu_count())
    where = one.views(_extents(clip))
    each = [view[None] for view in where]
    for reader in (one, cores):
        reader.read([image], each[0])  # the network is loaded
    single = _best(lambda: [one.read([image], view) for view in each])
    return {
        "bodies": float(len(where)),
        "cores": float(os.cpu_count() or 1),
        "ms_per_view": 1000 * single / len(where),
        "together_one_thread": _best(lambda: one.read([image] * len(where), where)) / single,
        "together_all_cores": _best(lambda: cores.read([image] * len(where), where)) / single,
    }


def correction() -> dict[str, float]:
    """One correction in the middle of a video that was read already, over the first pass."""
    scene = render(replace(difficulty("easy", 1), persons=PERSONS))
    frames = Looped(ArrayFrames(scene.frames, fps=30.0, name="easy"), FRAMES)
    reader = MoveNet(threads=os.cpu_count())
    session = Session(frames, skeleton=scene.tracks.skeleton, engine=Engine(reader=reader))
    session.load(anchored(scene.tracks, frames, GAP))
    first = _passed(session)
    x, y = session.tracks.xy[FRAMES // 2 + 25, 0, 9]
    begun = time.perf_counter()
    session.correct(MoveKeypoints(frame=FRAMES // 2 + 25, track=1, xy={"left_wrist": (x + 5, y)}))
    again = time.perf_counter() - begun + _passed(session)
    return {
        "frames": float(FRAMES),
        "persons": float(PERSONS),
        "gap": float(GAP),
        "first_pass_s": first,
        "after_correction_s": again,
        "share": again / first,
    }


def memory() -> dict[str, float]:
    """Resident memory (MiB) after 500 frames and at its largest, every view kept."""
    scene = render(replace(difficulty("easy", 1), persons=PERSONS))
    frames = Looped(ArrayFrames(scene.frames, fps=30.0, name="easy"), LONG)
    reader: PoseReader = FakeReader()
    session = Session(frames, skeleton=scene.tracks.skeleton, engine=Engine(reader=reader))
    session.load(anchored(scene.tracks, frames, GAP))
    early = largest = 0.0
    for result in session.propagate():
        if result.frame == 500:
            early = resident()
        if result.frame % 100 == 0:
            largest = max(largest, resident())
    return {
        "frames": float(LONG),
        "persons": float(PERSONS),
        "after_500_mib": early,
        "largest_mib": max(largest, resident()),
    }


def _passed(session: Session) -> float:
    begun = time.perf_counter()
    for _ in session.propagate():
        pass
    return time.perf_counter() - begun


def _extents(clip: Clip) -> NDArray[np.float64]:
    """[N, 4] xyxy of the joints of everybody on the first frame."""
    xy = clip.truth.xy[0]
    return np.concatenate([np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)], axis=-1)


def _best(work: Callable[[], object]) -> float:
    """Seconds, best of 5."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
