"""How MOTIP's state dicts (Apache-2.0, github.com/MCG-NJU/MOTIP) call what is ours.

Only names differ, never shapes: a published checkpoint loads as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from impose_core.errors import IncompatibleCheckpoint
from impose_core.nets.identity_network import IdentityNetwork
from impose_core.nets.motip_preset import MotipNetwork

_TRACKER: Final = (
    (r"id_decoder\.rel_pos_embeds", r"id_decoder.age_bias"),
    (r"id_decoder\.word_to_embed\.(.+)", r"id_decoder.dictionary.word_to_embed.\1"),
    (r"id_decoder\.embed_to_word_layers\.\d+\.(.+)", r"id_decoder.dictionary.embed_to_word.\1"),
    (r"id_decoder\.cross_attn_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.cross_attention.\2"),
    (r"id_decoder\.cross_attn_norm_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.cross_norm.\2"),
    (r"id_decoder\.(ffn\w*)_layers\.(\d+)\.(.+)", r"id_decoder.layers.\2.\1.\3"),
    (r"(trajectory_modeling\..+)", r"\1"),
)
# the first layer does not listen, so these are counted from our second
_LISTENING: Final = (
    (r"id_decoder\.self_attn_layers\.(\d+)\.(.+)", "self_attention"),
    (r"id_decoder\.self_attn_norm_layers\.(\d+)\.(.+)", "self_norm"),
)
_DETECTOR: Final = (
    (r"detr\.backbone\.0\.body\.(.+)", r"detector.backbone.\1"),
    (r"detr\.input_proj\.(.+)", r"detector.neck.levels.\1"),
    (r"detr\.query_embed\.(.+)", r"detector.queries.\1"),
    (r"detr\.class_embed\.(.+)", r"detector.class_heads.\1"),
    (r"detr\.(?:transformer\.decoder\.)?bbox_embed\.(.+)", r"detector.box_heads.\1"),
    (r"detr\.transformer\.level_embed", r"detector.encoder.level_embedding"),
    (r"detr\.transformer\.reference_points\.(.+)", r"detector.first_reference.\1"),
    (r"detr\.transformer\.encoder\.layers\.(.+)", r"detector.encoder.layers.\1"),
    (r"detr\.transformer\.decoder\.layers\.(.+)", r"detector.layers.\1"),
)
_ENCODER_LAYER: Final = {
    "self_attn": "attention",
    "norm1": "norm",
    "linear1": "feed_forward.linear1",
    "linear2": "feed_forward.linear2",
    "norm2": "feed_forward.norm",
}
_DECODER_LAYER: Final = {
    "cross_attn": "cross_attention",
    "norm1": "cross_norm",
    "self_attn": "self_attention",
    "norm2": "self_norm",
    "linear1": "feed_forward.linear1",
    "linear2": "feed_forward.linear2",
    "norm3": "feed_forward.norm",
}


def our_name(official: str) -> str:
    """What ``MotipNetwork`` calls MOTIP's parameter or buffer ``official``.

    Raises:
        IncompatibleCheckpoint: if there is nothing of that name.
    """
    for pattern, name in _LISTENING:
        if found := re.fullmatch(pattern, official):
            return f"identity.id_decoder.layers.{int(found[1]) + 1}.{name}.{found[2]}"
    for pattern, ours in _TRACKER:
        if re.fullmatch(pattern, official):
            return "identity." + re.sub(pattern, ours, official)
    for pattern, ours in _DETECTOR:
        if re.fullmatch(pattern, official):
            return _in_layer(re.sub(pattern, ours, official))
    raise IncompatibleCheckpoint(f"Expected a name of MOTIP's, got {official!r}.")


def load_motip(network: MotipNetwork, official: Mapping[str, Tensor]) -> None:
    """Load a whole MOTIP state dict.

    Raises:
        IncompatibleCheckpoint: if something is missing, unknown or of another shape, or if
            tensors that are shared differ.
    """
    _load(network, _renamed(official))


def load_tracker(network: IdentityNetwork, official: Mapping[str, Tensor]) -> None:
    """Load MOTIP's tracker alone; the detector's tensors are left out, and what only ours has
    (poses) stays as it is.

    Raises:
        IncompatibleCheckpoint: as of :func:`load_motip`.
    """
    tracker = {n: t for n, t in official.items() if not n.startswith("detr.")}
    ours = {n.removeprefix("identity."): t for n, t in _renamed(tracker).items()}
    poses = {n: t for n, t in network.state_dict().items() if n.startswith(("keypoint", "pose"))}
    _load(network, poses | ours)


def _renamed(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for name, tensor in official.items():
        ours = our_name(name)
        if ours in out and not torch.equal(out[ours], tensor):
            raise IncompatibleCheckpoint(f"Expected {name!r} to equal the weights it shares.")
        out[ours] = tensor
    return out


def _load(network: nn.Module, given: Mapping[str, Tensor]) -> None:
    wanted = network.state_dict()
    for name in sorted(wanted.keys() ^ given.keys()):
        had = "only the network" if name in wanted else "only the checkpoint"
        raise IncompatibleCheckpoint(f"Expected the same names on both sides, {had} has {name!r}.")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise IncompatibleCheckpoint(
                f"Expected {name!r} of shape {tuple(wanted[name].shape)}, "
                f"got {tuple(tensor.shape)}."
            )
    network.load_state_dict(dict(given))


def _in_layer(name: str) -> str:
    """``name`` with the part inside a layer of the encoder or decoder translated too."""
    for prefix, parts in (
        (r"detector\.encoder\.layers\.\d+\.", _ENCODER_LAYER),
        (r"detector\.layers\.\d+\.", _DECODER_LAYER),
    ):
        if found := re.match(prefix, name):
            part, rest = name[found.end() :].split(".", 1)
            if part not in parts:
                raise IncompatibleCheckpoint(
                    f"Expected a part of a layer of MOTIP's, got {part!r}."
                )
            return f"{found[0]}{parts[part]}.{rest}"
    return name
