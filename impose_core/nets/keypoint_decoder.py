"""The human-to-keypoint decoder: a person becomes a body, and a body is read again.

Each person has 1 + K tokens: the box, then the joints. Each token looks at the image around its
own reference, so wherever references come from, the decoder starts there: from a person that was
found, a body with some joints clicked, a box drawn by hand, or joints tracked from another frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from impose_core.nets.box_decoder import People
from impose_core.nets.decoder_layer import DecoderLayer, TokenFrame
from impose_core.nets.deformable_attention import Values
from impose_core.nets.heads import box_head, class_head, point_head, visibility_head
from impose_core.nets.memory import Memory
from impose_core.nets.tensor_geometry import moved


class PoseQueries(NamedTuple):
    """Where to look for P bodies, and as what."""

    tokens: Tensor  # [B, P, 1 + K, d]
    reference: Tensor  # cxcywh [B, P, 1 + K, 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """P bodies as one layer sees them; places are shares of the image, 0 to 1.

    ``reference`` is where the next layer looks; see ``Boxes``.
    """

    logits: Tensor  # [B, P, classes]
    boxes: Tensor  # cxcywh [B, P, 4]
    keypoints: Tensor  # xy [B, P, K, 2]
    visibility: Tensor | None  # logit of being seen [B, P, K]
    tokens: Tensor  # [B, P, 1 + K, d], normalised; [:, :, 0] is what tracking compares
    reference: Tensor  # cxcywh [B, P, 1 + K, 4]


class KeypointDecoder(nn.Module):
    """Persons in, bodies out, layer by layer."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        depth: int,
        levels: int,
        heads: int,
        points: int,
        classes: int,
        joints: int,
        ranks: int | None,
        boxes_meet: bool,
        visibility: bool,
    ) -> None:
        """As ``PoseConfig`` says; ``ranks`` rows of joint contents per joint, or one for all."""
        super().__init__()
        self.joints, self.ranks, self.boxes_meet = joints, ranks, boxes_meet
        self.layers = nn.ModuleList(
            DecoderLayer(width, hidden, levels=levels, heads=heads, points=points)
            for _ in range(depth)
        )
        self.class_heads = nn.ModuleList(class_head(width, classes) for _ in range(depth))
        self.box_heads = nn.ModuleList(box_head(width) for _ in range(depth))
        self.joint_heads = nn.ModuleList(point_head(width) for _ in range(depth))
        self.size_head = point_head(width)
        self.start_head = point_head(width)
        self.content = nn.Embedding((ranks or 1) * joints, width)
        self.sizes = nn.Embedding(joints, 2)
        self.visibility_head = visibility_head(width) if visibility else None

    def around(self, people: People) -> PoseQueries:
        """Bodies to look for in boxes, best person first: joints start about the boxes' middles."""
        batch, persons, width = people.tokens.shape
        content = self.content.weight.reshape(-1, self.joints, width)
        if self.ranks is None:
            content = content + people.tokens[:, :, None]
        else:
            content = content[:persons].expand(batch, -1, -1, -1)
        xy = moved(people.boxes[:, :, None, :2], self.start_head(content))
        tokens = torch.cat([people.tokens[:, :, None], content], dim=2)
        return self.at(tokens, people.boxes, xy)

    def at(self, tokens: Tensor, boxes: Tensor, keypoints: Tensor) -> PoseQueries:
        """Tokens [B, P, 1 + K, d] at boxes [B, P, 4] and joints xy [B, P, K, 2]."""
        sizes = boxes[:, :, None, 2:] * self.sizes.weight.sigmoid()
        joints = torch.cat([keypoints, sizes], dim=-1)
        return PoseQueries(tokens, torch.cat([boxes[:, :, None], joints], dim=2))

    def values(self, memory: Memory) -> tuple[Values, ...]:
        """What each layer can read of ``memory``: keep it, and a click costs little."""
        layers = cast(Sequence[DecoderLayer], self.layers)
        return tuple(layer.values(memory) for layer in layers)

    def forward(
        self,
        queries: PoseQueries,
        memory: Memory,
        frame: TokenFrame,
        *,
        values: tuple[Values, ...] | None = None,
        free: Tensor | None = None,
        blocked: Tensor | None = None,
    ) -> list[Poses]:
        """What each layer makes of the bodies.

        Args:
            queries: P bodies for each image of ``memory``.
            memory: of B images.
            frame: as of the box decoder.
            values: what ``values(memory)`` said, if it is kept.
            free: [B, P, K], how freely each joint moves: 0 is pinned, 1 as the network likes.
            blocked: bool [P * (1 + K)] squared, which tokens must not see which; without it each
                body sees only itself (and box tokens each other, if the network was made so).
        """
        values = self.values(memory) if values is None else values
        tokens, reference = queries
        group = 1 + self.joints
        if blocked is None and self.boxes_meet:
            blocked = apart(tokens.shape[1], self.joints, boxes_meet=True, device=tokens.device)
        moving = 1.0 if free is None else free[..., None]
        poses = []
        for index, (layer, readable) in enumerate(zip(self.layers, values, strict=True)):
            position, per_level = frame.place(reference.detach().flatten(1, 2), memory)
            flat = layer(
                tokens.flatten(1, 2),
                position,
                per_level,
                readable,
                blocked=blocked,
                group=group if blocked is None else None,
            )
            tokens = flat.unflatten(1, (-1, group))
            poses.append(self._poses(index, tokens, frame.norm(tokens), reference, moving))
            reference = poses[-1].reference
        return poses

    def _poses(
        self, index: int, tokens: Tensor, clear: Tensor, reference: Tensor, moving: Tensor | float
    ) -> Poses:
        box_of, joint_of = self.box_heads[index], self.joint_heads[index]
        before = reference.detach()
        box = moved(before[:, :, 0], box_of(tokens[:, :, 0]))
        by = torch.cat(
            [joint_of(tokens[:, :, 1:]) * moving, self.size_head(tokens[:, :, 1:])], dim=-1
        )
        joints = moved(before[:, :, 1:], by)
        seen = self.visibility_head
        return Poses(
            logits=self.class_heads[index](clear[:, :, 0]),
            boxes=moved(reference[:, :, 0], box_of(clear[:, :, 0])),
            keypoints=moved(reference[:, :, 1:, :2], joint_of(clear[:, :, 1:]) * moving),
            visibility=None if seen is None else seen(clear[:, :, 1:])[..., 0],
            tokens=clear,
            reference=torch.cat([box[:, :, None], joints], dim=2),
        )


def apart(persons: int, joints: int, *, boxes_meet: bool, device: torch.device) -> Tensor:
    """Bool [P * (1 + K)] squared, True where the row must not see the column.

    A token sees the tokens of its own person; where ``boxes_meet``, box tokens see all boxes.
    """
    index = torch.arange(persons * (1 + joints), device=device)
    person, is_box = index // (1 + joints), index % (1 + joints) == 0
    blocked = person[:, None] != person
    return blocked & ~(is_box[:, None] & is_box) if boxes_meet else blocked
