"""``impose convert``: there and back with every coordinate, flag and identity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.io import posetrack21
from impose_core.io.coco import read_document, write_document
from impose_core.io.documents import Extra, PoseDocument, VideoInfo
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import COCO17

FRAMES = 4


def made(seed: int = 3) -> PoseDocument:
    """Two persons, 17 joints each; some hidden, some missing, some of them estimates."""
    rng = np.random.default_rng(seed)
    tracks = PoseTracks.empty(frames=FRAMES, track_id=[2, 7], skeleton=COCO17)
    shape = tracks.score.shape
    there = rng.random(shape) < 0.8
    there[:, :, 5:7] = True
    there[1, 1] = False  # who is away for a frame
    tracks.xy[:] = np.where(there[..., None], rng.uniform(3, 190, (*shape, 2)), np.nan)
    hidden = rng.random(shape) < 0.3
    flags = np.where(hidden, Visibility.OCCLUDED, Visibility.VISIBLE)
    tracks.visibility[:] = np.where(there, flags, Visibility.ABSENT)
    tracks.origin[:] = np.where(there, Origin.HUMAN, Origin.NONE)
    tracks.score[:] = np.where(there, 1.0, np.nan)
    tracks.deviation[:] = np.where(there, 0.0, np.nan)
    return PoseDocument(
        tracks=tracks,
        video=VideoInfo(file_name="v", width=200, height=200, frames=FRAMES),
        area=np.full(shape[:2], np.nan),
        extra=Extra(images={t: {"file_name": f"im{t}.jpg"} for t in range(FRAMES)}),
    )


def run(*arguments: object, code: int = 0) -> str:
    found = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    assert found.exit_code == code, found.output
    return found.output


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.json"
    write_document(path, made())
    return path


@pytest.mark.parametrize("between", ["xanylabeling", "yolo"])
def test_there_and_back_keeps_poses_and_ids(source: Path, tmp_path: Path, between: str) -> None:
    run(source, tmp_path / "middle", "--to", between)
    run(tmp_path / "middle", tmp_path / "back.json", "--to", "coco")
    was, now = read_document(source).tracks, read_document(tmp_path / "back.json").tracks
    assert now.track_id.tolist() == [2, 7]
    assert np.array_equal(now.visibility, was.visibility)
    assert np.allclose(now.xy, was.xy, rtol=0, atol=1e-9, equal_nan=True)
    if between == "xanylabeling":
        assert np.array_equal(now.xy, was.xy, equal_nan=True)
        assert np.array_equal(now.origin, was.origin)


def test_estimates_stay_estimates_in_x_anylabeling(tmp_path: Path) -> None:
    document = made()
    document.tracks.origin[2][document.tracks.origin[2] > 0] = Origin.PROPAGATED
    document.tracks.deviation[2] = np.where(document.tracks.origin[2] > 0, 1.5, np.nan)
    document.tracks.score[2] = np.where(document.tracks.origin[2] > 0, 0.75, np.nan)
    write_document(tmp_path / "a.json", document)
    run(tmp_path / "a.json", tmp_path / "x", "--to", "xanylabeling")
    run(tmp_path / "x", tmp_path / "b.json", "--to", "coco")
    was, now = (read_document(tmp_path / f"{name}.json").tracks for name in "ab")
    for name in ("origin", "deviation", "score", "xy"):
        assert np.array_equal(getattr(was, name), getattr(now, name), equal_nan=True), name


def test_posetrack_keeps_the_joints_it_has(source: Path, tmp_path: Path) -> None:
    said = json.loads(run(source, tmp_path / "p.json", "--to", "posetrack21", "--json"))
    assert "PoseTrack does not have" in said["lost"]
    (sequence,) = posetrack21.read_labels(tmp_path / "p.json").sequences
    assert [f.file_name for f in sequence.frames] == [f"im{t}.jpg" for t in range(FRAMES)]
    was = read_document(source).tracks
    nose = sequence.frames[0].instances
    assert nose.track_id.tolist() == [2, 7]
    wrist = posetrack21.POSETRACK17.index("left_wrist")
    known = np.isfinite(was.xy[0, :, 9]).all(-1)
    assert np.array_equal(nose.xy[known, wrist], was.xy[0, known, 9])
    run(tmp_path / "p.json", tmp_path / "back.json", "--to", "coco")
    back = read_document(tmp_path / "back.json").tracks
    assert back.track_id.tolist() == [2, 7]
    assert np.array_equal(back.xy[0, known, wrist], was.xy[0, known, 9])


def test_yolo_lines_are_what_its_readers_expect(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "y", "--to", "yolo")
    about = json.loads((tmp_path / "y" / "data.yaml").read_text())  # JSON is YAML
    assert about["kpt_shape"] == [17, 3]
    assert about["flip_idx"][:5] == [0, 2, 1, 4, 3]
    lines = (tmp_path / "y" / "labels" / "im1.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [5 + 17 * 3]  # person 7 is away
    assert (tmp_path / "y" / "ids" / "im1.txt").read_text() == "2\n"


def test_images_without_labels_stay_so(tmp_path: Path) -> None:
    run_made = made()
    write_document(tmp_path / "a.json", run_made)
    run(tmp_path / "a.json", tmp_path / "x", "--to", "xanylabeling")
    assert len(list((tmp_path / "x").glob("*.json"))) == FRAMES
    for path in (tmp_path / "x").glob("*.json"):
        FrameLabels.from_bytes(path.read_bytes())


@pytest.mark.parametrize("to", ["xanylabeling", "yolo"])
def test_annotations_are_never_written_over(source: Path, tmp_path: Path, to: str) -> None:
    run(source, tmp_path / "out", "--to", to)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    said = run(source, tmp_path / "out", "--to", to, code=2)
    assert "got" in said
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()} == before


def test_bad_requests_are_said(source: Path, tmp_path: Path) -> None:
    assert "--to" in run(source, tmp_path / "o", "--to", "nothing", code=2)
    assert "--from" in run(source, tmp_path / "o", "--to", "coco", "--from", "mot", code=2)
    assert "not to be an input" in run(source, source, "--to", "coco", code=2)
    (tmp_path / "empty").mkdir()
    run(tmp_path / "empty", tmp_path / "o.json", "--to", "coco", code=2)
