"""Procedural pictures: cloth, skin, heads, rooms. All seeded, none read from disk."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SKIN = np.array([[236, 196, 170], [214, 164, 130], [174, 120, 86], [122, 82, 58], [88, 58, 44]])
_HAIR = np.array([[40, 30, 26], [88, 58, 36], [150, 110, 60], [28, 28, 34], [120, 120, 120]])
_CLOTH = np.array(
    [
        [176, 48, 44],
        [44, 84, 156],
        [52, 120, 74],
        [206, 170, 62],
        [92, 60, 128],
        [200, 196, 188],
        [58, 62, 70],
        [188, 104, 48],
        [70, 150, 160],
        [150, 130, 104],
    ]
)

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]


def _wrapped_noise(rng: np.random.Generator, size: int, *, fall: float, finest: float) -> Field:
    """Noise [size, size] of unit deviation that joins at its borders.

    Amplitude falls as frequency to the power ``-fall``; nothing is finer than
    ``finest`` texels a cycle.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    gain = np.maximum(frequency, 1 / size) ** -fall * np.exp(-((frequency * finest) ** 4))
    gain[0, 0] = 0
    noise = np.fft.irfft2(spectrum * gain, s=(size, size))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _tinted(base: NDArray[np.float64], pattern: Field, depth: float) -> Picture:
    """``base`` colour [3] made darker and lighter by ``pattern`` [h, w] times ``depth``."""
    return (base * (1 + depth * pattern[..., None])).clip(4, 250).astype(np.uint8)


def cloth(rng: np.random.Generator, texture: float, *, size: int = 128) -> Picture:
    """A cloth of one colour with folds, weave and sometimes a print, [size, size, 3].

    ``texture`` from 0 to 1 scales the contrast of everything on it.
    """
    base = _CLOTH[rng.integers(len(_CLOTH))] * rng.uniform(0.8, 1.1)
    folds = _wrapped_noise(rng, size, fall=1.3, finest=5)
    picture = _tinted(base, folds, 0.16 * texture).astype(np.float32)
    row, column = np.mgrid[0:size, 0:size].astype(np.float32) * np.float32(2 * np.pi / size)
    cycles = int(rng.integers(4, 9))
    kind = rng.integers(5)
    if kind == 0:
        mark = np.sin(cycles * row)
    elif kind == 1:
        mark = np.maximum(np.sin(cycles * row), np.sin(cycles * column))
    elif kind == 2:
        mark = np.sin(cycles * row) * np.sin(cycles * column)
    else:
        mark = _wrapped_noise(rng, size, fall=0.6, finest=12) - np.float32(0.7)
    cover = (0.5 + 3 * mark).clip(0, 1)[..., None] * np.float32(0.55 * texture)
    ink = (_CLOTH[rng.integers(len(_CLOTH))] * rng.uniform(0.6, 1.2)).astype(np.float32)
    dyed = picture * (1 - cover) + ink * cover
    return np.asarray(dyed.clip(4, 250), dtype=np.uint8)


def skin(rng: np.random.Generator, tone: int, texture: float, *, size: int = 96) -> Picture:
    """Skin [size, size, 3]: smooth, with a few soft blotches."""
    blotches = _wrapped_noise(rng, size, fall=1.2, finest=7)
    return _tinted(_SKIN[tone % len(_SKIN)].astype(float), blotches, 0.03 + 0.05 * texture)


def head(rng: np.random.Generator, tone: int, texture: float, *, size: int = 128) -> Picture:
    """A head unrolled, [size, size, 3]: the face in the middle, hair above and behind."""
    picture = skin(rng, tone, texture, size=size)
    hair = _tinted(
        _HAIR[rng.integers(len(_HAIR))].astype(float),
        _wrapped_noise(rng, size, fall=0.8, finest=6),
        0.1 + 0.15 * texture,
    )
    row, column = np.mgrid[0:size, 0:size] / size
    line = 0.27 + 0.42 * ((np.abs(column - 0.5) - 0.14) / 0.14).clip(0, 1)
    cover = ((line - row) * size / 3 + 0.5).clip(0, 1)[..., None]
    picture = (picture * (1 - cover) + hair * cover).astype(np.uint8)
    dark, lips = (40, 28, 26), (150, 62, 60)
    for side in (-1, 1):
        eye = (round(size * (0.5 + side * 0.057)), round(size * 0.40))
        cv2.ellipse(picture, eye, (5, 3), 0, 0, 360, (235, 232, 228), -1, cv2.LINE_AA)
        cv2.circle(picture, eye, 2, dark, -1, cv2.LINE_AA)
        cv2.ellipse(picture, (eye[0], eye[1] - 6), (6, 2), 0, 180, 360, dark, 2, cv2.LINE_AA)
    mouth, nose = (size // 2, round(size * 0.66)), (size // 2, round(size * 0.55))
    cv2.ellipse(picture, mouth, (7, 2), 0, 0, 360, lips, -1, cv2.LINE_AA)
    cv2.ellipse(picture, nose, (4, 3), 0, 0, 180, lips, 1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), dtype=np.uint8)


def _muted(rng: np.random.Generator, low: float, high: float) -> NDArray[np.float64]:
    """A colour [3] of a room, nearer to grey than to any hue."""
    colour = rng.uniform(low, high, 3)
    return np.asarray(0.35 * colour + 0.65 * colour.mean())


def _octaves(rng: np.random.Generator, shape: tuple[int, int], coarsest: int) -> Field:
    """Noise [h, w] of unit deviation; the coarsest grain is ``coarsest`` pixels."""
    out = np.zeros(shape, np.float32)
    grain, weight = coarsest, 1.0
    while grain >= 3:
        grid = (shape[0] // grain + 3, shape[1] // grain + 3)
        layer = rng.standard_normal(grid, dtype=np.float32)
        out += weight * cv2.resize(layer, shape[::-1], interpolation=cv2.INTER_CUBIC)
        grain, weight = grain // 2, weight * 0.62
    return np.asarray(out / out.std(), dtype=np.float32)


def _masonry(rng: np.random.Generator, shape: tuple[int, int], brick: int) -> Field:
    """Courses of bricks [h, w], each of its own grey, with soft joints."""
    row, column = np.mgrid[0 : shape[0], 0 : shape[1]]
    course = row // brick
    shifted = column + (course % 2) * brick
    stone = (shifted // (2 * brick)) % max(shape[1] // (2 * brick), 1)  # joins at the sides
    grey = rng.standard_normal((course.max() + 1, stone.max() + 1), dtype=np.float32)
    joint = np.minimum(row % brick, shifted % (2 * brick)) < max(2, brick // 9)
    field = np.where(joint, np.float32(-2.0), 0.6 * grey[course, stone])
    return np.asarray(cv2.GaussianBlur(field.astype(np.float32), (0, 0), 1.0), dtype=np.float32)


def room(
    rng: np.random.Generator,
    texture: float,
    *,
    shape: tuple[int, int],
    focal: float,
    floor_height: float,
    wall_depth: float = 11.0,
) -> Picture:
    """A wall and a tiled floor [h, w, 3], seen by a camera that looks along z.

    ``focal`` is in pixels of this picture; the floor lies ``floor_height`` metres
    below the camera, the wall ``wall_depth`` metres in front of it.
    """
    height, width = shape
    brick = max(int(focal * rng.uniform(0.3, 0.55) / wall_depth), 12)
    contrast = 0.03 + 0.15 * texture
    paint, bare = _painted_wall(rng, shape, texture)
    field = 0.6 * _octaves(rng, shape, height // 5) + 0.2 * _octaves(rng, shape, 8)
    if rng.random() < 0.6:
        field += 0.7 * _masonry(rng, shape, brick) * bare
    wall = _tinted(paint.astype(float), field, contrast)
    tile = 64
    stones = 0.5 * _wrapped_noise(rng, 1024, fall=1.0, finest=5)
    stones += _masonry(rng, (1024, 1024), tile)
    tiles = _tinted(_muted(rng, 90, 170), stones, contrast)
    row, column = np.mgrid[0:height, 0:width].astype(np.float32) + np.float32(0.5)
    depth = np.float32(floor_height * focal) / np.maximum(row - height / 2, 1e-3)
    place = np.float32(2 * tile) * np.stack([(column - width / 2) / focal * depth, depth])
    ground = cv2.remap(
        tiles,
        place[0].astype(np.float32),
        place[1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.where((depth < wall_depth)[..., None], ground, wall).astype(np.uint8)


def _painted_wall(
    rng: np.random.Generator, shape: tuple[int, int], texture: float
) -> tuple[Picture, Field]:
    """A wall with a dozen rectangles and discs on it, [h, w, 3], and where it is bare, [h, w]."""
    height, width = shape
    plain = _muted(rng, 110, 190)
    wall = np.full((*shape, 3), plain.astype(np.uint8))
    bare = np.ones(shape, np.float32)
    for _ in range(12):
        size = rng.integers(height // 20, height // 6, 2)
        x, y = int(rng.integers(width)), int(rng.integers(height // 2 + height // 12))
        new = plain + (rng.uniform(30, 220, 3) - plain) * (0.2 + 0.5 * texture)
        for layer, colour in ((wall, [int(c) for c in new]), (bare, [0.0])):
            if size[0] > size[1]:
                corner = (x + int(size[0]), y + int(size[1]))
                cv2.rectangle(layer, (x, y), corner, colour, -1, cv2.LINE_AA)
            else:
                cv2.circle(layer, (x, y), int(size[0]), colour, -1)
    return wall, bare
