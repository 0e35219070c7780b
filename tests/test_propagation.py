"""Evidence and estimate together, on motions that are known everywhere."""

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames, TexturedFrames, TruthReader
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.anchors import AnchorGrid
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin, Visibility
from impose_core.propagation import Propagation
from impose_core.skeleton import Skeleton
from impose_core.stopwatch import Stopwatch

BODY = np.array([[0, 0], [0, 60], [30, 60], [30, 0.0]])
SKELETON = Skeleton(name="square", keypoints=("a", "b", "c", "d"))


def steady(t, xy):
    return np.full_like(xy, 2.0)


def swinging(t, xy):
    return np.broadcast_to([3 * np.cos(t / 5), 2 * np.sin(t / 3)], xy.shape)


def path_of(velocity, frames, start=(100.0, 100.0)):
    xy = [np.array([start])]
    for t in range(frames - 1):
        xy.append(xy[-1] + velocity(t, xy[-1]))
    return np.concatenate(xy)


def mark(xy, visibility=Visibility.VISIBLE):
    known = np.isfinite(xy).all(-1)
    return Mark(
        xy=np.asarray(xy, float),
        visibility=np.where(known, visibility, UNMARKED).astype(np.uint8),
        origin=np.where(known, Origin.HUMAN, Origin.NONE).astype(np.uint8),
        box=np.full(4, np.nan),
    )


def grid_of(marks, tracks, frames):
    return AnchorGrid.of(marks, track_id=tracks, frames=frames, width=640, height=360)


def propagation(frames, tracker, reader=None, source=None):
    return Propagation(
        source or NumberedFrames(frames),
        skeleton=SKELETON,
        engine=Engine(points=tracker, reader=reader),
        config=Config(),
        watch=Stopwatch(),
    )


def marks_at(path, frames, track=1, offset=(0, 0)):
    marks = Marks(len(SKELETON))
    marks.apply({(track, f): (None, mark(BODY + path[f] + offset)) for f in frames})
    return marks


def run(p, marks, tracks, frames, columns=None):
    columns = [-1] * len(tracks) if columns is None else columns
    p.rebase(grid_of(marks, tracks, frames), np.array(columns))
    for start in range(0, frames, 10):
        p.estimate(start, min(start + 10, frames))
    return p.estimates


def test_between_and_beyond_anchors_a_perfect_track_is_reproduced():
    path = path_of(swinging, 50)
    found = run(propagation(50, FieldTracker(swinging)), marks_at(path, [10, 30]), [1], 50)
    want = BODY + path[:, None]
    inner = [t for t in range(50) if t not in (10, 30)]
    np.testing.assert_allclose(found.xy[inner, 0], want[inner], atol=0.3)
    assert found.known[inner].all()
    assert found.visible[inner].all()


def test_deviation_grows_beyond_the_outermost_anchors():
    path = path_of(steady, 40)
    found = run(propagation(40, FieldTracker(steady)), marks_at(path, [10, 20]), [1], 40)
    assert (np.diff(found.variance[21:, 0], axis=0) > 0).all()
    assert (np.diff(found.variance[:10, 0], axis=0) < 0).all()
    assert found.variance[15].max() < found.variance[-1].min()


def test_a_joint_nobody_ever_marked_stays_unknown():
    path = path_of(steady, 20)
    marks = Marks(len(SKELETON))
    body = BODY + path[0]
    body[2] = np.nan
    marks.apply({(1, 0): (None, mark(body))})
    found = run(propagation(20, FieldTracker(steady)), marks, [1], 20)
    assert np.isnan(found.xy[1:, 0, 2]).all()
    assert not found.known[:, 0, 2].any()


def test_an_absent_joint_is_gone_until_its_next_mark():
    path = path_of(steady, 40)
    marks = marks_at(path, [0, 30])
    gone = Mark.blank(4)
    gone.visibility[1], gone.origin[1] = Visibility.ABSENT, Origin.HUMAN
    marks.apply({(1, 12): (None, gone)})
    found = run(propagation(40, FieldTracker(steady)), marks, [1], 40)
    assert found.known[1:12, 0, 1].all()
    assert not found.known[12:30, 0, 1].any()
    assert found.known[31:, 0, 1].all()
    assert found.known[1:30, 0, 0].all()


def test_lost_both_ways_means_occluded_and_one_way_is_enough_to_be_seen():
    path = path_of(steady, 31)

    def error(source, target, xy):
        lost_forward = target > source and source >= 10
        lost_backward = target < source and source <= 20
        return np.full(len(xy), 50.0 if lost_forward or lost_backward else 0.0)

    found = run(propagation(31, FieldTracker(steady, error)), marks_at(path, [0, 30]), [1], 31)
    assert found.visible[1:11].all()
    assert not found.visible[11:20].any()
    assert found.visible[20:30].all()


def test_a_lost_joint_beyond_the_last_anchor_goes_with_its_body():
    path = path_of(steady, 20)

    def error(source, target, xy):
        return np.where(np.arange(len(xy)) == 3, 50.0, 0.0)

    found = run(propagation(20, FieldTracker(steady, error)), marks_at(path, [0]), [1], 20)
    np.testing.assert_allclose(found.xy[1:, 0], (BODY + path[:, None])[1:], atol=0.01)
    assert not found.visible[1:, 0, 3].any()
    assert found.visible[1:, 0, :3].all()


def test_a_correction_retracks_only_what_starts_from_it():
    path = path_of(swinging, 101)
    tracker = FieldTracker(swinging)
    p = propagation(101, tracker)
    marks = marks_at(path, range(0, 101, 20))
    run(p, marks, [1], 101)
    tracker.asked.clear()
    corrected = BODY + path[50]
    corrected[0] += 5
    corrected[1:] = np.nan
    marks.apply({(1, 50): (None, mark(corrected))})
    run(p, marks, [1], 101, columns=[0])
    assert {count for _, _, count in tracker.asked} == {1}
    forward = [s for s, t, _ in tracker.asked if t > s]
    backward = [s for s, t, _ in tracker.asked if t < s]
    assert forward == list(range(50, 60))
    assert backward == list(range(50, 40, -1))


def test_nothing_outside_the_span_changes():
    path = path_of(swinging, 101)
    p = propagation(101, FieldTracker(swinging))
    marks = marks_at(path, range(0, 101, 20))
    before = run(p, marks, [1], 101).xy.copy()
    corrected = BODY + path[50]
    corrected[0] += 5
    corrected[1:] = np.nan
    marks.apply({(1, 50): (None, mark(corrected))})
    after = run(p, marks, [1], 101, columns=[0]).xy
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    assert same[:41].all()
    assert same[60:].all()
    assert same[:, :, 1:].all()
    assert not same[45, 0, 0].all()


def test_readings_come_in_unbiased_and_keep_a_drifting_track():
    path = path_of(swinging, 41)

    def drifting(t, xy):
        return swinging(t, xy) + 1.5

    reader = TruthReader(
        np.stack([path + BODY[k] for k in range(4)], axis=1), bias=(7.0, -4.0), deviation=1.0
    )
    marks = marks_at(path, [0, 40])
    want = (BODY + path[:, None])[1:40]
    alone = run(propagation(41, FieldTracker(drifting)), marks, [1], 41).xy[1:40, 0]
    read = run(propagation(41, FieldTracker(drifting), reader), marks, [1], 41).xy[1:40, 0]
    assert np.abs(read - want).max() < 1.5  # reader's sigmas
    assert np.abs(read - want).max() < np.abs(alone - want).max() / 3
    assert sorted(set(reader.asked)) == list(range(41))
    assert len(reader.asked) == 41


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), apart=st.sampled_from([150, 8]))
def test_what_is_kept_between_corrections_equals_a_fresh_start(seed, apart):
    """Evidence is only a memory: any sequence of marks gives what the last marks alone give.

    ``apart`` = 8 pixels: everybody is everybody's rival.
    """
    rng = np.random.default_rng(seed)
    frames = 36

    def noisy(t, xy):
        return swinging(t, xy) + 0.5 * np.sin(xy[:, ::-1] / 9 + t)

    def error(source, target, xy):
        return 4 * np.abs(np.sin(xy[:, 0] * 3 + source))  # lost now and then

    def fresh(marks, tracks):
        return run(new(), marks, tracks, frames)

    def new():
        return propagation(frames, FieldTracker(noisy, error), source=TexturedFrames(frames))

    marks, tracks = Marks(4), []
    kept = new()
    for _ in range(8):
        track, frame = int(rng.integers(1, 4)), int(rng.integers(frames))
        if rng.random() < 0.2:
            patch = {(track, frame): (marks.get(track, frame), None)}
        else:
            xy = BODY + 60 + rng.uniform(0, apart, 2) + rng.normal(0, 3, (4, 2))
            xy[rng.random(4) < 0.4] = np.nan
            said = mark(xy)
            if rng.random() < 0.3:
                silent = ~np.isfinite(xy).all(-1)
                said.visibility[silent], said.origin[silent] = Visibility.ABSENT, Origin.HUMAN
            patch = {(track, frame): (marks.get(track, frame), said)}
        marks.apply(patch)
        columns = [tracks.index(t) if t in tracks else -1 for t in marks.tracks]
        tracks = marks.tracks
        kept.rebase(grid_of(marks, tracks, frames), np.array(columns, dtype=int))
        start = int(rng.integers(frames))
        for a in range(start - start % 10, frames, 10):
            kept.estimate(a, min(a + 10, frames))
    found = run(kept, marks, tracks, frames, columns=list(range(len(tracks))))
    want = fresh(marks, tracks)
    np.testing.assert_array_equal(found.known, want.known)
    for name in ("xy", "variance", "visible"):
        a, b = getattr(found, name)[want.known], getattr(want, name)[want.known]
        np.testing.assert_allclose(a, b, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_videos_work(frames):
    path = path_of(steady, frames)
    found = run(propagation(frames, FieldTracker(steady)), marks_at(path, [0]), [1], frames)
    assert found.known[1:].all()
