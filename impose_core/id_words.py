"""A bounded vocabulary behind identities without bound.

A decoder knows V words. A word that was not heard for longest is the next one to be given away;
who had it before keeps his identity, but can no longer be recognised. (MOTIP's runtime.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence


class IdWords:
    """Which word stands for whom by now.

    Args:
        size: words, 0 to size - 1.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._queue: OrderedDict[int, None] = OrderedDict.fromkeys(range(size))
        self._identity: dict[int, int] = {}
        self._born = 0

    @property
    def queue(self) -> list[int]:
        """All words, the one that was not heard for longest first."""
        return list(self._queue)

    def heard(self, words: Iterable[int]) -> None:
        """``words`` were just used, in this order."""
        for word in words:
            self._queue.move_to_end(word)

    def born(self, count: int) -> list[int]:
        """Words for ``count`` new identities: those next in the queue, at most all of them."""
        words = self.queue[:count]
        for word in words:
            self._identity[word] = self._born
            self._born += 1
        return words

    def identities(self, words: Sequence[int]) -> list[int]:
        """Who the words, each given to somebody, stand for: counted from 0, never used again."""
        return [self._identity[word] for word in words]
