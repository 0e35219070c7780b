"""What a pose reader must promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.skeleton import Skeleton


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What one frame says about N persons.

    Attributes:
        xy: float64 [N, K, 2] pixels (origin at the outer corner of the top-left pixel); NaN
            where nothing was read.
        deviation: float64 [N, K] pixels, one sigma; > 0 where something was read.
    """

    xy: NDArray[np.float64]
    deviation: NDArray[np.float64]


class PoseReader(Protocol):
    """Reads bodies around priors.

    A reader must answer on the K axis of ``skeleton``, NaN for joints it does not know, and
    must return the same for the same input. It may be wrong: its readings are evidence, and
    their bias against the annotator is measured at the anchors and taken out.
    """

    name: str

    def read(
        self,
        image: NDArray[np.uint8],
        skeleton: Skeleton,
        priors: NDArray[np.float64],
        pinned: NDArray[np.bool_],
    ) -> Readings:
        """Read an RGB image [H, W, 3] near ``priors`` [N, K, 2] px (NaN: no prior).

        ``pinned`` [N, K] marks joints a human placed on this frame: the reader may lean on
        them, and must still read them, for there its bias is measured.
        """
        ...
