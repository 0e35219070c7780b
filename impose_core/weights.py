"""The weights that come with this package: where they lie, and whether they are the right ones.

``manifest.toml`` names every file with its size, SHA-256, licence and origin. A file is read once
and its bytes are checked before anyone sees them; load a network from these bytes, never from
the path, so that what was checked is what runs. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from impose_core.errors import ChecksumMismatch, WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST: Final = "manifest.toml"
LARGEST_FILE: Final = 16 * 2**20
"""Bytes; no file that comes with this package is larger."""
LARGEST_MANIFEST: Final = 2**20

_TEXTS: Final = ("file", "sha256", "licence", "source")
_HINT: Final = "Install impose again, or restore the folder 'models' of the source checkout."


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """One entry of the manifest."""

    name: str
    """What the rest of the program asks for, such as ``movenet-thunder``."""
    path: Path
    size: int
    """Bytes."""
    sha256: str
    """64 lower-case hexadecimal digits."""
    licence: str
    """SPDX expression."""
    source: str
    """Where the numbers come from."""


def weights_folder() -> Path:
    """Package data of an installed impose, ``models`` of a source checkout.

    Raises:
        WeightsError: if there is neither.
    """
    package = Path(__file__).resolve().parent
    installed, checkout = package / "_models", package.parent
    if installed.is_dir():
        return installed
    # a folder 'models' beside an installed package is somebody else's
    if (checkout / "pyproject.toml").is_file() and (checkout / "models").is_dir():
        return checkout / "models"
    raise WeightsError(f"Expected weights in {installed}, got no such folder.", hint=_HINT)


def read_manifest(folder: str | os.PathLike[str] | None = None) -> Mapping[str, WeightsFile]:
    """Every entry by name, in the manifest's order; ``folder`` is for tests and own manifests.

    Raises:
        WeightsError: if the manifest is absent or damaged; it says where.
    """
    path = (weights_folder() if folder is None else Path(folder)) / MANIFEST
    content = _read(path, LARGEST_MANIFEST)
    try:
        document: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _damaged(path, f"a TOML document, got one that breaks off: {error}") from error
    entries = document.get("weights")
    if not isinstance(entries, dict) or not entries:
        raise _damaged(path, f"a table 'weights' with entries, got {entries!r}")
    return {name: _entry(path, name, fields) for name, fields in entries.items()}


def read_weights(name: str, folder: str | os.PathLike[str] | None = None) -> bytes:
    """The bytes of the weights called ``name``, checked against size and SHA-256.

    Raises:
        ChecksumMismatch: if the file is not the one the manifest names.
        WeightsError: if there is no such entry or file, or the manifest is damaged.
    """
    entries = read_manifest(folder)
    if name not in entries:
        raise WeightsError(f"Expected one of {', '.join(sorted(entries))}, got {name!r}.")
    return read_checked(entries[name])


def read_checked(file: WeightsFile) -> bytes:
    """The bytes of one file, checked against size and SHA-256.

    Raises:
        ChecksumMismatch: if it is another file than the manifest names.
        WeightsError: if it cannot be read.
    """
    content = _read(file.path, file.size)
    found = hashlib.sha256(content).hexdigest()
    if len(content) != file.size or found != file.sha256:
        raise ChecksumMismatch(
            f"Expected {file.path} to have {file.size} bytes and SHA-256 {file.sha256}, "
            f"got {_count(len(content), file.size)} bytes and {found}.",
            hint=_HINT,
        )
    return content


def _read(path: Path, size: int) -> bytes:
    """At most one byte more than ``size``: enough to see that a file is too long."""
    try:
        with path.open("rb") as file:
            return file.read(size + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise WeightsError(f"Expected to read {path}, got: {why}.", hint=_HINT) from error


def _count(found: int, size: int) -> str:
    return f"more than {size}" if found > size else str(found)


def _entry(path: Path, name: str, fields: object) -> WeightsFile:
    if not isinstance(fields, dict):
        raise _damaged(path, f"a table 'weights.{name}', got {fields!r}")
    for key in _TEXTS:
        if not isinstance(fields.get(key), str) or not fields[key]:
            raise _damaged(path, f"'weights.{name}.{key}' to be text, got {fields.get(key)!r}")
    size, sha256, file = fields.get("size"), fields["sha256"], fields["file"]
    if type(size) is not int or not 0 < size <= LARGEST_FILE:
        raise _damaged(path, f"'weights.{name}.size' in 1..{LARGEST_FILE}, got {size!r}")
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise _damaged(path, f"'weights.{name}.sha256' to be 64 hex digits, got {sha256!r}")
    if file in (".", "..") or set(file) & set("/\\:\0"):
        raise _damaged(path, f"'weights.{name}.file' to be a plain file name, got {file!r}")
    return WeightsFile(
        name=name,
        path=path.parent / file,
        size=size,
        sha256=sha256,
        licence=fields["licence"],
        source=fields["source"],
    )


def _damaged(path: Path, expected: str) -> WeightsError:
    return WeightsError(f"Expected {path} to hold {expected}.", hint=_HINT)
