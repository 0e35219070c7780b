"""Which X-AnyLabeling this works with."""

from __future__ import annotations

import importlib
import re
from typing import Final

FIRST: Final = (4, 1)
BEYOND: Final = (5, 0)


class UnsupportedHost(Exception):
    """X-AnyLabeling is not there, or of a version that was never tested with this."""


def check(version: str | None) -> None:
    """Pass if ``version`` of X-AnyLabeling (None: not installed) is supported.

    Raises:
        UnsupportedHost: with a sentence that says what to install.
    """
    wanted = 'pip install "x-anylabeling-cvhub[cpu]>=4.1,<5"'
    if version is None:
        raise UnsupportedHost(f"X-AnyLabeling is not installed here. To get it: {wanted}")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or not FIRST <= (int(numbers[1]), int(numbers[2])) < BEYOND:
        raise UnsupportedHost(
            f"Expected X-AnyLabeling 4.1 or later, before 5, got {version}. To get one: {wanted}"
        )


def installed() -> str | None:
    """The version of X-AnyLabeling in this environment; None if there is none."""
    try:
        app_info = importlib.import_module("anylabeling.app_info")
    except ImportError:
        return None
    return str(app_info.__version__)
