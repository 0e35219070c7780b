"""Requests to ``impose serve`` (docs/service.md): HTTP and JSON with the standard library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Event
from typing import Any, Final
from urllib.parse import urlsplit

Json = dict[str, Any]

ANSWER_SECONDS: Final = 120.0
"""How long one answer may take; the first one of a clip loads the networks."""
SILENCE_SECONDS: Final = 20.0
"""How long a stream may be silent; the service says something each second."""


class ServiceError(Exception):
    """The service refused, and says why.

    Attributes:
        status: of HTTP, 200 if the work failed after it began.
        code: stable, for machines.
        hint: what to do next, or None.
    """

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.hint = status, code, hint

    @classmethod
    def of(cls, status: int, error: object) -> ServiceError:
        """What the service said: ``{"code", "message", "hint"}``."""
        said = error if isinstance(error, Mapping) else {}
        hint = said.get("hint")
        return cls(
            status,
            str(said.get("code", "internal")),
            str(said.get("message", f"The service answered with status {status}.")),
            None if hint is None else str(hint),
        )


class ServiceDown(Exception):
    """The service does not answer, or went away before its answer was complete."""


class Client:
    """Speaks to the service at ``url``. Every request has a connection of its own."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"Expected the service's URL to be http://HOST:PORT, got {url!r}.")
        self.url, self._token = url.rstrip("/"), token
        self._host, self._port = parts.hostname, parts.port or 80

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request, one answer.

        Raises:
            ServiceError: if it was refused.
            ServiceDown: if there was no whole answer.
        """
        try:
            with self._response(method, path, body, ANSWER_SECONDS) as response:
                return _object(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceDown(f"The service at {self.url} did not answer: {error}") from error

    def stream(self, path: str, body: Json, cancelled: Event) -> Iterator[Json]:
        """The events of a run, "alive" left out. Setting ``cancelled`` ends it.

        Closing the connection is what tells the service to stop; what it wrote stays.

        Raises:
            ServiceError: if it was refused, or failed on the way.
            ServiceDown: if the stream was cut off.
        """
        try:
            with self._response("POST", path, body, SILENCE_SECONDS) as response:
                yield from _events(response, cancelled)
        except (OSError, HTTPException, ValueError) as error:
            raise ServiceDown(f"The service at {self.url} went away: {error}") from error

    @contextmanager
    def _response(
        self, method: str, path: str, body: Json | None, seconds: float
    ) -> Iterator[HTTPResponse]:
        headers = {} if self._token is None else {"Token": self._token}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = HTTPConnection(self._host, self._port, timeout=seconds)
        with closing(connection):
            connection.request(method, path, body=content, headers=headers)
            with closing(connection.getresponse()) as response:
                if response.status >= 400:
                    raise ServiceError.of(response.status, _error(response.read()))
                yield response


def _events(response: HTTPResponse, cancelled: Event) -> Iterator[Json]:
    while not cancelled.is_set():
        line = response.readline()
        if not line:
            raise ServiceDown("The service went away in the middle of its work.")
        event = _object(line)
        if event.get("event") == "failed":
            raise ServiceError.of(200, event.get("error"))
        if event.get("event") != "alive":
            yield event
        if event.get("event") == "finished":
            return


def _object(content: bytes) -> Json:
    answer = json.loads(content)
    if not isinstance(answer, dict):
        raise HTTPException("the answer is not a JSON object")
    return answer


def _error(content: bytes) -> object:
    try:
        return _object(content).get("error")
    except (ValueError, HTTPException):
        return None
