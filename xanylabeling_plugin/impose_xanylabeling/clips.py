"""Which clip a picture belongs to, and requests about it that outlive a killed service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from impose_xanylabeling.client import Client, Json, ServiceDown, ServiceError
from impose_xanylabeling.service_process import Provider

Folders = tuple[str, str | None]
"""The folder of the images, and that of the JSON files if it is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What the service says about a clip.

    Attributes:
        id: its name in requests.
        images: file names in the order of frames.
        keypoints: K names.
        edges: pairs of indices of ``keypoints``.
        flip_pairs: (left, right) indices of ``keypoints``.
        persons: a status per person.
        problems: files that are no such JSON.
    """

    id: str
    images: tuple[str, ...]
    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    persons: tuple[Json, ...]
    problems: tuple[Json, ...]
    _index: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Json) -> Clip:
        """From the service's answer."""
        images = tuple(answer["images"])
        return cls(
            id=answer["clip"],
            images=images,
            keypoints=tuple(answer["keypoints"]),
            edges=tuple((a, b) for a, b in answer["edges"]),
            flip_pairs=tuple((a, b) for a, b in answer["flip_pairs"]),
            persons=tuple(answer["persons"]),
            problems=tuple(answer["problems"]),
            _index={name: i for i, name in enumerate(images)},
        )

    def frame(self, picture: str) -> int | None:
        """The frame that the file ``picture`` shows; None if it is not of this clip."""
        return self._index.get(Path(picture).name)


class Clips:
    """The clips opened so far. To be used from one thread: requests take their time."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._open: dict[Folders, Clip] = {}

    def clip(self, folders: Folders, *, anew: bool = False) -> Clip:
        """The clip of ``folders``; ``anew`` has its status as it is now.

        Raises:
            ServiceDown, ServiceError: if it cannot be opened.
        """
        if anew or folders not in self._open:
            self._twice(lambda client: self._opened(client, folders))
        return self._open[folders]

    def call(self, folders: Folders, verb: str, body: Json) -> Json:
        """``POST /impose/clips/{clip}/{verb}``."""
        return self._twice(
            lambda client: client.call("POST", self._path(client, folders, verb), body),
            folders,
        )

    def get(self, folders: Folders, what: str) -> Json:
        """``GET /impose/clips/{clip}/{what}``."""
        return self._twice(
            lambda client: client.call("GET", self._path(client, folders, what)), folders
        )

    def run(self, folders: Folders, verb: str, body: Json, cancelled: Event) -> Iterator[Json]:
        """The stream of ``POST /impose/clips/{clip}/{verb}``.

        One that was cut off after it had begun is not begun again: the user is told, and decides.
        """
        for again in (True, False):
            begun = False
            try:
                client = self._provider.client()
                for event in client.stream(self._path(client, folders, verb), body, cancelled):
                    begun = True
                    yield event
                return
            except (ServiceDown, ServiceError) as error:
                if not self._forgotten(error, folders) or begun or not again:
                    raise

    def _twice(self, ask: Any, folders: Folders | None = None) -> Json:
        """Ask; if the service was gone, or does not know the clip any more, once again."""
        try:
            answer: Json = ask(self._provider.client())
        except (ServiceDown, ServiceError) as error:
            if not self._forgotten(error, folders):
                raise
            answer = ask(self._provider.client())
        return answer

    def _forgotten(self, error: ServiceDown | ServiceError, folders: Folders | None) -> bool:
        """Whether the service may know nothing of the clip: it was gone, or says so."""
        if isinstance(error, ServiceDown):
            self._provider.lost()
            self._open.clear()
            return True
        if error.code == "unknown_clip" and folders is not None:
            self._open.pop(folders, None)
            return True
        return False

    def _path(self, client: Client, folders: Folders, tail: str) -> str:
        if folders not in self._open:
            self._opened(client, folders)
        return f"/impose/clips/{self._open[folders].id}/{tail}"

    def _opened(self, client: Client, folders: Folders) -> Json:
        path, labels = folders
        answer = client.call("POST", "/impose/clips", {"path": path, "labels": labels})
        self._open[folders] = Clip.of(answer)
        return answer
