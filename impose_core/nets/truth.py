"""What is known of the bodies on one image: what training compares with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """N labelled bodies of one image; places are shares of the image, 0 to 1."""

    labels: Tensor  # int64 [N], class of each
    boxes: Tensor  # cxcywh [N, 4]
    keypoints: Tensor  # xy [N, K, 2]
    labelled: Tensor  # bool [N, K], where ``keypoints`` means something
    visible: Tensor  # bool [N, K], labelled and seen (COCO's 2), not occluded
    area: Tensor  # [N], share of the image that the body covers (COCO's area / (W * H))

    def __len__(self) -> int:
        return self.boxes.shape[0]
