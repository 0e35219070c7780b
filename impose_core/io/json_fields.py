"""Typed access to decoded JSON; every error names the field: ``annotations[3].bbox[0]``."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections import Counter
from collections.abc import Container, Mapping
from typing import Any, Final

from impose_core.errors import BadDocument
from impose_core.io.files import read_bytes

Json = Mapping[str, Any]

MAX_DEPTH: Final = 64
_INT64: Final = 2**63 - 1


def read_json(path: str | os.PathLike[str]) -> Any:
    """What the file at ``path`` holds; a key must not come twice in one object.

    Raises:
        BadDocument: if the file cannot be read, is too large or is no JSON.
    """
    return parse_json(read_bytes(path), str(path))


def parse_json(data: bytes | str, name: str = "document") -> Any:
    """What ``data`` holds, likewise; ``name`` is of its source, for the message.

    Raises:
        BadDocument: if it is no JSON.
    """
    try:
        return json.loads(data, object_pairs_hook=_no_key_twice)
    except RecursionError as error:
        raise BadDocument(
            f"Expected '{name}' to be nested at most {MAX_DEPTH} deep, got more."
        ) from error
    except ValueError as error:  # JSON, UTF-8, or a number of thousands of digits
        raise BadDocument(f"Expected '{name}' to be JSON, got: {error}.") from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BadDocument(f"Expected the keys of an object to differ, got {shown(twice)} twice.")
    return item


def check_json(root: Json) -> None:
    """No NaN, no infinity, no absurd number or depth, nothing that is no JSON."""
    stack: list[tuple[Any, str, int]] = [(root, "", 0)]
    while stack:
        value, where, depth = stack.pop()
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if item is None or isinstance(item, str):
                continue
            inside = f"{where}.{key}" if isinstance(value, dict) else f"{where}[{key}]"
            path = inside.lstrip(".")
            if isinstance(item, (dict, list)):
                if depth >= MAX_DEPTH:
                    raise bad_field(path, f"nested at most {MAX_DEPTH} deep", type(item).__name__)
                stack.append((item, inside, depth + 1))
            elif isinstance(item, float):
                if not math.isfinite(item):
                    raise bad_field(path, "a finite number", item)
            elif not isinstance(item, int):
                raise bad_field(path, "a JSON value", item)
            elif item.bit_length() > 1000:
                raise bad_field(path, "a number that fits a double", item)


def as_object(value: Any, where: str) -> Json:
    """``value`` if it is an object."""
    if not isinstance(value, dict):
        raise bad_field(where, "an object", value)
    for key in value:
        if not isinstance(key, str):
            raise bad_field(where, "an object with text keys", key)
    return value


def as_list(value: Any, where: str, length: int | None = None, why: str = "") -> list[Any]:
    """``value`` if it is a list, of ``length`` entries where given; ``why`` says of what."""
    if not isinstance(value, list):
        raise bad_field(where, "a list", value)
    if length is not None and len(value) != length:
        raise bad_field(where, f"a list of {length} {why}".rstrip(), f"{len(value)} entries")
    return value


def as_text(value: Any, where: str) -> str:
    """``value`` if it is text and not empty."""
    if not isinstance(value, str) or not value:
        raise bad_field(where, "a name", value)
    return value


def as_integer(value: Any, where: str, low: int = -_INT64, high: int = _INT64) -> int:
    """``value`` if it is an integer (true is none) from ``low`` to ``high``."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        fits = "an integer" if (low, high) == (-_INT64, _INT64) else f"an integer ≥ {low}"
        raise bad_field(where, fits if high == _INT64 else f"{fits} and ≤ {high}", value)
    return value


def as_number(value: Any, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    """``value`` if it is a number (true is none) from ``low`` to ``high``."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise bad_field(where, "a number", value)
    if not low <= value <= high:
        limits = f"≥ {low:g}" + (f" and ≤ {high:g}" if high < math.inf else "")
        raise bad_field(where, limits, value)
    return float(value)


def check_unique(
    values: list[Any], section: str, key: str, places: list[int] | None = None
) -> None:
    """Make sure that no two ``values`` of ``key`` are equal; ``places`` are their list indices."""
    seen: dict[Any, int] = {}
    for i, value in enumerate(values):
        at = i if places is None else places[i]
        if value in seen:
            expected = f"unique (so has {section}[{seen[value]}])"
            raise bad_field(f"{section}[{at}].{key}", expected, value)
        seen[value] = at


def bad_field(where: str, expected: str, got: object) -> BadDocument:
    """The error to raise when the field ``where`` is not what was ``expected``."""
    return BadDocument(f"Expected '{where[:200]}' to be {expected}, got {shown(got)}.")


class _Short(reprlib.Repr):
    """Repr that stays one short line, whatever a file holds."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 # the base class passes it
        # Python refuses to print integers of more than 4300 digits
        return f"an integer of {x.bit_length()} bits" if x.bit_length() > 64 else repr(x)


def shown(value: object) -> str:
    """``value`` for a message."""
    return "nothing" if value is None else _Short().repr(value)


def without(item: Json, keys: Container[str]) -> dict[str, Any]:
    """``item`` less ``keys``."""
    return {key: value for key, value in item.items() if key not in keys}
