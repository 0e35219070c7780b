"""The human-feedback loop in training: the worst joints are clicked, the rest is to follow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.matching import Answers, Pairs, matched
from impose_core.nets.memory import Memory
from impose_core.nets.pose_network import PoseNetwork, Steps
from impose_core.nets.tensor_geometry import enlarged
from impose_core.nets.truth import Truth


def decoded_again(
    network: PoseNetwork,
    memory: Memory,
    steps: Steps,
    truths: Sequence[Truth],
    sigmas: Tensor,
    *,
    keep: int = 20,
    rounds: int = 1,
) -> list[Poses]:
    """The layers of the surest bodies, decoded after ``rounds`` clicks on each that is matched.

    A click puts the labelled joint that is farthest off where it truly is, and pins it. As in the
    published training only the last round has gradients.

    Args:
        network: in training.
        memory: with gradients.
        steps: what was found on it.
        truths: one per image.
        sigmas: [K], COCO's constants of the joints.
        keep: so many of the surest bodies take part.
        rounds: at least 1.
    """
    found = steps.poses[-1]
    first = slice(steps.denoising, None)
    best = (
        found.logits[:, first].amax(dim=-1).topk(min(keep, found.logits[:, first].shape[1]), dim=1)
    )
    rows = torch.arange(len(truths), device=best.indices.device)[:, None]
    logits, boxes, keypoints = (
        x[:, first].detach()[rows, best.indices]
        for x in (found.logits, found.boxes, found.keypoints)
    )
    answers = Answers(logits=logits, boxes=boxes, keypoints=keypoints)
    pairs = matched(answers, truths, sigmas)
    free = torch.ones_like(keypoints[..., 0])
    for _ in range(rounds - 1):
        boxes, keypoints, free = clicked(boxes, keypoints, free, truths, pairs)
        with torch.no_grad():
            poses = network.decode(memory, boxes, keypoints, free=free)
        boxes = poses.boxes
        keypoints = torch.where(free[..., None] > 0, poses.keypoints, keypoints)
    boxes, keypoints, free = clicked(boxes, keypoints, free, truths, pairs)
    return network.decoding_steps(memory, boxes, keypoints, free=free)


def clicked(
    boxes: Tensor, keypoints: Tensor, free: Tensor, truths: Sequence[Truth], pairs: Pairs
) -> tuple[Tensor, Tensor, Tensor]:
    """Each matched body's worst free joint put right; its box grows to hold its joints.

    Args:
        boxes: cxcywh [B, P, 4].
        keypoints: xy [B, P, K, 2].
        free: [B, P, K], 0 where a joint is pinned already.
        truths: one per image.
        pairs: who answers for whom.

    Returns:
        The three, changed; a body without a free labelled joint stays as it is.
    """
    boxes, keypoints, free = boxes.clone(), keypoints.clone(), free.clone()
    for image, person, body in zip(
        pairs.image.tolist(), pairs.answer.tolist(), pairs.body.tolist(), strict=True
    ):
        truth = truths[image]
        away = (keypoints[image, person] - truth.keypoints[body]).norm(dim=-1)
        open_to = truth.labelled[body] & (free[image, person] > 0)
        if not open_to.any():
            continue
        joint = away.masked_fill(~open_to, -1).argmax()
        keypoints[image, person, joint] = truth.keypoints[body, joint]
        free[image, person, joint] = 0
        boxes[image, person] = enlarged(boxes[image, person], keypoints[image, person])
    return boxes, keypoints, free
