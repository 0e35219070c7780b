"""Batches of short clips in which it is known who is who."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impose_core.errors import BadDocument
from impose_core.nets.identity_network import Bodies, IdentityConfig
from impose_core.pose_sets import NO_TRACK
from impose_core.training.chance import numbers
from impose_core.training.clips import Clip, Clips
from impose_core.training.settings import Settings

Floats = NDArray[np.float64]
Looks = Mapping[tuple[int, int], NDArray[np.float32]]
"""(clip, position) -> appearance [P, A] of the instances there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityBatch:
    """B clips of T frames; column n is one identity."""

    bodies: Bodies  # [B, T, N, ...]
    missing: Tensor  # bool [B, T, N]

    def to(self, device: torch.device) -> IdentityBatch:
        """The same on ``device``."""
        bodies = Bodies(*(part.to(device) for part in self.bodies))
        return IdentityBatch(bodies=bodies, missing=self.missing.to(device))


class IdentityBatches:
    """Batch ``step``, always the same one for the same step.

    Args:
        clips: whose instances have track ids; of pixels only the size is taken.
        settings: of the run.
        config: of the network.
        looks: appearance of every instance; none is needed where the network wants none.
        machine: which of ``machines`` this is; each has its own clips.

    Raises:
        BadDocument: if no clip has an identity that is seen twice.
    """

    def __init__(
        self,
        clips: Clips,
        settings: Settings,
        config: IdentityConfig,
        *,
        looks: Looks,
        machine: int = 0,
        machines: int = 1,
    ) -> None:
        self._clips, self._settings, self._config = clips, settings, config
        self._looks, self._machine, self._machines = looks, machine, machines
        self._sizes: dict[int, Floats] = {}
        self._usable = [i for i, clip in enumerate(clips.clips) if _seen_twice(clip)]
        if not self._usable:
            raise BadDocument(
                "Expected clips with 'track_id' of persons on two frames or more, got none.",
                hint="Identities are learned from videos, not from single pictures.",
            )
        lengths = np.array([len(clips.clips[i].frames) for i in self._usable], np.float64)
        self._share = lengths / lengths.sum()

    def __len__(self) -> int:
        """Clips that can be used."""
        return len(self._usable)

    def at(self, step: int) -> IdentityBatch:
        """The batch of a step, counted from 0."""
        settings = self._settings
        first = (step * self._machines + self._machine) * settings.batch
        parts = [self._sample(first + i) for i in range(settings.batch)]
        count = max(part.missing.shape[1] for part in parts)
        parts = [part.widened(count) for part in parts]
        sizes = np.stack([part.image_size for part in parts])[:, None, None]
        return IdentityBatch(
            bodies=Bodies(
                appearance=_floats(np.stack([part.appearance for part in parts])),
                xy=_floats(np.stack([part.xy for part in parts])),
                known=torch.from_numpy(np.stack([part.known for part in parts])),
                box_xyxy=_floats(np.stack([part.box for part in parts])),
                image_size=_floats(sizes),
            ),
            missing=torch.from_numpy(np.stack([part.missing for part in parts])),
        )

    def _sample(self, number: int) -> _Sample:
        settings = self._settings
        rng = numbers(settings.seed, 0, number)
        which = self._usable[int(rng.choice(len(self._usable), p=self._share))]
        clip = self._clips.clips[which]
        total = len(clip.frames)
        longest = max(1, (total - 1) // (settings.frames - 1))
        interval = int(rng.integers(1, min(settings.interval, longest) + 1))
        span = min(interval * (settings.frames - 1) + 1, total)
        start = int(rng.integers(total - span + 1))
        positions = list(range(start, start + span, interval))
        sample = self._filled(which, positions, rng)
        sample.disturb(settings, self._clips.skeleton.flip_index(), rng)
        return sample

    def _filled(self, which: int, positions: list[int], rng: np.random.Generator) -> _Sample:
        """What is known of everybody on these frames of a clip."""
        clip, config = self._clips.clips[which], self._config
        if which not in self._sizes:
            height, width = clip.read(positions[0]).shape[:2]
            self._sizes[which] = np.array([width, height], np.float64)
        seen = np.unique(np.concatenate([clip.frames[p].instances.track_id for p in positions]))
        tracks = rng.permutation(seen[seen != NO_TRACK])[: config.vocabulary]
        shape = (self._settings.frames, len(tracks))
        sample = _Sample.nobody(shape, config, self._sizes[which])
        for t, position in enumerate(positions):
            people = clip.frames[position].instances
            for n, track in enumerate(tracks.tolist()):
                for p in np.flatnonzero(people.track_id == track)[:1]:
                    known = people.visibility[p] > 0
                    sample.missing[t, n] = not known.any()
                    sample.known[t, n] = known
                    sample.xy[t, n] = np.where(known[:, None], people.xy[p], 0.0)
                    sample.box[t, n] = _extent(sample.xy[t, n], known)
                    if config.appearance:
                        sample.appearance[t, n] = self._looks[which, position][p]
        return sample


@dataclass(frozen=True, slots=True)
class _Sample:
    """One clip, to be filled in place."""

    appearance: Floats  # [T, N, A]
    xy: Floats  # [T, N, K, 2] pixels
    known: NDArray[np.bool_]  # [T, N, K]
    box: Floats  # [T, N, 4] xyxy pixels
    missing: NDArray[np.bool_]  # [T, N]
    image_size: Floats  # [2] pixels

    @classmethod
    def nobody(cls, shape: tuple[int, int], config: IdentityConfig, size: Floats) -> _Sample:
        joints = config.joints
        return cls(
            np.zeros((*shape, config.appearance)),
            np.zeros((*shape, joints, 2)),
            np.zeros((*shape, joints), np.bool_),
            np.zeros((*shape, 4)),
            np.ones(shape, np.bool_),
            size,
        )

    def widened(self, count: int) -> _Sample:
        """With columns in which nobody is, up to ``count``."""

        def more(values: NDArray[Any], fill: bool = False) -> NDArray[Any]:
            wide = [(0, 0)] * values.ndim
            wide[1] = (0, count - values.shape[1])
            return np.pad(values, wide, constant_values=fill)

        return _Sample(
            more(self.appearance),
            more(self.xy),
            more(self.known),
            more(self.box),
            more(self.missing, True),
            self.image_size,
        )

    def disturb(self, settings: Settings, flip: NDArray[np.intp], rng: np.random.Generator) -> None:
        """Mirror all frames, perhaps, and move joints, each body by an amount of its own."""
        if rng.random() < settings.flip:
            self.xy[..., 0] = self.image_size[0] - self.xy[..., 0]
            self.xy[:], self.known[:] = self.xy[:, :, flip], self.known[:, :, flip]
            self.box[..., [0, 2]] = self.image_size[0] - self.box[..., [2, 0]]
        half = (self.box[..., 2:] - self.box[..., :2])[..., None, :] / 2
        amount = settings.joint_noise * rng.random((*self.missing.shape, 1, 1))
        self.xy[:] += rng.uniform(-1, 1, self.xy.shape) * half * amount


def _seen_twice(clip: Clip) -> bool:
    ids = [frame.instances.track_id for frame in clip.frames]
    every = np.concatenate(ids)
    _, counts = np.unique(every[every != NO_TRACK], return_counts=True)
    return bool((counts > 1).any())


def _extent(xy: Floats, known: NDArray[np.bool_]) -> Floats:
    """[4] xyxy of the known joints, as the runtime takes it."""
    some = xy[known]
    return np.concatenate([some.min(axis=0), some.max(axis=0)]) if len(some) else np.zeros(4)


def _floats(values: Floats) -> Tensor:
    return torch.from_numpy(values).float()
