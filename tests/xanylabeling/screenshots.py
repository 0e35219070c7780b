"""The pictures of docs/xanylabeling.md: the real app and the demo clip, driven by mouse and keys.

QT_QPA_PLATFORM=offscreen .venv-xanylabeling/bin/python tests/xanylabeling/screenshots.py FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from driver import CONTROL, LEFT, App
from impose_xanylabeling.launcher import folder_of
from impose_xanylabeling.service_process import ServiceProcess, impose_command
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

DEMO = Path(__file__).resolve().parents[2] / "docs" / "demo"


def first_click() -> tuple[int, int, str, tuple[float, float]]:
    """Of the demo's corrections the first: frame, person, joint, where it belongs."""
    said = json.loads((DEMO / "corrections.json").read_text(encoding="utf-8"))
    names = said["categories"][0]["keypoints"]
    frames = {image["id"]: image["frame_id"] for image in said["images"]}
    click = min(said["annotations"], key=lambda a: frames[a["image_id"]])
    k = click["origin"].index("human")
    x, y = click["keypoints"][3 * k : 3 * k + 2]
    return frames[click["image_id"]], click["track_id"], names[k], (x, y)


def main(out: Path) -> None:
    """Play the story and save a picture of each step."""
    home = Path(tempfile.mkdtemp())
    video = home / "demo.mp4"
    shutil.copy(DEMO / "clip.mp4", video)
    service = ServiceProcess(impose_command())
    app = App(folder_of(video, service), home, service)
    app.window.resize(1280, 800)
    app.settle(0.5)

    def shot(name: str) -> None:
        app.screenshot(out / f"{name}.jpg", 1120)

    app.plugin.actions["detect_clip"].trigger()
    app.calm(600)
    app.open(0)
    shot("open")

    frame, person, joint, (x, y) = first_click()
    app.open(frame)
    app.press(person, joint)
    end = app._screen(x, y)
    app._move(end, LEFT)
    shot("correct")
    QTest.mouseRelease(app.canvas, LEFT, Qt.KeyboardModifier.NoModifier, end)
    app.calm()

    app.key(Qt.Key.Key_N)
    app.until(lambda: app.plugin.status.progress.value() >= 10)
    shot("propagate")
    app.calm()

    app.key(Qt.Key.Key_J)
    app.calm()
    shot("review")

    app.open(50)
    people = [status["person"] for status in app.plugin.clip.persons]
    app.click(people[0], "left_hip")
    app.click(people[1], "left_hip", CONTROL)
    app.key(Qt.Key.Key_Y)
    app.calm()
    shot("swap")
    app.plugin.close()
    sys.stdout.write(f"{app.plugin.status.text.text()}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
