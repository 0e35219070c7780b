"""How the identity part is trained: its loss, and what is done to the past (MOTIP, 3.4).

A clip of T frames is past and present at once: the body on frame t asks the frames before t. Its
label is the word its identity was given for this clip, or the newborn's where it was not seen
before. Augmentation spoils the past as occlusion and mistaken identities do.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from impose_core.nets.id_decoder import Tracklets


def id_loss(logits: Tensor, label: Tensor, missing: Tensor) -> Tensor:
    """Cross entropy over all bodies that are there but those of the first frame.

    Args:
        logits: [B, T, N, vocabulary + 1].
        label: [B, T, N] int64.
        missing: [B, T, N] bool.

    Returns:
        Scalar, nats; zero if nobody is there.
    """
    there = ~missing[:, 1:]
    summed = functional.cross_entropy(logits[:, 1:][there], label[:, 1:][there], reduction="sum")
    return summed / there.sum().clamp(min=1)


def training_pair(
    feature: Tensor,
    missing: Tensor,
    *,
    vocabulary: int,
    generator: torch.Generator,
    occlusion: float = 0.5,
    swap: float = 0.5,
) -> tuple[Tracklets, Tracklets]:
    """One clip of identities as a spoiled past and a present to be labelled.

    Args:
        feature: [B, T, N, F] float: column n is one identity.
        missing: [B, T, N] bool.
        vocabulary: words; at least N.
        generator: of all chances, on the CPU.
        occlusion: chance of each trajectory to lose a stretch of its past.
        swap: chance of each frame that two identities' features are swapped in the past.

    Returns:
        Past and present. Labels of the present are what :func:`id_loss` wants.
    """
    batch, frames, count = missing.shape
    words = torch.stack([torch.randperm(vocabulary, generator=generator) for _ in range(batch)])
    label = words[:, None, :count].expand(batch, frames, count).to(feature.device)
    time = torch.arange(frames, device=feature.device)[None, :, None].expand_as(label)
    past_missing = occluded(missing, chance=occlusion, generator=generator)
    past_feature = swapped(feature, past_missing, chance=swap, generator=generator)
    past = Tracklets(past_feature, label, time, past_missing)
    present = Tracklets(feature, current_labels(label, past_missing, vocabulary), time, missing)
    return past, present


def occluded(missing: Tensor, *, chance: float, generator: torch.Generator) -> Tensor:
    """``missing`` [B, T, N] with, by ``chance`` per trajectory, a stretch of its frames missing."""
    batch, frames, count = missing.shape
    spoiled = torch.rand(batch, 1, count, generator=generator) < chance
    ends = torch.randint(0, frames + 1, (2, batch, 1, count), generator=generator)
    at = torch.arange(frames)[None, :, None]
    hidden = spoiled & (at >= ends.amin(0)) & (at < ends.amax(0))
    return missing | hidden.to(missing.device)


def swapped(
    feature: Tensor, missing: Tensor, *, chance: float, generator: torch.Generator
) -> Tensor:
    """``feature`` [B, T, N, F] with, by ``chance`` per frame, two who are there swapped."""
    out = feature.clone()
    fated = torch.rand(missing.shape[:2], generator=generator) < chance
    for b, t in fated.nonzero().tolist():
        there = (~missing[b, t]).nonzero().flatten()
        if len(there) >= 2:
            pair = there[torch.randperm(len(there), generator=generator)[:2].to(there.device)]
            out[b, t, pair] = feature[b, t, pair.flip(0)]
    return out


def current_labels(label: Tensor, past_missing: Tensor, newborn: int) -> Tensor:
    """``label`` [B, T, N], or ``newborn`` where the identity is on no earlier frame of the past."""
    seen = (~past_missing).cumsum(1) - (~past_missing).long() > 0
    return torch.where(seen, label, newborn)
