"""Safetensors of MoveNet -> the ONNX files in ``models/``, byte for byte the same each time.

A tool for developers; nothing of the product imports it::

    python models/tools/export_movenet.py build/movenet --out models

Initialisers carry the names of the module's state dict, so that one file serves both runtimes
(``impose_core.nets.onnx_weights``). Weights that float16 holds without loss are stored so, with
a Cast to float32 behind them: all arithmetic is float32.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file

from impose_core.nets.mobilenet import TAPS, Conv, InvertedResidual
from impose_core.nets.movenet import INPUT_SCALE, Head, MoveNet, Separable, Variant, load_state

OPSET, IR_VERSION = 17, 8  # onnxruntime 1.17 reads both
LICENCE = "Apache-2.0; weights by Google (MoveNet), changed: see models/cards/movenet.md"


def main() -> None:
    """Write one ONNX file per variant and print its lines for the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, help="folder of convert_movenet.py's result")
    parser.add_argument("--out", type=Path, required=True, help="folder for the ONNX files")
    arguments = parser.parse_args()
    for variant in Variant:
        network = MoveNet(variant)
        load_state(network, load_file(arguments.weights / f"{variant.value}.safetensors"))
        content = exported(network)
        (arguments.out / f"{variant.value}.onnx").write_bytes(content)
        print(f'[weights.{variant.value}]\nfile = "{variant.value}.onnx"')
        print(f'size = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"')


def exported(network: MoveNet) -> bytes:
    """The network as an ONNX file; input ``image``, outputs named as ``Heads``."""
    graph = _Graph(network)
    x = graph.add("Cast", "image", to=TensorProto.FLOAT)
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.add("Mul", x, graph.constant("input_scale", np.float32(INPUT_SCALE)))
    x = graph.add("Sub", x, graph.constant("one", np.float32(1)))
    features = _pyramid(graph, network, _backbone(graph, network, x))
    outputs = []
    for name, channels in network.variant.heads.items():
        head = network.heads[name]
        assert isinstance(head, Head)
        hidden = _separable(graph, head.hidden, features)
        graph.conv(head.output, hidden, output=name)
        shape = ["batch", channels, "rows", "columns"]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    shape = ["batch", "height", "width", 3]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, shape)
    made = helper.make_graph(
        graph.nodes, network.variant.value, [image], outputs, list(graph.initialisers.values())
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="impose",
        doc_string=LICENCE,
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _backbone(graph: _Graph, network: MoveNet, x: str) -> list[str]:
    """Values at strides 4, 8, 16, 32."""
    x = graph.relu6(graph.conv(network.backbone.stem, x))
    taps: list[str] = []
    for index, block in enumerate(network.backbone.blocks):
        assert isinstance(block, InvertedResidual)
        wide = graph.relu6(graph.conv(block.expand, x)) if block.expand is not None else x
        narrow = graph.conv(block.project, graph.relu6(graph.conv(block.depthwise, wide)))
        x = graph.add("Add", x, narrow) if block.adds_input else narrow
        if index in TAPS:
            taps.append(x)
    return [*taps, graph.relu6(graph.conv(network.backbone.top, x))]


def _pyramid(graph: _Graph, network: MoveNet, features: list[str]) -> str:
    net = network.pyramid
    stride4, stride8, stride16, stride32 = features
    x = graph.conv(net.lateral32, stride32)
    for lateral, merge, side in (
        (net.lateral16, net.merge16, stride16),
        (net.lateral8, net.merge8, stride8),
        (net.lateral4, net.merge4, stride4),
    ):
        x = graph.add("Add", graph.doubled(x), graph.conv(lateral, side))
        x = _separable(graph, merge, x)
    return x


def _separable(graph: _Graph, part: Separable, x: str) -> str:
    return graph.add("Relu", graph.conv(part.pointwise, graph.conv(part.depthwise, x)))


class _Graph:
    """Nodes and initialisers in the making; every method returns the name of a value."""

    def __init__(self, network: MoveNet) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: dict[str, onnx.TensorProto] = {}
        self.names = {module: name for name, module in network.named_modules()}

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        node = helper.make_node(operator, inputs, [output], name=f"make_{output}", **attributes)
        self.nodes.append(node)
        return output

    def constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self.initialisers[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def conv(self, module: Conv, x: str, output: str = "") -> str:
        tensors = [self._weight(module, "weight")]
        if module.bias is not None:
            tensors.append(self._weight(module, "bias"))
        (size, _), (stride, _) = module.kernel_size, module.stride
        before, after = (size // 2, size // 2) if stride == 1 else (0, 1)
        return self.add(
            *("Conv", x, *tensors),
            output=output,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=module.groups,
        )

    def relu6(self, x: str) -> str:
        zero, six = (self.constant(n, np.float32(v)) for n, v in (("zero", 0), ("six", 6)))
        return self.add("Clip", x, zero, six)

    def doubled(self, x: str) -> str:
        scales = self.constant("double", np.array([1, 1, 2, 2], np.float32))
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", x, "", scales, **mode)

    def _weight(self, module: Conv, part: str) -> str:
        name = f"{self.names[module]}.{part}"
        array = module.state_dict()[part].numpy()
        half = array.astype(np.float16)
        if (half.astype(np.float32) != array).any():
            return self.constant(name, array)
        self.constant(name, half)
        return self.add("Cast", name, output=f"{name}:float32", to=TensorProto.FLOAT)


if __name__ == "__main__":
    main()
