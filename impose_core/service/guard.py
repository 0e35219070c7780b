"""Who may talk to the service, and how much: looked at before anything else of a request."""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impose_core.errors import ImposeError
from impose_core.service.errors import Forbidden, TooLarge, Unauthorized, said_of, status_of

BODY_BYTES: Final = 16 * 2**20
UPLOAD_BYTES: Final = 512 * 2**20
"""Of the desktop's own requests, which carry images."""
OPEN: Final = ("/health",)
"""Paths that need no token."""

logger = logging.getLogger(__name__)


class Guard:
    """Refuses what carries no token, what was meant for another host, and what is too large."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = {name.lower(): value for name, value in scope["headers"]}
            self._check(scope["path"], headers)
        except ImposeError as error:
            await _refuse(error, send)
            return
        await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a fault inside is an answer too, and the connection stays."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun:
                raise
            logger.exception("A request failed")
            await _refuse(error, send)

    def _check(self, path: str, headers: dict[bytes, bytes]) -> None:
        if self._token is None and not _is_loopback(headers.get(b"host", b"")):
            # a web page reaches this machine under a name of its own (DNS rebinding)
            raise Forbidden("Expected 'Host' to be a loopback address, got another one.")
        if self._token is not None and path not in OPEN:
            said = headers.get(b"token", b"")
            bearer = headers.get(b"authorization", b"")
            if bearer[:7].lower() == b"bearer ":
                said = said or bearer[7:].strip()
            if not hmac.compare_digest(said, self._token.encode()):
                raise Unauthorized("Expected the service's token in 'Token', got none or another.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > limit_of(path):
            raise TooLarge(f"Expected a body of at most {limit_of(path)} bytes, got more.")


def limit_of(path: str) -> int:
    """Bytes that the body of a request to ``path`` may have."""
    return UPLOAD_BYTES if path.startswith("/v1/") else BODY_BYTES


def is_loopback(host: str) -> bool:
    """True if ``host`` is this machine for itself alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_loopback(host: bytes) -> bool:
    """True if a ``Host`` header, perhaps with a port, names a loopback address."""
    name = host.decode("latin-1")
    if name.startswith("["):
        return is_loopback(name[1:].partition("]")[0])
    return is_loopback(name.partition(":")[0].lower())


async def _refuse(error: Exception, send: Send) -> None:
    body = json.dumps({"error": said_of(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status_of(error), "headers": headers})
    await send({"type": "http.response.body", "body": body})
