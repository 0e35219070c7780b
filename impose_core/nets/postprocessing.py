"""From answers in shares of an image to persons in its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.tensor_geometry import to_xyxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Persons:
    """N answers on one image, surest first; pixels, x right, y down, from its corner."""

    scores: Tensor  # [N], 0 to 1
    labels: Tensor  # int64 [N], class
    boxes_xyxy: Tensor  # [N, 4]
    keypoints: Tensor  # xy [N, K, 2]


def surest(poses: Poses, image: int, *, count: int, width: float, height: float) -> Persons:
    """The ``count`` surest answers of one image.

    As in DETR's descendants, each class of each body is an answer: with several classes a body
    may come more than once. ``width`` and ``height`` are those of the unpadded image in pixels.
    """
    scores = poses.logits[image].float().sigmoid()
    classes = scores.shape[1]
    best = scores.flatten().topk(min(count, scores.numel()))
    body = best.indices // classes
    size = poses.boxes.new_tensor([width, height])
    return Persons(
        scores=best.values,
        labels=best.indices % classes,
        boxes_xyxy=to_xyxy(poses.boxes[image, body]) * size.repeat(2),
        keypoints=poses.keypoints[image, body] * size,
    )
