"""Clicks on one image: it is encoded once, and each click decodes only whom it touches.

Click-Pose's human-feedback loop (Yang et al., ICCV 2023, 3.4), with three differences. What was
clicked stays where it was clicked, exactly, and all clicks count; the published code means to
hold them, but its mask is never applied, and is forgotten after each click. Only touched bodies
are decoded. And a box can be drawn where nobody was found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from impose_core.errors import UsageError
from impose_core.nets.box_decoder import People
from impose_core.nets.keypoint_decoder import Poses
from impose_core.nets.memory import Memory
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.tensor_geometry import enlarged

Clicks = Mapping[int, Mapping[int, tuple[float, float]]]
"""Person -> joint -> where it is: (x, y) in shares of the image; outside 0 to 1 it is outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """P bodies on one image as they stand; places are shares of the image.

    Where a human spoke the human's numbers stand, to the last bit of float32.
    """

    logits: Tensor  # [P, classes]
    boxes: Tensor  # cxcywh [P, 4]
    keypoints: Tensor  # xy [P, K, 2]
    visibility: Tensor | None  # logit [P, K]
    tokens: Tensor  # [P, 1 + K, d], normalised
    pinned: Tensor  # bool [P, K], joints that were clicked
    drawn: Tensor  # bool [P], boxes that were drawn

    def __len__(self) -> int:
        return self.boxes.shape[0]


class Interaction:
    """The bodies on one image, and what a human says of them."""

    def __init__(
        self,
        network: PoseNetwork,
        memory: Memory,
        *,
        keep: int | None = None,
        official: bool = False,
    ) -> None:
        """Finds everybody.

        Args:
            network: in eval mode.
            memory: of one image.
            keep: only so many of the surest bodies; default: all.
            official: as the published code does it, for comparison: each click decodes all
                bodies, nothing is pinned, and clicks are forgotten.

        Raises:
            UsageError: if the network cannot decode bodies again, or ``memory`` is of several.
        """
        if memory.tokens.shape[0] != 1:
            raise UsageError(
                f"Expected 'memory' of one image, got {memory.tokens.shape[0]}; see Memory.of."
            )
        if not network.config.clickable:
            raise UsageError(
                "Expected a network that decodes bodies again, got one without codebook of joints.",
                hint="ED-Pose is such a network; Click-Pose and 'nano' can be clicked.",
            )
        self.network, self.memory, self.official = network, memory, official
        with torch.inference_mode():
            self._values = network.keypoint_decoder.values(memory)
            self.bodies = _kept(network.find(memory, values=self._values), keep)

    def click(self, clicks: Clicks) -> Bodies:
        """Joints are where a human says; the rest of these bodies follows.

        Raises:
            UsageError: if there is no such person or joint, or a coordinate is not finite.
        """
        self._check(clicks)
        with torch.inference_mode():
            bodies, touched = self.bodies, [person for person in clicks if clicks[person]]
            keypoints, pinned = bodies.keypoints.clone(), bodies.pinned.clone()
            for person in touched:
                for joint, xy in clicks[person].items():
                    keypoints[person, joint] = keypoints.new_tensor(xy)
                    pinned[person, joint] = not self.official
            boxes = bodies.boxes.clone()
            boxes[touched] = enlarged(boxes[touched], keypoints[touched].clamp(0, 1))
            who = range(len(bodies)) if self.official else touched
            self.bodies = self._decoded(list(who), boxes, keypoints, pinned)
        return self.bodies

    def draw(self, box_cxcywh: tuple[float, float, float, float]) -> Bodies:
        """A body, the last of those returned, where a human drew a box.

        Raises:
            UsageError: if it is no box with a place on the image, in shares of the image.
        """
        cx, cy, w, h = box_cxcywh
        finite = all(math.isfinite(value) for value in box_cxcywh)
        if (
            not finite
            or min(w, h) <= 0
            or abs(cx - 0.5) - w / 2 >= 0.5
            or abs(cy - 0.5) >= 0.5 + h / 2
        ):
            raise UsageError(
                "Expected 'box_cxcywh' with w, h > 0 that meets the image (0 to 1), "
                f"got {box_cxcywh}."
            )
        with torch.inference_mode():
            box = self.bodies.boxes.new_tensor(box_cxcywh)
            self.bodies = _with_box(self.bodies, box)
            last = len(self.bodies) - 1
            keypoints = self.bodies.keypoints.clone()
            keypoints[last] = self._first_guess(box)
            self.bodies = self._decoded([last], self.bodies.boxes, keypoints, self.bodies.pinned)
        return self.bodies

    def _first_guess(self, box: Tensor) -> Tensor:
        """Where joints of a body in a box are looked for first: [K, 2]."""
        tokens = self.network.codebooks.poses(1, 1, label=self.network.config.person)
        people = People(tokens=tokens[:, :, 0], boxes=box.clamp(0, 1)[None, None])
        return self.network.keypoint_decoder.around(people).reference[0, 0, 1:, :2]

    def _decoded(
        self, who: Sequence[int], boxes: Tensor, keypoints: Tensor, pinned: Tensor
    ) -> Bodies:
        """The bodies ``who`` read again, all others as they are."""
        if not who:
            return self.bodies
        poses = self.network.decode(
            self.memory,
            boxes[None, who].clamp(0, 1),
            keypoints[None, who].clamp(0, 1),
            free=(~pinned[None, who]).float(),
            values=self._values,
        )
        before = self.bodies
        held = torch.where(pinned[who, :, None], keypoints[who], poses.keypoints[0])
        drawn = before.drawn[who, None]
        seen = None
        if before.visibility is not None and poses.visibility is not None:
            seen = _put(before.visibility, who, poses.visibility[0])
        return Bodies(
            logits=_put(before.logits, who, poses.logits[0]),
            boxes=_put(before.boxes, who, torch.where(drawn, before.boxes[who], poses.boxes[0])),
            keypoints=_put(before.keypoints, who, held),
            visibility=seen,
            tokens=_put(before.tokens, who, poses.tokens[0]),
            pinned=pinned,
            drawn=before.drawn,
        )

    def _check(self, clicks: Clicks) -> None:
        persons, joints = self.bodies.keypoints.shape[:2]
        for person, places in clicks.items():
            if not 0 <= person < persons:
                raise UsageError(f"Expected 'person' in 0..{persons - 1}, got {person}.")
            for joint, xy in places.items():
                if not 0 <= joint < joints:
                    raise UsageError(f"Expected 'joint' in 0..{joints - 1}, got {joint}.")
                if len(xy) != 2 or not all(math.isfinite(value) for value in xy):
                    raise UsageError(f"Expected finite (x, y) of joint {joint}, got {xy}.")


def _kept(poses: Poses, keep: int | None) -> Bodies:
    logits = poses.logits[0]
    count = len(logits) if keep is None else min(keep, len(logits))
    best = logits.amax(dim=-1).topk(count).indices
    persons, joints = poses.keypoints.shape[1:3]
    pinned = torch.zeros(persons, joints, dtype=torch.bool, device=best.device)
    return Bodies(
        logits=logits[best],
        boxes=poses.boxes[0, best],
        keypoints=poses.keypoints[0, best],
        visibility=None if poses.visibility is None else poses.visibility[0, best],
        tokens=poses.tokens[0, best],
        pinned=pinned[best],
        drawn=pinned[best, 0],
    )


def _with_box(bodies: Bodies, box: Tensor) -> Bodies:
    """One body more, of which only the box is known."""
    seen = bodies.visibility
    return replace(
        bodies,
        logits=_longer(bodies.logits),
        boxes=torch.cat([bodies.boxes, box[None]]),
        keypoints=_longer(bodies.keypoints),
        visibility=None if seen is None else _longer(seen),
        tokens=_longer(bodies.tokens),
        pinned=_longer(bodies.pinned),
        drawn=torch.cat([bodies.drawn, bodies.drawn.new_ones(1)]),
    )


def _longer(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])


def _put(rows: Tensor, where: Sequence[int], new: Tensor) -> Tensor:
    rows = rows.clone()
    rows[list(where)] = new
    return rows
