"""``impose evaluate``: formats it tells apart, what it prints, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from tracking_golden import load
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.evaluation.published import LABEL
from impose_core.io.pose_set_files import format_of
from impose_core.skeleton import COCO17

ROOT = Path(__file__).parents[1]
LABELS, ANCHORS = ROOT / "docs/demo/labels.json", ROOT / "docs/demo/anchors.json"


def impose(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def figures(*arguments):
    """The JSON object of a run that must succeed."""
    result = impose(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def error(*arguments):
    result = impose(*arguments, "--json")
    assert result.exit_code == 2, result.output
    return json.loads(result.stdout)["error"]


def small(**options):
    """A COCO document of two loose pictures, one person on each."""
    names = ["tip", "root"]
    return {
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 90, "height": 90} for i in (1, 2)],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "keypoints": [10, 10, 2, 50, 60, 2],
                "bbox": [10, 10, 40, 50],
                "area": 2000,
                **options,
            }
            for i in (1, 2)
        ],
    }


def result_list(score=0.9):
    rows = small()["annotations"]
    keys = ("image_id", "category_id", "keypoints")
    return [{**{key: row[key] for key in keys}, "score": score} for row in rows]


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return written


@pytest.fixture
def labels(write):
    return write("labels.json", small())


# --- what it prints ----------------------------------------------------------------------------


def test_the_demo_labels_against_themselves():
    found = figures("--gt", LABELS, "--pred", LABELS)
    assert found["AP"] == pytest.approx(1)
    assert found["HOTA-OKS"]["HOTA"] == pytest.approx(1)
    assert (found["name"], found["pred"], found["gt"]) == ("labels", str(LABELS), str(LABELS))


def test_a_results_file_states_how_sure_it_is(tmp_path):
    document = json.loads(LABELS.read_text())
    sure = document["annotations"][0]
    sure["origin"], sure["deviation"] = ["propagated"] * 17, [0.5] * 17
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(document))
    found = figures("--gt", LABELS, "--pred", path)["calibration"]["propagated"]
    known = sum(v > 0 for v in sure["keypoints"][2::3])
    assert found == {"within_one": 1, "within_two": 1, "n": known}


def test_several_predictions_are_rows_of_one_table():
    arguments = [
        "--gt",
        LABELS,
        "--pred",
        LABELS,
        "--pred",
        ANCHORS,
        "--metrics",
        "AP,HOTA-OKS",
    ]
    names = ["--name", "all", "--name", "some frames"]
    rows = figures(*arguments, *names)["rows"]
    assert [row["name"] for row in rows] == ["all", "some frames"]
    assert rows[0]["AP"] > rows[1]["AP"] > 0
    text = impose(*arguments, *names).stdout
    assert re.search(r"^keypoints +AP +AP50", text, re.MULTILINE)
    for row in rows:
        shown = rf"^{row['name']} +{row['AP']:.3f} +{row['AP50']:.3f}"
        assert re.search(shown, text, re.MULTILINE)
        hota = row["HOTA-OKS"]
        assert re.search(rf"^{row['name']} +{hota['HOTA']:.3f} +{hota['DetA']:.3f}", text, re.M)
        assert f"{row['name']}: 300 persons labelled" in text
    assert "sigmas coco17; area of the file; ignore regions: none" in text


def test_the_table_says_what_was_skipped_and_what_could_not_be_evaluated(labels):
    text = impose("--gt", labels, "--pred", labels, "--default-score", 1).stdout
    assert re.search(r"^labels +1.000 +1.000 +1.000 +1.000 +– ", text, re.MULTILINE)  # nobody large
    assert "skipped HOTA-OKS: labels without a track id (2 of 2 persons)" in text
    assert "HOTA  DetA" not in text


def test_the_object_can_be_kept(labels, tmp_path):
    out = tmp_path / "figures.json"
    found = figures("--gt", labels, "--pred", labels, "--default-score", 1, "--out", out)
    assert json.loads(out.read_text()) == found
    said = error("--gt", labels, "--pred", labels, "--out", labels)
    assert "not to be an input" in said["message"]


def test_published_tables_stand_apart(labels):
    arguments = ["--gt", labels, "--pred", labels, "--default-score", 1, "--published"]
    found = figures(*arguments)
    assert found["published"]["label"] == LABEL
    assert found["published"]["tables"][0]["rows"][0] == ["3DPW", "AlphaPose", 2.23, 2.36, 3.15]
    ours, *theirs = impose(*arguments).stdout.split(f"[{LABEL}]")
    assert len(theirs) == len(found["published"]["tables"]) + 1  # and the contradictions
    assert "AlphaPose" not in ours
    assert "published" not in figures(*arguments[:-1])


# --- formats -----------------------------------------------------------------------------------


def test_coco_documents_and_result_lists(labels, write):
    results = write("results.json", result_list())
    assert format_of(labels) == format_of(results) == "coco"
    assert figures("--gt", labels, "--pred", results)["AP"] == pytest.approx(1)


def test_posetrack21(write, tmp_path):
    case = load("posetrack", "P6_boundaries")
    for side, documents in (("gt", case["gt"]), ("pr", case["pr"])):
        for name, document in documents.items():
            write(f"{side}/{name}.json", document)
    assert format_of(tmp_path / "gt") == format_of(tmp_path / "pr") == "posetrack21"
    one = next(iter(case["gt"]))
    assert format_of(tmp_path / "gt" / f"{one}.json") == "posetrack21"
    found = figures("--gt", tmp_path / "gt", "--pred", tmp_path / "pr")
    fixed = case["expected"]["posetrack21_with_issue10_fix"]["combined_mean_over_alpha"]
    assert found["HOTA-kp"]["HOTA"] == pytest.approx(fixed["HOTA"][-1], abs=1e-6)


def test_mot(write, tmp_path):
    case = load("posetrack", "M1_posetrack21_mot_boxes")
    for name, lines in case["gt_txt"].items():
        write(f"truth/{name}/gt/gt.txt", "\n".join(lines))
        write(f"truth/{name}/image_info.json", case["image_info"][name])
        write(f"found/{name}.txt", "\n".join(case["pr_txt"][name]))
    assert format_of(tmp_path / "truth") == format_of(tmp_path / "found") == "mot"
    found = figures("--gt", tmp_path / "truth", "--pred", tmp_path / "found")
    expected = case["expected_mean_over_alpha"]["COMBINED_SEQ"]
    assert found["HOTA-box"]["HOTA"] == pytest.approx(expected["HOTA"], abs=1e-6)
    assert found["skipped"]["HOTA-OKS"] == "labels without keypoints"
    # a tracker that found nobody in a video writes an empty file
    write(f"found/{name}.txt", "")
    emptied = figures("--gt", tmp_path / "truth", "--pred", tmp_path / "found")
    assert emptied["HOTA-box"]["HOTA"] < found["HOTA-box"]["HOTA"]


def test_xanylabeling(write, tmp_path):
    def point(name, x):
        return {"label": name, "shape_type": "point", "group_id": 1, "points": [[x, 20 + x]]}

    for t in range(3):
        shapes = [point("nose", 10 + t), point("left_ankle", 60 + t)]
        write(f"frames/frame{t}.json", {"imagePath": f"frame{t}.jpg", "shapes": shapes})
    folder = tmp_path / "frames"
    assert format_of(folder) == "xanylabeling"
    found = figures("--gt", folder, "--pred", folder, "--default-score", 1)
    assert found["AP"] == pytest.approx(1)
    assert found["conventions"]["sigmas"] == "coco17"
    named = figures(
        *("--gt", folder, "--pred", folder, "--keypoints", "nose,left_ankle"),
        *("--metrics", "HOTA-OKS"),
    )
    assert named["HOTA-OKS"]["HOTA"] == pytest.approx(1)
    assert "nose" in error("--gt", folder, "--pred", folder, "--keypoints", "hip")["message"]
    alone = error("--gt", folder / "frame0.json", "--pred", folder)
    assert "the folder of all files of X-AnyLabeling" in alone["message"]


def test_cvat(write):
    points = "".join(
        f'<points label="{name}" points="{x},{x + 5}"/>' for name, x in (("tip", 10), ("root", 50))
    )
    path = write(
        "annotations.xml",
        "<annotations><version>1.1</version><meta><task><labels><label><name>person</name>"
        "<type>skeleton</type></label>"
        + "".join(
            f"<label><name>{n}</name><type>points</type><parent>person</parent></label>"
            for n in ("tip", "root")
        )
        + '</labels></task></meta><image id="0" name="a.jpg" width="90" height="90">'
        f'<skeleton label="person">{points}</skeleton></image></annotations>',
    )
    assert format_of(path) == "cvat"
    found = figures("--gt", path, "--pred", path, "--default-score", 1)
    assert found["AP"] == pytest.approx(1)
    assert found["conventions"]["area"] == "0.53·w·h of the keypoints' extent"
    assert found["AP_whole_box"] == pytest.approx(1)


def test_3dpw(tmp_path):
    xy = np.random.default_rng(0).uniform(10, 90, (3, 1, 17, 2))
    np.savez(
        tmp_path / "walk.npz",
        name="walk",
        keypoints=np.array(COCO17.keypoints),
        track_id=np.arange(1),
        xy=xy,
        visibility=np.full((3, 1, 17), 2, np.uint8),
        box=np.concatenate([xy.min(2), xy.max(2)], axis=-1),
        size=np.array([100, 100]),
    )
    assert format_of(tmp_path) == format_of(tmp_path / "walk.npz") == "3dpw"
    found = figures("--gt", tmp_path, "--pred", tmp_path / "walk.npz", "--default-score", 0.5)
    assert found["AP"] == pytest.approx(1)
    assert found["HOTA-OKS"]["HOTA"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"images": []}),
        ("a.json", {"images": [], "annotations": []}),
        ("a.json", 3),
        ("a.csv", "1,2"),
        ("folder/a.json", small()),  # COCO comes in one file
        ("folder/readme.md", "nothing"),
    ],
)
def test_what_is_of_no_format_is_refused(write, labels, name, content):
    path = write(name, content)
    path = path.parent if "/" in name else path
    said = error("--gt", path, "--pred", labels)
    assert "one of the formats coco, posetrack21, mot" in said["message"]
    assert "--gt-format" in said["hint"]


def test_a_named_format_is_not_guessed(labels):
    said = error("--gt", labels, "--pred", labels, "--gt-format", "cvat")
    assert said["code"] == "bad_document"
    said = error("--gt", labels, "--pred", labels, "--pred-format", "yolo")
    assert "'--pred-format' to be one of auto, coco" in said["message"]


# --- bad input ---------------------------------------------------------------------------------


def without(document, key):
    for row in document["annotations"]:
        del row[key]
    return document


def test_scores_that_are_missing(labels, write):
    said = error("--gt", labels, "--pred", labels)
    assert "'annotations[0].score' to be a number, got nothing" in said["message"]
    assert "default_score" in said["hint"]
    rows = write(
        "rows.json", [{k: v for k, v in row.items() if k != "score"} for row in result_list()]
    )
    assert "score" in error("--gt", labels, "--pred", rows)["message"]
    said = error("--gt", labels, "--pred", labels, "--default-score", "nan")
    assert "'default_score' to be a finite number" in said["message"]


BAD = {
    "ids missing": (without(small(), "id"), "'annotations[0].id' to be an integer"),
    "ids twice": (small(id=7), "'annotations[1].id' to be unique"),
    "no such image": (small(image_id=9), "'annotations[0].image_id' to be the id of an image"),
    "NaN": (small(keypoints=[float("nan"), 1, 2, 3, 4, 2]), "keypoints[0]' to be"),
    "too few": (small(keypoints=[1, 2, 2]), "'annotations[0].keypoints' to be a list of 6"),
    "no images": ({**small(), "images": []}, "'images' to hold one image or more"),
    "nobody": ({**small(), "annotations": []}, "somebody to find, got nobody on 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_labels_that_break_their_format_are_refused(name, labels, write):
    document, message = BAD[name]
    said = error("--gt", write("bad.json", document), "--pred", labels, "--default-score", 1)
    assert message in said["message"]


def test_empty_files(labels, write):
    assert "to be JSON" in error("--gt", write("none.json", ""), "--pred", labels)["message"]
    assert "to be JSON" in error("--gt", labels, "--pred", write("none.json", ""))["message"]
    # an empty result list says that nobody was found
    assert figures("--gt", labels, "--pred", write("nobody.json", []))["AP"] == 0


def test_other_skeletons_are_refused_and_shared_keypoints_compared(labels, write):
    document = small(score=0.9)
    document["categories"][0]["keypoints"] = ["head", "tail"]
    said = error("--gt", labels, "--pred", write("other.json", document))
    assert said["code"] == "skeleton_mismatch"
    document["categories"][0]["keypoints"] = ["tip", "tail"]
    found = figures("--gt", labels, "--pred", write("half.json", document))
    assert found["conventions"]["keypoints_not_predicted"] == ["root"]
    assert found["AP"] < 1
    assert (
        "never predicted: root"
        in impose("--gt", labels, "--pred", write("b.json", document)).stdout
    )


def test_of_several_files_the_bad_one_is_named(labels, write):
    good, bad = write("good.json", result_list()), write("bad.json", result_list(score="high"))
    assert str(bad) in error("--gt", labels, "--pred", good, "--pred", bad)["message"]


def test_rows_need_names_that_differ(labels):
    said = error("--gt", labels, "--pred", labels, "--pred", labels)
    assert "different names, got 'labels' twice" in said["message"]
    said = error("--gt", labels, "--pred", labels, "--name", "a", "--name", "b")
    assert "once for every '--pred', got 2 for 1" in said["message"]


def test_metrics_asked_for_by_name_must_be_possible(labels, write):
    results = write("results.json", result_list())
    said = error("--gt", labels, "--pred", results, "--metrics", "AP,HOTA-OKS")
    assert said["message"].startswith("Expected what 'HOTA-OKS' needs, got labels without a track")
    assert "got 'mAP'" in error("--gt", labels, "--pred", results, "--metrics", "mAP")["message"]


# --- documentation -----------------------------------------------------------------------------


def test_every_command_of_the_page_runs_as_shown(tmp_path, monkeypatch):
    text = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    commands = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    assert len(commands) >= 4
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/demo").symlink_to(ROOT / "docs/demo")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "impose"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
