"""From bodies to identities, look by look: the ID decoder's runtime (MOTIP 3.5), and what
humans said about who is who, which no decoder may contradict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.id_assignment import PROTOCOLS
from impose_core.id_words import IdWords
from impose_core.trajectory_bank import History, TrajectoryBank

Decode = Callable[[History, NDArray[np.float32]], NDArray[np.float32]]
"""History and features [M, F] of the next look to logits [M, V + 1]."""

NOBODY = None
"""The person of a body of whom no human said who it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityThresholds:
    """MOTIP's thresholds.

    Attributes:
        newborn: score below which a body nobody waits for is not there.
        share: of a word, below which a body is not the one.
        protocol: how words are given: "object-max", "hungarian" or "id-max".
    """

    newborn: float = 0.6
    share: float = 0.2
    protocol: str = "object-max"

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UsageError(
                f"Expected 'protocol' to be one of {', '.join(PROTOCOLS)}, got {self.protocol!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The bodies of one look that are somebody.

    Attributes:
        body: int64 [B]: which of the bodies that came.
        identity: int64 [B]: who each is; identities are counted from 0 and never used again.
        word: int64 [B]: the word each has by now.
        logits: float32 [M, V + 1] as decoded, of all that came; None on the first look.
        shares: float64 [M, V + 1] as they were used, what humans said among it; None likewise.
    """

    body: NDArray[np.int64]
    identity: NDArray[np.int64]
    word: NDArray[np.int64]
    logits: NDArray[np.float32] | None
    shares: NDArray[np.float64] | None


class IdentityRuntime:
    """Gives identities to the bodies of one look after another. Holds features, no images.

    Args:
        decode: the model's.
        vocabulary: V.
        memory: looks.
        width: of a feature.
        thresholds: of MOTIP, unless told otherwise.
    """

    def __init__(
        self,
        decode: Decode,
        *,
        vocabulary: int,
        memory: int,
        width: int,
        thresholds: IdentityThresholds | None = None,
    ) -> None:
        self.words = IdWords(vocabulary)
        self.bank = TrajectoryBank(memory=memory, width=width)
        self._decode, self._thresholds = decode, thresholds or IdentityThresholds()
        self._person: dict[int, int] = {}  # word -> who a human said it stands for

    def step(
        self,
        feature: NDArray[np.float32],
        score: NDArray[np.float64],
        persons: Sequence[int | None] = (),
    ) -> Named:
        """Who the bodies of the next look are.

        Args:
            feature: [M, F].
            score: [M], 0 to 1.
            persons: who each is by a human's word, at most once each, or ``NOBODY``; such a
                body gets that person's identity whatever the decoder says, and nobody else
                does. Empty if nobody was named.
        """
        said = list(persons) or [NOBODY] * len(feature)
        logits, shares = None, None
        word = np.full(len(feature), self.words.size, np.int64)
        if len(self.bank.history):
            logits = self._decode(self.bank.history, feature)
            shares = softmax(self._obeying(logits, said))
            assign = PROTOCOLS[self._thresholds.protocol]
            word = assign(shares, self.bank.history.word, self._thresholds.share)
        is_named = np.array([person is not NOBODY for person in said], bool)
        newborn = word == self.words.size
        kept = ~newborn | (score > self._thresholds.newborn) | is_named
        kept &= ~newborn | self._has_room(newborn & kept, is_named, int((~newborn).sum()))
        word, newborn, body = word[kept], newborn[kept], np.flatnonzero(kept)
        self.words.heard(word[~newborn].tolist())
        word[newborn] = born = self.words.born(int(newborn.sum()))
        self.bank.forget(born)
        self._remember(word, [said[b] for b in body], born)
        self.words.heard(word.tolist())
        self.bank.add(feature[body], word.tolist())
        identity = np.array(self.words.identities(word.tolist()), np.int64)
        return Named(body=body, identity=identity, word=word, logits=logits, shares=shares)

    def _obeying(
        self, logits: NDArray[np.float32], said: Sequence[int | None]
    ) -> NDArray[np.float64]:
        """``logits`` with what humans said: no share for whom it contradicts."""
        out = logits.astype(np.float64)
        live = set(self.bank.history.word.tolist())
        whose = {word: self._person[word] for word in live if word in self._person}
        waiting = {person: word for word, person in whose.items()}
        for body, person in enumerate(said):
            if person is NOBODY:
                continue
            if person in waiting:
                word = waiting[person]
                out[:, word] = -np.inf
                out[body] = -np.inf
                out[body, word] = 0.0
            else:
                out[body, list(whose)] = -np.inf
        return out

    def _has_room(
        self, wanted: NDArray[np.bool_], is_named: NDArray[np.bool_], taken: int
    ) -> NDArray[np.bool_]:
        """[M]: newborns there are words for; those a human named come first."""
        order = sorted(np.flatnonzero(wanted), key=lambda b: (not is_named[b], b))
        room = np.zeros(len(wanted), bool)
        room[order[: self.words.size - taken]] = True
        return room

    def _remember(
        self, word: NDArray[np.int64], said: Sequence[int | None], born: Sequence[int]
    ) -> None:
        for new in born:
            self._person.pop(new, None)
        for one, person in zip(word.tolist(), said, strict=True):
            if person is not NOBODY:
                self._person[one] = person


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of ``logits`` as shares that sum to 1."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))
