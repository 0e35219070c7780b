"""The trajectory bank: what was seen of each identity on the latest looks (IMPose III-B)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a decoder is shown of the past.

    Attributes:
        feature: float32 [T, N, F]; zeros where missing.
        word: int64 [N]: the word of each trajectory.
        missing: bool [T, N]: it was not seen on this look.
    """

    feature: NDArray[np.float32]
    word: NDArray[np.int64]
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.feature)


class TrajectoryBank:
    """The latest ``memory`` looks; whoever was on none of them is forgotten.

    Args:
        memory: looks.
        width: of a feature.
    """

    def __init__(self, *, memory: int, width: int) -> None:
        self._memory = memory
        self._history = History(
            feature=np.zeros((0, 0, width), np.float32),
            word=np.zeros(0, np.int64),
            missing=np.ones((0, 0), bool),
        )

    @property
    def history(self) -> History:
        """All that is remembered."""
        return self._history

    def forget(self, words: Iterable[int]) -> None:
        """Drop the trajectories of ``words``: the words are somebody else's now."""
        self._keep(~np.isin(self._history.word, list(words)))

    def add(self, feature: NDArray[np.float32], words: Sequence[int]) -> None:
        """Remember a look: bodies [M, F] and whose words they have, each at most once."""
        old = self._history
        new = sorted(set(words) - set(old.word.tolist()))
        word = np.concatenate([old.word, np.array(new, np.int64)])
        kept = max(self._memory - 1, 0)
        looks = min(len(old), kept)
        past = slice(len(old) - looks, None)
        features = np.zeros((looks + 1, len(word), feature.shape[-1]), np.float32)
        missing = np.ones((looks + 1, len(word)), bool)
        features[:-1, : len(old.word)] = old.feature[past]
        missing[:-1, : len(old.word)] = old.missing[past]
        column = {w: n for n, w in enumerate(word.tolist())}
        at = [column[w] for w in words]
        features[-1, at], missing[-1, at] = feature, False
        self._history = History(feature=features, word=word, missing=missing)
        self._keep(np.asarray((~missing).any(0)))

    def _keep(self, chosen: NDArray[np.bool_]) -> None:
        old = self._history
        self._history = History(
            feature=old.feature[:, chosen], word=old.word[chosen], missing=old.missing[:, chosen]
        )
