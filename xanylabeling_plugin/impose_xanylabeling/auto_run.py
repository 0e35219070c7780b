"""The host's own Auto Run with our model: files are written by the service, never by the host.

The host's batch takes a failed prediction for "nobody is there" and empties the file, and what it
writes it writes in place. Neither can happen to a frame that this model is asked about; for other
models a failed prediction leaves the file alone, too.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, Final

from impose_xanylabeling.client import Json, ServiceDown, ServiceError

log = logging.getLogger("impose")
TYPE: Final = "impose_pose"


def install() -> None:
    """Make the host know the model type, and keep its batch from emptying files."""
    from anylabeling.services import auto_labeling
    from anylabeling.services.auto_labeling import model_manager
    from anylabeling.views.labeling.utils import batch

    if TYPE not in auto_labeling._CUSTOM_MODELS:
        auto_labeling._CUSTOM_MODELS.append(TYPE)
        auto_labeling._AUTO_LABELING_RESET_TRACKER_MODELS.append(TYPE)
    class_of, save = model_manager._get_model_class, batch.save_auto_labeling_result

    @functools.wraps(class_of)
    def get_model_class(model_type: str) -> Any:
        return _model_class() if model_type == TYPE else class_of(model_type)

    @functools.wraps(save)
    def save_result(view: Any, picture: str, result: Any) -> None:
        if result is None or getattr(result, "written_by_impose", False):
            return
        save(view, picture, result)

    model_manager._get_model_class = get_model_class
    batch.save_auto_labeling_result = save_result


def forget(config: Path) -> None:
    """Take our model out of the user's settings: a host without us could not load it."""
    from anylabeling.config import get_config, save_config

    said = get_config()
    models = said.get("custom_models") or []
    others = [m for m in models if Path(m.get("config_file", "")).resolve() != config.resolve()]
    if len(others) != len(models):
        save_config({**said, "custom_models": others})


@functools.cache
def _model_class() -> type:
    from anylabeling.services.auto_labeling.model import Model
    from anylabeling.services.auto_labeling.types import AutoLabelingResult
    from anylabeling.views.labeling.shape import Shape
    from PyQt6 import QtWidgets

    class ImposePose(Model):  # type: ignore[misc]
        """One frame at a time, asked for by the host in a thread of its own."""

        class Meta(Model.Meta):  # type: ignore[misc]
            """What the panel shows."""

            required_config_names: Final = ["type", "name", "display_name"]
            widgets: Final = ["button_run", "button_reset_tracker"]
            output_modes: Final = {"point": "Point"}
            default_output_mode = "point"

        def predict_shapes(self, _image: Any, filename: Any = None, **_: Any) -> Any:
            """Of a single picture the persons not yet there; in a batch its file is written.

            Never raises, and never says "nobody is there": the host would empty the file.
            """
            shapes: list[Json] = []
            try:
                shapes = _predict(_window_plugin(QtWidgets), str(filename))
            except (ServiceDown, ServiceError) as error:
                self.on_message(f"IMPose: {error} The file stays as it is.")
            except Exception as error:
                log.exception("Auto Run failed")
                self.on_message(f"IMPose: {error} The file stays as it is.")
            made = [Shape().load_from_dict(shape) for shape in shapes]
            result = AutoLabelingResult(made, replace=False)
            result.written_by_impose = True
            return result

        def set_auto_labeling_reset_tracker(self) -> None:
            """There is nothing to reset: what is known is in the files."""

        def unload(self) -> None:
            """Nothing is held here."""

    return ImposePose


def _window_plugin(widgets: Any) -> Any:
    for window in widgets.QApplication.topLevelWidgets():
        plugin = getattr(window, "impose_plugin", None)
        if plugin is not None:
            return plugin
    raise ServiceDown("No window of IMPose is open.")


def _predict(plugin: Any, picture: str) -> list[Json]:
    """Shapes to add to the displayed frame; none in a batch, whose files the service writes."""
    # imported late: this thread is the host's, and canvas.py is read only here
    from impose_xanylabeling import canvas as on_canvas
    from impose_xanylabeling.clips import Clips

    folders = on_canvas.folders_of(plugin.view)
    if folders is None:
        return []
    clips = Clips(plugin.provider)  # of this thread
    clip = clips.clip(folders)
    frame = clip.frame(picture)
    if frame is None:
        return []
    if not getattr(plugin.view, "_batch_processing_active", False):
        asked = on_canvas.shapes_of(plugin.view)
        return list(
            clips.call(folders, "detect_frame", {"frame": frame, "shapes": asked})["shapes"]
        )
    verb: str = "propagate" if clip.persons else "detect"
    body: Json = {"start": frame, "stop": frame + 1} if clip.persons else {"every": 3}
    _finish(clips.run, folders, verb, {**body, "displayed": None})
    return []


def _finish(run: Callable[..., Any], folders: Any, verb: str, body: Json) -> None:
    for _ in run(folders, verb, body, Event()):
        pass
