"""Trajectories as curves. The only place that wants matplotlib."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from impose_core.atomic import write_bytes
from impose_core.errors import UsageError
from impose_core.poses import Origin, PoseTracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE, _ANCHOR, _TRUTH = "#0072B2", "#D55E00", "#333333"  # Okabe and Ito's blue, vermilion
_ROW_INCHES, _WIDE_INCHES, _DPI = 1.7, 10.0, 120


def trajectory_plot(
    path: str | Path,
    tracks: PoseTracks,
    *,
    track_id: int,
    keypoints: Sequence[str],
    truth: PoseTracks | None = None,
    anchors: bool = True,
) -> None:
    """Write a PNG: x and y of joints over the frames, one row a joint.

    The line is the estimate, the band one standard deviation to either side, dots are
    human points, the dashed line is the truth.

    Args:
        path: ends in .png.
        tracks: the estimate.
        track_id: whose joints; in ``truth`` too.
        keypoints: joint names, one or more.
        truth: what the estimate should be, or None.
        anchors: show human points.

    Raises:
        UsageError: if matplotlib is not installed, no joint is named or the suffix is wrong.
        UnknownTrack: if nobody has this id.
        UnknownKeypoint: if the skeleton has no such joint.
        OutputError: if the file cannot be written.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "Expected matplotlib to be installed for plots, got none.",
            hint="pip install impose[plots]",
        )
    from matplotlib.figure import Figure  # an optional extra, and slow to import

    if not keypoints:
        raise UsageError("Expected 'keypoints' to name one joint or more, got none.")
    if Path(path).suffix.lower() != ".png":
        raise UsageError(f"Expected 'path' to end in .png, got {path}.")
    size = (_WIDE_INCHES, _ROW_INCHES * len(keypoints) + 0.9)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    grid = figure.subplots(len(keypoints), 2, sharex=True, squeeze=False)
    for row, name in zip(grid, keypoints, strict=True):
        for axis, axes in enumerate(row):
            _draw_curve(axes, tracks, track_id, name, axis, anchors=anchors)
            if truth is not None:
                _draw_truth(axes, truth, track_id, name, axis)
            axes.set_ylabel(f"{name}\n{'xy'[axis]} (px)", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("frame", fontsize=8)
    lines, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper right", ncols=4, fontsize=8)
    figure.suptitle(f"track {track_id}", x=0.01, ha="left", fontsize=10)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    write_bytes(path, png.getvalue())


def _series(
    tracks: PoseTracks, track_id: int, keypoint: str, axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Value, deviation and whether a human said so, [T] each."""
    n, k = tracks.person(track_id), tracks.skeleton.index(keypoint)
    value = tracks.xy[:, n, k, axis]
    human = (tracks.origin[:, n, k] == Origin.HUMAN) & np.isfinite(value)
    return value, np.nan_to_num(tracks.deviation[:, n, k].astype(float)), human


def _draw_curve(
    axes: Axes, tracks: PoseTracks, track_id: int, keypoint: str, axis: int, *, anchors: bool
) -> None:
    value, deviation, human = _series(tracks, track_id, keypoint, axis)
    frame = np.arange(len(value))
    axes.fill_between(
        frame, value - deviation, value + deviation, color=_LINE, alpha=0.2, lw=0, label="±1 sigma"
    )
    axes.plot(frame, value, color=_LINE, lw=1.3, label="estimate")
    if anchors:
        axes.plot(
            frame[human], value[human], "o", ms=5, color=_ANCHOR, mec="white", mew=0.8,
            label="human", zorder=4,
        )  # fmt: skip
    axes.grid(alpha=0.25, lw=0.6)
    axes.tick_params(labelsize=7)
    axes.margins(x=0.01)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _draw_truth(axes: Axes, truth: PoseTracks, track_id: int, keypoint: str, axis: int) -> None:
    value, _, _ = _series(truth, track_id, keypoint, axis)
    axes.plot(np.arange(len(value)), value, "--", color=_TRUTH, lw=1.0, label="truth", zorder=3)
