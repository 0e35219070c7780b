"""What each verb does to the marks; documents compared, and what their difference does."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
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
    VideoShape,
    clicks,
    correction_from_json,
    correction_to_json,
    diff,
    marks_from_tracks,
    patch_of,
)
from impose_core.errors import (
    BadCorrection,
    FrameOutOfRange,
    SkeletonMismatch,
    UnknownKeypoint,
    UnknownTrack,
)
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import COCO17, Skeleton

SKELETON = Skeleton(name="three", keypoints=("a", "b", "c"))
VIDEO = VideoShape(frames=4, width=640, height=360)


def document(rng, track_id):
    tracks = PoseTracks.empty(frames=VIDEO.frames, track_id=track_id, skeleton=SKELETON)
    known = rng.random(tracks.visibility.shape) < 0.7
    tracks.xy[known] = rng.uniform(0, 300, (known.sum(), 2))
    tracks.visibility[known] = rng.integers(1, 3, known.sum())
    tracks.origin[known] = Origin.HUMAN
    boxed = known.any(-1) & (rng.random(known.shape[:2]) < 0.3)
    tracks.box[boxed] = [10, 20, 200, 300]
    return tracks


def said_about(tracks):
    marks = Marks(len(SKELETON))
    marks.apply(marks_from_tracks(tracks, marks, SKELETON, VIDEO))
    return marks


def applied(corrections, marks):
    nothing = PoseTracks.empty(frames=VIDEO.frames, track_id=[], skeleton=SKELETON)
    for correction in corrections:
        marks.apply(patch_of(correction, marks, skeleton=SKELETON, video=VIDEO, estimate=nothing))
    return marks


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_difference_of_two_documents_leads_from_one_to_the_other(seed):
    rng = np.random.default_rng(seed)
    before, after = document(rng, [1, 2]), document(rng, [2, 7])
    marks = applied(diff(before, after), said_about(before))
    wanted = said_about(after)
    for track in wanted.tracks:
        for frame, mark in wanted.of(track).items():
            found = marks.get(track, frame)
            np.testing.assert_array_equal(found.xy, mark.xy)
            there = mark.placed
            np.testing.assert_array_equal(found.visibility[there], mark.visibility[there])
    for (track, frame), mark in marks.items():
        expected = wanted.get(track, frame)
        placed = np.zeros(3, bool) if expected is None else expected.placed
        np.testing.assert_array_equal(mark.placed, placed)


def test_a_document_does_not_differ_from_itself():
    same = document(np.random.default_rng(0), [1, 2])
    assert diff(same, same) == []


def test_a_moved_a_flagged_and_a_deleted_joint_are_told_apart():
    before = document(np.random.default_rng(3), [5])
    before.xy[1, 0], before.visibility[1, 0] = [[10, 10], [20, 20], [30, 30]], 2
    after = before.copy()
    after.xy[1, 0, 0] = 11, 10
    after.visibility[1, 0, 1] = Visibility.OCCLUDED
    after.xy[1, 0, 2], after.visibility[1, 0, 2] = np.nan, 0
    assert diff(before, after) == [
        MoveKeypoints(frame=1, track=5, xy={"a": (11.0, 10.0)}, visibility={"a": 2}),
        SetVisibility(frame=1, track=5, visibility={"b": 1, "c": 0}),
    ]


def test_rounding_is_not_a_correction():
    before = document(np.random.default_rng(1), [1])
    after = before.copy()
    after.xy[:] += 0.004
    assert diff(before, after) == []


def test_a_missing_person_was_removed():
    before = document(np.random.default_rng(1), [1, 2])
    after = PoseTracks.empty(frames=4, track_id=[1], skeleton=SKELETON)
    for name in ("xy", "visibility", "origin", "box"):
        getattr(after, name)[:] = getattr(before, name)[:, :1]
    assert diff(before, after) == [RemovePerson(track=2)]


def test_documents_of_different_bodies_or_lengths_cannot_be_compared():
    mine = PoseTracks.empty(frames=4, track_id=[], skeleton=SKELETON)
    with pytest.raises(SkeletonMismatch, match="keypoints"):
        diff(mine, PoseTracks.empty(frames=4, track_id=[], skeleton=COCO17))
    with pytest.raises(FrameOutOfRange, match="4 frames in both documents, got 5"):
        diff(mine, PoseTracks.empty(frames=5, track_id=[], skeleton=SKELETON))


def test_clicks_count_joints():
    assert clicks(MoveKeypoints(frame=0, track=1, xy={"a": (1, 1), "b": (2, 2)})) == 2
    assert clicks(SetVisibility(frame=0, track=1, visibility={"a": Visibility.ABSENT})) == 1
    assert clicks(RemovePerson(track=1)) == 1


def patched(correction, marks, estimate=None):
    return patch_of(correction, marks, skeleton=SKELETON, video=VIDEO, estimate=estimate)


def marked(*corrections, estimate=None):
    marks = Marks(len(SKELETON))
    for correction in corrections:
        marks.apply(patched(correction, marks, estimate))
    return marks


def estimated(positions):
    """An estimate of all joints on all frames: track -> x of its first joint."""
    tracks = PoseTracks.empty(frames=4, track_id=list(positions), skeleton=SKELETON)
    for n, x in enumerate(positions.values()):
        tracks.xy[:, n] = [[x, 10], [x + 5, 20], [x + 9, 30]]
    tracks.visibility[:], tracks.origin[:] = Visibility.OCCLUDED, Origin.PROPAGATED
    return tracks


def at(frame, track, **xy):
    return MoveKeypoints(frame=frame, track=track, xy=xy)


def contents(marks):
    return dict(marks.items())


def human_part(marks):
    """What humans said: cell -> position and flag of each joint they spoke about."""
    return {
        (cell, k): (mark.xy[k].tolist() if mark.placed[k] else None, int(mark.visibility[k]))
        for cell, mark in marks.items()
        for k in np.flatnonzero(mark.human).tolist()
    }


def test_computing_a_patch_changes_nothing():
    marks = marked(at(0, 1, a=(1, 2)))
    before = contents(marks.copy())
    assert patched(at(0, 1, a=(5, 5), b=(6, 6)), marks)
    assert contents(marks) == before


def test_a_moved_joint_keeps_the_flag_a_human_gave_it_and_is_visible_otherwise():
    hide = SetVisibility(frame=0, track=1, visibility={"a": Visibility.OCCLUDED})
    marks = marked(at(0, 1, a=(1, 2), b=(3, 4)), hide, at(0, 1, a=(9, 9), b=(8, 8)))
    assert marks.get(1, 0).visibility.tolist() == [1, 2, UNMARKED]


def test_a_moved_seed_does_not_keep_the_flag_of_the_estimate():
    marks = marked(at(0, 1, a=(1, 1)), at(0, 2, a=(9, 9)))
    marks.apply(patched(SwapIdentity(frame=2, first=1, second=2), marks, estimated({1: 10, 2: 50})))
    assert marks.get(1, 2).visibility.tolist() == [1, 1, 1]
    marks.apply(patched(at(2, 1, a=(4, 4)), marks))
    assert marks.get(1, 2).visibility.tolist() == [2, 1, 1]


def test_an_absent_joint_that_is_moved_is_back():
    gone = SetVisibility(frame=0, track=1, visibility={"a": Visibility.ABSENT})
    marks = marked(at(0, 1, a=(1, 2), b=(3, 4)), gone)
    assert marks.get(1, 0).placed.tolist() == [False, True, False]
    marks.apply(patched(at(0, 1, a=(5, 6)), marks))
    assert marks.get(1, 0).xy[0].tolist() == [5, 6]
    assert marks.get(1, 0).visibility[0] == Visibility.VISIBLE


def test_a_flag_without_a_position_fixes_only_the_flag():
    hide = SetVisibility(frame=3, track=1, visibility={"b": Visibility.OCCLUDED})
    mark = marked(at(0, 1, a=(1, 2)), hide, estimate=estimated({1: 10})).get(1, 3)
    assert not mark.placed.any()
    assert (mark.visibility[1], mark.origin[1]) == (Visibility.OCCLUDED, Origin.HUMAN)


def test_a_swap_seeds_each_person_with_the_others_estimate_where_no_human_pointed():
    marks = marked(at(0, 1, a=(1, 1)), at(0, 2, a=(9, 9)), at(2, 1, b=(77, 78)))
    swap = SwapIdentity(frame=2, first=1, second=2)
    marks.apply(patched(swap, marks, estimated({1: 10, 2: 50})))
    first, second = marks.get(1, 2), marks.get(2, 2)
    assert first.xy[:, 0].tolist() == [50, 55, 59]
    assert first.origin.tolist() == [Origin.PROPAGATED] * 3
    assert second.xy[:, 0].tolist() == [10, 77, 19]  # b went along with its human position
    assert second.origin.tolist() == [Origin.PROPAGATED, Origin.HUMAN, Origin.PROPAGATED]
    assert human_part(marks)[(1, 0), 0] == ([1, 1], 2)  # before the frame nothing changed


def test_a_joint_that_is_only_flagged_is_seeded_under_its_flag_and_an_absent_one_is_not():
    flags = {"a": Visibility.VISIBLE, "b": Visibility.ABSENT}
    said = SetVisibility(frame=2, track=1, visibility=flags)
    marks = marked(at(0, 1, a=(1, 1)), at(0, 2, a=(9, 9)), said)
    swap = SwapIdentity(frame=2, first=1, second=2)
    marks.apply(patched(swap, marks, estimated({1: 10, 2: 50})))
    mark = marks.get(2, 2)
    assert mark.visibility.tolist() == [Visibility.VISIBLE, Visibility.ABSENT, 1]
    assert mark.placed.tolist() == [True, False, True]


def test_a_split_where_nothing_is_known_and_nothing_follows_is_refused():
    marks = marked(at(0, 1, a=(1, 1)))
    with pytest.raises(BadCorrection, match=r"track 1 is known.* got 2: nothing is known there"):
        patched(SplitIdentity(frame=2, track=1, new_track=5), marks)
    marks.apply(patched(at(3, 1, a=(4, 4)), marks))  # now something follows
    marks.apply(patched(SplitIdentity(frame=2, track=1, new_track=5), marks))
    assert marks.get(5, 3).xy[0].tolist() == [4, 4]


def test_a_swap_of_persons_without_estimate_just_exchanges_their_marks():
    marks = marked(at(0, 1, a=(1, 1)), at(3, 1, a=(2, 2)), at(0, 2, a=(9, 9)))
    marks.apply(patched(SwapIdentity(frame=1, first=1, second=2), marks))
    assert human_part(marks) == {
        ((1, 0), 0): ([1, 1], 2),
        ((2, 0), 0): ([9, 9], 2),
        ((2, 3), 0): ([2, 2], 2),
    }


def test_a_split_moves_what_follows_and_the_old_person_is_gone():
    marks = marked(at(0, 1, a=(1, 1)), at(3, 1, a=(2, 2)))
    split = SplitIdentity(frame=2, track=1, new_track=5)
    marks.apply(patched(split, marks, estimated({1: 10})))
    assert marks.get(1, 2).absent.all()
    assert marks.get(1, 2).human.all()
    assert marks.get(1, 3) is None
    assert marks.get(5, 2).xy[0].tolist() == [10, 10]
    assert marks.get(5, 3).xy[0].tolist() == [2, 2]


@pytest.mark.parametrize("there", [2, 3])
def test_a_merge_undoes_a_split(there):
    """ "All gone" says that this identity is not there, and yields to who is."""
    marks = marked(at(0, 1, a=(1, 1)), at(there, 1, a=(2, 2)))
    before = human_part(marks)
    for act in (SplitIdentity(frame=2, track=1, new_track=5), MergeIdentity(keep=1, absorb=5)):
        marks.apply(patched(act, marks, estimated({1: 10})))
    assert human_part(marks) == before
    assert marks.tracks == [1]
    assert marks.get(1, 2).placed.any()


def test_a_merge_is_refused_where_a_box_or_a_joint_marks_both():
    box = SetBox(frame=2, track=2, box=(1, 1, 9, 9))
    marks = marked(at(0, 1, a=(1, 1)), at(2, 1, a=(1, 1)), box)
    with pytest.raises(BadCorrection, match="human marks of both on frame 2"):
        patched(MergeIdentity(keep=1, absorb=2), marks)


def test_a_seed_never_replaces_what_a_human_said():
    marks = marked(at(0, 1, a=(1, 1)), at(2, 2, a=(9, 9)))
    seed = replace(Mark.blank(3), xy=np.full((3, 2), 5.0), visibility=np.full(3, 2, np.uint8))
    seed = replace(seed, origin=np.full(3, Origin.PROPAGATED, np.uint8))
    marks.apply({(1, 2): (None, seed), (2, 0): (None, seed)})
    before = human_part(marks)
    marks.apply(patched(MergeIdentity(keep=1, absorb=2), marks))
    assert {(f, k): v for ((_, f), k), v in human_part(marks).items()} == {
        (f, k): v for ((_, f), k), v in before.items()
    }


def test_removing_from_a_frame_on_leaves_what_was_before():
    marks = marked(at(0, 1, a=(1, 1)), at(3, 1, a=(2, 2)), RemovePerson(track=1, start=2))
    assert sorted(marks.of(1)) == [0, 2]
    assert marks.get(1, 2).absent.all()


SAID = [
    at(1, 1, a=(1 / 3, 100.1), c=(2, 3)),
    MoveKeypoints(frame=1, track=9, xy={"a": (1, 2)}, visibility={"a": Visibility.OCCLUDED}),
    SetVisibility(frame=1, track=1, visibility={"a": Visibility.ABSENT, "b": Visibility.VISIBLE}),
    SetBox(frame=1, track=1, box=(0.1, 0.2, 30, 40)),
    SwapIdentity(frame=1, first=1, second=2),
    MergeIdentity(keep=1, absorb=3),
    SplitIdentity(frame=1, track=1, new_track=7),
    AssignIdentity(track=1, new_track=7),
    RemovePerson(track=1),
    RemovePerson(track=1, start=1),
]
SCENE = (at(0, 1, a=(1, 1)), at(0, 2, a=(9, 9), b=(8, 8)), at(3, 1, b=(5, 5)), at(2, 3, c=(7, 7)))


@pytest.mark.parametrize("correction", SAID, ids=lambda c: type(c).__name__)
def test_twice_is_once_but_for_swaps_and_persons_who_are_no_longer_there(correction):
    estimate = estimated({1: 10, 2: 50, 3: 90})
    marks = marked(*SCENE)
    before = human_part(marks)
    first = patched(correction, marks, estimate)
    assert first
    marks.apply(first)
    once = human_part(marks)
    consumed = (MergeIdentity, SplitIdentity, AssignIdentity)
    if isinstance(correction, consumed) or correction == RemovePerson(track=1):
        with pytest.raises((UnknownTrack, BadCorrection)):
            patched(correction, marks, estimate)
    elif isinstance(correction, SwapIdentity):
        marks.apply(patched(correction, marks, estimate))
        assert human_part(marks) == before != once
    else:
        assert patched(correction, marks, estimate) == {}


@pytest.mark.parametrize("correction", SAID, ids=lambda c: type(c).__name__)
def test_a_correction_travels_through_json_exactly(correction):
    text = json.dumps(correction_to_json(correction), allow_nan=False)
    assert correction_from_json(json.loads(text)) == correction


def test_what_hosts_hand_over_becomes_plain_json():
    said = MoveKeypoints(
        frame=np.int64(1),
        track=np.uint8(2),
        xy=MappingProxyType({"a": np.array([1.5, 2], np.float32), "b": [np.float32(0.1), 3]}),
        visibility={"a": np.uint8(1)},
    )
    assert patched(said, Marks(3))
    assert json.loads(json.dumps(correction_to_json(said))) == {
        "verb": "MoveKeypoints",
        "frame": 1,
        "track": 2,
        "xy": {"a": [1.5, 2.0], "b": [float(np.float32(0.1)), 3.0]},
        "visibility": {"a": 1},
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verb": "Explode"}, "'verb' to be one of"),
        ({"verb": ["MoveKeypoints"]}, "'verb' to be one of"),
        ({"frame": True}, "'frame' to be an integer, got True"),
        ({"frame": 1.0}, "'frame' to be an integer, got 1.0"),
        ({"track": "1"}, "'track' to be an integer"),
        ({"xy": [1, 2]}, "'xy' to map names to values"),
        ({"xy": {"a": [1, None]}}, r"xy\['a'\]' to be 2 finite numbers"),
        ({"xy": {"a": [1, float("nan")]}}, "finite"),
        ({"xy": {"a": [1, 10**400]}}, "finite"),
        ({"xy": {"a": ["1", "2"]}}, "finite"),
        ({"xy": {"a": [True, False]}}, "finite"),
        ({"xy": {"a": "12"}}, "finite"),
        ({"visibility": {"a": 3}}, "0 absent, 1 occluded or 2 visible, got 3"),
        ({"visibility": {"a": 1.0}}, "got 1.0"),
        ({"visibility": {"a": True}}, "got True"),
        ({"visibility": None}, "'visibility' to map names"),
        ({"colour": "red"}, "an unknown 'colour'"),
        ({"frame": ...}, "no 'frame'"),
    ],
)
def test_json_that_is_no_correction_is_refused_by_field(change, message):
    record = {**correction_to_json(at(1, 1, a=(1, 2))), **change}
    record = {name: value for name, value in record.items() if value is not ...}
    with pytest.raises(BadCorrection, match=message):
        correction_from_json(record)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(which=st.sampled_from(SAID), data=st.data())
def test_any_json_is_a_correction_or_refused_in_words(which, data):
    record = correction_to_json(which)
    name = data.draw(st.sampled_from([*record, "more"]))
    record[name] = data.draw(json_values)
    try:
        patched(correction_from_json(record), marked(*SCENE))
    except (BadCorrection, UnknownTrack, UnknownKeypoint, FrameOutOfRange) as error:
        assert error.message.endswith((".", ")"))  # noqa: PT017  # that it is a sentence


@pytest.mark.parametrize(
    ("correction", "error", "message"),
    [
        (at(4, 1, a=(1, 1)), FrameOutOfRange, "'frame' to lie in 0 to 3, got 4"),
        (at(-1, 1, a=(1, 1)), FrameOutOfRange, "got -1"),
        (at(0.0, 1, a=(1, 1)), BadCorrection, "'frame' to be an integer"),
        (at(np.bool_(True), 1, a=(1, 1)), BadCorrection, "'frame' to be an integer"),
        (at(0, 2**53 + 1, a=(1, 1)), BadCorrection, r"2\*\*53"),
        (at(0, 1, a=(641 + 640, 1)), BadCorrection, "one image size of the 640 x 360"),
        (at(0, 1, a=(1, -361)), BadCorrection, "one image size"),
        (at(0, 1, d=(1, 1)), UnknownKeypoint, "In 'xy'"),
        (SetVisibility(frame=0, track=1, visibility={"d": 1}), UnknownKeypoint, "In 'visibility'"),
        (SetVisibility(frame=0, track=1, visibility={}), BadCorrection, "at least one"),
        (SetBox(frame=0, track=1, box=(1, 1, 1, 9)), BadCorrection, "x1 < x2"),
        (SetBox(frame=0, track=1, box=(1, 1, 9)), BadCorrection, "4 finite numbers"),
        (
            MoveKeypoints(frame=0, track=1, xy={"a": (1, 1)}, visibility={"b": 1}),
            BadCorrection,
            "flag keypoints of 'xy', got 'b'",
        ),
        (
            MoveKeypoints(frame=0, track=1, xy={"a": (1, 1)}, visibility={"a": 0}),
            BadCorrection,
            "got absent",
        ),
        (SwapIdentity(frame=0, first=1, second=8), UnknownTrack, "'second'"),
        (MergeIdentity(keep=8, absorb=1), UnknownTrack, "'keep'"),
        (MergeIdentity(keep=1, absorb=1), BadCorrection, "to differ"),
        (SplitIdentity(frame=0, track=8, new_track=9), UnknownTrack, "'track'"),
        (AssignIdentity(track=1, new_track=2), BadCorrection, "which exists"),
        (RemovePerson(track=1, start=4), FrameOutOfRange, "'start'"),
        ("move a to 1, 1", BadCorrection, "Expected a correction"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(correction, error, message):
    with pytest.raises(error, match=message):
        patched(correction, marked(*SCENE))


def test_exactly_one_image_size_outside_is_still_a_joint_that_left_the_picture():
    assert patched(at(0, 1, a=(2 * 640, -360)), Marks(3))


def test_a_document_marks_only_what_it_speaks_about():
    marks = marked(at(0, 1, a=(1, 1)), SetBox(frame=0, track=1, box=(1, 2, 3, 4)))
    tracks = PoseTracks.empty(frames=4, track_id=[1], skeleton=SKELETON)
    tracks.xy[0, 0], tracks.visibility[0, 0] = 5, 2
    tracks.origin[0, 0] = [Origin.DETECTED, Origin.HUMAN, Origin.PROPAGATED]
    marks.apply(marks_from_tracks(tracks, marks, SKELETON, VIDEO))
    mark = marks.get(1, 0)
    assert mark.xy[:2].tolist() == [[1, 1], [5, 5]]  # a seed never replaces a mark
    assert mark.placed.tolist() == [True, True, False]
    assert mark.box.tolist() == [1, 2, 3, 4]


def test_a_position_outweighs_absent_and_half_a_position_is_none():
    tracks = PoseTracks.empty(frames=4, track_id=[1], skeleton=SKELETON)
    tracks.origin[0, 0] = Origin.HUMAN
    tracks.xy[0, 0] = [[5, 5], [5, np.nan], [np.inf, 5]]
    mark = said_about(tracks).get(1, 0)
    assert mark.visibility[0] == Visibility.VISIBLE
    assert np.isnan(mark.xy[1:]).all()


def test_a_person_who_lost_every_joint_was_removed_not_flagged_frame_by_frame():
    before = document(np.random.default_rng(1), [1])
    after = PoseTracks.empty(frames=4, track_id=[1], skeleton=SKELETON)
    assert diff(before, after) == [RemovePerson(track=1)]
    assert diff(after, PoseTracks.empty(frames=4, track_id=[], skeleton=SKELETON)) == []


def test_a_new_person_is_placed_before_being_flagged():
    nobody = PoseTracks.empty(frames=4, track_id=[], skeleton=SKELETON)
    after = PoseTracks.empty(frames=4, track_id=[7], skeleton=SKELETON)
    after.origin[0, 0, 1] = Origin.HUMAN  # said to be absent
    after.xy[2, 0, 0], after.visibility[2, 0, 0], after.origin[2, 0, 0] = (4, 5), 2, Origin.HUMAN
    found = diff(nobody, after)
    assert found == [
        MoveKeypoints(frame=2, track=7, xy={"a": (4.0, 5.0)}, visibility={"a": 2}),
        SetVisibility(frame=0, track=7, visibility={"b": 0}),
    ]
    assert contents(marked(*found)) == contents(said_about(after))


def test_a_box_is_a_difference_where_it_changed_or_is_new():
    before = document(np.random.default_rng(2), [1])
    before.box[:] = np.nan
    before.box[1, 0] = 1, 1, 9, 9
    after = before.copy()
    after.box[0, 0], after.box[1, 0] = (1, 2, 3, 4), (1, 1, 9.005, 9)
    assert diff(before, after) == [SetBox(frame=0, track=1, box=(1.0, 2.0, 3.0, 4.0))]
