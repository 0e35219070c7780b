"""Tracked poses as reference points of the decoders (IMPose III-C).

A body whose box and joints a point tracker carried to this image joins the decoders as spoiled
bodies do in training: with the contents of the label codebooks, its references where the tracker
has it. So networks trained with pose errors can read priors with the weights they have. In the
box decoder a prior sees its own group and what is found on the image; what is found was decoded
before, so it cannot see priors. In the keypoint decoder a prior sees itself alone.

The paper feeds the content queries of the corrected frame instead; no published weights were
trained to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from impose_core.nets.box_decoder import Boxes, People
from impose_core.nets.decoder_layer import Beside
from impose_core.nets.deformable_attention import Values
from impose_core.nets.denoising import strangers
from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.memory import Memory
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.tensor_geometry import enlarged


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorGroups:
    """P bodies for each image, as they are thought to be; places are shares of the image.

    Those of one ``group`` see each other, such as all persons tracked from one frame; a body
    that must not hang on the others has a group of its own.
    """

    boxes: Tensor  # cxcywh [B, P, 4]
    keypoints: Tensor  # xy [B, P, K, 2]; NaN where nothing is known
    pinned: Tensor  # bool [B, P, K], stays where it is
    group: Tensor  # int64 [B, P]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Images that were looked at once: what is found there, and what reading priors needs."""

    memory: Memory
    people: Poses
    """What is found, surest first."""
    beside: tuple[Beside, ...]
    """The queries of what is found, as each layer of the box decoder has them."""
    box_values: tuple[Values, ...]
    joint_values: tuple[Values, ...]


def looked(network: PoseNetwork, images: Tensor, padding: Tensor) -> Looked:
    """Encode images and find everybody; arguments as of ``PoseNetwork.forward``."""
    memory = network.encode(images, padding)
    joint_values = network.keypoint_decoder.values(memory)
    steps = network.steps(memory, values=joint_values)
    start = (steps.queries.content, steps.queries.reference)
    states = [start, *((boxes.tokens, boxes.reference) for boxes in steps.boxes)]
    return Looked(
        memory=memory,
        people=steps.poses[-1],
        beside=tuple(
            Beside(tokens, network.frame.place(reference, memory)[0])
            for (tokens, reference), _ in pairwise(states)
        ),
        box_values=network.box_decoder.values(memory),
        joint_values=joint_values,
    )


def read_priors(network: PoseNetwork, image: Looked, priors: PriorGroups) -> Poses:
    """The bodies of ``priors`` as the decoders see them; pinned joints are where they were.

    Raises:
        UsageError: if this network has no codebook of joints.
    """
    tokens = network.codebooks.poses(*priors.group.shape, label=network.config.person)
    boxes = network.box_decoder(
        tokens[:, :, 0],
        priors.boxes,
        image.memory,
        network.frame,
        blocked=strangers(priors.group, image.beside[0].tokens.shape[1]),
        values=image.box_values,
        beside=image.beside,
    )[-1]
    tokens = torch.cat([boxes.tokens[:, :, None], tokens[:, :, 1:]], dim=2)
    where, keypoints = _references(network, boxes, priors)
    return _held(
        network.keypoint_decoder(
            network.keypoint_decoder.at(tokens, where, keypoints),
            image.memory,
            network.frame,
            values=image.joint_values,
            free=(~priors.pinned).to(keypoints.dtype),
        )[-1],
        priors,
    )


def _references(network: PoseNetwork, boxes: Boxes, priors: PriorGroups) -> tuple[Tensor, Tensor]:
    """Where the keypoint decoder starts: boxes [B, P, 4], joints [B, P, K, 2]."""
    where = boxes.reference.detach()
    middle = where[:, :, None, :2]
    pinned = torch.where(priors.pinned[..., None], priors.keypoints.clamp(0, 1), middle)
    where = enlarged(where, pinned)
    known = priors.keypoints.isfinite().all(dim=-1, keepdim=True)
    guess = _first_guess(network, boxes.tokens, where)
    return where, torch.where(known, priors.keypoints.clamp(0, 1), guess)


def _first_guess(network: PoseNetwork, tokens: Tensor, boxes: Tensor) -> Tensor:
    """Where joints of bodies in boxes are looked for first: [B, P, K, 2]."""
    people = People(tokens=tokens.flatten(0, 1)[:, None], boxes=boxes.flatten(0, 1)[:, None])
    start = network.keypoint_decoder.around(people).reference[:, 0, 1:, :2]
    return start.reshape(*tokens.shape[:2], *start.shape[1:])


def _held(poses: Poses, priors: PriorGroups) -> Poses:
    """``poses`` with pinned joints exactly where they were: decoders keep off the very edge."""
    keypoints = torch.where(priors.pinned[..., None], priors.keypoints, poses.keypoints)
    return Poses(
        logits=poses.logits,
        boxes=poses.boxes,
        keypoints=keypoints,
        visibility=poses.visibility,
        tokens=poses.tokens,
        reference=poses.reference,
    )
