"""The seams: where X-AnyLabeling is made to tell us things. Nothing else patches the host.

Each is an attribute that a plain Python program may replace before the window is made; see
``install``. The host's own behaviour stays, unless ours says that it has done the work.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Collection
from typing import Any

from impose_xanylabeling.poses import key_of
from impose_xanylabeling.service_process import Provider
from impose_xanylabeling.worker import safely

log = logging.getLogger("impose")


def install(provider: Provider) -> None:
    """Prepare the host's classes; every window made after this has IMPose in it."""
    from anylabeling.views import mainwindow
    from anylabeling.views.labeling.label_widget import LabelingWidget
    from anylabeling.views.labeling.shape import Shape
    from anylabeling.views.labeling.widgets.canvas import Canvas

    from impose_xanylabeling import auto_run
    from impose_xanylabeling.plugin import Plugin

    def made(window: Any) -> None:
        window.impose_plugin = Plugin(window, provider)

    _after(mainwindow.MainWindow, "__init__", made)
    _after(LabelingWidget, "load_file", _told(Plugin.picture_loaded))
    _after(LabelingWidget, "set_dirty", _told(Plugin.edited))
    _instead(LabelingWidget, "undo_shape_edit", Plugin.undo_latest)
    _instead(LabelingWidget, "new_shape", Plugin.box_drawn)
    _guard_saving(LabelingWidget)
    _paint_skeletons(Canvas, Shape)
    auto_run.install()


def _plugin(view: Any) -> Any:
    """Ours, once the window is complete."""
    return getattr(view, "impose_plugin", None)


def _after(owner: type, name: str, told: Callable[[Any], None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *_fitting(original, args), **kwargs)
        told(self)
        return answer

    setattr(owner, name, method)


def _told(act: Callable[[Any], None]) -> Callable[[Any], None]:
    def told(view: Any) -> None:
        plugin = _plugin(view)
        if plugin is not None:
            safely(act)(plugin)

    return told


def _instead(owner: type, name: str, act: Callable[[Any], bool]) -> None:
    """Ask ours first; the host's own runs if ours says False, or fails."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        plugin = _plugin(self)
        if plugin is not None:
            try:
                if act(plugin):
                    return None
            except Exception:
                log.exception("An action of IMPose failed")
        return original(self, *_fitting(original, args), **kwargs)

    setattr(owner, name, method)


def _guard_saving(view_class: Any) -> None:
    """The host writes all of a frame's file; nobody else's work there may be lost by that."""
    original = view_class.save_labels

    @functools.wraps(original)
    def save_labels(self: Any, filename: str) -> bool:
        plugin = _plugin(self)
        if plugin is None:
            return bool(original(self, filename))
        if not plugin.display.may_write(filename):
            return False
        saved = bool(original(self, filename))
        safely(plugin.display.written)(filename, well=saved)
        return saved

    view_class.save_labels = save_labels


def _fitting(original: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Of a signal's ``args`` those that a slot takes, as PyQt does for slots it can look into."""
    kinds = [parameter.kind for parameter in inspect.signature(original).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return args
    return args[: len(kinds) - 1]  # the first is self


def _is_pose(shape: Any) -> bool:
    """Whether a shape on the canvas is a joint or a box of a person."""
    said = {"group_id": shape.group_id, "label": shape.label, "shape_type": shape.shape_type}
    return key_of(said) is not None


def _is_joint(shape: Any, keypoints: Collection[str]) -> bool:
    return shape.shape_type == "point" and shape.label in keypoints and _is_pose(shape)


def _paint_skeletons(canvas_class: Any, shape_class: Any) -> None:
    from impose_xanylabeling import skeletons

    paint_canvas, paint_shape = canvas_class.paintEvent, shape_class.paint
    painting: list[Any] = []  # the plugin whose canvas is being painted with skeletons

    @functools.wraps(paint_canvas)
    def paint_event(self: Any, event: Any) -> None:
        plugin = _plugin(self.parent)
        ours = (
            plugin is not None
            and plugin.skeletons
            and plugin.clip is not None
            and self.pixmap is not None
            and not self.pixmap.isNull()
            and not self.is_loading
        )
        if not ours:
            paint_canvas(self, event)
            return
        # names and scores of 17 joints a person hide the picture, and so do filled boxes
        stock = self.show_labels, self.show_scores, self.show_masks
        self.show_labels = self.show_scores = False
        self.show_masks = self.show_masks and not all(map(_is_pose, self.shapes))
        painting.append(plugin)
        try:
            paint_canvas(self, event)
        finally:
            painting.clear()
            self.show_labels, self.show_scores, self.show_masks = stock
        safely(skeletons.paint)(self, plugin.clip)

    @functools.wraps(paint_shape)
    def paint(self: Any, painter: Any) -> None:
        # joints are drawn by the skeleton, those in hand by the host as well
        in_hand = self.selected or self.hovered
        if not (painting and not in_hand and _is_joint(self, painting[0].clip.keypoints)):
            paint_shape(self, painter)

    canvas_class.paintEvent = paint_event
    shape_class.paint = paint
