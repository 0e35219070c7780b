"""What people look at: overlay videos, contact sheets, trajectory plots."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from impose_core.errors import UsageError
from impose_core.frames import FrameSource
from impose_core.overlay import contact_sheet, draw_poses, trajectory_plot, write_image, write_video
from impose_core.poses import Origin, PoseTracks

SHEET_TILES = 12
SHEET_PIXELS = 1800
PLOTTED = 4
"""Joints in a trajectory plot: those that move most, which are the hardest."""
DEFAULT_FPS = 25.0

Item = TypeVar("Item")


def progress(items: Iterable[Item], *, total: int, what: str) -> Iterator[Item]:
    """Pass ``items`` on, with a bar on standard error where somebody is looking."""
    bar = tqdm(items, total=total, desc=what, unit="frame", disable=not sys.stderr.isatty())
    yield from bar


def write_overlay(
    path: Path, frames: FrameSource, tracks: PoseTracks, indices: Sequence[int]
) -> None:
    """Write a video of the frames ``indices`` with their poses."""
    images = (draw_poses(frames.read(t), tracks, t) for t in indices)
    write_video(
        path, progress(images, total=len(indices), what="overlay"), frames.fps or DEFAULT_FPS
    )


def write_sheet(
    path: Path,
    frames: FrameSource,
    tracks: PoseTracks,
    indices: Sequence[int],
    *,
    columns: int = 4,
) -> None:
    """Write a contact sheet of the frames ``indices``."""
    human = (tracks.origin == Origin.HUMAN).any((1, 2))
    tiles = [
        (f"frame {t}" + (" (human)" if human[t] else ""), draw_poses(frames.read(t), tracks, t))
        for t in indices
    ]
    write_image(path, contact_sheet(tiles, columns=columns, width=SHEET_PIXELS))


def write_pairs(
    path: Path,
    frames: FrameSource,
    left: tuple[str, PoseTracks],
    right: tuple[str, PoseTracks],
    pairs: Sequence[tuple[int, int, str]],
) -> None:
    """Write single persons side by side, as two ledgers have them.

    Args:
        path: of the picture.
        frames: the video.
        left: caption and ledger.
        right: likewise, of the same persons.
        pairs: frame, index of the person, caption.
    """
    tiles = []
    for frame, n, caption in pairs:
        both = np.concatenate([tracks.xy[frame, n] for _, tracks in (left, right)])
        window = _around(both, frames)
        for name, tracks in (left, right):
            drawn = draw_poses(frames.read(frame), tracks.only(n), frame)
            tiles.append((f"{caption}: {name}", np.ascontiguousarray(drawn[window])))
    write_image(path, contact_sheet(tiles, columns=4, width=SHEET_PIXELS))


def _around(xy: NDArray[np.float64], frames: FrameSource) -> tuple[slice, slice]:
    """The rows and columns around the points ``xy`` [P, 2], half their extent further.

    Points outside the image count as on its border: the window always shows some of it.
    """
    size = np.array([frames.width, frames.height])
    low, high = (np.clip(end(xy, axis=0), 0, size) for end in (np.nanmin, np.nanmax))
    margin = 20 + 0.5 * float((high - low).max())
    x1, y1 = np.clip(low - margin, 0, size - 1).astype(int).tolist()
    x2, y2 = np.clip(high + margin, 1, size).astype(int).tolist()
    return slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))


def spread(indices: Sequence[int], count: int = SHEET_TILES) -> list[int]:
    """At most ``count`` of ``indices``, evenly spread, ends included."""
    picks = np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)
    return [indices[i] for i in picks]


def write_plot(path: Path, tracks: PoseTracks) -> None:
    """Plot the liveliest joints of the liveliest person."""
    known = np.asarray(np.isfinite(tracks.xy).all(-1))
    if not known.any():
        raise UsageError("Expected a joint with a place to plot, got none.")
    steps = np.abs(np.diff(tracks.xy, axis=0)).sum(-1)
    travelled = np.where(known[1:] & known[:-1], steps, 0.0).sum(0)
    travelled[~known.any(0)] = -1.0  # behind all that merely stand still
    person = int(np.argmax(travelled.sum(-1)))
    joints = np.argsort(-travelled[person], kind="stable")[:PLOTTED]
    names = [tracks.skeleton.keypoints[k] for k in sorted(joints) if known[:, person, k].any()]
    trajectory_plot(path, tracks, track_id=int(tracks.track_id[person]), keypoints=names)
