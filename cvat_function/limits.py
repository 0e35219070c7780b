"""What a request may ask for at most; all of it is checked before an image is decoded."""

from __future__ import annotations

from typing import Final

BODY_BYTES: Final = 32 * 2**20
"""Of a request; ``maxRequestBodySize`` of the function files is the same."""
PIXELS: Final = 50_000_000
PERSONS: Final = 50
KEYPOINTS: Final = 200
NAME: Final = 200
"""Characters of a joint's name."""
SHAPE_DEPTH: Final = 8
"""Lists and objects within each other in what a shape carries besides its points."""
SHAPE_BYTES: Final = 16 * 1024
"""JSON of what a shape of 17 joints carries besides its points: its state must take it along."""
STATE_BYTES: Final = 64 * 1024
"""JSON of one person's state at 17 keypoints."""
BYTES_PER_KEYPOINT: Final = 1024
"""What each further joint may add to both."""


def with_keypoints(allowance: int, keypoints: int) -> int:
    """``allowance`` for 17 keypoints, for more of them."""
    return allowance + BYTES_PER_KEYPOINT * max(0, keypoints - 17)
