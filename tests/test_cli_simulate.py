"""``impose simulate``: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import write_video
from test_baselines import CONFIG
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.skeleton import COCO17
from impose_core.synthesis import render

ROOT = Path(__file__).parents[1]
FRAMES, LABELLED = CONFIG.frames, CONFIG.frames - 4
LOSSLESS = {"crf": "0", "preset": "ultrafast"}


def document(tracks, *, videos=1):
    """COCO labels of ``tracks`` on the frames it has, alike in each of ``videos``."""
    images, annotations = [], []
    for video in range(1, videos + 1):
        for t in range(len(tracks)):
            image = {"id": len(images) + 1, "video_id": video, "frame_id": t}
            size = {"width": CONFIG.width, "height": CONFIG.height}
            images.append({**image, **size, "file_name": f"{video}/{t}.png"})
            for n, track in enumerate(tracks.track_id.tolist()):
                x1, y1, x2, y2 = tracks.box[t, n].tolist()
                triples = np.column_stack([np.nan_to_num(tracks.xy[t, n]), tracks.visibility[t, n]])
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image["id"],
                        "category_id": 1,
                        "track_id": track,
                        "keypoints": triples.ravel().tolist(),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": 0.5 * (x2 - x1) * (y2 - y1),
                    }
                )
    return {
        "videos": [{"id": v, "file_name": f"{v}.mp4"} for v in range(1, videos + 1)],
        "images": images,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)}],
        "annotations": annotations,
    }


@pytest.fixture(scope="module")
def scene():
    return render(CONFIG)


@pytest.fixture(scope="module")
def clip(scene, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "dance.mp4"
    return write_video(path, list(scene.frames), options=LOSSLESS, pix_fmt="yuv444p")


@pytest.fixture(scope="module")
def labels(scene, clip):
    path = clip.with_name("labels.json")
    path.write_text(json.dumps(document(scene.tracks.frames(0, LABELLED))))
    return path


@pytest.fixture
def simulate(clip, labels):
    """Run the command; the JSON object, or the text if not ``as_json``."""

    def run(*arguments, gt=labels, as_json=True):
        given = ["simulate", clip, "--gt", gt, *arguments, *(["--json"] if as_json else [])]
        result = CliRunner().invoke(app, list(map(str, given)))
        assert result.exit_code == 0, result.output
        if not as_json:
            return result.stdout
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return run


@pytest.fixture
def refused(clip, labels):
    """The error of a run that must fail."""

    def run(*arguments, gt=labels, video=clip):
        given = ["simulate", video, "--gt", gt, *arguments, "--json"]
        result = CliRunner().invoke(app, list(map(str, given)))
        assert result.exit_code == 2, result.output
        return json.loads(result.stdout)["error"]

    return run


# --- what it prints and writes -----------------------------------------------------------------


def test_the_object(simulate, clip, labels):
    found = simulate("--strategy", "worst", "--strategy", "random", "--seed", 3)
    assert set(found) == {"video", "gt", "frames", "persons", "conventions", "rows"}
    assert (found["video"], found["gt"]) == (clip.name, str(labels))
    assert (found["frames"], found["persons"]) == (FRAMES, 1)
    conventions = found["conventions"]
    assert conventions.pop("first_frame").startswith("every labelled joint")
    assert conventions == {
        "targets": [0.75, 0.85, 0.95],
        "measure": "accuracy",
        "joints_per_visit": 3,
        "accept": 0.95,
        "noise": 0.0,
        "miss": 0.0,
        "seed": 3,
        "sigmas": "coco17",
        "area": "area of the file",
    }
    names = [(row["engine"], row["strategy"]) for row in found["rows"]]
    assert names == [(e, s) for e in ("impose", "linear") for s in ("worst", "random")]


def test_a_row(simulate):
    (row,) = simulate("--engine", "linear", "--target", 0.5, "--target", 0.9)["rows"]
    assert set(row) == {
        *("engine", "strategy", "targets", "clicks", "visited", "identity_edits"),
        *("rounds", "seconds", "persons", "curve"),
    }
    (one,) = row["persons"]
    assert set(one) == {
        *("track_id", "labelled", "frames", "clicks", "visited", "reached", "value", "capped"),
    }
    assert set(row["targets"]) == set(one["reached"]) == {"0.5", "0.9"}
    for target, clicks in one["reached"].items():
        assert row["targets"][target] == {"clicks_per_person": clicks, "never": 0}
    assert row["clicks"] == one["clicks"] == one["reached"]["0.9"] <= one["labelled"]
    assert row["visited"] == one["visited"]
    assert one["frames"] == LABELLED
    assert len(row["curve"]) == row["rounds"]
    assert row["curve"][-1] == {
        "clicks": row["clicks"],
        "visited": row["visited"],
        "oks": pytest.approx(row["curve"][-1]["oks"]),
        "accuracy": one["value"],
    }


def test_what_is_measured_is_as_asked(simulate):
    arguments = ["--engine", "linear", "--target", 0.9]
    by_oks = simulate(*arguments, "--measure", "oks")["rows"][0]
    assert by_oks["persons"][0]["value"] == pytest.approx(by_oks["curve"][-1]["oks"])
    few, many = (simulate(*arguments, "--clicks-per-visit", count)["rows"][0] for count in (1, 17))
    assert few["rounds"] > many["rounds"]
    stopped = simulate(*arguments, "--accept", 0.3)["rows"][0]
    assert stopped["targets"]["0.9"]["never"] == 1
    noisy = simulate(*arguments, "--noise", 0.2)["rows"][0]
    assert noisy["curve"][-1]["oks"] < few["curve"][-1]["oks"]


def test_the_same_twice(simulate):
    def once():
        rows = simulate("--strategy", "random", "--noise", 0.02, "--miss", 0.2)["rows"]
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    assert once() == once()


def test_the_table(simulate):
    arguments = ["--engine", "impose", "--engine", "hold"]
    rows = simulate(*arguments)["rows"]
    text = simulate(*arguments, as_json=False)
    head, *lines = text.splitlines()
    assert re.split(r" {2,}", head) == [
        *("clicks per person", "strategy", "to 0.75", "to 0.85", "to 0.95"),
        *("never", "frames visited", "OKS at the end"),
    ]
    for row, line in zip(rows, lines, strict=True):
        clicks = [f"{one['clicks_per_person']:.1f}" for one in row["targets"].values()]
        end = f"{row['curve'][-1]['oks']:.3f}"
        shown = [row["engine"], "worst", *clicks, "0 of 1", str(row["visited"]), end]
        assert re.split(r" {2,}", line) == shown


def test_the_object_can_be_kept(simulate, tmp_path):
    out = tmp_path / "effort.json"
    found = simulate("--engine", "linear", "--out", out)
    assert json.loads(out.read_text()) == found


def test_pictures_of_the_worst_poses(simulate, tmp_path):
    folder = tmp_path / "new" / "pictures"
    rows = simulate("--strategy", "worst", "--strategy", "random", "--pictures", folder)["rows"]
    names = [row["picture"]["file"] for row in rows]
    assert names == [
        f"worst_{engine}_{strategy}.png"
        for engine in ("impose", "linear")
        for strategy in ("worst", "random")
    ]
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    for row in rows:
        assert row["picture"]["at_target"] == 0.75
        image = cv2.imread(str(folder / row["picture"]["file"]))
        assert image.shape[1] == 1800
        assert image.std() > 10


def test_a_picture_is_named_as_seen_from_the_document(simulate, tmp_path):
    arguments = ["--engine", "linear", "--pictures", tmp_path / "worst"]
    for out, name in (
        (tmp_path / "effort.json", "worst/worst_linear_worst.png"),
        (tmp_path / "elsewhere" / "effort.json", "worst_linear_worst.png"),
    ):
        out.parent.mkdir(exist_ok=True)
        (row,) = simulate(*arguments, "--out", out)["rows"]
        assert row["picture"]["file"] == name


def test_without_a_target_reached_there_is_no_picture(simulate, tmp_path):
    arguments = ["--engine", "hold", "--accept", 0.01, "--pictures", tmp_path]
    (row,) = simulate(*arguments)["rows"]
    assert "picture" not in row
    assert list(tmp_path.iterdir()) == []


def test_labels_outside_the_image_are_pictured_at_its_border(simulate, scene, tmp_path):
    gone = document(scene.tracks.frames(0, LABELLED))
    for row in gone["annotations"]:
        row["keypoints"] = [v + 300 * (i % 3 == 0) for i, v in enumerate(row["keypoints"])]
    path = tmp_path / "gone.json"
    path.write_text(json.dumps(gone))
    folder = tmp_path / "pictures"
    simulate("--engine", "linear", "--pictures", folder, gt=path)
    image = cv2.imread(str(folder / "worst_linear_worst.png"))
    assert image.shape[0] < 10 * image.shape[1]


# --- what it refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--engine", "magic"],
            "'--engine' to be one of impose, impose+reader, impose+detect, hold, linear",
        ),
        (["--engine", "hold", "--engine", "hold"], "every '--engine' once, got 'hold' twice"),
        (["--strategy", "best"], "'--strategy' to be one of worst, first-error, review, random"),
        (["--strategy", "worst", "--strategy", "worst"], "every '--strategy' once, got 'worst'"),
        (["--measure", "ap"], "'--measure' to be one of accuracy, oks, got 'ap'"),
        (["--target", "0"], "'--target' to be above 0 and at most 1, got 0.0"),
        (["--target", "0.5", "--target", "95"], "'--target' to be above 0 and at most 1, got 95"),
        (["--target", "nan"], "'--target' to be above 0 and at most 1, got nan"),
        (["--clicks-per-visit", "0"], "'--clicks-per-visit' to be at least 1, got 0"),
        (["--accept", "1.5"], "'accept' to be above 0 and at most 1, got 1.5"),
        (["--noise", "-1"], "'noise' to be at least 0 and finite, got -1.0"),
        (["--miss", "1"], "'miss' to be at least 0 and below 1, got 1.0"),
        (["--seed", "-1"], "'seed' to be at least 0, got -1"),
        (["--gt-format", "yolo"], "'--gt-format' to be one of auto, coco"),
        (["--gt-format", "cvat"], "labels.json"),
        (["--sigmas", "mine"], "'sigmas' to be one of"),
    ],
)
def test_bad_options_are_refused_by_name(refused, arguments, message):
    assert message in refused(*arguments)["message"]


def test_outputs_must_be_outputs(refused, labels, clip, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert "'--pictures' to be a folder" in refused("--pictures", taken)["message"]
    assert taken.read_text() == "mine"
    assert "'--out' not to be an input" in refused("--out", labels)["message"]
    assert "'--out' to be a file" in refused("--out", tmp_path)["message"]
    assert "'--pictures' not to be an input" in refused("--pictures", clip)["message"]


def test_labels_that_do_not_fit(refused, scene, tmp_path):
    def said(content):
        path = tmp_path / "bad.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return refused(gt=path)

    few = scene.tracks.frames(0, 2)
    several = said(document(few, videos=2))
    assert "to hold the labels of one video, got 2" in several["message"]
    assert "a file of its own" in several["hint"]

    longer = document(few)
    longer["images"][1]["frame_id"] = FRAMES
    assert f"labels of the {FRAMES} frames of dance.mp4, got" in said(longer)["message"]

    unlabelled = document(few)
    for row in unlabelled["annotations"]:
        row["keypoints"] = [0] * len(row["keypoints"])
    assert "nobody" in said(unlabelled)["message"]
    assert "nobody" in said({**document(few), "annotations": []})["message"]
    assert "to be JSON" in said("{")["message"]
    assert "missing.json" in refused(gt=tmp_path / "missing.json")["message"]


def test_a_video_that_cannot_be_read(labels, tmp_path):
    given = ["simulate", tmp_path / "no.mp4", "--gt", labels, "--json"]
    result = CliRunner().invoke(app, list(map(str, given)))
    assert result.exit_code == 3
    assert "no.mp4" in json.loads(result.stdout)["error"]["message"]


# --- documentation -----------------------------------------------------------------------------


def test_commands_and_names_of_the_page_are_those_of_the_program():
    text = (ROOT / "docs/simulation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert commands
    known = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).output
    for command in commands:
        program, verb, *arguments = shlex.split(command)
        assert (program, verb) == ("impose", "simulate")
        for option in arguments:
            assert not option.startswith("--") or option in known
