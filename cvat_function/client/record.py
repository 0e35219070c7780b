"""Who placed a joint, told from the keyframe itself.

CVAT does not say whether a keyframe was dragged since it was written here. So every keyframe of
a skeleton carries a line of text: its frame and, for each joint with a keyframe there, who placed
it and a checksum of where. A joint whose place no longer fits was moved by a human; so was one
that is not in the line, and every joint if the line is of another frame (CVAT hands mutable
attributes on). The checksums have 24 bits: of 16 million edits one would be overlooked.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Final

ESTIMATE: Final = "e"
"""Follows from the rest."""
SEED: Final = "s"
"""Where the detector is surest, or a click says so: estimates lean on it."""
HUMAN: Final = "h"
"""A human's, and known to be."""

_CODE: Final = re.compile(r"-|[ehs][A-Za-z0-9_-]{4}")


def joint_code(
    kind: str, frame: int, joint: int, xy: tuple[float, float], *, outside: bool, occluded: bool
) -> str:
    """What the line says of joint ``joint`` at ``xy`` px. Hundredths of a pixel count."""
    x, y = (f"{value + 0.0:.2f}" for value in xy)
    flags = f"{int(outside)}{int(occluded and not outside)}"
    return kind + _checksum(f"{kind} {frame} {joint} {flags} {_plain(x)} {_plain(y)}")


def line(frame: int, origin: str, codes: Sequence[str | None]) -> str:
    """The line of a skeleton on ``frame``; None for a joint without a keyframe there."""
    return _checksum(f"{frame} {origin}") + "".join(code or "-" for code in codes)


def codes_of(text: str, frame: int, origin: str, joints: int) -> tuple[str | None, ...] | None:
    """The codes of a line, or None if it is not that of ``frame``, ``origin`` and ``joints``."""
    if text[:4] != _checksum(f"{frame} {origin}"):
        return None
    codes = _CODE.findall(text[4:])
    if len(codes) != joints or sum(map(len, codes)) != len(text) - 4:
        return None
    return tuple(None if code == "-" else code for code in codes)


def _checksum(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:3]).decode()


def _plain(number: str) -> str:
    return "0.00" if number == "-0.00" else number
