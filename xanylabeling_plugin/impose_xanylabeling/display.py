"""The displayed frame: answers are put in place there, and its file is never written over unread.

The host reads a frame's file once and writes all of it at every edit. Whoever wrote it in the
meantime (the service, or another program) would lose that: so before the host writes, what is new
in the file is taken over to the canvas, except where the human changed the same joint.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from PyQt6 import QtCore

from impose_xanylabeling import canvas as on_canvas
from impose_xanylabeling.poses import Json, key_of, missing_in, still_wanted
from impose_xanylabeling.worker import safely

AGAIN_MS: Final = 500
"""Until a file that could not be read is tried again."""
HOSTS_OWN: Final = {
    *("shapes", "flags", "imagePath", "imageData", "imageHeight", "imageWidth", "version")
}
"""Keys of a file that the host does not keep among the others."""


class Display:
    """What is shown of a frame, beside what its file said when it was read or written last.

    Args:
        view: the host's labeling widget.
        say: shows a sentence to the user.
    """

    def __init__(self, view: Any, say: Callable[[str], None]) -> None:
        self.view, self._say = view, say
        self.putting = False
        """Whether an edit on the canvas is ours."""
        self._picture: str | None = None
        self._content: bytes | None = None
        self._read: Json = {}
        self._shapes: list[Json] = []
        self._soon = QtCore.QTimer(view)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(safely(self._catch_up))

    # what the host tells

    def loaded(self) -> None:
        """Another picture is displayed, as its file has it."""
        self._known(_content(self._file()))

    def may_write(self, path: str) -> bool:
        """Whether the host may write this file now; if not, it is done soon.

        It may not if somebody has written the file since it was read.
        """
        file = self._file()
        if file is None or Path(path) != file or _content(file) in (None, self._content):
            return True
        self._unsaved()
        self._soon.start(0)
        return False

    def written(self, path: str, *, well: bool) -> None:
        """The host has written a file, or has failed to."""
        file = self._file()
        if file is None or Path(path) != file:
            return
        if well:
            self._known(_content(file))
            self._shapes = on_canvas.shapes_of(self.view)
        else:
            self._unsaved()  # so the host asks before it leaves the frame

    # what answers say

    def put(self, shapes: list[Json], *, gone: Iterable[Any] = (), save: bool = True) -> None:
        """Put shapes in place; no edit of the human's."""
        self.putting = True
        try:
            on_canvas.put(self.view, shapes, gone=gone, save=save)
        finally:
            self.putting = False

    def put_wanted(self, picture: str, answer: list[Json], asked: list[Json]) -> None:
        """Put in place what nobody has touched since it was ``asked``."""
        if self.view.filename != picture:
            return  # the frame was left: what is in its file is what its human left there
        if self._in_hand():
            return  # the next drag has begun, and will ask again
        self.put(still_wanted(answer, asked, on_canvas.shapes_of(self.view)))

    def show_file(self) -> None:
        """Bring the canvas to what the frame's file says; the host's undo remains."""
        if not self._in_hand():  # or else before the host writes next
            self._take_over()

    def save_first(self) -> bool:
        """Bring edits that are only in memory to the frame's file; False if that failed."""
        if not self.view.dirty:
            return True
        path = self.view.get_label_file()
        if not self.may_write(path) and not self._take_over():
            return False
        saved = bool(self.view.save_labels(path))
        if saved:
            self.view.set_clean()
        return saved

    def select(self, person: int, joint: str) -> None:
        """Select a joint."""
        for shape in self.view.canvas.shapes:
            if shape.group_id == person and shape.label == joint:
                self.view.canvas.select_shapes([shape])

    # the file

    def _catch_up(self) -> None:
        """Take over what is new in the file, then write it."""
        if not self.view.dirty or self.view.filename != self._picture:
            return
        if self._in_hand() or not self._take_over():
            self._soon.start(AGAIN_MS)
        elif self.view.save_labels(self.view.get_label_file()):
            self.view.set_clean()

    def _take_over(self) -> bool:
        """What is new in the file comes to the canvas; False if it cannot be read."""
        file = self._file()
        content = None if file is None else _content(file)
        try:
            said = _document(content)
            theirs = on_canvas.as_host(said.get("shapes", []))
        except (ValueError, KeyError, TypeError) as error:
            self._say(f"'{file}' is being written, or is no such JSON; it is left alone: {error}")
            return False
        now = on_canvas.shapes_of(self.view)
        wanted = still_wanted(theirs, self._shapes, now)
        self.put(wanted, gone=missing_in(theirs, self._shapes, now), save=False)
        self._take_over_foreign(said)
        self._known(content)
        return True

    def _take_over_foreign(self, said: Json) -> None:
        """Shapes of nobody, and the file's other keys."""
        was, new = _foreign(self._read), _foreign(said)
        on_canvas.exchange(self.view, [*map(json.loads, was - new)], [*map(json.loads, new - was)])
        changed = {n for n in {*self._read, *said} if self._read.get(n) != said.get(n)}
        for name in changed - HOSTS_OWN:
            if name in said:
                self.view.other_data[name] = said[name]
            else:
                self.view.other_data.pop(name, None)
        if "flags" in changed:
            self.view.load_flags(said.get("flags") or {})
        if "checked" in changed:
            self.view._sync_annotation_checked_state()

    def _known(self, content: bytes | None) -> None:
        self._picture, self._content = self.view.filename, content
        try:
            self._read = _document(content)
            self._shapes = on_canvas.as_host(self._read.get("shapes", []))
        except (ValueError, KeyError, TypeError):  # the host has said so
            self._read, self._shapes = {}, []

    def _file(self) -> Path | None:
        if not self.view.filename or not self.view.image_path:
            return None
        return Path(self.view.get_label_file())

    def _in_hand(self) -> bool:
        return bool(getattr(self.view.canvas, "moving_shape", False))

    def _unsaved(self) -> None:
        self.view.dirty = True
        self.view.actions.save.setEnabled(True)


def _content(file: Path | None) -> bytes | None:
    try:
        return None if file is None else file.read_bytes()
    except FileNotFoundError:
        return None


def _document(content: bytes | None) -> Json:
    """Of a frame's file; empty if there is none.

    Raises:
        ValueError, TypeError: if it is no such JSON.
    """
    if content is None:
        return {}
    said = json.loads(content)
    if not isinstance(said, dict) or not isinstance(said.get("shapes"), list):
        raise TypeError("Expected an object with a list 'shapes'.")
    return said


def _foreign(document: Json) -> Counter[str]:
    shapes = [shape for shape in document.get("shapes", []) if key_of(shape) is None]
    return Counter(json.dumps(shape, sort_keys=True) for shape in shapes)
