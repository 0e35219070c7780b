"""The ablation on a tiny clip: its start, its rows, and how an engine joins."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools")
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package

pytest.importorskip("benchmarks")

from benchmarks import ablation_engines as engines
from benchmarks import ablation_page, simulated_page
from benchmarks.ablation import Question, measure, points_of_every, started
from benchmarks.clips import Clip, rendered_clip
from benchmarks.simulated import Job, jobs, tracklets
from impose_core.frames import ArrayFrames
from impose_core.synthesis import SceneConfig, render

TINY = Question(gap=19, window=4, most_clicks=2, targets=(0.75, 0.95))


@pytest.fixture(scope="module")
def clip():
    scene = render(SceneConfig(seed=2, frames=24, width=160, height=120, persons=2, motion="fast"))
    size = np.maximum(scene.tracks.box[..., 2:] - scene.tracks.box[..., :2], 1)
    return Clip(
        name="tiny",
        frames=ArrayFrames(scene.frames, fps=30.0, name="tiny"),
        truth=scene.tracks,
        area=0.53 * size.prod(-1),
        digest="",
    )


def row(label):
    return next(one for one in engines.REGISTRY if one.label == label)


def test_all_rows_begin_with_the_same_predictions(clip):
    found = [measure(clip, row(name), TINY)["Ck_video"]["0"] for name in ("hold", "linear")]
    assert found[0] == found[1]
    assert found[0]["clicks"] == 0
    points = points_of_every(clip, 19)
    assert np.isfinite(points).all((-1, -2)).any(-1).nonzero()[0].tolist() == [0, 19]
    for n, one in enumerate(started(clip, points)):
        np.testing.assert_allclose(one.predicted[19], points[19, n])
        assert np.isfinite(one.predicted).all()


@pytest.mark.parametrize("one", engines.REGISTRY, ids=lambda one: one.label)
def test_every_engine_gives_every_figure(clip, one):
    found = measure(clip, one, TINY)
    start, clicked = found["Ck_video"]["0"], found["Ck_video"]["2"]
    assert clicked["accuracy"] >= start["accuracy"]
    assert clicked["clicks"] > 0
    assert 0 <= clicked["AP"] <= 1
    assert 0 <= clicked["HOTA"] <= 1
    assert 0 <= found["VNoC"]["0.75"]["clicks"] <= found["VNoC"]["0.95"]["clicks"]
    assert found["VNoC"]["0.95"]["clicks"] > 0
    assert found["VNoC"]["0.95"]["capped"] == 0


def test_propagation_needs_fewer_clicks_than_none(clip):
    alone, lines = (
        measure(clip, row(name), TINY)["VNoC"]["0.95"]["clicks"]
        for name in ("no propagation", "linear")
    )
    assert lines < alone


def test_a_click_stays_and_changes_only_its_joint_between_its_neighbours(clip):
    start = engines.Start(clip=clip, points=points_of_every(clip, 19))
    propagate = row("linear").begin(start)
    before = started(clip, start.points)[1].predicted
    track = int(clip.truth.track_id[1])
    clicks = engines.FrameClicks(
        video="tiny",
        track_id=track,
        frame=4,
        joints=np.array([3]),
        xy=np.array([[7.0, 5]]),
        stop=24,
    )
    after = propagate(before.copy(), clicks)
    assert after[4, 3].tolist() == [7, 5]
    changed = (after != before).any(-1)
    assert np.flatnonzero(changed.any(0)).tolist() == [3]
    assert set(np.flatnonzero(changed.any(1))) <= set(range(1, 19))


def test_an_engine_with_switches_joins_by_registration_alone(clip, monkeypatch):
    monkeypatch.setattr(engines, "REGISTRY", [])

    def network(start, *, ktcp, kp_ae):
        return engines.stay

    for flags in ({"ktcp": False, "kp_ae": True}, {"ktcp": True, "kp_ae": True}):
        engines.register("network", partial(network, **flags), **flags)
    assert [one.label for one in engines.REGISTRY] == [
        "network, no ktcp, kp_ae",
        "network, ktcp, kp_ae",
    ]
    with pytest.raises(ValueError, match="to differ, got 'network, ktcp, kp_ae' twice"):
        engines.register("network", engines.stay, ktcp=True, kp_ae=True)
    found = measure(clip, engines.REGISTRY[0], TINY)
    assert found["flags"] == {"ktcp": False, "kp_ae": True}


def test_the_page_has_a_line_for_every_engine(clip):
    asked = Question(gap=19, window=4)
    rows = [measure(clip, row(name), asked) for name in ("no propagation", "linear")]
    text = ablation_page.section({"rows": rows, "start_gap": 19, "window": 4, "clips": ["tiny"]})
    assert sum(line.startswith("| linear |") for line in text) == 2  # the mean, and the clip
    cells = next(line for line in text if line.startswith("| linear |")).split(" | ")
    assert len(cells) == 1 + 4 + 3


def test_jobs_of_chance_are_run_once_a_seed():
    of_clip = jobs(["easy (seed 1)"])
    assert [one.seed for one in of_clip if one.strategy == "random"] == [1, 2, 3]
    assert Job(clip="easy (seed 1)", engine="impose", strategy="worst") in of_clip
    assert all(len(one.on) == 60 for one in tracklets(rendered_clip("easy", 1)))


def simulated_row(engine, strategy, clicks, *, seed=0, never=0):
    counts = dict(zip(("0.75", "0.85", "0.95"), clicks, strict=True))
    row = {"clip": "easy (seed 1)", "engine": engine, "strategy": strategy, "seed": seed}
    row |= {"persons": 3, "joints_per_person": 1020.0, "clicks": counts}
    return {**row, "never": {**dict.fromkeys(counts, 0), "0.95": never}}


def test_the_clicks_of_an_annotator_are_held_against_the_goals():
    rows = [
        simulated_row("linear", "worst", (30, 60, 90), never=1),
        simulated_row("impose", "worst", (10, 30, 45)),
        simulated_row("impose", "review", (12, 45, 45)),
        simulated_row("impose", "random", (20, 40, 80), seed=1),
        simulated_row("impose", "random", (28, 50, 100), seed=2),
    ]
    text = simulated_page.section(rows)
    clicks, goals = (line for line in text if line.startswith("| easy"))
    cells = [cell.strip() for cell in clicks.split("|")[4:-1]]
    assert cells[0] == "30 / 60 / 90\\*"  # somebody never reached the last target
    assert cells[1] == "–"  # nobody ran 'hold'
    assert cells[6] == "24 / 45 / 90"  # the mean of two seeds
    assert goals.split(" | ")[1:] == [
        "0.33 / 0.50 / 0.50",
        "1.20 / 1.50 / 1.00",
        "0.50 / 1.00 / 0.50 |",
    ]
    reached = next(line for line in text if line.startswith("| *clips"))
    assert "| 1 of 1 / 0 of 1 / 0 of 1 | 1 of 1 / 0 of 1 / 1 of 1 | 1 of 1 / 0 of 1" in reached
    assert simulated_page.section([]) == []
