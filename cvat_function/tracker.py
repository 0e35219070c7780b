"""Nuclio's entry point of the tracker."""

from __future__ import annotations

import os
from typing import Any

from cvat_function.engines import key_of, skeleton_of, warm_engine
from cvat_function.replies import answered
from cvat_function.tracking import Tracker


def init_context(context: Any) -> None:
    """Once per worker process; the function is ready when this returns."""
    context.user_data.tracker = Tracker(
        engine=warm_engine(os.environ),
        skeleton=skeleton_of(os.environ),
        key=key_of(os.environ),
    )


def handler(context: Any, event: Any) -> Any:
    """One call of CVAT."""
    return answered(context, event, context.user_data.tracker.answer)
