"""The documents a report is made of: which files they are, and whether they hold together."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from impose_core.errors import BadDocument, UsageError
from impose_core.natural_order import natural

Fields = Mapping[str, Any]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_QUALITY: Final = 88
_MAKERS: Final = "'impose evaluate --out' or 'impose simulate --out'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What ``impose evaluate --out`` wrote.

    Attributes:
        file: its name.
        rows: one for each file of predictions.
        published: the papers' tables, if they were asked for.
    """

    file: str
    rows: Sequence[Fields]
    published: Fields | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """A picture as it came, and smaller."""

    png: bytes
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """What ``impose simulate --out`` wrote.

    Attributes:
        file: its name.
        video: name.
        about: the document without its rows.
        rows: one for each engine and strategy.
        pictures: by the name that a row gives.
    """

    file: str
    video: str
    about: Fields
    rows: Sequence[Fields]
    pictures: Mapping[str, Photograph]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A folder's documents, by name; ``unread`` holds the other JSON files with the reason."""

    evaluations: Sequence[Evaluation]
    simulations: Sequence[SimulationReport]
    unread: Mapping[str, str]


def collect(folder: Path) -> Collected:
    """The documents in ``folder``, its subfolders not included.

    Raises:
        UsageError: if there is no such folder, or no document in it.
        BadDocument: if a file is no JSON, a document lacks something, or a picture is missing.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "nothing"
        raise UsageError(f"Expected a folder of documents, got {folder}: {what}.")
    evaluations, simulations, unread = [], [], {}
    for path in sorted(folder.glob("*.json"), key=lambda one: natural(one.name)):
        content = _content(path)
        rows = _rows(content)
        if rows and all(_has(row, "conventions", "skipped", "n") for row in rows):
            evaluations.append(_evaluation(path, content, rows))
        elif _has(content, "video") and rows and all(_has(row, "engine", "curve") for row in rows):
            simulations.append(_simulation(path, content, rows))
        else:
            unread[path.name] = f"neither of {_MAKERS.replace(' or ', ' nor of ')}"
    if not evaluations and not simulations:
        found = f"only {', '.join(unread)}" if unread else "no JSON file"
        raise UsageError(
            f"Expected {folder} to hold a document of {_MAKERS}, got {found}.",
            hint="Give these commands an '--out' in that folder.",
        )
    return Collected(evaluations=evaluations, simulations=simulations, unread=unread)


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"Expected {path} to be JSON, got damage: {error}.") from error
    except OSError as error:
        raise BadDocument(f"Expected {path} to be readable, got {error.strerror}.") from error


def _rows(content: Any) -> list[Any]:
    """The rows of a document; a document without a list of them may be one itself."""
    if not isinstance(content, dict):
        return []
    rows = content.get("rows", [content])
    return rows if isinstance(rows, list) else []


def _has(content: Any, *keys: str) -> bool:
    return isinstance(content, dict) and all(key in content for key in keys)


def _evaluation(path: Path, content: Fields, rows: Sequence[Fields]) -> Evaluation:
    for at, row in enumerate(rows):
        where = f"rows[{at}]" if "rows" in content else ""
        _text(path, row, "name", where)
        for key in ("conventions", "skipped", "n"):
            _object(path, row, key, where)
        if "per_joint_AP" in row:
            joints = _object(path, row, "per_joint_AP", where)
            for joint in joints:
                _number(path, joints, joint, f"{where}.per_joint_AP", null=True)
        for tau, of_tau in row.get("drift", {}).items() if _has(row.get("drift", {})) else ():
            if _has(of_tau, "any_joint") and _has(of_tau["any_joint"], "survival"):
                _survival(path, of_tau["any_joint"]["survival"], f"{where}.drift.{tau}")
    published = None
    if content.get("published") is not None:
        published = _object(path, content, "published", "")
        _text(path, published, "label", "published")
        for at, one in enumerate(_list(path, published, "tables", "published")):
            for key in ("columns", "rows"):
                _list(path, one if isinstance(one, dict) else {}, key, f"published.tables[{at}]")
            for key in ("source", "table", "caption"):
                _text(path, one, key, f"published.tables[{at}]")
    return Evaluation(file=path.name, rows=rows, published=published)


def _survival(path: Path, curve: Any, where: str) -> None:
    if not _has(curve, "frames", "share", "at_risk", "longest"):
        raise _bad(path, f"{where}.any_joint.survival", "a curve", curve)
    lengths = {len(_list(path, curve, key, where)) for key in ("frames", "share", "at_risk")}
    if len(lengths) != 1:
        raise _bad(path, f"{where}.any_joint.survival", "lists of one length", sorted(lengths))
    for key in ("frames", "share"):
        for value in curve[key]:
            _number(path, {key: value}, key, where)
    _number(path, curve, "longest", where)


def _simulation(path: Path, content: Fields, rows: Sequence[Fields]) -> SimulationReport:
    _text(path, content, "video", "")
    _object(path, content, "conventions", "")
    pictures: dict[str, Photograph] = {}
    for at, row in enumerate(rows):
        where = f"rows[{at}]"
        for key in ("engine", "strategy"):
            _text(path, row, key, where)
        for target, reached in _object(path, row, "targets", where).items():
            if not _has(reached, "clicks_per_person", "never"):
                raise _bad(path, f"{where}.targets.{target}", "clicks and who never", reached)
        curve = _list(path, row, "curve", where)
        if not curve:
            raise _bad(path, f"{where}.curve", "a point or more", "none")
        for i, point in enumerate(curve):
            for key in ("clicks", "oks", "accuracy"):
                _number(path, point, key, f"{where}.curve[{i}]")
        if row.get("picture") is not None:
            picture = _object(path, row, "picture", where)
            name = _text(path, picture, "file", f"{where}.picture")
            pictures[name] = _picture(path, name, f"{where}.picture.file")
    return SimulationReport(
        file=path.name,
        video=content["video"],
        about={key: value for key, value in content.items() if key != "rows"},
        rows=rows,
        pictures=pictures,
    )


def _picture(path: Path, name: str, where: str) -> Photograph:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _bad(path, where, "a file in the folder of the document", name)
    try:
        content = (path.parent / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BadDocument(
            f"Expected the picture '{name}' that {path} names to be in {path.parent}, got none.",
            hint="Give 'impose simulate' that folder, or one in it, as '--pictures'.",
        ) from error
    pixels = None
    if content.startswith(_PNG):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise BadDocument(f"Expected {path.parent / name} to be a PNG picture, got another file.")
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Photograph(png=content, jpeg=jpeg.tobytes())


def _object(path: Path, fields: Any, key: str, where: str) -> dict[str, Any]:
    value = _value(path, fields, key, where, "an object")
    if not isinstance(value, dict):
        raise _bad(path, _at(where, key), "an object", value)
    return value


def _list(path: Path, fields: Any, key: str, where: str) -> list[Any]:
    value = _value(path, fields, key, where, "a list")
    if not isinstance(value, list):
        raise _bad(path, _at(where, key), "a list", value)
    return value


def _text(path: Path, fields: Any, key: str, where: str) -> str:
    value = _value(path, fields, key, where, "text")
    if not isinstance(value, str):
        raise _bad(path, _at(where, key), "text", value)
    return value


def _number(path: Path, fields: Any, key: str, where: str, *, null: bool = False) -> None:
    value = _value(path, fields, key, where, "a number")
    if null and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(path, _at(where, key), "a number", value)


def _value(path: Path, fields: Any, key: str, where: str, what: str) -> Any:
    if not _has(fields, key):
        raise _bad(path, _at(where, key), what, "nothing")
    return fields[key]


def _at(where: str, key: str) -> str:
    return f"{where}.{key}".lstrip(".")


def _bad(path: Path, where: str, what: str, got: Any) -> BadDocument:
    shown = got if isinstance(got, str) else repr(got)
    return BadDocument(
        f"Expected '{where.lstrip('.')}' of {path} to be {what}, got {shown[:60]}.",
        hint="Write the document again, or move it out of the folder.",
    )
