"""Which predicted person a simulated annotator takes for which labelled one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.errors import UsageError
from impose_core.evaluation.conventions import ignored
from impose_core.evaluation.oks import Floats, keypoint_similarity
from impose_core.pose_sets import Instances

Pairs = NDArray[np.int64]
"""[M, 2]: index of the prediction, index of the label; neither comes twice."""

QUERIES = 20
"""Click-Pose matches the 20 predictions with the highest scores."""

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0
CLASS_COST, KEYPOINT_COST, OKS_COST = 2.0, 10.0, 4.0


class Matching(Protocol):
    """Who is who on an image, decided once, before the first click."""

    def __call__(
        self, predicted: Instances, labelled: Instances, image_size: tuple[int, int], /
    ) -> Pairs:
        """Pairs of a prediction and a label; ``image_size`` is width, height in pixels."""
        ...


def matched_as_click_pose(sigmas: Floats) -> Matching:
    """Click-Pose's matching: one Hungarian assignment of class, L1 and OKS costs.

    The cost is 2 · focal cost of the score (alpha .25, gamma 2) + 10 · sum of |dx| and |dy| in
    units of image width and height + 4 · (1 - OKS), the OKS in those units too. Bad matches
    are matches: whoever is left over becomes somebody, and clicks can rescue him.

    Args:
        sigmas: [K] of OKS.
    """

    def match(predicted: Instances, labelled: Instances, image_size: tuple[int, int]) -> Pairs:
        if min(image_size) < 1 or np.isnan(predicted.score).any():
            raise UsageError(
                "Expected image sizes and scores of all predictions for the matching of "
                f"Click-Pose, got size {image_size} and scores {predicted.score.tolist()}."
            )
        best = np.argsort(-predicted.score, kind="stable")[:QUERIES]
        people = np.flatnonzero(~ignored(labelled))
        cost = _costs(predicted.pick(best), labelled.pick(people), image_size, sigmas)
        rows, columns = linear_sum_assignment(cost)
        return np.stack([best[rows], people[columns]], axis=-1)

    return match


def _costs(
    predicted: Instances, labelled: Instances, image_size: tuple[int, int], sigmas: Floats
) -> Floats:
    """[D, G]."""
    share = np.clip(predicted.score, 0.0, 1.0)
    taken = FOCAL_ALPHA * (1 - share) ** FOCAL_GAMMA * -np.log(share + 1e-8)
    left = (1 - FOCAL_ALPHA) * share**FOCAL_GAMMA * -np.log(1 - share + 1e-8)
    counts = labelled.visibility > 0
    # a missing joint is as far off as the image is large
    here = np.nan_to_num(predicted.xy / image_size, nan=-1.0)[:, None]
    there = (labelled.xy / image_size)[None]
    distance = np.where(counts, np.abs(here - there).sum(-1), 0.0).sum(-1)
    area = labelled.area / (image_size[0] * image_size[1])
    terms = keypoint_similarity(here, there, area=area, sigmas=sigmas)
    likeness = np.where(counts, terms, 0.0).sum(-1) / np.maximum(counts.sum(-1), 1)
    costs = (
        CLASS_COST * (taken - left)[:, None] + KEYPOINT_COST * distance + OKS_COST * (1 - likeness)
    )
    return np.asarray(costs)
