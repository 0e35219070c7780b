"""Batches of images with their bodies, and with where those bodies were a few frames ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impose_core.io.coco.conventions import AREA_OF_BOX, BOX_MARGIN
from impose_core.nets.pose_network import IMAGENET_DEVIATION, IMAGENET_MEAN
from impose_core.nets.truth import Truth
from impose_core.pose_sets import NO_TRACK, Instances
from impose_core.poses import Visibility
from impose_core.skeleton import Skeleton
from impose_core.training.chance import numbers, order
from impose_core.training.clips import Clip, Clips
from impose_core.training.settings import Settings
from impose_core.training.views import Floats, View, random_view

LEAST: float = 0.005
"""Share of the image: a body whose box is narrower than this is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseBatch:
    """B images; shapes as ``PoseNetwork`` wants them.

    ``prior_boxes`` [B, P, 4] and ``prior_keypoints`` [B, P, K, 2] are where bodies were in
    another frame, brought a part of the way; None where no image has any.
    """

    images: Tensor
    padding: Tensor
    truths: tuple[Truth, ...]
    prior_boxes: Tensor | None
    prior_keypoints: Tensor | None

    def to(self, device: torch.device) -> PoseBatch:
        """The same on ``device``."""
        none = self.prior_boxes is None or self.prior_keypoints is None
        return PoseBatch(
            images=self.images.to(device),
            padding=self.padding.to(device),
            truths=tuple(_moved(truth, device) for truth in self.truths),
            prior_boxes=None if none else self.prior_boxes.to(device),  # type: ignore[union-attr]
            prior_keypoints=None if none else self.prior_keypoints.to(device),  # type: ignore[union-attr]
        )


class PoseBatches:
    """Batch ``step``, always the same one for the same step.

    Args:
        clips: with pixels.
        settings: of the run.
        label: class of a person.
        machine: which of ``machines`` this is; each has its own images.
    """

    def __init__(
        self, clips: Clips, settings: Settings, *, label: int, machine: int = 0, machines: int = 1
    ) -> None:
        self._skeleton, self._settings, self._label = clips.skeleton, settings, label
        self._machine, self._machines = machine, machines
        self._all = [(clip, i) for clip in clips.clips for i in range(len(clip.frames))]

    def __len__(self) -> int:
        """Labelled images."""
        return len(self._all)

    def at(self, step: int) -> PoseBatch:
        """The batch of a step, counted from 0."""
        settings = self._settings
        every = settings.batch * self._machines
        first = step * every + self._machine * settings.batch
        parts = [self._example(first + i) for i in range(settings.batch)]
        images = torch.from_numpy(np.stack([image for image, *_ in parts])).permute(0, 3, 1, 2)
        mean, deviation = (
            torch.tensor(values).reshape(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )
        padding = torch.from_numpy(np.stack([padding for _, padding, *_ in parts]))
        images = ((images - mean) / deviation).masked_fill(padding[:, None], 0)
        boxes, keypoints = _padded([prior for *_, prior in parts], numbers(settings.seed, 2, step))
        return PoseBatch(
            images=images.contiguous(),
            padding=padding,
            truths=tuple(truth for _, _, truth, _ in parts),
            prior_boxes=boxes,
            prior_keypoints=keypoints,
        )

    def _example(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.bool_], Truth, _Prior]:
        settings = self._settings
        rng = numbers(settings.seed, 0, number)
        clip, position = self._all[order(settings.seed, number, len(self._all))]
        image = clip.read(position)
        view = random_view(image, settings, rng)
        shown, padding = view.show(image, settings.height, settings.width)
        people = clip.frames[position].instances
        bodies = seen_bodies(people, view, self._skeleton)
        prior = _Prior(boxes=np.empty((0, 4)), keypoints=np.empty((0, len(self._skeleton), 2)))
        if settings.propagated:
            prior = self._prior(clip, position, view, bodies, rng)
        return shown, padding, truth_of(bodies, self._label), prior

    def _prior(
        self, clip: Clip, position: int, view: View, now: Bodies, rng: np.random.Generator
    ) -> _Prior:
        """Bodies of a frame nearby, each brought a random share of the way to where it is now."""
        index = clip.frames[position].index
        nearby = [
            i
            for i, frame in enumerate(clip.frames)
            if 0 < abs(frame.index - index) <= self._settings.interval
        ]
        if not nearby:
            return _Prior(now.boxes[:0], now.keypoints[:0])
        other = clip.frames[nearby[int(rng.integers(len(nearby)))]].instances
        before = seen_bodies(other, view, self._skeleton)
        tracked = before.track_id != NO_TRACK
        boxes, keypoints = before.boxes[tracked], before.keypoints[tracked]
        known = before.labelled[tracked]
        for i, track in enumerate(before.track_id[tracked].tolist()):
            share = rng.uniform(0, 1)
            for j in np.flatnonzero(now.track_id == track):
                boxes[i] += share * (now.boxes[j] - boxes[i])
                both = known[i] & now.labelled[j]
                keypoints[i, both] += share * (now.keypoints[j, both] - keypoints[i, both])
            middle = np.broadcast_to(boxes[i, :2], keypoints[i].shape)
            keypoints[i] = np.where(known[i, :, None], keypoints[i], middle)
        return _Prior(boxes, keypoints.clip(0, 1))


@dataclass(frozen=True, slots=True)
class _Prior:
    boxes: Floats  # cxcywh [P, 4]
    keypoints: Floats  # [P, K, 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """N bodies in shares of what is seen."""

    boxes: Floats  # cxcywh [N, 4]
    keypoints: Floats  # xy [N, K, 2]
    labelled: NDArray[np.bool_]  # [N, K]
    visible: NDArray[np.bool_]  # [N, K]
    area: Floats  # [N]
    track_id: NDArray[np.int64]  # [N]


def seen_bodies(people: Instances, view: View, skeleton: Skeleton) -> Bodies:
    """The bodies of which a view shows something; joints outside it are not labelled."""
    people = people.pick(~people.crowd)
    visibility = people.visibility
    keypoints = view.points(np.where(visibility[..., None] > 0, people.xy, 0.0))
    if view.mirrored:
        flip = skeleton.flip_index()
        keypoints, visibility = keypoints[:, flip], visibility[:, flip]
    inside = ((keypoints >= 0) & (keypoints <= 1)).all(axis=-1)
    labelled = (visibility > 0) & inside
    box_xyxy = np.where(np.isfinite(people.box), people.box, _extents(people))
    boxes = view.boxes(np.nan_to_num(box_xyxy))
    window = float(view.size.prod())
    whole = (box_xyxy[:, 2:] - box_xyxy[:, :2]).prod(axis=-1)
    area = np.where(np.isfinite(people.area), people.area, AREA_OF_BOX * whole) / window
    shown = (boxes[:, 2:] > LEAST).all(axis=-1) & np.isfinite(box_xyxy).all(axis=-1)
    # of a body that is cut off, the area is that of the part that is left
    left = boxes[:, 2:].prod(axis=-1) * window / np.maximum(np.nan_to_num(whole), 1e-9)
    return Bodies(
        boxes=boxes[shown],
        keypoints=np.where(labelled[..., None], keypoints, 0.0)[shown],
        labelled=labelled[shown],
        visible=(labelled & (visibility == Visibility.VISIBLE))[shown],
        area=(area * left.clip(0, 1))[shown],
        track_id=people.track_id[shown],
    )


def truth_of(bodies: Bodies, label: int) -> Truth:
    """As the losses want it."""
    return Truth(
        labels=torch.full((len(bodies.boxes),), label, dtype=torch.int64),
        boxes=torch.from_numpy(bodies.boxes).float(),
        keypoints=torch.from_numpy(bodies.keypoints).float(),
        labelled=torch.from_numpy(bodies.labelled),
        visible=torch.from_numpy(bodies.visible),
        area=torch.from_numpy(bodies.area).float(),
    )


def _extents(people: Instances) -> Floats:
    """Boxes [N, 4] xyxy around the labelled joints with a margin; NaN where there are none."""
    known = (people.visibility > 0)[..., None]
    low = np.where(known, people.xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, people.xy, -np.inf).max(axis=1, initial=-np.inf)
    some = (low <= high).all(axis=-1, keepdims=True)
    low, high = np.where(some, low, np.nan), np.where(some, high, np.nan)
    margin = np.maximum(BOX_MARGIN * (high - low), 1.0)
    return np.concatenate([low - margin, high + margin], axis=-1)


def _padded(priors: list[_Prior], rng: np.random.Generator) -> tuple[Tensor | None, Tensor | None]:
    """All with as many bodies as the fullest; the others' are anywhere: nobody is there."""
    most = max(len(prior.boxes) for prior in priors)
    if not most:
        return None, None
    joints = priors[0].keypoints.shape[1]
    boxes, keypoints = [], []
    for prior in priors:
        more = most - len(prior.boxes)
        anywhere = np.concatenate([rng.random((more, 2)), rng.uniform(0.05, 0.5, (more, 2))], -1)
        boxes.append(np.concatenate([prior.boxes, anywhere]))
        keypoints.append(np.concatenate([prior.keypoints, rng.random((more, joints, 2))]))
    return torch.from_numpy(np.stack(boxes)).float(), torch.from_numpy(np.stack(keypoints)).float()


def _moved(truth: Truth, device: torch.device) -> Truth:
    return Truth(
        labels=truth.labels.to(device),
        boxes=truth.boxes.to(device),
        keypoints=truth.keypoints.to(device),
        labelled=truth.labelled.to(device),
        visible=truth.visible.to(device),
        area=truth.area.to(device),
    )
