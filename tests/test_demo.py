"""The main job on the shipped clip: closer to the labels than what tools do today."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from impose_core.frames import open_frames
from impose_core.io.coco import read_document
from impose_core.poses import Origin
from impose_core.session import Session

DEMO = Path(__file__).parents[1] / "docs" / "demo"


@pytest.fixture(scope="module")
def estimate():
    anchors = read_document(DEMO / "anchors.json")
    with open_frames(DEMO / "clip.mp4") as video:
        session = Session(video, skeleton=anchors.tracks.skeleton)
        session.load(anchors.tracks)
        for _ in session.propagate():
            pass
        return anchors.tracks, session.tracks.copy()


def oks(xy, labels, counts):
    kappa = 2 * np.asarray(labels.tracks.skeleton.sigmas)
    squared = ((xy - labels.tracks.xy) ** 2).sum(-1)
    term = np.exp(-squared / (2 * kappa**2 * labels.area[..., None]))
    return np.where(counts, np.nan_to_num(term), 0).sum() / counts.sum()


def test_it_is_closer_to_the_labels_than_straight_lines(estimate):
    anchors, found = estimate
    labels = read_document(DEMO / "labels.json")
    frames = np.flatnonzero(np.isfinite(anchors.xy).any((1, 2, 3)))
    linear = np.full_like(found.xy, np.nan)
    for a, b in itertools.pairwise(frames):
        share = (np.arange(a, b + 1) - a)[:, None, None, None] / (b - a)
        linear[a : b + 1] = (1 - share) * anchors.xy[a] + share * anchors.xy[b]
    counts = np.isfinite(labels.tracks.xy).all(-1) & np.isfinite(linear).all(-1)
    counts[frames] = False
    ours, straight = oks(found.xy, labels, counts), oks(linear, labels, counts)
    assert counts.sum() > 3000
    assert 1 - ours < 0.75 * (1 - straight)


def test_every_human_point_is_where_it_was(estimate):
    anchors, found = estimate
    human = np.isfinite(anchors.xy).all(-1)
    assert found.xy[human].tobytes() == anchors.xy[human].tobytes()


def test_reported_deviations_tell_good_joints_from_bad_ones(estimate):
    _, found = estimate
    labels = read_document(DEMO / "labels.json").tracks
    error = np.hypot(*np.moveaxis(found.xy - labels.xy, -1, 0))
    there = np.isfinite(error) & (found.deviation > 0)
    error, deviation = error[there], found.deviation[there]
    sure = deviation < np.quantile(deviation, 0.5)
    doubtful = deviation > np.quantile(deviation, 0.9)
    assert error[doubtful].mean() > 3 * error[sure].mean()


def test_the_shipped_clicks_are_few_and_where_the_labels_say():
    clicks = read_document(DEMO / "corrections.json").tracks
    labels = read_document(DEMO / "labels.json").tracks
    placed = np.argwhere(clicks.origin == Origin.HUMAN).tolist()
    assert len(placed) == 12
    for t, n, k in placed:
        assert clicks.xy[t, n, k].tolist() in labels.xy[t, :, k].tolist()
