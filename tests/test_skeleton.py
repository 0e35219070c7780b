import numpy as np
import pytest

from impose_core.errors import SkeletonMismatch, UnknownKeypoint, UsageError
from impose_core.skeleton import (
    BODY_25B,
    COCO17,
    COCO_WHOLEBODY,
    DEFAULT_SIGMA,
    HALPE26,
    POSETRACK15,
    POSETRACK17,
    PRESETS,
    Skeleton,
    flip_pairs_by_name,
    remap,
    skeleton_from_names,
    skeleton_named,
)

FLY = ("head", "thorax", "wingL", "wingR", "forelegL1", "forelegR1")


def sigma(skeleton: Skeleton, keypoint: str) -> float:
    return skeleton.sigmas[skeleton.index(keypoint)]


@pytest.mark.parametrize(
    ("skeleton", "joints", "pairs"),
    [
        (COCO17, 17, 8),
        (COCO_WHOLEBODY, 133, 61),
        (POSETRACK15, 15, 6),
        (POSETRACK17, 17, 7),
        (HALPE26, 26, 11),
        (BODY_25B, 25, 11),
    ],
)
def test_presets_have_the_published_number_of_joints(skeleton, joints, pairs):
    assert (len(skeleton), len(skeleton.flip_pairs)) == (joints, pairs)
    assert PRESETS[skeleton.name] is skeleton
    limbs = {joint for edge in skeleton.edges for joint in edge}
    assert limbs == set(range(joints)), "every joint hangs on a limb"


def test_preset_orders_are_those_of_their_makers():
    assert COCO17.keypoints[:5] == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert COCO17.keypoints[15:] == ("left_ankle", "right_ankle")
    assert POSETRACK17.keypoints[:4] == ("nose", "head_bottom", "head_top", "left_ear")
    assert POSETRACK15.keypoints[2:4] == ("head_top", "left_shoulder")
    assert HALPE26.keypoints[17:22] == ("head", "neck", "hip", "left_big_toe", "right_big_toe")
    assert BODY_25B.keypoints[17:21] == ("upper_neck", "head_top", "left_big_toe", "left_small_toe")
    assert COCO_WHOLEBODY.keypoints[91:93] == ("left_hand_root", "left_thumb1")


def test_whole_body_is_grouped():
    sizes = {name: len(joints) for name, joints in COCO_WHOLEBODY.groups}
    assert sizes == {"body": 17, "feet": 6, "face": 68, "left_hand": 21, "right_hand": 21}
    assert COCO_WHOLEBODY.group("right_hand") == tuple(range(112, 133))
    with pytest.raises(UnknownKeypoint, match="right_hand"):
        COCO_WHOLEBODY.group("tail")


def test_sigmas_are_the_published_ones():
    assert sum(COCO17.sigmas) / 17 == pytest.approx(0.06694, abs=1e-5)
    assert sigma(COCO_WHOLEBODY, "left_heel") == 0.066
    assert sigma(COCO_WHOLEBODY, "face_0") == 0.042
    assert sigma(COCO_WHOLEBODY, "face_67") == 0.008
    assert sigma(COCO_WHOLEBODY, "right_pinky_finger4") == 0.031


def test_posetrack_heads_take_crowdpose_sigma_not_the_eyes():
    for skeleton in (POSETRACK15, POSETRACK17):
        assert sigma(skeleton, "head_top") == sigma(skeleton, "head_bottom") == 0.079
    assert sigma(POSETRACK17, "left_ear") == sigma(COCO17, "left_ear")


@pytest.mark.parametrize("skeleton", PRESETS.values(), ids=list(PRESETS))
def test_flipping_twice_changes_nothing_and_left_becomes_right(skeleton):
    flip = skeleton.flip_index()
    assert (flip[flip] == np.arange(len(skeleton))).all()
    for i, j in enumerate(flip):
        swapped = skeleton.keypoints[i].replace("left", "?").replace("right", "left")
        if not skeleton.keypoints[i].startswith("face"):
            assert skeleton.keypoints[j] == swapped.replace("?", "right")


def test_face_landmarks_mirror_as_300w_numbers_them():
    first = COCO_WHOLEBODY.index("face_0")
    flip = COCO_WHOLEBODY.flip_index() - first
    pairs = {0: 16, 17: 26, 31: 35, 36: 45, 40: 47, 48: 54, 60: 64, 67: 65, 8: 8, 30: 30, 62: 62}
    assert {i: int(flip[first + i]) for i in pairs} == pairs


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_shoulder", "right_shoulder"),
        ("wingL", "wingR"),
        ("forelegL1", "forelegR1"),
        ("LShoulder", "RShoulder"),
        ("paw_l", "paw_r"),
        ("L_ear", "R_ear"),
        ("leftEye", "rightEye"),
        ("EarLeft", "EarRight"),
        ("LEFT_HIP", "RIGHT_HIP"),
        ("Lknee", "Rknee"),
        ("lHip", "rHip"),
    ],
)
def test_mirror_pairs_are_read_off_the_names(left, right):
    assert flip_pairs_by_name(["tail", right, left]) == ((2, 1),)


def test_a_name_without_its_mirror_image_has_no_pair():
    assert flip_pairs_by_name(["bright", "Rear", "tailL", "nose"]) == ()


def test_unknown_keypoint_suggests_the_nearest():
    with pytest.raises(UnknownKeypoint, match="left_shouder") as error:
        COCO17.index("left_shouder")
    assert error.value.hint == "Did you mean 'left_shoulder'?"


def test_remap_goes_by_name():
    index = remap(COCO17, POSETRACK15)
    assert index.tolist()[:4] == [0, -1, -1, 5]
    assert remap(COCO17, COCO17).tolist() == list(range(17))
    with pytest.raises(SkeletonMismatch, match="fly"):
        remap(Skeleton(name="fly", keypoints=FLY), COCO17)


def test_names_of_a_preset_mean_the_preset():
    assert skeleton_from_names("subject", list(COCO17.keypoints), [(0, 1)]) is COCO17


def test_joints_with_a_coco_name_keep_its_sigma_in_any_body():
    body = skeleton_from_names("dog", ("tail", "nose", "left_hip", "right_hip"), [(0, 1)])
    assert body.sigmas == (DEFAULT_SIGMA, 0.026, 0.107, 0.107)
    assert (body.edges, body.flip_pairs) == (((0, 1),), ((2, 3),))
    assert set(skeleton_from_names("fly", FLY).sigmas) == {DEFAULT_SIGMA}


def test_presets_are_found_by_name():
    assert skeleton_named("halpe26") is HALPE26
    with pytest.raises(UsageError, match="coco17") as error:
        skeleton_named("COCO-17")
    assert error.value.hint == "Did you mean 'coco17'?"


def test_one_joint_makes_a_skeleton():
    dot = Skeleton(name="dot", keypoints=("beak",))
    assert (len(dot), dot.sigmas, dot.flip_index().tolist()) == (1, (DEFAULT_SIGMA,), [0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keypoints", ()),
        ("keypoints", ("a", "b", "a")),
        ("keypoints", ("a", "")),
        ("edges", ((0, 2),)),
        ("edges", ((-1, 0),)),
        ("edges", ((1, 1),)),
        ("flip_pairs", ((0, 1), (1, 0))),
        ("sigmas", (0.1,)),
        ("sigmas", (0.1, 0.0)),
        ("sigmas", (0.1, float("nan"))),
        ("groups", (("all", (0, 5)),)),
    ],
)
def test_a_contradiction_is_named(field, value):
    with pytest.raises(UsageError, match=field.rstrip("s")):
        Skeleton(**{"name": "odd", "keypoints": ("a", "b"), field: value})
