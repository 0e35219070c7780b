"""The paper's Human-to-Keypoint network, joined (IMPose III-B; Click-Pose, Yang et al. 2023).

``encode`` once per image; ``find`` everybody; ``decode`` bodies again from where somebody says
they are. What a person corrects is kept by ``interaction``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from impose_core.errors import UsageError
from impose_core.nets.backbone import ResNet, ResNetConfig
from impose_core.nets.box_decoder import BoxDecoder, Boxes
from impose_core.nets.decoder_layer import TokenFrame
from impose_core.nets.deformable_attention import Values
from impose_core.nets.denoising import Denoising
from impose_core.nets.encoder import Encoder
from impose_core.nets.keypoint_decoder import KeypointDecoder, PoseQueries, Poses
from impose_core.nets.label_codebooks import LabelCodebooks
from impose_core.nets.memory import Memory, Neck
from impose_core.nets.query_selection import Queries, QuerySelection

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseConfig:
    """What a network is made of; see ``presets``."""

    joints: int = 17
    classes: int = 2
    person: int = 1
    """Which class is a person."""
    width: int = 256
    """Of a token; a multiple of ``heads`` and of 4."""
    feed_forward: int = 2048
    heads: int = 8
    points: int = 4
    backbone: ResNetConfig
    extra_level: bool = True
    """One level more than the backbone's three, at stride 64."""
    encoder_layers: int = 6
    box_layers: int = 2
    keypoint_layers: int = 4
    queries: int = 900
    persons: int = 50
    """At most so many bodies are decoded on an image."""
    content_by_rank: bool = False
    """Joint contents are learned per rank of the person (Click-Pose), not added to its box's."""
    boxes_meet: bool = False
    """Persons see each other's box tokens in the keypoint decoder (ED-Pose)."""
    labels: int = 100
    """Labels of the person codebook."""
    clickable: bool = True
    """There is a codebook of joints, so bodies can be decoded again."""
    visibility: bool = False
    """There is a head that says whether a joint is seen."""

    def __post_init__(self) -> None:
        """Refuses sizes that cannot be.

        Raises:
            UsageError: naming the field.
        """
        for name in ("joints", "classes", "feed_forward", "points", "queries", "persons",
                     "box_layers", "keypoint_layers"):  # fmt: skip
            if getattr(self, name) < 1:
                raise UsageError(f"Expected '{name}' >= 1, got {getattr(self, name)}.")
        if self.width % self.heads or self.width % 4:
            raise UsageError(
                f"Expected 'width' to be a multiple of 4 and of 'heads' = {self.heads}, "
                f"got {self.width}."
            )
        if self.clickable and self.boxes_meet:
            raise UsageError(
                "Expected 'boxes_meet' to be false of a clickable network, got true: a click on "
                "one body would change others."
            )
        if not 0 <= self.person < self.classes:
            raise UsageError(f"Expected 'person' in 0..{self.classes - 1}, got {self.person}.")

    @property
    def levels(self) -> int:
        """Of the feature pyramid."""
        return 3 + self.extra_level


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Everything a pass computed, layer by layer: what training looks at.

    Denoising queries come first on the person axis of ``boxes`` and ``poses``, ``denoising`` many.
    """

    queries: Queries
    boxes: list[Boxes]
    poses: list[Poses]
    denoising: int


class PoseNetwork(nn.Module):
    """Images in, bodies out."""

    def __init__(self, config: PoseConfig) -> None:
        super().__init__()
        self.config = config
        sizes = (config.width, config.feed_forward)
        looks = {"levels": config.levels, "heads": config.heads, "points": config.points}
        self.backbone = ResNet(config.backbone)
        self.neck = Neck(config.backbone.channels, config.width, extra_level=config.extra_level)
        self.encoder = Encoder(*sizes, depth=config.encoder_layers, **looks)
        self.selection = QuerySelection(
            config.width, classes=config.classes, queries=config.queries
        )
        self.frame = TokenFrame(config.width)
        self.box_decoder = BoxDecoder(
            *sizes, depth=config.box_layers, classes=config.classes, **looks
        )
        self.keypoint_decoder = KeypointDecoder(
            *sizes,
            depth=config.keypoint_layers,
            classes=config.classes,
            joints=config.joints,
            ranks=config.persons if config.content_by_rank else None,
            boxes_meet=config.boxes_meet,
            visibility=config.visibility,
            **looks,
        )
        self.codebooks = LabelCodebooks(
            config.width, labels=config.labels, joints=config.joints if config.clickable else None
        )

    def forward(self, images: Tensor, padding: Tensor) -> Poses:
        """Everybody on the images, surest first.

        Args:
            images: RGB [B, 3, H, W], ImageNet-normalised, zero where there is no image.
            padding: bool [B, H, W], True where there is no image.
        """
        memory = self.encode(images, padding)
        return self.find(memory)

    def encode(self, images: Tensor, padding: Tensor) -> Memory:
        """What all decoders see of the images; arguments as of ``forward``."""
        if images.ndim != 4 or images.shape[1] != 3 or padding.shape != images[:, 0].shape:
            raise UsageError(
                "Expected 'images' of shape (B, 3, H, W) and 'padding' of shape (B, H, W), got "
                f"{tuple(images.shape)} and {tuple(padding.shape)}."
            )
        features = self.backbone(images)  # strides 8, 16, 32
        pyramid = self.neck(features, padding)
        memory: Memory = self.encoder(pyramid)
        return memory

    def find(self, memory: Memory, *, values: tuple[Values, ...] | None = None) -> Poses:
        """Everybody in ``memory``, surest first; ``values`` as of ``decode``."""
        return self.steps(memory, values=values).poses[-1]

    def decode(
        self,
        memory: Memory,
        boxes: Tensor,
        keypoints: Tensor,
        *,
        free: Tensor | None = None,
        values: tuple[Values, ...] | None = None,
    ) -> Poses:
        """Bodies read again from where they are said to be; persons do not influence each other.

        Args:
            memory: of B images.
            boxes: cxcywh [B, P, 4], 0 to 1.
            keypoints: xy [B, P, K, 2], 0 to 1.
            free: [B, P, K], how freely each joint moves: 0 is pinned, 1 as the network likes.
            values: what ``keypoint_decoder.values(memory)`` said, if it is kept.

        Raises:
            UsageError: if this network has no codebook of joints.
        """
        return self.decoding_steps(memory, boxes, keypoints, free=free, values=values)[-1]

    def decoding_steps(
        self,
        memory: Memory,
        boxes: Tensor,
        keypoints: Tensor,
        *,
        free: Tensor | None = None,
        values: tuple[Values, ...] | None = None,
    ) -> list[Poses]:
        """As ``decode``, what each layer said."""
        tokens = self.codebooks.poses(*boxes.shape[:2], label=self.config.person)
        queries = self.keypoint_decoder.at(tokens, boxes, keypoints)
        steps: list[Poses] = self.keypoint_decoder(
            queries, memory, self.frame, values=values, free=free
        )
        return steps

    def steps(
        self,
        memory: Memory,
        denoising: Denoising | None = None,
        *,
        values: tuple[Values, ...] | None = None,
    ) -> Steps:
        """What ``find`` does, all of it, with bodies to reconstruct beside in training."""
        queries = self.selection(memory)
        tokens, reference = queries.content, queries.reference
        count, blocked, pose_blocked = 0, None, None
        if denoising is not None:
            count = denoising.boxes.shape[1]
            tokens = torch.cat([denoising.tokens[:, :, 0], tokens], dim=1)
            reference = torch.cat([denoising.boxes, reference], dim=1)
            blocked = denoising.box_mask(queries.content.shape[1])
        boxes = self.box_decoder(tokens, reference, memory, self.frame, blocked=blocked)
        people = self.box_decoder.best(boxes[-1], self.config.persons, first=count)
        bodies = self.keypoint_decoder.around(people)
        if denoising is not None:
            pose_blocked = denoising.pose_mask(people.boxes.shape[1], self.config.boxes_meet)
            bodies = self._with(denoising, boxes[-1], bodies)
        poses = self.keypoint_decoder(
            bodies, memory, self.frame, values=values, blocked=pose_blocked
        )
        return Steps(queries=queries, boxes=boxes, poses=poses, denoising=count)

    def _with(self, denoising: Denoising, last: Boxes, bodies: PoseQueries) -> PoseQueries:
        """The noised bodies, their boxes as the box decoder left them, before the others."""
        count = denoising.boxes.shape[1]
        tokens = torch.cat([last.tokens[:, :count, None], denoising.tokens[:, :, 1:]], dim=2)
        noised = self.keypoint_decoder.at(tokens, last.reference[:, :count], denoising.keypoints)
        return PoseQueries(*(torch.cat(pair, dim=1) for pair in zip(noised, bodies, strict=True)))
