"""Two-stage query selection: the cells of memory that look most like a person become queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from impose_core.nets.encoder import centres
from impose_core.nets.heads import box_head, class_head
from impose_core.nets.memory import Memory
from impose_core.nets.tensor_geometry import inverse_sigmoid

SIZE: Final = 0.05
"""Side of a proposal on the finest level, in shares of the image; doubles with each level."""
MARGIN: Final = 0.01
"""Proposals nearer than this to the edge are none."""
NOWHERE: Final = 1e4
"""Logit that stands for no place; finite, so that it survives export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """Where to look for persons; Q best cells, best first.

    Attributes:
        content: [B, Q, d], detached: the selection is trained by its own heads alone.
        reference: cxcywh [B, Q, 4], detached.
        logits: [B, Q, classes] of the cells, for the loss.
        boxes: cxcywh [B, Q, 4] likewise.
    """

    content: Tensor
    reference: Tensor
    logits: Tensor
    boxes: Tensor


class QuerySelection(nn.Module):
    """Memory in, queries out."""

    def __init__(self, width: int, *, classes: int, queries: int) -> None:
        super().__init__()
        self.queries = queries
        self.projection = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.class_head = class_head(width, classes)
        self.box_head = box_head(width)

    def forward(self, memory: Memory) -> Queries:
        """Memory [B, S, d] -> the best Q queries, or S where there are fewer cells."""
        proposals, usable = proposals_of(memory)
        tokens = memory.tokens.masked_fill(~usable[..., None], 0)
        tokens = self.norm(self.projection(tokens))
        logits = self.class_head(tokens)
        # a cell without a place can win only where there are fewer cells than queries
        score = logits.amax(dim=-1).masked_fill(~usable, torch.finfo(logits.dtype).min)
        best = score.topk(min(self.queries, score.shape[1]), dim=1).indices
        tokens, proposals = taken(tokens, best), taken(proposals, best)
        boxes = (self.box_head(tokens).float() + proposals).sigmoid()
        return Queries(
            content=tokens.detach(),
            reference=boxes.detach(),
            logits=taken(logits, best),
            boxes=boxes,
        )


def proposals_of(memory: Memory) -> tuple[Tensor, Tensor]:
    """A box around each cell: logits of cxcywh [B, S, 4], and whether it is one, bool [B, S]."""
    levels = []
    for level, shape in enumerate(memory.shapes):
        centre = centres(shape, memory.tokens.device).flatten(0, 1) / memory.valid[:, level, None]
        size = torch.full_like(centre, SIZE * 2.0**level)
        levels.append(torch.cat([centre, size], dim=-1))
    boxes = torch.cat(levels, dim=1)
    usable = ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(dim=-1) & ~memory.padding
    return inverse_sigmoid(boxes).masked_fill(~usable[..., None], NOWHERE), usable


def taken(values: Tensor, index: Tensor) -> Tensor:
    """Rows ``index`` [B, Q] of ``values`` [B, S, C] -> [B, Q, C]."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
