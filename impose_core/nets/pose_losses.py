"""What training minimises: every layer's answers against the bodies they answer for.

The terms are those of Click-Pose: focal loss on classes, L1 and GIoU on boxes, L1 and 1 - OKS on
joints; for what was found, for what was decoded again after clicks, and for spoiled bodies that
were repaired. Ours has one more, on whether joints are seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from impose_core.nets.box_decoder import Boxes
from impose_core.nets.denoising import Denoising
from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.matching import ALPHA, GAMMA, Answers, Pairs, given, matched, oks
from impose_core.nets.pose_network import Steps
from impose_core.nets.tensor_geometry import generalised_iou, to_xyxy
from impose_core.nets.truth import Truth

REPAIR: Final = "repair"
"""Losses of spoiled bodies have names that begin so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Of each term."""

    label: float = 2.0
    box: float = 5.0
    giou: float = 2.0
    keypoint: float = 10.0
    oks: float = 4.0
    visibility: float = 0.5


FOUND: Final = Weights()
REPAIRED: Final = Weights(label=0.3, box=2.5, giou=1.0, keypoint=5.0, oks=0.0, visibility=0.5)


def pose_losses(
    steps: Steps,
    again: Sequence[Poses],
    truths: Sequence[Truth],
    sigmas: Tensor,
    *,
    denoising: Denoising | None = None,
    bodies: float | None = None,
) -> dict[str, Tensor]:
    """Every loss by name, such as ``poses.1.oks``; not weighted.

    Args:
        steps: of one pass.
        again: layers of the bodies decoded again after clicks; they may be none.
        truths: one per image.
        sigmas: [K], COCO's constants of the joints.
        denoising: what the pass was given, if anything.
        bodies: what sums are divided by: how many true bodies a batch has, on average over all
            machines that train together; default: as many as ``truths`` have, at least 1.
    """
    bodies = max(sum(map(len, truths)), 1) if bodies is None else bodies
    losses: dict[str, Tensor] = {}
    for name, answers, seen in _found(steps, again):
        pairs = matched(answers, truths, sigmas)
        losses |= _named(name, _terms(answers, seen, pairs, truths, sigmas, bodies))
    if denoising is not None:
        pairs = given(denoising.truth)
        for name, answers, seen in _repaired(steps):
            terms = _terms(answers, seen, pairs, truths, sigmas, denoising.boxes.shape[1])
            losses |= _named(f"{REPAIR}.{name}", terms)
    return losses


def weighted(losses: Mapping[str, Tensor]) -> Tensor:
    """Their sum, each with the published weight."""
    found, repaired = asdict(FOUND), asdict(REPAIRED)
    parts = [
        loss * (repaired if name.startswith(REPAIR) else found)[name.rsplit(".", 1)[1]]
        for name, loss in losses.items()
    ]
    return torch.stack(parts).sum()


def focal_loss(logits: Tensor, true: Tensor) -> Tensor:
    """Of each logit (Lin et al. 2017); ``true`` is 0 or 1, of the same shape."""
    chance = logits.sigmoid()
    missed = torch.where(true > 0, 1 - chance, chance)
    balance = torch.where(true > 0, ALPHA, 1 - ALPHA)
    entropy = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
    return balance * missed**GAMMA * entropy


def _found(steps: Steps, again: Sequence[Poses]) -> Iterator[tuple[str, Answers, Tensor | None]]:
    rest = slice(steps.denoising, None)
    yield "queries", Answers(logits=steps.queries.logits, boxes=steps.queries.boxes), None
    for layer, boxes in enumerate(steps.boxes):
        yield f"boxes.{layer}", _of_boxes(boxes, rest), None
    for name, layers, part in (("poses", steps.poses, rest), ("again", again, slice(None))):
        for layer, poses in enumerate(layers):
            answers, seen = _of_poses(poses, part)
            yield f"{name}.{layer}", answers, seen


def _repaired(steps: Steps) -> Iterator[tuple[str, Answers, Tensor | None]]:
    first = slice(steps.denoising)
    for layer, boxes in enumerate(steps.boxes):
        yield f"boxes.{layer}", _of_boxes(boxes, first), None
    for layer, poses in enumerate(steps.poses):
        answers, seen = _of_poses(poses, first)
        yield f"poses.{layer}", answers, seen


def _of_boxes(boxes: Boxes, part: slice) -> Answers:
    return Answers(logits=boxes.logits[:, part], boxes=boxes.boxes[:, part])


def _of_poses(poses: Poses, part: slice) -> tuple[Answers, Tensor | None]:
    answers = Answers(
        logits=poses.logits[:, part], boxes=poses.boxes[:, part], keypoints=poses.keypoints[:, part]
    )
    return answers, None if poses.visibility is None else poses.visibility[:, part]


def _terms(
    answers: Answers,
    seen: Tensor | None,
    pairs: Pairs,
    truths: Sequence[Truth],
    sigmas: Tensor,
    bodies: float,
) -> dict[str, Tensor]:
    """Unweighted sums over pairs (of classes: over all answers), divided by ``bodies``."""
    truth = _gathered(truths, pairs)
    which = (pairs.image, pairs.answer)
    logits = answers.logits.float()
    classes = torch.zeros_like(logits)
    classes[pairs.image, pairs.answer, truth.labels] = 1
    boxes = answers.boxes[which]
    overlap = generalised_iou(to_xyxy(boxes), to_xyxy(truth.boxes))
    terms = {
        "label": focal_loss(logits, classes).sum(),
        "box": (boxes - truth.boxes).abs().sum(),
        "giou": (1 - overlap).sum(),
    }
    if answers.keypoints is not None:
        found, labelled = answers.keypoints[which], truth.labelled
        terms["keypoint"] = ((found - truth.keypoints).abs().sum(dim=-1) * labelled).sum()
        alike = oks(found, truth.keypoints, labelled, truth.area, sigmas)
        terms["oks"] = (1 - alike).sum()
    if seen is not None:
        each = functional.binary_cross_entropy_with_logits(
            seen[which].float(), truth.visible.float(), reduction="none"
        )
        terms["visibility"] = (each * truth.labelled).mean(dim=-1).sum()
    return {name: term / bodies for name, term in terms.items()}


def _gathered(truths: Sequence[Truth], pairs: Pairs) -> Truth:
    """The true body of each pair: [M, ...]."""
    counts = torch.tensor([0, *map(len, truths)], device=pairs.body.device).cumsum(dim=0)
    index = counts[pairs.image] + pairs.body
    return Truth(
        labels=torch.cat([truth.labels for truth in truths])[index],
        boxes=torch.cat([truth.boxes for truth in truths])[index],
        keypoints=torch.cat([truth.keypoints for truth in truths])[index],
        labelled=torch.cat([truth.labelled for truth in truths])[index],
        visible=torch.cat([truth.visible for truth in truths])[index],
        area=torch.cat([truth.area for truth in truths])[index],
    )


def _named(name: str, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{term}": value for term, value in terms.items()}
