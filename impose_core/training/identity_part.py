"""What the ID decoder is trained to do: name everybody although the past is spoiled."""

from __future__ import annotations

import torch
from torch import Tensor

from impose_core.nets.identity_losses import id_loss, training_pair
from impose_core.nets.identity_network import IdentityNetwork
from impose_core.training.chance import torch_chance
from impose_core.training.identity_batches import IdentityBatch
from impose_core.training.part import Part
from impose_core.training.settings import Settings


class IdentityPart(Part):
    """An identity network and its loss.

    Args:
        network: to be trained.
        settings: of the run.
        machine: which one this is.
    """

    def __init__(self, network: IdentityNetwork, settings: Settings, *, machine: int = 0) -> None:
        super().__init__()
        self.network, self.settings, self.machine = network, settings, machine

    def forward(self, batch: IdentityBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step; beside it ``id.right``, the share of bodies named rightly."""
        settings = self.settings
        chance = torch_chance(settings.seed, step, self.machine, torch.device("cpu"))
        times = settings.relabellings
        feature = self.network.embed(batch.bodies).repeat_interleave(times, dim=0)
        missing = batch.missing.repeat_interleave(times, dim=0)
        past, present = training_pair(
            feature,
            missing,
            vocabulary=self.network.config.vocabulary,
            generator=chance,
            occlusion=settings.occlusion,
            swap=settings.swap,
        )
        logits = self.network(past, present)
        loss = id_loss(logits.float(), present.label, present.missing)
        there = ~missing[:, 1:]
        right = (logits[:, 1:].argmax(dim=-1) == present.label[:, 1:])[there]
        return loss, {"id": loss.detach(), "id.right": right.float().mean().detach()}
