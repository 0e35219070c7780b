"""The rotation and mirroring a video asks players for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Turn:
    """How a stored image becomes upright: transpose, then mirror rows and columns."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of ``image`` [H, W, 3], upright."""
        if self.swap:
            image = image.transpose(1, 0, 2)
        rows, columns = -1 if self.flip_rows else 1, -1 if self.flip_columns else 1
        return image[::rows, ::columns]


_QUARTER_TURNS = (  # counterclockwise
    Turn(),
    Turn(swap=True, flip_rows=True),
    Turn(flip_rows=True, flip_columns=True),
    Turn(swap=True, flip_columns=True),
)


def turn_of(frame: av.VideoFrame) -> Turn:
    """What the frame's display matrix asks for, to the nearest quarter turn."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV before 19 fails on kinds of side data newer than itself; `rotation` does not
        # look at those (but does not tell mirrored videos either).
        return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if data is None:
        return Turn()
    # (x, y) is shown at (a x + c y, b x + d y), y downwards
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(b) > abs(a):
        return Turn(swap=True, flip_rows=b < 0, flip_columns=c < 0)
    return Turn(flip_rows=d < 0, flip_columns=a < 0)
