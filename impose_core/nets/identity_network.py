"""Who is who, learned: keypoint-aware embedding, ID dictionary, trajectories, ID decoder.

The box of the paper's figure that is called instance-level tracking. Coordinates are pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from impose_core.errors import UsageError
from impose_core.nets.id_decoder import IdDecoder, Tracklets
from impose_core.nets.keypoint_embedding import KeypointEmbedding
from impose_core.nets.trajectory_modeling import TrajectoryModeling

Fusion = Literal["concat", "residual", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """What an identity network is made of.

    Attributes:
        appearance: width of what is seen of a body (the box token of the pose network, or any
            signature); 0 if nothing but its pose is known.
        joints: K.
        edges: of the skeleton, pairs of joints.
        pose: width of the keypoint-aware embedding.
        fusion: "concat" as in the paper (eq. 2); "residual" adds the embedding to the appearance
            with weights that begin at zero, so that a tracker trained without poses can be
            loaded; "none" leaves poses out (the ablation of KP-AE, and MOTIP itself).
        word: width of an ID word.
        vocabulary: words.
        layers: of the ID decoder.
        head: width of an attention head.
        memory: looks of the past that are remembered.
    """

    appearance: int
    joints: int = 17
    edges: tuple[tuple[int, int], ...] = ()
    pose: int = 128
    fusion: Fusion = "concat"
    word: int = 256
    vocabulary: int = 50
    layers: int = 6
    head: int = 32
    memory: int = 30

    def __post_init__(self) -> None:
        if self.fusion not in ("concat", "residual", "none"):
            raise UsageError(
                f"Expected 'fusion' to be concat, residual or none, got {self.fusion!r}."
            )
        if self.fusion != "concat" and self.appearance < 1:
            raise UsageError(f"Expected 'appearance' of 1 or more for fusion {self.fusion!r}.")

    @property
    def feature(self) -> int:
        """Width of a body's feature."""
        return self.appearance + (self.pose if self.fusion == "concat" else 0)


class Bodies(NamedTuple):
    """Bodies on frames; the leading axes are anything, mostly [B, T, N]."""

    appearance: Tensor  # [..., A]
    xy: Tensor  # [..., K, 2] pixels
    known: Tensor  # [..., K] bool: the joint is seen
    box_xyxy: Tensor  # [..., 4] pixels
    image_size: Tensor  # [2] width, height in pixels


class IdentityNetwork(nn.Module):
    """From bodies to features, and from features of past and present to ID logits."""

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__()
        self.config = config
        if config.fusion != "none":
            residual = config.fusion == "residual"
            self.keypoint_embedding = KeypointEmbedding(
                joints=config.joints, edges=config.edges, width=config.pose
            )
            if residual:
                self.pose_residual = nn.Linear(config.pose, config.appearance)
                nn.init.zeros_(self.pose_residual.weight)
                nn.init.zeros_(self.pose_residual.bias)
        self.trajectory_modeling = TrajectoryModeling(config.feature)
        self.id_decoder = IdDecoder(
            feature=config.feature,
            word=config.word,
            vocabulary=config.vocabulary,
            layers=config.layers,
            head=config.head,
            memory=config.memory,
        )

    def embed(self, bodies: Bodies) -> Tensor:
        """Bodies -> features [..., F] (eq. 1, and eq. 2 without the ID word)."""
        if self.config.fusion == "none":
            return bodies.appearance
        pose = self.keypoint_embedding(bodies.xy, bodies.known, bodies.box_xyxy, bodies.image_size)
        if self.config.fusion == "residual":
            return torch.as_tensor(bodies.appearance + self.pose_residual(pose))
        return torch.cat([bodies.appearance, pose], dim=-1)

    def forward(self, history: Tracklets, current: Tracklets) -> Tensor:
        """Logits [B, S, M, vocabulary + 1] of who the ``current`` bodies are."""
        adapted = history._replace(feature=self.trajectory_modeling(history.feature))
        return torch.as_tensor(self.id_decoder(adapted, current))


def coco_identity(appearance: int = 256, *, edges: Sequence[tuple[int, int]]) -> IdentityNetwork:
    """The paper's widths for 17 joints: appearance + 128 + 256 in heads of 32, memory of 30."""
    return IdentityNetwork(IdentityConfig(appearance=appearance, edges=tuple(edges)))
