"""MoveNet finds everybody, nobody where nobody is, and refuses what it cannot read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_body_tree import standing

from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.readers.movenet import MoveNet
from impose_core.readers.multipose import Bodies, bodies, fitted
from impose_core.readers.naming import columns, renamed
from impose_core.readers.people import as_bodies, as_seen, chosen, distinct
from impose_core.readers.protocol import Candidates
from impose_core.readers.views import cut
from impose_core.skeleton import COCO17, POSETRACK15, skeleton_from_names

CROP = Path(__file__).parent / "data" / "movenet" / "crop.png"
JOINTS = len(COCO17)


@pytest.fixture(scope="module")
def reader():
    return MoveNet(threads=1)


@pytest.fixture(scope="module")
def person():
    return cv2.cvtColor(cv2.imread(str(CROP)), cv2.COLOR_BGR2RGB)


def wall(rows, columns_, picture, tile):
    small = cv2.resize(picture, (tile, tile), interpolation=cv2.INTER_AREA)
    return np.tile(small, (rows, columns_, 1))


# --- heads -> bodies -------------------------------------------------------------------------


def heads_of(poses, shape=(40, 60)):
    """Heads that say exactly ``poses`` [N, K, 2], in cells."""
    joints = poses.shape[1]
    heads = {
        "center": np.full((1, *shape), -9.0, np.float32),
        "heatmap": np.full((joints, *shape), -9.0, np.float32),
        "offset": np.zeros((2 * joints, *shape), np.float32),
        "regress": np.zeros((2 * joints, *shape), np.float32),
    }
    for n, pose in enumerate(poses):
        x, y = pose.mean(0).astype(int)
        heads["center"][0, y, x] = 4 - n / 10
        for k, (px, py) in enumerate(pose):
            cx, cy = int(px), int(py)
            heads["heatmap"][k, cy, cx] = 3
            heads["offset"][2 * k : 2 * k + 2, cy, cx] = py - cy, px - cx
            heads["regress"][2 * k : 2 * k + 2, y, x] = py - y, px - x
    return heads


def test_bodies_are_read_exactly_from_heads_that_say_them():
    rng = np.random.default_rng(0)
    poses = np.array([[10, 10], [40, 12], [25, 28]])[:, None] + rng.uniform(-6, 6, (3, 5, 2))
    found = bodies(heads_of(poses), np.array([0.5, 0.5]))
    np.testing.assert_allclose(found.xy, poses * 4 / 0.5, atol=1e-4)
    assert (found.score > 0.9).all()
    assert (np.diff(found.center) < 0).all()


def test_sixty_bodies_are_sixty():
    middles = np.stack(np.meshgrid(np.arange(10), np.arange(6)), -1).reshape(60, 2) * 8.0 + 6
    poses = middles[:, None] + np.array([[0, 0], [-2, 1], [2, 1], [-1, 3], [1.5, 3.5]])
    found = bodies(heads_of(poses, (56, 90)), np.ones(2))
    assert len(found.xy) == 60
    best = np.linalg.norm(found.xy[:, None] - 4 * poses[None], axis=-1).max(-1).min(0)
    assert (best < 1e-3).all()


def test_heads_without_a_middle_have_no_body():
    found = bodies(heads_of(np.empty((0, 5, 2))), np.ones(2))
    assert found.xy.shape == (0, 5, 2)


def test_a_picture_is_scaled_and_padded_to_what_the_network_takes():
    picture, scale = fitted(np.full((100, 333, 3), 9, np.uint8), 384)
    assert picture.shape == (128, 384, 3)
    assert scale[0] == pytest.approx(384 / 333)
    assert (picture[:115] == 9).all()
    assert (picture[115:] == 0).all()


# --- bodies -> persons -----------------------------------------------------------------------


def body(x=100.0, y=100.0, size=50.0, seed=0):
    return np.array([x, y]) + np.random.default_rng(seed).uniform(-size, size, (JOINTS, 2))


def found(*poses, score=0.8):
    xy = np.array(poses).reshape(-1, JOINTS, 2)
    return Bodies(xy=xy, score=np.full(xy.shape[:2], score), center=np.ones(len(xy)))


def test_the_same_body_twice_is_one_and_its_mirror_image_too():
    mirrored = body()[COCO17.flip_index()]
    assert len(distinct(found(body(), body() + 2, mirrored)).xy) == 1
    assert len(distinct(found(body(), body(x=180))).xy) == 2


def test_each_joint_takes_the_candidate_that_is_likely_and_near():
    there = found(body())
    xy = np.full((1, JOINTS, 4, 2), np.nan)
    score = np.zeros((1, JOINTS, 4))
    xy[0, :, 0], score[0, :, 0] = body() + 300, 0.9  # a neighbour's
    xy[0, :, 1], score[0, :, 1] = body() + 3, 0.6
    xy[0, 5] = np.nan
    score[0, 5] = 0
    places, scores = chosen(there, Candidates(xy=xy, score=score))
    read = np.arange(JOINTS) != 5
    np.testing.assert_allclose(places[0, read], body()[read] + 3)
    np.testing.assert_allclose(places[0, 5], body()[5])
    assert scores[0, 5] <= 0.05


def test_persons_are_ordered_from_left_to_right_however_they_came():
    poses = np.array([body(x=500), body(x=100), body(x=300)])
    scores = np.full((3, JOINTS), 0.7)
    assert as_seen(poses, scores, least=0.3).tolist() == [1, 2, 0]
    assert as_seen(poses[::-1], scores, least=0.3).tolist() == [1, 0, 2]
    assert as_seen(poses, scores, least=0.8).tolist() == []


def test_an_arm_that_is_the_neighbours_is_not_taken_twice():
    """The reader shows both their view's best wrist: the left one's."""
    left, right = standing(), standing() + np.array([110.0, 0.0])
    arm = [COCO17.keypoints.index(f"right_{joint}") for joint in ("elbow", "wrist")]
    xy = np.stack([left, right])[:, :, None].repeat(2, axis=2)
    score = np.tile([0.8, 0.0], (2, 17, 1))
    score[0] += 0.1  # the one in front is surer
    other = [COCO17.keypoints.index(f"left_{joint}") for joint in ("elbow", "wrist")]
    xy[1, arm, 0], score[1, arm, 1] = left[other], 0.5  # its own arm is the second best place
    alone = xy[:, :, 0].copy()
    alone[1, arm] = left[other]
    scores = score.max(-1)
    whole, _ = as_bodies(alone, scores, Candidates(xy=xy, score=score))
    np.testing.assert_allclose(whole[0], left)
    np.testing.assert_allclose(whole[1], right)


# --- images ----------------------------------------------------------------------------------


def test_somebody_is_found_where_he_is(reader, person):
    detected = reader.detect(person)
    assert 1 <= len(detected.xy) <= 2  # somebody else stands at the border
    assert detected.candidates.xy.shape == (len(detected.xy), JOINTS, 4, 2)
    at = reader.read([person], np.array([[0, 0, 256]])).xy[0, :, 0]
    off = np.nanmedian(np.linalg.norm(at - detected.xy, axis=-1), axis=-1)
    assert off.min() < 8
    assert detected.score[off.argmin()].mean() > 0.5


def test_more_than_six_are_found(reader, person):
    detected = reader.detect(wall(2, 6, person, 224))
    assert len(detected.xy) >= 11
    assert (np.diff(detected.xy.mean(1)[:, 0]) > -1e-9).all()


def test_the_same_image_gives_the_same_bytes(reader, person):
    first, second = reader.detect(person), reader.detect(person)
    assert first.xy.tobytes() == second.xy.tobytes()
    assert first.score.tobytes() == second.score.tobytes()
    threads = MoveNet(threads=3).detect(person)
    assert threads.xy.tobytes() == first.xy.tobytes()


def _gradient():
    return np.tile(np.arange(480, dtype=np.uint8)[:, None, None], (1, 640, 3))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((360, 640, 3), np.uint8),
        np.full((360, 640, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8),
        _gradient(),
        np.zeros((1, 1, 3), np.uint8),
        np.full((2, 3, 3), 7, np.uint8),
        np.zeros((4, 3000, 3), np.uint8),
        np.zeros((3000, 2, 3), np.uint8),
    ],
    ids=["black", "white", "noise", "gradient", "1x1", "smaller than a cell", "wide", "tall"],
)
def test_nobody_is_where_nobody_is(reader, image):
    detected = reader.detect(image)
    assert detected.xy.shape == (0, JOINTS, 2)
    assert detected.score.shape == (0, JOINTS)
    assert detected.candidates.xy.shape == (0, JOINTS, 4, 2)


def test_nobody_is_in_an_empty_rendered_room(reader):
    from impose_core.synthesis import SceneConfig, render

    scene = render(SceneConfig(seed=3, frames=1, persons=1))
    image, box = scene.frames[0], scene.tracks.box[0, 0].astype(int)
    x = 0 if box[0] > image.shape[1] - box[2] else box[2] + 20
    empty = np.ascontiguousarray(image[:, x : x + max(box[0] - 20, image.shape[1] - box[2] - 20)])
    assert len(reader.detect(empty).xy) == 0


def test_somebody_cut_by_the_border_is_found(reader, person):
    detected = reader.detect(np.ascontiguousarray(person[:150]))
    assert len(detected.xy) >= 1
    assert (detected.score[:, :7] > 0.2).sum(-1).max() >= 4


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 3), np.uint16),
        np.zeros((20, 20, 3)),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((1, 20, 20, 3), np.uint8),
    ],
    ids=["grey", "RGBA", "16 bit", "float", "empty", "batch"],
)
def test_what_is_no_image_is_refused_by_what_came(reader, image):
    said = rf"got {image.dtype} of shape \({image.shape[0]}, "
    with pytest.raises(UsageError, match=said):
        reader.detect(image)
    with pytest.raises(UsageError, match=said):
        reader.read([image], np.array([[0, 0, 10]]))


def test_views_and_extents_that_are_no_numbers_are_refused(reader, person):
    with pytest.raises(UsageError, match="'extents' to be finite"):
        reader.views(np.array([[0, 0, np.nan, 4]]))
    with pytest.raises(UsageError, match="'extents' to be finite"):
        reader.views(np.array([[0, 0, np.inf, 4]]))
    with pytest.raises(UsageError, match=r"shape \(V, 4\)"):
        reader.views(np.zeros((2, 3)))
    with pytest.raises(UsageError, match="sides above 0"):
        reader.read([person], np.array([[0, 0, 0]]))
    with pytest.raises(UsageError, match="sides above 0"):
        reader.read([person], np.array([[0, np.nan, 5]]))
    with pytest.raises(UsageError, match=r"shape \(V, 3\)"):
        reader.read([person], np.zeros((1, 4), np.int64))
    with pytest.raises(UsageError, match="an image for each of 2 views, got 1"):
        reader.read([person], np.array([[0, 0, 5], [0, 0, 5]]))
    assert reader.views(np.empty((0, 4))).shape == (0, 3)
    assert reader.read([], np.empty((0, 3), np.int64)).xy.shape == (0, JOINTS, 4, 2)


# --- names -----------------------------------------------------------------------------------


def test_joints_go_by_name():
    at = columns(POSETRACK15, COCO17)
    assert at[POSETRACK15.index("left_knee")] == COCO17.index("left_knee")
    assert at[POSETRACK15.index("head_top")] == -1
    values = np.arange(2.0 * JOINTS).reshape(2, JOINTS)
    mapped = renamed(values, at, np.nan)
    assert mapped[1, POSETRACK15.index("nose")] == JOINTS
    assert np.isnan(mapped[0, POSETRACK15.index("head_top")])


@pytest.mark.parametrize(
    "names",
    [
        ("head", "thorax", "wing_left"),
        ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        ("left_hip", "left_knee", "left_ankle", "a", "b", "c"),
    ],
)
def test_another_body_is_refused_with_the_names_the_reader_knows(names):
    with pytest.raises(SkeletonMismatch, match="5 or more") as caught:
        columns(skeleton_from_names("other", names), COCO17)
    assert "left_shoulder" in caught.value.hint


def test_a_view_far_wider_than_the_image_takes_no_memory_for_it():
    image = np.full((90, 160, 3), 200, np.uint8)
    picture = cut(image, np.array([-50_000, -50_000, 100_000]), 256)
    assert picture.shape == (256, 256, 3)
    lit = np.argwhere(picture.any(-1))
    assert len(lit) <= 4  # the image is a speck in the middle
    assert np.abs(lit - 128).max() <= 2
