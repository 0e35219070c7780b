"""The detector's work: everybody on an image, without a click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cvat_function.images import decoded
from cvat_function.requests import detect_request
from cvat_function.shapes import DIGITS
from cvat_function.spec import LABEL
from impose_core.geometry import inside_image
from impose_core.readers import PoseReader
from impose_core.readers.naming import columns, renamed
from impose_core.skeleton import Skeleton

SEEN: Final = 0.1
"""Score below which a joint is not told (as in ``readers/people.py``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Answers requests; keeps nothing between them.

    Attributes:
        reader: finds people.
        skeleton: whose joints the function's label has.
    """

    reader: PoseReader
    skeleton: Skeleton

    def answer(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """CVAT's detector call: a skeleton per person, nobody an empty list.

        Every element of the label is in every skeleton; joints that the reader does not know,
        does not see, or sees beyond the image are outside.

        Raises:
            UsageError: if the request is not what CVAT sends.
            MediaError: if its image cannot be read.
        """
        request = detect_request(body)
        image = decoded(request.image)
        found = self.reader.detect(image)
        at = columns(self.skeleton, self.reader.skeleton)
        height, width = image.shape[:2]
        told = []
        for xy, score in zip(
            renamed(found.xy, at, np.nan), renamed(found.score, at, 0.0), strict=True
        ):
            seen = inside_image(xy, width=width, height=height) & (score >= SEEN)
            known = score[at >= 0]
            if seen.any() and known.mean() >= request.threshold:
                told.append(self._skeleton(xy, score, seen, float(known.mean())))
        return told

    def _skeleton(
        self,
        xy: NDArray[np.float64],
        score: NDArray[np.float64],
        seen: NDArray[np.bool_],
        confidence: float,
    ) -> dict[str, Any]:
        places = np.where(seen[:, None], xy, xy[seen].mean(0))
        return {
            "confidence": f"{confidence:.3f}",
            "label": LABEL,
            "type": "skeleton",
            "elements": [
                {
                    "label": keypoint,
                    "type": "points",
                    "points": [round(float(v), DIGITS) for v in places[k]],
                    "outside": 0 if seen[k] else 1,
                    "confidence": f"{score[k]:.3f}",
                }
                for k, keypoint in enumerate(self.skeleton.keypoints)
            ],
        }
