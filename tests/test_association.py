"""Identities hold through crossings, dropouts and shuffled detections; doubt is said."""

import numpy as np
import pytest

from impose_core.association import Association, Word, assigned, doubts_of, joined
from impose_core.bank import (
    HISTORY,
    Identity,
    Sighting,
    colour_signature,
    likeness,
    limb_signature,
)
from impose_core.evaluation.tracking import hota_oks
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.skeleton import COCO17
from impose_core.synthesis import difficulty, render

K = len(COCO17)


class NoisyTruth:
    """A reader that returns the truth: shuffled, shaken, now and then not at all."""

    name, skeleton = "noisy truth", COCO17

    def __init__(self, truth, *, noise=2.0, dropout=0.0, seed=0, hidden=0.5, order=None):
        self.truth, self.noise, self.dropout = truth, noise, dropout
        self.seed, self.hidden, self.order, self.frame = seed, hidden, order, 0

    def detect_on(self, t):
        rng = np.random.default_rng([self.seed, t])
        truth = self.truth
        known = np.isfinite(truth.xy[t]).all(-1)
        seen = (truth.visibility[t] == 2).mean(-1)
        there = np.flatnonzero(
            (known.mean(-1) > 0.5) & (seen > self.hidden) & (rng.random(len(seen)) >= self.dropout)
        )
        xy = truth.xy[t, there] + rng.normal(0, self.noise, (len(there), K, 2))
        score = np.where(truth.visibility[t, there] == 2, 0.8, 0.3) * known[there]
        order = rng.permutation(len(there)) if self.order is None else np.arange(len(there))
        if self.order == "backward":
            order = order[::-1]
        return xy[order], score[order]


def sightings(reader, image, t):
    return [
        Sighting(
            frame=t,
            xy=xy,
            score=score,
            limbs=limb_signature(xy, score, COCO17),
            colour=colour_signature(image, xy, score, COCO17),
        )
        for xy, score in zip(*reader.detect_on(t), strict=True)
    ]


def persons_of(frames, reader, *, every=2, words=(), skip=()):
    association, tracker, before = Association(COCO17.flip_index()), LucasKanade(), None
    looks = [t for t in range(0, len(frames), every) if t not in skip]
    for t in range(looks[-1] + 1):
        image = frames[t]
        now = tracker.encode(image)
        if before is not None:
            association.carry(before, now, tracker)
        before = now
        if t in looks:
            association.step(t, sightings(reader, image, t), words)
    return joined(association.tracklets(), looks=looks)


def as_set(persons, truth=None, looks=()):
    frames = []
    for t in looks:
        if truth is None:
            rows = [(n, s) for n, p in enumerate(persons) for s in p.sightings if s.frame == t]
            people = Instances.unknown(len(rows), K)
            for i, (n, s) in enumerate(rows):
                people.xy[i], people.track_id[i] = s.xy, n
            people.visibility[:], people.score[:] = 2, 1.0
        else:
            there = np.flatnonzero((truth.visibility[t] == 2).mean(-1) > 0.5)
            people = Instances.unknown(len(there), K)
            people.xy[:], people.visibility[:] = truth.xy[t, there], truth.visibility[t, there]
            people.track_id[:], people.box[:] = truth.track_id[there], truth.box[t, there]
        frames.append(LabelledFrame(index=t, instances=people))
    one = PoseSequence(name="scene", width=640, height=360, frames=tuple(frames))
    return PoseSet(keypoints=COCO17.keypoints, sequences=(one,))


def scores(persons, truth, every=2):
    looks = range(0, len(truth), every)
    found = hota_oks(as_set((), truth, looks), as_set(persons, None, looks)).combined
    return found.summary()


@pytest.fixture(scope="module")
def crossing():
    return render(difficulty("crossing", 1))


@pytest.fixture(scope="module")
def many():
    return render(difficulty("many", 1))


# --- scenes ----------------------------------------------------------------------------------


def test_identity_holds_through_a_crossing(crossing):
    persons = persons_of(crossing.frames, NoisyTruth(crossing.tracks))
    assert len(persons) == 4
    found = scores(persons, crossing.tracks)
    assert found["IDF1"] > 0.97
    assert found["AssA"] > 0.85


def test_identity_holds_where_every_fifth_body_is_overlooked(crossing):
    persons = persons_of(crossing.frames, NoisyTruth(crossing.tracks, dropout=0.2))
    found = scores(persons, crossing.tracks)
    assert 4 <= len(persons) <= 5
    assert found["IDF1"] > 0.75  # of those overlooked nobody knows


def test_ten_persons_who_cross(many):
    persons = persons_of(many.frames, NoisyTruth(many.tracks))
    assert scores(persons, many.tracks)["IDF1"] > 0.95


def test_the_same_input_gives_the_same_identities(crossing):
    first, second = (persons_of(crossing.frames, NoisyTruth(crossing.tracks)) for _ in range(2))
    assert flat(first) == flat(second)


def test_the_order_of_the_bodies_on_a_frame_does_not_matter(many):
    forward, backward = (
        persons_of(many.frames, NoisyTruth(many.tracks, order=order))
        for order in ("forward", "backward")
    )
    assert flat(forward) == flat(backward)


def flat(persons):
    return [(s.frame, s.xy.tobytes()) for p in persons for s in p.sightings]


# --- small scenes, without pixels -------------------------------------------------------------

STANDING = np.random.default_rng(5).uniform(-30, 30, (K, 2)) * [0.5, 1.5]
GREY = np.full((360, 640, 3), 128, np.uint8)


def body(t, x, y=180.0, score=0.8):
    xy = STANDING + np.array([x, y])
    return Sighting(
        frame=t,
        xy=xy,
        score=np.full(K, score),
        limbs=limb_signature(xy, np.full(K, score), COCO17),
        colour=np.full(6, np.nan),
    )


def followed(frames, words=()):
    """Persons of lists of bodies, one for each frame; nothing is tracked between."""
    association = Association(COCO17.flip_index())
    for t, bodies in enumerate(frames):
        association.step(t, bodies, words)
    return joined(association.tracklets(), looks=range(len(frames)))


def spans(persons):
    return [(p.sightings[0].frame, p.sightings[-1].frame) for p in persons]


def test_a_newborn_begins_where_he_appears():
    frames = [[body(t, 100), *([body(t, 400)] if t >= 6 else [])] for t in range(20)]
    assert spans(followed(frames)) == [(0, 19), (6, 19)]


def test_who_left_ends_where_he_was_last_seen():
    frames = [[body(t, 100), *([body(t, 400)] if t < 6 else [])] for t in range(20)]
    assert spans(followed(frames)) == [(0, 19), (0, 5)]


def test_who_is_seen_again_is_revived_and_not_born():
    frames = [[body(t, 100 + t)] if not 20 <= t < 60 else [] for t in range(90)]
    assert spans(followed(frames)) == [(0, 89)]


def test_who_appears_far_away_is_somebody_else():
    frames = [[body(t, 100)] if t < 20 else [body(t, 560)] if t > 30 else [] for t in range(60)]
    assert spans(followed(frames)) == [(0, 19), (31, 59)]


def test_who_is_seen_twice_in_all_is_nobody():
    frames = [[body(t, 100), *([body(t, 400)] if t in (6, 7) else [])] for t in range(20)]
    assert spans(followed(frames)) == [(0, 19)]


def test_an_echo_of_a_body_is_no_newborn():
    frames = [[body(t, 100), *([body(t, 104, score=0.5)] if t > 3 else [])] for t in range(20)]
    assert len(followed(frames)) == 1


def test_nobody_is_nobody():
    assert followed([[] for _ in range(5)]) == []


def test_one_look_is_enough_for_a_video_of_one_frame():
    assert spans(followed([[body(0, 100)]])) == [(0, 0)]


# --- words -----------------------------------------------------------------------------------


def word(t, person, x, *, firm=True):
    return Word(frame=t, person=person, xy=STANDING + np.array([x, 180.0]), firm=firm)


def test_a_body_a_human_named_is_that_person():
    frames = [[body(t, 100), body(t, 400)] for t in range(20)]
    persons = followed(frames, [word(7, 5, 403)])
    assert [p.person for p in persons] == [None, 5]
    assert spans(persons) == [(0, 19), (0, 19)]


def test_two_names_are_two_persons_even_where_one_body_would_do():
    frames = [[body(t, 100)] for t in range(20)]
    persons = followed(frames, [word(3, 1, 100), word(15, 2, 100)])
    assert {p.person for p in persons} == {1, 2}
    of = {p.person: [s.frame for s in p.sightings] for p in persons}
    assert 3 in of[1]
    assert 15 in of[2]
    assert not set(of[1]) & set(of[2])


def test_one_name_is_one_person_however_far_apart():
    frames = [[body(t, 100)] if t < 20 else [body(t, 560)] if t > 30 else [] for t in range(60)]
    persons = followed(frames, [word(3, 1, 100), word(50, 1, 560)])
    assert [p.person for p in persons] == [1]


def test_a_human_is_right_where_nobody_was_seen_and_a_seed_is_not():
    frames = [[] for _ in range(20)]
    persons = followed(frames, [word(7, 5, 400), word(9, 6, 100, firm=False)])
    assert [(p.person, p.sightings[0].seen) for p in persons] == [(5, False)]


# --- parts -----------------------------------------------------------------------------------


def test_swaps_that_are_nearly_as_good_are_doubtful():
    clear = np.array([[0.9, 0.12], [0.12, 0.9]])
    even = np.array([[0.8, 0.75], [0.79, 0.8]])
    assert doubts_of(clear, assigned(clear)) == [0.0, 0.0]
    assert min(doubts_of(even, assigned(even))) > 0.5
    assert assigned(np.array([[0.05]])) == []
    assert assigned(np.empty((0, 3))) == []


def test_clothes_tell_persons_apart_and_silence_does_not():
    red, blue = np.array([50.0, 180, 160] * 2), np.array([50.0, 120, 90] * 2)
    limbs = np.zeros(4)
    assert likeness((limbs, limbs), (red, red + 3)) > 0.9
    assert likeness((limbs, limbs), (red, blue)) < 0.1
    assert likeness((limbs, limbs), (red, np.full(6, np.nan))) == 1
    assert likeness((np.empty(0), limbs), (np.empty(0), red)) == 1


def test_colours_are_taken_from_the_torso():
    image = GREY.copy()
    image[100:200, 200:300] = (200, 30, 30)
    xy = np.full((K, 2), np.nan)
    for name, at in {
        "left_shoulder": (290, 105), "right_shoulder": (210, 105),
        "left_hip": (285, 195), "right_hip": (215, 195),
    }.items():  # fmt: skip
        xy[COCO17.index(name)] = at
    seen = np.isfinite(xy[:, 0]).astype(float)
    colour = colour_signature(image, xy, seen, COCO17)
    assert colour[1] > 170  # red in Lab
    assert np.isnan(colour_signature(image, xy, seen * 0.1, COCO17)).all()
    assert np.isnan(colour_signature(image, xy + 2000, seen, COCO17)).all()


def test_the_bank_remembers_the_latest_and_no_more():
    identity = Identity.of([body(t, 100 + 2 * t) for t in range(3 * HISTORY)])
    np.testing.assert_allclose(identity.motion, [2, 0])
    assert len(identity._limbs) == HISTORY
    np.testing.assert_allclose(identity.limbs, body(0, 0).limbs, atol=1e-9)
