"""What to render, and the named difficulties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from impose_core.errors import UsageError

Motion = Literal["walk", "dance", "fast"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """What to render.

    Attributes:
        seed: everything random follows from it.
        frames: length T.
        width: pixels.
        height: pixels.
        fps: frames per second; sets how far things move between frames.
        persons: number of people N.
        crossing: people walk through the middle past each other, mid-clip, at
            different depths; otherwise each keeps to a lane.
        motion: "walk" (a gait), "dance" (whole body, about 0.5 Hz) or "fast"
            (about 1.15 Hz).
        camera: strength of pan, tilt, roll, zoom and shake; 0 is a tripod, 1 strong.
        blur: sub-frames averaged into one exposure; 1 is a frozen moment.
        texture: contrast of clothes and room, 1 rich to 0.15 low.
        occluders: number of posts in front of the people.
        noise: sensor noise, sigma in grey levels.
        jpeg: JPEG quality 1 to 100 every frame goes through, or None.
        same_clothes: everybody wears the same.

    Raises:
        UsageError: if a field is out of range.
    """

    seed: int
    frames: int = 60
    width: int = 640
    height: int = 360
    fps: float = 30.0
    persons: int = 3
    crossing: bool = False
    motion: Motion = "walk"
    camera: float = 0.0
    blur: int = 1
    texture: float = 1.0
    occluders: int = 0
    noise: float = 1.0
    jpeg: int | None = None
    same_clothes: bool = False

    def __post_init__(self) -> None:
        low = {"seed": 0, "frames": 1, "width": 16, "height": 16, "persons": 1, "blur": 1}
        low |= {"occluders": 0, "camera": 0, "noise": 0, "texture": 0}
        for name, least in low.items():
            if getattr(self, name) < least:
                raise UsageError(
                    f"Expected '{name}' to be at least {least}, got {getattr(self, name)}."
                )
        if self.fps <= 0:
            raise UsageError(f"Expected 'fps' to be above 0, got {self.fps}.")
        if self.motion not in ("walk", "dance", "fast"):
            raise UsageError(f"Expected 'motion' to be walk, dance or fast, got {self.motion!r}.")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise UsageError(f"Expected 'jpeg' to be from 1 to 100 or None, got {self.jpeg}.")


DIFFICULTIES = (
    "easy",
    "camera",
    "low_texture",
    "fast",
    "blur",
    "crossing",
    "crossing_fast_low_texture",
    "occluders",
    "many",
)
"""Names that :func:`difficulty` knows."""


def difficulty(name: str, seed: int, *, frames: int = 60) -> SceneConfig:
    """The named preset, 640x360 at 30 frames per second.

    Raises:
        UsageError: if ``name`` is not one of :data:`DIFFICULTIES`.
    """
    match name:
        case "easy":
            return SceneConfig(seed=seed, frames=frames)
        case "camera":
            return SceneConfig(seed=seed, frames=frames, camera=1.0)
        case "low_texture":
            return SceneConfig(seed=seed, frames=frames, camera=0.6, texture=0.15, noise=2.0)
        case "fast":
            return SceneConfig(seed=seed, frames=frames, motion="fast")
        case "blur":
            return SceneConfig(seed=seed, frames=frames, motion="fast", camera=0.6, blur=5)
        case "crossing":
            return SceneConfig(seed=seed, frames=frames, persons=4, crossing=True, camera=0.3)
        case "crossing_fast_low_texture":
            return SceneConfig(
                seed=seed, frames=frames, persons=5, crossing=True, motion="fast",
                texture=0.2, same_clothes=True, jpeg=60,
            )  # fmt: skip
        case "occluders":
            return SceneConfig(seed=seed, frames=frames, crossing=True, occluders=4, jpeg=80)
        case "many":
            return SceneConfig(
                seed=seed, frames=frames, persons=10, crossing=True, camera=0.3, jpeg=80
            )
    raise UsageError(f"Expected 'name' to be one of {', '.join(DIFFICULTIES)}, got {name!r}.")
