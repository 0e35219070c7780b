"""CoTracker from the command line: asked for by name, with its licence, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from media import write_video
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'impose[torch]'")

from point_tracker_contract import COUNT, HEIGHT, MOVE, WIDTH, moving_texture  # noqa: E402
from safetensors.torch import load_file, safe_open  # noqa: E402
from test_cotracker import Package  # noqa: E402

from impose_core.cli.app import app  # noqa: E402
from impose_core.points import cotracker  # noqa: E402

START = np.array([[100.5, 100.5], [140.5, 150.5]])


def impose(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def clip(tmp_path):
    """A video of the moving texture and one person marked on its first frame."""
    path, anchors = tmp_path / "clip.mp4", tmp_path / "anchors.json"
    write_video(path, np.stack(moving_texture()))
    names = {"id": 1, "file_name": "clip.mp4", "width": WIDTH, "height": HEIGHT, "n_frames": COUNT}
    points = [v for x, y in START for v in (x, y, 2)]
    body = {"id": 1, "image_id": 1, "category_id": 1, "track_id": 1, "keypoints": points}
    document = {
        "videos": [names],
        "categories": [{"id": 1, "name": "stick", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}],
        "images": [{"id": t + 1, "video_id": 1, "frame_id": t} for t in range(COUNT)],
        "annotations": [{**body, "origin": ["human", "human"], "num_keypoints": 2}],
    }
    anchors.write_text(json.dumps(document))
    return path, anchors


@pytest.fixture
def converted(tmp_path):
    checkpoint = tmp_path / "scaled_online.pth"
    torch.save({"model": {"anything": torch.zeros(1)}}, checkpoint)
    code, said = impose(
        "models", "convert", checkpoint, "--as", "cotracker3-online", "--accept-licence"
    )
    assert code == 0, said
    return checkpoint.with_suffix(".safetensors")


def propagate(clip, tmp_path, *more):
    video, anchors = clip
    out = tmp_path / "out.json"
    common = ("--anchors", anchors, "--out", out, "--reader", "none")
    return *impose("propagate", video, *common, *more), out


def test_a_published_checkpoint_keeps_its_names_and_says_its_licence(converted):
    assert load_file(converted).keys() == {"anything"}
    with safe_open(converted, framework="pt") as file:
        said = file.metadata()
    assert said["kind"] == "cotracker3-online"
    assert said["licence"] == "CC-BY-NC-4.0"
    assert said["source"] == "scaled_online.pth"


def test_it_carries_marks_through_a_video(clip, converted, tmp_path, monkeypatch):
    monkeypatch.setattr(cotracker, "_model_class", lambda mode: Package)
    options = ("--tracker", "cotracker", "--tracker-weights", converted, "--accept-licence")
    code, report, out = propagate(clip, tmp_path, *options)
    assert code == 0, report
    assert report["tracker"] == "cotracker3_online"
    last = [a for a in json.loads(out.read_text())["annotations"] if a["image_id"] == COUNT]
    places = np.reshape(last[0]["keypoints"], (2, 3))[:, :2]
    assert np.abs(places - START - (COUNT - 1) * MOVE).max() < 1


def test_without_acceptance_it_does_not_start(clip, converted, tmp_path):
    code, said, out = propagate(clip, tmp_path, "--tracker", "cotracker")
    assert code == 4
    assert said["error"]["code"] == "licence_not_accepted"
    assert "--accept-licence" in said["error"]["hint"]
    assert not out.exists()


def test_without_weights_it_says_how_to_get_them(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(cotracker, "_model_class", lambda mode: Package)
    code, said, _ = propagate(clip, tmp_path, "--tracker", "cotracker", "--accept-licence")
    assert code != 0
    assert "models convert scaled_online.pth" in said["error"]["hint"]


def test_a_tracker_nobody_knows_is_refused(clip, tmp_path):
    _, said, _ = propagate(clip, tmp_path, "--tracker", "luck")
    assert "lucas-kanade, cotracker, cotracker-offline, got 'luck'" in said["error"]["message"]
