"""Networks by name: the published ones, and a small one of our own.

Figures of the published ones are those of their configuration files.
"""

from __future__ import annotations

from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.pose_network import PoseConfig


def click_pose_r50(*, joints: int = 17, visibility: bool = False) -> PoseConfig:
    """Click-Pose with ResNet-50 (Yang et al., ICCV 2023); its published weights fit."""
    return PoseConfig(
        joints=joints,
        backbone=ResNetConfig(depth=50),
        persons=50,
        content_by_rank=True,
        visibility=visibility,
    )


def ed_pose_r50(*, joints: int = 17, visibility: bool = False) -> PoseConfig:
    """ED-Pose with ResNet-50 (Yang et al., ICLR 2023); it finds bodies, but takes no clicks."""
    return PoseConfig(
        joints=joints,
        backbone=ResNetConfig(depth=50),
        persons=100,
        boxes_meet=True,
        clickable=False,
        visibility=visibility,
    )


def nano(*, joints: int = 17) -> PoseConfig:
    """A small network to train from scratch: images of 384 x 512 pixels, up to 20 persons."""
    return PoseConfig(
        joints=joints,
        width=128,
        feed_forward=512,
        backbone=ResNetConfig(depth=18, widths=(32, 64, 128, 256), norm=Norm.GROUP),
        extra_level=False,
        encoder_layers=2,
        box_layers=2,
        keypoint_layers=2,
        queries=300,
        persons=20,
        visibility=True,
    )
