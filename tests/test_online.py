"""One image at a time, the state in the client's hands."""

from __future__ import annotations

import base64
import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core import online
from impose_core.engine import Engine
from impose_core.errors import StateError, UsageError
from impose_core.frames import ArrayFrames
from impose_core.poses import Visibility
from impose_core.readers import Candidates
from impose_core.readers.views import square_views
from impose_core.session import Session
from impose_core.skeleton import COCO17
from impose_core.synthesis import SceneConfig, render


@pytest.fixture(scope="module")
def scene():
    return render(SceneConfig(seed=4, frames=20, persons=2, noise=0.5))


@pytest.fixture(scope="module")
def states(scene):
    visible = scene.tracks.visibility[0] == Visibility.VISIBLE
    return [
        online.start(
            scene.frames[0],
            track=10 + n,
            xy=scene.tracks.xy[0, n],
            visible=visible[n],
            keypoints=COCO17.keypoints,
        )
        for n in range(2)
    ]


def test_it_follows_people_from_image_to_image(scene, states):
    now = states
    for t in range(1, 12):
        poses, now = online.step(scene.frames[t], now)
    seen = scene.tracks.visibility[:12].min(0) == Visibility.VISIBLE
    error = np.hypot(*np.moveaxis(poses.xy - scene.tracks.xy[11], -1, 0))
    still = np.hypot(*np.moveaxis(scene.tracks.xy[0] - scene.tracks.xy[11], -1, 0))
    assert poses.track_id.tolist() == [10, 11]
    assert seen.sum() >= 10
    assert np.median(error[seen]) < 2.5
    assert np.median(error[seen]) < np.median(still[seen]) / 4


def test_any_worker_can_continue(scene, states):
    """Through JSON and a fresh engine after every image: the same bytes."""
    here, there = states, states
    for t in range(1, 6):
        one, here = online.step(scene.frames[t], here)
        two, there = online.step(scene.frames[t], json.loads(json.dumps(there)))
    assert one.xy.tobytes() == two.xy.tobytes()
    assert here == there


def test_persons_do_not_hear_of_each_other(scene, states):
    both, _ = online.step(scene.frames[1], states)
    alone, _ = online.step(scene.frames[1], states[1:])
    np.testing.assert_array_equal(both.xy[1], alone.xy[0])


def test_deviation_grows(scene, states):
    first, now = online.step(scene.frames[1], states)
    second, _ = online.step(scene.frames[2], now)
    assert (second.deviation > first.deviation)[np.isfinite(second.deviation)].all()


def test_a_state_stays_small_and_is_plain_json(scene, states):
    _, now = online.step(scene.frames[1], states)
    size = max(len(json.dumps(s)) for s in now)
    assert size < 64 * 1024


def test_someone_without_joints_is_refused(scene):
    nobody = np.full((17, 2), np.nan)
    with pytest.raises(UsageError, match="track 3 to hold at least one joint"):
        online.start(
            scene.frames[0],
            track=3,
            xy=nobody,
            visible=np.zeros(17, bool),
            keypoints=COCO17.keypoints,
        )


def test_no_one_at_all_is_fine(scene):
    poses, now = online.step(scene.frames[0], [])
    assert poses.xy.shape == (0, 0, 2)
    assert now == []


def test_joints_that_leave_the_image_are_absent_and_stay_so(scene, states):
    state = copy.deepcopy(states[0])
    state["xy"] = [[639.9, 359.9]] * 17
    moved = np.roll(scene.frames[0], (9, 9), axis=(0, 1))
    poses, now = online.step(moved, [state])
    poses, _ = online.step(moved, now)
    assert set(np.unique(poses.visibility)) <= {0, 1, 2}
    assert (np.isnan(poses.xy[..., 0]) == (poses.visibility == Visibility.ABSENT)).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "other"),
        ("version", 1),
        ("width", 641),
        ("track", "7"),
        ("track", True),
        ("size", -3),
        ("size", float("nan")),
        ("xy", []),
        ("xy", [[0, 0]]),
        ("xy", [[float("inf"), 0]] * 17),
        ("xy", [5] * 17),
        ("xy", None),
        ("variance", [-1.0] * 17),
        ("visible", [True]),
        ("crop_xyxy", [0, 0, 9999, 10]),
        ("crop_xyxy", [10, 10, 5, 20]),
        ("picture", "not base64!"),
        ("picture", base64.b64encode(b"not a picture").decode()),
        ("picture", ""),
        ("picture", "\x80"),
        ("picture", "A" * 200_000),
        ("picture", 5),
    ],
)
def test_an_edited_state_is_refused_by_name(scene, states, field, value):
    state = {**copy.deepcopy(states[0]), field: value}
    with pytest.raises(StateError, match=field.split("_", maxsplit=1)[0]):
        online.step(scene.frames[1], [state])


@settings(max_examples=60, deadline=None)
@given(
    field=st.sampled_from(["xy", "variance", "visible", "crop_xyxy", "picture", "size", "track"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=18) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=20,
    ),
)
def test_whatever_the_client_sends_back_it_is_an_answer_or_a_state_error(
    scene, states, field, value
):
    state = {**copy.deepcopy(states[0]), field: value}
    try:
        poses, _ = online.step(scene.frames[1], [state])
    except StateError:
        return
    assert poses.xy.shape == (1, 17, 2)


def test_a_session_hands_its_people_over(scene):
    with Session(ArrayFrames(scene.frames), skeleton=COCO17) as session:
        session.load(scene.tracks.frames(0, 20))
        states = session.states(0)
        poses, _ = session.step(scene.frames[1], states)
    assert poses.track_id.tolist() == scene.tracks.track_id.tolist()
    assert np.isfinite(poses.xy).any()


class Biased:
    """Sees everybody where the scene has them, shifted; knows the frame by its number."""

    name, skeleton = "biased", COCO17

    def __init__(self, scene, frame=0):
        self.scene, self.frame = scene, frame

    def views(self, extents):
        return square_views(extents)

    def read(self, images, views):
        middle = views[:, :2] + views[:, 2:] / 2
        bodies = self.scene.tracks.xy[self.frame]
        nearest = [np.abs(bodies.mean(1) - m).sum(-1).argmin() for m in middle]
        xy = bodies[nearest][:, :, None] + [3.0, -2.0]
        return Candidates(xy=xy, score=np.full(xy.shape[:3], 0.9))

    def detect(self, image):
        raise NotImplementedError


def test_a_reader_puts_every_step_right_without_its_bias(scene, states):
    def last_error(engine, reader):
        visible = scene.tracks.visibility[0] == Visibility.VISIBLE
        now = [
            online.start(
                scene.frames[0],
                track=n,
                xy=scene.tracks.xy[0, n],
                visible=visible[n],
                keypoints=COCO17.keypoints,
                engine=engine,
            )
            for n in range(2)
        ]
        for t in range(1, 20):
            if reader:
                reader.frame = t
            # by JSON, as a host carries it
            poses, now = online.step(scene.frames[t], json.loads(json.dumps(now)), engine=engine)
        return np.hypot(*np.moveaxis(poses.xy - scene.tracks.xy[19], -1, 0))

    reader = Biased(scene)
    alone, read = last_error(Engine(), None), last_error(Engine(reader=reader), reader)
    assert np.nanmax(read) < 6
    assert np.nanmean(read) < np.nanmean(alone) / 3


def test_a_body_the_reader_does_not_know_is_followed_as_without_it(scene):
    names = [f"leg{k}" for k in range(17)]
    reader = Biased(scene)
    answers = []
    for engine in (Engine(), Engine(reader=reader)):
        now = [
            online.start(
                scene.frames[0],
                track=1,
                xy=scene.tracks.xy[0, 0],
                visible=np.ones(17, bool),
                keypoints=names,
                engine=engine,
            )
        ]
        poses, _ = online.step(scene.frames[1], now, engine=engine)
        answers.append(poses)
    np.testing.assert_array_equal(answers[0].xy, answers[1].xy)
    np.testing.assert_array_equal(answers[0].deviation, answers[1].deviation)


def test_names_must_fit_the_joints(scene):
    with pytest.raises(UsageError, match="Expected 17 'keypoints', got 2"):
        online.start(
            scene.frames[0],
            track=1,
            xy=scene.tracks.xy[0, 0],
            visible=np.ones(17, bool),
            keypoints=["a", "b"],
        )
