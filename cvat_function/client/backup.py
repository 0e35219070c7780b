"""What a job held before it was written to, and back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cvat_function.client.errors import BadJob
from impose_core.errors import OutputError

FORMAT, VERSION = "impose-cvat-backup", 1


def default_folder(environment: Mapping[str, str]) -> Path:
    """``IMPOSE_CVAT_BACKUPS``, or where programs keep their data (XDG)."""
    named = environment.get("IMPOSE_CVAT_BACKUPS")
    if named:
        return Path(named)
    data = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "impose" / "cvat"


def save(folder: Path, *, host: str, job: int, annotations: Mapping[str, Any]) -> Path:
    """Write a new file in ``folder``, which only its owner can read.

    Raises:
        OutputError: if it cannot be written; then nothing may be changed on the server.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    body = {
        "format": FORMAT,
        "version": VERSION,
        "server": host,
        "job": job,
        "annotations": annotations,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for count in range(10_000):
            path = folder / f"job-{job}-{stamp}{f'-{count}' if count else ''}.json"
            try:
                number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                continue
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(body, file)
                file.flush()
                os.fsync(file.fileno())
            return path
    except OSError as error:
        raise OutputError(
            f"Expected '--backups' to be a folder to write to, got {folder}: {error.strerror}."
        ) from error
    raise OutputError(f"Expected room for a backup of job {job} in {folder}, got none.")


def load(path: Path, *, host: str, job: int) -> dict[str, Any]:
    """The annotations in a backup of ``job`` on ``host``.

    Raises:
        BadJob: if the file is none, or is of another job or server.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadJob(f"Expected {path} to be a backup, got: {error}.") from error
    expected = {"format": FORMAT, "version": VERSION, "server": host, "job": job}
    for name, value in expected.items():
        got = body.get(name) if isinstance(body, dict) else None
        if got != value:
            raise BadJob(f"Expected '{name}' of {path} to be {value!r}, got {got!r}.")
    annotations = body["annotations"]
    if not isinstance(annotations, dict):
        raise BadJob(f"Expected 'annotations' of {path} to be an object.")
    return annotations
