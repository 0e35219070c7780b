"""One click repairs a body: on places that are made up, and with the reader that is shipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames
from test_body_tree import standing as upright

from impose_core.corrections import MoveKeypoints, SetBox, SetVisibility
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch
from impose_core.frames import open_frames
from impose_core.one_click import look, repair_body, repair_pose
from impose_core.poses import Origin, Visibility
from impose_core.readers import Candidates
from impose_core.readers.movenet import MoveNet
from impose_core.readers.views import square_views
from impose_core.readers.whole_body import Neighbours, RepairConfig, repair
from impose_core.session import Session
from impose_core.skeleton import COCO17, Skeleton

NAMES = COCO17.keypoints
UNSURE = np.full(17, np.nan)
NOBODY = np.full((17, 2), np.nan)
LEGS = [NAMES.index(f"{s}_{j}") for s in ("left", "right") for j in ("knee", "ankle")]
DEMO = Path(__file__).parents[1] / "docs" / "demo" / "clip.mp4"


def standing():
    """With the legs apart, so that it matters whose they are."""
    xy = upright()
    xy[LEGS] += np.array([[45, -10], [85, -30], [-45, -10], [-85, -30]])
    return xy


def seen(xy, score=0.8):
    """One reading that gives one place for each joint."""
    xy = np.asarray(xy)[None, :, None]
    return Candidates(xy=xy, score=np.full(xy.shape[:3], score))


def pins(**at):
    pinned = NOBODY.copy()
    for name, xy in at.items():
        pinned[NAMES.index(name)] = xy
    return pinned


def with_crossed_legs():
    """The legs on the wrong sides, as readers have it."""
    wrong = standing()
    wrong[LEGS] = standing()[COCO17.flip_index()][LEGS]
    return wrong


def test_a_click_on_one_ankle_uncrosses_both_legs():
    wrong, right = with_crossed_legs(), standing()
    both = np.stack([wrong, right], axis=1)[None]
    score = np.full((1, 17, 2), (0.7, 0.5))
    pinned = pins(left_ankle=right[NAMES.index("left_ankle")])
    found = repair(Candidates(xy=both, score=score), wrong, UNSURE, pinned)
    np.testing.assert_allclose(found.xy, right)


def test_pinned_joints_stay_whatever_is_seen():
    rng = np.random.default_rng(0)
    for _ in range(10):
        pinned = NOBODY.copy()
        chosen = rng.choice(17, rng.integers(1, 17), replace=False)
        pinned[chosen] = rng.uniform(0, 500, (len(chosen), 2))
        found = repair(seen(rng.uniform(0, 500, (17, 2))), standing(), UNSURE, pinned)
        np.testing.assert_array_equal(found.xy[chosen], pinned[chosen])
        assert (found.score[chosen] == 1).all()


def test_a_sure_estimate_stays_where_an_unsure_one_goes():
    right, old = standing(), np.add(standing(), (25, 0))
    pinned = pins(left_wrist=right[NAMES.index("left_wrist")])
    unsure = repair(seen(right), old, UNSURE, pinned)
    sure = repair(seen(right), old, np.full(17, 0.5), pinned)
    np.testing.assert_allclose(unsure.xy, right)
    free = [k for k in range(17) if k != NAMES.index("left_wrist")]
    np.testing.assert_allclose(sure.xy[free], old[free])


def test_a_place_a_neighbour_has_taken_costs():
    own, theirs = standing(), np.add(standing(), (60, 0))
    places = np.stack([own, theirs], axis=1)[None]
    score = np.full((1, 17, 2), (0.5, 0.8))
    unknown = NOBODY
    alone = repair(Candidates(xy=places, score=score), unknown, UNSURE, NOBODY)
    beside = repair(
        Candidates(xy=places, score=score),
        unknown,
        UNSURE,
        NOBODY,
        neighbours=Neighbours(xy=theirs[None], sure=np.ones((1, 17))),
    )
    np.testing.assert_allclose(alone.xy, theirs)
    np.testing.assert_allclose(beside.xy, own)


def test_nothing_seen_and_nothing_known_change_nothing():
    nothing = Candidates(xy=np.full((1, 17, 1, 2), np.nan), score=np.zeros((1, 17, 1)))
    found = repair(nothing, NOBODY, UNSURE, pins(nose=(3, 4)))
    np.testing.assert_array_equal(found.xy, pins(nose=(3, 4)))
    found = repair(nothing, standing(), UNSURE, NOBODY)
    np.testing.assert_array_equal(found.xy, standing())


def test_a_body_upside_down_is_read_when_turned():
    """What is read in the turned picture comes back to where it is on the image."""

    class Upright:
        name, skeleton = "upright", COCO17

        def views(self, extents):
            return square_views(extents)

        def read(self, images, views):
            """The brightest pixel is everything's place."""
            xy = [np.flip(np.unravel_index(i[..., 0].argmax(), i.shape[:2])) + 0.5 for i in images]
            shape = (len(images), 17, 1)
            at = np.asarray(xy)[:, None, None]
            return Candidates(xy=np.broadcast_to(at, (*shape, 2)), score=np.ones(shape))

        def detect(self, image):
            raise NotImplementedError

    image = np.zeros((80, 120, 3), np.uint8)
    image[31, 57] = 255
    found = look(Upright(), image, np.array([[20, -5, 90], [50, 20, 33]]))
    assert found.xy.shape == (8, 17, 1, 2)
    np.testing.assert_allclose(found.xy, np.broadcast_to([57.5, 31.5], found.xy.shape))


def test_a_body_of_other_names_is_refused_and_one_of_some_is_repaired_in_part():
    image = np.zeros((64, 64, 3), np.uint8)
    fly = Skeleton(name="fly", keypoints=("head", "wingL", "wingR"))
    nowhere = np.full((3, 2), np.nan)
    with pytest.raises(SkeletonMismatch):
        repair_pose(MoveNet(threads=1), image, nowhere, np.full(3, np.nan), nowhere, skeleton=fly)


@pytest.fixture(scope="module")
def reader():
    return MoveNet(threads=1)


@pytest.fixture(scope="module")
def demo():
    with open_frames(DEMO) as frames:
        yield frames


def best_places(reader, image, box):
    return reader.read([image], reader.views(np.array([box], np.float64))).xy[0, :, 0]


@pytest.fixture(scope="module")
def man(reader, demo):
    """The man of the first frame as the reader sees him."""
    return best_places(reader, demo.read(0), (150, 195, 290, 545))


def crossed(xy):
    """His arms on the wrong sides."""
    arms = [NAMES.index(f"{s}_{j}") for s in ("left", "right") for j in ("elbow", "wrist")]
    wrong = xy.copy()
    wrong[arms] = xy[COCO17.flip_index()][arms]
    return wrong, arms


def test_on_a_real_image_one_click_brings_the_arms_back(reader, demo, man):
    wrong, arms = crossed(man)
    wrist = NAMES.index("left_wrist")
    pinned = pins(left_wrist=man[wrist])
    found = repair_body(reader, demo.read(0), wrong, UNSURE, pinned)
    before = np.linalg.norm(wrong - man, axis=-1)[arms].mean()
    after = np.linalg.norm(found.xy - man, axis=-1)[arms].mean()
    assert before > 50
    assert after < 10


def session(frames, reader=None, **options):
    return Session(
        frames,
        skeleton=options.pop("skeleton", COCO17),
        engine=Engine(points=FieldTracker(lambda t, xy: np.zeros_like(xy)), reader=reader),
        **options,
    )


def everywhere(xy, track=1, frame=0, names=NAMES):
    return MoveKeypoints(
        frame=frame,
        track=track,
        xy={n: tuple(p) for n, p in zip(names, xy.tolist(), strict=True)},
    )


def different(one, other):
    same = (one.xy == other.xy) | (np.isnan(one.xy) & np.isnan(other.xy))
    return ~same.all(-1)


class Fixed:
    """A reader of which only the views are asked: what it sees is made up (``fixed``)."""

    name, skeleton = "fixed", COCO17

    def views(self, extents):
        return square_views(extents)

    def read(self, images, views):
        raise NotImplementedError

    def detect(self, image):
        raise NotImplementedError


@pytest.fixture
def fixed(monkeypatch):
    """Everything but the pixels: readings are the standing body."""
    reads = []

    def seeing(reader, image, views):
        reads.append(len(views))
        return seen(standing())

    monkeypatch.setattr("impose_core.one_click.look", seeing)
    return reads


def clicked(reader, fixed, **options):
    """A session in which the legs were crossed on frame 0 and one ankle is clicked on frame 5."""
    s = session(NumberedFrames(11, height=600), **options)
    s.correct(everywhere(with_crossed_legs()))
    for _ in s.propagate():
        pass
    s._engine = Engine(points=s._engine.points, reader=reader)
    before = s.tracks.copy()
    ankle = standing()[NAMES.index("left_ankle")]
    s.correct(MoveKeypoints(frame=5, track=1, xy={"left_ankle": tuple(ankle)}))
    return s, before


def unmeasured(monkeypatch):
    """Estimates that do not say how sure they are."""
    monkeypatch.setattr(
        "impose_core.click_seeds.repair_pose",
        lambda reader, image, xy, deviation, pinned, **rest: repair_pose(
            reader, image, xy, np.full(len(xy), np.nan), pinned, **rest
        ),
    )


def test_seeds_come_with_the_click_and_go_with_it(fixed, monkeypatch, tmp_path):
    unmeasured(monkeypatch)
    journal = tmp_path / "acts.journal"
    s, before = clicked(Fixed(), fixed, journal=journal)
    after = s.tracks.copy()
    assert fixed == [1]
    np.testing.assert_allclose(after.xy[5, 0][LEGS], standing()[LEGS])
    ankle = NAMES.index("left_ankle")
    assert after.origin[5, 0, ankle] == Origin.HUMAN
    others = [k for k in LEGS if k != ankle]
    assert (after.origin[5, 0, others] == Origin.DETECTED).all()
    untouched = [k for k in range(17) if k not in LEGS]
    np.testing.assert_array_equal(after.xy[5, 0, untouched], before.xy[5, 0, untouched])
    np.testing.assert_array_equal(after.xy[0], before.xy[0])
    s.close()
    with session(NumberedFrames(11, height=600), journal=journal) as again:  # without the reader
        np.testing.assert_array_equal(again.snapshot()["marks"], s.snapshot()["marks"])
    s.undo()
    np.testing.assert_array_equal(s.tracks.xy, before.xy)
    np.testing.assert_array_equal(s.tracks.origin, before.origin)


def test_joints_of_a_human_do_not_move(fixed, monkeypatch):
    unmeasured(monkeypatch)
    s = session(NumberedFrames(3, height=600))
    s.correct(everywhere(with_crossed_legs()))
    for _ in s.propagate():
        pass
    s._engine = Engine(points=s._engine.points, reader=Fixed())
    wrong = with_crossed_legs()
    knee, ankle = NAMES.index("right_knee"), NAMES.index("left_ankle")
    s.correct(SetVisibility(frame=1, track=1, visibility={"nose": Visibility.OCCLUDED}))
    s.correct(
        MoveKeypoints(
            frame=1,
            track=1,
            xy={"right_knee": tuple(wrong[knee]), "left_ankle": tuple(standing()[ankle])},
        )
    )
    np.testing.assert_array_equal(s.tracks.xy[1, 0, knee], wrong[knee])
    np.testing.assert_array_equal(s.tracks.xy[1, 0, ankle], standing()[ankle])
    assert s.tracks.visibility[1, 0, NAMES.index("nose")] == Visibility.OCCLUDED


def test_without_a_reader_only_the_clicked_joint_changes(fixed):
    s, before = clicked(None, fixed)
    ankle = NAMES.index("left_ankle")
    changed = different(s.tracks, before)
    assert changed.sum() == 1
    assert changed[5, 0, ankle]
    assert fixed == []


def test_a_click_that_says_nothing_new_costs_no_look(fixed):
    s = session(NumberedFrames(3, height=600))
    s.correct(everywhere(standing()))
    for _ in s.propagate():
        pass
    s._engine = Engine(points=s._engine.points, reader=Fixed())
    near = tuple(standing()[9] + 2)
    s.correct(MoveKeypoints(frame=1, track=1, xy={NAMES[9]: near}))
    assert fixed == []


def test_a_body_the_reader_does_not_know_stays_as_it_was(fixed):
    fly = Skeleton(name="fly", keypoints=tuple(f"leg{k}" for k in range(17)))
    s = session(NumberedFrames(3, height=600), skeleton=fly)
    s.correct(everywhere(standing(), names=fly.keypoints))
    for _ in s.propagate():
        pass
    s._engine = Engine(points=s._engine.points, reader=Fixed())
    before = s.tracks.copy()
    s.correct(MoveKeypoints(frame=1, track=1, xy={"leg9": (10.0, 20.0)}))
    assert different(s.tracks, before).sum() == 1
    assert fixed == []


def test_the_same_click_gives_the_same_body(reader, demo, man):
    wrong, _ = crossed(man)
    pinned = pins(left_wrist=man[NAMES.index("left_wrist")])
    one = repair_body(reader, demo.read(0), wrong, UNSURE, pinned, config=RepairConfig())
    two = repair_body(reader, demo.read(0), wrong, UNSURE, pinned)
    np.testing.assert_array_equal(one.xy, two.xy)
    assert one.cost == two.cost


def test_a_box_becomes_a_whole_pose_in_one_act(reader, demo, man):
    s = session(demo, reader)
    s.correct(SetBox(frame=0, track=5, box=(150.0, 195.0, 290.0, 545.0)))
    n = s.tracks.person(5)
    assert (s.tracks.origin[0, n] == Origin.DETECTED).sum() >= 15
    assert s.tracks.box[0, n].tolist() == [150, 195, 290, 545]
    away = np.linalg.norm(s.tracks.xy[0, n] - man, axis=-1)
    assert np.nanmedian(away) < 5
    s.undo()
    assert not len(s.tracks.track_id)


def test_a_box_around_somebody_who_is_shown_leaves_the_pose(fixed):
    s = session(NumberedFrames(3, height=600))
    s.correct(everywhere(standing()))
    s._engine = Engine(points=s._engine.points, reader=Fixed())
    before = s.tracks.copy()
    s.correct(SetBox(frame=0, track=1, box=(10.0, 20.0, 200.0, 500.0)))
    np.testing.assert_array_equal(s.tracks.xy, before.xy)
    assert fixed == []


def test_a_box_alone_makes_a_person_where_nobody_reads(fixed):
    s = session(NumberedFrames(3, height=600))
    s.correct(SetBox(frame=0, track=1, box=(10.0, 20.0, 200.0, 500.0)))
    assert s.tracks.track_id.tolist() == [1]
    assert np.isnan(s.tracks.xy).all()
