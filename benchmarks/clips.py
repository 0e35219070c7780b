"""The clips the benchmarks run on: real ones with dense labels, and rendered ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from impose_core.frames import ArrayFrames, FrameSource, open_frames
from impose_core.io.coco import read_document
from impose_core.poses import PoseTracks
from impose_core.synthesis import difficulty, render

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL = {  # clip -> frames used; 301, so that frame 300 closes the last span of 15 and of 30
    "human_dance17": 450,
    "p2s_multi_cam01": 100,
    "p2s_multi_cam03": 100,
    "p2s_single_cam01": 100,
    "flies24_pair": 301,
    "flies13_clip": 301,
}
TUNED_ON = ("human_dance17", "p2s_multi_cam01", "flies24_pair")
"""Clips on which thresholds and the calibration were chosen; the others only report."""


DIFFICULTY_SEED = 1
"""Of the rendered scenes that :func:`clip_named` knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Frames with reference poses; ``area`` float64 [T, N] px squared, for OKS."""

    name: str
    frames: FrameSource
    truth: PoseTracks
    area: NDArray[np.float64]
    digest: str


def real_clip(name: str) -> Clip:
    """A clip of the shared data."""
    folder, count = DATA / name, REAL[name]
    document = read_document(folder / "annotations.json")
    source = open_frames(folder / "frames.mp4")
    digest = hashlib.sha256((folder / "frames.mp4").read_bytes()).hexdigest()[:12]
    images = np.stack([source.read(t) for t in range(count)])
    source.close()
    return Clip(
        name=name,
        frames=ArrayFrames(images, fps=source.fps, name=name),
        truth=document.tracks.frames(0, count),
        area=document.area[:count],
        digest=digest,
    )


def rendered_clip(kind: str, seed: int) -> Clip:
    """A rendered scene; occluded joints count, joints outside the image do not."""
    scene = render(difficulty(kind, seed))
    span = scene.tracks.box
    extent = np.maximum(span[..., 2] - span[..., 0], 1) * np.maximum(span[..., 3] - span[..., 1], 1)
    return Clip(
        name=f"{kind} (seed {seed})",
        frames=ArrayFrames(scene.frames, fps=30.0, name=kind),
        truth=scene.tracks,
        area=0.53 * extent,
        digest=hashlib.sha256(scene.frames.tobytes()).hexdigest()[:12],
    )


def clip_named(name: str) -> Clip:
    """A real clip by its name, or a rendered one by "kind (seed n)"."""
    if name in REAL:
        return real_clip(name)
    kind, seed = name.removesuffix(")").split(" (seed ")
    return rendered_clip(kind, int(seed))
