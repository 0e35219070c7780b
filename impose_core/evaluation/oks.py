"""Object keypoint similarity, as pycocotools defines it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AREA_EPSILON = float(np.spacing(1))
"""What pycocotools adds to an area, so that no area is zero."""


def keypoint_similarity(
    predicted: Floats, labelled: Floats, *, area: Floats, sigmas: Floats
) -> Floats:
    """The term s = exp(-d^2 / (2 kappa^2 A)), kappa = 2 sigma, of each keypoint.

    Args:
        predicted: [..., K, 2] pixels; NaN for a keypoint that is missing, which scores 0.
        labelled: [..., K, 2] pixels.
        area: [...] square pixels, of the label.
        sigmas: [K].

    Returns:
        [..., K], 0 to 1.
    """
    squared = ((predicted - labelled) ** 2).sum(-1)
    scale = 2 * (2 * sigmas) ** 2 * (np.asarray(area)[..., None] + AREA_EPSILON)
    return np.asarray(np.exp(-np.where(np.isnan(squared), np.inf, squared) / scale))


def oks(
    predicted: Floats,
    labelled: Floats,
    visibility: NDArray[np.uint8],
    *,
    area: Floats,
    box_xyxy: Floats,
    sigmas: Floats,
) -> Floats:
    """OKS of every prediction with every label of one image (``COCOeval.computeOks``).

    A label without a labelled keypoint is compared by its box instead: a keypoint within
    the box grown to three times its size is right, others are as far off as they lie
    outside of it, and all keypoints count.

    Args:
        predicted: [D, K, 2] pixels; NaN for a keypoint that is missing.
        labelled: [G, K, 2] pixels.
        visibility: [G, K]; 0 where the keypoint is not labelled. Occluded counts fully.
        area: [G] square pixels, of the label.
        box_xyxy: [G, 4] pixels, of the label.
        sigmas: [K].

    Returns:
        [D, G], 0 to 1.
    """
    counts = visibility > 0
    terms = keypoint_similarity(predicted[:, None], labelled[None], area=area, sigmas=sigmas)
    unlabelled = np.asarray(~counts.any(-1))
    if unlabelled.any():
        low, high = box_xyxy[:, None, :2], box_xyxy[:, None, 2:]
        outside = np.maximum(0, (2 * low - high) - predicted[:, None]) + np.maximum(
            0, predicted[:, None] - (2 * high - low)
        )
        by_box = keypoint_similarity(outside, np.zeros_like(outside), area=area, sigmas=sigmas)
        terms = np.where(unlabelled[None, :, None], by_box, terms)
        counts = counts | unlabelled[:, None]
    return np.asarray((terms * counts).sum(-1) / np.maximum(counts.sum(-1), 1))
