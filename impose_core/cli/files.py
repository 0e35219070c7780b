"""Inputs that belong together, and outputs that can be written."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from impose_core.errors import BadDocument, OutputError, UsageError
from impose_core.frames import IMAGE_SUFFIXES, FrameSource
from impose_core.io.coco import PoseDocument, check_video, read_document

SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "--overlay": (".mp4", ".mkv", ".mov"),
    "--sheet": (".png", ".jpg", ".jpeg"),
    "--plot": (".png",),
}
"""What the writers of ``impose_core.overlay`` can write."""


def read_annotations(path: Path, frames: FrameSource) -> PoseDocument:
    """The document at ``path``, which must speak of the video ``frames``.

    Raises:
        BadDocument: if it breaks its format, or is of another video.
    """
    document = read_document(path, frames=len(frames))
    try:
        check_video(
            document,
            width=frames.width,
            height=frames.height,
            frames=len(frames),
            name=frames.name,
        )
    except BadDocument as error:
        # a video that is cut off looks like another one
        raise BadDocument(error.message, hint=" ".join(frames.notes) or error.hint) from None
    return document


def check_outputs(outputs: Mapping[str, Path | None], *, inputs: Sequence[Path]) -> None:
    """Refuse outputs that cannot be written, before the long work begins.

    Args:
        outputs: by the name of the option; None for what nobody asked for.
        inputs: files and folders that must stay as they are.

    Raises:
        OutputError: if a path is an input, is asked for twice or cannot be written.
        UsageError: if its suffix names another format, or the means to write it are missing.
    """
    seen: dict[str, Path] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        _check_apart(option, path, inputs)
        for other, taken in seen.items():
            if _same(path, taken):
                raise OutputError(f"Expected '{option}' and '{other}' to differ, got {path} twice.")
        seen[option] = path
        _check_format(option, path)
        _check_writable(option, path)


def check_folder(option: str, folder: Path | None, *, inputs: Sequence[Path]) -> None:
    """Refuse a folder nothing can be written to; one that is missing is made.

    Raises:
        OutputError: if it is an input, is no folder or cannot be written to.
    """
    if folder is None:
        return
    for given in inputs:
        if _same(folder, given):
            raise OutputError(f"Expected '{option}' not to be an input, got {folder}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.NamedTemporaryFile(dir=folder, prefix=".impose-").close()
    except OSError as error:
        raise OutputError(
            f"Expected '{option}' to be a folder to write to, got {folder}: {error.strerror}."
        ) from error


def _check_apart(option: str, path: Path, inputs: Sequence[Path]) -> None:
    for given in inputs:
        if _same(path, given):
            raise OutputError(f"Expected '{option}' not to be an input, got {path}.")
        frame = path.suffix.lower() in IMAGE_SUFFIXES
        if frame and given.is_dir() and path.resolve().parent == given.resolve():
            raise OutputError(
                f"Expected '{option}' outside the folder of images, got {path}.",
                hint="There it would be taken for a frame.",
            )


def _check_format(option: str, path: Path) -> None:
    suffixes = SUFFIXES.get(option)
    if suffixes is not None and path.suffix.lower() not in suffixes:
        raise UsageError(f"Expected '{option}' to end in {' or '.join(suffixes)}, got {path}.")
    if option == "--plot" and importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "Expected matplotlib to be installed for '--plot', got none.",
            hint="pip install impose[plots]",
        )


def _check_writable(option: str, path: Path) -> None:
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "neither a file nor a folder"
        raise OutputError(f"Expected '{option}' to be a file to write, got {path}: {what}.")
    try:
        # by the way all writers take: a new file in the same folder
        tempfile.NamedTemporaryFile(dir=path.resolve().parent, prefix=".impose-").close()
    except OSError as error:
        raise OutputError(
            f"Expected '{option}' to be a file that can be written, got {path}: {error.strerror}.",
            hint="The folder must exist and be writable.",
        ) from error


def _same(a: Path, b: Path) -> bool:
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))
