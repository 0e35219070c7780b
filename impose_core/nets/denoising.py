"""Pose-error modelling: true bodies, spoiled, for the decoders to repair (Click-Pose 3.3).

Jitter, misses and swaps are noise on the places; inversions are joints under another joint's
label. The figures are those of the published training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impose_core.nets.keypoint_decoder import apart
from impose_core.nets.label_codebooks import LabelCodebooks
from impose_core.nets.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseErrors:
    """How true bodies are spoiled."""

    bodies: int = 50
    """Per image: its true bodies in turn, the remainder at random."""
    box: float = 0.4
    """A box's corners move by at most this share of half its size."""
    joint: float = 0.4
    """A joint moves by at most this share of half its box."""
    label: float = 0.5
    """Chance of a wrong label, of a person and of each joint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoising:
    """D spoiled bodies per image, to be decoded beside what is found.

    Bodies of one ``group`` are one copy of an image's true bodies: they see each other in the box
    decoder. All see what is found; what is found never sees them.
    """

    tokens: Tensor  # [B, D, 1 + K, d], contents by (wrong) labels
    boxes: Tensor  # cxcywh [B, D, 4]
    keypoints: Tensor  # xy [B, D, K, 2]
    group: Tensor  # int64 [B, D]
    truth: Tensor  # int64 [B, D], which of the image's true bodies; -1 where it has none

    def box_mask(self, queries: int) -> Tensor:
        """Bool [B, D + Q, D + Q] for the box decoder, True where the row must not see."""
        batch, count = self.group.shape
        size = count + queries
        blocked = torch.zeros(batch, size, size, dtype=torch.bool, device=self.group.device)
        blocked[:, count:, :count] = True
        blocked[:, :count] = strangers(self.group, queries)
        return blocked

    def pose_mask(self, persons: int, boxes_meet: bool) -> Tensor:
        """Bool [(D + P) * (1 + K)] squared for the keypoint decoder, likewise."""
        joints = self.keypoints.shape[2]
        count = self.boxes.shape[1]
        spoiled, device = count * (1 + joints), self.boxes.device
        blocked = apart(count + persons, joints, boxes_meet=False, device=device)
        blocked[:spoiled, spoiled:] = False
        blocked[spoiled:, spoiled:] = apart(persons, joints, boxes_meet=boxes_meet, device=device)
        return blocked


def strangers(group: Tensor, queries: int) -> Tensor:
    """Bool [B, D, D + Q], True where a body of ``group`` [B, D] must not see the column.

    It sees its own group and the Q queries of what is found.
    """
    batch, count = group.shape
    found = torch.zeros(batch, count, queries, dtype=torch.bool, device=group.device)
    return torch.cat([group[:, :, None] != group[:, None], found], dim=2)


def spoiled(
    truths: Sequence[Truth],
    codebooks: LabelCodebooks,
    errors: PoseErrors,
    generator: torch.Generator,
) -> Denoising:
    """Bodies with modelled errors, for each image.

    Args:
        truths: one per image; an image without bodies gets random ones, which no loss counts.
        codebooks: of the network, with a codebook of joints.
        errors: how much is spoiled.
        generator: of all chance, on the device of the codebooks.

    Raises:
        UsageError: if the network has no codebook of joints.
    """
    device = codebooks.persons.weight.device
    drawn = [_drawn(len(truth), errors.bodies, generator, device) for truth in truths]
    places = [_places(truth, index, generator) for truth, index in zip(truths, drawn, strict=True)]
    boxes = _noised_boxes(torch.stack([box for box, _ in places]), errors.box, generator)
    keypoints = _noised_joints(
        torch.stack([xy for _, xy in places]), boxes, errors.joint, generator
    )
    copies = [torch.arange(errors.bodies, device=device) // max(len(truth), 1) for truth in truths]
    counted = [
        index if len(truth) else index - 1 for truth, index in zip(truths, drawn, strict=True)
    ]
    return Denoising(
        tokens=_tokens(truths, counted, codebooks, errors.label, generator),
        boxes=boxes,
        keypoints=keypoints,
        group=torch.stack(copies),
        truth=torch.stack(counted),
    )


def _drawn(bodies: int, count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Which true body each of ``count`` is a copy of: all in turn, the remainder at random."""
    if bodies == 0:
        return torch.zeros(count, dtype=torch.int64, device=device)
    full = count // bodies * bodies
    turns = torch.arange(full, device=device) % bodies
    rest = torch.randint(bodies, (count - full,), generator=generator, device=device)
    return torch.cat([turns, rest])


def _places(truth: Truth, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    if len(truth):
        return truth.boxes[index], truth.keypoints[index]
    joints = truth.keypoints.shape[1]
    random = torch.rand(len(index), joints + 2, 2, generator=generator, device=index.device)
    boxes = torch.cat([random[:, 0], random[:, 1] * 0.5 + 0.01], dim=-1)
    return boxes, random[:, 2:]


def _noised_boxes(boxes: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Centres move by up to half the size, sizes by up to all of it, times ``amount``."""
    reach = torch.cat([boxes[..., 2:] / 2, boxes[..., 2:]], dim=-1)
    return (boxes + _uniform(boxes, generator) * reach * amount).clamp(0, 1)


def _noised_joints(
    keypoints: Tensor, boxes: Tensor, amount: float, generator: torch.Generator
) -> Tensor:
    """Joints move within their box, except a few: those are what the others are repaired by."""
    reach = boxes[..., None, 2:] / 2 * amount
    noised = (keypoints + _uniform(keypoints, generator) * reach).clamp(0, 1)
    batch, bodies, joints = keypoints.shape[:3]
    # mostly one joint stays, seldom many: their number has weight 1 / n^2
    chance = torch.arange(1, joints + 1, device=keypoints.device).float() ** -2
    kept = torch.multinomial(chance, batch * bodies, replacement=True, generator=generator) + 1
    order = torch.rand(batch, bodies, joints, generator=generator, device=keypoints.device)
    rank = order.argsort(dim=-1).argsort(dim=-1)
    stays = rank < kept.reshape(batch, bodies, 1)
    return torch.where(stays[..., None], keypoints, noised)


def _tokens(
    truths: Sequence[Truth],
    index: Sequence[Tensor],
    codebooks: LabelCodebooks,
    chance: float,
    generator: torch.Generator,
) -> Tensor:
    labels = torch.stack(
        [
            truth.labels[which] if len(truth) else torch.zeros_like(which)
            for truth, which in zip(truths, index, strict=True)
        ]
    )
    rows, count = codebooks.persons.num_embeddings - 1, truths[0].keypoints.shape[1]
    labels = _relabelled(labels, 0, rows, chance, generator)
    joints = torch.arange(count, device=labels.device).expand(*labels.shape, -1)
    joints = _relabelled(joints, 0, count, chance, generator)
    return codebooks.tokens(labels, joints)


def _relabelled(
    labels: Tensor, low: int, high: int, chance: float, generator: torch.Generator
) -> Tensor:
    """Some labels replaced by any of ``low`` to ``high - 1``."""
    other = torch.randint(low, high, labels.shape, generator=generator, device=labels.device)
    wrong = torch.rand(labels.shape, generator=generator, device=labels.device) < chance
    return torch.where(wrong, other, labels)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """-1 to 1, in the shape of ``like``."""
    return torch.rand(like.shape, generator=generator, device=like.device) * 2 - 1
