"""What is remembered of each identity: its last pose and motion, its limbs and its clothes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.skeleton import Skeleton

Floats = NDArray[np.float64]

HISTORY: Final = 30
"""Sightings that are remembered of an identity: bounds memory and lets clothes change."""
SPEAKS: Final = 0.2
"""Score from which a joint counts for anything."""
MOTION: Final = 5
"""Sightings over which the motion is taken."""
_TORSO: Final = ("left_shoulder", "right_shoulder", "right_hip", "left_hip")
_SAMPLES: Final = 8
"""Along each side of the torso."""
_COLOUR_SPREAD: Final = 12.0
"""Lab units: how far the clothes of one person are apart from sighting to sighting."""
_LIMB_SPREAD: Final = 0.35
"""Likewise of limb lengths, as logarithms; most of it is foreshortening."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """One body on one frame.

    Attributes:
        frame: where.
        xy: float64 [K, 2] pixels, NaN where the joint is unknown.
        score: float64 [K], 0 to 1; 0 where unknown.
        limbs: float64 [E]: logarithms of the limbs' lengths in pixels, NaN where unknown.
        colour: float64 [C]: of the clothes on the torso (Lab), NaN where it is not seen.
        person: who it is by a human's word; None where nobody said.
        seen: False for a pose nobody saw but a human pointed at.
        appearance: float64 [A]: what the reader's network saw of the body; empty if it says
            nothing.
    """

    frame: int
    xy: Floats
    score: Floats
    limbs: Floats
    colour: Floats
    person: int | None = None
    seen: bool = True
    appearance: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def speaks(self) -> NDArray[np.bool_]:
        """[K]: the joints that are worth comparing."""
        return np.asarray((self.score >= SPEAKS) & np.isfinite(self.xy).all(-1))

    @property
    def size(self) -> float:
        """Pixels: half the diagonal of the extent, 4 at least."""
        known = self.xy[np.isfinite(self.xy).all(-1)]
        return max(float(np.hypot(*np.ptp(known, axis=0))) / 2, 4.0) if len(known) else 4.0


def limb_signature(xy: Floats, score: Floats, skeleton: Skeleton) -> Floats:
    """Logarithms [E] of the lengths of the limbs of ``xy`` [K, 2] whose ends are seen."""
    if not skeleton.edges:
        return np.empty(0)
    ends = np.array(skeleton.edges)
    length = np.linalg.norm(xy[ends[:, 0]] - xy[ends[:, 1]], axis=-1)
    seen = (score[ends] >= SPEAKS).all(-1) & (length > 1)
    return np.where(seen, np.log(np.where(seen, length, 1.0)), np.nan)


def colour_signature(
    image: NDArray[np.uint8], xy: Floats, score: Floats, skeleton: Skeleton
) -> Floats:
    """Mean Lab colours [6] of the upper and the lower half of the torso; NaN if it is not seen."""
    names = skeleton.keypoints
    if not all(name in names for name in _TORSO):
        return np.full(6, np.nan)
    corners = [skeleton.index(name) for name in _TORSO]
    if (score[corners] < SPEAKS).any() or not np.isfinite(xy[corners]).all():
        return np.full(6, np.nan)
    across, down = np.meshgrid(np.linspace(0.2, 0.8, _SAMPLES), np.linspace(0.1, 0.9, _SAMPLES))
    left_top, right_top, right_low, left_low = xy[corners]
    top = left_top + across[..., None] * (right_top - left_top)
    low = left_low + across[..., None] * (right_low - left_low)
    at = (top + down[..., None] * (low - top)).reshape(-1, 2).astype(int)
    height, width = image.shape[:2]
    inside = ((at >= 0) & (at < (width, height))).all(-1).reshape(2, -1)
    at = np.clip(at, 0, (width - 1, height - 1))
    lab = cv2.cvtColor(image[at[:, 1], at[:, 0]][None], cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    halves = lab.reshape(2, -1, 3)
    means = [
        h[i].mean(0) if i.any() else np.full(3, np.nan) for h, i in zip(halves, inside, strict=True)
    ]
    return np.concatenate(means)


@dataclass(slots=True, eq=False)
class Identity:
    """One identity's sightings, in order, and what follows from the latest of them."""

    person: int | None = None
    sightings: list[Sighting] = field(default_factory=list)
    _limbs: deque[Floats] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _colours: deque[Floats] = field(default_factory=lambda: deque(maxlen=HISTORY))

    @classmethod
    def of(cls, sightings: Sequence[Sighting], person: int | None = None) -> Identity:
        """The identity that was seen so."""
        identity = cls(person=person)
        for sighting in sightings:
            identity.add(sighting)
        return identity

    def add(self, sighting: Sighting) -> None:
        """Remember a sighting after all others."""
        self.sightings.append(sighting)
        if sighting.seen:
            self._limbs.append(sighting.limbs)
            self._colours.append(sighting.colour)

    @property
    def limbs(self) -> Floats:
        """Median limb signature of the latest sightings."""
        return _median(self._limbs)

    @property
    def colour(self) -> Floats:
        """Median colour signature of the latest sightings."""
        return _median(self._colours)

    @property
    def motion(self) -> Floats:
        """[2] pixels a frame, over the latest sightings."""
        return motion_of(self.sightings[-MOTION:])


def motion_of(sightings: Sequence[Sighting]) -> Floats:
    """[2] pixels a frame: the median joint's, from the first to the last of ``sightings``."""
    if len(sightings) < 2:
        return np.zeros(2)
    first, last = sightings[0], sightings[-1]
    both = first.speaks & last.speaks
    frames = last.frame - first.frame
    if not both.any() or frames == 0:
        return np.zeros(2)
    return np.asarray(np.median(last.xy[both] - first.xy[both], axis=0) / frames)


def likeness(limbs: tuple[Floats, Floats], colour: tuple[Floats, Floats]) -> float:
    """How alike two signatures are, 0 to 1; 1 where nothing can be compared."""
    off = 0.0
    for (a, b), spread in ((limbs, _LIMB_SPREAD), (colour, _COLOUR_SPREAD)):
        both = np.isfinite(a) & np.isfinite(b) if len(a) == len(b) else np.zeros(0, bool)
        if both.sum() >= 3:
            off += float(np.mean(((a[both] - b[both]) / spread) ** 2))
    return float(np.exp(-off / 2))


def _median(rows: Sequence[Floats] | deque[Floats]) -> Floats:
    if not rows:
        return np.empty(0)
    stacked = np.stack(list(rows))
    known = np.isfinite(stacked).any(0)
    out = np.full(stacked.shape[1], np.nan)
    out[known] = np.nanmedian(stacked[:, known], axis=0)
    return out
