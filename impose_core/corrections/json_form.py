"""Corrections as JSON objects, and back."""

from __future__ import annotations

import operator
from dataclasses import MISSING, fields
from typing import Any, get_args

from impose_core.corrections.values import as_finite, as_flag, as_integer, as_mapping
from impose_core.corrections.verbs import Correction
from impose_core.errors import BadCorrection
from impose_core.poses import Visibility


def correction_to_json(correction: Correction) -> dict[str, Any]:
    """A correction that :func:`patch_of` accepts, as a JSON object, positions exact."""
    record: dict[str, Any] = {"verb": type(correction).__name__}
    for item in fields(correction):
        value = getattr(correction, item.name)
        if item.name == "xy":
            record["xy"] = {name: [float(v) for v in point] for name, point in value.items()}
        elif item.name == "visibility":
            record["visibility"] = {name: int(flag) for name, flag in value.items()}
        else:
            box = item.name == "box"
            record[item.name] = [float(v) for v in value] if box else operator.index(value)
    return record


def correction_from_json(value: Any) -> Correction:
    """The correction that :func:`correction_to_json` wrote.

    Whether it fits a video and its persons is for :func:`patch_of` to say.

    Raises:
        BadCorrection: if a field is missing, unknown or of another kind; naming it.
    """
    given = dict(as_mapping(value, "correction"))
    name = given.pop("verb", None)
    verbs = {verb.__name__: verb for verb in get_args(Correction)}
    if not isinstance(name, str) or name not in verbs:
        raise BadCorrection(f"Expected 'verb' to be one of {list(verbs)}, got {name!r}.")
    known = fields(verbs[name])
    required = {f.name for f in known if f.default is MISSING and f.default_factory is MISSING}
    unknown, missing = set(given) - {f.name for f in known}, required - set(given)
    if unknown or missing:
        raise BadCorrection(
            f"Expected a {name} to have the fields {[f.name for f in known]}, got "
            f"{'no' if missing else 'an unknown'} '{min(missing or unknown, key=str)}'."
        )
    read = {"xy": _points_from_json, "visibility": _flags_from_json, "box": _box_from_json}
    arguments = {f: read.get(f, as_integer)(said, f) for f, said in given.items()}
    correction: Correction = verbs[name](**arguments)
    return correction


def _points_from_json(value: Any, name: str) -> dict[str, tuple[float, float]]:
    points = {k: as_finite(v, 2, f"{name}['{k}']") for k, v in as_mapping(value, name).items()}
    return {joint: (x, y) for joint, (x, y) in points.items()}


def _flags_from_json(value: Any, name: str) -> dict[str, Visibility]:
    return {joint: as_flag(said, joint) for joint, said in as_mapping(value, name).items()}


def _box_from_json(value: Any, name: str) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = as_finite(value, 4, name)
    return (x1, y1, x2, y2)
