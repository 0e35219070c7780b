"""Networks as ONNX files, each compared with torch before it is kept.

Beside the files lies ``export.json``: which weights they are of (SHA-256), each file's own
SHA-256, its inputs and outputs, and how far onnxruntime was from torch.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from impose_core.atomic import write_bytes
from impose_core.errors import OutputError, UsageError, WeightsError
from impose_core.nets.graphs import Graph, identity_graphs, pose_graphs
from impose_core.nets.identity_network import IdentityNetwork
from impose_core.nets.pose_network import IMAGENET_DEVIATION, IMAGENET_MEAN, PoseNetwork
from impose_core.nets.trained import Trained, config_json, read_trained
from impose_core.onnx_device import check_device, providers

FORMAT: Final = "impose-onnx-1"
OPSET: Final = 17
TOLERANCE: Final = 1e-4
"""Largest absolute deviation of any output from torch's."""
COUNTS: Final = (1, 5, 20)
"""Numbers of persons that are tried."""
SIZE: Final = (384, 512)
"""Height and width in pixels of images, if the weights name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraph:
    """One ONNX file that was written."""

    file: str
    sha256: str
    inputs: Mapping[str, list[int | str]]
    outputs: Mapping[str, list[int | str]]
    deviation: float
    """Largest absolute difference to torch, over ``COUNTS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """All that was written; ``weights_sha256`` is of the file they come from."""

    weights: str
    weights_sha256: str
    licence: str
    size: tuple[int, int] | None
    graphs: tuple[ExportedGraph, ...]


def export(
    weights: Path, out: Path, *, size: tuple[int, int] | None = None, device: str = "cpu"
) -> Exported:
    """Write the network in ``weights`` as ONNX files into the folder ``out``.

    Args:
        weights: trained or converted safetensors.
        out: made if it is not there; files of an earlier export are replaced, each whole.
        size: height and width in pixels of the images; default: those it was trained on.
        device: on what the files are compared with torch: cpu or cuda.

    Raises:
        WeightsError: if the weights cannot be read, or a file does not answer as torch does.
        UsageError: if this network cannot be exported, or the size makes no sense.
        DeviceError: if onnxruntime has no such device.
        OutputError: if a file cannot be written.
    """
    where = providers(device)
    trained = read_trained(weights)
    height, width = size or trained.size or SIZE
    graphs = _graphs(trained, height, width)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Expected '--out' to be a folder, got {out}: {error}.") from error
    written = []
    for graph in graphs:
        examples = _examples(trained, graphs, graph, height, width)
        content = onnx_bytes(graph, examples[1])
        session = onnxruntime.InferenceSession(content, _quiet(), providers=where)
        check_device(session.get_providers(), device)
        deviation = max(_deviation(session, graph, example) for example in examples)
        if not deviation <= TOLERANCE:
            raise WeightsError(
                f"Expected {graph.name}.onnx to be within {TOLERANCE} of torch, got {deviation}."
            )
        file = out / f"{graph.name}.onnx"
        write_bytes(file, content)
        written.append(_said(session, file, content, deviation))
    exported = Exported(
        weights=weights.name,
        weights_sha256=trained.sha256,
        licence=trained.licence,
        size=(height, width) if isinstance(trained.network, PoseNetwork) else None,
        graphs=tuple(written),
    )
    document = json.dumps(_document(exported, trained), indent=2) + "\n"
    write_bytes(out / "export.json", document.encode())
    return exported


def onnx_bytes(graph: Graph, example: Sequence[Tensor]) -> bytes:
    """One graph as an ONNX file; ``example`` is what it is traced with."""
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # sizes of maps become constants, as they are meant to; of persons they must not, which
        # the comparison with other numbers of persons shows
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            tuple(example),
            file,  # type: ignore[arg-type] # a path by its annotation; dynamo=False takes files too
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.axes.items()},
            opset_version=OPSET,
            dynamo=False,
        )
    return file.getvalue()


def _graphs(trained: Trained, height: int, width: int) -> tuple[Graph, ...]:
    if isinstance(trained.network, IdentityNetwork):
        return identity_graphs(trained.network)
    if not (32 <= height <= 8192 and 32 <= width <= 8192):
        raise UsageError(f"Expected a size from 32 to 8192 pixels, got {height} x {width}.")
    return pose_graphs(trained.network, height, width)


def _examples(
    trained: Trained, graphs: Sequence[Graph], graph: Graph, height: int, width: int
) -> list[tuple[Tensor, ...]]:
    """What a graph is tried with, for each of ``COUNTS``; random, the same each time."""
    chance = torch.Generator().manual_seed(0)
    if isinstance(trained.network, IdentityNetwork):
        make = _pasts if graph.name == "id_decoder" else _people
        return [make(trained.network, count, chance) for count in COUNTS]
    image = torch.randn(1, 3, height, width, generator=chance)
    padding = torch.zeros(1, height, width, dtype=torch.bool)
    cut = padding.clone()
    cut[:, :, width * 3 // 4 :] = True  # the image does not fill the frame
    images = [(image, padding), (image.masked_fill(cut[:, None], 0), cut)]
    if graph.name == "encoder":
        return list(images)
    with torch.no_grad():
        _, _, _, known, valid, *read = graphs[0].module(*images[1])
    joints = trained.network.config.joints
    return [
        (
            known.expand(count, -1, -1),
            torch.rand(count, 4, generator=chance) * 0.5 + 0.2,
            torch.rand(count, joints, 2, generator=chance),
            (torch.rand(count, joints, generator=chance) < 0.8).float(),
            valid,
            *read,
        )
        for count in COUNTS
    ]


def _people(network: IdentityNetwork, count: int, chance: torch.Generator) -> tuple[Tensor, ...]:
    config = network.config
    xy = torch.rand(count, config.joints, 2, generator=chance) * 300
    known = torch.rand(count, config.joints, generator=chance) < 0.8
    box = torch.cat([xy.amin(dim=1), xy.amax(dim=1)], dim=-1)
    seen = (torch.randn(count, config.appearance, generator=chance),) * bool(config.appearance)
    return *seen, xy, known, box, torch.tensor([640.0, 480.0])


def _pasts(network: IdentityNetwork, count: int, chance: torch.Generator) -> tuple[Tensor, ...]:
    config = network.config
    looks = max(2, min(config.memory - 1, count + 2))
    shape = (looks, count + 1)
    return (
        torch.randn(*shape, config.feature, generator=chance),
        torch.randint(config.vocabulary, shape[1:], generator=chance).expand(shape),
        torch.rand(shape, generator=chance) < 0.3,
        torch.arange(looks, 0, -1),
        torch.randn(count, config.feature, generator=chance),
    )


@torch.no_grad()
def _deviation(session: Any, graph: Graph, example: Sequence[Tensor]) -> float:
    """The largest absolute difference of any output; infinite where shapes differ."""
    known = graph.module(*example)
    fed = {n: x.numpy() for n, x in zip(graph.inputs, example, strict=True)}
    fed = {entry.name: fed[entry.name] for entry in session.get_inputs()}
    largest = 0.0
    for ours, theirs in zip(session.run(None, fed), known, strict=True):
        largest = max(largest, _apart(ours, theirs.numpy()))
    return largest


def _apart(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours - theirs).max(initial=0.0))


def _quiet() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options


def _said(session: Any, file: Path, content: bytes, deviation: float) -> ExportedGraph:
    return ExportedGraph(
        file=file.name,
        sha256=hashlib.sha256(content).hexdigest(),
        inputs={entry.name: list(entry.shape) for entry in session.get_inputs()},
        outputs={entry.name: list(entry.shape) for entry in session.get_outputs()},
        deviation=deviation,
    )


def _document(exported: Exported, trained: Trained) -> dict[str, Any]:
    skeleton = trained.skeleton
    pixels = {"mean": IMAGENET_MEAN, "deviation": IMAGENET_DEVIATION, "size": exported.size}
    return {
        "format": FORMAT,
        "weights": {"file": exported.weights, "sha256": exported.weights_sha256},
        "licence": exported.licence,
        "config": config_json(trained.network.config),
        "skeleton": {
            "name": skeleton.name,
            "keypoints": list(skeleton.keypoints),
            "edges": [list(edge) for edge in skeleton.edges],
        },
        "images": pixels if exported.size else None,
        "graphs": [
            {
                "file": graph.file,
                "sha256": graph.sha256,
                "inputs": dict(graph.inputs),
                "outputs": dict(graph.outputs),
                "deviation": graph.deviation,
            }
            for graph in exported.graphs
        ],
    }
