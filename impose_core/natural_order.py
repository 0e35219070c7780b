"""File names in the order people number them."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key by which frame2 comes before frame10; the name itself settles ties."""
    # split by a group alternates text, number, text ..., so like meets like
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name
