"""Who stands where, who moves how, and what the camera does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.skeleton import COCO17
from impose_core.synthesis.body import Array, Body, build_body, dance, gait, smooth_noise, wardrobe
from impose_core.synthesis.config import SceneConfig
from impose_core.synthesis.raster import Solids
from impose_core.synthesis.textures import cloth, room

_FLOOR = 1.25  # metres below the camera
_FOCAL = 1.75  # focal length over image height
_ROOM_SPAN = 1.7  # width of the painted room over width of the image
_ROOM_DETAIL = 1.5  # texels of the room per pixel
_HERTZ = {"walk": 0.0, "dance": 0.5, "fast": 1.15}
_SPEED = {"walk": 1.1, "dance": 0.8, "fast": 1.5}  # metres per second where people cross


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything in a scene over S moments, world frame, metres.

    Attributes:
        solids: the parts of person 0, of person 1, ..., then the posts.
        joints: float64 [S, N, 17, 3], COCO17.
        view: float64 [S, 3, 3], world to camera; the camera turns about the origin.
        focal: float64 [S], pixels.
        room: uint8 [h, w, 3], what is behind everything.
        room_rays: float64 [3, 3], homogeneous texel to direction in the world.
        size: width and height of the image, pixels.
    """

    solids: Solids
    joints: Array
    view: Array
    focal: Array
    room: NDArray[np.uint8]
    room_rays: Array
    size: tuple[int, int]


def build_stage(config: SceneConfig, time: Array) -> Stage:
    """The stage of ``config`` at the moments ``time`` [S], seconds."""
    bodies = _people(config, time)
    posts = _posts(config, len(time))
    view, focal = _camera(config, time)
    fine = config.height * _FOCAL * _ROOM_DETAIL
    shape = tuple(int(s * _ROOM_SPAN * _ROOM_DETAIL) for s in (config.height, config.width))
    rng = np.random.default_rng([config.seed, 1])
    picture = room(rng, config.texture, shape=(shape[0], shape[1]), focal=fine, floor_height=_FLOOR)
    rays = np.array([[1 / fine, 0, -shape[1] / 2 / fine], [0, 1 / fine, -shape[0] / 2 / fine]])
    people = [np.stack([b.joints[name] for name in COCO17.keypoints], axis=1) for b in bodies]
    return Stage(
        solids=Solids.join([b.solids for b in bodies] + ([posts] if posts else [])),
        joints=np.stack(people, axis=1),
        view=view,
        focal=focal,
        room=picture,
        room_rays=np.vstack([rays, [0, 0, 1]]),
        size=(config.width, config.height),
    )


def _camera(config: SceneConfig, time: Array) -> tuple[Array, Array]:
    """World-to-camera rotations [S, 3, 3] and focal lengths [S] in pixels."""
    rng = np.random.default_rng([config.seed, 2])

    def wave(hertz: float) -> Array:
        phase, rate = rng.uniform(0, 2 * np.pi, 2), hertz * rng.uniform(0.7, 1.3, 2)
        return np.asarray(np.sin(2 * np.pi * np.outer(time, rate) + phase).sum(axis=1) / 1.6)

    pan = config.camera * (0.11 * wave(0.22) + 0.0025 * wave(4.0))
    tilt = config.camera * (0.035 * wave(0.2) + 0.0025 * wave(4.5))
    roll = config.camera * (0.045 * wave(0.18) + 0.002 * wave(3.5))
    zoom = np.exp(config.camera * 0.09 * wave(0.15))
    cos, sin, one, zero = np.cos, np.sin, np.ones_like(time), np.zeros_like(time)

    def matrix(*rows: list[Array]) -> Array:
        return np.asarray(np.array(rows).transpose(2, 0, 1))

    about_y = matrix([cos(pan), zero, -sin(pan)], [zero, one, zero], [sin(pan), zero, cos(pan)])
    about_x = matrix([one, zero, zero], [zero, cos(tilt), -sin(tilt)], [zero, sin(tilt), cos(tilt)])
    about_z = matrix([cos(roll), -sin(roll), zero], [sin(roll), cos(roll), zero], [zero, zero, one])
    return about_z @ about_x @ about_y, config.height * _FOCAL * zoom


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where a person goes: an ellipse on the floor, at an even angular speed.

    ``middle``, ``reach`` and ``phase`` are pairs for x and z (metres, metres, radians);
    ``rate`` is in radians per second.
    """

    middle: tuple[float, float]
    reach: tuple[float, float]
    phase: tuple[float, float]
    rate: float

    def place(self, time: Array) -> Array:
        """Places [S, 2], x and z, metres."""
        angle = self.rate * time[:, None] + np.asarray(self.phase)
        return np.asarray(np.asarray(self.middle) + np.asarray(self.reach) * np.sin(angle))

    def velocity(self, time: Array) -> Array:
        """Velocities [S, 2], metres per second."""
        angle = self.rate * time[:, None] + np.asarray(self.phase)
        return np.asarray(self.rate * np.asarray(self.reach) * np.cos(angle))

    def travelled(self, time: Array) -> Array:
        """Metres walked [S] since moment 0; before it (a shutter opens early) at that speed."""
        tick = 0.005
        grid = np.arange(0, max(time.max(), 0.0) + 2 * tick, tick)
        speed = np.linalg.norm(self.velocity(grid), axis=1)
        walked = np.concatenate([[0.0], np.cumsum(speed[:-1]) * tick])
        return np.asarray(np.interp(time, grid, walked) + np.minimum(time, 0) * speed[0])


def _people(config: SceneConfig, time: Array) -> list[Body]:
    rng = np.random.default_rng([config.seed, 3])
    ways = (_crossing_ways if config.crossing else _lanes)(rng, config)
    bodies = []
    for index, way in enumerate(ways):
        person = np.random.default_rng([config.seed, 4, index])
        clothes = np.random.default_rng([config.seed, 5, 0 if config.same_clothes else index])
        wear = wardrobe(clothes, person, config.texture)
        tall, root = person.uniform(0.9, 1.06), way.place(time)
        if config.motion == "walk":
            speed = way.velocity(time)
            yaw = np.arctan2(-speed[:, 0], -speed[:, 1])
            angles = gait(person, time, way.travelled(time))
        else:
            hertz = _HERTZ[config.motion]
            yaw = person.uniform(-0.6, 0.6) + 0.9 * smooth_noise(person, time, 0.5 * hertz)
            angles = dance(person, time, hertz)
            sway = [smooth_noise(person, time, 0.6 * hertz) for _ in range(2)]
            root = root + 0.22 * np.stack(sway, axis=-1)
        bodies.append(build_body(angles, yaw=yaw, root=root, floor=_FLOOR, tall=tall, wear=wear))
    return bodies


def _half_width(config: SceneConfig, depth: float) -> float:
    """Metres from the middle of the view to its side at ``depth`` metres."""
    return depth * config.width / (2 * _FOCAL * config.height)


def _lanes(rng: np.random.Generator, config: SceneConfig) -> list[_Way]:
    """Everybody goes round in a place of their own."""
    nearest = 5.0 + 0.15 * max(config.persons - 3, 0)
    lane = 1.7 * _half_width(config, nearest) / config.persons
    ways = []
    for index in range(config.persons):
        reach = min(0.28 * lane, 0.5) if config.motion == "walk" else min(0.12 * lane, 0.2)
        x = (index + 0.5 - config.persons / 2) * lane
        start = rng.uniform(0, 2 * np.pi)
        ways.append(
            _Way(
                middle=(x, nearest + rng.uniform(0.3, 1.2)),
                reach=(reach, 0.8 * reach),
                phase=(start, start + np.pi / 2),
                rate=float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.6)),
            )
        )
    return ways


def _crossing_ways(rng: np.random.Generator, config: SceneConfig) -> list[_Way]:
    """Half go left, half right; they pass each other in the middle of the clip."""
    middle = config.frames / config.fps / 2
    depth = 4.9 + rng.permutation(config.persons) * min(0.6, 4.0 / config.persons)
    ways = []
    for index in range(config.persons):
        z = float(depth[index])
        reach = 0.8 * _half_width(config, z)
        rate = _SPEED[config.motion] * rng.uniform(0.85, 1.15) / reach
        start = -rate * middle + (np.pi if index % 2 else 0.0)
        late = rng.uniform(-0.15, 0.15) * min(config.persons / 3, 2.5)
        ways.append(
            _Way(
                middle=(rng.uniform(-0.2, 0.2), z),
                reach=(reach, 0.15),
                phase=(start + late, start + np.pi / 2),
                rate=float(rate),
            )
        )
    return ways


def _posts(config: SceneConfig, moments: int) -> Solids | None:
    """Upright posts between the camera and the people, or None."""
    count = config.occluders
    if not count:
        return None
    rng = np.random.default_rng([config.seed, 6])
    depth = rng.uniform(2.7, 3.6, count)
    slot = (np.arange(count) + rng.uniform(0.2, 0.8, count)) / count * 2 - 1
    side = np.array([0.8 * _half_width(config, d) for d in depth])
    base = np.stack([slot * side, _FLOOR - rng.uniform(0.7, 2.3, count), depth], axis=-1)
    thick = rng.uniform(0.05, 0.13, count)
    return Solids(
        base=np.broadcast_to(base, (moments, count, 3)),
        rotation=np.broadcast_to(np.eye(3), (moments, count, 3, 3)),
        radius=np.stack([thick, thick * 0.2, thick], axis=-1),
        length=_FLOOR - base[:, 1],
        ratio=np.ones(count),
        textures=tuple(cloth(rng, config.texture) for _ in range(count)),
    )
