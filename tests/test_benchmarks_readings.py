"""What is measured with a reader: on a tiny clip, with fakes; and how the page judges figures."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools")
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package

pytest.importorskip("benchmarks")

from benchmarks import one_anchor, readings_page, simulated_page, with_readings
from benchmarks.between_anchors import marks_of_every, propagated, scored
from benchmarks.clips import Clip
from benchmarks.reading_cost import FakeReader
from benchmarks.remembering import Remembering
from impose_core.frames import ArrayFrames
from impose_core.readers import Candidates
from impose_core.skeleton import skeleton_from_names
from impose_core.synthesis import SceneConfig, render


class Shifted(FakeReader):
    """Sees everybody's joints where they are, all a little too far to the right."""

    def __init__(self, clip, by=2.0):
        self.truth, self.by, self.asked = clip.truth.xy, by, 0
        self.frame = {clip.frames.read(t).tobytes(): t for t in range(len(clip.truth))}

    def read(self, images, views):
        """The person in the middle of each view."""
        self.asked += len(views)
        xy = np.full((len(views), 17, 1, 2), np.nan)
        for v, (image, view) in enumerate(zip(images, views, strict=True)):
            there = self.truth[self.frame[image.tobytes()]]
            middle = (np.nanmin(there, axis=1) + np.nanmax(there, axis=1)) / 2
            away = np.linalg.norm(middle - (view[:2] + view[2] / 2), axis=-1)
            xy[v, :, 0] = there[np.nanargmin(away)] + (self.by, 0)
        return Candidates(xy=xy, score=np.where(np.isfinite(xy).all(-1), 0.9, 0.0))


@pytest.fixture(scope="module")
def clip():
    scene = render(SceneConfig(seed=2, frames=36, width=160, height=120, persons=2))
    size = np.maximum(scene.tracks.box[..., 2:] - scene.tracks.box[..., :2], 1)
    return Clip(
        name="tiny",
        frames=ArrayFrames(scene.frames, fps=30.0, name="tiny"),
        truth=scene.tracks,
        area=0.53 * size.prod(-1),
        digest="",
    )


def test_readings_alone_are_scored_as_read_and_without_their_bias(clip):
    tracked = propagated(clip, marks_of_every(clip, 12))
    found = with_readings.run(clip, 12, tracked, Shifted(clip))
    alone, unbiased = (found.scores[m].mean for m in with_readings.METHODS[1:])
    assert unbiased > 0.99 > alone
    assert found.scores["with readings"].mean > scored(clip, 12, tracked).scores["estimate"].mean
    assert found.scores["with readings"].count == found.scores["readings alone"].count


def test_who_is_unknown_to_the_reader_is_estimated_as_without_it(clip):
    flies = skeleton_from_names("fly", [f"leg_{k}" for k in range(17)])
    of_flies = replace(clip, truth=replace(clip.truth, skeleton=flies))
    tracked = propagated(of_flies, marks_of_every(of_flies, 12))
    assert with_readings.run(of_flies, 12, tracked, FakeReader()) is None


def test_from_one_anchor_readings_keep_everybody_in_place(clip, monkeypatch):
    monkeypatch.setattr(one_anchor, "HORIZONS", (5, 10, 20, 60))
    monkeypatch.setattr(one_anchor, "EVERY", 20)
    assert one_anchor.starts(36) == [0, 20]
    rows = one_anchor.run(clip, Remembering(Shifted(clip)))
    assert [row["start"] for row in rows] == [0, 20]
    for method in one_anchor.METHODS:
        assert set(rows[0]["oks"][method]) == {"5", "10", "20"}  # the clip has no frame 60
    last = {method: np.mean(rows[0]["oks"][method]["20"]) for method in one_anchor.METHODS}
    assert last["hold"] < last["causal, readings"]
    assert min(last["causal, readings"], last["session, readings"]) > 0.9


def test_what_was_read_is_not_read_again(clip):
    reader = Shifted(clip)
    remembering = Remembering(reader)
    views = np.array([[0, 0, 100], [0, 0, 100], [10, 0, 100]])
    images = [clip.frames.read(0), clip.frames.read(0), clip.frames.read(1)]
    first = remembering.read(images, views)
    assert reader.asked == 2
    again = remembering.read(images, views)
    assert reader.asked == 2
    np.testing.assert_array_equal(first.xy, again.xy)
    np.testing.assert_array_equal(first.xy, reader.read(images, views).xy)
    assert remembering.read([], views[:0]).xy.shape[0] == 0


def between_row(clip, gap, oks, readings=0.9):
    part = {"within_1": 0.4, "within_2": 0.8}
    methods = dict.fromkeys(with_readings.METHODS, (readings, 0.0))
    read = {"methods": methods, **part} if readings else None
    tracks = {"linear": (0.7, 0.0), "estimate": (oks, 0.0)}
    row = {"clip": clip, "gap": gap, "n": 9, "seeds": [1], "readings": read}
    return {**row, "methods": tracks, **part}


def test_goals_are_judged_by_the_figures():
    real = [
        between_row("p2s_multi_cam01", 15, 0.98, 0.9901),
        between_row("p2s_multi_cam01", 30, 0.97, 0.975),
        between_row("flies24_pair", 15, 0.9, None),
    ]
    scenes = [between_row("easy", 20, 0.9, 0.95), between_row("fast", 20, 0.9, 0.88)]
    text = "\n".join(readings_page.between_section(real, scenes))
    assert "| p2s_multi_cam01 | 15 | 0.990 | 0.990 | reached |" in text
    assert "| p2s_multi_cam01 | 30 | 0.980 | 0.975 | missed by 0.005 |" in text
    assert "does not know flies24_pair" in text
    assert "help on 1 of 2 kinds, and harm fast (-0.020)" in text
    assert readings_page.verdict(0.04, 0.05, most=True) == "reached"
    assert readings_page.verdict(0.06, 0.05, most=True) == "missed by 0.010"


def test_starts_are_pooled_over_persons():
    def row(start, value, horizons=("10", "30", "60", "90")):
        scores = {horizon: [value, value] for horizon in horizons}
        oks = dict.fromkeys(one_anchor.METHODS, scores)
        return {"clip": "p2s_multi_cam01", "start": start, "oks": oks}

    text = readings_page.anchor_section([row(0, 0.95), row(45, 0.75, ("10", "30"))])
    held = next(line for line in text if line.startswith("| p2s_multi_cam01 | all | hold |"))
    assert held.split(" | ")[3:] == ["0.850 (4)", "0.850 (4)", "0.950 (2)", "0.950 (2) |"]
    assert any("| 0.93 | all | 0.950 (n 2) | reached |" in line for line in text)


def test_corrections_alone_are_held_against_those_of_lines():
    def row(engine, clicks):
        counts = dict(zip(("0.75", "0.85", "0.95"), clicks, strict=True))
        row = {"clip": "human_dance17", "engine": engine, "strategy": "worst", "seed": 0}
        row |= {"placed": 10.0, "persons": 1, "joints_per_person": 9.0, "clicks": counts}
        return {**row, "never": dict.fromkeys(counts, 0)}

    rows = [row("linear", (40, 70, 110)), row("impose", (30, 40, 60))]
    rows.append(row("impose+reader", (19, 30, 43)))
    rows.append(row("impose+detect", (4, 14, 55)))
    text = simulated_page.section(rows)
    line = next(one for one in text if one.startswith("| human_dance17 | 10.0"))
    assert line.split(" | ")[2:] == [
        "0.75 / 0.57 / 0.55",
        "0.67 / 0.50 / 0.50",
        "0.47 / 0.43 / 0.39",
        "0.30 / 0.33 / 0.33",
        "0.10 / 0.20 / 0.50",
        "– |",
    ]
    reached = next(one for one in text if one.startswith("| *clips and targets"))
    assert reached.endswith("| 0 of 3 | 0 of 3 | 0 of 3 | 3 of 3 | 2 of 3 | – |")
