"""Ray-cast tapered, textured capsules into a z-buffer.

Camera frame: x right, y down, z into the scene, metres. Image frame: pixels, origin
at the outer corner of the top-left pixel, as everywhere in this package.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLE = 2
"""Samples per pixel and axis; averaged by :meth:`Canvas.image`."""

_AMBIENT, _DIFFUSE = 0.62, 0.38
_LIGHT = np.array([-0.45, -0.5, -0.74])  # towards the lamp: upper left, behind the camera
_LENS_SIGMA = 0.8  # samples; a lens is never sharper than its sensor
_FAR = np.float32(1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solids:
    """P capsules over S moments.

    A capsule's own frame has y along its axis; its cross-section is an ellipse.

    Attributes:
        base: float64 [S, P, 3], start of the axis, metres.
        rotation: float64 [S, P, 3, 3], columns are the capsule's own axes.
        radius: float64 [P, 3], half widths at the base, metres; y is that of the caps.
        length: float64 [P], metres.
        ratio: float64 [P], width at the tip over width at the base.
        textures: P images uint8 [h, w, 3] RGB: rows along the axis, columns around
            it, the middle column on the capsule's -z side.
    """

    base: NDArray[np.float64]
    rotation: NDArray[np.float64]
    radius: NDArray[np.float64]
    length: NDArray[np.float64]
    ratio: NDArray[np.float64]
    textures: tuple[NDArray[np.uint8], ...]

    @staticmethod
    def join(parts: list[Solids]) -> Solids:
        """All capsules of ``parts`` (same S), in order."""
        return Solids(
            base=np.concatenate([p.base for p in parts], axis=1),
            rotation=np.concatenate([p.rotation for p in parts], axis=1),
            radius=np.concatenate([p.radius for p in parts]),
            length=np.concatenate([p.length for p in parts]),
            ratio=np.concatenate([p.ratio for p in parts]),
            textures=tuple(t for p in parts for t in p.textures),
        )

    def seen_by(self, view: NDArray[np.float64]) -> Solids:
        """The same capsules in the frame of a turning camera, ``view`` [S, 3, 3]."""
        return Solids(
            base=np.einsum("sij,spj->spi", view, self.base),
            rotation=np.einsum("sij,spjk->spik", view, self.rotation),
            radius=self.radius,
            length=self.length,
            ratio=self.ratio,
            textures=self.textures,
        )


def solid_boxes(
    solids: Solids, focal: NDArray[np.float64], centre: tuple[float, float]
) -> NDArray[np.float64]:
    """Image boxes xyxy [S, P, 4] that hold each capsule, pixels, not clipped.

    ``focal`` is [S], pixels. Boxes of capsules nearer than 0.1 m are NaN.
    """
    tip = solids.base + solids.rotation[..., 1] * solids.length[:, None]
    widest = solids.radius.max(axis=-1)
    spheres = ((solids.base, widest), (tip, widest * np.maximum(solids.ratio, 0.1)))
    low, high = [], []
    for middle, radius in spheres:
        depth = np.where(middle[..., 2] - radius > 0.1, middle[..., 2] - radius, np.nan)
        scale = focal[:, None] / depth
        at = np.stack([middle[..., i] * scale + centre[i] for i in (0, 1)], axis=-1)
        # the nearest point of a sphere decides its scale, the true centre its place
        shift = middle[..., :2] * (focal[:, None] / middle[..., 2])[..., None]
        place = shift + np.asarray(centre)
        reach = (radius * scale)[..., None]
        low.append(np.minimum(at, place) - reach)
        high.append(np.maximum(at, place) + reach)
    return np.concatenate([np.fmin(*low), np.fmax(*high)], axis=-1)


def _nearest_hit(
    o: NDArray[np.float32], d: NDArray[np.float32], length: float, ratio: float
) -> NDArray[np.float32]:
    """Ray parameter [h, w] of the first hit with a cone of base radius 1 with round ends.

    ``o`` and ``d`` are [3, h, w] in the capsule's scaled frame; misses are +inf.
    """
    (ox, oy, oz), (dx, dy, dz) = o, d
    slope = np.float32((ratio - 1) / max(length, 1e-6))
    across_a = dx * dx + dz * dz
    across_b = ox * dx + oz * dz
    across_c = ox * ox + oz * oz
    width = slope * oy + 1
    a = across_a - (slope * slope) * (dy * dy)
    b = across_b - slope * dy * width
    disc = b * b - a * (across_c - width * width)
    t = -(b + np.sqrt(np.maximum(disc, 0))) / np.maximum(a, 1e-6)
    y = oy + t * dy
    best = np.where((disc > 0) & (a > 1e-6) & (y >= 0) & (y <= length), t, np.inf)
    a = across_a + dy * dy
    for end, radius in ((0.0, 1.0), (length, ratio)):
        rise = oy - np.float32(end)
        b = across_b + rise * dy
        disc = b * b - a * (across_c + rise * rise - np.float32(radius * radius))
        t = -(b + np.sqrt(np.maximum(disc, 0))) / a
        np.minimum(best, np.where(disc > 0, t, np.inf), out=best)
    return best.astype(np.float32, copy=False)


class Canvas:
    """One exposure: colour, depth and owner of every sample."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        shape = (height * SUPERSAMPLE, width * SUPERSAMPLE)
        self.colour = np.zeros((*shape, 3), np.uint8)
        self.depth = np.full(shape, _FAR, np.float32)
        self.owner = np.full(shape, -1, np.int16)
        self._backdrop = np.zeros_like(self.colour)
        self._backdrop_at: NDArray[np.float64] | None = None

    def clear(self, background: NDArray[np.uint8], to_pixels: NDArray[np.float64]) -> None:
        """Start with ``background`` [h, w, 3], placed by the 3x3 matrix ``to_pixels``.

        Must be the same background every time: a camera at rest gets it from memory.
        """
        # warpPerspective speaks of pixel centres at integers; both sides shift by half
        samples = np.array([[SUPERSAMPLE, 0, -0.5], [0, SUPERSAMPLE, -0.5], [0, 0, 1.0]])
        texels = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
        size = (self.colour.shape[1], self.colour.shape[0])
        matrix = samples @ to_pixels @ texels
        if self._backdrop_at is None or not np.array_equal(matrix, self._backdrop_at):
            mode = cv2.BORDER_REFLECT
            cv2.warpPerspective(background, matrix, size, self._backdrop, borderMode=mode)
            self._backdrop_at = matrix
        np.copyto(self.colour, self._backdrop)
        self.depth.fill(_FAR)
        self.owner.fill(-1)

    def draw(self, solids: Solids, moment: int, focal: float) -> None:
        """Draw all capsules of one moment (camera frame); owner is the capsule's index."""
        now = slice(moment, moment + 1)
        cut = Solids(
            base=solids.base[now],
            rotation=solids.rotation[now],
            radius=solids.radius,
            length=solids.length,
            ratio=solids.ratio,
            textures=solids.textures,
        )
        centre = (self.width / 2, self.height / 2)
        boxes = solid_boxes(cut, np.array([focal]), centre)[0] * SUPERSAMPLE
        limit = np.array([self.colour.shape[1], self.colour.shape[0]] * 2)
        for index, box in enumerate(boxes):
            if np.isnan(box).any():
                continue
            left, top = np.clip(np.floor(box[:2]), 0, limit[:2]).astype(int)
            right, bottom = np.clip(np.ceil(box[2:]), 0, limit[2:]).astype(int)
            if left < right and top < bottom:
                self._draw_one(cut, index, focal, (left, top, right, bottom))

    def _draw_one(
        self, solids: Solids, index: int, focal: float, box: tuple[int, int, int, int]
    ) -> None:
        left, top, right, bottom = box
        radius, rotation = solids.radius[index], solids.rotation[0, index]
        base, length = solids.base[0, index], solids.length[index] / radius[1]
        scaled = (rotation / radius).T  # camera directions into the scaled frame
        scale = focal * SUPERSAMPLE
        u = (np.arange(left, right) + 0.5 - self.colour.shape[1] / 2) / scale
        v = (np.arange(top, bottom) + 0.5 - self.colour.shape[0] / 2) / scale
        across, down = (scaled[:, :1] * u).astype(np.float32), scaled[:, 1:2] * v + scaled[:, 2:]
        d = across[:, None, :] + down.astype(np.float32)[:, :, None]
        # rays start at the capsule's own depth: single precision is then enough
        start = base[2]
        o = np.float32(start) * d - (scaled @ base).astype(np.float32)[:, None, None]
        t = _nearest_hit(o, d, float(length), float(solids.ratio[index]))
        depth = t + np.float32(start)
        view = np.s_[top:bottom, left:right]
        seen = depth < self.depth[view]
        if not seen.any():
            return
        t[~seen] = 0
        x, y, z = o + t * d
        light = (rotation.T @ _LIGHT).astype(np.float32)
        colour = _surface(solids.textures[index], x, y, z, float(length), light)
        np.copyto(self.colour[view], colour, where=seen[..., None])
        np.copyto(self.depth[view], depth, where=seen)
        np.copyto(self.owner[view], np.int16(index), where=seen)

    def image(self) -> NDArray[np.float32]:
        """The exposure at pixel resolution, float32 [H, W, 3], 0 to 255."""
        soft = cv2.GaussianBlur(self.colour, (5, 5), _LENS_SIGMA)
        small = cv2.resize(soft, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32)


def _surface(
    texture: NDArray[np.uint8],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    z: NDArray[np.float32],
    length: float,
    light: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Shaded colour uint8 [h, w, 3] at surface points given in the scaled frame."""
    rows, columns = texture.shape[:2]
    around = cv2.phase(-z, x) * np.float32(columns / (2 * np.pi)) + np.float32(columns / 2 - 0.5)
    along = (y + 1) * np.float32(rows / (length + 2)) - np.float32(0.5)
    colour = cv2.remap(
        texture, around, along.clip(0, rows - 1), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    norm = np.sqrt(np.maximum(x * x + z * z, 1e-6))
    lit = (x * light[0] + z * light[2]) / np.maximum(norm, 1)
    shade = np.maximum(lit, 0) * np.float32(_DIFFUSE) + np.float32(_AMBIENT + 0.08 * light[1])
    return np.asarray(colour * shade[..., None], dtype=np.uint8)
