"""The engine a function runs with, from its environment; nothing is downloaded.

``IMPOSE_SKELETON``: a preset's name, by default ``coco17``. ``IMPOSE_DEVICE``: ``cpu``, by
default, or ``cuda``. ``IMPOSE_STATE_KEY``: see :mod:`cvat_function.state`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.onnx_device import DEVICES
from impose_core.readers.movenet import MoveNet
from impose_core.skeleton import Skeleton, skeleton_named


def skeleton_of(environment: Mapping[str, str]) -> Skeleton:
    """The function's own skeleton.

    Raises:
        UsageError: if there is no such preset.
    """
    return skeleton_named(environment.get("IMPOSE_SKELETON") or "coco17")


def key_of(environment: Mapping[str, str]) -> bytes:
    """What states are signed with; empty for a plain checksum."""
    return environment.get("IMPOSE_STATE_KEY", "").encode()


def warm_engine(environment: Mapping[str, str]) -> Engine:
    """The engine, its networks loaded and run once: a function is ready when it is warm.

    Raises:
        UsageError: if ``IMPOSE_DEVICE`` is unknown.
        DeviceError: if it is ``cuda`` and there is none.
        WeightsError: if the weights are not the package's own.
    """
    device = environment.get("IMPOSE_DEVICE") or "cpu"
    if device not in DEVICES:
        raise UsageError(f"Expected IMPOSE_DEVICE to be one of {DEVICES}, got {device!r}.")
    reader = MoveNet(device=device)
    nobody = np.zeros((64, 64, 3), np.uint8)
    reader.detect(nobody)
    reader.read([nobody], np.array([[0, 0, 64]]))
    return Engine(reader=reader)
