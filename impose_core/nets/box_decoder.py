"""The human decoder: queries become persons, each with a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from impose_core.nets.decoder_layer import Beside, DecoderLayer, TokenFrame
from impose_core.nets.deformable_attention import Values
from impose_core.nets.heads import box_head, class_head
from impose_core.nets.memory import Memory
from impose_core.nets.query_selection import taken
from impose_core.nets.tensor_geometry import moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What one layer made of Q queries.

    ``boxes`` is what the layer answers; ``reference`` is where the next one looks. They differ:
    answers are read from normalised tokens (as in the published networks).
    """

    tokens: Tensor  # [B, Q, d], not normalised
    logits: Tensor  # [B, Q, classes]
    boxes: Tensor  # cxcywh [B, Q, 4]
    reference: Tensor  # cxcywh [B, Q, 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """P persons: the tokens of their boxes [B, P, d], and the boxes, cxcywh [B, P, 4]."""

    tokens: Tensor
    boxes: Tensor


class BoxDecoder(nn.Module):
    """Queries in, boxes out, layer by layer."""

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        depth: int,
        levels: int,
        heads: int,
        points: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(width, hidden, levels=levels, heads=heads, points=points)
            for _ in range(depth)
        )
        self.class_heads = nn.ModuleList(class_head(width, classes) for _ in range(depth))
        self.box_heads = nn.ModuleList(box_head(width) for _ in range(depth))

    def values(self, memory: Memory) -> tuple[Values, ...]:
        """What each layer can read of ``memory``; it can be kept."""
        layers = cast(Sequence[DecoderLayer], self.layers)
        return tuple(layer.values(memory) for layer in layers)

    def forward(
        self,
        tokens: Tensor,
        reference: Tensor,
        memory: Memory,
        frame: TokenFrame,
        *,
        blocked: Tensor | None = None,
        values: tuple[Values, ...] | None = None,
        beside: Sequence[Beside | None] | None = None,
    ) -> list[Boxes]:
        """Tokens [B, Q, d] at references cxcywh [B, Q, 4] -> what each layer made of them.

        Args:
            tokens: what is known of Q boxes.
            reference: where they are thought to be.
            memory: of B images.
            frame: as of the keypoint decoder.
            blocked: [B, Q, Q] or, with ``beside``, [B, Q, Q + R]; True where the row must not
                see the column.
            values: what ``values(memory)`` said, if it is kept.
            beside: per layer R tokens that all see, such as those of an earlier pass.
        """
        values = self.values(memory) if values is None else values
        beside = [None] * len(values) if beside is None else beside
        steps = []
        for index, layer in enumerate(cast(Sequence[DecoderLayer], self.layers)):
            class_of, move = self.class_heads[index], self.box_heads[index]
            position, per_level = frame.place(reference.detach(), memory)
            tokens = layer(
                tokens, position, per_level, values[index], blocked=blocked, beside=beside[index]
            )
            clear = frame.norm(tokens)
            steps.append(
                Boxes(
                    tokens=tokens,
                    logits=class_of(clear),
                    boxes=moved(reference, move(clear)),
                    reference=moved(reference.detach(), move(tokens)),
                )
            )
            reference = steps[-1].reference
        return steps

    def best(self, last: Boxes, persons: int, *, first: int = 0) -> People:
        """The surest persons, surest first, of the queries from ``first`` on."""
        tokens, boxes = last.tokens[:, first:], last.reference[:, first:]
        score = self.class_heads[-1](tokens).amax(dim=-1)
        chosen = score.topk(min(persons, score.shape[1]), dim=1).indices
        return People(tokens=taken(tokens, chosen), boxes=taken(boxes, chosen))
