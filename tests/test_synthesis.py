"""Rendered clips: the truth must be the truth, or every benchmark on them lies."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from impose_core.errors import UsageError
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import COCO17
from impose_core.synthesis import (
    DIFFICULTIES,
    Scene,
    SceneConfig,
    difficulty,
    iter_frames,
    render,
)
from impose_core.synthesis.body import PARTS
from impose_core.synthesis.raster import SUPERSAMPLE, Canvas, Solids
from impose_core.synthesis.stage import build_stage

SMALL = SceneConfig(seed=3, frames=4, width=160, height=96, persons=2, camera=1.0, blur=2, jpeg=70)


@pytest.fixture(scope="module")
def easy() -> Scene:
    return render(difficulty("easy", 0, frames=12))


def flow_errors(scene: Scene) -> np.ndarray:
    """Distance in pixels between Lucas-Kanade and the truth, visible joints, frame to frame."""
    tracks, errors = scene.tracks, []
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in scene.frames]
    for t in range(len(grey) - 1):
        seen = (tracks.visibility[t : t + 2] == Visibility.VISIBLE).all(axis=0)
        # OpenCV has pixel centres at integers
        start = (tracks.xy[t][seen] - 0.5).astype(np.float32)[:, None]
        found = cv2.calcOpticalFlowPyrLK(
            grey[t], grey[t + 1], start, None, winSize=(21, 21), maxLevel=3
        )[0]
        errors.append(np.linalg.norm(found[:, 0] + 0.5 - tracks.xy[t + 1][seen], axis=1))
    return np.concatenate(errors)


def test_same_config_gives_the_same_bytes():
    first, second = render(SMALL), render(SMALL)
    assert first.frames.tobytes() == second.frames.tobytes()
    assert first.tracks.xy.tobytes() == second.tracks.xy.tobytes()
    assert first.tracks.visibility.tobytes() == second.tracks.visibility.tobytes()


def test_another_seed_gives_another_clip():
    assert not np.array_equal(render(SMALL).frames, render(replace(SMALL, seed=4)).frames)


def test_lucas_kanade_agrees_with_the_truth_on_an_easy_clip(easy: Scene):
    assert np.median(flow_errors(easy)) < 0.5


def test_lucas_kanade_agrees_with_the_truth_under_a_moving_camera():
    scene = render(difficulty("camera", 1, frames=8))
    assert np.median(flow_errors(scene)) < 0.5


def test_a_capsule_lies_where_its_centre_projects():
    """Half a pixel between renderer and truth would spoil every sub-pixel figure."""
    canvas, focal = Canvas(64, 48), 100.0
    centre = np.array([0.0113, -0.0071, 1.5])
    ball = Solids(
        base=centre[None, None],
        rotation=np.eye(3)[None, None],
        radius=np.full((1, 3), 0.1),
        length=np.array([1e-6]),
        ratio=np.ones(1),
        textures=(np.full((8, 8, 3), 255, np.uint8),),
    )
    canvas.clear(np.zeros((4, 4, 3), np.uint8), np.eye(3))
    canvas.draw(ball, 0, focal)
    sample = np.argwhere(canvas.owner == 0).mean(axis=0)[::-1]
    expected = centre[:2] / centre[2] * focal + (32, 24)
    assert np.allclose((sample + 0.5) / SUPERSAMPLE, expected, atol=0.05)


def test_background_lies_where_its_matrix_says():
    canvas, dot = Canvas(64, 48), np.zeros((48, 64, 3), np.uint8)
    dot[20, 30] = 255
    canvas.clear(dot, np.eye(3))
    light = canvas.image()[..., 0]
    y, x = np.mgrid[0:48, 0:64] + 0.5
    assert np.average(x, weights=light) == pytest.approx(30.5, abs=0.05)
    assert np.average(y, weights=light) == pytest.approx(20.5, abs=0.05)


def test_ledger_is_what_a_human_would_hand_in(easy: Scene):
    tracks = easy.tracks
    present = tracks.visibility != Visibility.ABSENT
    assert tracks.skeleton == COCO17
    assert tracks.track_id.tolist() == [1, 2, 3]
    assert (tracks.origin == Origin.HUMAN).all()
    assert np.isfinite(tracks.xy[present]).all()
    assert (tracks.deviation[present] == 0).all()
    assert (tracks.score[present] == 1).all()


def test_easy_clip_shows_most_joints_and_hides_some(easy: Scene):
    visible = (easy.tracks.visibility == Visibility.VISIBLE).mean()
    assert 0.55 < visible < 0.95


def test_face_is_occluded_when_the_head_is_turned_away():
    tracks = render(SceneConfig(seed=0, frames=40, fps=7, width=320, height=180, persons=1)).tracks
    nose, ears = (
        tracks.visibility[:, 0, COCO17.index("nose")],
        tracks.visibility[:, 0, [COCO17.index("left_ear"), COCO17.index("right_ear")]],
    )
    # walking in a circle, the nose must come and go; ears are never both hidden by the head
    assert {Visibility.VISIBLE, Visibility.OCCLUDED} <= set(nose.tolist())
    assert (ears == Visibility.VISIBLE).any(axis=1).mean() > 0.9


def test_people_cross_in_the_middle_of_a_crossing_clip():
    config = replace(difficulty("crossing", 2, frames=20), fps=10, width=160, height=90)
    box = render(config).tracks.box
    middle = (box[..., 0] + box[..., 2]) / 2
    going = np.sign(middle[-1] - middle[0])
    assert set(going.tolist()) == {-1.0, 1.0}
    spread = middle.max(axis=1) - middle.min(axis=1)
    assert spread[len(spread) // 2] < 0.6 * spread[0]


def test_posts_hide_joints_that_are_seen_without_them():
    bare = SceneConfig(seed=5, frames=3, width=320, height=180, persons=3)
    hidden = render(bare).tracks.visibility == Visibility.OCCLUDED
    posted = render(replace(bare, occluders=6)).tracks
    more = posted.visibility == Visibility.OCCLUDED
    assert (more | ~hidden).all()
    assert more.sum() > hidden.sum()


def test_joints_outside_the_image_are_absent_and_unknown():
    tall = SceneConfig(seed=1, frames=6, width=40, height=240, persons=3)
    tracks = render(tall).tracks
    absent = tracks.visibility == Visibility.ABSENT
    assert absent.any()
    assert np.isnan(tracks.xy[absent]).all()
    x, y = tracks.xy[~absent].T
    assert ((x >= 0) & (x < 40) & (y >= 0) & (y < 240)).all()


def test_same_clothes_are_the_same_and_others_differ():
    def torso(person: int, config: SceneConfig) -> np.ndarray:
        textures = build_stage(config, np.zeros(1)).solids.textures
        return textures[person * len(PARTS) + PARTS.index("torso")]

    twins = replace(SMALL, same_clothes=True)
    assert np.array_equal(torso(0, twins), torso(1, twins))
    assert not np.array_equal(torso(0, SMALL), torso(1, SMALL))


def test_motion_does_not_depend_on_how_it_is_filmed():
    sharp = render(replace(SMALL, blur=1, jpeg=None, noise=0, texture=0.15)).tracks
    assert np.array_equal(sharp.xy, render(SMALL).tracks.xy, equal_nan=True)


def test_blur_softens_a_fast_clip():
    fast = replace(SMALL, frames=1, motion="fast", camera=2.0, noise=0)

    def sharpness(blur: int) -> float:
        image = render(replace(fast, blur=blur)).frames[0]
        return float(cv2.Laplacian(image, cv2.CV_32F).var())

    assert sharpness(5) < 0.9 * sharpness(1)


def test_iter_frames_yields_what_render_stacks():
    scene = render(SMALL)
    for t, (image, truth) in enumerate(iter_frames(SMALL)):
        assert np.array_equal(image, scene.frames[t])
        assert np.array_equal(truth.xy[0], scene.tracks.xy[t], equal_nan=True)


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_every_difficulty_renders(name: str):
    config = replace(difficulty(name, 0, frames=2), width=160, height=90)
    scene = render(config)
    assert scene.frames.shape == (2, 90, 160, 3)
    assert scene.frames.std() > 10
    assert len(scene.tracks.track_id) == config.persons


def test_unknown_difficulty_is_named():
    with pytest.raises(UsageError, match=r"one of easy, .*, got 'hard'"):
        difficulty("hard", 0)


@pytest.mark.parametrize(
    "wrong", [{"persons": 0}, {"fps": 0.0}, {"motion": "swim"}, {"jpeg": 0}, {"blur": 0}]
)
def test_config_out_of_range_is_refused(wrong: dict[str, object]):
    with pytest.raises(UsageError, match=f"Expected '{next(iter(wrong))}'"):
        SceneConfig(seed=0, **wrong)
