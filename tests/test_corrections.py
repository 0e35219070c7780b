"""Documents compared, and what their difference does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.corrections import (
    MoveKeypoints,
    RemovePerson,
    SetVisibility,
    VideoShape,
    clicks,
    diff,
    marks_from_tracks,
    patch_of,
)
from impose_core.errors import FrameOutOfRange, SkeletonMismatch
from impose_core.marks import Marks
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
        marks.apply(
            patch_of(correction, marks, skeleton=SKELETON, video=VIDEO, estimate=nothing)
        )
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
