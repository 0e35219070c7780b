"""What both decoders are made of."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from impose_core.nets.deformable_attention import DeformableAttention, Values
from impose_core.nets.encoder import FeedForward
from impose_core.nets.heads import MLP
from impose_core.nets.memory import Memory
from impose_core.nets.positional import sine_of_reference


class Beside(NamedTuple):
    """Tokens that others see, and that see none of them: [B, R, d], and where they are."""

    tokens: Tensor
    position: Tensor


class DecoderLayer(nn.Module):
    """Tokens look at each other, then at the image, then think; normalised after each."""

    def __init__(self, width: int, hidden: int, *, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.self_norm = nn.LayerNorm(width)
        self.cross_attention = DeformableAttention(width, levels=levels, heads=heads, points=points)
        self.cross_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)

    def values(self, memory: Memory) -> Values:
        """What this layer can read of ``memory``; the same for all tokens, so it can be kept."""
        return self.cross_attention.values(memory.tokens, memory.padding, memory.shapes)

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        reference: Tensor,
        values: Values,
        *,
        blocked: Tensor | None = None,
        group: int | None = None,
        beside: Beside | None = None,
    ) -> Tensor:
        """One step of refinement.

        Args:
            tokens: [B, Q, d].
            position: [B, Q, d], where each token is.
            reference: [B, Q, levels, 4], the same as boxes on each level.
            values: of this layer.
            blocked: bool [Q, Q] or [B, Q, Q]; True where the row must not see the column.
            group: every so many tokens see only each other; instead of ``blocked``.
            beside: R tokens that all see as well; then ``blocked`` is [.., Q, Q + R]. Without
                ``group``.

        Returns:
            [B, Q, d].
        """
        tokens = self.self_norm(tokens + self._seen(tokens, position, blocked, group, beside))
        read = self.cross_attention(tokens + position, reference, values)
        tokens = self.cross_norm(tokens + read)
        out: Tensor = self.feed_forward(tokens)
        return out

    def _seen(
        self,
        tokens: Tensor,
        position: Tensor,
        blocked: Tensor | None,
        group: int | None,
        beside: Beside | None,
    ) -> Tensor:
        batch, _, width = tokens.shape
        placed = tokens + position
        if group is not None:
            placed, values = (x.reshape(-1, group, width) for x in (placed, tokens))
            seen, _ = self.self_attention(placed, placed, values, need_weights=False)
            apart: Tensor = seen.reshape(batch, -1, width)  # Q stays free in an exported graph
            return apart
        if blocked is not None and blocked.ndim == 3:
            blocked = blocked.repeat_interleave(self.self_attention.num_heads, dim=0)
        all_placed, all_tokens = placed, tokens
        if beside is not None:
            all_placed = torch.cat([placed, beside.tokens + beside.position], dim=1)
            all_tokens = torch.cat([tokens, beside.tokens], dim=1)
        together: Tensor = self.self_attention(
            placed, all_placed, all_tokens, attn_mask=blocked, need_weights=False
        )[0]
        return together


class TokenFrame(nn.Module):
    """What the box and the keypoint decoder share: how a token is placed, how it is read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.placing = MLP(2 * width, width, width, 2)
        self.norm = nn.LayerNorm(width)

    def place(self, reference: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """References cxcywh [B, Q, 4] -> position [B, Q, d], references [B, Q, levels, 4]."""
        per_level = memory.per_level(reference)
        wave = sine_of_reference(per_level[:, :, 0], self.width)
        return self.placing(wave.to(self.norm.weight.dtype)), per_level
