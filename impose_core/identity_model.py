"""What a learned identity model must promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from impose_core.trajectory_bank import History


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBodies:
    """N bodies of one image.

    Attributes:
        xy: float64 [N, K, 2] pixels (origin at the outer corner of the top-left pixel), NaN where
            the joint is unknown.
        score: float64 [N, K], 0 to 1; 0 where unknown.
        appearance: float64 [N, A]: what the reader saw of each body; A is 0 if it says nothing.
        width, height: pixels of the image.
    """

    xy: NDArray[np.float64]
    score: NDArray[np.float64]
    appearance: NDArray[np.float64]
    width: int
    height: int


class IdentityModel(Protocol):
    """Says who is who, from how bodies look and stand and from who was where.

    It must return the same for the same input and must not keep state between calls.
    """

    name: str
    vocabulary: int
    """Words for persons; the word after them means a newborn."""
    memory: int
    """Looks of the past it can be shown."""
    appearance: int
    """A, width of what it must be told of a body besides its pose; may be 0."""
    width: int
    """F, of the features it remembers bodies by."""

    def embed(self, bodies: SeenBodies) -> NDArray[np.float32]:
        """The features [N, F] by which these bodies are remembered."""
        ...

    def logits(self, history: History, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """[M, vocabulary + 1]: who the bodies with ``feature`` [M, F] are, one look later."""
        ...
