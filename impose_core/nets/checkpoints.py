"""Weights of others under our names, and back.

Only names are here, no weights: the public checkpoints of Click-Pose and ED-Pose allow
non-commercial research only. Nothing is dropped in silence: a tensor that is missing, unknown,
of another shape, or an alias that differs from what it stands for, is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from impose_core.errors import IncompatibleCheckpoint
from impose_core.nets.pose_network import PoseConfig

_SHARED = ("bbox_embed", "class_embed", "pose_embed", "pose_hw_embed")
_LAYER = {
    "cross_attention": "cross_attn",
    "cross_norm": "norm1",
    "self_attention": "self_attn",
    "self_norm": "norm2",
    "feed_forward.linear1": "linear1",
    "feed_forward.linear2": "linear2",
    "feed_forward.norm": "norm3",
}


def state_of_checkpoint(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict inside a checkpoint file: the averaged one (EMA) if there is one.

    Raises:
        IncompatibleCheckpoint: if there is none.
    """
    inner = content.get("ema_model") or content.get("model") or content
    if not isinstance(inner, Mapping):
        raise IncompatibleCheckpoint(
            f"Expected 'model' to be a mapping of names to tensors, got {type(inner).__name__}."
        )
    state = {name.removeprefix("module."): value for name, value in inner.items()}
    wrong = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if wrong or not state:
        got = f"{wrong[0]!r} is a {type(state[wrong[0]]).__name__}" if wrong else "none"
        raise IncompatibleCheckpoint(f"Expected tensors by name in the checkpoint, got {got}.")
    return state


def from_official(state: Mapping[str, Tensor], config: PoseConfig) -> dict[str, Tensor]:
    """A state dict of Click-Pose or ED-Pose under the names of our ``PoseNetwork``.

    Raises:
        IncompatibleCheckpoint: if a name is unknown, or an alias differs from what it stands for.
    """
    ours = {theirs: own for own, theirs in _prefixes(config).items()}
    known = aliases(state, config)
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in known:
            _same(name, tensor, known[name], state)
            continue
        renamed[_replaced(name, ours)] = tensor
    return renamed


def to_official(state: Mapping[str, Tensor], config: PoseConfig) -> dict[str, Tensor]:
    """The inverse of ``from_official``, aliases included."""
    theirs = _prefixes(config)
    official = {_replaced(name, theirs): tensor for name, tensor in state.items()}
    size_head = "transformer.decoder.pose_hw_embed."
    for name in [name for name in official if name.startswith(size_head)]:
        rest = name.removeprefix(f"{size_head}0.")
        for layer in range(1, config.keypoint_layers):
            official[f"{size_head}{layer}.{rest}"] = official[name]
    for name in list(official):
        inner = name.removeprefix("transformer.decoder.")
        if inner.startswith(_SHARED):
            official[inner] = official[name]
    return official


def aliases(names: Mapping[str, object], config: PoseConfig) -> dict[str, str]:
    """Official names that stand for the tensor of another one, and which."""
    found = {}
    for name in names:
        inner = name.removeprefix("transformer.decoder.")
        if not inner.startswith(_SHARED):
            continue
        head, layer, rest = inner.split(".", 2)
        shared = head == "pose_hw_embed" and layer.isdigit() and int(layer) < config.keypoint_layers
        known = f"transformer.decoder.{head}.{0 if shared else layer}.{rest}"
        if known != name:
            found[name] = known
    return found


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of torchvision's ResNet for our ``ResNet``: without classifier and counters."""
    return {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }


def _same(name: str, tensor: Tensor, known: str, state: Mapping[str, Tensor]) -> None:
    if known not in state or not torch.equal(state[known], tensor):
        what = "another value" if known in state else "no such tensor"
        raise IncompatibleCheckpoint(f"Expected {name} to equal {known}, got {what}.")


def _replaced(name: str, prefixes: Mapping[str, str]) -> str:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in prefixes:
            return ".".join([prefixes[prefix], *parts[length:]])
    raise IncompatibleCheckpoint(f"Expected a name of the network, got {name!r}.")


def _prefixes(config: PoseConfig) -> dict[str, str]:
    """Our prefix -> the official one; no two official ones are equal."""
    table = {
        "backbone": "backbone.0.body",
        "neck.levels": "input_proj",
        "encoder.level_embedding": "transformer.level_embed",
        "selection.projection": "transformer.enc_output",
        "selection.norm": "transformer.enc_output_norm",
        "selection.class_head": "transformer.enc_out_class_embed",
        "selection.box_head": "transformer.enc_out_bbox_embed",
        "frame.placing": "transformer.decoder.ref_point_head",
        "frame.norm": "transformer.decoder.norm",
        "keypoint_decoder.content": "transformer.decoder.keypoint_embed",
        "keypoint_decoder.sizes": "transformer.decoder.hw",
        "keypoint_decoder.size_head": "transformer.decoder.pose_hw_embed.0",
        "keypoint_decoder.start_head": f"transformer.decoder.pose_embed.{config.keypoint_layers}",
        "codebooks.persons": "label_enc",
        "codebooks.joints": "label_enc_pose",
    }
    for layer in range(config.encoder_layers):
        ours, theirs = f"encoder.layers.{layer}", f"transformer.encoder.layers.{layer}"
        table |= {
            f"{ours}.attention": f"{theirs}.self_attn",
            f"{ours}.norm": f"{theirs}.norm1",
            f"{ours}.feed_forward.linear1": f"{theirs}.linear1",
            f"{ours}.feed_forward.linear2": f"{theirs}.linear2",
            f"{ours}.feed_forward.norm": f"{theirs}.norm2",
        }
    for layer in range(config.box_layers):
        table |= _decoder_prefixes("box_decoder", layer, layer)
    for layer in range(config.keypoint_layers):
        table |= _decoder_prefixes("keypoint_decoder", layer, config.box_layers + layer)
        head = f"transformer.decoder.pose_embed.{layer}"
        table[f"keypoint_decoder.joint_heads.{layer}"] = head
    return table


def _decoder_prefixes(decoder: str, layer: int, official: int) -> dict[str, str]:
    theirs = f"transformer.decoder.layers.{official}"
    return {
        **{f"{decoder}.layers.{layer}.{own}": f"{theirs}.{name}" for own, name in _LAYER.items()},
        f"{decoder}.class_heads.{layer}": f"transformer.decoder.class_embed.{official}",
        f"{decoder}.box_heads.{layer}": f"transformer.decoder.bbox_embed.{official}",
    }
