"""From one labelled frame on: how good are poses 10, 30, 60 and 90 frames later?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip
from benchmarks.remembering import Remembering
from impose_core import online
from impose_core.engine import Engine
from impose_core.frames import ArrayFrames
from impose_core.poses import Origin
from impose_core.readers import PoseReader
from impose_core.session import Session

Floats = NDArray[np.float64]

CLIPS = ("human_dance17", "p2s_multi_cam01", "p2s_multi_cam03", "p2s_single_cam01")
HORIZONS = (10, 30, 60, 90)
EVERY = 45
"""Frames from one start to the next."""
METHODS = ("hold", "causal", "causal, readings", "session", "session, readings")
"""*causal*: ``online.step``, frame by frame; *session*: ``Session``, beyond the one anchor."""
GOALS = {"human_dance17": 0.81, "p2s_multi_cam01": 0.93, "p2s_multi_cam03": 0.79}
"""Mean OKS at the last horizon."""


def starts(frames: int) -> list[int]:
    """Frames to begin on: at least two horizons lie before the end."""
    return list(range(0, frames - HORIZONS[1], EVERY))


def run(clip: Clip, reader: Remembering) -> list[dict[str, Any]]:
    """A row for each start: OKS of every person, by method and horizon."""
    return [_row(clip, start, reader) for start in starts(len(clip.truth))]


def _row(clip: Clip, start: int, reader: Remembering) -> dict[str, Any]:
    part = _part(clip, start, min(start + HORIZONS[-1] + 1, len(clip.truth)))
    poses: dict[str, Callable[[], Floats]] = {
        "hold": lambda: np.repeat(part.truth.xy[:1], len(part.truth), axis=0),
        "causal": lambda: causal(part),
        "causal, readings": lambda: causal(part, reader),
        "session": lambda: offline(part),
        "session, readings": lambda: offline(part, reader),
    }
    return {
        "clip": clip.name,
        "digest": clip.digest,
        "start": start,
        "oks": {method: _scores(part, poses[method]()) for method in METHODS},
    }


def causal(clip: Clip, reader: PoseReader | None = None) -> Floats:
    """Poses [T, N, K, 2] of the causal form, from the labels of the first frame."""
    truth, engine = clip.truth, Engine(reader=reader)
    xy = np.full(truth.xy.shape, np.nan)
    there = np.flatnonzero(np.isfinite(truth.xy[0]).all(-1).any(-1))
    states = [
        online.start(
            clip.frames.read(0),
            track=n,
            xy=truth.xy[0, n],
            visible=truth.visibility[0, n] == 2,
            keypoints=truth.skeleton.keypoints,
            engine=engine,
        )
        for n in there.tolist()
    ]
    for t in range(1, len(truth)):
        found, states = online.step(clip.frames.read(t), states, engine=engine)
        xy[t, there] = found.xy
    return xy


def offline(clip: Clip, reader: PoseReader | None = None) -> Floats:
    """Poses [T, N, K, 2] of a session that was given the labels of the first frame."""
    human = clip.truth.copy()
    human.xy[1:], human.visibility[1:], human.origin[1:] = np.nan, 0, Origin.NONE
    known = np.isfinite(human.xy[0]).all(-1)
    human.origin[0] = np.where(known, Origin.HUMAN, Origin.NONE)
    with Session(clip.frames, skeleton=human.skeleton, engine=Engine(reader=reader)) as session:
        session.load(human)
        for _ in session.propagate():
            pass
        tracks = session.tracks
        xy = np.full(human.xy.shape, np.nan)
        for n, track in enumerate(human.track_id.tolist()):
            if track in tracks.track_id:
                xy[:, n] = tracks.xy[:, tracks.person(track)]
    return xy


def _part(clip: Clip, start: int, stop: int) -> Clip:
    images = np.stack([clip.frames.read(t) for t in range(start, stop)])
    return replace(
        clip,
        frames=ArrayFrames(images, fps=clip.frames.fps, name=clip.name),
        truth=clip.truth.frames(start, stop),
        area=clip.area[start:stop],
    )


def _scores(clip: Clip, xy: Floats) -> dict[str, list[float]]:
    """Horizon -> OKS of every person over the joints labelled there and on the first frame."""
    kappa = 2 * np.asarray(clip.truth.skeleton.sigmas)
    labelled = np.isfinite(clip.truth.xy).all(-1)
    squared = ((xy - clip.truth.xy) ** 2).sum(-1)
    terms = np.nan_to_num(np.exp(-squared / (2 * kappa**2 * clip.area[..., None])))
    counts = labelled & labelled[0]
    return {
        str(t): [float(terms[t, n][counts[t, n]].mean()) for n in np.flatnonzero(counts[t].any(-1))]
        for t in HORIZONS
        if t < len(clip.truth)
    }
