"""What the service holds: open clips, their runs, and what may be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.service.clip import Clip, clip_name
from impose_core.service.errors import BadRequest, Busy, Forbidden, UnknownClip
from impose_core.service.streams import Stream
from impose_core.skeleton import Skeleton, skeleton_from_names, skeleton_named

MOST_CLIPS: Final = 32
STOP_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a service runs.

    Attributes:
        engine: the parts that look at pixels.
        skeleton: of clips that name none.
        token: what requests must carry; None: nothing.
        root: the folder outside of which nothing is touched; None: no limit.
    """

    engine: Engine
    skeleton: Skeleton
    token: str | None = None
    root: Path | None = None


class Desk:
    """Open clips by name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._clips: dict[str, Clip] = {}
        self._streams: dict[str, Stream] = {}
        self._lock = threading.Lock()

    def open(self, path: str, labels: str | None, keypoints: Any) -> Clip:
        """The clip at a place, opened if it is not.

        Raises:
            BadRequest: if a video comes without a folder for its files.
            Forbidden: if it lies outside of the root.
            MediaError: if there is nothing to show.
        """
        place = self.allowed(path)
        if labels is None and not place.is_dir():
            if place.is_file():
                raise BadRequest(
                    f"Expected 'labels' to name a folder for the JSON files of {path}, got none.",
                    hint="Or make a folder of images of it first: POST /impose/extract.",
                )
            raise BadRequest(f"Expected 'path' to be a folder of images, got {path}.")
        folder = place if labels is None else self.allowed(labels)
        if not folder.is_dir():
            raise BadRequest(f"Expected 'labels' to be a folder, got {folder}.")
        skeleton = self._skeleton(keypoints)
        name = clip_name(place, folder, skeleton)
        with self._lock:
            if name not in self._clips:
                if len(self._clips) >= MOST_CLIPS:
                    raise Busy(
                        f"Expected at most {MOST_CLIPS} open clips, got one more.",
                        hint="Close one: DELETE /impose/clips/{clip}.",
                    )
                self._clips[name] = Clip(place, folder, skeleton, self.settings.engine)
            return self._clips[name]

    def clip(self, name: str) -> Clip:
        """The open clip of that name.

        Raises:
            UnknownClip: if there is none.
        """
        found = self._clips.get(name)
        if found is None:
            raise UnknownClip(
                f"Expected the name of an open clip, got {name[:60]!r}.",
                hint="Open it: POST /impose/clips. A restarted service has none open.",
            )
        return found

    def forget(self, name: str) -> None:
        """Close a clip; a run on it is cancelled first.

        Raises:
            UnknownClip: if there is none.
            Busy: if the run does not end.
        """
        clip = self.clip(name)
        stream = self._streams.get(name)
        if stream is not None:
            stream.cancel()
            stream.join(STOP_SECONDS)
        clip.begin()
        with self._lock:
            self._clips.pop(name, None)
        clip.close()

    def stream(self, clip: Clip, lines: Callable[[], Iterator[dict[str, Any]]]) -> Stream:
        """Start a run on a clip.

        Raises:
            Busy: if one is under way.
        """
        clip.begin()

        def at_end(fault: bool) -> None:
            if fault:
                clip.forget()
            clip.end()

        stream = Stream(_begun(lines), at_end)
        self._streams[clip.name] = stream
        stream.start()
        return stream

    def cancel(self, clip: Clip) -> None:
        """Cancel the run on a clip, if there is one."""
        stream = self._streams.get(clip.name)
        if stream is not None:
            stream.cancel()

    def stop(self) -> None:
        """Cancel all runs, and wait for them a little."""
        streams = list(self._streams.values())
        for stream in streams:
            stream.cancel()
        for stream in streams:
            stream.join(STOP_SECONDS)

    def allowed(self, path: str) -> Path:
        """A path of a request, links followed.

        Raises:
            Forbidden: if it is outside of the root.
            BadRequest: if it is relative, or no path.
        """
        if not Path(path).is_absolute():
            raise BadRequest(f"Expected an absolute path, got {path[:200]!r}.")
        try:
            place = Path(path).resolve()
        except (OSError, RuntimeError) as error:  # a loop of links
            raise BadRequest(f"Expected a path, got {path[:200]!r}: {error}.") from error
        root = self.settings.root
        if root is not None and not place.is_relative_to(root.resolve()):
            raise Forbidden(f"Expected a path below {root}, got {place}.")
        return place

    def _skeleton(self, keypoints: Any) -> Skeleton:
        if keypoints is None:
            return self.settings.skeleton
        if isinstance(keypoints, str):
            return skeleton_named(keypoints)
        names = keypoints if isinstance(keypoints, list) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise BadRequest("Expected 'keypoints' to be a preset's name or a list of names.")
        try:
            return skeleton_from_names("clip", names)
        except UsageError as error:
            raise BadRequest(f"In 'keypoints': {error.message}", hint=error.hint) from error


def _begun(lines: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The lines, asked for in the thread of the run: reading all files takes its time."""
    yield from lines()
