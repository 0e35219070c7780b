"""What it costs: ratios inside one process, one thread, and memory over a long video."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import DATA, Clip, rendered_clip
from impose_core.corrections import MoveKeypoints
from impose_core.frames import ArrayFrames, FrameSource, VideoFile, open_frames
from impose_core.io.coco import read_document
from impose_core.overlay import write_video
from impose_core.poses import Origin, PoseTracks
from impose_core.session import Session
from impose_core.synthesis import difficulty, render


class Looped:
    """A source played forth and back again and again, so that no cut breaks the tracks."""

    def __init__(self, source: FrameSource, count: int) -> None:
        self.source, self.count = source, count
        self.name, self.fps, self.notes = f"{source.name} x{count}", source.fps, ()
        self.width, self.height = source.width, source.height

    def __len__(self) -> int:
        return self.count

    def index(self, t: int) -> int:
        """The frame of the source that frame ``t`` shows."""
        n = len(self.source)
        there = t % (2 * n - 2)
        return min(there, 2 * n - 2 - there)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``."""
        return self.source.read(self.index(index))

    def close(self) -> None:
        """Close the source."""
        self.source.close()


def anchored(truth: PoseTracks, frames: Any, gap: int) -> PoseTracks:
    """The truth of every ``gap``-th frame of ``frames`` (a :class:`Looped`)."""
    tracks = PoseTracks.empty(
        frames=len(frames), track_id=truth.track_id.tolist(), skeleton=truth.skeleton
    )
    for t in range(0, len(frames), gap):
        tracks.xy[t] = truth.xy[frames.index(t)]
        known = np.isfinite(tracks.xy[t]).all(-1)
        tracks.visibility[t] = np.where(known, 2, 0)
        tracks.origin[t] = np.where(known, Origin.HUMAN, Origin.NONE)
    return tracks


def timed(frames: FrameSource, tracks: PoseTracks) -> dict[str, float]:
    """Seconds of one whole propagation: in all, in OpenCV's LK calls, decoding."""
    inside = 0.0
    original = cv2.calcOpticalFlowPyrLK

    def clocked(*args: Any, **options: Any) -> Any:
        nonlocal inside
        begun = time.perf_counter()
        try:
            return original(*args, **options)
        finally:
            inside += time.perf_counter() - begun

    cv2.calcOpticalFlowPyrLK = clocked
    try:
        session = Session(frames, skeleton=tracks.skeleton)
        session.load(tracks)
        begun = time.perf_counter()
        for _ in session.propagate():
            pass
        total = time.perf_counter() - begun
    finally:
        cv2.calcOpticalFlowPyrLK = original
    return {"total": total, "lk": inside, "decode": session.seconds["decode"]}


def one_person(clip: Clip) -> Clip:
    """The clip with its first person alone."""
    t = clip.truth
    cut = {
        name: getattr(t, name)[:, :1]
        for name in ("xy", "visibility", "origin", "score", "deviation", "box")
    }
    return replace(clip, truth=PoseTracks(skeleton=t.skeleton, track_id=t.track_id[:1], **cut))


def overhead_and_persons() -> dict[str, float]:
    """Everything but decoding over LK's own time, and 10 persons over 1, at 640 x 360."""
    cv2.setNumThreads(1)
    many = rendered_clip("many", 1)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        # a real file, long enough to be decoded and not only kept
        forth = Looped(many.frames, 480)
        video = Path(folder) / "many.mp4"
        write_video(video, (forth.read(t) for t in range(len(forth))), 30.0)
        for name, clip in (("ten", many), ("one", one_person(many))):
            runs = []
            for _ in range(3):
                with VideoFile(video) as source:
                    runs.append(timed(source, anchored(clip.truth, forth, 20)))
            results[name] = min(runs, key=lambda r: r["total"])
    ten, one = results["ten"], results["one"]
    return {
        "persons": float(len(many.truth.track_id)),
        "frames": 480.0,
        "overhead_10_persons": (ten["total"] - ten["decode"]) / ten["lk"],
        "overhead_1_person": (one["total"] - one["decode"]) / one["lk"],
        "ten_over_one": ten["total"] / one["total"],
        "lk_ten_over_one": ten["lk"] / one["lk"],
        "ms_per_frame_10_persons": 1000 * ten["total"] / 480,
        "ms_per_frame_1_person": 1000 * one["total"] / 480,
    }


def correction() -> dict[str, float]:
    """One correction in the middle of 1,000 frames with 5 persons, over the first pass."""
    cv2.setNumThreads(1)
    scene = render(replace(difficulty("easy", 1), persons=5))
    frames = Looped(ArrayFrames(scene.frames, fps=30.0, name="easy"), 1000)
    session = Session(frames, skeleton=scene.tracks.skeleton)
    session.load(anchored(scene.tracks, frames, 50))
    begun = time.perf_counter()
    for _ in session.propagate():
        pass
    first = time.perf_counter() - begun
    x, y = session.tracks.xy[525, 0, 9]
    session.correct(MoveKeypoints(frame=525, track=1, xy={"left_wrist": (x + 5, y)}))
    begun = time.perf_counter()
    for _ in session.propagate():
        pass
    again = time.perf_counter() - begun
    return {"first_pass_s": first, "after_correction_s": again, "share": again / first}


def memory() -> dict[str, float]:
    """Resident memory (MiB) after 500 frames and at its largest over 10,000, decoding a file."""
    folder = DATA / "flies24_pair"
    truth = read_document(folder / "annotations.json").tracks
    with open_frames(folder / "frames.mp4") as source:
        frames = Looped(source, 10_000)
        session = Session(frames, skeleton=truth.skeleton)
        session.load(anchored(truth, frames, 50))
        early = largest = 0.0
        for result in session.propagate():
            if result.frame == 500:
                early = resident()
            if result.frame % 250 == 0:
                largest = max(largest, resident())
    return {"frames": 10_000.0, "after_500_mib": early, "largest_mib": max(largest, resident())}


def resident() -> float:
    """Memory of this process, MiB."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - a kernel file
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def threads() -> str:
    """How many threads the numbers were measured with."""
    return f"OpenCV 1 thread, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
