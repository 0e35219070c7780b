"""What a request can get wrong beside the errors of ``impose_core``, and what each is in HTTP.

ImposeError
├── UsageError
│   ├── BadRequest        a field of the request is not what it must be
│   ├── TooLarge          a body beyond what the service takes
│   ├── Unauthorized      no token, or a wrong one
│   ├── Forbidden         a path or host that is not allowed
│   └── Unknown           a clip or run of that name is not there
└── Busy                  somebody is at work on this clip
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from impose_core.errors import (
    Cancelled,
    DeviceError,
    ImposeError,
    MediaError,
    OutputError,
    StateError,
    UnknownTrack,
    UsageError,
    WeightsError,
)
from impose_core.io.xanylabeling_files import FileChanged


class BadRequest(UsageError):
    """A field of the request is not what it must be."""

    code: ClassVar[str] = "bad_request"


class TooLarge(UsageError):
    """A body beyond what the service takes."""

    code: ClassVar[str] = "too_large"


class Unauthorized(UsageError):
    """No token, or a wrong one."""

    code: ClassVar[str] = "unauthorized"


class Forbidden(UsageError):
    """A path or host that is not allowed."""

    code: ClassVar[str] = "forbidden"


class UnknownClip(UsageError):
    """No clip of that name is open."""

    code: ClassVar[str] = "unknown_clip"


class UnknownRun(UsageError):
    """No run of that name is kept."""

    code: ClassVar[str] = "unknown_run"


class Busy(ImposeError):
    """Somebody is at work on this clip."""

    code: ClassVar[str] = "busy"


RETRY_SECONDS: Final = 1
STATUS: Final[Mapping[type[ImposeError], int]] = {
    UsageError: 400,
    Unauthorized: 401,
    Forbidden: 403,
    UnknownClip: 404,
    UnknownRun: 404,
    UnknownTrack: 404,
    StateError: 409,
    FileChanged: 409,
    Cancelled: 409,
    TooLarge: 413,
    MediaError: 422,
    Busy: 503,
    WeightsError: 503,
    DeviceError: 503,
    OutputError: 507,
}
"""By class or nearest base; 500 for any other."""

INTERNAL: Final = {
    "code": "internal",
    "message": "Expected the work to be done, got a fault inside; nothing more was written.",
    "hint": "The service's standard error says more.",
}


def status_of(error: Exception) -> int:
    """The HTTP status of an error."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def said_of(error: Exception) -> dict[str, Any]:
    """The error as it stands in an answer."""
    if isinstance(error, ImposeError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    return dict(INTERNAL)
