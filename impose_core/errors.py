"""Everything that can go wrong, drawn once.

ImposeError
├── UsageError            the caller asked for something that cannot be
│   ├── BadCorrection     a human verb with a field that makes no sense
│   ├── BadDocument       an annotation file that breaks its format
│   ├── UnknownTrack      a track id nobody has
│   ├── UnknownKeypoint   a keypoint name the skeleton does not have
│   ├── FrameOutOfRange   a frame index outside the video
│   ├── SkeletonMismatch  two things that speak of different bodies
│   └── OutputError       a file that cannot be written
├── MediaError            pixels that cannot be had
├── WeightsError          weights that cannot be trusted or used
│   ├── ChecksumMismatch
│   ├── LicenceNotAccepted
│   └── IncompatibleCheckpoint
├── DeviceError           hardware that is not there
├── StateError            a journal, snapshot or client state that cannot be continued
└── Cancelled             the caller stopped the work; what was yielded is valid

Every message is a sentence that names the field, what was expected and what came.
"""

from __future__ import annotations

from typing import ClassVar


class ImposeError(Exception):
    """Base of all errors this package raises on purpose.

    ``code`` is stable and meant for machines (hosts map it to their replies);
    ``hint`` is one sentence for a person on what to do next, or None.
    """

    code: ClassVar[str] = "impose_error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ImposeError):
    """The caller asked for something that cannot be."""

    code = "usage"


class BadCorrection(UsageError):
    """A correction has a field that makes no sense."""

    code = "bad_correction"


class BadDocument(UsageError):
    """An annotation file breaks its format."""

    code = "bad_document"


class UnknownTrack(UsageError):
    """A track id that does not exist."""

    code = "unknown_track"


class UnknownKeypoint(UsageError):
    """A keypoint name the skeleton does not have."""

    code = "unknown_keypoint"


class FrameOutOfRange(UsageError):
    """A frame index outside the video."""

    code = "frame_out_of_range"


class SkeletonMismatch(UsageError):
    """Two things speak of different bodies."""

    code = "skeleton_mismatch"


class OutputError(UsageError):
    """A file cannot be written."""

    code = "output"


class MediaError(ImposeError):
    """Pixels cannot be had."""

    code = "media"


class WeightsError(ImposeError):
    """Weights cannot be trusted or used."""

    code = "weights"


class ChecksumMismatch(WeightsError):
    """A weights file is not the one the manifest names."""

    code = "checksum_mismatch"


class LicenceNotAccepted(WeightsError):
    """Weights whose licence the user must accept first."""

    code = "licence_not_accepted"


class IncompatibleCheckpoint(WeightsError):
    """A checkpoint does not fit the network it is loaded into."""

    code = "incompatible_checkpoint"


class DeviceError(ImposeError):
    """Hardware that is not there, or not usable."""

    code = "device"


class StateError(ImposeError):
    """A journal, snapshot or client state that cannot be continued."""

    code = "state"


class Cancelled(ImposeError):
    """The caller stopped the work; everything yielded before is valid."""

    code = "cancelled"
