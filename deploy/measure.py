"""What the functions cost beside the core: five persons on 1280 x 720, rendered.

    python deploy/measure.py [REPEATS]

Prints medians in milliseconds. A tracker call is base64, image, core (``online.step``) and the
rest, which is what the function itself adds: parsing, states, writing.
"""

from __future__ import annotations

import base64
import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from cvat_function import images
from cvat_function.detecting import Detector
from cvat_function.engines import warm_engine
from cvat_function.tracking import Tracker
from impose_core import online
from impose_core.skeleton import COCO17
from impose_core.synthesis import SceneConfig, render

PERSONS, WIDTH, HEIGHT = 5, 1280, 720


def median(repeats: int, work: Callable[[], Any]) -> float:
    """Milliseconds."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return 1000 * float(np.median(took))


def main(repeats: int) -> None:
    """Measure and print."""
    config = SceneConfig(seed=3, frames=2, persons=PERSONS, width=WIDTH, height=HEIGHT, noise=1.0)
    scene = render(config)
    texts = [
        base64.b64encode(cv2.imencode(".png", frame[..., ::-1])[1].tobytes()).decode()
        for frame in scene.frames
    ]
    engine = warm_engine({})
    tracker, detector = (
        Tracker(engine=engine, skeleton=COCO17),
        Detector(reader=engine.reader, skeleton=COCO17),
    )
    shapes = [
        {
            "type": "skeleton",
            "elements": [
                {
                    "label": name,
                    "points": [] if np.isnan(p[0]) else p.tolist(),
                    "outside": bool(np.isnan(p[0])),
                }
                for name, p in zip(COCO17.keypoints, xy, strict=True)
            ],
        }
        for xy in scene.tracks.xy[0]
    ]
    boxes = [
        [float(v) for v in (*np.nanmin(xy, 0) - 10, *np.nanmax(xy, 0) + 10)]
        for xy in scene.tracks.xy[0]
    ]
    begun = tracker.answer({"image": texts[0], "shapes": shapes})
    boxed = tracker.answer({"image": texts[0], "shapes": boxes})
    body = json.dumps({"image": texts[1], "shapes": [None] * PERSONS, "states": begun["states"]})
    states = [state["online"] for state in begun["states"]]
    picture = images.decoded(texts[1])
    sizes = [len(json.dumps(state)) for state in begun["states"] + boxed["states"]]

    def call() -> str:
        return json.dumps(tracker.answer(json.loads(body)))

    rows = {
        "tracker, whole call": median(repeats, call),
        "  of it base64": median(repeats, lambda: base64.b64decode(texts[1])),
        "  of it base64 and image": median(repeats, lambda: images.decoded(texts[1])),
        "  of it core": median(repeats, lambda: online.step(picture, list(states), engine=engine)),
        "tracker, 5 boxes begin": median(
            max(1, repeats // 5), lambda: tracker.answer({"image": texts[0], "shapes": boxes})
        ),
        "detector, whole call": median(repeats, lambda: detector.answer({"image": texts[0]})),
    }
    rest = rows["tracker, whole call"] - rows["  of it base64 and image"] - rows["  of it core"]
    for name, value in rows.items():
        print(f"{name:28s} {value:8.1f} ms")
    print(
        f"{'  the function itself':28s} {rest:8.1f} ms = {rest / rows['  of it core']:.1%} of core"
    )
    print(f"request {len(body) / 2**20:.1f} MiB, states {min(sizes)} to {max(sizes)} bytes")
    print(f"n = {repeats}, Python {platform.python_version()}, boxes "
          f"{[state['carried'] for state in boxed['states']]}")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
