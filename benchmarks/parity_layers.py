"""Deformable attention, layers and helpers against Click-Pose's own code."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.parity_fixtures import EXACT, MODULE, Deviation, Fixture
from impose_core.nets.decoder_layer import DecoderLayer
from impose_core.nets.deformable_attention import DeformableAttention, as_maps, read_values
from impose_core.nets.encoder import EncoderLayer, cells
from impose_core.nets.memory import Memory
from impose_core.nets.movenet import load_state
from impose_core.nets.positional import sine_of_map, sine_of_reference
from impose_core.nets.query_selection import proposals_of
from impose_core.nets.tensor_geometry import inverse_sigmoid

WIDTH, HEADS, LEVELS, POINTS = 64, 8, 4, 4


def deviations() -> Iterator[Deviation]:
    """All of them; call without gradients."""
    yield from core()
    yield from module()
    yield from encoder_layer()
    yield from decoder_layer()
    yield from helpers()


def core() -> Iterator[Deviation]:
    """Sampling alone, at and beyond borders, on tiny levels."""
    golden = Fixture("msdeform_core")
    for case in sorted({key.split("/")[0] for key in golden}):
        values = as_maps(golden[f"{case}/value"], golden.shapes(f"{case}/spatial_shapes"))
        places, weights = (
            golden[f"{case}/{name}"] for name in ("sampling_locations", "attention_weights")
        )
        read = read_values(values, places, weights)
        yield golden.compare(case.replace("_", " "), read, f"{case}/output", MODULE)


def module() -> Iterator[Deviation]:
    """With its projections; references as points and as boxes."""
    golden = Fixture("msdeform_module")
    attention = DeformableAttention(WIDTH, levels=LEVELS, heads=HEADS, points=POINTS)
    load_state(attention, golden.under("sd/"))
    shapes = golden.shapes("spatial_shapes")
    cases = [
        ("points", golden["padding_mask"], "reference_points_2d", "output_2d"),
        ("boxes", golden["padding_mask"], "reference_points_4d", "output_4d"),
        ("boxes, no padding", None, "reference_points_4d", "output_4d_nomask"),
    ]
    for what, padding, reference, output in cases:
        values = attention.values(golden["input_flatten"], padding, shapes)
        read = attention(golden["query"], golden[reference], values)
        yield golden.compare(what, read, output, MODULE)


def encoder_layer() -> Iterator[Deviation]:
    """One layer, and the places of its cells."""
    golden = Fixture("encoder_layer")
    layer = EncoderLayer(WIDTH, 96, levels=LEVELS, heads=HEADS, points=POINTS)
    names = {"self_attn": "attention", "norm1": "norm", "norm2": "feed_forward.norm"}
    load_state(layer, _renamed(golden, names))
    shapes = golden.shapes("spatial_shapes")
    reference = cells(shapes, golden["valid_ratios"])
    yield golden.compare("places of cells", reference, "reference_points", MODULE)
    out = layer(
        golden["src"], golden["pos"], golden["reference_points"], golden["key_padding_mask"], shapes
    )
    yield golden.compare("layer", out, "output", MODULE)


def decoder_layer() -> Iterator[Deviation]:
    """One layer; persons apart by a mask, by groups, and not at all."""
    golden = Fixture("decoder_layer")
    layer = DecoderLayer(WIDTH, 96, levels=LEVELS, heads=HEADS, points=POINTS)
    names = {
        "self_attn": "self_attention",
        "norm2": "self_norm",
        "cross_attn": "cross_attention",
        "norm1": "cross_norm",
        "norm3": "feed_forward.norm",
    }
    load_state(layer, _renamed(golden, names))
    layer.eval()
    memory = Memory(
        tokens=golden["memory"].transpose(0, 1),
        padding=golden["memory_key_padding_mask"],
        shapes=golden.shapes("spatial_shapes"),
        valid=golden["valid_ratios"],
    )
    tokens, position, boxes = (
        golden[name].transpose(0, 1) for name in ("tgt", "query_pos", "reference_boxes")
    )
    per_level = memory.per_level(boxes)
    theirs = golden["reference_points_input"].transpose(0, 1)
    yield golden.compare("references per level", per_level, theirs, MODULE)
    values = layer.values(memory)
    for what, seen, output in (
        ("persons apart, by mask", {"blocked": golden["self_attn_mask"]}, "output"),
        ("persons apart, as batch", {"group": 18}, "output"),
        ("no mask", {}, "output_nomask"),
    ):
        out = layer(tokens, position, per_level, values, **seen)
        yield golden.compare(what, out.transpose(0, 1), output, MODULE)


def helpers() -> Iterator[Deviation]:
    """Encodings, logits, proposals, and the order of coordinates."""
    golden = Fixture("helpers")
    for count in (4, 2):
        wave = sine_of_reference(golden[f"sine_in{count}"], 256)
        what = f"encoding of references, {count} coordinates"
        yield golden.compare(what, wave, f"sine_out{count}", MODULE)
    logits = inverse_sigmoid(golden["invsig_in"])
    yield golden.compare("logits of references", logits, "invsig_out_eps1e3", MODULE)
    for width in (256, 64):
        wave = sine_of_map(golden["pe_mask"], width).permute(0, 3, 1, 2)
        yield golden.compare(f"encoding of a map, width {width}", wave, f"pe_T20_{width}", MODULE)
    yield from _proposals(golden)
    keypoints = golden["kpt_xyzxyz"].unflatten(1, (17, 3))
    together = torch.cat([keypoints[..., :2].flatten(1), keypoints[..., 2]], dim=1)
    yield golden.compare("order of coordinates", together, "kpt_xyxyzz", EXACT)


def _proposals(golden: Fixture) -> Iterator[Deviation]:
    shapes, padding = golden.shapes("prop_shapes"), golden["prop_mask"]
    memory = Memory(
        tokens=golden["prop_memory"], padding=padding, shapes=shapes, valid=_valid(padding, shapes)
    )
    proposals, usable = proposals_of(memory)
    theirs = golden["prop_out_proposals"]
    finite = theirs.isfinite().all(dim=-1)
    yield golden.compare("which proposals are none", usable, finite, EXACT)
    ours = proposals.masked_fill(~usable[..., None], 0)
    yield golden.compare("proposals", ours, theirs.masked_fill(~finite[..., None], 0), MODULE)
    tokens = memory.tokens.masked_fill(~usable[..., None], 0)
    yield golden.compare("memory of proposals", tokens, "prop_out_memory", MODULE)


def _valid(padding: Tensor, shapes: tuple[tuple[int, int], ...]) -> Tensor:
    levels = padding.split([rows * columns for rows, columns in shapes], dim=1)
    shares = []
    for level, shape in zip(levels, shapes, strict=True):
        seen = (~level).unflatten(1, shape).float()
        shares.append(torch.stack([seen[:, 0].mean(dim=1), seen[:, :, 0].mean(dim=1)], dim=-1))
    return torch.stack(shares, dim=1)


def _renamed(golden: Fixture, names: dict[str, str]) -> dict[str, Tensor]:
    linear = {f"linear{i}": f"feed_forward.linear{i}" for i in (1, 2)}
    state = {}
    for name, tensor in golden.under("sd/").items():
        first, rest = name.split(".", 1)
        state[f"{(names | linear)[first]}.{rest}"] = tensor
    return state
