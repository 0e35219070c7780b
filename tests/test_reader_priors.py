"""Readers that start from priors, in the estimate: what they are told, and what it is worth."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import FieldTracker, NumberedFrames, TruthReader

from impose_core import online
from impose_core.anchors import AnchorGrid
from impose_core.chains import nodes_of, unsolved
from impose_core.config import Config, ReadingConfig
from impose_core.corrections import MoveKeypoints
from impose_core.engine import Engine
from impose_core.estimates import Estimates
from impose_core.marks import Mark, Marks
from impose_core.poses import Origin, Visibility
from impose_core.readers.naming import columns
from impose_core.readers.views import square_views
from impose_core.reading import SpanReader
from impose_core.session import Session
from impose_core.skeleton import COCO17, skeleton_from_names

NAMES = ("left_ankle", "tail", "nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
"""A body with a joint the reader does not know, in another order."""
BODY = skeleton_from_names("body", NAMES)
KNOWN = [COCO17.index(name) for name in NAMES if name != "tail"]
REST = np.array([[90, 180], [120, 150], [100, 60], [115, 90], [85, 90], [110, 130], [90, 130]])
FRAMES = 21


def truth(t):
    return REST + np.array([2.0 * t, 10 * np.sin(t / 4)])


class Told(TruthReader):
    """Reads the truth and its bias, pinned joints where they are; notes what it is told."""

    def __init__(self, *, deviation=0.03, bias=(0.0, 0.0)):
        path = np.full((FRAMES, 17, 2), np.nan)
        for t in range(FRAMES):
            path[t, KNOWN] = np.delete(truth(t), 1, 0)
        super().__init__(path, COCO17, bias)
        self.deviation = deviation
        self.priors = []

    def around(self, priors):
        number = len(self.priors) + np.arange(len(priors.xy))
        self.priors += list(zip(priors.xy, priors.pinned, priors.box_xyxy, strict=True))
        return np.column_stack([square_views(priors.box_xyxy), number])

    def read(self, images, views):
        found = super().read(images, views[:, :3])
        for v, number in enumerate(views[:, 3]):
            xy, pinned, _ = self.priors[number]
            found.xy[v, pinned, 0] = xy[pinned]
        return found


@pytest.fixture
def session():
    """As a function of the reader: the body is known on the first frame, tracks stand still."""
    opened = []

    def of(reader):
        tracker = FieldTracker(lambda t, xy: np.zeros_like(xy))
        one = Session(
            NumberedFrames(FRAMES),
            skeleton=BODY,
            engine=Engine(points=tracker, reader=reader),
        )
        opened.append(one)
        return one

    yield of
    for one in opened:
        one.close()


def place(session, t, names=NAMES, by=0.0):
    xy = {name: tuple(truth(t)[NAMES.index(name)] + by) for name in names}
    session.correct(MoveKeypoints(frame=t, track=1, xy=xy))


def test_priors_are_joints_by_the_readers_names(session):
    reader = Told()
    s = session(reader)
    place(s, 10)
    list(s.propagate())
    for xy, _, box in reader.priors:
        known = np.flatnonzero(np.isfinite(xy).all(-1))
        assert set(known) <= set(KNOWN)
        assert box[0] <= xy[known, 0].min()
        assert box[3] >= xy[known, 1].max()
    found = s.tracks.xy[:, 0]
    want = np.stack([truth(t) for t in range(FRAMES)])
    off = np.abs(found - want)[:, [0, 2, 3, 4, 5, 6]].max((1, 2))
    assert off.max() < 6  # tracks that stand still are 20 and more off, both ways
    assert np.abs(found - want)[[0, 20], 1].max() > 15  # of the tail nothing is read


def test_what_a_human_placed_on_a_frame_is_pinned_and_nothing_else(session):
    reader = Told()
    s = session(reader)
    place(s, 0)
    place(s, 20)
    list(s.propagate())
    place(s, 10, ("nose", "left_hip"))
    reader.priors.clear()
    list(s.propagate())
    human = [COCO17.index("nose"), COCO17.index("left_hip")]
    held = [np.flatnonzero(pinned).tolist() for _, pinned, _ in reader.priors if pinned.any()]
    assert held
    assert all(set(one) <= {*human, *KNOWN} for one in held)
    assert any(set(one) == set(human) for one in held)
    for xy, pinned, _ in reader.priors:
        if set(np.flatnonzero(pinned)) == set(human):
            np.testing.assert_allclose(xy[human[0]], truth(10)[NAMES.index("nose")])


def test_a_bias_is_measured_where_the_reader_may_move_the_point(session):
    """A pinned joint would be read without it. The bias is taken out of what lies between."""
    plain, biased = Told(), Told(bias=(3.0, -2.0))
    found = []
    for reader in (plain, biased):
        s = session(reader)
        place(s, 0)
        place(s, 20)
        list(s.propagate())
        found.append(s.tracks.xy[5:16, 0][:, [0, 2, 3, 4, 5, 6]])
        assert any(not pinned.any() and np.isfinite(xy).any() for xy, pinned, _ in reader.priors)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_at_the_anchors_a_reading_without_its_bias_is_the_human_point():
    """There it witnesses which track arrives; pinned, the bias would be taken from the truth."""
    marks = Marks(len(BODY))
    for t in (0, 10):
        marks.apply({(1, t): (None, human_mark(truth(t)))})
    grid = AnchorGrid.of(marks, track_id=[1], frames=11, width=640, height=360)
    tracked = Estimates.unknown((11, 1, len(BODY)))
    tracked.xy[:, 0], tracked.known[:] = [truth(t) for t in range(11)], True
    spans = unsolved(grid, np.zeros((11, 1, len(BODY)), bool), 0, 11)
    nodes = nodes_of(spans, grid)
    reader = Told(bias=(3.0, -2.0))
    looking = SpanReader(
        reader, columns(BODY, COCO17), image=NumberedFrames(11).read, capacity=100,
        config=ReadingConfig(),
    )  # fmt: skip
    readings = looking.read(spans, nodes, grid, tracked)
    read = nodes.joint != NAMES.index("tail")
    want = np.stack(
        [truth(t)[k] for t, k in zip(nodes.frame[read], nodes.joint[read], strict=True)]
    )
    np.testing.assert_allclose(readings.xy[read, 0], want, atol=1e-3)
    assert (~nodes.inner[read]).sum() == 12


def human_mark(xy):
    return Mark(
        xy=xy,
        visibility=np.full(len(xy), Visibility.VISIBLE, np.uint8),
        origin=np.full(len(xy), Origin.HUMAN, np.uint8),
        box=np.full(4, np.nan),
    )


def test_a_readers_own_deviation_says_what_it_is_worth(session):
    far = []
    for reader in (Told(deviation=0.01), Told(deviation=1.0)):
        s = session(reader)
        place(s, 0)
        list(s.propagate())
        far.append(np.abs(s.tracks.xy[20, 0, 2] - truth(20)[2]).max())
    assert far[0] < 3
    assert far[1] > 2 * far[0] + 3


def test_a_deviation_is_the_readers_and_else_the_configured_one():
    config = Config()
    assert Engine(reader=Told(deviation=0.2)).own(config).estimate.readings.deviation == 0.2
    plain = TruthReader(np.zeros((1, 17, 2)), COCO17)
    assert Engine(reader=plain).own(config) is config
    assert Engine().own(config) is config


def test_one_image_at_a_time_priors_are_told_too():
    reader = Told()
    tracker = FieldTracker(lambda t, xy: np.zeros_like(xy))
    engine = Engine(points=tracker, reader=reader)
    frames = NumberedFrames(FRAMES)
    state = online.start(
        frames.read(0), track=1, xy=truth(0), visible=np.ones(7, bool), keypoints=NAMES,
        engine=engine,
    )  # fmt: skip
    xy, pinned, _ = reader.priors[0]
    np.testing.assert_allclose(xy[COCO17.index("nose")], truth(0)[2])
    assert not pinned.any()
    assert np.isnan(xy[COCO17.index("left_eye")]).all()
    assert state["track"] == 1
