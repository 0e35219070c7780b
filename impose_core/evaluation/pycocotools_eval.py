"""pycocotools, told about persons by arrays: its keypoint evaluation without its traps.

A label with id 0 counts as unmatched there, ``loadRes`` cannot read an empty list, and
everything is reported by ``print``.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError

Floats = NDArray[np.float64]

AREA_RANGES: Final = 3
"""All, medium, large: the order of the A axis of what :func:`evaluate` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """P persons on numbered images, as pycocotools is to see them: labels or predictions.

    Attributes:
        images: how many there are, with and without persons.
        image: [P], number of the image.
        triples: [P, K, 3] pixels and visibility.
        box: [P, 4] xywh.
        area: [P].
        score: [P].
        crowd: [P].
        ignored: [P].
    """

    images: int
    image: NDArray[np.int64]
    triples: Floats
    box: Floats
    area: Floats
    score: Floats
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    def joint(self, k: int) -> People:
        """The same persons with keypoint ``k`` alone; ignored where it is not labelled."""
        triples = self.triples[:, k : k + 1]
        return replace(self, triples=triples, ignored=self.ignored | (triples[:, 0, 2] == 0))

    def annotations(self) -> list[dict[str, Any]]:
        """In COCO's form; ids from 1, as pycocotools takes a match with id 0 for none."""
        columns = zip(
            range(1, len(self.image) + 1),
            self.image.tolist(),
            self.triples.reshape(len(self.image), self.triples.shape[1] * 3),
            self.box.tolist(),
            self.area.tolist(),
            self.score.tolist(),
            self.crowd.tolist(),
            self.ignored.tolist(),
            strict=True,
        )
        return [
            {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "keypoints": triples,
                "bbox": box,
                "area": area,
                "score": score,
                "iscrowd": int(crowd),
                "num_keypoints": int(not ignored),  # all that COCOeval asks: 0 or not
            }
            for number, image, triples, box, area, score, crowd, ignored in columns
        ]


def evaluate(
    truth: People, candidates: People, sigmas: Floats, *, ranges: int = AREA_RANGES
) -> tuple[Floats, Floats]:
    """Precision and recall of ``candidates``, -1 where there is nothing to evaluate.

    Args:
        truth: the labels.
        candidates: the predictions; ``crowd`` and ``ignored`` are not looked at.
        sigmas: [K].
        ranges: how many of the area ranges to evaluate, A.

    Returns:
        Precision [T, R, A] and recall [T, A], of T = 10 thresholds and R = 101 recall points.

    Raises:
        UsageError: if pycocotools is not installed.
    """
    index_class, evaluation_class = _pycocotools()
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports by print
        indices = [_indexed(people, index_class()) for people in (truth, candidates)]
        evaluation = evaluation_class(*indices, iouType="keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.params.areaRng = evaluation.params.areaRng[:ranges]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, :, 0], evaluation.eval["recall"][:, 0, :, 0]


def _indexed(people: People, index: Any) -> Any:
    """``people`` in pycocotools' ``COCO``; not by ``loadRes``, which cannot read nothing."""
    index.dataset = {
        "images": [{"id": number} for number in range(people.images)],
        "categories": [{"id": 1}],
        "annotations": people.annotations(),
    }
    index.createIndex()
    return index


def _pycocotools() -> tuple[Any, Any]:
    """The classes ``COCO`` and ``COCOeval``."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise UsageError(
            f"Expected pycocotools to be installed, as COCO's AP is computed by it, got: {error}.",
            hint="pip install 'impose[evaluate]'",
        ) from error
    return COCO, COCOeval
