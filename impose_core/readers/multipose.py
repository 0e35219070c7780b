"""Everybody on one image, as MoveNet's multi-person heads have them.

A body is found by its middle: a local maximum of ``center``. From there ``regress`` points to
each of its joints, roughly; the best cell of the joint's ``heatmap`` near that place, moved by
``offset``, is where the joint is. Any number of bodies is found (the published graph stops at
six). What the heads mean is written in ``models/cards/movenet.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.readers.protocol import Image

CELL: Final = 4
"""Pixels of the network's input per cell of a head."""
STRIDE: Final = 32
"""Pixels: sides of the network's input are multiples of it."""
LEAST_CENTER: Final = 0.04
"""Score below which a maximum is nobody's middle (measured: lower finds nobody more)."""
MOST: Final = 200
"""Bodies looked at on one image: bounds the work on noise."""
NEIGHBOURS: Final = 2
"""Cells: of two middles closer than this only the better one is one, as in the published graph."""
REACH: Final = 0.12
"""Body sizes, one sigma: how far the regressed place of a joint is off ..."""
LEAST_REACH: Final = 1.5
"""... and cells, for small bodies."""
WINDOW: Final = 10
"""Cells to each side of the regressed place in which the joint is looked for."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """N bodies as one look has them.

    Attributes:
        xy: float64 [N, K, 2] pixels of the image.
        score: float64 [N, K], 0 to 1.
        center: float64 [N], 0 to 1, of their middles.
    """

    xy: Floats
    score: Floats
    center: Floats

    @classmethod
    def joined(cls, looks: list[Bodies]) -> Bodies:
        """All bodies of all looks, one after another."""
        return cls(**{n: np.concatenate([getattr(b, n) for b in looks]) for n in cls.__slots__})

    def pick(self, chosen: NDArray[np.int64]) -> Bodies:
        """The bodies ``chosen``, in that order."""
        return Bodies(**{name: getattr(self, name)[chosen] for name in self.__slots__})


def fitted(image: Image, longer: int) -> tuple[Image, Floats]:
    """``image`` with its longer side ``longer`` pixels, black to the next multiples of 32.

    Returns:
        The picture, and how many pixels of it are one of the image, x and y.
    """
    height, width = image.shape[:2]
    scale = longer / max(height, width)
    w, h = max(round(width * scale), 1), max(round(height * scale), 1)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = image if (h, w) == (height, width) else cv2.resize(image, (w, h), interpolation=how)
    picture = np.zeros((-(-h // STRIDE) * STRIDE, -(-w // STRIDE) * STRIDE, 3), np.uint8)
    picture[:h, :w] = small
    return picture, np.array([w / width, h / height])


def bodies(heads: Mapping[str, NDArray[np.float32]], scale: Floats) -> Bodies:
    """The bodies in ``heads`` (name -> [C, h, w]) of a picture from :func:`fitted`."""
    cells, center = _middles(heads["center"][0])
    joints = len(heads["heatmap"])
    regress = heads["regress"][:, cells[:, 1], cells[:, 0]].reshape(joints, 2, -1)
    guess = cells[:, None] + regress.transpose(2, 0, 1)[..., ::-1].astype(np.float64)
    extent = np.ptp(guess, axis=1) if len(guess) else np.empty((0, 2))
    reach = np.maximum(REACH * np.hypot(extent[:, 0], extent[:, 1]) / 2, LEAST_REACH)
    xy, score = _joints_near(guess, reach, heads["heatmap"], heads["offset"])
    return Bodies(xy=xy * CELL / scale, score=score, center=center)


def _middles(logits: NDArray[np.float32]) -> tuple[NDArray[np.int64], Floats]:
    """Local maxima of ``center`` [h, w], best first: cells [N, 2] (x, y), and scores [N]."""
    around = cv2.dilate(logits, np.ones((2 * NEIGHBOURS + 1,) * 2, np.uint8))
    least = np.log(LEAST_CENTER / (1 - LEAST_CENTER))
    y, x = np.nonzero((logits >= around) & (logits >= least))
    best = np.lexsort((x, y, -logits[y, x]))[:MOST]
    y, x = y[best], x[best]
    return np.column_stack([x, y]).astype(np.int64), _score(logits[y, x])


def _joints_near(
    guess: Floats,
    reach: Floats,
    heatmap: NDArray[np.float32],
    offset: NDArray[np.float32],
) -> tuple[Floats, Floats]:
    """The best cells near ``guess`` [N, K, 2], refined: [N, K, 2] cells, scores [N, K]."""
    joints, height, width = heatmap.shape
    last = np.array([width - 1, height - 1])
    middle = np.clip(np.round(guess), 0, last).astype(np.int64)
    step = np.arange(-WINDOW, WINDOW + 1)
    x, y = middle[..., 0, None] + step, middle[..., 1, None] + step  # [N, K, W]
    far_x, far_y = ((at - guess[..., i, None]) ** 2 for i, at in enumerate((x, y)))
    near = far_y[..., :, None] + far_x[..., None, :]
    weight = np.exp(-near / (2 * reach[:, None, None, None] ** 2))
    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :]
    k = np.arange(joints)[None, :, None, None]
    seen = _score(
        heatmap[k, np.clip(y, 0, height - 1)[..., :, None], np.clip(x, 0, width - 1)[..., None, :]]
    )
    flat = np.where(inside, weight * seen, -1.0).reshape(*guess.shape[:2], len(step) ** 2)
    row, column = np.divmod(flat.argmax(-1), len(step))
    x = np.take_along_axis(x, column[..., None], -1)[..., 0]
    y = np.take_along_axis(y, row[..., None], -1)[..., 0]
    k = np.arange(joints)[None]
    shift = offset.reshape(joints, 2, height, width)[k, :, y, x]  # dy, dx
    place = np.stack([x, y], axis=-1) + shift[..., ::-1]
    return place.astype(np.float64), _score(heatmap[k, y, x])


def _score(logits: NDArray[np.float32]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))
