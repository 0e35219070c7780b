"""What the window's status bar shows: what the work cost, how far it is, and a way to stop."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6 import QtWidgets

MOUSE = 130
"""Pixels."""


class StatusLine(QtWidgets.QWidget):
    """A line of text, a bar of progress while a run is on, and its cancel button."""

    def __init__(self, bar: QtWidgets.QStatusBar, cancel: Callable[[], None]) -> None:
        super().__init__()
        self.text = QtWidgets.QLabel()
        self.said = QtWidgets.QLabel()
        self.progress = QtWidgets.QProgressBar()
        self.progress.setFixedWidth(180)
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.clicked.connect(lambda _checked=False: cancel())
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for part, share in ((self.said, 2), (self.progress, 0), (self.cancel, 0), (self.text, 3)):
            row.addWidget(part, share)
        for label in (self.said, self.text):  # long words must not make the window wider
            label.setSizePolicy(
                QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred
            )
        room = QtWidgets.QWidget()  # where the host says over which pixel the mouse is
        room.setFixedWidth(MOUSE)
        bar.addWidget(room)
        bar.addPermanentWidget(self, 1)
        self.idle()

    def say(self, sentence: str) -> None:
        """What just happened; it stays until the next thing does."""
        self.said.setText(sentence)
        self.said.setToolTip(sentence)

    def count(self, line: str) -> None:
        """What the work cost, and how far it is."""
        self.text.setText(line)
        self.text.setToolTip(line.replace("   ", "\n"))

    def working(self, title: str, *, done: int = 0, total: int = 0) -> None:
        """Show progress; ``total`` 0 means that nobody knows how much there is."""
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setFormat(f"{title} %v/%m" if total else title)
        self.progress.show()
        self.cancel.show()

    def idle(self) -> None:
        """Nothing runs."""
        self.progress.hide()
        self.cancel.hide()
