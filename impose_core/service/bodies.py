"""The JSON that a request carries."""

from __future__ import annotations

from starlette.requests import Request

from impose_core.io.json_fields import Json
from impose_core.service.errors import BadRequest, TooLarge
from impose_core.service.guard import limit_of
from impose_core.service.requests import body_of


async def json_body(request: Request) -> Json:
    """The object that a request carries.

    Raises:
        BadRequest: if it carries none, or does not say that it is JSON.
        TooLarge: if it is too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # what else a web page may send without asking first
        raise BadRequest("Expected 'Content-Type' to be application/json, got another one.")
    limit, content = limit_of(request.url.path), bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise TooLarge(f"Expected a body of at most {limit} bytes, got more.")
    return body_of(bytes(content))
