"""Values as they come from outside, read without guessing or refused by the field's name."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from impose_core.errors import BadCorrection
from impose_core.poses import Visibility


def as_mapping(value: Any, name: str) -> Mapping[Any, Any]:
    """An object of names and values."""
    if not isinstance(value, Mapping):
        raise BadCorrection(f"Expected '{name}' to map names to values, got {value!r}.")
    return value


def as_flag(value: object, joint: str) -> Visibility:
    """The visibility of ``joint``."""
    try:
        return Visibility(as_integer(value, joint))
    except (BadCorrection, ValueError):
        raise BadCorrection(
            f"Expected visibility['{joint}'] to be 0 absent, 1 occluded or 2 visible, "
            f"got {value!r}."
        ) from None


def as_finite(value: object, count: int, name: str) -> list[float]:
    """``count`` finite numbers; text and truth values, which numpy would convert, are none."""
    parts = list(value) if isinstance(value, Sequence | np.ndarray) else []
    if len(parts) == count and all(isinstance(v, Real) and not isinstance(v, bool) for v in parts):
        try:
            numbers = [float(v) for v in parts]
        except OverflowError:  # an integer beyond any float
            numbers = [np.inf]
        if np.isfinite(numbers).all():
            return numbers
    raise BadCorrection(f"Expected '{name}' to be {count} finite numbers, got {value!r}.")


def as_integer(value: object, name: str) -> int:
    """An integer of any library; a truth value is none."""
    if not isinstance(value, bool | np.bool_):
        try:
            return operator.index(value)  # type: ignore[arg-type]  # that is the question
        except TypeError:
            pass
    raise BadCorrection(f"Expected '{name}' to be an integer, got {value!r}.")
