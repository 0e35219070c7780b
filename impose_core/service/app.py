"""The requests of docs/service.md, one function each."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from impose_core.errors import ImposeError
from impose_core.review import suggestions
from impose_core.service import identity, looking, work
from impose_core.service.bodies import json_body
from impose_core.service.clip import Clip, free_person
from impose_core.service.desk import Desk, Settings
from impose_core.service.errors import (
    RETRY_SECONDS,
    BadRequest,
    Busy,
    said_of,
    status_of,
)
from impose_core.service.extract import extracted
from impose_core.service.guard import Guard
from impose_core.service.remote import Remote
from impose_core.service.requests import (
    displayed_of,
    frame_of,
    integer_of,
    new_person_of,
    person_of,
    position_of,
    shapes_in,
    text_of,
)
from impose_core.service.streams import Stream
from impose_core.session import DETECT_EVERY

PROTOCOL: Final = 1
MOST_SUGGESTIONS: Final = 1000
MOST_EVERY: Final = 1000

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def create_app(settings: Settings) -> FastAPI:
    """The service as an application for any ASGI server."""
    desk = Desk(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(desk.stop)

    # no pages of documentation: they load scripts from elsewhere
    app = FastAPI(title="IMPose", lifespan=lifespan, openapi_url=None)
    app.state.desk = desk
    app.add_middleware(Guard, token=settings.token)
    app.add_exception_handler(ImposeError, _refused)
    app.add_exception_handler(HTTPException, _no_such_path)
    app.add_api_route("/health", health, methods=["GET"])
    for path, method, answer in _ROUTES:
        app.add_api_route(f"/impose{path}", answer, methods=[method])
    app.include_router(Remote(settings.engine, settings.skeleton).router())
    return app


async def health() -> JSONResponse:
    """Whether the service is there; needs no token."""
    return JSONResponse(
        {
            "status": "ok",
            "name": "impose",
            "version": metadata.version("impose"),
            "protocol": PROTOCOL,
            "pid": os.getpid(),
        }
    )


async def open_clip(request: Request) -> JSONResponse:
    """Open a clip, or find it open."""
    body, desk = await json_body(request), desk_of(request)
    path = text_of(body, "path")
    if path is None:
        raise BadRequest("Expected 'path' to be a folder of images, got nothing.")
    labels = text_of(body, "labels")

    def opened() -> dict[str, Any]:
        return desk.open(path, labels, body.get("keypoints")).about()

    return JSONResponse(await asyncio.to_thread(opened))


async def read_clip(request: Request) -> JSONResponse:
    """A clip as its files say now."""
    return JSONResponse(await asyncio.to_thread(clip_of(request).about))


async def close_clip(request: Request) -> JSONResponse:
    """Forget a clip."""
    await asyncio.to_thread(desk_of(request).forget, request.path_params["clip"])
    return JSONResponse({"closed": True})


async def refine(request: Request) -> JSONResponse:
    """The rest of a body after a drag."""
    body, clip = await json_body(request), clip_of(request)
    frame, person, labels = frame_of(body, len(clip)), person_of(body), shapes_in(body)
    moved = body.get("moved")
    if not isinstance(moved, list) or not moved or not all(isinstance(m, str) for m in moved):
        raise BadRequest("Expected 'moved' to be a list of one joint's name or more.")
    said = body.get("before") or {}
    if not isinstance(said, dict):
        raise BadRequest("Expected 'before' to map joints to places.")
    before = {name: position_of(place, f"before.{name}") for name, place in said.items()}

    def answer() -> dict[str, Any]:
        with clip.looking() as frames:
            shapes = looking.refined(
                clip.engine,
                frames.read(frame),
                labels,
                person=person,
                moved=moved,
                before=before,
                skeleton=clip.skeleton,
            )
        return {"frame": frame, "person": person, "shapes": [s.item for s in shapes]}

    return await _timed(answer)


async def box(request: Request) -> JSONResponse:
    """A box becomes a pose."""
    body, clip = await json_body(request), clip_of(request)
    frame, labels = frame_of(body, len(clip)), shapes_in(body)
    corners = position_of(body.get("box_xyxy"), "box_xyxy", 4)
    said = new_person_of(body, "person")

    def answer() -> dict[str, Any]:
        person = _free(clip, labels) if said is None else said
        with clip.looking() as frames:
            shapes = looking.boxed(
                clip.engine,
                frames.read(frame),
                labels,
                box=corners,
                person=person,
                skeleton=clip.skeleton,
                video=clip.video,
            )
        return {"frame": frame, "person": person, "shapes": [s.item for s in shapes]}

    return await _timed(answer)


async def detect_frame(request: Request) -> JSONResponse:
    """Everybody on a frame."""
    body, clip = await json_body(request), clip_of(request)
    frame, labels = frame_of(body, len(clip)), shapes_in(body)

    def answer() -> dict[str, Any]:
        known, _ = clip.frames()
        beside = [known[t] for t in (frame - 1, frame + 1) if t in known]
        with clip.looking() as frames:
            found = looking.detected(
                clip.engine,
                frames.read(frame),
                labels,
                near=beside,
                free=_free(clip, labels),
                skeleton=clip.skeleton,
                video=clip.video,
            )
        shapes = [shape.item for here in found.values() for shape in here]
        return {"frame": frame, "persons": list(found), "shapes": shapes}

    return await _timed(answer)


async def propagate(request: Request) -> Response:
    """The clip follows."""
    body, clip = await json_body(request), clip_of(request)
    shown = displayed_of(body, len(clip))
    stream = desk_of(request).stream(clip, lambda: work.propagated(clip, body, shown))
    return await _streamed(stream)


async def detect(request: Request) -> Response:
    """Everybody on every frame."""
    body, clip = await json_body(request), clip_of(request)
    shown = displayed_of(body, len(clip))
    every = integer_of(body, "every", 1, MOST_EVERY, DETECT_EVERY)
    assert every is not None
    stream = desk_of(request).stream(clip, lambda: work.detected(clip, every, shown))
    return await _streamed(stream)


async def cancel(request: Request) -> JSONResponse:
    """Cancel the run on a clip."""
    desk_of(request).cancel(clip_of(request))
    return JSONResponse({"cancelled": True})


async def identify(request: Request) -> JSONResponse:
    """Say who is who."""
    body, clip = await json_body(request), clip_of(request)
    shown = displayed_of(body, len(clip))
    return await _alone(clip, lambda: identity.identified(clip, body, shown))


async def undo(request: Request) -> JSONResponse:
    """Take a run back."""
    body, clip = await json_body(request), clip_of(request)
    shown, run = displayed_of(body, len(clip)), text_of(body, "run")
    return await _alone(clip, lambda: identity.undone(clip, run, shown))


async def review(request: Request) -> JSONResponse:
    """Where to look next."""
    clip = clip_of(request)
    said = request.query_params.get("limit", "10")
    limit = int(said) if said.isdecimal() and len(said) < 10 else 0
    if not 1 <= limit <= MOST_SUGGESTIONS:
        raise BadRequest(f"Expected 'limit' to be 1 to {MOST_SUGGESTIONS}, got {said!r:.60}.")

    def answer() -> dict[str, Any]:
        labels, _ = clip.frames()
        found = suggestions(clip.tracks(labels), limit=limit)
        return {
            "suggestions": [
                {
                    "frame": one.frame,
                    "person": one.track,
                    "keypoint": one.keypoint,
                    "expected_oks": round(one.expected_oks, 4),
                    "deviation": round(one.deviation, 3),
                    "reason": one.reason,
                }
                for one in found
            ]
        }

    return JSONResponse(await asyncio.to_thread(answer))


async def extract(request: Request) -> Response:
    """A video becomes a folder of images."""
    body, desk = await json_body(request), desk_of(request)
    said, folder = text_of(body, "video"), text_of(body, "folder")
    if said is None:
        raise BadRequest("Expected 'video' to be a video file, got nothing.")
    video = desk.allowed(said)
    place = desk.allowed(folder) if folder else video.parent / video.stem
    stream = Stream(extracted(video, Path(place)), lambda fault: None)  # noqa: ARG005
    stream.start()
    return await _streamed(stream)


_ROUTES: Final = (
    ("/clips", "POST", open_clip),
    ("/clips/{clip}", "GET", read_clip),
    ("/clips/{clip}", "DELETE", close_clip),
    ("/clips/{clip}/refine", "POST", refine),
    ("/clips/{clip}/box", "POST", box),
    ("/clips/{clip}/detect_frame", "POST", detect_frame),
    ("/clips/{clip}/propagate", "POST", propagate),
    ("/clips/{clip}/detect", "POST", detect),
    ("/clips/{clip}/cancel", "POST", cancel),
    ("/clips/{clip}/identity", "POST", identify),
    ("/clips/{clip}/undo", "POST", undo),
    ("/clips/{clip}/review", "GET", review),
    ("/extract", "POST", extract),
)


def desk_of(request: Request) -> Desk:
    """What the service holds."""
    desk: Desk = request.app.state.desk
    return desk


def clip_of(request: Request) -> Clip:
    """The clip a request names.

    Raises:
        UnknownClip: if it is not open.
    """
    return desk_of(request).clip(request.path_params["clip"])


def _free(clip: Clip, labels: Any) -> int:
    known, _ = clip.frames()
    return free_person([*known.values(), labels])


async def _timed(answer: Callable[[], dict[str, Any]]) -> JSONResponse:
    began = time.perf_counter()
    said = await asyncio.to_thread(answer)
    return JSONResponse({**said, "seconds": round(time.perf_counter() - began, 4)})


async def _alone(clip: Clip, answer: Callable[[], Answer]) -> JSONResponse:
    """The answer of work that must be alone on the clip's files."""
    clip.begin()
    try:
        return JSONResponse(await asyncio.to_thread(answer))
    finally:
        clip.end()


async def _streamed(stream: Stream) -> Response:
    first = await stream.first()
    return StreamingResponse(stream.lines(first), media_type="application/x-ndjson")


async def _refused(_: Request, error: Exception) -> JSONResponse:
    headers = {"Retry-After": str(RETRY_SECONDS)} if isinstance(error, Busy) else None
    return JSONResponse({"error": said_of(error)}, status_of(error), headers=headers)


async def _no_such_path(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    message = (
        f"Expected a request of docs/service.md, got {request.method} {request.url.path:.200}."
    )
    said = {"code": "unknown_path", "message": message, "hint": None}
    return JSONResponse({"error": said}, error.status_code)
