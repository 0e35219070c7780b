"""What a token holds when it stands for a known label instead of something found.

Click-Pose (Yang et al., ICCV 2023, 3.3 and 3.4) fills the queries of a corrected pose, and of a
pose with modelled errors, from such codebooks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from impose_core.errors import UsageError


class LabelCodebooks(nn.Module):
    """One row per label of a person and, if bodies can be decoded again, per joint.

    Row 0 of the joints belongs to none, as in the published weights.
    """

    def __init__(self, width: int, *, labels: int, joints: int | None) -> None:
        super().__init__()
        self.persons = nn.Embedding(labels + 1, width)
        self.joints = None if joints is None else nn.Embedding(joints + 1, width)

    def poses(self, batch: int, persons: int, *, label: int) -> Tensor:
        """Box and joint tokens of bodies that somebody knows of: [B, P, 1 + K, d].

        Raises:
            UsageError: if there is no codebook of joints.
        """
        device = self.persons.weight.device
        labels = torch.full((batch, persons), label, dtype=torch.int64, device=device)
        count = 0 if self.joints is None else self.joints.num_embeddings - 1
        joints = torch.arange(count, device=labels.device).expand(batch, persons, -1)
        return self.tokens(labels, joints)

    def tokens(self, labels: Tensor, joints: Tensor) -> Tensor:
        """Persons' labels [B, P] and joints [B, P, K], from 0 -> tokens [B, P, 1 + K, d].

        Raises:
            UsageError: if there is no codebook of joints.
        """
        if self.joints is None:
            raise UsageError(
                "Expected a network with a codebook of joints, got one without: it finds bodies, "
                "but cannot decode one again."
            )
        return torch.cat([self.persons(labels)[:, :, None], self.joints(joints + 1)], dim=2)
