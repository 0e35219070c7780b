"""A service over real HTTP on a clip whose pictures say which frame they are."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import uvicorn

from impose_core.engine import Engine
from impose_core.readers import Detections
from impose_core.service.app import create_app
from impose_core.service.desk import Settings
from impose_core.skeleton import COCO17
from tests.fakes import FieldTracker, TruthReader, index_of

FRAMES, WIDTH, HEIGHT = 30, 320, 240
STEP = np.array([2.0, 1.0])
"""Pixels that everything moves from frame to frame."""
STANCE = np.array(
    [
        [50, 40], [52, 38], [48, 38], [55, 39], [45, 39],
        [60, 60], [40, 60], [65, 80], [35, 80], [68, 100], [32, 100],
        [56, 105], [44, 105], [56, 135], [44, 135], [56, 165], [44, 165],
    ],
    float,
)  # fmt: skip


def truth(frame: int, shift: float = 0.0) -> Any:
    """Where the joints of a person are, [17, 2] px; ``shift`` px further right."""
    return STANCE + frame * STEP + [shift, 0.0]


class OnePerson(TruthReader):
    """Sees the person of :func:`truth`, and a second one 120 px further right."""

    def __init__(self) -> None:
        super().__init__(np.stack([truth(t) for t in range(FRAMES)]), COCO17)

    def detect(self, image: Any) -> Detections:
        frame = index_of(image)
        xy = np.stack([truth(frame), truth(frame, 120.0)])
        score = np.full(xy.shape[:2], 0.9)
        candidates = self.read([image] * 2, np.array([[0, 0, 64]] * 2))
        return Detections(xy=xy, score=score, candidates=candidates)


def fake_engine(tracker: Any = None) -> Engine:
    field = tracker or FieldTracker(lambda t, xy: np.broadcast_to(STEP, xy.shape))
    return Engine(points=field, reader=OnePerson())


def make_images(folder: Path, frames: int = FRAMES) -> Path:
    """PNG, so that the first pixel still says which frame it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for t in range(frames):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[0, 0] = (0, *divmod(t, 256)[::-1])  # BGR of (high, low, 0)
        cv2.imwrite(str(folder / f"frame_{t:05d}.png"), image)
    return folder


def joints(frame: int, person: int = 1, shift: float = 0.0) -> list[dict[str, Any]]:
    """The shapes of a person whom a human placed."""
    return [
        {
            "label": name,
            "shape_type": "point",
            "points": [place.tolist()],
            "group_id": person,
            "difficult": False,
            "score": None,
        }
        for name, place in zip(COCO17.keypoints, truth(frame, shift), strict=True)
    ]


def write_labels(folder: Path, frame: int, shapes: list[Any], **more: Any) -> Path:
    path = folder / f"frame_{frame:05d}.json"
    document = {
        "version": "4.2.1",
        "flags": {},
        "checked": False,
        "shapes": shapes,
        "imagePath": f"frame_{frame:05d}.png",
        "imageData": None,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **more,
    }
    path.write_text(json.dumps(document, indent=2))
    return path


def labels(folder: Path, frame: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"frame_{frame:05d}.json").read_text())
    return found


def places(folder: Path, frame: int, person: int = 1) -> dict[str, list[float]]:
    """Joints of a person by name, as the file of a frame has them."""
    return {
        shape["label"]: shape["points"][0]
        for shape in labels(folder, frame)["shapes"]
        if shape["group_id"] == person and shape["shape_type"] == "point"
    }


def contents(folder: Path) -> dict[str, bytes]:
    """All JSON files beside the images."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}


class Caller:
    """A client of one clip."""

    def __init__(self, client: httpx.Client, folder: Path) -> None:
        self.client, self.folder = client, folder
        opened = client.post("/impose/clips", json={"path": str(folder)})
        assert opened.status_code == 200, opened.text
        self.about: dict[str, Any] = opened.json()
        self.base = f"/impose/clips/{self.about['clip']}"

    def post(self, what: str, body: Mapping[str, Any]) -> httpx.Response:
        return self.client.post(f"{self.base}/{what}", json=body)

    def lines(self, what: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.post(what, body)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def said(self, what: str, **body: Any) -> dict[str, Any]:
        answer = self.post(what, body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def running(engine: Engine | None = None, **settings: Any) -> Iterator[httpx.Client]:
    """A service in a thread, at a free port, and a client of it."""
    app = create_app(Settings(engine=engine or fake_engine(), skeleton=COCO17, **settings))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
