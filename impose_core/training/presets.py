"""What can be trained by name: a network, and how it is trained unless told else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from impose_core.nets.identity_network import IdentityConfig
from impose_core.nets.pose_network import PoseConfig
from impose_core.nets.presets import click_pose_r50, ed_pose_r50, nano
from impose_core.skeleton import Skeleton
from impose_core.training.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A pose network (``pose`` is its configuration by number of joints), or an identity one."""

    pose: Callable[[int], PoseConfig] | None
    settings: Settings


def identity(skeleton: Skeleton, appearance: int) -> IdentityConfig:
    """The paper's ID decoder for a skeleton: pose embedding beside what is seen of a body."""
    return IdentityConfig(appearance=appearance, joints=len(skeleton), edges=tuple(skeleton.edges))


_R50: Final = Settings(
    part="pose", steps=300_000, height=800, width=1333, freeze=("backbone.conv1", "backbone.layer1")
)
PRESETS: Final[Mapping[str, Preset]] = {
    "nano": Preset(
        pose=lambda joints: nano(joints=joints),
        # from scratch: the backbone learns as fast as the rest
        settings=Settings(
            part="pose", steps=60_000, batch=16, height=384, width=512, lr=4e-4, backbone_lr=1.0,
            bodies=20, warmup=500,
        ),
    ),
    "click-pose-r50": Preset(
        pose=lambda joints: click_pose_r50(joints=joints, visibility=False), settings=_R50
    ),
    "ed-pose-r50": Preset(
        pose=lambda joints: ed_pose_r50(joints=joints, visibility=False), settings=_R50
    ),
    "identity": Preset(
        pose=None,
        settings=Settings(
            part="identity", steps=20_000, batch=4, height=384, width=512, average=0.0, warmup=500
        ),
    ),
}  # fmt: skip
