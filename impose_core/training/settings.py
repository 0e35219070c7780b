"""How a network is trained. Figures of the published networks are theirs (model card, 1.6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from impose_core.errors import UsageError

Part = Literal["pose", "clicks", "identity"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
"""pose: all of the pose network. clicks: only what decodes bodies again. identity: who is who."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what a run does, but for the data and the network.

    Attributes:
        part: what is trained.
        seed: of all chance.
        steps: updates of the weights.
        batch: images (or clips, of identity) per step on each machine.
        height: pixels of the images the network sees.
        width: likewise.
        lr: of AdamW, at its highest.
        backbone_lr: share of ``lr`` for the backbone; sampling offsets have .1.
        decay: weight decay.
        clip: largest norm of the gradient.
        warmup: steps until ``lr`` is reached.
        drops: shares of the run after which ``lr`` is divided by 10 (the paper: epochs 10 and
            15 of 20).
        average: how slowly averaged weights (EMA) follow; 0 keeps none.
        flip: chance that an image is mirrored.
        zoom: a random part of the image is seen, at least this share of each side.
        colour: how far brightness and contrast are changed, at most.
        interval: frames between two images of a clip are 1 to this many.
        bodies: spoiled bodies to repair per image; 0 trains no repair.
        clicks: rounds of simulated clicks; 0 trains none.
        propagated: bodies are also decoded from where they were some frames ago.
        frames: of a clip of identities.
        relabellings: so many times each clip is labelled with other ID words.
        occlusion: chance of a trajectory to lose a stretch of its past.
        swap: chance per frame that two identities are mistaken in the past.
        joint_noise: joints move by at most this share of half their box before they are
            embedded.
        bf16: bfloat16 where the machine has a GPU.
        freeze: parts of the network that stay as they are, by the beginning of their names.
        workers: threads that prepare images ahead.
        save_every: steps between two checkpoints.

    Raises:
        UsageError: if a field is out of range.
    """

    part: Part
    seed: int = 0
    steps: int
    batch: int = 4
    height: int
    width: int
    lr: float = 1e-4
    backbone_lr: float = 0.1
    decay: float = 1e-4
    clip: float = 0.1
    warmup: int = 100
    drops: tuple[float, ...] = (0.5, 0.75)
    average: float = 0.9997
    flip: float = 0.5
    zoom: float = 0.6
    colour: float = 0.2
    interval: int = 4
    bodies: int = 50
    clicks: int = 1
    propagated: bool = True
    frames: int = 30
    relabellings: int = 6
    occlusion: float = 0.5
    swap: float = 0.5
    joint_noise: float = 0.4
    bf16: bool = True
    freeze: tuple[str, ...] = ()
    workers: int = 2
    save_every: int = 1000

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise UsageError(f"Expected 'part' to be one of {', '.join(PARTS)}, got {self.part!r}.")
        least = {
            "seed": 0,
            "warmup": 0,
            "bodies": 0,
            "clicks": 0,
            "workers": 1,
            "height": 32,
            "width": 32,
        }
        least |= dict.fromkeys(("steps", "batch", "interval", "relabellings", "save_every"), 1)
        least |= {"frames": 2}
        for name, low in least.items():
            value = getattr(self, name)
            if type(value) is not int or value < low:
                raise UsageError(f"Expected '{name}' to be {low} or more, got {value!r}.")
        for name in ("lr", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"Expected '{name}' to be above 0, got {getattr(self, name)!r}.")
        for name in ("flip", "zoom", "colour", "occlusion", "swap", "joint_noise", "average"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"Expected '{name}' from 0 to 1, got {getattr(self, name)!r}.")
        if not 0 <= self.decay < math.inf or not 0 <= self.backbone_lr < math.inf:
            raise UsageError("Expected 'decay' and 'backbone_lr' to be 0 or more.")
        if not all(0 < share <= 1 for share in self.drops):
            raise UsageError(f"Expected 'drops' to be shares of the run, got {self.drops}.")


def settings_json(settings: Settings) -> dict[str, Any]:
    """As JSON values."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(settings).items()
    }


def changed(settings: Settings, values: Mapping[str, object]) -> Settings:
    """``settings`` with other values of some fields, each as text or of its own kind.

    Raises:
        UsageError: if there is no such field, or the value is none of its kind.
    """
    known = {f.name: getattr(settings, f.name) for f in fields(settings)}
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"Expected a setting ({', '.join(known)}), got {name!r}.")
        taken[name] = _of_kind(name, known[name], value)
    return replace(settings, **taken)


def _of_kind(name: str, like: object, value: object) -> object:
    if isinstance(like, bool):
        words = {"true": True, "false": False, "1": True, "0": False}
        if str(value).lower() not in words:
            raise UsageError(f"Expected '{name}' to be true or false, got {value!r}.")
        return words[str(value).lower()]
    if isinstance(like, tuple):
        parts = str(value).split(",") if isinstance(value, str) else list(value)  # type: ignore[call-overload]
        parts = [part for part in parts if part != ""]
        return tuple(float(p) if name == "drops" else str(p) for p in parts)
    kind = type(like)
    try:
        return kind(value)  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        what = "a whole number" if kind is int else "a number"
        raise UsageError(f"Expected '{name}' to be {what}, got {value!r}.") from error
