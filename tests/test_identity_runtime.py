"""Words, bank, protocols and the runtime: MOTIP's logic, and what humans said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impose_core.errors import UsageError
from impose_core.id_assignment import PROTOCOLS
from impose_core.id_words import IdWords
from impose_core.identity_runtime import IdentityRuntime, IdentityThresholds
from impose_core.trajectory_bank import TrajectoryBank

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden" / "motip_runtime_logic.npz"


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def detected(fixture, t):
    """Features [M, F], scores [M] and boxes [M, 4] of what was seen, as MOTIP selects it."""
    score = sigmoid(fixture[f"frame/{t}/pred_logits"][:, 0])
    there = score > 0.3
    outputs = fixture[f"frame/{t}/outputs"].astype(np.float32)
    return outputs[there], score[there], fixture[f"frame/{t}/pred_boxes"][there]


def xywh_pixels(cxcywh, width, height):
    corner = cxcywh[:, :2] - cxcywh[:, 2:] / 2
    return np.concatenate([corner, cxcywh[:, 2:]], axis=1) * [width, height, width, height]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_motip_runtime_logic_is_that_of_the_official_code(protocol):
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN} is not there")
    fixture = np.load(GOLDEN)
    height, width = fixture["sequence_hw"]
    now = 0
    runtime = IdentityRuntime(
        lambda history, feature: fixture[f"{protocol}/{now}/id_logits"],
        vocabulary=int(fixture["vocab"]),
        memory=int(fixture["miss_tolerance"]) - 1,
        width=256,
        thresholds=IdentityThresholds(
            newborn=float(fixture["newborn_thresh"]),
            share=float(fixture["id_thresh"]),
            protocol=protocol,
        ),
    )
    for now in range(30):
        feature, score, boxes = detected(fixture, now)
        named = runtime.step(feature, score)

        def expected(what, t=now):
            return fixture[f"{protocol}/{t}/{what}"]

        np.testing.assert_array_equal(named.identity, expected("id"), f"frame {now}")
        np.testing.assert_allclose(score[named.body], expected("score"), atol=1e-6)
        pixels = xywh_pixels(boxes[named.body], width, height)
        np.testing.assert_allclose(pixels, expected("bbox"), atol=1e-3)
        np.testing.assert_array_equal(runtime.bank.history.word, expected("bank_labels"))
        np.testing.assert_array_equal(runtime.bank.history.missing, expected("bank_masks"))
        np.testing.assert_array_equal(runtime.words.queue, expected("queue"))


# --- words ----------------------------------------------------------------------------------


def test_the_word_not_heard_for_longest_is_given_away_and_its_owner_stays_somebody():
    words = IdWords(3)
    assert words.born(2) == [0, 1]
    words.heard([0, 1])
    words.heard([0])
    assert words.queue == [2, 1, 0]
    assert words.born(2) == [2, 1]
    assert words.identities([0, 1, 2]) == [0, 3, 2]


@given(st.lists(st.integers(0, 5), max_size=40))
def test_identities_are_never_used_again(counts):
    words, seen = IdWords(4), []
    for count in counts:
        born = words.born(count)
        words.heard(born)
        assert len(born) == min(count, 4)
        assert sorted(words.queue) == [0, 1, 2, 3]
        seen += words.identities(born)
    assert len(set(seen)) == len(seen)


# --- the bank -------------------------------------------------------------------------------


def test_the_bank_remembers_the_latest_looks_and_forgets_who_was_on_none():
    bank = TrajectoryBank(memory=3, width=1)
    for t, words in enumerate([[4], [2], [2], [2]]):
        bank.add(np.array([[float(t)]], np.float32), words)
    assert bank.history.word.tolist() == [2]
    assert bank.history.feature[:, 0, 0].tolist() == [1, 2, 3]
    bank.add(np.zeros((0, 1), np.float32), [])
    assert bank.history.missing[:, 0].tolist() == [False, False, True]


# --- protocols ------------------------------------------------------------------------------

SHARES = st.lists(st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5), min_size=0, max_size=6)


@given(SHARES, st.sets(st.integers(0, 3)))
def test_every_protocol_gives_live_words_once_and_only_where_convinced(rows, live):
    shares = np.array(rows).reshape(-1, 5)
    shares = shares / shares.sum(1, keepdims=True)
    for protocol in PROTOCOLS.values():
        word = protocol(shares, np.array(sorted(live), np.int64), 0.2)
        given_ = word[word != 4]
        assert len(set(given_.tolist())) == len(given_)
        assert set(given_.tolist()) <= live
        assert (shares[np.flatnonzero(word != 4), given_] >= 0.2).all()


def test_a_protocol_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="object-max, hungarian, id-max, got 'luck'"):
        IdentityThresholds(protocol="luck")


# --- the runtime ----------------------------------------------------------------------------


def by_place(history, feature):
    """A decoder for bodies whose feature is a place: whoever was last seen nearest it is."""
    out = np.full((len(feature), 7), -8.0, np.float32)
    out[:, 6] = 0.0
    for n, word in enumerate(history.word.tolist()):
        latest = history.feature[np.flatnonzero(~history.missing[:, n])[-1], n, 0]
        out[:, word] = 6 - 4 * np.abs(feature[:, 0] - latest)
    return out


def runtime_of(decode=by_place, **changes):
    return IdentityRuntime(
        decode, vocabulary=6, memory=5, width=1, thresholds=IdentityThresholds(**changes)
    )


def step(runtime, places, persons=(), score=0.9):
    feature = np.array(places, np.float32).reshape(-1, 1)
    named = runtime.step(feature, np.full(len(places), score), persons)
    return dict(zip(named.body.tolist(), named.identity.tolist(), strict=True))


def test_newborns_lost_and_revived():
    runtime = runtime_of()
    assert step(runtime, [0, 10]) == {0: 0, 1: 1}
    assert step(runtime, [10.1, 0.1, 20]) == {0: 1, 1: 0, 2: 2}
    for _ in range(3):
        assert step(runtime, [0]) == {0: 0}
    assert step(runtime, [0, 10]) == {0: 0, 1: 1}  # it is still remembered
    for _ in range(5):
        step(runtime, [0])
    assert step(runtime, [0, 10]) == {0: 0, 1: 3}  # and now it is not


def test_a_body_nobody_waits_for_must_be_sure():
    runtime = runtime_of()
    assert step(runtime, [0], score=0.5) == {}
    step(runtime, [0])
    assert step(runtime, [0, 10], score=0.5) == {0: 0}


def test_more_bodies_than_words():
    runtime = runtime_of()
    assert len(step(runtime, range(0, 80, 10))) == 6
    assert len(step(runtime, range(0, 80, 10))) == 6


def test_what_a_human_said_outweighs_the_decoder():
    runtime = runtime_of()
    step(runtime, [0, 10], persons=[7, 8])
    assert step(runtime, [0, 10], persons=[8, 7]) == {0: 1, 1: 0}  # they had swapped
    assert step(runtime, [0, 10]) == {0: 1, 1: 0}  # and from there on it goes by that


def test_the_other_one_does_not_take_a_named_ones_identity():
    runtime = runtime_of()
    step(runtime, [0, 10], persons=[7, None])
    # the body at 10 is 7, so the one at 0, whom the decoder takes for 7, is somebody else
    assert step(runtime, [0, 10], persons=[None, 7]) == {0: 2, 1: 0}


def test_a_body_with_a_new_name_is_nobody_who_has_another():
    runtime = runtime_of()
    step(runtime, [0], persons=[7])
    assert step(runtime, [0], persons=[9]) == {0: 1}


def test_naming_one_who_is_followed_keeps_his_identity():
    runtime = runtime_of()
    step(runtime, [0, 10])
    assert step(runtime, [0, 10], persons=[None, 3]) == {0: 0, 1: 1}
    assert step(runtime, [10, 50], persons=[None, 3]) == {0: 2, 1: 1}


def test_a_named_body_is_there_however_unsure():
    assert step(runtime_of(), [0], persons=[5], score=0.01) == {0: 0}


def test_a_word_that_was_given_away_takes_no_name_with_it():
    runtime = IdentityRuntime(by_place, vocabulary=6, memory=5, width=1)
    step(runtime, range(0, 60, 10), persons=[*range(100, 106)])
    step(runtime, range(100, 160, 10))  # six others: all words are theirs now
    assert step(runtime, [100], persons=[100]) == {0: 6}


@given(st.lists(st.lists(st.integers(0, 12), max_size=8, unique=True), max_size=12))
def test_identities_are_unique_on_a_look_and_the_same_for_the_same(looks):
    runs = [[step(runtime, places) for places in looks] for runtime in (runtime_of(), runtime_of())]
    assert runs[0] == runs[1]
    for named in runs[0]:
        assert len(set(named.values())) == len(named)
