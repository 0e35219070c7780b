"""What an unmodified X-AnyLabeling asks of a remote server (docs/service.md, last section).

An implementation of its own of the protocol that the desktop speaks: one image, or all images of
a folder; no file names and no shapes. A failure is never an empty answer with status 200: the
desktop would take it for "nobody is there".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import cv2
import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from numpy.typing import NDArray

from impose_core.engine import Engine
from impose_core.errors import MediaError
from impose_core.frames.source import BaseSource
from impose_core.io.documents import VideoInfo
from impose_core.io.json_fields import as_integer, as_list, as_text, bad_field
from impose_core.io.xanylabeling_frame import KEY, FrameLabels, Shape
from impose_core.io.xanylabeling_people import Pose, people_of
from impose_core.io.xanylabeling_placing import Placed, with_people
from impose_core.journal import patch_to_json
from impose_core.marks import Cell, Mark
from impose_core.service import looking
from impose_core.service.bodies import json_body
from impose_core.service.errors import Busy, UnknownRun
from impose_core.service.requests import fields
from impose_core.session import FrameResult, Session
from impose_core.skeleton import Skeleton

MODEL: Final = "impose"
MOST_VIDEOS: Final = 2
"""Uploads that are held at once; the oldest goes."""
MOST_PIXELS: Final = 2**26
MOST_FRAMES: Final = 20_000

_KEEP: Final = "toggle_preserve_existing_annotations"
"""The desktop's switch Replace (On/Off); of a task it shows what that task names, only."""
_VIDEO_WIDGETS: Final = ("edit_text", "button_send", "button_reset_tracker", _KEEP)
_ABOUT: Final = {
    "display_name": "IMPose",
    "widgets": [{"name": name, "value": None} for name in ("button_run", _KEEP)],
    "batch_processing_mode": "default",
    "available_tasks": [
        {
            "id": "pose",
            "name": "Everybody on an image",
            "active_widgets": {"button_run": {}, _KEEP: {}},
            "batch_processing_mode": "default",
        },
        {
            "id": "video",
            "name": "From one frame to the others",
            "active_widgets": {name: {} for name in _VIDEO_WIDGETS},
            "batch_processing_mode": "video",
        },
    ],
}


class Uploads(BaseSource):
    """The images of an upload, decoded one at a time."""

    def __init__(self, images: list[bytes]) -> None:
        self.name, self._images = "upload", images
        self.height, self.width = _decoded(images[0]).shape[:2]

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image ``index``, RGB."""
        image = _decoded(self._images[self._checked(index)])
        if image.shape[:2] != (self.height, self.width):
            raise MediaError(
                f"Expected all images to be {self.width}×{self.height} pixels, got image {index} "
                f"of {image.shape[1]}×{image.shape[0]}."
            )
        return image


class Video:
    """An upload, and who was found where the desktop asked for it."""

    def __init__(self, frames: Uploads, engine: Engine, skeleton: Skeleton) -> None:
        self.lock = threading.Lock()
        self.cancelled = False
        self.frames, self._engine, self._skeleton = frames, engine, skeleton
        self._marks: dict[int, FrameLabels] = {}
        self.info = VideoInfo(
            file_name="upload", width=frames.width, height=frames.height, frames=len(frames)
        )

    def prompt(self, frame: int) -> list[Shape]:
        """Everybody on a frame; the clip will follow them from there."""
        found = looking.detected(
            self._engine,
            self.frames.read(frame),
            FrameLabels(),
            near=[self._marks[t] for t in sorted(self._marks)],
            free=1
            + max((s.person or 0 for one in self._marks.values() for s in one.shapes), default=0),
            skeleton=self._skeleton,
            video=self.info,
        )
        shapes = [shape for here in found.values() for shape in here]
        self._marks[frame] = FrameLabels(shapes=tuple(shapes))
        return shapes

    def propagate(self, start: int, stop: int) -> Iterator[tuple[int, list[Shape]]]:
        """The shapes of frames ``start`` to ``stop`` (exclusive)."""
        session = Session(self.frames, skeleton=self._skeleton, engine=self._engine)
        marks: dict[Cell, tuple[Mark | None, Mark | None]] = {
            (track, frame): (None, person.mark())
            for frame, labels in self._marks.items()
            for track, person in people_of(labels, self._skeleton).items()
        }
        session.restore({**session.snapshot(), "marks": patch_to_json(marks)})
        for result in session.propagate(start, stop):
            yield result.frame, self._shapes(result)
            if self.cancelled:
                return

    def _shapes(self, result: FrameResult) -> list[Shape]:
        people = {
            track: Placed(
                pose=Pose(
                    xy=result.xy[n],
                    visibility=result.visibility[n],
                    origin=result.origin[n],
                    seed=np.zeros(len(self._skeleton), bool),
                    deviation=result.deviation[n].astype(np.float64),
                    score=result.score[n].astype(np.float64),
                )
            )
            for n, track in enumerate(result.track_id.tolist())
        }
        labels = with_people(FrameLabels(), people, self._skeleton, self.info)
        return list(labels.shapes)


class Remote:
    """The desktop's requests.

    Args:
        engine: with a reader.
        skeleton: whose joints are wanted.
    """

    def __init__(self, engine: Engine, skeleton: Skeleton) -> None:
        self._engine, self._skeleton = engine, skeleton
        self._videos: dict[str, Video] = {}

    def router(self) -> APIRouter:
        """All requests, with their paths."""
        router = APIRouter(prefix="/v1")
        for path, method, answer in (
            ("/models", "GET", self.models),
            ("/models/{model}/info", "GET", self.info),
            ("/predict", "POST", self.predict),
            ("/video/init", "POST", self.begin),
            ("/video/prompt", "POST", self.prompt),
            ("/video/propagate/stream", "POST", self.propagate_stream),
            ("/video/propagate", "POST", self.propagate),
            ("/video/cancel/{video}", "POST", self.cancel),
            ("/video/cleanup/{video}", "POST", self.cleanup),
        ):
            router.add_api_route(path, answer, methods=[method], response_model=None)
        return router

    async def models(self) -> JSONResponse:
        """The one model there is."""
        return JSONResponse({"success": True, "data": {MODEL: _ABOUT}})

    async def info(self) -> JSONResponse:
        """Likewise."""
        return JSONResponse({"success": True, "data": _ABOUT})

    async def predict(self, request: Request) -> JSONResponse:
        """Everybody on an image."""
        body = await json_body(request)
        image = _image(body.get("image"), "image")

        def answer() -> list[Shape]:
            frames = Uploads([image])
            return Video(frames, self._engine, self._skeleton).prompt(0)

        shapes = await asyncio.to_thread(answer)
        # no "replace": it would overrule the desktop's switch, which keeps what is on the image
        return JSONResponse({"success": True, "data": {"shapes": _plain(shapes)}})

    async def begin(self, request: Request) -> JSONResponse:
        """Take all images of a folder."""
        body = await json_body(request)
        with fields():
            items = as_list(body.get("frames"), "frames")
            if not 0 < len(items) <= MOST_FRAMES:
                raise bad_field("frames", f"1 to {MOST_FRAMES} images", f"{len(items)} of them")
        images = [_image(item, f"frames[{i}]") for i, item in enumerate(items)]
        frames = await asyncio.to_thread(Uploads, images)
        name = secrets.token_hex(8)
        for old in list(self._videos)[: max(0, len(self._videos) + 1 - MOST_VIDEOS)]:
            self._videos.pop(old).cancelled = True
        self._videos[name] = Video(frames, self._engine, self._skeleton)
        return JSONResponse({"success": True, "data": {"session_id": name}})

    async def prompt(self, request: Request) -> JSONResponse:
        """Find everybody on one of them."""
        body = await json_body(request)
        video = self._video(body.get("session_id"))
        with fields():
            frame = as_integer(body.get("frame_index"), "frame_index", 0, len(video.frames) - 1)
        shapes = await asyncio.to_thread(_alone, video, lambda: video.prompt(frame))
        return JSONResponse({"success": True, "data": {"masks": _plain(shapes)}})

    async def propagate(self, request: Request) -> JSONResponse:
        """All frames asked for, at once."""
        video, start, stop = await self._range(request)

        def answer() -> dict[str, Any]:
            return {str(t): {"masks": _plain(s)} for t, s in video.propagate(start, stop)}

        results = await asyncio.to_thread(_alone, video, answer)
        return JSONResponse({"success": True, "data": {"results": results}})

    async def propagate_stream(self, request: Request) -> StreamingResponse:
        """Likewise, telling how far it is."""
        video, start, stop = await self._range(request)
        if not video.lock.acquire(blocking=False):
            raise Busy("Expected no run on this upload to be under way, got one.")
        video.cancelled = False

        async def events() -> AsyncIterator[str]:
            results: dict[str, Any] = {}
            work = video.propagate(start, stop)
            try:
                began = {"total_frames": len(video.frames), "start_frame_index": start}
                yield _event({"type": "started", **began})
                while (done := await asyncio.to_thread(next, work, None)) is not None:
                    results[str(done[0])] = {"masks": _plain(done[1])}
                    yield _event({"type": "progress", "current_frame": done[0]})
                yield _event({"type": "completed", "results": results})
            finally:
                video.lock.release()

        return StreamingResponse(events(), media_type="text/event-stream")

    async def cancel(self, request: Request) -> JSONResponse:
        """Cancel a run; the desktop throws away what is done."""
        self._video(request.path_params["video"]).cancelled = True
        return JSONResponse({"success": True})

    async def cleanup(self, request: Request) -> JSONResponse:
        """Forget an upload."""
        video = self._videos.pop(request.path_params["video"], None)
        if video is not None:
            video.cancelled = True
        return JSONResponse({"success": True})

    def _video(self, name: Any) -> Video:
        video = self._videos.get(name) if isinstance(name, str) else None
        if video is None:
            raise UnknownRun("Expected 'session_id' to be of an upload that is held, got another.")
        return video

    async def _range(self, request: Request) -> tuple[Video, int, int]:
        body = await json_body(request)
        video = self._video(body.get("session_id"))
        last = len(video.frames) - 1
        with fields():
            start = as_integer(body.get("start_frame", 0), "start_frame", 0, last)
            end = as_integer(body.get("end_frame", last), "end_frame", start, last)
        return video, start, end + 1


def _alone(video: Video, work: Any) -> Any:
    if not video.lock.acquire(blocking=False):
        raise Busy("Expected no run on this upload to be under way, got one.")
    try:
        video.cancelled = False
        return work()
    finally:
        video.lock.release()


def _image(value: Any, where: str) -> bytes:
    """The bytes of an image given as a data URI."""
    with fields():
        text = as_text(value, where)
    _, _, data = text.rpartition(",")
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"Expected '{where}' to be an image in base64, got: {error}.") from error


def _decoded(data: bytes) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if found is None:
        raise MediaError(f"Expected an image, got {len(data)} bytes that do not decode.")
    if found.shape[0] * found.shape[1] > MOST_PIXELS:
        raise MediaError(f"Expected at most {MOST_PIXELS} pixels, got {found.shape[:2]}.")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def _plain(shapes: list[Shape]) -> list[Mapping[str, Any]]:
    """Shapes without the key that the desktop would drop."""
    return [{key: v for key, v in shape.item.items() if key != KEY} for shape in shapes]


def _event(item: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(item, allow_nan=False)}\n\n"
