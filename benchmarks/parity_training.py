"""Answers, matches and losses against Click-Pose's and ED-Pose's own code."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.parity_fixtures import EXACT, Deviation, Fixture
from benchmarks.parity_networks import ED, H64, H256, Case, decoded, memory
from impose_core.nets.box_decoder import Boxes
from impose_core.nets.denoising import Denoising
from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.matching import Answers, matched
from impose_core.nets.memory import Memory
from impose_core.nets.pose_losses import pose_losses, weighted
from impose_core.nets.pose_network import PoseNetwork, Steps
from impose_core.nets.postprocessing import surest
from impose_core.nets.truth import Truth
from impose_core.skeleton import COCO17

SIGMAS = torch.tensor(COCO17.sigmas)
IMAGES = 2


def deviations() -> Iterator[Deviation]:
    """All of them; call without gradients."""
    for case in (H64, H256, ED):
        yield from answered(case)
    yield from training()


def answered(case: Case) -> Iterator[Deviation]:
    """The surest answers in pixels; who answers for whom, and what that costs."""
    golden = Fixture(f"{case.name}_forward")
    network = case.network()
    steps = network.steps(memory(network, golden))
    last = steps.poses[-1]
    truths = [_truth(golden, image) for image in range(IMAGES)]
    answers = Answers(logits=last.logits, boxes=last.boxes, keypoints=last.keypoints)
    pairs = matched(answers, truths, SIGMAS)
    for image in range(IMAGES):
        of_image = pairs.image == image
        for what, ours in (("pred", pairs.answer), ("gt", pairs.body)):
            theirs = golden[f"matcher/{image}/{what}"]
            yield golden.compare(f"matches of image {image}, {what}", ours[of_image], theirs, EXACT)
        yield from _in_pixels(golden, image, last)
    losses = pose_losses(steps, [], truths, SIGMAS)
    for theirs_name, term in _TERMS.items():
        ours = losses[f"poses.{len(steps.poses) - 1}.{term}"]
        yield golden.compare(f"loss {term}", ours, f"loss_eval/loss_{theirs_name}")


def _in_pixels(golden: Fixture, image: int, last: Poses) -> Iterator[Deviation]:
    height, width = golden[f"targets/{image}/orig_size"].tolist()
    ours = surest(last, image, count=last.boxes.shape[1], width=width, height=height)
    theirs = golden.under(f"postprocess/{image}/")
    keypoints = theirs["keypoints"].unflatten(-1, (-1, 3))[..., :2]
    yield golden.compare(f"classes of image {image}", ours.labels, theirs["labels"], EXACT)
    yield golden.compare(f"scores of image {image}", ours.scores, theirs["scores"])
    size = max(height, width)  # the tolerance is in shares of the image
    for what, found, known in (
        ("boxes", ours.boxes_xyxy, theirs["boxes"]),
        ("keypoints", ours.keypoints, keypoints),
    ):
        yield golden.compare(f"{what} of image {image} / longer side", found / size, known / size)


def training() -> Iterator[Deviation]:
    """One training pass: masks, both decoders beside spoiled bodies, the loop, every loss."""
    golden, forward = Fixture("clickpose_h64_train"), Fixture("clickpose_h64_forward")
    network = H64.network()
    encoded = memory(network, forward)
    truths = [_truth(forward, image) for image in range(IMAGES)]
    spoiled = _denoising(golden, truths)
    mask = spoiled.box_mask(H64.config.queries)
    yield golden.compare("mask of boxes", mask, "train_decode/in/tgt_mask", EXACT)
    mask = spoiled.pose_mask(H64.config.persons, boxes_meet=False).expand(IMAGES, -1, -1)
    yield golden.compare("mask of joints", mask, "train_decode/in/tgt_mask2", EXACT)
    steps = network.steps(encoded, spoiled)
    yield from decoded(golden, "train_decode", steps, network)
    again = _again(golden, network, encoded)
    yield from _answers(golden, steps, again)
    losses = pose_losses(steps, again, truths, SIGMAS, denoising=spoiled)
    for theirs, ours in _loss_names(len(steps.boxes), len(steps.poses), len(again)):
        yield golden.compare(f"loss {ours}", losses[ours], f"loss/{theirs}")
    total = weighted(losses)
    share = total / golden["loss_total_weighted"]
    yield golden.compare("weighted loss / official", share, torch.ones_like(share))


def _truth(golden: Fixture, image: int) -> Truth:
    target = golden.under(f"targets/{image}/")
    joints = H64.config.joints
    labelled = target["keypoints"][:, 2 * joints :] > 0
    return Truth(
        labels=target["labels"],
        boxes=target["boxes"],
        keypoints=target["keypoints"][:, : 2 * joints].unflatten(1, (joints, 2)),
        labelled=labelled,
        visible=labelled,
        area=target["area"],
    )


def _denoising(golden: Fixture, truths: list[Truth]) -> Denoising:
    """The spoiled bodies of the fixture; whose each is, is read off their true boxes."""
    joints = golden["train_decode/in/tgt_pose"]
    count = joints.shape[1]
    content = golden["train_decode/in/tgt"].transpose(0, 1)[:, :count, None]
    boxes = golden["train_decode/in/refpoints_unsigmoid"].transpose(0, 1)[:, :count].sigmoid()
    true = golden["out/dn_bbox_input"]
    whose = [(b[:, None] == t.boxes).all(dim=-1).int() for b, t in zip(true, truths, strict=True)]
    return Denoising(
        tokens=torch.cat([content, joints], dim=2),
        boxes=boxes,
        keypoints=golden["train_decode/in/refpoints_pose"].unflatten(-1, (-1, 2)),
        group=torch.stack([torch.arange(count) // len(truth) for truth in truths]),
        truth=torch.stack([each.argmax(dim=1) for each in whose]),
    )


def _again(golden: Fixture, network: PoseNetwork, encoded: Memory) -> list[Poses]:
    said = golden.under("train_feedback_last/in/")
    boxes = said["refpoints_unsigmoid"].transpose(0, 1).sigmoid()
    return network.decoding_steps(encoded, boxes, said["refpoints_pose"], free=said["refinement"])


def _answers(golden: Fixture, steps: Steps, again: list[Poses]) -> Iterator[Deviation]:
    """What each layer says; the official list: boxes, bodies but the last, bodies again."""
    count, queries = steps.denoising, steps.queries
    yield golden.compare("logits of queries", queries.logits, "interm/pred_logits")
    yield golden.compare("boxes of queries", queries.boxes, "interm/pred_boxes")
    found: list[Boxes | Poses] = [*steps.boxes, *steps.poses[:-1]]
    layers = [(step, count) for step in found] + [(step, 0) for step in again]
    for layer, (step, first) in enumerate(layers):
        what = f"of answer {layer}"
        yield from _compared(golden, what, step, slice(first, None), f"aux/{layer}/pred_")
    last = steps.poses[-1]
    yield from _compared(golden, "of the last answer", last, slice(count, None), "out/pred_")
    for what, ours, theirs in (
        ("logits", last.logits, "class"),
        ("boxes", last.boxes, "bbox"),
        ("keypoints", last.keypoints.flatten(2), "pose"),
    ):
        known = golden[f"out/dn_{theirs}_pred"][..., : ours.shape[-1]]
        yield golden.compare(f"{what} of spoiled bodies", ours[:, :count], known)


def _compared(
    golden: Fixture, what: str, step: Boxes | Poses, part: slice, prefix: str
) -> Iterator[Deviation]:
    theirs = golden.under(prefix)
    ours: dict[str, Tensor] = {"logits": step.logits, "boxes": step.boxes}
    if isinstance(step, Poses):
        ours["keypoints"] = step.keypoints.flatten(2)
    for name, found in ours.items():
        known = theirs[name][..., : found.shape[-1]]
        yield golden.compare(f"{name} {what}", found[:, part], known)


_TERMS = {"ce": "label", "bbox": "box", "giou": "giou", "keypoints": "keypoint", "oks": "oks"}
_OF_BOXES = ("label", "box", "giou")


def _loss_names(boxes: int, poses: int, again: int) -> Iterator[tuple[str, str]]:
    """Official name -> ours, of every loss that counts."""
    layers = [f"boxes.{i}" for i in range(boxes)] + [f"poses.{i}" for i in range(poses - 1)]
    numbered = [(f"_{i}", name) for i, name in enumerate(layers)]
    clicks = [(f"_{len(layers) + i}", f"again.{i}") for i in range(again)]
    final = ("", f"poses.{poses - 1}")
    for suffix, name in [*numbered, *clicks, final, ("_interm", "queries")]:
        for theirs, term in _TERMS.items():
            if term in _OF_BOXES or name.startswith(("poses", "again")):
                yield f"loss_{theirs}{suffix}", f"{name}.{term}"
    for suffix, name in [*numbered, final]:
        for theirs, term in _TERMS.items():
            if term in _OF_BOXES or (term == "keypoint" and name.startswith("poses")):
                yield f"dn_loss_{theirs}{suffix}", f"repair.{name}.{term}"
