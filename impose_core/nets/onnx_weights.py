"""The weights of a network out of its ONNX file, so that they are shipped once.

The exporter names initialisers as the state dict does; float16 ones are cast to float32,
as the file's own graph does.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from impose_core.errors import IncompatibleCheckpoint
from impose_core.nets.movenet import MoveNet, Variant, load_state
from impose_core.weights import read_weights


def shipped_movenet(variant: Variant) -> MoveNet:
    """The network with the weights that come with this package, in eval mode.

    Raises:
        WeightsError: if the file is absent or damaged.
    """
    network = MoveNet(variant)
    load_state(network, state_of_onnx(read_weights(variant.value)))
    return network.eval()


def state_of_onnx(content: bytes) -> dict[str, torch.Tensor]:
    """State dict of an ONNX file of ours: every initialiser whose name has a dot, as float32.

    Raises:
        IncompatibleCheckpoint: if the bytes are no ONNX file.
    """
    try:
        graph = onnx.load_model_from_string(content).graph
    except DecodeError as error:
        raise IncompatibleCheckpoint(
            f"Expected an ONNX file, got bytes that are none: {error}."
        ) from error
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if "." in name
    }
