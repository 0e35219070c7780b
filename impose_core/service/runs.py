"""What a run replaced, kept on disk until ten later ones, so that it can be taken back.

A folder per run: ``run.json``, the former content of each file it wrote, and ``written.jsonl``:
a line with the checksum of what was written, made before that is. A process that dies between
any two steps leaves files and record that agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from impose_core.atomic import unwritable, write_bytes
from impose_core.errors import BadDocument
from impose_core.io.files import read_bytes
from impose_core.io.json_fields import as_object, as_text, parse_json, read_json
from impose_core.io.xanylabeling_files import content_of, replace_file
from impose_core.service.errors import UnknownRun

KEPT: Final = 10
FOLDER: Final = ".impose"
_ABSENT: Final = ".absent"
_BEFORE: Final = ".before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file of a run: its name, what it held before, and the SHA-256 of what it held after."""

    name: str
    before: bytes | None
    sha256: str


class Run:
    """A run that is under way: writes files, and what they held before that."""

    def __init__(self, runs: Runs, name: str) -> None:
        self.name = name
        self._files, self._folder = runs.files, runs.folder / name

    def write(self, path: Path, before: bytes | None, after: bytes | None) -> None:
        """Replace a file of the folder as :func:`replace_file` does.

        Raises:
            FileChanged: if it does not hold ``before``.
            OutputError: if it, or the record of it, cannot be written.
        """
        if before is None:
            write_bytes(self._folder / (path.name + _ABSENT), b"")
        else:
            write_bytes(self._folder / (path.name + _BEFORE), before)
        line = json.dumps({"name": path.name, "sha256": _digest(after)}) + "\n"
        record = self._folder / "written.jsonl"
        try:
            with record.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(record, error) from error
        replace_file(path, before, after)


class Runs:
    """The runs on the JSON files of a folder.

    Attributes:
        files: the folder of the JSON files.
        folder: where runs are kept.
    """

    def __init__(self, files: Path) -> None:
        self.files = files
        self.folder = files / FOLDER / "runs"

    def begin(self, kind: str, *, undoes: str | None = None) -> Run:
        """Start a run, and forget the oldest.

        Raises:
            OutputError: if its record cannot be made.
        """
        name = f"r-{time.time_ns():020d}-{secrets.token_hex(3)}"
        place = self.folder / name
        try:
            place.mkdir(parents=True)
        except OSError as error:
            raise unwritable(place, error) from error
        about = {"format": "impose-run", "version": 1, "kind": kind, "undoes": undoes}
        write_bytes(place / "run.json", json.dumps(about).encode())
        for old in self.names()[:-KEPT]:
            shutil.rmtree(self.folder / old, ignore_errors=True)
        return Run(self, name)

    def names(self) -> list[str]:
        """The runs that are kept, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(one.name for one in self.folder.iterdir() if one.name.startswith("r-"))

    def last(self) -> str:
        """The last run that was not taken back and wrote something.

        Raises:
            UnknownRun: if there is none.
        """
        undone: set[str] = set()
        for name in reversed(self.names()):
            undoes = self._undoes(name)
            if undoes is not None:
                undone.add(undoes)
            elif name not in undone and self.written(name):
                return name
        raise UnknownRun("Expected a run to take back, got none.")

    def written(self, name: str) -> list[Written]:
        """The files of a run, in the order in which they were written.

        Raises:
            UnknownRun: if it is not kept, or its record is damaged.
        """
        place = self.folder / name
        if name not in self.names():
            raise UnknownRun(
                f"Expected 'run' to be one of the last {KEPT}, got {name!r}.",
            )
        return list(self._lines(place))

    def _lines(self, place: Path) -> Iterator[Written]:
        for line in (content_of(place / "written.jsonl") or b"").splitlines():
            try:
                item = as_object(parse_json(line), "line")
                file = Path(as_text(item.get("name"), "name")).name
                sha256 = as_text(item.get("sha256"), "sha256")
                absent = (place / (file + _ABSENT)).exists()
                before = None if absent else read_bytes(place / (file + _BEFORE))
            except BadDocument:  # torn when the process died: that file was not written
                continue
            yield Written(name=file, before=before, sha256=sha256)

    def _undoes(self, name: str) -> str | None:
        try:
            undoes = read_json(self.folder / name / "run.json").get("undoes")
        except (BadDocument, AttributeError):
            return None
        return undoes if isinstance(undoes, str) else None


def is_as_written(now: bytes | None, written: Written) -> bool:
    """True if a file still holds what the run left in it."""
    return _digest(now) == written.sha256


def _digest(content: bytes | None) -> str:
    return "absent" if content is None else hashlib.sha256(content).hexdigest()
