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
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse

from impose_core.engine import Engine
from impose_core.errors import MediaError
from impose_core.io.json_fields import as_integer, as_list, as_text, bad_field
from impose_core.io.xanylabeling_frame import KEY, Shape
from impose_core.service.bodies import json_body
from impose_core.service.errors import Busy, UnknownRun
from impose_core.service.remote_videos import Uploads, Video
from impose_core.service.requests import fields
from impose_core.skeleton import Skeleton

MODEL: Final = "impose"
MOST_VIDEOS: Final = 2
"""Uploads that are held at once; the oldest goes."""
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


def _plain(shapes: list[Shape]) -> list[Mapping[str, Any]]:
    """Shapes without the key that the desktop would drop."""
    return [{key: v for key, v in shape.item.items() if key != KEY} for shape in shapes]


def _event(item: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(item, allow_nan=False)}\n\n"
