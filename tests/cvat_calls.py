"""Calls of the functions for CVAT in Nuclio's own types, and what CVAT does to JSON between."""

from __future__ import annotations

import base64
import json
import warnings
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cvat_function.replies import answered
from impose_core.readers import Candidates, Detections
from impose_core.readers.views import square_views
from impose_core.skeleton import COCO17
from impose_core.synthesis import Scene


class Log:
    """Where a worker logs: kept, printed nowhere."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, text: str) -> None:
        self.lines.append(text)


def context(**user_data: Any) -> Any:
    """A context as a worker gets it, in Nuclio's own type."""
    nuclio = pytest.importorskip("nuclio_sdk", reason="comes with impose[dev]")
    made = nuclio.Context(logger=Log())
    made.user_data = SimpleNamespace(**user_data)
    return made


def event(body: Any, content_type: str = "application/json") -> Any:
    """An HTTP event as Nuclio's wrapper makes it of a body."""
    nuclio = pytest.importorskip("nuclio_sdk", reason="comes with impose[dev]")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the SDK's own, on Python 3.12
        return nuclio.Event.deserialize(packed(data, content_type), _kind(nuclio))


def _kind(nuclio: Any) -> Any:
    return nuclio.event.EventDeserializerKinds.msgpack


def packed(data: bytes, content_type: str) -> dict[str, Any]:
    """What Nuclio's processor sends its wrapper about a request."""
    return {
        "body": data,
        "content-type": content_type,
        "content_type": content_type,
        "trigger": {"kind": "http", "name": "myHttpTrigger"},
        "fields": {},
        "headers": {"Content-Type": content_type},
        "id": "1",
        "method": "POST",
        "path": "/",
        "size": len(data),
        "timestamp": 1700000000,
        "url": "/",
        "shard_id": 0,
        "num_shards": 0,
        "type": "",
        "type_version": "",
        "version": "",
        "offset": 0,
        "topic": "",
    }


def call(answer: Any, body: Any, content_type: str = "application/json") -> tuple[int, Any]:
    """Status and JSON of ``answer`` (a tracker's or a detector's) to ``body``."""
    response = answered(context(), event(body, content_type), answer)
    assert response.content_type == "application/json"
    assert isinstance(response.body, str)
    return response.status_code, json.loads(response.body, parse_constant=no_json)


def no_json(text: str) -> None:
    """NaN and Infinity are not JSON, though Python writes them."""
    raise AssertionError(f"the answer holds {text}")


def image(pixels: NDArray[np.uint8], kind: str = ".png") -> str:
    """RGB ``pixels`` as CVAT sends a frame."""
    done, data = cv2.imencode(kind, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return base64.b64encode(data.tobytes()).decode("ascii")


def through_a_browser(value: Any) -> Any:
    """What JSON.parse and JSON.stringify of a browser leave: 5.0 is 5, keys may change places."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [through_a_browser(item) for item in value]
    if isinstance(value, dict):
        return {key: through_a_browser(value[key]) for key in sorted(value, reverse=True)}
    return value


class SceneReader:
    """Reads and finds the people of a rendered scene; on a frame it does not know, nobody.

    Args:
        scene: whose people they are.
    """

    name, skeleton = "scene", COCO17

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._frames = {frame.tobytes(): t for t, frame in enumerate(scene.frames)}

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        return square_views(extents)

    def read(self, images: Any, views: NDArray[np.int64]) -> Candidates:
        xy = np.full((len(images), 17, 1, 2), np.nan)
        score = np.zeros((len(images), 17, 1))
        for v, (picture, view) in enumerate(zip(images, views, strict=True)):
            t = self._frames.get(np.ascontiguousarray(picture).tobytes())
            if t is None:
                continue
            bodies = self.scene.tracks.xy[t]
            middle = view[:2] + view[2] / 2
            nearest = np.abs(np.nanmean(bodies, axis=1) - middle).sum(-1).argmin()
            xy[v, :, 0], score[v, :, 0] = bodies[nearest], 0.9
        return Candidates(xy=xy, score=score)

    def detect(self, picture: NDArray[np.uint8]) -> Detections:
        t = self._frames.get(picture.tobytes())
        xy = self.scene.tracks.xy[t] if t is not None else np.zeros((0, 17, 2))
        score = np.full(xy.shape[:2], 0.8)
        candidates = Candidates(xy=xy[:, :, None], score=score[..., None])
        return Detections(xy=xy, score=score, candidates=candidates)


MESSAGE_FIELDS = ("error", "message")


def refused(answer: Any, body: Any, status: int, *words: str) -> None:
    """``body`` gets ``status`` and a message for people that has all ``words``."""
    code, told = call(answer, body)
    assert code == status, told
    assert set(MESSAGE_FIELDS) <= set(told)
    for word in words:
        assert word in told["message"], told["message"]
