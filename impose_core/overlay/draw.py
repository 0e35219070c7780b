"""Bodies on an image.

Coordinates are the ledger's: pixels, origin at the outer corner of the top-left pixel;
OpenCV's half pixel stays inside :func:`_at`.

Colours tell the side (Okabe and Ito's, safe for colour-blind eyes): left blue, right orange,
neither white. Shapes tell the source: a white ring is a human's, a plain dot the tool's; a
hollow dot is occluded; a haze has the radius of one standard deviation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.errors import FrameOutOfRange
from impose_core.overlay.sheet import CAP_HEIGHT, DARK, FONT, LIGHT, Colour, Image, check_image
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton

LEFT: Colour = (86, 180, 233)
RIGHT: Colour = (230, 159, 0)
CENTRE: Colour = LIGHT
_WHITE: Colour = (255, 255, 255)
_SHIFT = 4  # OpenCV draws at 1/16 pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayStyle:
    """What :func:`draw_poses` draws.

    Attributes:
        scale: multiplies all widths and radii, which follow body and image size.
        boxes: corner marks of the boxes.
        ids: a tag with the track id above each body.
        deviation: a haze of radius one sigma around joints.
        haze: opacity of hazes and of limbs that end in an occluded joint, 0 to 1.
    """

    scale: float = 1.0
    boxes: bool = True
    ids: bool = True
    deviation: bool = True
    haze: float = 0.4


def draw_poses(
    image: Image, tracks: PoseTracks, frame: int, *, style: OverlayStyle | None = None
) -> Image:
    """``image`` [H, W, 3] RGB with all bodies of ``frame`` on it, as a new image.

    Joints that are absent or unknown (NaN) are not drawn.

    Raises:
        UsageError: if ``image`` is not uint8 [H, W, 3].
        FrameOutOfRange: if the ledger has no such frame.
    """
    check_image("image", image)
    if not 0 <= frame < len(tracks):
        raise FrameOutOfRange(f"Expected 'frame' to be from 0 to {len(tracks) - 1}, got {frame}.")
    style = style or OverlayStyle()
    bodies = [_Body.of(tracks, frame, n, image, style) for n in range(len(tracks.track_id))]
    soft: Image = image.copy()
    sharp: Image = image.copy()
    for body in bodies:
        body.draw_soft(soft, style)
    if style.haze:
        cv2.addWeighted(soft, style.haze, sharp, 1 - style.haze, 0, sharp)
    for body in bodies:
        body.draw_sharp(sharp)
    for body in bodies:
        body.draw_label(sharp, style)
    return sharp


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """One body on one frame, ready to draw; widths are in pixels."""

    skeleton: Skeleton
    track_id: int
    xy: NDArray[np.float64]  # [K, 2]
    drawn: NDArray[np.bool_]  # [K]
    occluded: NDArray[np.bool_]  # [K]
    human: NDArray[np.bool_]  # [K]
    deviation: NDArray[np.float32]  # [K]
    box: NDArray[np.float64]  # [4]
    colours: tuple[Colour, ...]  # K
    width: float
    image_side: int

    @classmethod
    def of(
        cls, tracks: PoseTracks, frame: int, person: int, image: Image, style: OverlayStyle
    ) -> _Body:
        xy = tracks.xy[frame, person]
        visibility = tracks.visibility[frame, person]
        drawn = np.isfinite(xy).all(axis=-1) & (visibility != Visibility.ABSENT)
        side = max(image.shape[:2])
        body = float(np.linalg.norm(np.ptp(xy[drawn], axis=0))) if drawn.any() else 0.0
        # about a seventieth of the body, but neither a hair nor a beam in this image
        width = min(max(body / 75, side / 1000, 1.0), max(side / 240, 1.5)) * style.scale
        return cls(
            skeleton=tracks.skeleton,
            track_id=int(tracks.track_id[person]),
            xy=xy,
            drawn=drawn,
            occluded=drawn & (visibility == Visibility.OCCLUDED),
            human=tracks.origin[frame, person] == Origin.HUMAN,
            deviation=np.nan_to_num(tracks.deviation[frame, person]),
            box=tracks.box[frame, person],
            colours=_side_colours(tracks.skeleton),
            width=width,
            image_side=side,
        )

    @property
    def radius(self) -> float:
        return 1.25 * self.width + 1.25

    def _limbs(self, *, hidden: bool) -> Iterator[tuple[int, int]]:
        for a, b in self.skeleton.edges:
            if self.drawn[a] and self.drawn[b] and (self.occluded[[a, b]].any() == hidden):
                yield a, b

    def _limb_colour(self, a: int, b: int) -> Colour:
        sides = {self.colours[a], self.colours[b]} - {CENTRE}
        return sides.pop() if len(sides) == 1 else CENTRE

    def draw_soft(self, image: Image, style: OverlayStyle) -> None:
        """Hazes, and limbs that go behind something."""
        if style.deviation:
            for k in np.flatnonzero(self.drawn & (self.deviation > self.radius)):
                # twice the image is everywhere; beyond it OpenCV's integers overflow
                reach = min(float(self.deviation[k]), 2.0 * self.image_side)
                _disc(image, self.xy[k], reach, self.colours[k])
        for a, b in self._limbs(hidden=True):
            _line(image, self.xy[a], self.xy[b], self._limb_colour(a, b), self.width)

    def draw_sharp(self, image: Image) -> None:
        """Limbs, then joints."""
        visible = list(self._limbs(hidden=False))
        if self.width >= 1.5:
            for a, b in visible:
                _line(image, self.xy[a], self.xy[b], DARK, self.width + 2)
        for a, b in visible:
            _line(image, self.xy[a], self.xy[b], self._limb_colour(a, b), self.width)
        for k in np.flatnonzero(self.drawn):
            self._draw_joint(image, int(k))

    def _draw_joint(self, image: Image, k: int) -> None:
        at, colour, r = self.xy[k], self.colours[k], self.radius
        rim = max(0.35 * r, 1.0)
        if self.human[k]:
            _disc(image, at, r + 2 * rim, DARK)
            _disc(image, at, r + 1.4 * rim, _WHITE)
            if self.occluded[k]:
                _disc(image, at, r + 0.4 * rim, DARK)
                _ring(image, at, r - 0.4 * rim, colour, rim)
            else:
                if r > 4:  # smaller dots have no room for a dark line inside the ring
                    _disc(image, at, r + 0.4 * rim, DARK)
                _disc(image, at, r - 0.3 * rim, colour)
        elif self.occluded[k]:
            _ring(image, at, r, DARK, rim + 1.5)
            _ring(image, at, r, colour, rim)
        else:
            _disc(image, at, r + 0.6 * rim, DARK)
            _disc(image, at, r, colour)

    def draw_label(self, image: Image, style: OverlayStyle) -> None:
        """Corner marks of the box, and the id."""
        hue, box = person_colour(self.track_id), self.box
        if np.isfinite(box).all():
            if style.boxes:
                _corners(image, box, hue, max(0.7 * self.width, 1.0))
        elif self.drawn.any():
            shown, margin = self.xy[self.drawn], 3 * self.radius
            box = np.concatenate([shown.min(axis=0) - margin, shown.max(axis=0) + margin])
        if style.ids and np.isfinite(box).all():
            height = min(max(self.image_side / 70, 6.0), 22.0) * style.scale
            _tag(image, box[:2], str(self.track_id), hue, height)


def person_colour(track_id: int) -> Colour:
    """A hue for a person: ids that follow each other look different, none like a side.

    Greens, then purples to reds; the blue of left and the orange of right are left out.
    """
    share = 2 * ((0.93 + 0.618034 * track_id) % 1.0)
    low, high = (0.20, 0.45) if share < 1 else (0.72, 0.97)
    hue = low + (high - low) * (share % 1.0)
    pixel = np.array([[[round(hue * 179), 150, 240]]], np.uint8)
    r, g, b = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return int(r), int(g), int(b)


def _side_colours(skeleton: Skeleton) -> tuple[Colour, ...]:
    left = {pair[0] for pair in skeleton.flip_pairs}
    right = {pair[1] for pair in skeleton.flip_pairs}
    return tuple(
        LEFT if k in left else RIGHT if k in right else CENTRE for k in range(len(skeleton))
    )


def _at(xy: NDArray[np.float64]) -> tuple[int, int]:
    """OpenCV's fixed-point place of a point; its pixel centres are at integers."""
    x, y = np.clip(np.round((xy - 0.5) * 2**_SHIFT), -(2**24), 2**24).astype(int)
    return int(x), int(y)


def _line(
    image: Image, a: NDArray[np.float64], b: NDArray[np.float64], colour: Colour, width: float
) -> None:
    cv2.line(image, _at(a), _at(b), colour, max(round(width), 1), cv2.LINE_AA, _SHIFT)


def _disc(image: Image, at: NDArray[np.float64], radius: float, colour: Colour) -> None:
    # an antialiased disc of OpenCV's is half a pixel too wide (4.13)
    fixed = round(max(radius - 0.5, 0.3) * 2**_SHIFT)
    cv2.circle(image, _at(at), fixed, colour, -1, cv2.LINE_AA, _SHIFT)


def _ring(
    image: Image, at: NDArray[np.float64], radius: float, colour: Colour, width: float
) -> None:
    thick = max(round(width), 1)
    cv2.circle(image, _at(at), round(radius * 2**_SHIFT), colour, thick, cv2.LINE_AA, _SHIFT)


def _corners(image: Image, box: NDArray[np.float64], colour: Colour, width: float) -> None:
    """Angles at the four corners of ``box`` xyxy, each a fifth of the shorter side."""
    reach = 0.2 * min(box[2] - box[0], box[3] - box[1])
    for x, toward_x in ((box[0], reach), (box[2], -reach)):
        for y, toward_y in ((box[1], reach), (box[3], -reach)):
            corner = np.array([x, y])
            for step in ((toward_x, 0.0), (0.0, toward_y)):
                _line(image, corner, corner + step, colour, width)


def _tag(
    image: Image, corner: NDArray[np.float64], text: str, colour: Colour, height: float
) -> None:
    """``text`` on a plate that stands on ``corner``, pushed inside the image if need be."""
    scale, thick = height / CAP_HEIGHT, max(round(height / 9), 1)
    (width, _), _ = cv2.getTextSize(text, FONT, scale, thick)
    pad = max(round(0.35 * height), 2)
    wide, tall = width + 2 * pad, round(height) + 2 * pad
    x = int(np.clip(round(float(corner[0])), 0, max(image.shape[1] - wide, 0)))
    y = int(np.clip(round(float(corner[1])) - tall, 0, max(image.shape[0] - tall, 0)))
    cv2.rectangle(image, (x, y), (x + wide - 1, y + tall - 1), colour, -1)
    cv2.putText(image, text, (x + pad, y + tall - pad - 1), FONT, scale, DARK, thick, cv2.LINE_AA)
