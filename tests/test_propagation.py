"""Evidence and estimate together, on motions that are known everywhere."""

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames, TexturedFrames, TruthReader, index_of
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.anchors import AnchorGrid
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin, Visibility
from impose_core.propagation import Propagation
from impose_core.readers import Candidates
from impose_core.readers.views import square_views
from impose_core.skeleton import Skeleton
from impose_core.stopwatch import Stopwatch

BODY = np.array([[0, 0], [0, 60], [30, 60], [30, 0.0]])
SKELETON = Skeleton(name="square", keypoints=("a", "b", "c", "d"))
PERSON = np.array([[0, 0], [0, 60], [30, 60], [30, 0.0], [15, 30], [40, 80]])
PEOPLE = Skeleton(
    name="people",
    keypoints=("left_shoulder", "left_hip", "right_hip", "right_shoulder", "nose", "tail"),
)


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


def propagation(frames, tracker, reader=None, source=None, skeleton=SKELETON):
    return Propagation(
        source or NumberedFrames(frames),
        skeleton=skeleton,
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


def drifting(t, xy):
    return swinging(t, xy) + 0.75


def people_at(path, frames, track=1):
    marks = Marks(len(PEOPLE))
    marks.apply({(track, f): (None, mark(PERSON + path[f])) for f in frames})
    return marks


def truth_of(path, bias=(4.0, -3.0)):
    """A reader of all joints but the tail."""
    seen = Skeleton(name="seen", keypoints=PEOPLE.keypoints[:5])
    return TruthReader(path[:, None] + PERSON[:5], seen, bias=bias)


def test_readings_come_in_unbiased_and_keep_a_drifting_track():
    path = path_of(swinging, 41)
    reader, marks = truth_of(path), people_at(path, [0, 40])
    want = (PERSON + path[:, None])[1:40]
    alone = propagation(41, FieldTracker(drifting), skeleton=PEOPLE)
    alone = run(alone, marks, [1], 41).xy[1:40, 0]
    read = propagation(41, FieldTracker(drifting), reader, skeleton=PEOPLE)
    read = run(read, marks, [1], 41).xy[1:40, 0]
    missed, kept = np.abs(alone - want), np.abs(read - want)
    assert kept[:, :5].max() < missed[:, :5].max() / 3
    np.testing.assert_array_equal(read[:, 5], alone[:, 5])  # the reader knows no tails
    assert sorted(set(reader.asked)) == list(range(41))
    assert len(reader.asked) == 41


def test_beyond_the_last_anchor_a_reader_puts_a_drifting_track_back():
    path = path_of(swinging, 61)
    marks = people_at(path, [0])
    want = (PERSON + path[:, None])[1:]
    alone = propagation(61, FieldTracker(drifting), skeleton=PEOPLE)
    alone = np.abs(run(alone, marks, [1], 61).xy[1:, 0] - want)
    read = run(
        propagation(61, FieldTracker(drifting), truth_of(path), skeleton=PEOPLE), marks, [1], 61
    )
    away = np.abs(read.xy[1:, 0] - want)
    assert alone[-1].max() > 40
    assert away[:, :5].max() < 6
    deviation = np.sqrt(read.variance[1:, 0])
    assert deviation[-1, :5].max() < deviation[-1, 5] / 3  # nobody reads the tail


def test_before_the_first_anchor_it_does_the_same():
    path = path_of(swinging, 31)
    marks = people_at(path, [30])
    read = run(
        propagation(31, FieldTracker(drifting), truth_of(path), skeleton=PEOPLE), marks, [1], 31
    )
    assert np.abs(read.xy[:30, 0, :5] - (PERSON + path[:30, None])[:, :5]).max() < 6


def test_where_the_reader_sees_something_else_at_the_anchor_it_is_mistrusted():
    path = path_of(swinging, 41)
    marks = people_at(path, [0, 40])
    want = (PERSON + path[:, None])[1:40]
    reader = truth_of(path, bias=(30.0, 30.0))  # a neighbour, by the distance
    read = run(propagation(41, FieldTracker(swinging), reader, skeleton=PEOPLE), marks, [1], 41)
    assert np.abs(read.xy[1:40, 0] - want).max() < 1.5


def seeded(xy):
    said = mark(xy)
    said.origin[said.origin == Origin.HUMAN] = Origin.DETECTED
    return said


def test_seeds_are_about_there_and_do_not_bend_what_is_read():
    """Seeds that are off by the reader's bias say nothing about the annotator's idea."""
    path = path_of(swinging, 41)
    marks = people_at(path, [0])
    marks.apply({(1, 40): (None, seeded(PERSON + path[40] + [4, -3]))})
    reader = truth_of(path, bias=(4.0, -3.0))
    p = propagation(41, FieldTracker(swinging), reader, skeleton=PEOPLE)
    read = run(p, marks, [1], 41)
    away = np.abs(read.xy[1:38, 0, :5] - (PERSON + path[1:38, None])[:, :5])
    assert away.max() < 2
    assert read.variance[39, 0, 0] > read.variance[1, 0, 0]


def test_a_correction_reads_only_what_it_changes():
    path = path_of(swinging, 121)
    reader, marks = truth_of(path), people_at(path, range(0, 121, 20))
    p = propagation(121, FieldTracker(swinging), reader, skeleton=PEOPLE)
    run(p, marks, [1], 121)
    reader.asked.clear()
    moved = PERSON + path[50]
    moved[1] += 8
    marks.apply({(1, 50): (None, mark(moved))})
    run(p, marks, [1], 121, columns=[0])
    assert set(reader.asked) <= set(range(40, 61))


def test_bodies_the_reader_does_not_know_are_estimated_as_without_it():
    path = path_of(swinging, 41)
    reader, marks = truth_of(path), marks_at(path, [0, 20])
    without = run(propagation(41, FieldTracker(drifting)), marks, [1], 41)
    beside = run(propagation(41, FieldTracker(drifting), reader), marks, [1], 41)
    assert not reader.asked
    np.testing.assert_array_equal(beside.xy, without.xy)
    np.testing.assert_array_equal(beside.variance, without.variance)


class ViewReader:
    """Sees something that hangs on where it looks, to the pixel."""

    name, skeleton = "views", PEOPLE

    def views(self, extents):
        return square_views(extents)

    def read(self, images, views):
        frame = np.array([index_of(image) for image in images])
        seed = views.sum(-1) + 7 * frame
        k, place = np.arange(len(PEOPLE))[:, None], np.arange(2)
        noise = np.stack(
            [np.sin(seed[:, None, None] + k + place), np.cos(seed[:, None, None] * k + place)], -1
        )
        middle = views[:, :2] + views[:, 2:] / 2
        xy = middle[:, None, None] + (PERSON - PERSON.mean(0))[:, None] + 9 * noise
        return Candidates(xy=xy, score=np.broadcast_to([0.9, 0.4], xy.shape[:3]))

    def detect(self, image):
        raise NotImplementedError


class PriorViewReader(ViewReader):
    """Sees something that hangs on every joint it is told of, and on who told it."""

    deviation = 0.05

    def around(self, priors):
        parts = [priors.xy[..., 0], priors.xy[..., 1], 100 * priors.pinned, priors.box_xyxy]
        told = np.round(np.nan_to_num(np.concatenate(parts, axis=1)) * 16).astype(np.int64)
        return np.concatenate([square_views(priors.box_xyxy), told], axis=1)

    def read(self, images, views):
        mixed = views[:, 3:] @ np.arange(1, views.shape[1] - 2)
        found = super().read(images, views[:, :3])
        return Candidates(xy=found.xy + np.sin(mixed)[:, None, None, None], score=found.score)


@settings(max_examples=90, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    apart=st.sampled_from([150, 8]),
    reader=st.sampled_from([None, ViewReader(), PriorViewReader()]),
)
def test_what_is_kept_between_corrections_equals_a_fresh_start(seed, apart, reader):
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
        return propagation(
            frames, FieldTracker(noisy, error), reader, TexturedFrames(frames), PEOPLE
        )

    marks, tracks = Marks(len(PEOPLE)), []
    kept = new()
    for _ in range(8):
        track, frame = int(rng.integers(1, 4)), int(rng.integers(frames))
        if rng.random() < 0.2:
            patch = {(track, frame): (marks.get(track, frame), None)}
        else:
            xy = PERSON + 60 + rng.uniform(0, apart, 2) + rng.normal(0, 3, PERSON.shape)
            xy[rng.random(len(xy)) < 0.4] = np.nan
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
