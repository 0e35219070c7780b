"""MobileNetV2 (Sandler et al., 2018) with batch normalisation folded into the convolutions.

Padding is TensorFlow's SAME: at stride 2 and an even side it lies below and to the right only.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

STAGES: Final = (
    # expansion, channels at width 1, blocks, stride of the first block (table 2 of the paper)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM_CHANNELS: Final = 32
TOP_CHANNELS: Final = 1280
TAPS: Final = (2, 5, 9)
"""Blocks whose outputs leave the backbone at strides 4, 8 and 16."""


class Pyramid(NamedTuple):
    """Features of an image [N, 3, H, W], one map per stride."""

    stride4: Tensor  # [N, C, H/4, W/4]
    stride8: Tensor  # [N, C, H/8, W/8]
    stride16: Tensor  # [N, C, H/16, W/16]
    stride32: Tensor  # [N, 1280, H/32, W/32]


def scaled(channels: int, width: float) -> int:
    """Channels at a width: the nearest multiple of 8 that loses no more than a tenth."""
    rounded = max(8, int(channels * width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels * width else rounded + 8


class Conv(nn.Conv2d):
    """A convolution 3x3 or 1x1 with SAME padding."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        size: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        padding = size // 2 if stride == 1 else 0
        super().__init__(channels_in, channels_out, size, stride, padding, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H/stride, W/stride]; H and W must be even at stride 2."""
        if self.stride == (2, 2):
            x = functional.pad(x, (0, 1, 0, 1))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; the input is added where the shapes agree."""

    def __init__(self, channels_in: int, channels_out: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expand = Conv(channels_in, wide) if expansion > 1 else None
        self.depthwise = Conv(wide, wide, 3, stride=stride, groups=wide)
        self.project = Conv(wide, channels_out)
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H/stride, W/stride]."""
        wide = functional.relu6(self.expand(x)) if self.expand is not None else x
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return x + narrow if self.adds_input else narrow


class MobileNetV2(nn.Module):
    """The backbone without its classifier."""

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = scaled(STEM_CHANNELS, width)
        self.stem = Conv(3, channels, 3, stride=2)
        blocks: list[InvertedResidual] = []
        for expansion, base, count, stride in STAGES:
            for repeat in range(count):
                step = stride if repeat == 0 else 1
                after = scaled(base, width)
                blocks.append(InvertedResidual(channels, after, expansion=expansion, stride=step))
                channels = after
        self.blocks = nn.ModuleList(blocks)
        self.top = Conv(channels, TOP_CHANNELS)
        stride4, stride8, stride16 = (blocks[tap].project.out_channels for tap in TAPS)
        self.channels = (stride4, stride8, stride16, TOP_CHANNELS)

    def forward(self, x: Tensor) -> Pyramid:
        """Image [N, 3, H, W] in -1..1, H and W multiples of 32 -> features at four strides."""
        x = functional.relu6(self.stem(x))
        taps: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                taps.append(x)
        stride4, stride8, stride16 = taps
        return Pyramid(stride4, stride8, stride16, functional.relu6(self.top(x)))
