"""Seeded clips of moving people, rendered with exact ground truth.

Nothing is read from disk: bodies, clothes and rooms are procedural. The same
configuration gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import COCO17
from impose_core.synthesis.body import PARTS, joint_surface
from impose_core.synthesis.config import DIFFICULTIES, SceneConfig, difficulty
from impose_core.synthesis.raster import SUPERSAMPLE, Canvas, Solids, solid_boxes
from impose_core.synthesis.stage import Stage, build_stage

__all__ = ["DIFFICULTIES", "Scene", "SceneConfig", "difficulty", "iter_frames", "render"]

_SHUTTER = 0.6  # share of the frame time during which the shutter is open


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A clip and its truth.

    Attributes:
        frames: uint8 [T, H, W, 3], RGB.
        tracks: COCO17, track ids 1 to N, origin HUMAN. A joint outside the image is
            ABSENT and its coordinates are NaN; behind something it is OCCLUDED.
            Boxes hold the whole body, seen or not, clipped to the image.
    """

    frames: NDArray[np.uint8]
    tracks: PoseTracks


def render(config: SceneConfig) -> Scene:
    """The whole clip in memory: T * H * W * 3 bytes."""
    shape = (config.frames, config.height, config.width, 3)
    frames = np.empty(shape, np.uint8)
    parts = []
    for index, (image, truth) in enumerate(iter_frames(config)):
        frames[index] = image
        parts.append(truth)
    per_frame = ("xy", "visibility", "origin", "score", "deviation", "box")
    joined = {name: np.concatenate([getattr(p, name) for p in parts]) for name in per_frame}
    tracks = PoseTracks(skeleton=COCO17, track_id=parts[0].track_id, **joined)
    return Scene(frames=frames, tracks=tracks)


def iter_frames(config: SceneConfig) -> Iterator[tuple[NDArray[np.uint8], PoseTracks]]:
    """Frame after frame: image uint8 [H, W, 3] RGB and its truth, one frame long."""
    middle = np.arange(config.frames) / config.fps
    step = (np.arange(config.blur) - (config.blur - 1) / 2) * (_SHUTTER / config.fps / config.blur)
    # the exposures of all frames, then the middles of all frames: one stage for both
    moments = np.concatenate([(middle[:, None] + step).ravel(), middle])
    stage = build_stage(config, moments)
    solids = stage.solids.seen_by(stage.view)
    canvas = Canvas(config.width, config.height)
    sensor = _Sensor(config)
    for frame in range(config.frames):
        light = np.zeros((config.height, config.width, 3), np.float32)
        for moment in range(frame * config.blur, (frame + 1) * config.blur):
            _expose(canvas, stage, solids, moment)
            light += canvas.image()
            if moment == frame * config.blur + config.blur // 2:
                seen = _visible(canvas, stage, moment)
        exact = config.frames * config.blur + frame
        yield sensor.develop(light / np.float32(config.blur)), _truth(stage, solids, exact, seen)


def _expose(canvas: Canvas, stage: Stage, solids: Solids, moment: int) -> None:
    """Render one moment of ``stage`` (``solids`` in the camera frame) on ``canvas``."""
    focal = stage.focal[moment]
    centre = np.array([[1, 0, canvas.width / 2], [0, 1, canvas.height / 2], [0, 0, 1.0]])
    to_pixels = centre @ np.diag([focal, focal, 1.0]) @ stage.view[moment] @ stage.room_rays
    canvas.clear(stage.room, to_pixels)
    canvas.draw(solids, moment, focal)


def _joints_on_image(
    stage: Stage, moment: int, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Joints of one moment: xy [N, 17, 2] pixels, depth [N, 17] metres, and if inside."""
    at = stage.joints[moment] @ stage.view[moment].T
    depth = at[..., 2]
    xy = at[..., :2] * (stage.focal[moment] / np.maximum(depth, 1e-3))[..., None]
    xy = xy + np.asarray(size) / 2
    inside = ((xy >= 0) & (xy < size)).all(axis=-1) & (depth > 0.1)
    return xy, depth, inside


def _visible(canvas: Canvas, stage: Stage, moment: int) -> NDArray[np.bool_]:
    """Which joints [N, 17] are what the canvas shows at their place."""
    size = (canvas.width, canvas.height)
    xy, depth, inside = _joints_on_image(stage, moment, size)
    sample = (np.where(inside[..., None], xy, 0) * SUPERSAMPLE).astype(int)
    front = canvas.depth[sample[..., 1], sample[..., 0]]
    owner = canvas.owner[sample[..., 1], sample[..., 0]]
    seen = np.zeros(depth.shape, np.bool_)
    for k, name in enumerate(COCO17.keypoints):
        deep, parts = joint_surface(name)
        own = np.asarray(parts) + len(PARTS) * np.arange(len(xy))[:, None]
        near = depth[:, k] - front[:, k] < deep
        seen[:, k] = inside[:, k] & near & (owner[:, k, None] == own).any(axis=1)
    return seen


def _truth(stage: Stage, solids: Solids, moment: int, seen: NDArray[np.bool_]) -> PoseTracks:
    """The ledger of one frame."""
    xy, _, inside = _joints_on_image(stage, moment, stage.size)
    n = len(xy)
    now = np.array([moment])
    body = Solids(
        base=solids.base[now, : n * len(PARTS)],
        rotation=solids.rotation[now, : n * len(PARTS)],
        radius=solids.radius[: n * len(PARTS)],
        length=solids.length[: n * len(PARTS)],
        ratio=solids.ratio[: n * len(PARTS)],
        textures=(),
    )
    centre = (stage.size[0] / 2, stage.size[1] / 2)
    parts = solid_boxes(body, stage.focal[now], centre).reshape(n, len(PARTS), 4)
    limit = np.asarray(stage.size, float)
    low = parts[..., :2].min(axis=1).clip(0, limit)
    high = parts[..., 2:].max(axis=1).clip(0, limit)
    box = np.concatenate([low, high], axis=-1)
    box[(high <= low).any(axis=-1)] = np.nan
    level = np.where(seen, Visibility.VISIBLE, Visibility.OCCLUDED)
    return PoseTracks(
        skeleton=COCO17,
        track_id=np.arange(1, n + 1),
        xy=np.where(inside[..., None], xy, np.nan)[None],
        visibility=np.where(inside, level, Visibility.ABSENT).astype(np.uint8)[None],
        origin=np.full((1, n, len(COCO17)), Origin.HUMAN, np.uint8),
        score=np.where(inside, 1, np.nan).astype(np.float32)[None],
        deviation=np.where(inside, 0, np.nan).astype(np.float32)[None],
        box=box[None],
    )


class _Sensor:
    """Noise, rounding and compression."""

    def __init__(self, config: SceneConfig) -> None:
        self.jpeg = config.jpeg
        self._rng = np.random.default_rng([config.seed, 9])
        # one field larger than the image, entered elsewhere every frame: as good as new
        # noise to anything that looks at two frames, and much quicker
        shape = (config.height + 97, config.width + 97, 3)
        field = self._rng.standard_normal(shape, dtype=np.float32)
        self._field = field * np.float32(config.noise)

    def develop(self, light: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The image uint8 [H, W, 3] of an exposure 0 to 255."""
        height, width = light.shape[:2]
        y, x = self._rng.integers(98, size=2)
        noisy = light + self._field[y : y + height, x : x + width]
        image: NDArray[np.uint8] = (noisy + np.float32(0.5)).clip(0, 255).astype(np.uint8)
        if self.jpeg is None:
            return image
        _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.jpeg])
        decoded = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)
        return np.ascontiguousarray(decoded[..., ::-1])
