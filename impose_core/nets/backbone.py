"""ResNet (He et al. 2016) with torchvision's state-dict names, without the classifier.

Torchvision itself is not needed. Normalisation is either frozen (published detectors train with
batches too small for statistics) or by groups, for training from scratch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional


class Norm(Enum):
    """How activations are normalised."""

    FROZEN = "frozen"
    """By the statistics of a pretrained network, which never change."""
    GROUP = "group"
    """By groups of channels of the same image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResNetConfig:
    """Which ResNet."""

    depth: int = 50
    """18 or 50."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    norm: Norm = Norm.FROZEN

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels at strides 8, 16 and 32."""
        expansion = _KINDS[self.depth][0].expansion
        _, stride8, stride16, stride32 = (width * expansion for width in self.widths)
        return stride8, stride16, stride32


class FrozenBatchNorm2d(nn.Module):
    """Scale and shift by fixed statistics; four buffers, nothing is learned."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, C, h, w]."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None].to(x.dtype) + shift[:, None, None].to(x.dtype)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, norm: _NormLayer) -> None:
        super().__init__()
        self.conv1 = _conv(channels, width, 3, stride)
        self.bn1 = norm(width)
        self.conv2 = _conv(width, width, 3)
        self.bn2 = norm(width)
        self.downsample = _shortcut(channels, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, width, h / stride, w / stride]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (which has the stride), 1x1 and a shortcut."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int, norm: _NormLayer) -> None:
        super().__init__()
        wide = width * self.expansion
        self.conv1 = _conv(channels, width, 1)
        self.bn1 = norm(width)
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = norm(width)
        self.conv3 = _conv(width, wide, 1)
        self.bn3 = norm(wide)
        self.downsample = _shortcut(channels, wide, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, 4 * width, h / stride, w / stride]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Images in, feature maps at strides 8, 16 and 32 out."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        block, repeats = _KINDS[config.depth]
        norm = FrozenBatchNorm2d if config.norm is Norm.FROZEN else group_norm
        stem, *_ = config.widths
        self.conv1 = _conv(3, stem, 7, 2)
        self.bn1 = norm(stem)
        inputs = [stem, *(width * block.expansion for width in config.widths[:3])]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(block, channels, width, count, stride, norm)
            for channels, width, count, stride in zip(
                inputs, config.widths, repeats, (1, 2, 2, 2), strict=True
            )
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """RGB [B, 3, H, W], ImageNet-normalised -> maps at strides 8, 16, 32."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        x = self.layer1(x)
        stride8: Tensor = self.layer2(x)
        stride16: Tensor = self.layer3(stride8)
        stride32: Tensor = self.layer4(stride16)
        return stride8, stride16, stride32


_NormLayer = Callable[[int], nn.Module]
_KINDS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    50: (Bottleneck, (3, 4, 6, 3)),
}


def group_norm(channels: int) -> nn.GroupNorm:
    """32 groups as in the published networks, or as many as divide ``channels`` too."""
    return nn.GroupNorm(gcd(32, channels), channels)


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels: int,
    width: int,
    count: int,
    stride: int,
    norm: _NormLayer,
) -> nn.Sequential:
    first = block(channels, width, stride, norm)
    wide = width * block.expansion
    return nn.Sequential(first, *(block(wide, width, 1, norm) for _ in range(count - 1)))


def _conv(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)


def _shortcut(channels: int, width: int, stride: int, norm: _NormLayer) -> nn.Module | None:
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(_conv(channels, width, 1, stride), norm(width))
