"""What the pose network is trained to do: find bodies, repair them, follow clicks and tracks."""

from __future__ import annotations

import torch
from torch import Tensor

from impose_core.nets.decoder_layer import Beside
from impose_core.nets.denoising import PoseErrors, spoiled
from impose_core.nets.feedback import decoded_again
from impose_core.nets.memory import Memory
from impose_core.nets.pose_losses import pose_losses, weighted
from impose_core.nets.pose_network import PoseNetwork, Steps
from impose_core.nets.prior_groups import Looked, PriorGroups, read_priors
from impose_core.training.chance import torch_chance
from impose_core.training.distributed import mean_over_machines
from impose_core.training.part import Part
from impose_core.training.pose_batches import PoseBatch
from impose_core.training.settings import Settings

OF_CLICKS = ("repair.poses", "clicks", "propagated")
"""Losses of what decodes a body again, wherever it was found."""
BEFORE_CLICKS = ("backbone", "neck", "encoder", "selection", "frame", "box_decoder")
"""What stays as it is where only that is trained."""


class PosePart(Part):
    """A pose network and its losses.

    Args:
        network: to be trained.
        settings: of the run.
        sigmas: COCO's constants of the joints.
        machine: which one this is.
    """

    def __init__(
        self,
        network: PoseNetwork,
        settings: Settings,
        *,
        sigmas: tuple[float, ...],
        machine: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.settings, self.machine = network, settings, machine
        self.register_buffer("sigmas", torch.tensor(sigmas), persistent=False)
        self.sigmas: Tensor
        self.errors = PoseErrors(bodies=settings.bodies)
        # codebooks are used by what is decoded again, the rest by what is found
        again = network.config.clickable and (settings.bodies > 0 or settings.clicks > 0)
        self.uses_all = again and settings.part == "pose"

    def forward(self, batch: PoseBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step, and what it is made of: each layer's terms, not weighted.

        Names begin with what was done (``queries``, ``boxes``, ``poses`` found; ``repair``;
        ``clicks``; ``propagated``), then the layer, then the term.
        """
        network, settings = self.network, self.settings
        clickable = network.config.clickable
        chance = torch_chance(settings.seed, step, self.machine, self.sigmas.device)
        memory = network.encode(batch.images, batch.padding)
        denoising = None
        if clickable and settings.bodies:
            denoising = spoiled(batch.truths, network.codebooks, self.errors, chance)
        steps = network.steps(memory, denoising)
        clicks, propagated = [], []
        if clickable and settings.clicks:
            clicks = decoded_again(
                network, memory, steps, batch.truths, self.sigmas, rounds=settings.clicks
            )
        if clickable and batch.prior_boxes is not None and batch.prior_keypoints is not None:
            priors = _apart(batch.prior_boxes, batch.prior_keypoints)
            propagated = [read_priors(network, _seen(network, memory, steps), priors)]
        losses = pose_losses(
            steps,
            [*clicks, *propagated],
            batch.truths,
            self.sigmas,
            denoising=denoising,
            bodies=mean_over_machines(sum(map(len, batch.truths)), self.sigmas.device),
        )
        named = {_told_apart(name, len(clicks)): loss for name, loss in losses.items()}
        if settings.part == "clicks":
            named = {name: loss for name, loss in named.items() if name.startswith(OF_CLICKS)}
        return weighted(named), {name: loss.detach() for name, loss in named.items()}


def _apart(boxes: Tensor, keypoints: Tensor) -> PriorGroups:
    """Priors that do not see each other, none of them pinned."""
    pinned = torch.zeros(keypoints.shape[:-1], dtype=torch.bool, device=boxes.device)
    group = torch.arange(boxes.shape[1], device=boxes.device).expand(len(boxes), -1)
    return PriorGroups(boxes=boxes, keypoints=keypoints, pinned=pinned, group=group)


def _seen(network: PoseNetwork, memory: Memory, steps: Steps) -> Looked:
    """A pass as ``read_priors`` takes it, with gradients, and without spoiled bodies."""
    rest = slice(steps.denoising, None)
    states = [(steps.queries.content, steps.queries.reference)]
    states += [(boxes.tokens[:, rest], boxes.reference[:, rest]) for boxes in steps.boxes[:-1]]
    return Looked(
        memory=memory,
        people=steps.poses[-1],
        beside=tuple(
            Beside(tokens, network.frame.place(reference.detach(), memory)[0])
            for tokens, reference in states
        ),
        box_values=network.box_decoder.values(memory),
        joint_values=network.keypoint_decoder.values(memory),
    )


def _told_apart(name: str, clicks: int) -> str:
    """``again.3.oks`` -> whether it came of a click or of a track, and of which layer."""
    what, layer, *rest = name.split(".")
    if what != "again":
        return name
    index = int(layer)
    own = ("clicks", index) if index < clicks else ("propagated", index - clicks)
    return ".".join([own[0], str(own[1]), *rest])
