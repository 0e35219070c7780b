"""Who is who, by a learned ID decoder: the same promises as the geometric assignment.

Bodies of one look after another get identities from the decoder, over a bank of what was seen
of everybody on the latest looks. What humans said holds as it does there: a body a human named
is that person, nobody else is, and who followed goes by it. An edit of who is who changes what
was said, so the looks after it are decoded anew, from the bank as it then is; a removed person's
words keep his identity to himself, and it leaves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from impose_core.association import Tracklet, Word, by_first_frame, doubts_of, labelled
from impose_core.bank import Floats, Sighting
from impose_core.identity_model import IdentityModel, SeenBodies
from impose_core.identity_runtime import IdentityRuntime, IdentityThresholds, Named
from impose_core.points import PointTracker


class LearnedAssociation:
    """The :class:`impose_core.association.Associator` that asks an identity model.

    Args:
        model: embeds bodies and decodes who they are.
        width, height: pixels of the images.
        thresholds: of the runtime.
    """

    def __init__(
        self,
        model: IdentityModel,
        *,
        width: int,
        height: int,
        thresholds: IdentityThresholds | None = None,
    ) -> None:
        self._model, self._width, self._height = model, width, height
        self._runtime = IdentityRuntime(
            model.logits,
            vocabulary=model.vocabulary,
            memory=model.memory,
            width=model.width,
            thresholds=thresholds,
        )
        self._tracklets: dict[int, Tracklet] = {}

    def carry(self, source: Any, target: Any, tracker: PointTracker) -> None:
        """Nothing is followed between looks: the decoder goes by what is seen on them."""

    def step(self, frame: int, sightings: Sequence[Sighting], words: Iterable[Word] = ()) -> None:
        """Give the bodies of ``frame`` (later than all before) to identities.

        Raises:
            UsageError: if the model was made for bodies of another kind.
        """
        bodies = labelled(sightings, [w for w in words if w.frame == frame])
        live = self._runtime.bank.history.word.tolist()
        named = self._runtime.step(
            self._model.embed(self._seen(bodies)),
            np.array([_sureness(body) for body in bodies], np.float64),
            [body.person for body in bodies],
        )
        doubts = _doubts(named, live)
        for b, identity in zip(named.body.tolist(), named.identity.tolist(), strict=True):
            if identity in self._tracklets:
                self._tracklets[identity].add(bodies[b], doubts.get(b, 0.0))
            else:
                self._tracklets[identity] = Tracklet.begun(bodies[b])

    def tracklets(self) -> list[Tracklet]:
        """All of them, by first frame."""
        return by_first_frame(self._tracklets.values())

    def _seen(self, bodies: Sequence[Sighting]) -> SeenBodies:
        nothing = np.zeros(self._model.appearance)
        looks = [body.appearance if body.seen else nothing for body in bodies]
        return SeenBodies(
            xy=_stacked([body.xy for body in bodies], (0, 0, 2)),
            score=_stacked([body.score for body in bodies], (0, 0)),
            appearance=_stacked(looks, (0, self._model.appearance)),
            width=self._width,
            height=self._height,
        )


def _stacked(rows: Sequence[Floats], none: tuple[int, ...]) -> Floats:
    return np.stack(rows) if rows else np.empty(none)


def _sureness(body: Sighting) -> float:
    """Mean score of the joints that count for anything."""
    return float(body.score[body.speaks].mean()) if body.speaks.any() else 0.0


def _doubts(named: Named, live: Sequence[int]) -> dict[int, float]:
    """Body -> 0 to 1, how nearly as likely it and another one are the other way round."""
    if named.shares is None:
        return {}
    followed = [
        (live.index(word), body)
        for word, body in zip(named.word.tolist(), named.body.tolist(), strict=True)
        if word in live and named.shares[body].argmax() == word
    ]
    doubts = doubts_of(np.asarray(named.shares.T[list(live)]), followed)
    return {body: doubt for (_, body), doubt in zip(followed, doubts, strict=True)}
