"""Clicks until a clip is right: what is counted, when work ends, and what tools make of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import TruthReader, index_of
from pose_set_cases import people, tracklet, video
from test_baselines import CONFIG

from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.evaluation.annotation_tools import (
    ENGINES,
    MethodTool,
    SessionTool,
    annotation_tool,
)
from impose_core.evaluation.annotator import Annotator
from impose_core.evaluation.baselines import hold
from impose_core.evaluation.conventions import with_areas
from impose_core.evaluation.simulation import simulate
from impose_core.evaluation.tracklets import labelled_tracklets
from impose_core.frames import ArrayFrames
from impose_core.poses import Visibility
from impose_core.readers.protocol import Candidates, Detections
from impose_core.session import Session
from impose_core.skeleton import COCO17, skeleton_from_names
from impose_core.synthesis import render

FRAMES, NAMES = 8, ("tip", "middle", "root")
SKELETON = skeleton_from_names("three", NAMES)
SIGMAS = np.array([0.1, 0.1, 0.1])
BODY = np.array([[10.0, 10.0], [20.0, 30.0], [40.0, 50.0]])


def person(speed=0.0, visibility=None, track_id=1):
    """Somebody whose whole body goes ``speed`` pixels to the right every frame."""
    xy = BODY + speed * np.arange(FRAMES)[:, None, None] * [1.0, 0.0]
    one = tracklet(xy, np.full(xy.shape, np.nan), visibility, area=900.0)
    return replace(one, track_id=track_id)


def run(tool, truth, annotator=None, **options):
    return simulate(tool, truth, annotator or Annotator(), sigmas=SIGMAS, **options)


class Recorded:
    """A tool that writes down what it is given. Its poses are the truth, off by ``off`` px."""

    name = "recorded"

    def __init__(self, truth, off=0.0):
        self.truth = np.stack([one.xy for one in truth], axis=1)
        self.off, self.placements, self.acts = off, [], 0
        self.adopted = None

    def found(self):
        return self.truth[:, :0]

    def adopt(self, persons):
        self.adopted = persons

    def place(self, placements):
        self.placements.extend(placements)
        self.acts += 1

    def poses(self):
        return self.truth + self.off

    def suggestions(self, person):
        return []


class OneFrame(Recorded):
    """Takes over clicks, on the frame where they were made; elsewhere it shows nobody."""

    def poses(self):
        xy = np.full(self.truth.shape, np.nan)
        for one in self.placements:
            xy[one.frame, one.person, one.joints] = one.xy
        return xy


def holding(truth):
    return MethodTool("hold", hold, frames=FRAMES, persons=len(truth), skeleton=SKELETON)


# --- what is counted ---------------------------------------------------------------------------


def test_a_tool_that_knows_the_truth_needs_only_the_first_placement():
    truth = [person(), person(3.0, track_id=2)]
    found = run(Recorded(truth), truth, Annotator(joints_per_visit=3))
    assert [one.clicks for one in found.persons] == [3, 3]
    assert [one.visited for one in found.persons] == [1, 1]
    assert [one.reached for one in found.persons] == [dict.fromkeys((0.75, 0.85, 0.95), 3)] * 2
    assert (found.identity_edits, len(found.curve)) == (2, 1)
    assert found.curve[0].oks == found.curve[0].accuracy == 1
    assert not any(one.capped for one in found.persons)
    assert found.clicks_to(0.95) == 3
    assert found.never(0.95) == 0


class Finder(OneFrame):
    """Finds somebody who is nobody, then the second person, then nearly the first one."""

    def found(self):
        nobody = np.full((FRAMES, 1, 3, 2), 500.0)
        return np.concatenate([nobody, self.truth[:, 1:], self.truth[:, :1] + self.miss], axis=1)

    def poses(self):
        xy = super().poses()
        for m, n in self.adopted.items():
            xy[:, n] = np.where(np.isnan(xy[:, n]), self.found()[:, m], xy[:, n])
        return xy


def test_whom_a_tool_finds_nobody_places():
    truth = [person(), person(3.0, track_id=2)]
    tool = Finder(truth)
    tool.miss = 0.1
    found = run(tool, truth)
    assert tool.adopted == {1: 1, 2: 0}
    assert tool.placements == []
    assert [one.reached for one in found.persons] == [dict.fromkeys((0.75, 0.85, 0.95), 0)] * 2
    assert [one.visited for one in found.persons] == [0, 0]
    assert found.identity_edits == 1  # the one who is nobody goes


def test_who_is_found_too_badly_is_placed_by_hand():
    truth = [person(), person(3.0, track_id=2)]
    tool = Finder(truth)
    tool.miss = 60.0
    found = run(tool, truth)
    assert tool.adopted == {1: 1}
    assert {one.person for one in tool.placements} == {0}
    assert found.persons[1].clicks == 0
    assert found.persons[0].clicks == FRAMES * 3
    assert found.identity_edits == 3  # made one, two go


def test_the_first_placement_is_every_labelled_joint_of_the_first_labelled_frame():
    visibility = np.full((FRAMES, 3), 2)
    visibility[:3] = 0
    visibility[3] = (1, 0, 2)
    truth = [person(2.0, visibility)]
    tool = Recorded(truth)
    found = run(tool, truth)
    (first,) = tool.placements
    assert (first.frame, first.person, first.joints.tolist()) == (3, 0, [0, 2])
    assert first.visibility.tolist() == [Visibility.OCCLUDED, Visibility.VISIBLE]
    np.testing.assert_array_equal(first.xy, truth[0].xy[3, [0, 2]])
    effort = found.persons[0]
    assert (effort.labelled, effort.frames, effort.clicks) == (2 + 4 * 3, 5, 2)


def test_a_tool_that_moves_nothing_hits_the_cap():
    truth = [person(), person(3.0, track_id=2)]
    tool = Recorded(truth, off=100.0)
    found = run(tool, truth, Annotator(joints_per_visit=2))
    for effort in found.persons:
        assert effort.clicks == effort.labelled == FRAMES * 3
        assert effort.capped
        assert effort.reached == {}
        assert effort.value == 0
        assert effort.visited == 1 + (FRAMES - 1) * 2  # 2 joints, then the third
    assert (found.never(0.75), found.clicks_to(0.75)) == (2, FRAMES * 3)
    assert found.poses == {}
    clicked = [(p.frame, p.person, k) for p in tool.placements for k in p.joints.tolist()]
    assert len(clicked) == len(set(clicked))


def test_targets_are_reached_at_the_right_click():
    truth = [person()]
    # 8 frames of 3 joints; frame 0 comes first, then joint after joint, frame after frame
    found = run(OneFrame(truth), truth, targets=(0.5, 0.25, 1.0), measure="oks")
    assert found.targets == (0.25, 0.5, 1.0)
    assert found.persons[0].reached == {0.25: 6, 0.5: 12, 1.0: 24}
    assert not found.persons[0].capped
    assert [point.clicks for point in found.curve] == list(range(3, 25))
    np.testing.assert_allclose([point.oks for point in found.curve], np.arange(3, 25) / 24)
    # the poses are those of the moment
    assert np.isfinite(found.poses[0.5]).all(-1).sum() == 12


def test_accuracy_needs_whole_poses_where_oks_counts_every_joint():
    truth = [person()]
    visits = Annotator(strategy="first-error")
    by_accuracy = run(OneFrame(truth), truth, visits, targets=(0.5,))
    by_oks = run(OneFrame(truth), truth, Annotator(strategy="first-error"), measure="oks",
                 targets=(0.5,))  # fmt: skip
    assert by_oks.persons[0].reached == {0.5: 12}
    # two of three joints are an OKS of .67, which is right at 4 of the 10 thresholds
    assert by_accuracy.persons[0].reached == {0.5: 12}
    point = run(OneFrame(truth), truth, targets=(0.5,)).curve[2]  # 5 clicks
    assert (point.clicks, point.oks) == (5, pytest.approx(5 / 24))
    assert point.accuracy == pytest.approx((1 + 0.4) / 8)


def test_persons_who_are_done_cost_nothing_more():
    still, fast = person(), person(20.0, track_id=2)
    truth = [still, fast]
    found = run(holding(truth), truth)
    assert found.persons[0].clicks == 3
    assert found.persons[1].clicks == 3 * FRAMES
    assert found.curve[-1].clicks == sum(one.clicks for one in found.persons)
    assert found.clicks_to(0.95) == (3 + found.persons[1].reached[0.95]) / 2


def test_the_curve_counts_up_and_hold_gets_better_with_every_click():
    truth = [person(5.0), person(9.0, track_id=2)]
    told = []
    found = run(holding(truth), truth, progress=told.append)
    assert list(found.curve[1:]) == told
    for name in ("clicks", "visited"):
        assert (np.diff([getattr(point, name) for point in found.curve]) > 0).all()
    assert found.curve[-1].accuracy > found.curve[0].accuracy
    for effort in found.persons:
        assert effort.clicks <= effort.labelled
        counts = [effort.reached[target] for target in found.targets]
        assert counts == sorted(counts)


def test_a_last_look_in_vain_is_counted():
    truth = [person()]
    # off, but not so much that anybody would click; and not as good as asked for
    tool = Recorded(truth, off=2.0)
    found = run(tool, truth, Annotator(strategy="first-error", accept=0.6), targets=(1.0,))
    assert found.persons[0].capped
    assert found.persons[0].clicks == 3
    assert found.persons[0].visited == found.curve[-1].visited == 1 + FRAMES


def test_misses_cost_looks_but_no_clicks():
    truth = [person()]
    plain = run(Recorded(truth, off=100.0), truth, Annotator(strategy="random"))
    missed = run(Recorded(truth, off=100.0), truth, Annotator(strategy="random", miss=0.5))
    (plain,), (missed,) = plain.persons, missed.persons
    assert missed.clicks <= missed.labelled
    assert missed.visited / missed.clicks > 1.1 * plain.visited / plain.clicks


def test_noise_is_of_the_labelled_bodys_size():
    truth = [person()]
    tool = Recorded(truth, off=100.0)
    run(tool, truth, Annotator(noise=0.1, seed=2))
    off = np.concatenate([one.xy - truth[0].xy[one.frame, one.joints] for one in tool.placements])
    assert off.std() == pytest.approx(0.1 * np.hypot(30, 40) / 2, rel=0.3)


# --- chance ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"strategy": "random"}, {"noise": 0.05}, {"miss": 0.3}])
def test_the_same_seed_costs_the_same(options):
    truth = [person(12.0), person(15.0, track_id=2)]

    def once(seed):
        found = run(holding(truth), truth, Annotator(seed=seed, **options))
        return found.persons, found.curve

    assert once(1) == once(1)
    assert once(1) != once(2)


# --- labels ------------------------------------------------------------------------------------


def test_persons_come_from_labels_and_their_frames_from_the_last_one_listed():
    def at(*ids):
        xy = np.stack([BODY + 10 * i for i in ids]) if ids else np.zeros((0, 3, 2))
        return people(xy, track_id=list(ids), area=900.0)

    labels = video(NAMES, [at(), at(7), at(3, 7), at()])
    truth = labelled_tracklets(labels)
    assert [one.track_id for one in truth] == [3, 7]
    assert truth[0].on.tolist() == [False, False, True, False]
    assert truth[1].on.tolist() == [False, True, True, False]
    assert all(np.isnan(one.predicted).all() for one in truth)
    assert labelled_tracklets(video(NAMES, [at(), at()])) == ()
    derived, _ = with_areas(labels)
    np.testing.assert_array_equal(
        truth[0].area[2], derived.sequences[0].frames[2].instances.area[0]
    )


def test_who_is_labelled_nowhere_costs_nothing():
    nobody = person(visibility=np.zeros((FRAMES, 3)), track_id=2)
    truth = [person(), nobody]
    found = run(OneFrame(truth), truth, targets=(1.0,))
    assert (found.persons[1].clicks, found.persons[1].visited) == (0, 0)
    assert not found.persons[1].capped
    assert found.identity_edits == 1
    assert found.clicks_to(1.0) == 24  # of those who are labelled
    assert found.never(1.0) == 0
    with pytest.raises(UsageError, match="'truth' to hold a labelled person, got nobody"):
        run(OneFrame([nobody]), [nobody])
    with pytest.raises(UsageError, match="got nobody"):
        run(OneFrame(truth), [])


@pytest.mark.parametrize("targets", [(), (0.0,), (1.01,), (-1, 0.5), (0.5, np.nan, 0.9)])
def test_bad_targets_are_refused(targets):
    truth = [person()]
    with pytest.raises(UsageError, match=r"^Expected 'targets' to lie above 0"):
        run(OneFrame(truth), truth, targets=targets)


def test_bad_measures_are_refused():
    truth = [person()]
    with pytest.raises(UsageError, match="'measure' to be one of accuracy, oks, got 'ap'"):
        run(OneFrame(truth), truth, measure="ap")


# --- real tools --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip():
    """A dancer, and the labels of the first frames: fewer than the video has."""
    scene = render(CONFIG)
    tracks, length = scene.tracks.frames(0, len(scene.frames) - 2), len(scene.frames) - 2
    labels = video(
        COCO17.keypoints,
        [people(tracks.xy[t], tracks.visibility[t], track_id=1) for t in range(length)],
    )
    return ArrayFrames(scene.frames), labelled_tracklets(labels)


def dance(clip, engine, **options):
    frames, truth = clip
    tool = annotation_tool(
        engine, frames, frames=len(truth[0].on), persons=len(truth), skeleton=COCO17
    )
    return simulate(
        tool, truth, Annotator(joints_per_visit=3, **options), sigmas=np.array(COCO17.sigmas)
    )


def test_our_tool_needs_fewer_clicks_than_linear_interpolation_where_people_dance(clip):
    ours, linear = dance(clip, "impose"), dance(clip, "linear")
    for target in ours.targets:
        assert ours.clicks_to(target) <= linear.clicks_to(target)
    assert ours.clicks_to(0.95) < linear.clicks_to(0.95)
    assert ours.never(0.95) == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_gets_there(clip, engine):
    found = dance(clip, engine)
    effort = found.persons[0]
    assert found.tool == engine
    assert found.poses[0.95].shape == clip[1][0].xy[:, None].shape
    assert 0.95 in effort.reached
    assert effort.value >= 0.95 - 1e-9


class Spotter(TruthReader):
    """Sees the dancer without being told where."""

    def detect(self, image):
        xy = self.path[[index_of(image)]] + self.bias
        seen = Candidates(xy=xy[:, :, None], score=np.ones((1, 17, 1)))
        return Detections(xy=xy, score=np.ones((1, 17)), candidates=seen)


def test_our_tool_goes_on_from_whom_it_finds(clip):
    frames, truth = clip
    images = [frames.read(t).copy() for t in range(len(frames))]
    for t, image in enumerate(images):
        image[0, 0] = (0, t, 0)
    path = np.concatenate([truth[0].xy, truth[0].xy[-1:], truth[0].xy[-1:]])
    engine = Engine(reader=Spotter(path, COCO17, bias=(3.0, 0.0)))
    session = Session(ArrayFrames(np.stack(images)), skeleton=COCO17, engine=engine)
    tool = SessionTool(session, frames=len(truth[0].on), persons=1, detects=True)
    found = simulate(tool, truth, Annotator(), sigmas=np.array(COCO17.sigmas))
    assert found.identity_edits == 0
    assert found.clicks_to(0.75) < 17 / 2  # no placement: only what the reader's bias costs
    assert found.never(0.95) == 0


def test_no_such_engine(clip):
    with pytest.raises(UsageError, match=r"'engine' to be one of impose, .*, got 'magic'"):
        dance(clip, "magic")


def test_a_sessions_suggestions_are_those_of_its_review(clip):
    frames, truth = clip
    tool = SessionTool(Session(frames, skeleton=COCO17), frames=len(truth[0].on), persons=1)
    found = dance(clip, "impose", strategy="review")
    assert found.never(0.95) == 0
    tool.place([_first(truth[0])])
    tool.poses()
    session = tool._session
    expected = [one.frame for one in session.review(limit=100)]
    assert tool.suggestions(0) == expected
    assert max(expected) < len(truth[0].on) < len(frames)


def _first(person):
    """A placement of everybody's first frame, as :func:`simulate` makes it."""
    tool = Recorded([person])
    simulate(tool, [person], Annotator(), sigmas=np.array(COCO17.sigmas))
    return tool.placements[0]
