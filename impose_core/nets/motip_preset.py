"""MOTIP as published: Deformable DETR, whose tokens are told apart by the ID decoder.

Its configuration for DanceTrack (ResNet-50; code Apache-2.0; mind the terms of the data its
weights were trained on).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from impose_core.nets.deformable_detr import DeformableDetr, DetectorConfig, Persons
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class MotipConfig:
    """A detector and a tracker on its tokens."""

    detector: DetectorConfig
    identity: IdentityConfig


def motip() -> MotipConfig:
    """MOTIP with ResNet-50, 50 words, a memory of 30 looks; its published weights fit."""
    return MotipConfig(
        detector=DetectorConfig(),
        identity=IdentityConfig(appearance=256, fusion="none"),
    )


class MotipNetwork(nn.Module):
    """Both parts; the tracker is asked by itself, through ``identity``."""

    def __init__(self, config: MotipConfig) -> None:
        super().__init__()
        self.detector = DeformableDetr(config.detector)
        self.identity = IdentityNetwork(config.identity)

    def forward(self, images: torch.Tensor, padding: torch.Tensor) -> Persons:
        """Persons on images; arguments as of :class:`DeformableDetr`."""
        found: Persons = self.detector(images, padding)
        return found
