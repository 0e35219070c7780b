"""A learned identity model behind the protocol of the geometric assignment: what must hold."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames, index_of

from impose_core.association import Association, Word, joined
from impose_core.bank import Sighting
from impose_core.corrections import RemovePerson, SwapIdentity
from impose_core.engine import Engine
from impose_core.identity_model import SeenBodies
from impose_core.learned_association import LearnedAssociation
from impose_core.readers import Candidates, Detections
from impose_core.readers.views import square_views
from impose_core.session import Session
from impose_core.skeleton import COCO17

K = len(COCO17)
BODY = np.random.default_rng(0).uniform(-40, 40, (K, 2))


class ByAppearance:
    """Whoever looks most as somebody looked last is that one; a stand-in for the ID decoder."""

    name, vocabulary, memory, appearance, width = "by appearance", 8, 6, 1, 1

    def __init__(self):
        self.seen: list[SeenBodies] = []

    def embed(self, bodies):
        self.seen.append(bodies)
        return bodies.appearance.astype(np.float32)

    def logits(self, history, feature):
        out = np.full((len(feature), self.vocabulary + 1), -8.0, np.float32)
        out[:, -1] = 0.0
        for n, word in enumerate(history.word.tolist()):
            latest = history.feature[np.flatnonzero(~history.missing[:, n])[-1], n, 0]
            out[:, word] = 6 - 4 * np.abs(feature[:, 0] - latest)
        return out


def body(frame, look, x=100.0, score=0.9):
    return Sighting(
        frame=frame,
        xy=BODY + np.array([x, 100.0]),
        score=np.full(K, score),
        limbs=np.empty(0),
        colour=np.full(6, np.nan),
        appearance=np.array([float(look)]),
    )


def word(frame, person, x, firm=True):
    return Word(frame=frame, person=person, xy=BODY + np.array([x, 100.0]), firm=firm)


def run(looks, words=()):
    association = LearnedAssociation(ByAppearance(), width=640, height=360)
    for frame, bodies in enumerate(looks):
        association.step(frame, bodies, words)
    return association.tracklets()


def looks_of(tracklets):
    return [[(s.frame, float(s.appearance[0])) for s in t.sightings] for t in tracklets]


def test_who_changes_places_stays_himself():
    tracks = run([[body(0, 1, 100), body(0, 2, 400)], [body(1, 1, 400), body(1, 2, 100)]])
    assert looks_of(tracks) == [[(0, 1), (1, 1)], [(0, 2), (1, 2)]]


def test_lost_and_revived():
    tracks = run([[body(0, 1)], [], [], [body(3, 1)]])
    assert looks_of(tracks) == [[(0, 1), (3, 1)]]


def test_the_order_of_bodies_means_nothing():
    there = [[body(t, look, 100 * look) for look in (1, 2, 3)] for t in range(4)]
    assert looks_of(run(there)) == looks_of(run([bodies[::-1] for bodies in there]))


def test_what_a_human_said_holds_from_there_on():
    there = [[body(t, 1, 100), body(t, 2, 400)] for t in range(6)]
    # whoever looked like 1 is person 8 from frame 3 on, and the other way round
    words = [word(0, 7, 100), word(0, 8, 400), word(3, 8, 100), word(3, 7, 400)]
    tracks = {t.person: looks_of([t])[0] for t in run(there, words)}
    assert tracks[7] == [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    assert tracks[8] == [(0, 2), (1, 2), (2, 2), (3, 1), (4, 1), (5, 1)]


def test_a_firm_word_is_somebody_even_where_nobody_was_seen():
    tracks = run([[body(0, 1, 100)], [body(1, 1, 100)]], [word(1, 5, 500)])
    assert [t.person for t in tracks] == [None, 5]
    assert not tracks[1].sightings[0].seen


def test_two_who_look_alike_leave_a_doubt():
    tracks = run([[body(0, 1.0, 100), body(0, 1.05, 400)], [body(1, 1.0, 100), body(1, 1.05, 400)]])
    assert all(0 < t.doubts[1] <= 1 for t in tracks)
    sure = run([[body(0, 1, 100), body(0, 5, 400)], [body(1, 1, 100), body(1, 5, 400)]])
    assert not any(t.doubts for t in sure)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LearnedAssociation(ByAppearance(), width=640, height=360),
        lambda: Association(COCO17.flip_index()),
    ],
    ids=["learned", "geometric"],
)
def test_one_contract_for_both(make):
    """Unique on a frame, human words hold, the same twice."""
    still = FieldTracker(lambda t, xy: np.zeros_like(xy))
    words = [word(2, 9, 400), word(4, -1, 700)]
    runs = []
    for _ in range(2):
        association = make()
        for t in range(6):
            if t:
                association.carry(t - 1, t, still)
            association.step(t, [body(t, n, 100 + 300 * n) for n in range(3)], words)
        runs.append(association.tracklets())
    assert looks_of(runs[0]) == looks_of(runs[1])
    assert [t.person for t in runs[0]] == [None, 9, -1]
    for t in range(6):
        assert sorted(look for t_ in runs[0] for f, look in looks_of([t_])[0] if f == t) == [
            0,
            1,
            2,
        ]
    assert len(joined(runs[0], looks=range(6))) == 3


# --- in a session ---------------------------------------------------------------------------


class Scene:
    """Sees two people stand still; from frame 9 on the network takes one for the other."""

    name, skeleton = "scene", COCO17
    looks = (0.0, 5.0)
    places = (150.0, 450.0)

    def views(self, extents):
        return square_views(extents)

    def read(self, images, views):
        return Candidates(
            xy=np.full((len(images), K, 1, 2), np.nan), score=np.zeros((len(images), K, 1))
        )

    def detect(self, image):
        looks = self.looks[::-1] if index_of(image) >= 9 else self.looks
        xy = np.stack([BODY + np.array([x, 150.0]) for x in self.places])
        none = Candidates(xy=np.full((2, K, 1, 2), np.nan), score=np.zeros((2, K, 1)))
        return Detections(
            xy=xy, score=np.full((2, K), 0.9), candidates=none, appearance=np.array(looks)[:, None]
        )


def session_of():
    engine = Engine(
        points=FieldTracker(lambda t, xy: np.zeros_like(xy)),
        reader=Scene(),
        identity=ByAppearance(),
    )
    return Session(NumberedFrames(30), skeleton=COCO17, engine=engine)


def places(session, frame):
    """Track id -> x of its middle on ``frame``."""
    session_tracks = session.tracks
    xy = np.nanmean(session_tracks.xy[frame, :, :, 0] - BODY[:, 0], axis=1)
    return dict(zip(session_tracks.track_id.tolist(), xy.round().tolist(), strict=True))


def detect(session):
    for _ in session.detect():
        pass
    for _ in session.propagate():
        pass


def test_an_edit_of_who_is_who_holds_when_everybody_is_looked_for_again():
    session = session_of()
    detect(session)
    first, second = session.tracks.track_id.tolist()
    assert places(session, 0) == {first: 150, second: 450}
    assert places(session, 29) == {first: 450, second: 150}  # the stand-in's error
    session.correct(SwapIdentity(frame=9, first=first, second=second))
    detect(session)
    for frame in (0, 3, 9, 15, 24, 29):
        assert places(session, frame) == {first: 150, second: 450}, frame


def test_who_was_removed_does_not_come_back():
    session = session_of()
    detect(session)
    first, second = session.tracks.track_id.tolist()
    session.correct(RemovePerson(track=second))
    detect(session)
    assert session.tracks.track_id.tolist() == [first]


def test_undo_of_an_edit_brings_back_what_was():
    session = session_of()
    detect(session)
    before = session.tracks.xy.tobytes()
    first, second = session.tracks.track_id.tolist()
    session.correct(SwapIdentity(frame=9, first=first, second=second))
    session.undo()
    assert session.tracks.xy.tobytes() == before
