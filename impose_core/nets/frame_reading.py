"""A pose network at work: images and priors as arrays in, bodies in pixels out."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.pose_network import IMAGENET_DEVIATION, IMAGENET_MEAN, PoseNetwork
from impose_core.nets.prior_groups import Looked, PriorGroups, looked, read_priors
from impose_core.nets.tensor_geometry import to_xyxy

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

SHORT, LONG = 800, 1333
"""Pixels: sides of images as the published networks see them, where a file does not say."""
KEPT: Final = 2
"""Images whose features stay at hand: computed, 160 MB each for ResNet-50 at full size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBodies:
    """N bodies on one image.

    Attributes:
        xy: float64 [N, K, 2] pixels of the image.
        score: float64 [N, K], 0 to 1: that it is a person, times that the joint is seen (if the
            network tells).
        person: float64 [N], 0 to 1, that it is a person.
        box_xyxy: float64 [N, 4] pixels.
        appearance: float64 [N, d], the box's token.
    """

    xy: Floats
    score: Floats
    person: Floats
    box_xyxy: Floats
    appearance: Floats

    def pick(self, chosen: NDArray[np.int64]) -> ReadBodies:
        """The bodies ``chosen``, in that order."""
        return ReadBodies(**{name: getattr(self, name)[chosen] for name in self.__slots__})


class FrameReading:
    """Looks at images with a pose network; the latest ones are not encoded again.

    Args:
        network: is put into evaluation mode.
        size: height and width in pixels that images are fitted into; without, as the published
            networks see them.
        device: where it runs.
    """

    def __init__(
        self,
        network: PoseNetwork,
        *,
        size: tuple[int, int] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.network, self._size = network.to(device).eval(), size
        self._device = torch.device(device)
        self._kept: OrderedDict[tuple[tuple[int, ...], bytes], Looked] = OrderedDict()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def found(self, image: Image) -> ReadBodies:
        """Everybody the network proposes on ``image`` [H, W, 3] RGB, surest first."""
        return self._bodies(self._looked(image).people, image)

    @torch.inference_mode()
    def around(
        self, image: Image, box_xyxy: Floats, xy: Floats, pinned: NDArray[np.bool_]
    ) -> ReadBodies:
        """One body, read from where it is thought to be.

        It is read by itself, so that the same prior brings the same bits whoever is beside it.

        Args:
            image: [H, W, 3] RGB.
            box_xyxy: [4] pixels.
            xy: [K, 2] pixels; NaN where nothing is known.
            pinned: [K], joints that stay where they are.

        Raises:
            UsageError: if the network cannot decode bodies again.
        """
        size = np.array(image.shape[1::-1], np.float64)
        low, high = (np.clip(corner / size, 0, 1) for corner in (box_xyxy[:2], box_xyxy[2:]))
        box = np.concatenate([(low + high) / 2, high - low])
        priors = PriorGroups(
            boxes=self._tensor(box)[None, None],
            keypoints=self._tensor(xy / size)[None, None],
            pinned=torch.from_numpy(pinned).to(self._device)[None, None],
            group=torch.zeros(1, 1, dtype=torch.int64, device=self._device),
        )
        bodies = self._bodies(read_priors(self.network, self._looked(image), priors), image)
        bodies.xy[0, pinned] = xy[pinned]  # to the last bit, which shares of the image lose
        return bodies

    def _looked(self, image: Image) -> Looked:
        key = (image.shape, hashlib.blake2b(image.tobytes()).digest())
        with self._lock:
            if key not in self._kept:
                self._kept[key] = looked(self.network, *self._prepared(image))
                if len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def _prepared(self, image: Image) -> tuple[Tensor, Tensor]:
        """The image as the network knows images [1, 3, H, W], and its padding [1, H, W]."""
        height, width = image.shape[:2]
        if self._size is None:
            scale = min(SHORT / min(height, width), LONG / max(height, width))
        else:
            scale = min(self._size[0] / height, self._size[1] / width)
        h, w = (max(round(side * scale), 1) for side in (height, width))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = (
            image if (h, w) == (height, width) else cv2.resize(image, (w, h), interpolation=how)
        )
        full = self._size or (h, w)
        mean, deviation = (
            torch.tensor(part)[:, None, None] for part in (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )
        images = torch.zeros(1, 3, *full)
        pixels = torch.from_numpy(np.array(picture)).permute(
            2, 0, 1
        )  # a copy: images may be locked
        images[0, :, :h, :w] = (pixels / 255 - mean) / deviation
        padding = torch.ones(1, *full, dtype=torch.bool)
        padding[:, :h, :w] = False
        return images.to(self._device), padding.to(self._device)

    def _bodies(self, poses: Poses, image: Image) -> ReadBodies:
        """The bodies of the only image."""
        size = np.array(image.shape[1::-1], np.float64)
        person = _array(poses.logits[0, :, self.network.config.person].sigmoid())
        seen = np.ones(poses.keypoints.shape[1:3])
        if poses.visibility is not None:
            seen = _array(poses.visibility[0].sigmoid())
        return ReadBodies(
            xy=_array(poses.keypoints[0]) * size,
            score=person[:, None] * seen,
            person=person,
            box_xyxy=_array(to_xyxy(poses.boxes[0])) * np.tile(size, 2),
            appearance=_array(poses.tokens[0, :, 0]),
        )

    def _tensor(self, array: Floats) -> Tensor:
        return torch.tensor(array, dtype=torch.float32, device=self._device)


def _array(tensor: Tensor) -> Floats:
    return tensor.double().cpu().numpy()
