"""Fields of a request, checked one by one; every message names the field."""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any, Final

from cvat_function.errors import BadRequest, TooLarge
from cvat_function.limits import NAME, SHAPE_DEPTH

FARTHEST: Final = 1e6
"""Pixels; a larger coordinate is no place on an image."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_short.maxlist = _short.maxdict = 4
_short.maxlevel = 2


def expected(name: str, what: str, got: object) -> BadRequest:
    """The error of field ``name``, which is not ``what``."""
    return BadRequest(f"Expected '{name}' to be {what}, got {shown(got)}.")


def shown(value: object) -> str:
    """``value`` in a few characters."""
    try:
        return _short.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a {type(value).__name__} too long to show"


def listed(value: object, name: str) -> list[Any]:
    """``value``, a list."""
    if not isinstance(value, list):
        raise expected(name, "a list", value)
    return value


def number(value: object, name: str) -> float:
    """``value``, a coordinate."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        # compared before it is converted: JSON integers have no largest one
        if -FARTHEST <= value <= FARTHEST:
            return float(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise expected(name, "a finite number", value)
        raise expected(name, f"a coordinate of at most {FARTHEST:.0f} pixels", value)
    raise expected(name, "a number", value)


def numbers(value: object, name: str, *, most: int) -> list[float]:
    """``value``, a list of at most ``most`` coordinates."""
    items = listed(value, name)
    if len(items) > most:
        raise TooLarge(f"Expected '{name}' to hold at most {most} numbers, got {len(items)}.")
    return [number(item, f"{name}[{i}]") for i, item in enumerate(items)]


def flag(value: object, name: str) -> bool:
    """``value``, true or false; CVAT also writes 1 and 0, and leaves it out for false."""
    if value is None:
        return False
    if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise expected(name, "true or false", value)


def label_name(value: object, name: str) -> str:
    """``value``, the name of a label."""
    if not isinstance(value, str) or not value:
        raise expected(name, "a label's name", value)
    if len(value) > NAME:
        raise TooLarge(f"Expected '{name}' to have at most {NAME} characters, got {len(value)}.")
    return value


def plain(value: object, name: str, *, most: int) -> Any:
    """``value`` as it is, if it is JSON that may be carried along and sent back.

    Raises:
        BadRequest: if it holds a number JSON does not know, or is nested too deeply.
        TooLarge: if it takes more than ``most`` bytes.
    """
    _check_depth(value, name, SHAPE_DEPTH)
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise BadRequest(
            f"Expected '{name}' to hold finite numbers only, got a number that is none in JSON."
        ) from error
    if len(text) > most:
        raise TooLarge(
            f"Expected what '{name}' holds besides its points to take at most {most} bytes, "
            f"got {len(text)}."
        )
    return value


def _check_depth(value: object, name: str, left: int) -> None:
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not inner:
        return
    if left == 0:
        raise BadRequest(
            f"Expected '{name}' to nest at most {SHAPE_DEPTH} lists and objects, got more."
        )
    for item in inner:  # type: ignore[attr-defined]
        _check_depth(item, name, left - 1)
