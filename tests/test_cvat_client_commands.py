"""``impose cvat``: detect, repair, watch, a deployed function, and the parts by themselves."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cvat_sdk", reason="needs impose[cvat]")

from cvat_calls import SceneReader, image
from cvat_server import (
    LINE,
    TOKEN,
    FakeCvat,
    drag,
    drawn,
    keyframes,
    serving,
    shown,
    sliding_board,
)

from cvat_function.client import flows
from cvat_function.client.chunks import ChunkFrames
from cvat_function.client.connection import open_server
from cvat_function.client.errors import CvatError
from cvat_function.client.estimators import FunctionEstimator, LocalEstimator
from cvat_function.client.job import read_job
from cvat_function.client.keyframes import needed
from cvat_function.client.labels import client_label, read_label
from cvat_function.client.record import codes_of, joint_code, line
from cvat_function.client.watching import watch
from cvat_function.client.work import Options, Place
from cvat_function.tracking import Tracker
from impose_core.engine import Engine
from impose_core.frames import open_frames
from impose_core.poses import Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.skeleton import COCO17
from impose_core.synthesis import SceneConfig, render

DEMO = Path(__file__).parents[1] / "docs" / "demo" / "clip.mp4"
SCENE = SceneConfig(seed=4, frames=24, persons=2)


@pytest.fixture
def at(tmp_path):
    """Where a command works on a fake server: ``at(cvat)`` gives place, pictures and options."""
    opened = []

    def start(cvat: FakeCvat, **options):
        serve = serving(cvat)
        server = open_server(
            host=serve.__enter__(), profile=None, environment={"CVAT_ACCESS_TOKEN": TOKEN}
        )
        job = read_job(server, 7)
        place = Place(server=server, job=job, label=read_label(server, job, name=None))
        frames = ChunkFrames(server, job)
        opened.append((serve, server, frames))
        return place, frames, Options(tolerance=0.5, backups=tmp_path, **options)

    yield start
    for serve, server, frames in opened:
        frames.close()
        server.__exit__(None, None, None)
        serve.__exit__(None, None, None)


@pytest.fixture
def clip():
    return sliding_board()


def nothing(done: int) -> None:
    pass


@pytest.fixture(scope="module")
def scene():
    return render(SCENE)


def test_detect_gives_everybody_one_track_and_again_the_same(scene, at):
    cvat = FakeCvat(list(scene.frames), client_label(COCO17))
    place, frames, options = at(cvat)
    reader = SceneReader(scene)
    local = LocalEstimator(frames, place.label, Engine(reader=reader))
    first = flows.detect(place, options, local, nothing)
    assert len(cvat.tracks()) == len(first.persons) == 2
    assert first.persons == ["1", "2"]
    again = LocalEstimator(frames, place.label, Engine(reader=reader))
    second = flows.detect(place, options, again, nothing)
    assert len(cvat.tracks()) == 2
    assert second.persons == first.persons
    assert second.count.human == 0


def test_seeds_of_detect_are_what_propagate_leans_on_later(scene, at):
    cvat = FakeCvat(list(scene.frames), client_label(COCO17))
    place, frames, options = at(cvat)
    local = LocalEstimator(frames, place.label, Engine(reader=SceneReader(scene)))
    flows.detect(place, options, local, nothing)
    track = cvat.tracks()[0]
    moved = drag(cvat, track, frame=11, joint="left_wrist", by=(4.0, 4.0))
    cvat.save([track])
    bare = LocalEstimator(frames, place.label, Engine())
    outcome = flows.propagate(place, options, bare, nothing)
    assert len(cvat.tracks()) == 2
    assert outcome.count.human == 17
    (after,) = [t for t in cvat.tracks() if moved["key"] in keyframes(t) and
                keyframes(t)[moved["key"]] == moved["shape"]]  # fmt: skip
    error = np.linalg.norm(shown(cvat, after, range(24)) - shown(cvat, track, range(24)), axis=-1)
    assert np.nanmean(error) < 3


def test_repair_changes_the_touched_body_on_its_frame_alone(at):
    """The man of the demo clip with his arms on the wrong sides, and one wrist put right."""
    with open_frames(DEMO) as video:
        images = [video.read(t) for t in range(13)]
    reader = MoveNet()
    view = reader.views(np.array([(150, 195, 290, 545)], np.float64))
    man = reader.read([images[6]], view).xy[0, :, 0]
    arms = [COCO17.index(f"{s}_{j}") for s in ("left", "right") for j in ("elbow", "wrist")]
    wrong = man.copy()
    wrong[arms] = man[COCO17.flip_index()][arms]
    cvat = FakeCvat(images, client_label(COCO17))
    cvat.save([cvat.skeleton(dict.fromkeys((0, 12), wrong), identity="ann"),
               cvat.skeleton(dict.fromkeys((0, 12), man + 100), identity="bob")])  # fmt: skip
    place, frames, options = at(cvat, pin="moved")
    flows.propagate(place, options, LocalEstimator(frames, place.label, Engine()), nothing)
    ann = named(cvat, "ann")
    bob = keyframes(named(cvat, "bob"))
    was = shown(cvat, ann, range(13))
    wrist = COCO17.index("left_wrist")
    moved = drag(cvat, ann, frame=6, joint="left_wrist", by=man[wrist] - was[6, wrist])
    cvat.save([ann])
    local = LocalEstimator(frames, place.label, Engine(reader=reader))
    assert flows.repair(place, options, local).written
    after = named(cvat, "ann")
    assert keyframes(after)[moved["key"]] == moved["shape"]
    now = shown(cvat, after, range(13))
    before, error = (np.linalg.norm(xy[6] - man, axis=-1)[arms].mean() for xy in (was, now))
    assert before > 50
    assert error < before / 3
    others = [t for t in range(13) if t != 6]
    away = np.abs(np.delete(now, wrist, 1)[others] - np.delete(was, wrist, 1)[others])
    assert away.max() <= 0.51
    assert keyframes(named(cvat, "bob")) == bob
    assert not flows.repair(place, options, local).written  # it is done


def named(cvat: FakeCvat, identity: str) -> dict:
    """The track of somebody."""
    (track,) = [t for t in cvat.tracks() if t["attributes"][0]["value"] == identity]
    return track


def test_watch_carries_on_what_is_saved_and_is_quiet_otherwise(clip, at):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    place, frames, options = at(cvat)
    local = LocalEstimator(frames, place.label, Engine())
    looks, moved = [], {}

    def annotator(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            (track,) = cvat.tracks()
            moved.update(drag(cvat, track, frame=14, joint="tail", by=(5.0, -3.0)))
            cvat.save([track])
        if len(looks) == 5:
            cvat.refuse["/api/jobs/7"] = 503
        if len(looks) == 6:
            raise KeyboardInterrupt

    events = watch(place, options, local, every=3.0, sleep=annotator)
    lines = []
    with pytest.raises(KeyboardInterrupt):
        lines.extend(events)
    assert [line.split(":")[0] for line in lines[:2]] == [
        "6 new keyframes of humans",
        "3 new keyframes of humans",
    ]
    assert lines[2].endswith("Trying again.")
    assert len(lines) == 3
    (after,) = cvat.tracks()
    assert keyframes(after)[moved["key"]] == moved["shape"]


def test_watch_beside_an_annotator_who_never_reloads(clip, at):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29), identity="ann")])
    place, frames, options = at(cvat)
    local = LocalEstimator(frames, place.label, Engine())
    browser = cvat.tracks()
    moved = []

    def annotator(seconds: float) -> None:
        if len(moved) == 3:
            raise KeyboardInterrupt
        if not moved:
            browser[:] = cvat.tracks()
        frame = (8, 14, 22)[len(moved)]
        moved.append(drag(cvat, browser[0], frame=frame, joint="tail", by=(3.0, 2.0)))
        cvat.save(browser)

    with pytest.raises(KeyboardInterrupt):
        list(watch(place, options, local, every=3.0, sleep=annotator))
    (after,) = cvat.tracks()
    for one in moved:
        assert keyframes(after)[one["key"]] == one["shape"]


def test_a_deployed_function_does_the_same_work_forward(clip, at):
    images, points = clip
    tracker = Tracker(engine=Engine(), skeleton=LINE)
    calls = []

    def deployed(body):
        calls.append(body)
        shapes = body.get("shapes") or [None] * len(body["states"])
        return tracker.answer(
            {"image": image(images[body["frame"]]), "shapes": shapes,
             "states": body.get("states", [])}
        )  # fmt: skip

    cvat = FakeCvat(images, client_label(LINE), function=deployed)
    cvat.save([drawn(cvat, points, (0, 20)), drawn(cvat, points, (5,), person=1)])
    human = [keyframes(track) for track in cvat.tracks()]
    place, _, options = at(cvat)
    function = FunctionEstimator(place.server, place.job, place.label, "impose-tracker")
    flows.propagate(place, options, function, nothing)
    assert max(len(body.get("states", ())) for body in calls) == 2  # both in one call
    for n, track in enumerate(cvat.tracks()):
        held = keyframes(track)
        assert {key: held[key] for key in human[n]} == human[n]
        error = np.linalg.norm(shown(cvat, track, range(30)) - points[:, n], axis=-1)
        assert np.nanmax(error) < 3
    assert np.isnan(shown(cvat, cvat.tracks()[1], [4])).all()


def test_a_function_that_answers_something_else_is_named(clip, at):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE), function=lambda body: {"shapes": [None]})
    cvat.save([drawn(cvat, points, (0,))])
    place, _, options = at(cvat)
    function = FunctionEstimator(place.server, place.job, place.label, "other")
    with pytest.raises(CvatError, match="Expected 1 shapes from function other on frame 0"):
        flows.propagate(place, options, function, nothing)


@given(st.data())
def test_chosen_keyframes_stay_within_the_tolerance(data):
    count = data.draw(st.integers(1, 60))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    frames = np.cumsum(random.integers(1, 4, count))
    wanted = np.cumsum(random.normal(0, data.draw(st.floats(0, 5)), (count, 2)), axis=0)
    state = random.choice([0, 1, 2], count, p=[0.1, 0.2, 0.7]).astype(np.uint8)
    forced = random.random(count) < 0.1
    tolerance = data.draw(st.floats(0, 3))
    keys = needed(frames, wanted, wanted, state, forced, tolerance=tolerance)
    at = np.flatnonzero(keys)
    assert keys[forced].all()
    assert keys[0]
    for a, b in pairwise([*at.tolist(), count]):
        assert (state[a:b] == state[a]).all()  # CVAT keeps the state of the keyframe before
    there = state != Visibility.ABSENT
    line = np.stack([np.interp(frames, frames[at], wanted[at, axis]) for axis in (0, 1)], -1)
    error = np.linalg.norm(line - wanted, axis=-1)
    assert (error[there] <= tolerance + 1e-9).all()


def test_a_straight_way_needs_two_keyframes():
    frames = np.arange(100)
    straight = np.stack([frames * 1.5, 40 - frames * 0.25], -1)
    keys = needed(
        frames, straight, straight, np.full(100, 2, np.uint8), np.zeros(100, bool), tolerance=0.5
    )
    assert np.flatnonzero(keys).tolist() == [0, 99]


coordinates = st.floats(-1e4, 1e4).map(lambda v: round(v, 2))


@given(
    kind=st.sampled_from("esh"),
    frame=st.integers(0, 10**6),
    xy=st.tuples(coordinates, coordinates),
    noise=st.tuples(st.floats(-1e-6, 1e-6), st.floats(-1e-6, 1e-6)),
    outside=st.booleans(),
)
def test_a_line_knows_its_keyframes(kind, frame, xy, noise, outside):
    def code(place=xy, joint=5, **changes):
        flags = {"outside": outside, "occluded": False, **changes}
        return joint_code(kind, frame, joint, place, **flags)

    text = line(frame, "auto", [code(), None])
    assert codes_of(text, frame, "auto", 2) == (code(), None)
    assert code((xy[0] + noise[0], xy[1] + noise[1])) == code()  # a browser's rounding
    assert code((xy[0] + 0.01, xy[1])) != code()
    assert code(joint=6) != code()
    assert code(outside=not outside) != code()
    for other in (
        codes_of(text, frame + 1, "auto", 2),
        codes_of(text, frame, "manual", 2),
        codes_of(text, frame, "auto", 3),
        codes_of(text + "x", frame, "auto", 2),
        codes_of("", frame, "auto", 2),
    ):
        assert other is None


@pytest.mark.skipif(
    not {"IMPOSE_CVAT_TEST_SERVER", "IMPOSE_CVAT_TEST_JOB", "CVAT_ACCESS_TOKEN"} <= set(os.environ),
    reason="needs a CVAT server: IMPOSE_CVAT_TEST_SERVER, IMPOSE_CVAT_TEST_JOB (a job with a "
    "skeleton track nobody minds losing), CVAT_ACCESS_TOKEN",
)
def test_the_round_trip_on_a_real_server(tmp_path):
    number = int(os.environ["IMPOSE_CVAT_TEST_JOB"])
    with open_server(
        host=os.environ["IMPOSE_CVAT_TEST_SERVER"], profile=None, environment=os.environ
    ) as server:
        job = read_job(server, number)
        place = Place(server=server, job=job, label=read_label(server, job, name=None))
        before = server.annotations(number)
        human = [keyframes(track) for track in before["tracks"]]
        try:
            with ChunkFrames(server, job) as frames:
                local = LocalEstimator(frames, place.label, Engine())
                options = Options(tolerance=0.5, backups=tmp_path)
                assert flows.propagate(place, options, local, nothing).written
                held = [keyframes(track) for track in server.annotations(number)["tracks"]]
                for old in human:
                    assert any({key: new.get(key) for key in old} == old for new in held)
                assert not flows.propagate(place, options, local, nothing).written
        finally:
            server.put_annotations(number, before)
