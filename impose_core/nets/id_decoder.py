"""The ID decoder: bodies of now ask the trajectories of the past who they are (IMPose III-B).

Shapes: B clips, T frames of the past and S current ones, N and M bodies on each, C = width of a
tracklet = feature + ID word. Layer by layer a current body listens to the others of its frame
(from the second layer on) and then to everybody before it; how long ago that was is a learned
bias of each head. Architecture and names follow MOTIP (Apache-2.0).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from impose_core.errors import UsageError
from impose_core.nets.id_dictionary import IdDictionary
from impose_core.nets.trajectory_modeling import FeedForward


class Tracklets(NamedTuple):
    """Bodies on frames; T stands for S, and N for M, where they are current."""

    feature: Tensor  # [B, T, N, F]
    label: Tensor  # [B, T, N] int64, ID words; not read of current ones
    time: Tensor  # [B, T, N] int64, frames
    missing: Tensor  # [B, T, N] bool: nobody is here


class IdDecoder(nn.Module):
    """Logits over the dictionary for every current body.

    Args:
        feature: F, width of a body's feature.
        word: width of an ID word.
        vocabulary: words in the dictionary.
        layers: of the decoder.
        head: width of an attention head; must divide ``feature + word``.
        memory: frames; what is older counts as this old.
        ratio: of the feed-forward width to the tracklet's.

    Raises:
        UsageError: if the width is no multiple of ``head``.
    """

    def __init__(
        self,
        *,
        feature: int,
        word: int,
        vocabulary: int,
        layers: int,
        head: int,
        memory: int,
        ratio: int = 2,
    ) -> None:
        super().__init__()
        width = feature + word
        if width % head:
            raise UsageError(
                f"Expected 'feature' + 'word' to be a multiple of 'head', got {width} and {head}."
            )
        self.word, self.memory = word, memory
        self.dictionary = IdDictionary(vocabulary, word)
        self.age_bias = nn.Parameter(torch.zeros(layers, memory, width // head))
        self.layers = nn.ModuleList(
            IdDecoderLayer(width, head, ratio * width, listens=i > 0) for i in range(layers)
        )
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and name != "age_bias":
                nn.init.xavier_uniform_(parameter)

    def forward(self, history: Tracklets, current: Tracklets) -> Tensor:
        """Say who is who.

        Returns:
            [B, S, M, vocabulary + 1] logits; the last is that of a newborn.
        """
        past = torch.cat([history.feature, self.dictionary.embed(history.label)], dim=-1)
        nobody = torch.full_like(current.label, self.dictionary.newborn)
        now = torch.cat([current.feature, self.dictionary.embed(nobody)], dim=-1)
        biases = self._age_biases(history, current)
        for i, layer in enumerate(self.layers):
            now = layer(now, past, current.missing, biases[i])
        return torch.as_tensor(self.dictionary(now[..., -self.word :]))

    def _age_biases(self, history: Tracklets, current: Tracklets) -> Tensor:
        """[layers, B, heads, S * M, T * N]: -inf where the past is not past or nobody was there."""
        age = current.time.flatten(1)[:, :, None] - history.time.flatten(1)[:, None, :]
        bias = self.age_bias[:, age.clamp(0, self.memory - 1)].permute(0, 1, 4, 2, 3)
        blocked = (age <= 0) | history.missing.flatten(1)[:, None]
        return bias.masked_fill(blocked[:, None], -torch.inf)


class IdDecoderLayer(nn.Module):
    """Listen to the others of the frame, then to the past; normalised after each."""

    def __init__(self, width: int, head: int, hidden: int, *, listens: bool) -> None:
        super().__init__()
        if listens:
            self.self_attention = ZeroAttention(width, head)
            self.self_norm = nn.LayerNorm(width)
        self.listens = listens
        self.cross_attention = ZeroAttention(width, head)
        self.cross_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, hidden)
        self.ffn_norm = nn.LayerNorm(width)

    def forward(self, now: Tensor, past: Tensor, missing: Tensor, bias: Tensor) -> Tensor:
        """[B, S, M, C], [B, T, N, C], [B, S, M], [B, heads, S * M, T * N] -> [B, S, M, C]."""
        if self.listens:
            bodies = now.flatten(0, 1)
            blocked = torch.zeros_like(missing, dtype=now.dtype).masked_fill(missing, -torch.inf)
            heard = self.self_attention(bodies, bodies, blocked.flatten(0, 1)[:, None, None])
            now = self.self_norm(bodies + heard).view_as(now)
        asked = now.flatten(1, 2)
        x = self.cross_norm(asked + self.cross_attention(asked, past.flatten(1, 2), bias))
        return torch.as_tensor(self.ffn_norm(x + self.ffn(x)).view_as(now))


class ZeroAttention(nn.Module):
    """Multi-head attention that may attend to nothing: a key and a value of zeros are added.

    So whoever has no past gets an answer that is finite. Parameters are those of
    ``torch.nn.MultiheadAttention``.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.heads = width // head
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, bias: Tensor) -> Tensor:
        """[B, Q, C], [B, P, C], additive [B, heads or 1, Q or 1, P] -> [B, Q, C]."""
        weight, offset = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        head = self.out_proj.in_features // self.heads  # named, since nobody may have a past
        q, k, v = (
            functional.linear(x, w, b).view(*x.shape[:2], self.heads, head).transpose(1, 2)
            for x, w, b in zip((query, key, key), weight, offset, strict=True)
        )
        score = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
        share = functional.pad(score, (0, 1)).softmax(dim=-1)[..., :-1]  # the zero key scores 0
        return torch.as_tensor(self.out_proj((share @ v).transpose(1, 2).flatten(2)))
