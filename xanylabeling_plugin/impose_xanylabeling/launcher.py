"""``impose-xanylabeling [DIR or VIDEO]``: X-AnyLabeling with IMPose in it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from impose_xanylabeling import versions
from impose_xanylabeling.client import ServiceDown, ServiceError
from impose_xanylabeling.service_process import (
    Provider,
    RunningService,
    ServiceProcess,
    impose_command,
)

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; what is said after ``--`` goes to X-AnyLabeling as it is."""
    said, rest = _parser().parse_known_args(arguments)
    rest = [word for word in rest if word != "--"]
    try:
        versions.check(versions.installed())
        provider = _provider(said)
    except (versions.UnsupportedHost, ServiceDown, ValueError) as error:
        sys.stderr.write(f"impose-xanylabeling: {error}\n")
        return 2
    try:
        return _run(said.path, rest, provider)
    except (ServiceDown, ServiceError) as error:
        sys.stderr.write(f"impose-xanylabeling: {error}\n")
        return 1
    finally:
        provider.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="impose-xanylabeling",
        description="X-AnyLabeling with IMPose: drag a joint, press N, the clip follows.",
        epilog="Other options go to X-AnyLabeling (see xanylabeling --help).",
    )
    parser.add_argument("path", nargs="?", type=Path, help="a folder of images, or a video")
    parser.add_argument("--impose", type=Path, help="the command impose, if it is elsewhere")
    parser.add_argument(
        "--service", help="URL of a running 'impose serve'; its token in IMPOSE_TOKEN"
    )
    return parser


def _provider(said: argparse.Namespace) -> Provider:
    if said.service is not None:
        return RunningService(said.service, os.environ.get("IMPOSE_TOKEN"))
    return ServiceProcess((str(said.impose),) if said.impose else impose_command())


def _run(path: Path | None, rest: list[str], provider: Provider) -> int:
    folder = None if path is None else folder_of(path, provider)
    from anylabeling import app

    from impose_xanylabeling import host

    host.install(provider)
    opened = [] if folder is None else ["--filename", str(folder)]
    sys.argv = ["xanylabeling", *opened, *rest]
    try:
        app.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def folder_of(path: Path, provider: Provider) -> Path:
    """The folder of images to open; of a video one made beside it, every frame once.

    Raises:
        ServiceError: if the video cannot be read, or ``path`` is neither.
        ServiceDown: if there is no service to read it.
    """
    path = path.resolve()
    if path.is_dir():
        return path
    if path.suffix.lower() not in VIDEOS or not path.is_file():
        raise ServiceError(400, "usage", f"Expected a folder of images or a video, got '{path}'.")
    folder = path.with_suffix("")
    body = {"video": str(path), "folder": None}
    for event in provider.client().stream("/impose/extract", body, Event()):
        if event["event"] == "started":
            folder = Path(event["folder"])
        elif event["event"] == "frame":
            line = f"\r{path.name}: frame {event['done']} of {event['total']}"
            sys.stderr.write(line)
    sys.stderr.write("\n")
    return folder


if __name__ == "__main__":
    sys.exit(main())
