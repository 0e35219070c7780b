"""The menu, the keys and the buttons. Keys are those that X-AnyLabeling leaves free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PyQt6 import QtGui, QtWidgets

from impose_xanylabeling.worker import safely

if TYPE_CHECKING:
    from impose_xanylabeling.plugin import Plugin

# name, text, key, what it does; None is a line in the menu
ENTRIES: tuple[tuple[str, str, str | None, str] | None, ...] = (
    ("propagate", "Propagate forward", "N", "Frames after this one follow it"),
    ("propagate_back", "Propagate backward", "Shift+N", "Frames before this one follow it"),
    ("propagate_between", "Propagate between checked frames", "M", "From one checked to the next"),
    ("cancel", "Cancel", "Ctrl+.", "Stop the run; what is done stays"),
    ("undo_run", "Undo last run", "Ctrl+Alt+Z", "Every frame of it; once more brings it back"),
    None,
    ("next_look", "Next frame that needs a look", "J", "Where a correction helps most"),
    ("previous_look", "Previous frame looked at", "Shift+J", "Back"),
    None,
    ("swap", "Swap two persons from here on", "Y", "Select one joint of each"),
    ("merge", "Merge two persons", None, "The second one was the first all along"),
    ("split", "Split: somebody new from here on", None, "Select a joint of the person"),
    ("assign", "Give a person another id...", None, "On all frames"),
    ("end", "End a person here", None, "Not there from this frame on"),
    None,
    ("box", "Box to pose", "H", "Two clicks around a person: a pose inside"),
    ("detect_frame", "Find everybody on this frame", "Shift+H", "Only who is not there yet"),
    ("detect_clip", "Find everybody in the clip", None, "Each with one id throughout"),
    None,
    ("toggle_skeletons", "Show skeletons", "K", "Limbs, sides, uncertain joints"),
    ("auto_run_model", "Use IMPose for Auto Run", None, "Loads impose.yaml as custom model"),
)
BUTTONS = ("propagate_back", "propagate", "next_look", "swap", "box")
ICONS = {
    "propagate": QtWidgets.QStyle.StandardPixmap.SP_MediaSeekForward,
    "propagate_back": QtWidgets.QStyle.StandardPixmap.SP_MediaSeekBackward,
    "next_look": QtWidgets.QStyle.StandardPixmap.SP_FileDialogContentsView,
    "swap": QtWidgets.QStyle.StandardPixmap.SP_BrowserReload,
    "box": QtWidgets.QStyle.StandardPixmap.SP_FileDialogNewFolder,
}


def add_actions(plugin: Plugin, view: Any) -> dict[str, QtGui.QAction]:
    """Put the menu "IMPose" and its buttons into the window; actions by name."""
    window = view.parent.parent
    menu = view.menu("IMPose")
    actions: dict[str, QtGui.QAction] = {}
    for entry in ENTRIES:
        if entry is None:
            menu.addSeparator()
            continue
        name, text, key, tip = entry
        action = QtGui.QAction(text, window)
        if key is not None:
            action.setShortcut(QtGui.QKeySequence(key))
        action.setToolTip(f"{text} ({key})\n{tip}" if key else f"{text}\n{tip}")
        action.setStatusTip(tip)
        if name in ICONS:
            action.setIcon(window.style().standardIcon(ICONS[name]))
        if name == "toggle_skeletons":
            action.setCheckable(True)
            action.setChecked(True)
        act = safely(getattr(plugin, name))
        action.triggered.connect(lambda _checked=False, act=act: act())
        menu.addAction(action)
        actions[name] = action
    # the host fills its toolbar anew from this tuple when modes change
    view.actions.tool = (*view.actions.tool, None, *(actions[name] for name in BUTTONS))
    view.populate_mode_actions()
    return actions
