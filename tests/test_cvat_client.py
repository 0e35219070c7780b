"""``impose cvat`` against a small CVAT on loopback, through the real SDK."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("cvat_sdk", reason="needs impose[cvat]")

from cvat_server import (
    FRAMES,
    LINE,
    TOKEN,
    FakeCvat,
    drag,
    drawn,
    keyframes,
    profile_at,
    serving,
    shown,
    sliding_board,
)

from cvat_function.client.labels import client_label
from impose_core.cli.app import app
from impose_core.evaluation.oks import keypoint_similarity
from impose_core.frames import ArrayFrames
from impose_core.poses import Origin, PoseTracks
from impose_core.session import Session


@pytest.fixture
def clip():
    return sliding_board()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("CVAT_ACCESS_TOKEN", "CVAT_SERVER", "CVAT_USERNAME", "CVAT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("IMPOSE_CVAT_BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", TOKEN)


def impose(*arguments: str) -> tuple[int, dict, str]:
    result = CliRunner().invoke(app, ["cvat", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    lines = result.stdout.strip().splitlines()
    found = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return result.exit_code, found, result.output


def propagate(url: str, *arguments: str) -> dict:
    code, report, output = impose(
        "propagate", "--job", "7", "--server", url, "--reader", "none", "--json", *arguments
    )
    assert code == 0, output
    return report


def core_says(images, anchors: dict[int, np.ndarray], frames) -> np.ndarray:
    """[T, K, 2] of the core alone for one person's anchors, by index."""
    source = ArrayFrames(np.stack([images[t] for t in frames]))
    tracks = PoseTracks.empty(frames=len(frames), track_id=[1], skeleton=LINE)
    for t, xy in anchors.items():
        tracks.xy[t, 0], tracks.visibility[t, 0] = xy, 2
        tracks.origin[t, 0] = Origin.HUMAN
    session = Session(source, skeleton=LINE)
    session.load(tracks)
    list(session.propagate())
    return session.tracks.xy[:, 0]


@pytest.mark.parametrize("video", [False, True], ids=["images", "video"])
def test_two_persons_are_carried_to_all_frames_and_human_keyframes_stay(clip, video):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE), video=video)
    cvat.save(
        [drawn(cvat, points, (0, 29), identity="ann"), drawn(cvat, points, (0, 29), person=1)]
    )
    human = [keyframes(track) for track in cvat.tracks()]
    with serving(cvat) as url:
        report = propagate(url)
    after = cvat.tracks()
    assert report["persons"] == ["ann", "1"]
    assert report["chunks"] == 3  # not one call per frame
    names = [
        next(a["value"] for a in t["attributes"] if a["spec_id"] == cvat.spec("id")) for t in after
    ]
    assert sorted(names) == ["1", "ann"]
    for person, track in enumerate(after):
        held = keyframes(track)
        assert {key: held[key] for key in human[person]} == human[person]
        error = np.linalg.norm(shown(cvat, track, range(FRAMES)) - points[:, person], axis=-1)
        assert error.max() < 1.5
    assert 0 < report["keyframes"] < report["shown"]
    assert report["saved"] == report["shown"] - report["keyframes"]


def test_what_cvat_shows_is_the_cores_result_within_the_tolerance(clip):
    images, points = clip
    for tolerance in (0.5, 0.05, 0.0):
        cvat = FakeCvat(images, client_label(LINE))
        cvat.save([drawn(cvat, points, (0, 15, 29))])
        with serving(cvat) as url:
            report = propagate(url, "--tolerance", str(tolerance))
        expected = core_says(
            images, {t: points[t, 0] + 0.123456789 for t in (0, 15, 29)}, range(FRAMES)
        )
        error = np.linalg.norm(shown(cvat, cvat.tracks()[0], range(FRAMES)) - expected, axis=-1)
        assert error.max() <= max(tolerance, 0.0075)
        if tolerance == 0.5:
            assert report["keyframes"] < report["shown"] / 2


def test_running_again_changes_nothing_and_duplicates_nobody(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29)), drawn(cvat, points, (3, 20), person=1)])
    with serving(cvat) as url:
        first = propagate(url)
        held, saves = cvat.tracks(), cvat.saves
        second = propagate(url)
    assert first["written"]
    assert not second["written"]
    assert cvat.saves == saves
    assert cvat.tracks() == held


def test_a_moved_joint_is_kept_and_carried(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    with serving(cvat) as url:
        propagate(url)
        (track,) = cvat.tracks()
        moved = drag(cvat, track, frame=14, joint="tail", by=(5.0, -3.0))
        cvat.save([track])
        propagate(url)
        (after,) = cvat.tracks()
        assert keyframes(after)[moved["key"]] == moved["shape"]
        again = propagate(url)
    assert not again["written"]
    tail = shown(cvat, after, [13, 14, 15])[:, 2]
    assert np.linalg.norm(tail[1] - tail[[0, 2]].mean(0)) < 3  # its neighbours came along


def test_of_a_touched_frame_only_the_moved_joint_is_fixed_if_asked(clip):
    images, points = clip
    for pin, pinned in (("frame", 3), ("moved", 1)):
        cvat = FakeCvat(images, client_label(LINE))
        cvat.save([drawn(cvat, points, (0, 29))])
        with serving(cvat) as url:
            propagate(url)
            (track,) = cvat.tracks()
            drag(cvat, track, frame=14, joint="tail", by=(5.0, -3.0))
            cvat.save([track])
            report = propagate(url, "--pin", pin)
        assert report["human_keyframes"] == 6 + pinned


def test_a_dragged_joint_on_a_keyframe_written_here_is_a_humans_too(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    with serving(cvat) as url:
        propagate(url, "--tolerance", "0")
        (track,) = cvat.tracks()
        assert len(keyframes(track)) == 3 * FRAMES
        moved = drag(cvat, track, frame=14, joint="tail", by=(0.02, 0.0))
        cvat.save([track])
        report = propagate(url, "--pin", "moved")
    assert report["human_keyframes"] == 7
    assert keyframes(cvat.tracks()[0])[moved["key"]] == moved["shape"]


def test_a_frame_that_somebody_confirmed_is_theirs(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    with serving(cvat) as url:
        propagate(url)
        (track,) = cvat.tracks()
        drag(cvat, track, frame=10, joint="tail", by=(0, 0))  # the star: keyframes, nothing moves
        track["shapes"] = [s for s in track["shapes"] if s["frame"] != 10]
        track["shapes"].append({"type": "skeleton", "frame": 10, "points": [], "outside": False,
                                "occluded": False, "z_order": 0, "rotation": 0.0,
                                "attributes": []})  # fmt: skip
        cvat.save([track])
        report = propagate(url, "--pin", "moved")
    assert report["human_keyframes"] == 9


def test_only_the_frames_asked_for_change(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    before = shown(cvat, cvat.tracks()[0], range(FRAMES))
    with serving(cvat) as url:
        propagate(url, "--from", "10", "--to", "19")
    after = shown(cvat, cvat.tracks()[0], range(FRAMES))
    outside = [*range(10), *range(20, 30)]
    assert np.abs(after[outside] - before[outside]).max() <= 0.0051
    assert np.abs(after[10:20] - before[10:20]).max() > 1


def test_a_job_inside_its_task_with_deleted_frames(clip):
    images, points = clip
    for old in (False, True):
        cvat = FakeCvat(
            images, client_label(LINE), start=7, stop=24, chunk=6, deleted=(12, 13), old=old
        )
        cvat.save([drawn(cvat, points, (7, 12, 24))])
        human = keyframes(cvat.tracks()[0])
        with serving(cvat) as url:
            report = propagate(url)
        frames = [t for t in range(7, 25) if t not in cvat.deleted]
        (track,) = cvat.tracks()
        held = keyframes(track)
        assert {key: held[key] for key in human} == human  # also that on a deleted frame
        expected = core_says(
            images, {0: points[7, 0] + 0.123456789, 15: points[24, 0] + 0.123456789}, frames
        )
        assert np.abs(shown(cvat, track, frames) - expected).max() <= 0.5
        assert report["frames"] == 16
        assert min(t for _, t in held) == 7
        assert max(t for _, t in held) == 24


def test_a_persons_end_is_outside_on_the_skeleton_and_all_joints(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    gone = np.full((3, 2), np.nan)
    cvat.save([cvat.skeleton({2: points[2, 0], 18: gone})])
    with serving(cvat) as url:
        propagate(url)
    (track,) = cvat.tracks()
    assert track["frame"] == 2
    for element in track["elements"]:
        last = max(element["shapes"], key=lambda shape: shape["frame"])
        assert (last["frame"], last["outside"]) == (18, True)
    last = max(track["shapes"], key=lambda shape: shape["frame"])
    assert (last["frame"], last["outside"]) == (18, True)


def test_who_leaves_the_image_is_ended(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([cvat.skeleton({0: points[0, 0] + (78, 0)})])
    with serving(cvat) as url:
        propagate(url)
    (track,) = cvat.tracks()
    last = max(track["shapes"], key=lambda shape: shape["frame"])
    assert last["outside"]
    assert all(
        {s["frame"]: s["outside"] for s in element["shapes"]}[last["frame"]]
        for element in track["elements"]
    )


def test_a_skeleton_drawn_on_one_frame_is_an_anchor_of_whom_it_names(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0,), identity="ann")])
    shape = {
        "type": "skeleton", "frame": 29, "label_id": cvat.label["id"], "points": [], "group": 0,
        "source": "manual", "attributes": [{"spec_id": cvat.spec("id"), "value": "ann"}],
        "elements": [
            {"type": "points", "frame": 29, "label_id": cvat.joint(name), "outside": False,
             "points": points[29, 0, k].tolist(), "attributes": []}
            for k, name in enumerate(LINE.keypoints)
        ],
    }  # fmt: skip
    nameless = {**shape, "attributes": []}
    cvat.annotations["shapes"] = [{**shape, "id": 1}, {**nameless, "id": 2}]
    with serving(cvat) as url:
        report = propagate(url)
        again = propagate(url)
    assert report["shapes_without_id"] == 1
    assert report["human_keyframes"] == 6
    assert not again["written"]
    assert np.abs(shown(cvat, cvat.tracks()[0], [29])[0] - points[29, 0]).max() == 0
    assert len(cvat.annotations["shapes"]) == 2


def test_a_dry_run_writes_nothing(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    before, saves = cvat.tracks(), cvat.saves
    with serving(cvat) as url:
        report = propagate(url, "--dry-run")
    assert (cvat.tracks(), cvat.saves) == (before, saves)
    assert not [line for line in cvat.log if not line.startswith("GET")]
    assert report["keyframes"] > 6
    assert report["backup"] is None


def test_what_was_there_is_kept_and_comes_back(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    before = keyframes(cvat.tracks()[0])
    with serving(cvat) as url:
        report = propagate(url)
        assert keyframes(cvat.tracks()[0]) != before
        code, _, output = impose("restore", report["backup"], "--job", "7", "--server", url)
        assert code == 0, output
        assert keyframes(cvat.tracks()[0]) == before
        code, _, output = impose("restore", report["backup"], "--job", "8", "--server", url)
        assert code == 2
        assert "Expected 'job'" in output


def test_somebody_who_saves_meanwhile_loses_nothing(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    moved = {}
    with serving(cvat) as url:
        propagate(url)

        def save_now() -> None:
            cvat.after_read = None
            (track,) = cvat.tracks()
            moved.update(drag(cvat, track, frame=14, joint="head", by=(2.0, 2.0)))
            cvat.save([track])

        (track,) = cvat.tracks()
        drag(cvat, track, frame=20, joint="tail", by=(3.0, 0.0))
        cvat.save([track])
        cvat.after_read = save_now
        report = propagate(url)
    assert report["rounds"] == 2
    (after,) = cvat.tracks()
    assert keyframes(after)[moved["key"]] == moved["shape"]


def test_a_save_between_the_last_look_and_the_write_is_merged(clip):
    """Neither update finds the other's track, so the server holds two of one person."""
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    moved = {}
    with serving(cvat) as url:
        propagate(url)
        (track,) = cvat.tracks()
        first = drag(cvat, track, frame=20, joint="tail", by=(3.0, 0.0))
        cvat.save([track])

        def save_late() -> None:
            (late,) = cvat.tracks()
            moved.update(drag(cvat, late, frame=20, joint="tail", by=(4.0, 0.0)))
            cvat.save([late])

        cvat.before_write = save_late
        report = propagate(url)
    assert report["rounds"] == 2
    (after,) = cvat.tracks()
    assert moved["key"] == first["key"]
    assert keyframes(after)[moved["key"]] == moved["shape"]  # the newer one


def test_a_browser_that_was_not_reloaded_leaves_one_person(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29), identity="ann")])
    with serving(cvat) as url:
        propagate(url)
        (stale,) = cvat.tracks()
        (track,) = cvat.tracks()
        one = drag(cvat, track, frame=20, joint="tail", by=(3.0, 0.0))
        cvat.save([track])
        propagate(url)
        two = drag(cvat, stale, frame=8, joint="head", by=(0.0, 2.5))
        cvat.save([stale])  # its id is gone: CVAT makes a second track
        assert len(cvat.tracks()) == 2
        propagate(url)
    (after,) = cvat.tracks()
    for moved in (one, two):
        assert keyframes(after)[moved["key"]] == moved["shape"]


def test_two_persons_who_share_an_identity_are_not_mixed_up(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29), person=n, identity="ann") for n in (0, 1)])
    before = cvat.tracks()
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url)
    assert code == 2
    assert "'ann'" in output
    assert cvat.tracks() == before


def test_an_answer_that_is_lost_is_no_second_person(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29)), drawn(cvat, points, (0, 29), person=1)])
    cvat.lost_answers = 1
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url, "--reader", "none")
        assert code == 1
        assert "got 502" in output
        report = propagate(url)
    assert len(cvat.tracks()) == 2
    assert not report["written"]  # it had arrived


def test_whoever_keeps_saving_is_left_alone(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29))])
    count = iter(range(10_000))

    def busy() -> None:
        track = cvat.annotations["tracks"][0]
        track["group"] = next(count) + 1

    cvat.after_read = busy
    with serving(cvat) as url:
        code, report, _ = impose(
            "propagate", "--job", "7", "--server", url, "--reader", "none", "--json"
        )
    assert code == 1
    assert report["error"]["code"] == "cvat_conflict"
    assert not [line for line in cvat.log if line.startswith("PATCH")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "ground_truth"}, "ground truth of task 3"),
        ({"included": [1, 5, 9]}, "frames that follow each other"),
        ({"sizes": [(160, 140), (80, 70)]}, "80 x 70, 160 x 140"),
        ({"deleted": list(range(FRAMES))}, "30 deleted ones"),
    ],
)
def test_jobs_nobody_can_work_on_are_refused(clip, change, said):
    cvat = FakeCvat(clip[0], client_label(LINE))
    for name, value in change.items():
        setattr(cvat, name, value)
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url)
    assert code == 2
    assert said in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "5", "--to", "4"], "'--from'"),
        (["--to", "30"], "'--to' <= 29"),
        (["--engine", "remote"], "function:NAME"),
        (["--pin", "all"], "frame or moved"),
        (["--label", "dog"], "'dog'"),
        (["--job", "8"], "404"),
    ],
)
def test_options_that_make_no_sense_name_themselves(clip, arguments, said):
    cvat = FakeCvat(clip[0], client_label(LINE))
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url, *arguments)
    assert code == 2
    assert said in " ".join(output.split())


def test_a_job_without_anybody_says_what_to_do(clip):
    cvat = FakeCvat(clip[0], client_label(LINE))
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url)
    assert code == 2
    assert "impose cvat detect" in " ".join(output.split())


def test_missing_attributes_are_made_or_explained(clip):
    images, points = clip
    bare = {**client_label(LINE), "attributes": []}
    cvat = FakeCvat(images, bare)
    cvat.save([drawn(cvat, points, (0, 29))])
    with serving(cvat) as url:
        code, _, output = impose("propagate", "--job", "7", "--server", url)
        assert code == 2
        assert "id, origin, impose" in " ".join(output.split())
        assert "--add-attributes" in output
        cvat.owner = False
        code, _, output = impose("propagate", "--job", "7", "--server", url, "--add-attributes")
        assert code == 1
        assert "ask the owner" in " ".join(output.split())
        cvat.owner = True
        report = propagate(url, "--add-attributes")
    assert report["written"]
    assert [one["name"] for one in cvat.label["attributes"]] == ["id", "origin", "impose"]


def test_the_token_is_sent_and_never_said(clip, monkeypatch, tmp_path, caplog):
    cvat = FakeCvat(clip[0], client_label(LINE))
    with serving(cvat) as url, caplog.at_level("DEBUG"):
        code, report, output = impose("status", "--job", "7", "--server", url, "--json")
        assert (code, report["persons"]) == (0, [])
        monkeypatch.setenv("CVAT_ACCESS_TOKEN", "wrong-but-secret")
        code, _, refused = impose("status", "--job", "7", "--server", url)
        assert code == 1
        monkeypatch.delenv("CVAT_ACCESS_TOKEN")
        code, _, nobody = impose("status", "--job", "7", "--server", url)
        assert code == 2
        assert "CVAT_ACCESS_TOKEN" in nobody
        profile_at(None, url, TOKEN)
        code, _, by_profile = impose("status", "--job", "7")
        assert code == 0
        code, _, named = impose("status", "--job", "7", "--profile", "tests")
        assert code == 0
        code, _, unknown = impose("status", "--job", "7", "--profile", "other")
        assert code == 2
    said = output + refused + nobody + by_profile + named + unknown + caplog.text
    assert TOKEN not in said
    assert "wrong-but-secret" not in said


def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    code, _, output = impose("status", "--job", "7", "--server", "http://127.0.0.1:9")
    assert code == 1
    assert "Expected an answer about job 7" in " ".join(output.split())


def test_status_tells_what_changed_since(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([drawn(cvat, points, (0, 29), identity="ann")])
    with serving(cvat) as url:
        propagate(url)
        (track,) = cvat.tracks()
        drag(cvat, track, frame=14, joint="tail", by=(5.0, 0.0))
        cvat.save([track])
        saves = cvat.saves
        _, report, _ = impose("status", "--job", "7", "--server", url, "--json")
        _, _, table = impose("status", "--job", "7", "--server", url)
    (person,) = report["persons"]
    assert (person["id"], person["first"], person["last"]) == ("ann", 0, 29)
    assert person["human_frames"] == [0, 14, 29]
    assert person["new_frames"] == [14]
    assert "1 changed since" in table
    assert cvat.saves == saves


def test_oks_is_that_of_the_core(clip):
    images, points = clip
    cvat = FakeCvat(images, client_label(LINE))
    cvat.save([cvat.skeleton({t: points[t, 0] for t in (0, 29)})])
    with serving(cvat) as url:
        propagate(url, "--tolerance", "0")
    expected = core_says(images, {t: points[t, 0] for t in (0, 29)}, range(FRAMES))
    figures = [
        keypoint_similarity(
            xy, points[:, 0], area=np.full(FRAMES, 400.0), sigmas=np.array(LINE.sigmas)
        ).mean()
        for xy in (shown(cvat, cvat.tracks()[0], range(FRAMES)), expected)
    ]
    assert figures[0] == pytest.approx(figures[1], abs=1e-4)
