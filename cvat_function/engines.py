"""The engine a function runs with, from its environment; nothing is downloaded.

``IMPOSE_SKELETON``: a preset's name, by default ``coco17``. ``IMPOSE_DEVICE``: ``cpu``, by
default, or ``cuda``. ``IMPOSE_STATE_KEY``: see :mod:`cvat_function.state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import numpy as np
import onnxruntime

from impose_core.engine import Engine
from impose_core.errors import DeviceError, UsageError
from impose_core.readers.movenet import MoveNet
from impose_core.skeleton import Skeleton, skeleton_named
from impose_core.weights import read_weights

DEVICES: Final = ("cpu", "cuda")


class MoveNetOnCuda(MoveNet):
    """MoveNet whose two networks run on an NVIDIA GPU."""

    @cached_property
    def _thunder(self) -> Any:
        return _cuda_session("movenet-thunder")

    @cached_property
    def _multipose(self) -> Any:
        return _cuda_session("movenet-multipose")


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
    reader = MoveNet() if device == "cpu" else MoveNetOnCuda()
    nobody = np.zeros((64, 64, 3), np.uint8)
    reader.detect(nobody)
    reader.read([nobody], np.array([[0, 0, 64]]))
    return Engine(reader=reader)


def _cuda_session(name: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    session = (
        onnxruntime.InferenceSession(read_weights(name), options, providers=providers)
        if providers[0] in onnxruntime.get_available_providers()
        else None
    )
    if session is None or providers[0] not in session.get_providers():
        raise DeviceError(
            "Expected onnxruntime to run on CUDA, got "
            f"{', '.join(onnxruntime.get_available_providers())}.",
            hint="Deploy function.yaml instead of function-gpu.yaml, or give the function a GPU.",
        )
    return session
