"""Whole networks against Click-Pose's and ED-Pose's own code: finding, clicks, pins, training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity_fixtures import EXACT, MODEL, Deviation, Fixture, names
from impose_core.nets.backbone import ResNetConfig
from impose_core.nets.checkpoints import aliases, from_official, to_official
from impose_core.nets.interaction import Interaction
from impose_core.nets.memory import Memory, Pyramid
from impose_core.nets.movenet import load_state
from impose_core.nets.pose_network import PoseConfig, PoseNetwork, Steps
from impose_core.nets.presets import click_pose_r50, ed_pose_r50

BACKBONE = ResNetConfig(depth=18, widths=(4, 8, 16, 32))
"""Gives maps of the fixtures' 8, 16 and 32 channels; the fixtures come without a backbone."""
_SMALL = replace(
    click_pose_r50(), backbone=BACKBONE, width=64, feed_forward=96, encoder_layers=2,
    queries=40, persons=6, labels=20, keypoint_layers=2,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A network of the fixtures."""

    name: str
    config: PoseConfig

    def network(self) -> PoseNetwork:
        """With the official weights."""
        network = PoseNetwork(self.config)
        backbone = {f"backbone.{k}": v for k, v in network.backbone.state_dict().items()}
        weights = Fixture(f"{self.name}_weights").under("sd/")
        load_state(network, from_official(weights, self.config) | backbone)
        return network.eval()


H64 = Case(name="clickpose_h64", config=_SMALL)
H256 = Case(
    name="clickpose_h256",
    config=replace(
        _SMALL, width=256, feed_forward=64, encoder_layers=1, box_layers=1, keypoint_layers=2
    ),
)
ED = Case(
    name="edpose_h64",
    config=replace(_SMALL, content_by_rank=False, boxes_meet=True, clickable=False),
)


def deviations() -> Iterator[Deviation]:
    """All of them; call without gradients."""
    for case in (H64, H256, ED):
        yield from finding(case)
    for case in (H64, H256):
        yield from clicks(case)
    yield from pins()
    yield from full_size()


def pyramid(network: PoseNetwork, golden: Fixture) -> Pyramid:
    """The maps of the fixture behind our neck."""
    features = [golden[f"feature/{level}"] for level in range(3)]
    laid: Pyramid = network.neck(features, golden["image_mask"])
    return laid


def memory(network: PoseNetwork, golden: Fixture) -> Memory:
    """What the encoder makes of them."""
    encoded: Memory = network.encoder(pyramid(network, golden))
    return encoded


def finding(case: Case) -> Iterator[Deviation]:
    """From feature maps to bodies, with what is computed on the way."""
    golden = Fixture(f"{case.name}_forward")
    network = case.network()
    laid = pyramid(network, golden)
    yield golden.compare("pyramid", laid.tokens, "src_flatten")
    yield golden.compare("padding", laid.padding, "mask_flatten", EXACT)
    yield golden.compare("valid share", laid.valid, "valid_ratios")
    yield golden.compare("positions", network.encoder.position(laid), "lvl_pos_embed_flatten")
    encoded = network.encoder(laid)
    yield golden.compare("memory", encoded.tokens, "memory")
    steps = network.steps(encoded)
    yield from decoded(golden, "decode", steps, network)
    last = steps.poses[-1]
    for what, ours in (("logits", last.logits), ("boxes", last.boxes)):
        yield golden.compare(what, ours, f"out/pred_{what}")
    theirs = golden["out/pred_keypoints"][..., : 2 * case.config.joints]
    yield golden.compare("keypoints", last.keypoints.flatten(2), theirs)


def decoded(
    golden: Fixture, prefix: str, steps: Steps, network: PoseNetwork
) -> Iterator[Deviation]:
    """Queries, and tokens and references of every layer."""
    dn = steps.denoising
    content = golden[f"{prefix}/in/tgt"].transpose(0, 1)[:, dn:]
    yield golden.compare("queries", steps.queries.content, content)
    logits = golden[f"{prefix}/in/refpoints_unsigmoid"].transpose(0, 1)[:, dn:]
    yield golden.compare("references of queries", steps.queries.reference, logits.sigmoid())
    boxes = [(network.frame.norm(step.tokens), step.reference) for step in steps.boxes]
    poses = [(step.tokens.flatten(1, 2), step.reference.flatten(1, 2)) for step in steps.poses]
    for layer, (tokens, reference) in enumerate(boxes + poses):
        yield golden.compare(f"tokens of layer {layer}", tokens, f"{prefix}/out/hs/{layer}")
        if layer != len(boxes) - 1:  # there the official list holds bodies already
            theirs = f"{prefix}/out/ref/{layer + 1}"
            yield golden.compare(f"references after layer {layer}", reference, theirs)


def clicks(case: Case) -> Iterator[Deviation]:
    """One click and another, as the official loop has them: nothing pinned, all decoded again."""
    golden = Fixture(f"{case.name}_clicks")
    network = case.network()
    encoded = memory(network, Fixture(f"{case.name}_forward"))
    count = golden["clicks1/out/pred_boxes"].shape[1]
    images = [
        Interaction(network, encoded.of(image), keep=count, official=True)
        for image in range(len(encoded.tokens))
    ]
    for number in (1, 2):
        said = golden[f"click{number}/in/refpoints_pose"]
        for interaction, xy in zip(images, said, strict=True):
            interaction.click(_differing(interaction.bodies.keypoints, xy))
        bodies = [interaction.bodies for interaction in images]
        theirs = golden.under(f"clicks{number}/out/pred_")
        keypoints = theirs["keypoints"][..., : 2 * case.config.joints].unflatten(-1, (-1, 2))
        for what, ours, known in (
            ("logits", [b.logits for b in bodies], theirs["logits"]),
            ("boxes", [b.boxes for b in bodies], theirs["boxes"]),
            ("keypoints", [b.keypoints for b in bodies], keypoints),
        ):
            yield golden.compare(f"{what} after click {number}", torch.stack(ours), known)
        tokens = torch.stack([b.tokens.flatten(0, 1) for b in bodies])
        last = f"click{number}/out/hs/{case.config.keypoint_layers - 1}"
        yield golden.compare(f"tokens after click {number}", tokens, last)


def _differing(before: Tensor, after: Tensor) -> dict[int, dict[int, tuple[float, float]]]:
    """Which joints were clicked: those whose input differs from what was found."""
    moved = (before - after).abs().amax(dim=-1) > MODEL
    found: dict[int, dict[int, tuple[float, float]]] = {}
    for person, joint in moved.nonzero().tolist():
        x, y = after[person, joint].tolist()
        found.setdefault(person, {})[joint] = (x, y)
    return found


def pins() -> Iterator[Deviation]:
    """Bodies decoded again with some joints held."""
    golden = Fixture("clickpose_h64_pinned")
    network = H64.network()
    encoded = memory(network, Fixture("clickpose_h64_forward"))
    free = golden["in/pin_mask_1_is_free"]
    steps = network.decoding_steps(encoded, golden["in/boxes"], golden["in/keypoints"], free=free)
    for layer, poses in enumerate(steps):
        theirs = golden.under(f"layer{layer}/")
        for what, ours, name in (
            ("boxes", poses.boxes, "boxes"),
            ("logits", poses.logits, "logits"),
            ("keypoints", poses.keypoints, "keypoints_xy"),
            ("tokens", poses.tokens.flatten(1, 2), "hs"),
        ):
            yield golden.compare(f"{what} of layer {layer}", ours, theirs[name])
    yield golden.compare("last references", steps[-1].reference.flatten(1, 2), "ref_final")


def full_size() -> Iterator[Deviation]:
    """Names and shapes of the published networks, and which names mean the same tensor."""
    for preset, config in (("click_pose_r50", click_pose_r50()), ("ed_pose_r50", ed_pose_r50())):
        with torch.device("meta"):
            network = PoseNetwork(config)
        state = to_official(network.state_dict(), config)
        known: list[dict[str, Any]] = names(preset)
        ours = {(name, tuple(tensor.shape)) for name, tensor in state.items()}
        ours |= {(f"{a} = {b}", ()) for a, b in aliases(state, config).items()}
        theirs = {(entry["name"], tuple(entry["shape"])) for entry in known}
        theirs |= {(f"{e['name']} = {e['alias_of']}", ()) for e in known if "alias_of" in e}
        yield Deviation(
            fixture=f"{preset}_coco_names",
            what=f"{len(known)} names and shapes, aliases",
            largest=float(len(ours ^ theirs)),
            tolerance=EXACT,
        )
