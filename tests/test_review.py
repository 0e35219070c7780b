"""Where to look next: what a correction of each frame is expected to repair."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from impose_core.poses import Origin, PoseTracks
from impose_core.review import APART, _worth, suggestions
from impose_core.skeleton import COCO17

K = len(COCO17)


def ledger(*persons, score=0.8):
    """Persons given as strings, a frame a character: ``H``uman, ``e``stimated, ``.`` unknown.

    ``score`` is of all estimated joints, or [T, N, K].
    """
    shape = (len(persons[0]), len(persons), K)
    letters = np.array([list(one) for one in persons]).T[..., None]
    kind = np.where(letters == "H", Origin.HUMAN, Origin.NONE)
    kind = np.where(letters == "e", Origin.PROPAGATED, kind)
    known = np.broadcast_to(letters != ".", shape)
    certain = np.where(letters == "H", 1.0, score)
    track_id = [10 * (n + 1) for n in range(shape[1])]
    return replace(
        PoseTracks.empty(frames=shape[0], track_id=track_id, skeleton=COCO17),
        xy=np.where(known[..., None], [5.0, 7.0], np.nan),
        origin=np.broadcast_to(kind, shape).astype(np.uint8),
        score=np.where(known, certain, np.nan).astype(np.float32),
        deviation=np.where(known, 2.0, np.nan).astype(np.float32),
    )


def frames_of(tracks, limit=1):
    return [one.frame for one in suggestions(tracks, limit=limit)]


# --- which frame -------------------------------------------------------------------------------


def test_the_middle_of_a_gap_of_even_doubt():
    assert frames_of(ledger("H" + 29 * "e" + "H")) == [15]


def test_the_longer_of_two_gaps_first():
    assert frames_of(ledger("H" + 9 * "e" + "H" + 19 * "e" + "H")) == [20]


def test_a_doubtful_frame_beside_a_touched_one_repairs_little():
    score = np.full((31, 1, K), 0.8)
    score[1] = 0.0  # the least certain pose of all, but the next one is seen anyway
    found = suggestions(ledger("H" + 29 * "e" + "H", score=score), limit=1)
    assert found[0].frame == pytest.approx(15, abs=3)


def test_doubt_draws_the_look_to_its_side():
    score = np.full((41, 1, K), 0.95)
    score[25:35] = 0.2
    assert 22 < frames_of(ledger("H" + 39 * "e" + "H", score=score))[0] < 35


def test_beyond_the_last_touched_frame_a_look_reaches_both_ways():
    # (t - b) ln(T / t) + t / 2, for a random walk, is greatest at T / sqrt(e)
    assert frames_of(ledger("H" + 200 * "e")) == [pytest.approx(200 / np.sqrt(np.e), abs=2)]
    assert frames_of(ledger(200 * "e" + "H")) == [pytest.approx(200 - 200 / np.sqrt(np.e), abs=2)]


def test_a_tail_before_a_gap_of_the_same_length():
    assert frames_of(ledger("H" + 20 * "e" + "H" + 20 * "e"))[0] > 21


def test_whoever_nobody_touched_is_looked_at_too():
    found = suggestions(ledger("e" * 12, "H" + 11 * "."), limit=5)
    assert {one.track for one in found} == {10}
    assert len(found) >= 2  # of even doubt everywhere, any frame is as good as another


def test_untouched_frames_come_before_touched_ones():
    tracks = ledger("H" + 9 * "e" + "H" + 9 * "e")
    tracks.origin[10, 0, 1:] = Origin.PROPAGATED  # one joint was corrected
    tracks.score[10, 0, 1:] = 0.0
    assert 10 not in frames_of(tracks, limit=2)


# --- what is said about it ---------------------------------------------------------------------


def test_the_least_certain_joint_is_named_with_the_whole_poses_expected_oks():
    score = np.full((31, 1, K), 0.8)
    score[:, 0, 7] = 0.46
    tracks = ledger("H" + 29 * "e" + "H", score=score)
    tracks.deviation[15, 0, 7] = 3.5
    tracks.score[15, 0, 0] = np.nan  # an unknown joint does not count
    (found,) = suggestions(tracks, limit=1)
    assert (found.track, found.keypoint, found.deviation) == (10, COCO17.keypoints[7], 3.5)
    assert found.expected_oks == pytest.approx((15 * 0.8 + 0.46) / 16)


def test_limit_and_distance():
    tracks = ledger("H" + 58 * "e" + "H", "e" * 60)
    for limit in (0, 1, 5):
        assert len(suggestions(tracks, limit=limit)) == limit
    found = suggestions(tracks, limit=1000)
    for track in (10, 20):
        mine = sorted(one.frame for one in found if one.track == track)
        assert min(np.diff(mine)) >= APART
        # nothing more would fit in between
        assert max(np.diff(mine)) < 2 * APART
    # each person by itself gives what it gives among others
    for n, track in enumerate((10, 20)):
        alone = suggestions(tracks.only(n), limit=1000)
        assert alone == [one for one in found if one.track == track]


@pytest.mark.parametrize("frames", ["........", "HHHHHHHH", "H......."])
def test_without_an_estimate_there_is_nothing_to_look_at(frames):
    assert suggestions(ledger(frames), limit=5) == []


def test_nobody_and_no_frames():
    assert suggestions(PoseTracks.empty(frames=5, track_id=[], skeleton=COCO17), limit=5) == []
    assert suggestions(PoseTracks.empty(frames=0, track_id=[1], skeleton=COCO17), limit=5) == []


@pytest.mark.parametrize("touched", [(), (0,), (5000,), (9999,), (0, 9999), (0, 1, 4000)])
def test_long_videos(touched):
    text = np.full(10_000, "e")
    text[list(touched)] = "H"
    score = np.random.default_rng(0).uniform(0, 1, (10_000, 1, K))
    tracks = ledger("".join(text), score=score)
    worth = _worth(tracks)
    assert np.isfinite(worth).all()
    assert (worth >= 0).all()
    some = np.r_[0:30, 3990:4010, 4990:5010, 9970:10_000]
    np.testing.assert_allclose(worth[some, 0], by_formula(tracks, some)[:, 0], rtol=1e-9)
    start = time.perf_counter()
    found = suggestions(tracks, limit=10_000)
    assert time.perf_counter() - start < 5  # not the square of the length
    assert all(np.isfinite([one.expected_oks, one.deviation]).all() for one in found)
    assert len(found) > 10_000 / (2 * APART)


# --- by brute force ----------------------------------------------------------------------------


def by_formula(tracks, frames=None):
    """The docstring of ``_worth``, frame by frame in O(T^2); distances to nowhere are 1e15."""
    length, persons = tracks.xy.shape[:2]
    frames = range(length) if frames is None else frames
    doubt = np.sqrt(1 - np.nan_to_num(tracks.score.astype(float), nan=1.0)).sum(-1)
    touched = (tracks.origin == Origin.HUMAN).any(-1)
    worth = np.zeros((len(frames), persons))
    for n in range(persons):
        for i, t in enumerate(frames):
            if touched[t, n]:
                continue
            before, after = np.flatnonzero(touched[:t, n]), np.flatnonzero(touched[t:, n]) + t
            b = before[-1] if len(before) else -(10**15)
            a = after[0] if len(after) else 10**15
            f = np.arange(max(b + 1, 0), min(a, length))
            later = (a - f) * float(t - b) / ((f - b) * float(a - t))
            earlier = (f - b) * float(a - t) / ((a - f) * float(t - b))
            worth[i, n] = (doubt[f, n] * np.where(f >= t, later, earlier)).sum()
    return worth


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(st.text("Heee.", min_size=12, max_size=12), min_size=n, max_size=n)
    ),
    arrays.arrays(np.float32, (12, 1, K), elements=st.floats(0, 1, width=32)),
)
def test_worth_is_what_its_docstring_says(persons, score):
    tracks = ledger(*persons, score=score)
    np.testing.assert_allclose(_worth(tracks), by_formula(tracks), rtol=1e-9, atol=1e-9)
