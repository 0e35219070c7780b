"""Which prediction answers for which true body: a set-based assignment (DETR, Carion et al. 2020).

Costs are those of the published training: focal class cost, keypoints in L1, 1 - OKS; and boxes
in L1 and GIoU where a layer knows no joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from impose_core.nets.tensor_geometry import generalised_iou, to_xyxy
from impose_core.nets.truth import Truth

ALPHA: Final = 0.25
GAMMA: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is compared with the truth: Q bodies or boxes for each of B images."""

    logits: Tensor  # [B, Q, classes]
    boxes: Tensor  # cxcywh [B, Q, 4]
    keypoints: Tensor | None = None  # xy [B, Q, K, 2]; None of a layer that knows no joints


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Weight of each cost."""

    label: float = 2.0
    keypoint: float = 10.0
    oks: float = 4.0
    box: float = 5.0
    giou: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """M pairs over the batch."""

    image: Tensor  # int64 [M]
    answer: Tensor  # int64 [M], which of the image's answers
    body: Tensor  # int64 [M], which of the image's true bodies


@torch.no_grad()
def matched(
    answers: Answers, truths: Sequence[Truth], sigmas: Tensor, costs: Costs | None = None
) -> Pairs:
    """The cheapest assignment, image by image.

    Args:
        answers: of B images.
        truths: one per image.
        sigmas: [K], COCO's constants of the joints.
        costs: the published ones by default.
    """
    costs = costs or Costs()
    found = [
        linear_sum_assignment(
            _cost(answers, index, truth, sigmas, costs).cpu().nan_to_num(1e6).numpy()
        )
        for index, truth in enumerate(truths)
    ]
    return _pairs([(torch.as_tensor(a), torch.as_tensor(b)) for a, b in found], answers.logits)


def given(body: Tensor) -> Pairs:
    """Pairs that are known: ``body`` [B, Q] is each answer's true body, -1 where it has none."""
    image, answer = (body >= 0).nonzero(as_tuple=True)
    return Pairs(image=image, answer=answer, body=body[image, answer])


def oks(found: Tensor, true: Tensor, labelled: Tensor, area: Tensor, sigmas: Tensor) -> Tensor:
    """Object keypoint similarity (COCO) of poses that broadcast.

    Args:
        found: xy [..., K, 2] in shares of the image; x and y count alike, whatever its shape,
            as in the published training.
        true: xy [..., K, 2].
        labelled: bool [..., K].
        area: [...], share of the image.
        sigmas: [K].

    Returns:
        [...], 0 to 1; 0 for a body without labelled joints.
    """
    square = (found - true).square().sum(dim=-1)
    scale = 2 * (2 * sigmas) ** 2 * (area[..., None] + torch.finfo(torch.float64).eps)
    each = torch.exp(-square / scale) * labelled
    return each.sum(dim=-1) / labelled.sum(dim=-1).clamp(min=1)


def _cost(answers: Answers, index: int, truth: Truth, sigmas: Tensor, costs: Costs) -> Tensor:
    """[Q, N]."""
    chance = answers.logits[index].float().sigmoid()[:, truth.labels]
    none = (1 - ALPHA) * chance**GAMMA * -(1 - chance + 1e-8).log()
    some = ALPHA * (1 - chance) ** GAMMA * -(chance + 1e-8).log()
    total = costs.label * (some - none)
    if answers.keypoints is None:
        boxes = answers.boxes[index]
        apart = torch.cdist(boxes, truth.boxes, p=1)
        overlap = generalised_iou(to_xyxy(boxes)[:, None], to_xyxy(truth.boxes))
        return total + costs.box * apart - costs.giou * overlap
    found, true = answers.keypoints[index][:, None], truth.keypoints
    away = ((found - true).abs().sum(dim=-1) * truth.labelled).sum(dim=-1)
    alike = oks(found, true, truth.labelled, truth.area, sigmas)
    return total + costs.keypoint * away + costs.oks * (1 - alike)


def _pairs(found: list[tuple[Tensor, Tensor]], like: Tensor) -> Pairs:
    image = torch.cat([torch.full_like(a, index) for index, (a, _) in enumerate(found)])
    answer, body = (torch.cat([pair[side] for pair in found]) for side in (0, 1))
    return Pairs(
        image=image.to(like.device), answer=answer.to(like.device), body=body.to(like.device)
    )
