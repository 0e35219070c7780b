"""How MOTIP's state dicts (Apache-2.0, github.com/MCG-NJU/MOTIP) call what is ours.

Only names differ, never shapes: the tracker part of a published checkpoint loads as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from impose_core.errors import IncompatibleCheckpoint
from impose_core.nets.identity_network import IdentityNetwork

_OURS = (
    (r"id_decoder\.rel_pos_embeds", r"id_decoder.age_bias"),
    (r"id_decoder\.word_to_embed\.weight", r"id_decoder.dictionary.word_to_embed.weight"),
    (
        r"id_decoder\.embed_to_word_layers\.\d+\.weight",
        r"id_decoder.dictionary.embed_to_word.weight",
    ),
    (r"id_decoder\.cross_attn_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.cross_attention.\2"),
    (r"id_decoder\.cross_attn_norm_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.cross_norm.\2"),
    (r"id_decoder\.ffn_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.ffn.\2"),
    (r"id_decoder\.ffn_norm_layers\.(\d+)\.(.+)", r"id_decoder.layers.\1.ffn_norm.\2"),
    (r"(trajectory_modeling\..+)", r"\1"),
)  # fmt: skip
# the first layer does not listen, so theirs are counted from our second
_LISTENING = (
    (r"id_decoder\.self_attn_layers\.(\d+)\.(.+)", "self_attention"),
    (r"id_decoder\.self_attn_norm_layers\.(\d+)\.(.+)", "self_norm"),
)


def our_name(official: str) -> str:
    """Our name of MOTIP's parameter ``official``.

    Raises:
        IncompatibleCheckpoint: if it is none of the tracker's.
    """
    for pattern, name in _LISTENING:
        if found := re.fullmatch(pattern, official):
            return f"id_decoder.layers.{int(found[1]) + 1}.{name}.{found[2]}"
    for pattern, ours in _OURS:
        if re.fullmatch(pattern, official):
            return re.sub(pattern, ours, official)
    raise IncompatibleCheckpoint(f"Expected names of MOTIP's tracker, got {official!r}.")


def renamed_tracker(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tracker's part of a MOTIP state dict under our names; the detector's is left out.

    Raises:
        IncompatibleCheckpoint: if a name is unknown, or tensors that are shared there differ.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in official.items():
        if name.startswith("detr."):
            continue
        ours = our_name(name)
        if ours in out and not torch.equal(out[ours], tensor):
            raise IncompatibleCheckpoint(f"Expected {name!r} to equal the weights it shares.")
        out[ours] = tensor
    return out


def load_tracker(network: IdentityNetwork, official: Mapping[str, Tensor]) -> None:
    """Load MOTIP's tracker into ``network``; what only ours has (poses) stays as it is.

    Raises:
        IncompatibleCheckpoint: if something is missing, unexpected or of another shape.
    """
    wanted = {n: p for n, p in network.state_dict().items() if _is_motips(n)}
    given = renamed_tracker(official)
    for name in sorted(wanted.keys() ^ given.keys()):
        had = "only the network" if name in wanted else "only the checkpoint"
        raise IncompatibleCheckpoint(f"Expected the same names on both sides, {had} has {name!r}.")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise IncompatibleCheckpoint(
                f"Expected {name!r} of shape {tuple(wanted[name].shape)}, "
                f"got {tuple(tensor.shape)}."
            )
    network.load_state_dict({n: t.float() for n, t in given.items()}, strict=False)


def _is_motips(name: str) -> bool:
    return name.startswith(("trajectory_modeling.", "id_decoder."))
