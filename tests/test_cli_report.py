"""``impose report``: what it collects, what the page holds, and what it refuses."""

from __future__ import annotations

import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.evaluation.published import LABEL

pytest.importorskip("matplotlib")

DEMO = Path(__file__).parents[1] / "docs" / "demo"


def impose(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def made(folder, *options):
    result = impose("report", folder, *options)
    assert result.exit_code == 0, result.output
    return (folder / "report.html").read_text("utf-8"), (folder / "report.md").read_text("utf-8")


def error(folder, *options):
    result = impose("report", folder, *options, "--json")
    assert result.exit_code == 2, result.output
    assert not (folder / "report.html").exists()
    return json.loads(result.stdout)["error"]


def evaluation(name="ours", **fields):
    curve = {"frames": [0, 4], "share": [1.0, 0.5], "at_risk": [2, 2], "longest": 9}
    return {
        "name": name,
        "pred": "poses.json",
        "gt": "labels.json",
        "AP": 0.12345,
        "APM": None,
        "mean_joint_AP": 0.5,
        "per_joint_AP": {"tip": 0.25, "root": None},
        "drift": {"from": "first", "0.75": {"any_joint": {"mean": 6.5, "survival": curve}}},
        "conventions": {"sigmas": "coco17", "area": "area of the file"},
        "n": {"labelled": 7},
        "skipped": {"HOTA-kp": "labels without a head box"},
        **fields,
    }


def simulation(engine="impose", **fields):
    points = [(10, 0.5), (40, 0.75)]
    row = {
        "engine": engine,
        "strategy": "worst",
        "targets": {"0.75": {"clicks_per_person": 13.25, "never": 1}},
        "clicks": 40,
        "visited": 6,
        "identity_edits": 2,
        "rounds": 2,
        "seconds": 0.5,
        "curve": [{"clicks": c, "visited": 1, "oks": a, "accuracy": a} for c, a in points],
        **fields,
    }
    return {
        "video": "clip.mp4",
        "gt": "labels.json",
        "frames": 9,
        "persons": 2,
        "conventions": {"measure": "accuracy", "noise": 0.0},
        "rows": [row],
    }


@pytest.fixture
def write(tmp_path):
    def written(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return written


def picture(path):
    path.write_bytes(cv2.imencode(".png", np.full((8, 9, 3), 128, np.uint8))[1].tobytes())


def row_of(markdown, *cells):
    return "| " + " | ".join(cells) + " |" in markdown


# --- what is on the page ------------------------------------------------------------------------


def test_a_folder_of_both_commands_makes_a_page(tmp_path):
    labels = DEMO / "labels.json"
    both = ("--pred", labels, "--pred", DEMO / "anchors.json")
    out = tmp_path / "figures.json"
    assert impose("evaluate", "--gt", labels, *both, "--out", out).exit_code == 0
    video = impose(
        *("simulate", DEMO / "clip.mp4", "--gt", labels, "--engine", "linear", "--target", "0.7"),
        *("--clicks-per-visit", "5", "--out", tmp_path / "clicks.json", "--pictures", tmp_path),
    )
    assert video.exit_code == 0, video.output
    page, text = made(tmp_path)
    rows = json.loads(out.read_text())["rows"]
    for row in rows:
        assert re.search(rf"^\| {row['name']} \| {row['AP']:.3f} \| {row['AP50']:.3f}", text, re.M)
    clicks = json.loads((tmp_path / "clicks.json").read_text())["rows"][0]
    reached = clicks["targets"]["0.7"]["clicks_per_person"]
    assert f"| linear | worst | {reached:.3f} | 0 |" in text
    files = sorted(path.name for path in (tmp_path / "report_files").iterdir())
    stems = ["clicks_1_clip_mp4", "drift_1", "joints_1", "worst_1_linear_worst"]
    assert files == [f"{stem}.png" for stem in stems]
    assert page.count('src="data:image/') == 4
    assert all(f"(<report_files/{name}>)" in text for name in files)


def test_figures_are_as_in_the_files_and_null_is_a_dash(write, tmp_path):
    write("a.json", evaluation())
    write("b.json", simulation())
    page, text = made(tmp_path)
    assert row_of(text, "keypoints", "AP", "APM", "mean\\_joint\\_AP")
    assert row_of(text, "ours", "0.123", "–", "0.500")
    assert row_of(text, "root", "–")
    assert "<td>ours</td><td>0.123</td><td>–</td><td>0.500</td>" in page
    counts = ("1", "40", "6", "2", "2")
    assert row_of(text, "impose", "worst", "13.250", *counts, "0.500", "0.750", "0.750")


def test_conventions_and_what_was_skipped_stand_beside(write, tmp_path):
    write("a.json", {"rows": [evaluation("one"), evaluation("two", skipped={})]})
    write("b.json", simulation())
    for text in made(tmp_path):
        assert "sigmas: coco17" in text
        assert "skipped HOTA-kp: labels without a head box" in text
        assert "skipped: nothing" in text
        assert "measure: accuracy" in text
        assert "impose, worst: 1 never reached 0.75" in text


def test_published_tables_are_kept_apart(write, tmp_path):
    table = {"paper": "P", "source": "A paper", "table": "I", "caption": "clicks"}
    table |= {"columns": ["method", "AP"], "rows": [["Theirs", 61.5], ["Others", None]]}
    published = {"label": LABEL, "tables": [table], "contradictions": {"P": ["it says two things"]}}
    write("a.json", {**evaluation(), "published": published})
    write("b.json", {**evaluation(), "published": published})
    page, text = made(tmp_path)
    ours, theirs = text.split("## \\[" + LABEL)
    assert "Theirs" not in ours
    assert "| Theirs | 61.5 |" in theirs  # not 61.500: those digits were never printed
    assert "it says two things" in theirs
    assert page.count("Theirs") == 1


def test_names_are_only_names(write, tmp_path):
    nasty = '<script>alert("x")</script> | a`b $x^$'
    write("a.json", evaluation(nasty, per_joint_AP={nasty: 0.5, "_hidden": 0.1}))
    write("b.json", {**simulation(nasty), "video": "../<b>.mp4"})
    page, text = made(tmp_path)
    assert "<script" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(?<!\\)<script", text)
    assert r"\| a\`b" in text
    assert all(path.parent.name == "report_files" for path in tmp_path.rglob("*.png"))


class _Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.found = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset")]


def test_the_page_needs_nothing_from_elsewhere(write, tmp_path):
    write("a.json", evaluation())
    page, _ = made(tmp_path)
    seen = _Addresses()
    seen.feed(page)
    assert seen.found
    assert all(address.startswith("data:image/") for address in seen.found)
    assert not seen.tags & {"script", "link", "iframe"}
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_the_same_folder_gives_the_same_bytes(write, tmp_path):
    write("a.json", evaluation())
    write("b.json", simulation())
    first, second = made(tmp_path), made(tmp_path)
    assert first == second


def test_several_documents_of_one_video_share_a_plot(write, tmp_path):
    write("a.json", simulation("impose"))
    write("b.json", simulation("linear"))
    made(tmp_path)
    assert [path.name for path in (tmp_path / "report_files").iterdir()] == [
        "clicks_1_clip_mp4.png"
    ]


def test_the_page_can_go_elsewhere(write, tmp_path):
    write("a.json", evaluation())
    (tmp_path / "other").mkdir()
    out = tmp_path / "other" / "page.html"
    result = impose("report", tmp_path, "--out", out, "--json")
    said = json.loads(result.stdout)
    assert (said["page"], said["read"], said["unread"]) == (str(out), ["a.json"], {})
    assert out.exists()
    assert "(<page_files/" in out.with_suffix(".md").read_text("utf-8")
    assert not (tmp_path / "report.html").exists()


# --- what it does not read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [3, [], {}, {"rows": []}, {"images": [], "annotations": []}, {"rows": 7}]
)
def test_other_documents_are_named_and_not_read(write, tmp_path, content):
    write("a.json", evaluation())
    write("poses.json", content)
    result = impose("report", tmp_path)
    assert "not read: poses.json: neither of" in result.stdout
    for name in ("report.html", "report.md"):
        assert "poses.json: neither of" in (tmp_path / name).read_text("utf-8")


def test_a_folder_without_documents_is_refused(write, tmp_path):
    assert "got no JSON file" in error(tmp_path)["message"]
    write("poses.json", {"images": []})
    said = error(tmp_path)
    assert "got only poses.json" in said["message"]
    assert "--out" in said["hint"]
    assert "nothing" in error(tmp_path / "none")["message"]
    assert "a file" in error(tmp_path / "poses.json")["message"]


DAMAGE = {
    "cut off": ('{"rows": [', "to be JSON"),
    "curve": (simulation(curve=[{"clicks": 3, "oks": None, "accuracy": 1}]), "curve[0].oks"),
    "no curve": (simulation(curve=[]), "rows[0].curve"),
    "targets": (simulation(targets={"0.75": 3}), "targets.0.75"),
    "joints": (evaluation(per_joint_AP={"tip": "high"}), "'per_joint_AP.tip'"),
    "name": ({"rows": [evaluation(name=7)]}, "'rows[0].name'"),
    "published": ({**evaluation(), "published": {"label": LABEL}}, "'published.tables'"),
    "survival": (
        evaluation(drift={"0.75": {"any_joint": {"survival": [1]}}}),
        "drift.0.75.any_joint.survival",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_document_is_named(write, tmp_path, name):
    content, message = DAMAGE[name]
    write("good.json", evaluation())
    path = write("bad.json", content)
    said = error(tmp_path)
    assert said["code"] == "bad_document"
    assert str(path) in said["message"]
    assert message in said["message"]


def test_a_picture_that_is_missing_is_named(write, tmp_path):
    write("a.json", simulation(picture={"file": "worst.png", "at_target": 0.75}))
    said = error(tmp_path)
    assert "the picture 'worst.png'" in said["message"]
    assert "--pictures" in said["hint"]
    write("worst.png", "no picture")
    assert "to be a PNG picture" in error(tmp_path)["message"]
    picture(tmp_path / "worst.png")
    page, text = made(tmp_path)
    assert "data:image/jpeg;base64," in page
    assert "worst_1_impose_worst.png" in text


def test_pictures_may_be_in_a_folder_beside_the_document(write, tmp_path):
    write("a.json", simulation(picture={"file": "worst/wrist.png", "at_target": 0.75}))
    (tmp_path / "worst").mkdir()
    picture(tmp_path / "worst" / "wrist.png")
    page, _ = made(tmp_path)
    assert "data:image/jpeg;base64," in page


def test_pictures_outside_the_folder_are_refused(write, tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    picture(tmp_path / "secret.png")
    document = simulation(picture={"file": "../secret.png"})
    (folder / "a.json").write_text(json.dumps(document))
    assert "a file in the folder of the document" in error(folder)["message"]


def test_what_cannot_be_written_is_refused(write, tmp_path):
    write("a.json", evaluation())
    assert "to end in .html" in error(tmp_path, "--out", tmp_path / "page.pdf")["message"]
    assert error(tmp_path, "--out", tmp_path / "none" / "page.html")["code"] == "output"


def test_without_matplotlib_it_says_what_to_install(write, tmp_path, monkeypatch):
    write("a.json", evaluation())
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    said = error(tmp_path)
    assert "matplotlib" in said["message"]
    assert said["hint"] == "pip install impose[plots]"
