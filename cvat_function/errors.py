"""What a request can get wrong, beside the errors of ``impose_core``.

ImposeError
├── UsageError
│   ├── BadRequest        a field that is not what CVAT sends
│   └── TooLarge          a request beyond what the function takes
├── MediaError
│   └── BadImage          an image nobody can read
├── StateError            as in impose_core: a state that is not this function's, or was changed
└── DeviceError           as in impose_core
"""

from __future__ import annotations

from typing import ClassVar

from impose_core.errors import MediaError, UsageError


class BadRequest(UsageError):
    """A field of the request is not what it must be."""

    code: ClassVar[str] = "bad_request"


class TooLarge(UsageError):
    """The request asks for more than the function takes."""

    code: ClassVar[str] = "too_large"


class BadImage(MediaError):
    """The request's image cannot be read."""

    code: ClassVar[str] = "bad_image"
