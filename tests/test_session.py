"""The promises of a session, on motions that are known everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.corrections import (
    AssignIdentity,
    MergeIdentity,
    MoveKeypoints,
    RemovePerson,
    SetBox,
    SetVisibility,
    SplitIdentity,
    SwapIdentity,
)
from impose_core.engine import Engine
from impose_core.errors import BadCorrection, FrameOutOfRange, StateError, UnknownTrack
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.session import Session
from impose_core.skeleton import Skeleton

NAMES = ("a", "b", "c", "d")
SKELETON = Skeleton(name="square", keypoints=NAMES)
BODY = {"a": (0.0, 0.0), "b": (0.0, 60.0), "c": (30.0, 60.0), "d": (30.0, 0.0)}
FRAMES = 41


def velocity(t, xy):
    return np.broadcast_to([3 * np.cos(t / 5), 2 * np.sin(t / 3)], xy.shape) + 0.3 * np.sin(
        xy[:, ::-1] / 9 + t
    )


def session(frames=FRAMES, **options):
    return Session(
        NumberedFrames(frames),
        skeleton=SKELETON,
        engine=Engine(points=FieldTracker(velocity)),
        **options,
    )


def body(frame, track, x, y):
    xy = {name: (x + dx, y + dy) for name, (dx, dy) in BODY.items()}
    return MoveKeypoints(frame=frame, track=track, xy=xy)


def two_people(**options):
    s = session(**options)
    s.correct(body(0, 1, 100, 100), body(0, 2, 300, 120))
    s.correct(body(40, 1, 130, 90), body(40, 2, 320, 130))
    return s


def done(s, start=0, stop=None):
    return list(s.propagate(start, stop))


def arrays(tracks: PoseTracks):
    names = ("track_id", "xy", "visibility", "origin", "score", "deviation", "box")
    return {name: getattr(tracks, name).tobytes() for name in names}


def test_a_correction_shows_in_the_ledger_at_once_and_exactly():
    s = session()
    s.correct(MoveKeypoints(frame=3, track=7, xy={"b": (1 / 3, 100.1)}))
    tracks = s.tracks
    assert tracks.track_id.tolist() == [7]
    assert tracks.xy[3, 0, 1].tolist() == [1 / 3, 100.1]
    assert tracks.origin[3, 0].tolist() == [0, Origin.HUMAN, 0, 0]
    assert tracks.visibility[3, 0, 1] == Visibility.VISIBLE
    assert (tracks.score[3, 0, 1], tracks.deviation[3, 0, 1]) == (1.0, 0.0)


def test_propagation_yields_every_frame_in_order_and_fills_the_ledger():
    s = two_people()
    results = done(s)
    assert [r.frame for r in results] == list(range(FRAMES))
    assert np.isfinite(s.tracks.xy).all()
    np.testing.assert_array_equal(results[17].xy, s.tracks.xy[17])
    assert (s.tracks.origin[1:40] == Origin.PROPAGATED).all()
    assert (s.tracks.deviation[1:40] > 0).all()


def test_the_ledger_cannot_be_written_to_from_outside():
    s = two_people()
    with pytest.raises(ValueError, match="read-only"):
        s.tracks.xy[0] = 0


def test_closing_the_generator_leaves_a_valid_prefix():
    s = two_people()
    running = s.propagate()
    for result in running:
        if result.frame == 13:
            break
    running.close()
    assert np.isfinite(s.tracks.xy[:14]).all()
    whole = two_people()
    done(whole)
    np.testing.assert_array_equal(s.tracks.xy[:14], whole.tracks.xy[:14])


def test_human_flags_hold_and_a_flag_without_a_position_moves_nothing():
    s = two_people()
    done(s)
    before = s.tracks.xy[20].copy()
    s.correct(SetVisibility(frame=20, track=1, visibility={"c": Visibility.OCCLUDED}))
    done(s)
    assert s.tracks.visibility[20, 0, 2] == Visibility.OCCLUDED
    np.testing.assert_array_equal(s.tracks.xy[20], before)


def test_an_absent_joint_is_absent_until_its_next_mark():
    s = two_people()
    s.correct(SetVisibility(frame=10, track=1, visibility={"a": Visibility.ABSENT}))
    done(s)
    assert np.isnan(s.tracks.xy[10:40, 0, 0]).all()
    assert (s.tracks.visibility[10:40, 0, 0] == Visibility.ABSENT).all()
    assert np.isfinite(s.tracks.xy[:10, 0, 0]).all()
    assert np.isfinite(s.tracks.xy[40, 0, 0]).all()


def test_a_joint_outside_the_image_is_absent():
    s = session()
    s.correct(body(0, 1, 2, 100), body(40, 1, -120, 100))
    done(s)
    left = s.tracks.visibility[39, 0]
    assert (left == Visibility.ABSENT).all()
    assert np.isnan(s.tracks.xy[39, 0]).all()


def test_swapping_exchanges_everything_from_that_frame_on():
    s = two_people()
    done(s)
    before = s.tracks.xy.copy()
    s.correct(SwapIdentity(frame=20, first=1, second=2))
    done(s)
    np.testing.assert_array_equal(s.tracks.xy[20], before[20, ::-1])
    np.testing.assert_array_equal(s.tracks.xy[40], before[40, ::-1])
    np.testing.assert_array_equal(s.tracks.xy[0], before[0])
    assert (s.tracks.origin[20] == Origin.PROPAGATED).all()


def test_splitting_ends_one_person_and_begins_another():
    s = two_people()
    done(s)
    before = s.tracks.xy.copy()
    s.correct(SplitIdentity(frame=20, track=2, new_track=9))
    done(s)
    assert s.tracks.track_id.tolist() == [1, 2, 9]
    assert np.isnan(s.tracks.xy[20:, 1]).all()
    np.testing.assert_array_equal(s.tracks.xy[20, 2], before[20, 1])
    np.testing.assert_array_equal(s.tracks.xy[40, 2], before[40, 1])
    assert np.isnan(s.tracks.xy[:20, 2]).all()


def test_merging_joins_marks_and_refuses_a_double():
    s = session()
    s.correct(body(0, 1, 100, 100), body(40, 2, 120, 110))
    s.correct(MergeIdentity(keep=1, absorb=2))
    done(s)
    assert s.tracks.track_id.tolist() == [1]
    assert np.isfinite(s.tracks.xy).all()
    s.correct(body(0, 3, 10, 10))
    with pytest.raises(BadCorrection, match="human marks of both on frame 0"):
        s.correct(MergeIdentity(keep=1, absorb=3))


def test_renaming_and_removing():
    s = two_people()
    s.correct(AssignIdentity(track=1, new_track=5))
    assert s.tracks.track_id.tolist() == [2, 5]
    s.correct(RemovePerson(track=2, start=20))
    done(s)
    assert np.isnan(s.tracks.xy[20:, 0]).all()
    assert np.isfinite(s.tracks.xy[:20, 0]).all()
    s.correct(RemovePerson(track=2))
    assert s.tracks.track_id.tolist() == [5]


def test_a_box_alone_makes_a_person():
    s = session()
    s.correct(SetBox(frame=4, track=3, box=(10, 20, 50, 90)))
    done(s)
    assert s.tracks.box[4, 0].tolist() == [10, 20, 50, 90]


def test_applying_a_correction_twice_equals_once():
    s = two_people()
    s.correct(body(20, 1, 110, 95))
    once = arrays(s.tracks)
    s.correct(body(20, 1, 110, 95))
    assert arrays(s.tracks) == once
    assert s.undo()
    assert np.isnan(s.tracks.xy[20, 0]).all()


def test_acts_are_all_or_nothing():
    s = two_people()
    before = arrays(s.tracks)
    with pytest.raises(FrameOutOfRange, match=r"'frame' to lie in 0 to 40, got 41"):
        s.correct(body(20, 1, 110, 95), body(41, 1, 0, 0))
    assert arrays(s.tracks) == before


@pytest.mark.parametrize(
    ("correction", "error", "message"),
    [
        (MoveKeypoints(frame=True, track=1, xy={"a": (0, 0)}), BadCorrection, "'frame' to be an"),
        (MoveKeypoints(frame=0, track=-1, xy={"a": (0, 0)}), BadCorrection, "'track'"),
        (MoveKeypoints(frame=0, track=1, xy={}), BadCorrection, "at least one keypoint"),
        (MoveKeypoints(frame=0, track=1, xy={"a": (np.nan, 0)}), BadCorrection, r"xy\['a'\]"),
        (MoveKeypoints(frame=0, track=1, xy={"a": (np.inf, 0)}), BadCorrection, r"xy\['a'\]"),
        (MoveKeypoints(frame=0, track=1, xy={"a": (9e9, 0)}), BadCorrection, "one image size"),
        (MoveKeypoints(frame=0, track=1, xy={"a": (1,)}), BadCorrection, "2 finite numbers"),
        (MoveKeypoints(frame=0, track=1, xy={"elbow": (1, 1)}), Exception, "elbow"),
        (
            MoveKeypoints(frame=0, track=1, xy={"a": (1, 1)}, visibility={"a": 3}),
            BadCorrection,
            "0 absent, 1 occluded or 2 visible",
        ),
        (SetVisibility(frame=0, track=8, visibility={"a": 1}), UnknownTrack, "got 8"),
        (SetBox(frame=0, track=1, box=(9, 0, 3, 3)), BadCorrection, "x1 < x2"),
        (SwapIdentity(frame=0, first=1, second=1), BadCorrection, "to differ"),
        (SplitIdentity(frame=0, track=1, new_track=2), BadCorrection, "which exists"),
        (RemovePerson(track=77), UnknownTrack, "got 77"),
    ],
)
def test_senseless_corrections_are_refused_by_name(correction, error, message):
    s = two_people()
    before = arrays(s.tracks)
    with pytest.raises(error, match=message):
        s.correct(correction)
    assert arrays(s.tracks) == before


@pytest.mark.parametrize("bounds", [(-1, None), (5, 4), (0, 42)])
def test_ranges_outside_the_video_are_refused(bounds):
    with pytest.raises(FrameOutOfRange):
        two_people().propagate(*bounds)


def test_review_names_the_least_certain_frames_far_from_anchors():
    s = two_people()
    done(s)
    first = s.review(3)[0]
    assert 10 < first.frame < 30
    assert first.keypoint in NAMES
    assert len({(r.frame, r.track) for r in s.review(5)}) == 5


def test_a_snapshot_travels_through_json_and_restores_exactly():
    s = two_people()
    saved = json.loads(json.dumps(s.snapshot()))
    done(s)
    full = arrays(s.tracks)
    other = session()
    other.correct(body(9, 4, 50, 50))
    other.restore(saved)
    done(other)
    assert arrays(other.tracks) == full
    assert other.undo()
    assert other.tracks.track_id.tolist() == [4]


def test_a_snapshot_of_another_video_is_refused():
    saved = two_people().snapshot()
    with pytest.raises(StateError, match="'video'"):
        session(frames=12).restore(saved)


def test_a_journal_brings_everything_back(tmp_path):
    path = tmp_path / "acts.journal"
    with two_people(journal=path) as s:
        s.correct(body(20, 1, 111, 95))
        s.correct(RemovePerson(track=2))
        s.undo()
        done(s)
        before = arrays(s.tracks)
    with session(journal=path) as again:
        done(again)
        assert arrays(again.tracks) == before
        assert again.undo()
        assert again.tracks.origin[20, 0].tolist() != [Origin.HUMAN] * 4


def random_correction(rng, tracks):
    track, frame = int(rng.integers(1, 4)), int(rng.integers(FRAMES))
    kind = rng.integers(8)
    known = tracks and track in tracks
    if kind == 0 and known:
        flag = {str(rng.choice(NAMES)): Visibility(rng.integers(3))}
        return SetVisibility(frame=frame, track=track, visibility=flag)
    if kind == 1 and len(tracks) > 1:
        return SwapIdentity(frame=frame, first=tracks[0], second=tracks[1])
    if kind == 2 and known:
        return RemovePerson(track=track, start=frame)
    if kind == 3 and known and track + 10 not in tracks:
        return SplitIdentity(frame=frame, track=track, new_track=track + 10)
    names = rng.choice(NAMES, size=rng.integers(1, 5), replace=False)
    xy = {str(n): tuple(rng.uniform(20, 300, 2).tolist()) for n in names}
    return MoveKeypoints(frame=frame, track=track, xy=xy)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_undo_restores_every_byte_and_human_joints_never_move(seed):
    rng = np.random.default_rng(seed)
    s = session()
    states = []
    for _ in range(4):
        states.append(arrays(s.tracks))
        correction = random_correction(rng, s.tracks.track_id.tolist())
        before = len(s._acts)
        try:
            s.correct(correction)
        except BadCorrection:  # nobody is there to be split, and nothing follows
            assert isinstance(correction, SplitIdentity)
            assert arrays(s.tracks) == states.pop()
            continue
        if len(s._acts) == before:
            states.pop()
        if isinstance(correction, MoveKeypoints):
            done(s)
            n = s.tracks.person(correction.track)
            for name, point in correction.xy.items():
                k = SKELETON.index(name)
                assert s.tracks.xy[correction.frame, n, k].tolist() == list(point)
                assert s.tracks.origin[correction.frame, n, k] == Origin.HUMAN
        else:
            done(s)
        assert len(set(s.tracks.track_id.tolist())) == len(s.tracks.track_id)
    # a state is compared after the same frames were propagated: the first one had none
    for state in states[:0:-1]:
        assert s.undo()
        assert arrays(s.tracks) == state
