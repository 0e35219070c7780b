"""Nuclio's entry point of the detector."""

from __future__ import annotations

import os
from typing import Any

from cvat_function.detecting import Detector
from cvat_function.engines import skeleton_of, warm_engine
from cvat_function.replies import answered


def init_context(context: Any) -> None:
    """Once per worker process; the function is ready when this returns."""
    reader = warm_engine(os.environ).reader
    assert reader is not None  # a warm engine has one
    context.user_data.detector = Detector(reader=reader, skeleton=skeleton_of(os.environ))


def handler(context: Any, event: Any) -> Any:
    """One call of CVAT."""
    return answered(context, event, context.user_data.detector.answer)
