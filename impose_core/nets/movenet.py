"""MoveNet as a torch module: MobileNetV2, a feature pyramid to stride 4, CenterNet heads.

The architecture is that of Google's MoveNet (weights Apache-2.0, see ``models/``); the module
is ours. Unlike the published graphs it takes any batch and any size that is a multiple of 32,
and gives its heads instead of one decoded answer.

A *cell* is a place (row y, column x) of a head, 4 x 4 pixels of the input. ``(y + dy, x + dx) * 4``
is a position in pixels of the input. Joints are in COCO's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from impose_core.errors import IncompatibleCheckpoint, UsageError
from impose_core.nets.mobilenet import Conv, MobileNetV2, Pyramid

JOINTS: Final = 17
CELL: Final = 4
"""Pixels of the input per cell."""
MULTIPLE: Final = 32
"""Height and width of the input must be multiples of this many pixels."""
INPUT_SCALE: Final = 0.007843017578125
"""2 / 255 as the published weights have it, rounded to float16."""
FEATURES: Final = 24
HEAD_WIDTH: Final = 96


class Variant(Enum):
    """The published networks this module can hold: width and heads."""

    THUNDER = "movenet-thunder"
    """One person, the one nearest to the middle of a crop; made for 256 x 256."""
    MULTIPOSE = "movenet-multipose"
    """Every person of an image."""

    @property
    def width(self) -> float:
        """How many times wider than MobileNetV2 itself."""
        return 1.75 if self is Variant.THUNDER else 1.5

    @property
    def heads(self) -> Mapping[str, int]:
        """Channels of each head, in the order of ``Heads``."""
        boxes = {"box_scale": 2, "box_offset": 2} if self is Variant.MULTIPOSE else {}
        joints = {"regress": 2 * JOINTS, "heatmap": JOINTS, "offset": 2 * JOINTS}
        return {"center": 1, **joints, **boxes}


class Heads(NamedTuple):
    """What the network says of every cell; h = H / 4, w = W / 4.

    Channels of ``regress`` and ``offset`` are y, x of joint 0, y, x of joint 1, and so on.
    """

    center: Tensor  # [N, 1, h, w] logit: a person's middle is here
    regress: Tensor  # [N, 34, h, w] (dy, dx) in cells from a middle here to the person's joints
    heatmap: Tensor  # [N, 17, h, w] logit: this joint, of whomever, is here
    offset: Tensor  # [N, 34, h, w] (dy, dx) in cells from a cell to the joint's exact place
    box_scale: Tensor | None = None  # [N, 2, h, w] height, width in cells; multipose only
    box_offset: Tensor | None = None  # [N, 2, h, w] (dy, dx) in cells to the box's middle


class FeaturePyramid(nn.Module):
    """From stride 32 down to stride 4: enlarge, add what the backbone saw there, filter."""

    def __init__(self, stride4: int, stride8: int, stride16: int, stride32: int) -> None:
        super().__init__()
        self.lateral32 = Conv(stride32, 64)
        self.lateral16 = Conv(stride16, 64)
        self.merge16 = Separable(64, 32)
        self.lateral8 = Conv(stride8, 32)
        self.merge8 = Separable(32, FEATURES)
        self.lateral4 = Conv(stride4, FEATURES)
        self.merge4 = Separable(FEATURES, FEATURES)

    def forward(self, features: Pyramid) -> Tensor:
        """Features at four strides -> [N, 24, H/4, W/4]."""
        x = self.lateral32(features.stride32)
        x = self.merge16(_doubled(x) + self.lateral16(features.stride16))
        x = self.merge8(_doubled(x) + self.lateral8(features.stride8))
        merged: Tensor = self.merge4(_doubled(x) + self.lateral4(features.stride4))
        return merged


class Separable(nn.Module):
    """Each channel filtered 3x3, then mixed, then rectified."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.depthwise = Conv(channels_in, channels_in, 3, groups=channels_in, bias=False)
        self.pointwise = Conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C', h, w]."""
        return functional.relu(self.pointwise(self.depthwise(x)))


class Head(nn.Module):
    """One answer per cell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = Separable(FEATURES, HEAD_WIDTH)
        self.output = Conv(HEAD_WIDTH, channels)

    def forward(self, features: Tensor) -> Tensor:
        """[N, 24, h, w] -> [N, channels, h, w]."""
        answer: Tensor = self.output(self.hidden(features))
        return answer


class MoveNet(nn.Module):
    """Images in, heads out."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        self.backbone = MobileNetV2(variant.width)
        self.pyramid = FeaturePyramid(*self.backbone.channels)
        self.heads = nn.ModuleDict({name: Head(size) for name, size in variant.heads.items()})

    def features(self, image: Tensor) -> Tensor:
        """RGB [N, H, W, 3], uint8 or float in 0..255 -> features [N, 24, H/4, W/4].

        Raises:
            UsageError: if the shape is another.
        """
        fits = image.ndim == 4 and image.shape[3] == 3
        if not fits or any(side == 0 or side % MULTIPLE for side in image.shape[1:3]):
            raise UsageError(
                "Expected 'image' to have shape (N, H, W, 3) with H and W multiples of "
                f"{MULTIPLE}, got {tuple(image.shape)}."
            )
        scaled = image.to(self.backbone.stem.weight.dtype).permute(0, 3, 1, 2) * INPUT_SCALE - 1
        features: Tensor = self.pyramid(self.backbone(scaled))
        return features

    def forward(self, image: Tensor) -> Heads:
        """RGB [N, H, W, 3], uint8 or float in 0..255 -> heads at stride 4."""
        features = self.features(image)
        return Heads(**{name: head(features) for name, head in self.heads.items()})


def load_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give ``network`` these weights; every name and shape must agree.

    Raises:
        IncompatibleCheckpoint: naming what is missing, unknown or of another shape.
    """
    own = network.state_dict()
    wrong = [
        f"{name}: expected shape {tuple(own[name].shape)}, got {tuple(state[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    wrong += [f"{name} is missing" for name in own.keys() - state.keys()]
    wrong += [f"{name} is unknown" for name in state.keys() - own.keys()]
    if wrong:
        raise IncompatibleCheckpoint(
            f"Expected the {len(own)} tensors of {type(network).__name__}, got {len(state)} of "
            f"which {len(wrong)} do not fit; first: {min(wrong)}."
        )
    network.load_state_dict(dict(state), strict=True)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
