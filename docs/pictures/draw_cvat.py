"""Draws the pictures of docs/cvat.md: ``python docs/pictures/draw_cvat.py``.

The keyframes are those of one joint of the demo clip, as ``impose cvat propagate`` writes them.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from cvat_function.client.keyframes import TOLERANCE, needed
from cvat_function.spec import _places
from impose_core.frames import open_frames
from impose_core.io.coco import read_document
from impose_core.poses import Origin
from impose_core.session import Session
from impose_core.skeleton import COCO17

HERE = Path(__file__).parent
DEMO = HERE.parent / "demo"
HUMAN, AUTO, GREY = "#c2410c", "#1d4ed8", "#6b7280"
STEPS = (
    ("1  Label", "impose cvat label-spec\npaste into Raw"),
    ("2  Draw", "everybody as a track,\na few frames; save"),
    ("3  Propagate", "impose cvat propagate\n--job 12"),
    ("4  Look", "reload; drag what\nis wrong; save"),
    ("5  Again", "the same command;\nwhat you drew stays"),
)


def steps() -> None:
    """The five steps, in CVAT (orange) and in a terminal (blue)."""
    figure, axes = plt.subplots(figsize=(11, 1.9))
    for i, (title, text) in enumerate(STEPS):
        colour = AUTO if "impose" in text or i == 4 else HUMAN
        box = FancyBboxPatch((i * 2.2, 0), 1.8, 1.0, boxstyle="round,pad=0.06", fc="white",
                             ec=colour, lw=1.8)  # fmt: skip
        axes.add_patch(box)
        axes.text(i * 2.2 + 0.9, 0.78, title, ha="center", va="center", weight="bold", size=11)
        axes.text(i * 2.2 + 0.9, 0.34, text, ha="center", va="center", size=8.5)
        if i:
            axes.add_patch(
                FancyArrowPatch(
                    (i * 2.2 - 0.33, 0.5),
                    (i * 2.2 - 0.07, 0.5),
                    arrowstyle="-|>",
                    mutation_scale=12,
                    color=GREY,
                )
            )
    axes.add_patch(
        FancyArrowPatch(
            (9.7, -0.08),
            (7.5, -0.08),
            arrowstyle="-|>",
            color=GREY,
            mutation_scale=12,
            connectionstyle="arc3,rad=-0.25",
        )
    )
    axes.text(0, -0.42, "orange: in CVAT     blue: in a terminal", size=8.5, color=GREY)
    axes.set(xlim=(-0.15, 10.75), ylim=(-0.5, 1.15))
    axes.axis("off")
    figure.savefig(HERE / "cvat_steps.png", dpi=110, bbox_inches="tight")


def keyframes() -> None:
    """x of one joint: what was drawn, what is written, what CVAT shows between."""
    anchors = read_document(DEMO / "anchors.json").tracks
    joint = COCO17.index("left_wrist")
    with open_frames(DEMO / "clip.mp4") as clip:
        session = Session(clip, skeleton=anchors.skeleton)
        session.load(anchors)
        for _ in session.propagate():
            pass
    xy = session.tracks.xy[:, 0, joint]
    state = session.tracks.visibility[:, 0, joint]
    human = anchors.origin[:, 0, joint] == Origin.HUMAN
    frames = np.arange(len(xy))
    keys = needed(frames, xy, xy, state, human, tolerance=TOLERANCE)
    figure, axes = plt.subplots(figsize=(11, 3))
    axes.plot(frames, xy[:, 0], color="#93c5fd", lw=5, label="the result, frame by frame")
    axes.plot(frames[keys], xy[keys, 0], color=AUTO, lw=1, label="what CVAT shows")
    axes.plot(frames[keys & ~human], xy[keys & ~human, 0], "o", color=AUTO, ms=4,
              label=f"keyframes written ({int((keys & ~human).sum())})")  # fmt: skip
    axes.plot(frames[human], xy[human, 0], "D", color=HUMAN, ms=8,
              label=f"your keyframes ({int(human.sum())})")  # fmt: skip
    axes.set(xlabel="frame", ylabel="x of the left wrist, pixels")
    axes.legend(frameon=False, fontsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "cvat_keyframes.png", dpi=110, bbox_inches="tight")


def label() -> None:
    """The drawing of the label, as CVAT shows it while a skeleton is set up."""
    places = np.array(_places(COCO17.keypoints))
    figure, axes = plt.subplots(figsize=(4.4, 4.6))
    for a, b in COCO17.edges:
        axes.plot(*places[[a, b]].T, color="black", lw=1)
    axes.plot(*places.T, "o", color="#b3b3b3", mec="black", ms=9)
    for name, (x, y) in zip(COCO17.keypoints, places, strict=True):
        if not name.endswith(("eye", "ear")) and name != "nose":
            left = name.startswith("left")
            below = 4 if "hip" in name else 0
            side = {"x": x + (2.5 if left else -2.5), "ha": "left" if left else "right"}
            axes.text(y=y + below, s=name, size=8, va="center", **side)
    axes.set(xlim=(2, 98), ylim=(100, 0), aspect="equal")
    axes.axis("off")
    figure.savefig(HERE / "cvat_label.png", dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    steps()
    keyframes()
    label()
