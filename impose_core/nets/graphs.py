"""The networks cut into graphs for onnxruntime: arrays in, arrays out, persons on a free axis.

``encoder``: an image -> what the decoder reads of it, and where bodies may be. ``decoder``: bodies
-> bodies, any number of them, from what was found or from what somebody knows. ``embedding`` and
``id_decoder``: bodies -> features, and past and present features -> who is who.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from impose_core.errors import UsageError
from impose_core.nets.deformable_attention import Values
from impose_core.nets.id_decoder import Tracklets
from impose_core.nets.identity_network import Bodies, IdentityNetwork
from impose_core.nets.memory import Memory
from impose_core.nets.pose_network import PoseNetwork

PERSONS = "persons"
TRACKS = "tracks"
LOOKS = "looks"
Axes = Mapping[str, Mapping[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One ONNX file to be.

    Attributes:
        name: of the file, without suffix.
        module: what is traced; takes tensors by position, gives a tuple of tensors.
        inputs: names, in order.
        outputs: names, in order.
        axes: of inputs and outputs, which axis is free and what it counts.
    """

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    axes: Axes


class EncoderGraph(nn.Module):
    """Backbone, encoder and proposals: everything that does not depend on a click.

    Images float32 [1, 3, H, W] (RGB, ImageNet-normalised, zero where there is none) and padding
    bool [1, H, W] -> tokens [P, 1 + K, d], boxes cxcywh [P, 4] and keypoints [P, K, 2] of the
    proposals, surest first; known_tokens [1 + K, d], which stand for a body whose place somebody
    knows; valid [1, levels, 2]; and per layer of the decoder and level what can be read there.
    """

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, padding: Tensor) -> tuple[Tensor, ...]:
        """As of the class."""
        network = self.network
        memory = network.encode(images, padding)
        queries = network.selection(memory)
        boxes = network.box_decoder(queries.content, queries.reference, memory, network.frame)
        people = network.box_decoder.best(boxes[-1], network.config.persons)
        bodies = network.keypoint_decoder.around(people)
        known = network.codebooks.poses(1, 1, label=network.config.person)[0, 0]
        read = [level for layer in network.keypoint_decoder.values(memory) for level in layer]
        proposals = (bodies.tokens[0], people.boxes[0], bodies.reference[0, :, 1:, :2])
        # a copy, or the codebook itself would be an output of the graph
        return (*proposals, known + 0 * memory.valid[0, 0, 0], memory.valid, *read)


class DecoderGraph(nn.Module):
    """The keypoint decoder with persons as its batch: no person changes another.

    Tokens [P, 1 + K, d], boxes cxcywh [P, 4], keypoints [P, K, 2] (where to look), free [P, K] (0
    holds a joint), valid, and what can be read -> logits [P, classes], boxes [P, 4],
    keypoints [P, K, 2], tokens [P, 1 + K, d] and, if the network says so, visibility logits
    [P, K].
    """

    def __init__(self, network: PoseNetwork, shapes: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.network, self.shapes = network, shapes

    def forward(
        self,
        tokens: Tensor,
        boxes: Tensor,
        keypoints: Tensor,
        free: Tensor,
        valid: Tensor,
        *read: Tensor,
    ) -> tuple[Tensor, ...]:
        """As of the class."""
        network, levels = self.network, len(self.shapes)
        memory = Memory(tokens=tokens, padding=tokens, shapes=self.shapes, valid=valid)
        values: tuple[Values, ...] = tuple(
            tuple(read[i : i + levels]) for i in range(0, len(read), levels)
        )
        queries = network.keypoint_decoder.at(tokens[None], boxes[None], keypoints[None])
        steps = network.keypoint_decoder(
            queries, memory, network.frame, values=values, free=free[None]
        )
        last = steps[-1]
        said = (last.logits[0], last.boxes[0], last.keypoints[0], last.tokens[0])
        return said if last.visibility is None else (*said, last.visibility[0])


class EmbeddingGraph(nn.Module):
    """Appearance [N, A] (if any), xy [N, K, 2] and box_xyxy [N, 4] in pixels, known bool [N, K],
    image_size [2] (width, height) -> feature [N, F].
    """

    def __init__(self, network: IdentityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor) -> tuple[Tensor]:
        """As of the class."""
        *appearance, xy, known, box_xyxy, image_size = given
        seen = appearance[0] if appearance else xy.new_zeros((1, 0)).expand(xy.shape[0], 0)
        bodies = Bodies(seen, xy, known, box_xyxy, image_size)
        return (self.network.embed(bodies),)


class IdDecoderGraph(nn.Module):
    """History feature [T, N, F], label int64 [T, N], missing bool [T, N], age int64 [T] (looks
    ago, from 1) and feature [M, F] of now -> logits [M, vocabulary + 1].
    """

    def __init__(self, network: IdentityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, past: Tensor, label: Tensor, missing: Tensor, age: Tensor, feature: Tensor
    ) -> tuple[Tensor]:
        """As of the class."""
        time = (-age)[None, :, None].expand(1, -1, past.shape[1])
        nothing = feature.new_zeros((1, 1, feature.shape[0]))
        now = Tracklets(feature[None, None], nothing.long(), nothing.long(), nothing.bool())
        history = Tracklets(past[None], label[None], time, missing[None])
        return (self.network(history, now)[0, 0],)


def pose_graphs(network: PoseNetwork, height: int, width: int) -> tuple[Graph, Graph]:
    """Encoder and decoder for images of one size.

    Raises:
        UsageError: if the network's persons influence each other, so none can be decoded alone.
    """
    if not network.config.clickable:
        raise UsageError(
            "Expected a network whose persons can be decoded apart, got one without codebook of "
            "joints, in which they meet (ED-Pose).",
            hint="Click-Pose's networks and 'nano' can be exported.",
        )
    shapes = level_shapes(network, height, width)
    layers, levels = network.config.keypoint_layers, network.config.levels
    read = tuple(f"read.{layer}.{level}" for layer in range(layers) for level in range(levels))
    bodies = ("tokens", "boxes", "keypoints")
    said: tuple[str, ...] = ("logits", "boxes", "keypoints", "tokens")
    if network.config.visibility:
        said += ("visibility",)
    outputs = tuple(f"found_{name}" for name in said)
    encoder = Graph(
        name="encoder",
        module=EncoderGraph(network),
        inputs=("images", "padding"),
        outputs=(*bodies, "known_tokens", "valid", *read),
        axes={},
    )
    decoder = Graph(
        name="decoder",
        module=DecoderGraph(network, shapes),
        inputs=(*bodies, "free", "valid", *read),
        outputs=outputs,
        axes={name: {0: PERSONS} for name in (*bodies, "free", *outputs)},
    )
    return encoder, decoder


def identity_graphs(network: IdentityNetwork) -> tuple[Graph, ...]:
    """Embedding (if poses are embedded) and ID decoder."""
    config = network.config
    decoder = Graph(
        name="id_decoder",
        module=IdDecoderGraph(network),
        inputs=("past", "label", "missing", "age", "feature"),
        outputs=("logits",),
        axes={
            **{name: {0: LOOKS, 1: TRACKS} for name in ("past", "label", "missing")},
            "age": {0: LOOKS},
            "feature": {0: PERSONS},
            "logits": {0: PERSONS},
        },
    )
    if config.fusion == "none":
        return (decoder,)
    bodies = ("appearance",) * bool(config.appearance) + ("xy", "known", "box_xyxy")
    embedding = Graph(
        name="embedding",
        module=EmbeddingGraph(network),
        inputs=(*bodies, "image_size"),
        outputs=("feature",),
        axes={name: {0: PERSONS} for name in (*bodies, "feature")},
    )
    return embedding, decoder


@torch.no_grad()
def level_shapes(network: PoseNetwork, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(rows, columns) of each level for images of this size, asked of the layers themselves."""
    device = next(network.parameters()).device
    image = torch.zeros(1, 3, height, width, device=device)
    pyramid = network.neck(network.backbone(image), image[:, 0] > 0)
    return cast(tuple[tuple[int, int], ...], pyramid.shapes)
