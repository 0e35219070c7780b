"""What can go wrong between here and a CVAT server, beside the errors of ``impose_core``.

ImposeError
├── CvatError             the server did not do what it was asked
│   ├── NotAllowed        it does not know this user, or does not let them
│   └── Conflict          somebody else kept changing the job
└── UsageError
    └── BadJob            a job, label or track this client does not work on
"""

from __future__ import annotations

from typing import ClassVar

from impose_core.errors import ImposeError, UsageError


class CvatError(ImposeError):
    """The server did not do what it was asked."""

    code: ClassVar[str] = "cvat"


class NotAllowed(CvatError):
    """The server does not know this user, or does not let them."""

    code: ClassVar[str] = "cvat_not_allowed"


class Conflict(CvatError):
    """Somebody else kept changing the job."""

    code: ClassVar[str] = "cvat_conflict"


class BadJob(UsageError):
    """A job, label or track this client does not work on."""

    code: ClassVar[str] = "cvat_job"
