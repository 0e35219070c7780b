"""The command line: what it promises to people, to scripts, and to the human's points."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from media import HEIGHT, WIDTH, cut_off, numbered_frames, write_video
from typer.testing import CliRunner

from impose_core import errors, ledger, weights
from impose_core.cli import doctor_report, propagate
from impose_core.cli.app import app
from impose_core.cli.outcome import exit_code
from impose_core.frames import open_frames
from impose_core.io.coco import read_document
from impose_core.points import PointSteps
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.poses import Origin

DEMO = Path(__file__).parents[1] / "docs" / "demo"
CLIP, ANCHORS = DEMO / "clip.mp4", DEMO / "anchors.json"
TRACKS = ("--reader", "none")
"""Without readings: most tests are about files and ends."""
FRAMES = 12


def impose(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_of(result):
    """The one JSON object that a failed command printed."""
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)["error"]


def run(code, *arguments):
    """``impose`` in a process of its own, after ``code`` ran there."""
    lines = [code, "from impose_core.cli import main", "main()"]
    command = [sys.executable, "-c", "\n".join(lines), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def human_points(path):
    """(frame, track) -> joint -> x, y, v, all as the text that stands in the file."""
    document = json.loads(path.read_text(), parse_float=str, parse_int=str)
    frame_of = {image["id"]: image["frame_id"] for image in document["images"]}
    found = {}
    for item in document["annotations"]:
        points = [item["keypoints"][i : i + 3] for i in range(0, len(item["keypoints"]), 3)]
        human = {k: points[k] for k, who in enumerate(item["origin"]) if who == "human"}
        if human:
            found[frame_of[item["image_id"]], item["track_id"]] = human
    return found


def small_document(frames=FRAMES):
    """Two joints of two persons, marked on the first and the last frame."""
    names = ["tip", "root"]
    return {
        "videos": [
            {"id": 1, "file_name": "v.mp4", "width": WIDTH, "height": HEIGHT, "n_frames": frames}
        ],
        "categories": [{"id": 1, "name": "stick", "keypoints": names, "skeleton": [[1, 2]]}],
        "images": [{"id": t + 1, "video_id": 1, "frame_id": t} for t in range(frames)],
        "annotations": [
            {
                "id": 10 * track + t,
                "image_id": t + 1,
                "category_id": 1,
                "track_id": track,
                "keypoints": [20 / 3 + 20 * track, 40.1 + 0.2, 2, 30.5, 0.1 + t, 1],
            }
            for t in (0, frames - 1)
            for track in (1, 2)
        ],
    }


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.mp4", numbered_frames(FRAMES))


@pytest.fixture
def anchors(tmp_path):
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps(small_document()))
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "poses.json"


# --- what comes out --------------------------------------------------------------------------


def test_every_human_point_of_the_demo_comes_out_as_the_same_text(out):
    result = impose("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out)
    assert result.exit_code == 0, result.output
    assert human_points(out) == human_points(ANCHORS)
    tracks = read_document(out).tracks
    assert len(tracks) == 100
    assert np.isfinite(tracks.xy).all(-1).any((1, 2)).all()  # somebody on every frame
    for word in ("frames    100", "persons   3", "6 frames, 270 human joints", "decode", "track"):
        assert word in result.stdout
    assert "least sure of" in result.stdout


def test_pictures_are_made_and_the_json_report_is_one_object(out, tmp_path):
    overlay, sheet, plot = (tmp_path / n for n in ("overlay.mp4", "sheet.png", "plot.png"))
    result = impose(
        *("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--overlay", overlay),
        *("--sheet", sheet, "--plot", plot, "--from", 10, "--to", 21, "--json"),
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    report = json.loads(result.stdout)
    assert (report["frames"], report["from"], report["to"]) == (12, 10, 21)
    assert (report["persons"], report["anchors"], report["human_joints"]) == (3, 6, 270)
    assert list(report["seconds"]) == ["decode", "track", "rivals", "estimate", "write", "draw"]
    assert report["written"]["sheet"] == str(sheet)
    assert report["notes"] == []
    assert {s["frame"] for s in report["review"]} <= set(range(10, 22))
    with open_frames(overlay) as frames:
        assert len(frames) == 12
    assert cv2.imread(str(sheet)).shape[1] == 1800
    assert cv2.imread(str(plot)) is not None


def test_a_range_estimates_only_its_frames_and_keeps_all_human_points(out):
    assert impose(
        "propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--from", 3, "--to", 5
    ).exit_code == 0  # fmt: skip
    tracks = read_document(out).tracks
    estimated = np.flatnonzero((tracks.origin == Origin.PROPAGATED).any((1, 2)))
    assert estimated.tolist() == [3, 4, 5]
    assert human_points(out) == human_points(ANCHORS)


def test_coordinates_that_no_decimal_holds_come_out_exactly(video, anchors, out):
    assert impose("propagate", video, "--anchors", anchors, "--out", out).exit_code == 0
    given, got = read_document(anchors).tracks, read_document(out).tracks
    human = given.origin == Origin.HUMAN
    assert human.sum() == 8
    assert got.xy[human].tobytes() == given.xy[human].tobytes()
    assert (got.visibility[human] == given.visibility[human]).all()
    assert (got.origin[human] == Origin.HUMAN).all()


def test_a_document_without_a_length_takes_that_of_the_video(video, anchors, out):
    document = small_document()
    del document["videos"][0]["n_frames"], document["annotations"][2:]
    document["images"] = document["images"][:1]
    anchors.write_text(json.dumps(document))
    assert impose("propagate", video, "--anchors", anchors, "--out", out).exit_code == 0
    assert len(read_document(out).tracks) == FRAMES
    assert len(json.loads(out.read_text())["images"]) == FRAMES


def test_images_of_a_folder_keep_their_names(anchors, out, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for t, image in enumerate(numbered_frames(FRAMES)):
        cv2.imwrite(str(folder / f"img{t}.png"), image)
    document = small_document()
    document["images"] = [document["images"][0], document["images"][-1]]
    anchors.write_text(json.dumps(document))
    assert impose("propagate", folder, "--anchors", anchors, "--out", out).exit_code == 0
    names = [image["file_name"] for image in json.loads(out.read_text())["images"]]
    assert names == [f"img{t}.png" for t in range(FRAMES)]


def test_a_journal_carries_points_to_the_next_run_and_belongs_to_one_video(
    video, anchors, out, tmp_path
):
    journal = tmp_path / "acts.journal"
    arguments = ("propagate", video, "--out", out, "--journal", journal, "--json", "--anchors")
    assert impose(*arguments, anchors).exit_code == 0
    acts = journal.read_bytes()
    assert impose(*arguments, anchors).exit_code == 0
    assert journal.read_bytes() == acts  # nothing new was said
    document = small_document()
    document["annotations"] = document["annotations"][:1]
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps(document))
    assert json.loads(impose(*arguments, fewer).stdout)["human_joints"] == 8
    other = impose("propagate", CLIP, *arguments[2:], ANCHORS)
    assert other.exit_code == 2
    assert error_of(other)["code"] == "state"


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    """Somebody who stands still while the picture moves, and what the detector says."""
    folder = tmp_path_factory.mktemp("crop") / "images"
    folder.mkdir()
    picture = cv2.imread(str(Path(__file__).parent / "data" / "movenet" / "crop.png"))
    for t in range(5):
        cv2.imwrite(str(folder / f"{t:03d}.png"), np.roll(picture, t, axis=1))
    found = folder.with_name("found.json")
    assert impose("detect", folder, "--out", found).exit_code == 0
    return folder, found


def test_what_was_found_is_corrected_and_read_again(crop, out, tmp_path):
    folder, found = crop
    document = json.loads(found.read_text())
    clicked = document["annotations"][0]
    joints = document["categories"][0]["keypoints"]
    wrist = joints.index("left_wrist")
    clicked["origin"] = ["human" if k == wrist else "none" for k in range(len(joints))]
    clicked["keypoints"] = [0] * (3 * len(joints))
    clicked["keypoints"][3 * wrist : 3 * wrist + 3] = [31.25, 40.5, 2]
    corrections = tmp_path / "corrections.json"
    corrections.write_text(json.dumps({**document, "annotations": [clicked]}))
    propagating = ("propagate", folder, "--anchors", found, "--out", out)
    result = impose(*propagating, "--corrections", corrections, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["reader"], report["clicks"], report["human_joints"]) == ("movenet", 1, 1)
    assert report["detected_joints"] > 10
    assert "read" in report["seconds"]
    tracks = read_document(out).tracks
    frame = next(i["frame_id"] for i in document["images"] if i["id"] == clicked["image_id"])
    n = tracks.person(clicked["track_id"])
    assert tracks.xy[frame, n, wrist].tolist() == [31.25, 40.5]
    assert tracks.origin[frame, n, wrist] == Origin.HUMAN
    assert (tracks.origin == Origin.DETECTED).any()
    table = impose(*propagating, "--corrections", corrections).stdout
    assert "1 frames, 1 human joints (1 clicks)" in table
    assert "reader    movenet" in table


def test_corrections_must_say_something(crop, out):
    folder, found = crop
    result = impose("propagate", folder, "--anchors", found, "--corrections", found, "--out", out)
    assert result.exit_code == 2
    assert "found.json to hold human points, got none" in result.stderr


def test_a_skeleton_the_reader_does_not_know_is_carried_without_it(video, anchors, out):
    result = impose("propagate", video, "--anchors", anchors, "--out", out, "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["reader"] == "none"
    assert "read" not in report["seconds"]
    unknown = impose("propagate", video, "--anchors", anchors, "--out", out, "--reader", "magic")
    assert unknown.exit_code == 2
    assert "'--reader' to be one of movenet, network, none, got 'magic'" in unknown.stderr


def test_missing_weights_have_their_own_exit_code(crop, out, monkeypatch):
    def gone():
        raise errors.WeightsError("Expected weights, got no such folder.")

    folder, found = crop
    monkeypatch.setattr(weights, "weights_folder", gone)
    propagating = ("propagate", folder, "--anchors", found, "--out", out)
    result = impose(*propagating, "--json")
    assert (result.exit_code, error_of(result)["code"]) == (4, "weights")
    assert not out.exists()
    assert impose(*propagating, "--reader", "none").exit_code == 0


def test_show_draws_any_document(tmp_path):
    overlay, sheet, plot = (tmp_path / n for n in ("overlay.mkv", "sheet.jpg", "plot.png"))
    result = impose(
        *("show", CLIP, ANCHORS, "--sheet", sheet, "--plot", plot, "--frames", "0,20"),
        *("--columns", 2, "--json"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["frames"], report["annotated_frames"], report["persons"]) == (100, 6, 3)
    height, width, _ = cv2.imread(str(sheet)).shape
    assert height < width  # two upright tiles in a row
    assert plot.exists()
    small = tmp_path / "small.json"
    small.write_text(json.dumps(small_document()))
    clip = write_video(tmp_path / "v.mp4", numbered_frames(FRAMES))
    assert "2 of 12 frames annotated" in impose("show", clip, small, "--overlay", overlay).stdout
    with open_frames(overlay) as frames:
        assert len(frames) == FRAMES


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "got none of them"),
        (("--frames", "1,x", "--sheet", "s.png"), "numbers like 0,30,60, got '1,x'"),
        (("--frames", "100", "--sheet", "s.png"), "within 0 to 99, got 100"),
        (("--sheet", "s.gif"), "to end in .png or .jpg or .jpeg, got s.gif"),
        (("--overlay", "s.avi"), "to end in .mp4"),
    ],
)
def test_show_refuses(options, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = impose("show", CLIP, ANCHORS, *options)
    assert result.exit_code == 2
    assert expected in result.stderr
    assert list(tmp_path.iterdir()) == []


# --- bad input -------------------------------------------------------------------------------


def _set(path, value):
    """A change of the document at a path such as "annotations.0.id"."""
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))

    def change(document):
        for step in way:
            document = document[step]
        document[last] = value

    return change


def _without_track(document):
    del document["annotations"][0]["track_id"]


BAD_DOCUMENTS = {
    "frame outside the video": (_set("images.3.frame_id", FRAMES), "'images[3].frame_id'"),
    "negative frame": (_set("images.3.frame_id", -1), "'images[3].frame_id'"),
    "image nobody has": (_set("annotations.0.image_id", 99), "'annotations[0].image_id'"),
    "no track": (_without_track, "'annotations[0].track_id'"),
    "track that is no number": (_set("annotations.0.track_id", "x"), "'annotations[0].track_id'"),
    "limb to an unknown joint": (_set("categories.0.skeleton", [[1, 3]]), "'categories[0]"),
    "joint named twice": (_set("categories.0.keypoints", ["tip", "tip"]), "'categories[0]"),
    "category nobody has": (_set("annotations.0.category_id", 5), "'annotations[0].category_id'"),
    "annotation id twice": (_set("annotations.1.id", 10), "'annotations[1].id'"),
    "person twice in a frame": (_set("annotations.1.track_id", 1), "'annotations[1].track_id'"),
    "NaN": (_set("annotations.0.keypoints.0", float("nan")), "'annotations[0].keypoints[0]'"),
    "infinity": (_set("annotations.0.keypoints.1", float("inf")), "'annotations[0].keypoints[1]'"),
    "far outside": (_set("annotations.0.keypoints.0", 1e5), "'annotations[0].keypoints"),
    "too few joints": (_set("annotations.0.keypoints", [1, 2, 2]), "'annotations[0].keypoints'"),
    "too many joints": (_set("annotations.0.keypoints", [1, 2, 2] * 3), "annotations[0].keypoints"),
    "wider video": (_set("videos.0.width", WIDTH + 2), "'v.mp4' (96×64, 12 frames), got one of"),
    "longer video": (_set("videos.0.n_frames", FRAMES + 1), "(96×64, 13 frames)"),
    "nobody marked": (_set("annotations", []), "to hold human points or detected ones, got none"),
    "no list": (_set("annotations", {}), "'annotations'"),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
def test_bad_anchors_are_refused_by_name(case, video, anchors, out):
    change, field = BAD_DOCUMENTS[case]
    document = small_document()
    change(document)
    anchors.write_text(json.dumps(document))
    result = impose("propagate", video, "--anchors", anchors, "--out", out, "--json")
    assert result.exit_code == 2
    assert field in error_of(result)["message"]
    assert not out.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"1e9999"])
def test_files_that_are_no_documents_are_refused(content, video, anchors, out):
    anchors.write_bytes(content)
    result = impose("propagate", video, "--anchors", anchors, "--out", out)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: Expected ")
    assert result.stdout == ""


def test_anchors_that_are_missing_are_refused(video, out, tmp_path):
    result = impose("propagate", video, "--anchors", tmp_path / "none.json", "--out", out)
    assert (result.exit_code, "none.json" in result.stderr) == (2, True)


@pytest.mark.parametrize("kind", ["missing", "text", "empty file", "empty folder"])
def test_what_is_not_a_video_is_refused(kind, anchors, out, tmp_path):
    path = tmp_path / "clip"
    if kind == "empty folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("no pixels" * 100 if kind == "text" else "")
    result = impose("propagate", path, "--anchors", anchors, "--out", out, "--json")
    assert result.exit_code == 3
    assert error_of(result)["code"] == "media"
    assert not out.exists()


def test_a_truncated_video_is_used_as_far_as_it_goes_with_a_warning(anchors, out, tmp_path):
    clip = cut_off(write_video(tmp_path / "v.mkv", numbered_frames(FRAMES)), 0.6)
    refused = impose("propagate", clip, "--anchors", anchors, "--out", out)
    assert refused.exit_code == 2
    assert "truncated" in refused.stderr.partition("hint: ")[2]  # why the lengths differ
    document = small_document()
    del document["videos"][0]["n_frames"], document["annotations"][2:], document["images"][1:]
    anchors.write_text(json.dumps(document))
    result = impose("propagate", clip, "--anchors", anchors, "--out", out, "--json")
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == 1
    (note,) = json.loads(result.stdout)["notes"]
    assert note in result.stderr
    assert 0 < len(read_document(out).tracks) < FRAMES


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (0, 100), (7, 6), (100, 100)])
def test_ranges_outside_the_video_are_refused(first, last, out):
    result = impose(
        *("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--json"),
        *("--from", first, "--to", last),
    )
    assert result.exit_code == 2
    assert error_of(result)["code"] == "frame_out_of_range"


def test_unknown_options_are_usage_errors(out):
    assert impose("propagate", CLIP, "--out", out).exit_code == 2
    assert impose("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--oops", out).exit_code == 2


# --- outputs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--out", "--overlay", "--sheet", "--plot", "--journal"])
def test_outputs_that_cannot_be_written_are_refused_before_the_video_is_opened(
    option, anchors, out, tmp_path, monkeypatch
):
    def never(_):
        raise AssertionError

    monkeypatch.setattr(propagate, "open_frames", never)
    suffix = {"--overlay": ".mp4", "--sheet": ".png", "--plot": ".png"}.get(option, ".json")
    folder, blocked = tmp_path / f"folder{suffix}", tmp_path / "file" / f"x{suffix}"
    folder.mkdir()
    blocked.parent.touch()
    for path in (folder, blocked, tmp_path / "missing" / f"x{suffix}"):
        given = {"--out": out, option: path}
        flat = [word for pair in given.items() for word in pair]
        result = impose("propagate", CLIP, "--anchors", anchors, "--json", *flat)
        assert result.exit_code == 2
        assert error_of(result)["code"] == "output"
        assert option in error_of(result)["message"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_refused(anchors, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    result = impose("propagate", CLIP, "--anchors", anchors, "--out", folder / "x.json", "--json")
    assert error_of(result)["code"] == "output"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_what_is_no_regular_file_is_never_replaced(anchors, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = impose("propagate", CLIP, "--anchors", anchors, "--out", pipe)
    assert result.exit_code == 2
    assert pipe.is_fifo()


def test_inputs_are_never_overwritten(video, anchors, out, tmp_path):
    before = video.read_bytes(), anchors.read_bytes()
    twin = tmp_path / "twin.json"
    twin.hardlink_to(anchors)
    linked = tmp_path / "linked.mp4"
    linked.symlink_to(video)
    propagating = ("propagate", video, "--anchors", anchors)
    for options in (
        (*propagating, "--out", anchors),
        (*propagating, "--out", tmp_path / "x" / ".." / "anchors.json"),
        (*propagating, "--out", twin),
        (*propagating, "--out", video),
        (*propagating, "--out", out, "--overlay", linked),
        (*propagating, "--out", out, "--journal", anchors),
        (*propagating, "--out", out, "--journal", out),
        ("show", video, anchors, "--overlay", video),
    ):
        result = impose(*options)
        assert result.exit_code == 2
        assert "error: Expected '--" in result.stderr
    assert (video.read_bytes(), anchors.read_bytes()) == before
    assert not out.exists()


def test_pictures_stay_out_of_the_folder_of_frames(anchors, out, tmp_path):
    cv2.imwrite(str(tmp_path / "img0.png"), numbered_frames(1)[0])
    for name in ("img0.png", "sheet.png"):
        sheet = tmp_path / name
        result = impose("propagate", tmp_path, "--anchors", anchors, "--out", out, "--sheet", sheet)
        assert result.exit_code == 2
        assert "taken for a frame" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes there")
def test_a_full_disk_leaves_the_old_result_and_no_debris(out, tmp_path):
    out.write_text("old")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    result = run(limit, "propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--to", 40)
    assert result.returncode == 2
    assert "error: " in result.stderr
    assert "Traceback" not in result.stderr
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


# --- interrupts ------------------------------------------------------------------------------

INTERRUPTED = """
import signal
from impose_core.cli import propagate

signal.signal(signal.SIGINT, signal.default_int_handler)
inner = propagate.progress


def interrupted(items, *, total, what):
    for count, item in enumerate(inner(items, total=total, what=what)):
        if what == "{what}" and count == 15:
            signal.raise_signal(signal.{name})
        yield item


propagate.progress = interrupted
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process there")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_keeps_the_frames_done_and_every_human_point(name, out, tmp_path):
    code = INTERRUPTED.format(name=name, what="propagate")
    overlay = tmp_path / "overlay.mp4"
    arguments = (
        "propagate",
        CLIP,
        *TRACKS,
        "--anchors",
        ANCHORS,
        "--out",
        out,
        "--overlay",
        overlay,
    )
    result = run(code, *arguments)
    assert result.returncode == 130
    assert "error: Stopped with frames 0 to 14 of 0 to 99 done" in result.stderr
    assert "Traceback" not in result.stderr
    assert human_points(out) == human_points(ANCHORS)
    tracks = read_document(out).tracks
    done = np.flatnonzero((tracks.origin == Origin.PROPAGATED).any((1, 2)))
    assert done.tolist() == list(range(1, 15))  # frame 0 is all human
    assert list(tmp_path.iterdir()) == [out]


def test_an_interrupt_half_way_through_writing_a_frame_loses_no_human_point(out, monkeypatch):
    inner, seen = ledger._write_mark, set()

    def interrupted(tracks, mark, at, **options):
        # the first time is the loading of the marks, the second their way into the estimate
        if at[0] == 20 and at in seen:
            raise KeyboardInterrupt
        seen.add(at)
        inner(tracks, mark, at, **options)

    monkeypatch.setattr(ledger, "_write_mark", interrupted)
    result = impose("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--json")
    assert result.exit_code == 130
    assert error_of(result)["code"] == "cancelled"
    assert human_points(out) == human_points(ANCHORS)


def test_an_interrupt_while_drawing_keeps_the_whole_result(out, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(propagate, "write_sheet", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    result = impose(
        *("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out, "--to", 9),
        *("--sheet", tmp_path / "sheet.png"),
    )
    assert result.exit_code == 130
    assert f"{out} is complete" in result.stderr
    assert (read_document(out).tracks.origin[:10] > 0).any((1, 2)).all()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_before_anything_was_done_says_so(out, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(propagate, "open_frames", interrupted)
    result = impose("propagate", CLIP, *TRACKS, "--anchors", ANCHORS, "--out", out)
    assert (result.exit_code, out.exists()) == (130, False)
    assert "nothing was written" in result.stderr


# --- the rest --------------------------------------------------------------------------------


def test_every_error_has_its_exit_code():
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.ImposeError) and kind is not errors.ImposeError
    ]
    codes = {kind.__name__: exit_code(kind("so")) for kind in kinds}
    assert codes["BadDocument"] == codes["OutputError"] == codes["StateError"] == 2
    assert codes["MediaError"] == 3
    assert codes["ChecksumMismatch"] == codes["WeightsError"] == 4
    assert codes["DeviceError"] == 5
    assert codes["Cancelled"] == 130
    assert 1 not in codes.values()


def test_the_doctor_tries_what_it_reports():
    result = impose("doctor", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["healthy"] is True
    assert 0 <= report["engines"][0]["error_px"] < 0.1
    assert report["video"]["works"] is True
    assert {package["name"] for package in report["packages"]} >= {"numpy", "scipy", "av"}
    assert all(package["licence"] for package in report["packages"])
    text = impose("doctor").stdout
    assert "lucas_kanade" in text
    assert "all well" in text


def test_the_doctor_notices_a_tracker_that_stands_still(monkeypatch):
    still = lambda self, a, b, xy: PointSteps(xy=xy, error=np.zeros(len(xy)))  # noqa: E731
    monkeypatch.setattr(LucasKanade, "step", still)
    result = impose("doctor")
    assert result.exit_code == 5
    assert "FAILS" in result.stdout


def test_the_doctor_notices_a_video_that_cannot_be_written(monkeypatch):
    def refuse(*_, **__):
        raise errors.OutputError("Expected an encoder, got none.")

    monkeypatch.setattr(doctor_report, "write_video", refuse)
    report = json.loads(impose("doctor", "--json").stdout)
    assert (report["healthy"], report["video"]["works"]) == (False, False)


def test_a_part_that_does_not_load_is_an_error_without_a_traceback():
    result = run("import sys; sys.modules['av'] = None", "doctor", "--json")
    assert result.returncode == 5
    assert json.loads(result.stdout)["error"]["code"] == "broken_install"
    assert result.stderr == ""


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "impose_core", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == f"impose {doctor_report.version()}\n"
    assert impose("--version").stdout == result.stdout


def test_the_demo_is_small_and_its_corrections_are_its_labels():
    assert CLIP.stat().st_size < 700_000
    labels, corrections = (
        read_document(DEMO / name).tracks for name in ("labels.json", "anchors.json")
    )
    marked = np.flatnonzero((corrections.origin == Origin.HUMAN).any((1, 2)))
    assert marked.tolist() == [0, 20, 40, 60, 80, 99]
    assert corrections.xy[marked].tobytes() == labels.xy[marked].tobytes()
    with open_frames(CLIP) as frames:
        assert (len(frames), frames.width, frames.height, frames.fps) == (100, 544, 960, 60)
