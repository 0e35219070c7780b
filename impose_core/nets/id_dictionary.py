"""The ID dictionary: learned words that stand for "this one" and "that one" (IMPose eq. 2).

A word means nobody in particular: which person it stands for is agreed anew in every clip, so
that the decoder has to look for the person in the past to find the word. One word more, the
last, means "nobody yet".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class IdDictionary(nn.Module):
    """``size`` words and the newborn's.

    Args:
        size: words for persons; labels are 0 to size - 1.
        width: of a word's embedding.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.word_to_embed = nn.Linear(size + 1, width, bias=False)
        self.embed_to_word = nn.Linear(width, size + 1, bias=False)

    @property
    def newborn(self) -> int:
        """The label of somebody who was not there before."""
        return self.size

    def embed(self, labels: Tensor) -> Tensor:
        """int64 [...] labels -> [..., width]."""
        return self.word_to_embed.weight.T[labels]

    def forward(self, embedded: Tensor) -> Tensor:
        """[..., width] -> logits [..., size + 1]."""
        return torch.as_tensor(self.embed_to_word(embedded))
