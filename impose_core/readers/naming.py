"""Joints of one skeleton among those of another, by name."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch
from impose_core.skeleton import Skeleton

FEWEST: Final = 5
"""Common joints below which nobody can be recognised."""
TORSO: Final = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


def columns(skeleton: Skeleton, known: Skeleton) -> NDArray[np.int64]:
    """For each joint of ``skeleton`` its place in ``known``, -1 where that has none.

    Raises:
        SkeletonMismatch: if they have fewer than five joints in common, or no shoulder or hip.
    """
    place = {name: k for k, name in enumerate(known.keypoints)}
    common = [name for name in skeleton.keypoints if name in place]
    if len(common) < FEWEST or not set(common) & set(TORSO):
        raise SkeletonMismatch(
            f"Expected {FEWEST} or more keypoints the reader knows, a shoulder or hip among them, "
            f"got {common} of {list(skeleton.keypoints)}.",
            hint=f"The reader knows {', '.join(known.keypoints)}.",
        )
    return np.array([place.get(name, -1) for name in skeleton.keypoints], np.int64)


def renamed(values: NDArray[np.float64], at: NDArray[np.int64], fill: float) -> NDArray[np.float64]:
    """``values`` [N, J, ...] by one skeleton's joints, by those of another (:func:`columns`)."""
    out = np.full((len(values), len(at), *values.shape[2:]), fill)
    out[:, at >= 0] = values[:, at[at >= 0]]
    return out


def inverse(at: NDArray[np.int64], known: Skeleton) -> NDArray[np.int64]:
    """For each joint of ``known`` its place in the skeleton of :func:`columns` ``at``, or -1."""
    back = np.full(len(known), -1, np.int64)
    back[at[at >= 0]] = np.flatnonzero(at >= 0)
    return back
