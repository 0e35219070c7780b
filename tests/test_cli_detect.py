"""``impose detect`` from outside: what it writes, prints and refuses."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.io.coco import read_document
from impose_core.poses import Origin

CROP = Path(__file__).parent / "data" / "movenet" / "crop.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Somebody who stands still, in images."""
    path = tmp_path_factory.mktemp("images")
    picture = cv2.imread(str(CROP))
    for t in range(7):
        cv2.imwrite(str(path / f"{t:03d}.png"), np.roll(picture, t, axis=1))
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def test_everybody_is_written_with_an_identity(folder, tmp_path):
    out = tmp_path / "d.json"
    sheet, overlay = tmp_path / "d.png", tmp_path / "d.mp4"
    done = run(folder, "--out", out, "--sheet", sheet, "--overlay", overlay, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["frames"] == 7
    assert report["every"] == 3
    assert {"decode", "detect", "follow", "estimate", "write"} <= report["seconds"].keys()
    assert set(report["written"]) == {"out", "sheet", "overlay"}
    assert sheet.is_file()
    assert overlay.is_file()
    tracks = read_document(out).tracks
    assert tracks.track_id.tolist() == [p["track"] for p in report["persons"]]
    assert max(p["frames"] for p in report["persons"]) == 7
    assert (tracks.origin == Origin.DETECTED).any()
    assert not (tracks.origin == Origin.HUMAN).any()


def test_a_short_table_says_who_was_found(folder, tmp_path):
    done = run(folder, "--out", tmp_path / "d.json", "--every", 6)
    assert done.exit_code == 0, done.output
    assert "looked at every 6" in done.stdout
    assert "person   1" in done.stdout
    assert "seconds" in done.stdout


def test_nobody_is_an_answer(tmp_path):
    for t in range(2):
        cv2.imwrite(str(tmp_path / f"{t}.png"), np.zeros((64, 96, 3), np.uint8))
    out = tmp_path.parent / "nobody.json"
    done = run(tmp_path, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["persons"] == []
    assert json.loads(out.read_text())["annotations"] == []


def test_what_cannot_be_is_refused(folder, tmp_path):
    assert run(folder, "--out", tmp_path / "d.json", "--every", 0).exit_code == 2
    assert run(folder, "--out", tmp_path / "no" / "d.json").exit_code == 2
    assert run(tmp_path / "none.mp4", "--out", tmp_path / "d.json").exit_code in (2, 3)
