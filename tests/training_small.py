"""Small networks and scenes that train within seconds."""

from dataclasses import replace

import torch

from impose_core.nets import presets
from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.identity_network import IdentityConfig
from impose_core.nets.pose_network import PoseNetwork
from impose_core.synthesis import SceneConfig, render
from impose_core.training.clips import Clips, clip_of
from impose_core.training.settings import Settings

BACKBONE = ResNetConfig(depth=18, widths=(8, 16, 32, 64), norm=Norm.GROUP)
POSE = Settings(
    part="pose", steps=4, batch=2, height=64, width=96, lr=2e-3, backbone_lr=1.0, warmup=2,
    bodies=4, workers=1, average=0.9,
)  # fmt: skip
IDENTITY = Settings(
    part="identity", steps=4, batch=2, height=64, width=96, lr=2e-3, warmup=2, frames=6,
    relabellings=2, interval=2, workers=1, average=0.0,
)  # fmt: skip
STILL = {"flip": 0.0, "zoom": 1.0, "colour": 0.0}
"""No augmentation of images."""


def pose_config(joints=17, **changes):
    small = {
        "backbone": BACKBONE, "width": 32, "heads": 4, "feed_forward": 32, "points": 2,
        "encoder_layers": 1, "box_layers": 1, "keypoint_layers": 2, "queries": 6, "persons": 3,
        "labels": 3,
    }  # fmt: skip
    return replace(presets.nano(joints=joints), **(small | changes))


def pose_network(**changes):
    """A network that answers differently everywhere: fresh heads would leave all as it is."""
    torch.manual_seed(0)
    network = PoseNetwork(pose_config(**changes)).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network


def identity_config(skeleton, appearance):
    return IdentityConfig(
        appearance=appearance, joints=len(skeleton), edges=tuple(skeleton.edges), pose=32, word=32,
        vocabulary=5, layers=2, head=16, memory=12,
    )  # fmt: skip


def rendered(frames=3, persons=2, seed=0):
    config = SceneConfig(seed=seed, frames=frames, width=96, height=64, persons=persons)
    scene = render(config)
    clip = clip_of("rendered", scene.frames, scene.tracks)
    return Clips(skeleton=scene.tracks.skeleton, clips=(clip,), sources=("rendered",))
