"""The real app, offscreen, and a hand on its mouse and keyboard."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anylabeling import config as host_config
from anylabeling.config import get_config, set_work_directory
from anylabeling.resources import resources  # noqa: F401  the app's icons, registered by importing
from anylabeling.views.labeling.utils.theme import get_app_stylesheet, init_theme
from anylabeling.views.mainwindow import MainWindow
from impose_xanylabeling import host
from impose_xanylabeling.service_process import Provider
from PyQt6 import QtCore, QtGui, QtWidgets
from PyQt6.QtTest import QTest

LEFT = QtCore.Qt.MouseButton.LeftButton
NONE = QtCore.Qt.KeyboardModifier.NoModifier
CONTROL = QtCore.Qt.KeyboardModifier.ControlModifier
SHIFT = QtCore.Qt.KeyboardModifier.ShiftModifier


class App:
    """One window of X-AnyLabeling with IMPose in it.

    ``drags``, ``clicks`` and ``keys`` count what the hand did.
    """

    def __init__(self, folder: Path, home: Path, provider: Provider) -> None:
        os.environ.update(HOME=str(home), XDG_CONFIG_HOME=str(home))
        set_work_directory(str(home))
        host_config.current_config_file = str(home / ".xanylabelingrc")
        QtCore.QCoreApplication.setAttribute(QtCore.Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
        self.qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["xanylabeling"])
        init_theme("light")
        self.qt.setStyleSheet(get_app_stylesheet())
        host.install(provider)
        config = get_config(host_config.current_config_file, {}, show_msg=False)
        config["language"] = "en_US"
        self.window = MainWindow(self.qt, config=config, filename=str(folder))
        self.window.resize(1500, 900)
        self.window.show()
        self.view = self.window.labeling_widget.view
        self.canvas = self.view.canvas
        self.plugin = self.window.impose_plugin
        self.folder = folder
        self.drags = self.clicks = self.keys = 0
        self.calm()

    def open_folder(self, folder: Path) -> None:
        """Open another folder of pictures, as File > Open Dir does."""
        self.folder = folder
        self.view.import_image_folder(str(folder))
        self.calm()
        assert self.frame == 0

    # waiting

    def until(self, done: Callable[[], Any], seconds: float = 120.0) -> None:
        """Let the app work until ``done``."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"not done in {seconds} s; status: {self.said}")
            self.qt.processEvents()
            time.sleep(0.005)

    def calm(self, seconds: float = 120.0) -> None:
        """Let the app work until nothing is asked of the service any more."""
        for _ in range(3):  # an answer may ask for more
            self.until(self.plugin.worker.is_idle, seconds)
            self.settle()

    def settle(self, seconds: float = 0.05) -> None:
        """Let the app do what is queued."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.qt.processEvents()
            time.sleep(0.002)

    # seeing

    @property
    def said(self) -> str:
        """What the status line says."""
        return str(self.plugin.status.said.text())

    @property
    def frame(self) -> int:
        """The frame that is displayed."""
        return int(self.plugin.requests.frame())

    def joint(self, person: int, name: str) -> Any:
        """A joint on the canvas."""
        found = [s for s in self.canvas.shapes if s.group_id == person and s.label == name]
        assert len(found) == 1, f"{len(found)} shapes are {name} of person {person}"
        return found[0]

    def at(self, person: int, name: str) -> tuple[float, float]:
        """Where a joint is, in pixels of the picture."""
        point = self.joint(person, name).points[0]
        return point.x(), point.y()

    def pose(self, person: int) -> dict[str, tuple[float, float]]:
        """All joints of a person on the canvas."""
        return {
            s.label: (s.points[0].x(), s.points[0].y())
            for s in self.canvas.shapes
            if s.group_id == person and s.shape_type == "point"
        }

    def file(self, frame: int) -> Path:
        """The JSON file of a frame."""
        return (self.folder / self.plugin.clip.images[frame]).with_suffix(".json")

    def saved(self, frame: int) -> dict[str, Any]:
        """What it says."""
        return json.loads(self.file(frame).read_text(encoding="utf-8"))

    def screenshot(self, path: Path, width: int = 1500) -> None:
        """A JPEG of the window."""
        self.settle(0.2)
        image = self.window.grab().toImage()
        image = image.scaledToWidth(width, QtCore.Qt.TransformationMode.SmoothTransformation)
        assert image.save(str(path), "JPG", 82)

    # doing

    def open(self, frame: int) -> None:
        """Display a frame, by a click in the list of files."""
        item = self.view.file_list_widget.item(frame)
        self.view.file_list_widget.scrollToItem(item)
        rect = self.view.file_list_widget.visualItemRect(item)
        QTest.mouseClick(self.view.file_list_widget.viewport(), LEFT, NONE, rect.center())
        self.settle()
        assert self.frame == frame

    def key(self, key: QtCore.Qt.Key, modifiers: Any = NONE) -> None:
        """Press a key in the canvas."""
        self.keys += 1
        self.window.activateWindow()  # the host's popups may be in front for a while
        self.until(self.window.isActiveWindow, 10)
        QTest.keyClick(self.canvas, key, modifiers)
        self.settle()

    def menu(self, name: str, answer: str | None = None) -> None:
        """Choose an entry of the menu IMPose; type ``answer`` into what it asks."""
        bar = self.window.menuBar()
        entry = next(a for a in bar.actions() if a.text() == "IMPose")
        QTest.mouseClick(bar, LEFT, NONE, bar.actionGeometry(entry).center())
        self.until(entry.menu().isVisible, 10)
        with self.answering(QtWidgets.QInputDialog, answer or ""):
            at = entry.menu().actionGeometry(self.plugin.actions[name]).center()
            QTest.mouseClick(entry.menu(), LEFT, NONE, at)
            self.settle()

    @contextmanager
    def answering(self, kind: type[QtWidgets.QDialog], words: str) -> Iterator[list[str]]:
        """Type ``words`` and Enter into dialogs that come up; yields what they asked."""
        asked: list[str] = []

        def answer() -> None:
            dialog = QtWidgets.QApplication.activeModalWidget()
            if isinstance(dialog, kind) and dialog.isVisible():
                asked.append(dialog.text() if hasattr(dialog, "text") else dialog.labelText())
                editor = dialog.findChild(QtWidgets.QSpinBox)
                editor = editor or dialog.findChild(QtWidgets.QComboBox) or dialog
                QTest.keyClicks(editor, words)
                QTest.keyClick(dialog, QtCore.Qt.Key.Key_Return)

        timer = QtCore.QTimer()
        timer.timeout.connect(answer)
        timer.start(50)
        try:
            yield asked
        finally:
            timer.stop()

    def click(self, person: int, name: str, modifiers: Any = NONE) -> None:
        """Click on a joint."""
        self.clicks += 1
        at = self._screen(*self.at(person, name))
        self._move(at)
        QTest.mouseClick(self.canvas, LEFT, modifiers, at)
        self.settle()

    def click_at(self, x: float, y: float) -> None:
        """Click somewhere on the picture."""
        self.clicks += 1
        at = self._screen(x, y)
        self._move(at)
        QTest.mouseClick(self.canvas, LEFT, NONE, at)
        self.settle()

    def press(self, person: int, name: str) -> QtCore.QPoint:
        """Take hold of a joint."""
        at = self._screen(*self.at(person, name))
        self._move(at)
        QTest.mousePress(self.canvas, LEFT, NONE, at)
        return at

    def drag(self, person: int, name: str, dx: float, dy: float) -> None:
        """Drag a joint by (dx, dy) pixels of the picture."""
        self.drags += 1
        start = self.press(person, name)
        x, y = self.at(person, name)
        end = self._screen(x + dx, y + dy)
        for step in range(1, 9):
            self._move(start + (end - start) * step / 8, LEFT)
        QTest.mouseRelease(self.canvas, LEFT, NONE, end)
        self.settle(0.01)

    def _screen(self, x: float, y: float) -> QtCore.QPoint:
        offset = self.canvas.offset_to_center()
        return ((QtCore.QPointF(x, y) + offset) * self.canvas.scale).toPoint()

    def _move(self, at: QtCore.QPoint, buttons: Any = QtCore.Qt.MouseButton.NoButton) -> None:
        where = QtCore.QPointF(at)
        event = QtGui.QMouseEvent(
            QtCore.QEvent.Type.MouseMove,
            where,
            QtCore.QPointF(self.canvas.mapToGlobal(at)),
            QtCore.Qt.MouseButton.NoButton,
            buttons,
            NONE,
        )
        self.qt.sendEvent(self.canvas, event)
