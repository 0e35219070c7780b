"""What a body is: joint names in order, limbs, mirror pairs, and how exact each joint can be.

Joint order and sigmas of the presets are published facts:

- COCO17: Ronchi and Perona, ICCV 2017; the values of pycocotools' ``kpt_oks_sigmas``.
- COCO_WHOLEBODY: Jin et al., ECCV 2020; sigmas of jin-s13/COCO-WholeBody. Names are the ones
  mmpose made common, with underscores (``face_0``, ``left_hand_root``, ``left_thumb1``).
- HALPE26: the evaluation of Fang-Haoshu/Halpe-FullBody.
- POSETRACK15, POSETRACK17: PoseTrack has no official OKS. COCO's sigmas by name; head_bottom
  and head_top take .079, which CrowdPose uses for head and neck (not the *eye* value that
  stands in those slots when COCO's list is reused by position).
- BODY_25B: the order of OpenPose's model; sigmas by name from COCO-WholeBody, upper_neck and
  head_top as in POSETRACK15.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import SkeletonMismatch, UnknownKeypoint, UsageError

DEFAULT_SIGMA: Final = 0.05
"""OKS sigma of a joint for which nobody has published one.

A sigma is the spread of repeated human clicks on a joint, in units of the root of the
person's area; for flies' legs nobody has measured it. 0.05 lies inside COCO's range (.025 eye
to .107 hip) and below its mean (.067), so it is the stricter guess, and it is the value behind
the animal figures this project started from: comparisons with those must use it.
"""

_NECK_SIGMA: Final = 0.079


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """Names and order of K joints, and what is known about them.

    Attributes:
        name: short name, printed with every figure.
        keypoints: K joint names, unique; their order is the K axis everywhere.
        edges: limbs, pairs of 0-based joint indices.
        flip_pairs: (left, right) joint indices; a joint is in one pair at most.
        sigmas: K OKS sigmas (COCO's sigma_i; the kappa of the OKS formula is twice
            that). Given empty, every joint takes :data:`DEFAULT_SIGMA`.
        groups: named subsets of the joints ("body", "left_hand"), indices per group.

    Raises:
        UsageError: if a field contradicts another; the message names it.
    """

    name: str
    keypoints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    sigmas: tuple[float, ...] = ()
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        sigmas = self.sigmas or (DEFAULT_SIGMA,) * len(self.keypoints)
        object.__setattr__(self, "sigmas", tuple(float(s) for s in sigmas))
        self._check_keypoints()
        self._check_pairs("edges", self.edges)
        self._check_pairs("flip_pairs", self.flip_pairs)
        self._check_flip_pairs_once()
        self._check_sigmas()
        self._check_groups()

    def __len__(self) -> int:
        """Number of joints, K."""
        return len(self.keypoints)

    def index(self, keypoint: str) -> int:
        """Index on the K axis of ``keypoint``.

        Raises:
            UnknownKeypoint: if the skeleton has no such joint; the hint names the nearest.
        """
        if keypoint in self.keypoints:
            return self.keypoints.index(keypoint)
        near = difflib.get_close_matches(str(keypoint), self.keypoints, n=1)
        raise UnknownKeypoint(
            f"Expected 'keypoint' to be a joint of skeleton '{self.name}' "
            f"({_listed(self.keypoints)}), got {keypoint!r}.",
            hint=f"Did you mean '{near[0]}'?" if near else None,
        )

    def group(self, name: str) -> tuple[int, ...]:
        """Joint indices of the group ``name``.

        Raises:
            UnknownKeypoint: if the skeleton has no such group.
        """
        groups = dict(self.groups)
        if name not in groups:
            raise UnknownKeypoint(
                f"Expected 'group' to be one of {sorted(groups)} of skeleton '{self.name}', "
                f"got {name!r}."
            )
        return groups[name]

    def flip_index(self) -> NDArray[np.intp]:
        """The permutation [K] that exchanges left and right: ``xy[..., flip_index(), :]``."""
        index = np.arange(len(self))
        for left, right in self.flip_pairs:
            index[left], index[right] = right, left
        return index

    def _check_keypoints(self) -> None:
        if not self.keypoints:
            raise UsageError(
                f"Expected 'keypoints' of skeleton '{self.name}' to name one joint or more, got 0."
            )
        for i, keypoint in enumerate(self.keypoints):
            if not isinstance(keypoint, str) or not keypoint:
                raise UsageError(
                    f"Expected 'keypoints[{i}]' of skeleton '{self.name}' to be a name, "
                    f"got {keypoint!r}."
                )
        twice = [k for k in dict.fromkeys(self.keypoints) if self.keypoints.count(k) > 1]
        if twice:
            raise UsageError(
                f"Expected 'keypoints' of skeleton '{self.name}' to be unique, "
                f"got {twice[0]!r} {self.keypoints.count(twice[0])} times."
            )

    def _check_pairs(self, field: str, pairs: Sequence[tuple[int, int]]) -> None:
        k = len(self)
        for i, pair in enumerate(pairs):
            if len(pair) != 2 or not all(0 <= joint < k for joint in pair) or pair[0] == pair[1]:
                raise UsageError(
                    f"Expected '{field}[{i}]' of skeleton '{self.name}' to be two different "
                    f"joint indices from 0 to {k - 1}, got {tuple(pair)}."
                )

    def _check_flip_pairs_once(self) -> None:
        joints = [joint for pair in self.flip_pairs for joint in pair]
        for joint in joints:
            if joints.count(joint) > 1:
                raise UsageError(
                    f"Expected 'flip_pairs' of skeleton '{self.name}' to hold a joint once, "
                    f"got '{self.keypoints[joint]}' {joints.count(joint)} times."
                )

    def _check_sigmas(self) -> None:
        if len(self.sigmas) != len(self):
            raise UsageError(
                f"Expected 'sigmas' of skeleton '{self.name}' to hold {len(self)} values, "
                f"got {len(self.sigmas)}."
            )
        for keypoint, sigma in zip(self.keypoints, self.sigmas, strict=True):
            if not (math.isfinite(sigma) and sigma > 0):
                raise UsageError(
                    f"Expected 'sigmas' of skeleton '{self.name}' to be above 0, "
                    f"got {sigma} for '{keypoint}'."
                )

    def _check_groups(self) -> None:
        for name, joints in self.groups:
            wrong = [joint for joint in joints if not 0 <= joint < len(self)]
            if wrong:
                raise UsageError(
                    f"Expected group '{name}' of skeleton '{self.name}' to hold joint indices "
                    f"from 0 to {len(self) - 1}, got {wrong[0]}."
                )


def remap(source: Skeleton, target: Skeleton) -> NDArray[np.intp]:
    """For each joint of ``target``, its index in ``source`` by name; -1 where absent.

    ``xy[..., index, :]`` turns source poses into target poses; the joints where the index
    is -1 must then be set to unknown.

    Raises:
        SkeletonMismatch: if the two share no joint name.
    """
    where = {keypoint: i for i, keypoint in enumerate(source.keypoints)}
    index = np.array([where.get(keypoint, -1) for keypoint in target.keypoints], dtype=np.intp)
    if (index < 0).all():
        raise SkeletonMismatch(
            f"Expected skeleton '{source.name}' to share a joint name with '{target.name}' "
            f"({_listed(target.keypoints)}), got {_listed(source.keypoints)}."
        )
    return index


# How names say left and right; tried in this order, a pair counts only if both names exist.
_SIDE_MARKS: Final = (
    re.compile(r"left|right", re.IGNORECASE),  # left_shoulder, earRight
    re.compile(r"(?<![A-Za-z0-9])[LR](?![A-Za-z])", re.IGNORECASE),  # L_ear, paw.r, L1
    re.compile(r"(?<=[a-z0-9])[LR](?![a-z])"),  # wingL, forelegL1
    re.compile(r"^[LR](?=[A-Za-z])"),  # LShoulder, Lknee
    re.compile(r"^[lr](?=[A-Z])"),  # lShoulder
)
_OTHER_SIDE: Final = {"left": "right", "right": "left", "l": "r", "r": "l"}


def flip_pairs_by_name(keypoints: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(left, right) index pairs read off the names, for bodies that declare none.

    Understands ``left_shoulder``, ``wingL``, ``forelegL1``, ``LShoulder``, ``paw_l`` and the
    like. A name whose mirror image is not in the list is in no pair.
    """
    where = {keypoint: i for i, keypoint in enumerate(keypoints)}
    pairs: list[tuple[int, int]] = []
    paired: set[int] = set()
    for i, keypoint in enumerate(keypoints):
        for mark in _SIDE_MARKS:
            found = mark.search(keypoint)
            j = where.get(mark.sub(_mirror_mark, keypoint), i)
            if found is None or j == i or {i, j} & paired:
                continue
            pairs.append((i, j) if found[0].lower().startswith("l") else (j, i))
            paired |= {i, j}
            break
    return tuple(pairs)


def _mirror_mark(found: re.Match[str]) -> str:
    mark = found[0]
    other = _OTHER_SIDE[mark.lower()]
    if mark.isupper():
        return other.upper()
    return other.capitalize() if mark[0].isupper() else other


def skeleton_from_names(
    name: str,
    keypoints: Sequence[str],
    edges: Sequence[tuple[int, int]] | None = None,
) -> Skeleton:
    """The skeleton a document means by its joint names.

    A preset with the same names in the same order is returned as it is, with its own edges.
    Otherwise joints that bear a COCO or COCO-WholeBody name get the sigma published there,
    all others :data:`DEFAULT_SIGMA`; mirror pairs are read off the names.

    Raises:
        UsageError: if the names or edges make no skeleton.
    """
    for preset in PRESETS.values():
        if preset.keypoints == tuple(keypoints):
            return preset
    return Skeleton(
        name=name,
        keypoints=tuple(keypoints),
        edges=tuple((edge[0], edge[1]) for edge in edges or ()),
        flip_pairs=flip_pairs_by_name(keypoints),
        sigmas=tuple(_PUBLISHED_SIGMAS.get(keypoint, DEFAULT_SIGMA) for keypoint in keypoints),
    )


def skeleton_named(name: str) -> Skeleton:
    """The preset called ``name``.

    Raises:
        UsageError: if there is no such preset.
    """
    if name in PRESETS:
        return PRESETS[name]
    near = difflib.get_close_matches(str(name).lower(), PRESETS, n=1, cutoff=0.5)
    raise UsageError(
        f"Expected 'skeleton' to be one of {list(PRESETS)}, got {name!r}.",
        hint=f"Did you mean '{near[0]}'?" if near else None,
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown}, … {len(names)} joints" if len(names) > 8 else shown


def _edges(keypoints: tuple[str, ...], chains: str) -> tuple[tuple[int, int], ...]:
    """Limbs from chains of names: "a b c, d e" is a-b, b-c and d-e."""
    steps = [chain.split() for chain in chains.split(",")]
    return tuple(
        (keypoints.index(start), keypoints.index(end))
        for chain in steps
        for start, end in pairwise(chain)
    )


def _sides(*joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints for side in ("left", "right"))


_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LIMB_EDGES = (
    "left_ankle left_knee left_hip right_hip right_knee right_ankle, "
    "left_wrist left_elbow left_shoulder right_shoulder right_elbow right_wrist, "
    "left_shoulder left_hip, right_shoulder right_hip"
)
_FACE_EDGES = (
    "left_eye right_eye, nose left_eye left_ear left_shoulder, nose right_eye right_ear "
    "right_shoulder"
)
_FEET_EDGES = (
    "left_ankle left_big_toe left_small_toe, left_ankle left_heel, "
    "right_ankle right_big_toe right_small_toe, right_ankle right_heel"
)

_COCO = ("nose", *_sides("eye", "ear", *_LIMBS))
_COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)

COCO17: Final = Skeleton(
    name="coco17",
    keypoints=_COCO,
    edges=_edges(_COCO, f"{_LIMB_EDGES}, {_FACE_EDGES}"),
    flip_pairs=flip_pairs_by_name(_COCO),
    sigmas=_COCO_SIGMAS,
)
"""The 17 joints of COCO keypoints."""

_FEET = tuple(f"{s}_{j}" for s in ("left", "right") for j in ("big_toe", "small_toe", "heel"))
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_FEET_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS = (
    # jaw line, 0-16
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020),
    *(0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045),
    # eyebrows, 17-26
    *(0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),
    # nose, 27-35
    *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),
    # eyes, 36-47
    *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034),
    # mouth, 48-67
    *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009),
    *(0.009, 0.007, 0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),
)
_HAND_SIGMAS = (
    *(0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024),
    *(0.022, 0.026, 0.017, 0.021, 0.021, 0.032, 0.020, 0.019, 0.022, 0.031),
)


def _hand(side: str) -> tuple[str, ...]:
    fingers = (f"{side}_{finger}{i}" for finger in _FINGERS for i in range(1, 5))
    return (f"{side}_hand_root", *fingers)


def _hand_edges(side: str) -> str:
    root = f"{side}_hand_root"
    fingers = (
        " ".join([root, *(f"{side}_{finger}{i}" for i in range(1, 5))]) for finger in _FINGERS
    )
    return ", ".join([f"{side}_wrist {root}", *fingers])


def _face_edges() -> str:
    """Contours of the 68 landmarks, as iBUG's 300-W numbers them."""
    open_lines = [range(17), range(17, 22), range(22, 27), range(27, 31), range(31, 36)]
    closed = [range(36, 42), range(42, 48), range(48, 60), range(60, 68)]
    lines = [list(line) for line in open_lines] + [[*line, line[0]] for line in closed]
    return ", ".join(" ".join(f"face_{i}" for i in line) for line in lines)


def _face_flip_pairs(first: int) -> tuple[tuple[int, int], ...]:
    """Mirror pairs of the 68 landmarks; numbering starts at the person's right."""
    rights = (*range(8), *range(17, 22), 31, 32, *range(36, 42), *range(48, 51), 58, 59, 60, 61, 67)
    lefts = (
        *range(16, 8, -1),  # jaw
        *range(26, 21, -1),  # eyebrows
        *(35, 34),  # nostrils
        *(45, 44, 43, 42, 47, 46),  # eyes
        *(54, 53, 52, 56, 55, 64, 63, 65),  # mouth
    )
    return tuple((first + a, first + b) for a, b in zip(lefts, rights, strict=True))


def _whole_body() -> Skeleton:
    parts = {
        "body": _COCO,
        "feet": _FEET,
        "face": tuple(f"face_{i}" for i in range(68)),
        "left_hand": _hand("left"),
        "right_hand": _hand("right"),
    }
    keypoints = tuple(keypoint for part in parts.values() for keypoint in part)
    starts = np.cumsum([0, *(len(part) for part in parts.values())]).tolist()
    chains = (
        *(_LIMB_EDGES, _FACE_EDGES, _FEET_EDGES, _face_edges()),
        *(_hand_edges("left"), _hand_edges("right")),
    )
    return Skeleton(
        name="coco_wholebody",
        keypoints=keypoints,
        edges=_edges(keypoints, ", ".join(chains)),
        flip_pairs=flip_pairs_by_name(keypoints) + _face_flip_pairs(starts[2]),
        sigmas=(*_COCO_SIGMAS, *_FEET_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
        groups=tuple(
            (name, tuple(range(start, start + len(part))))
            for (name, part), start in zip(parts.items(), starts, strict=False)
        ),
    )


COCO_WHOLEBODY: Final = _whole_body()
"""The 133 joints of COCO-WholeBody: body, feet, face, left and right hand (see ``groups``)."""

_PUBLISHED_SIGMAS: Final = dict(zip(COCO_WHOLEBODY.keypoints, COCO_WHOLEBODY.sigmas, strict=True))


def _by_name(name: str, keypoints: tuple[str, ...], chains: str, **sigmas: float) -> Skeleton:
    """A preset whose sigmas are the published ones by name, except those given."""
    known = {**_PUBLISHED_SIGMAS, **sigmas}
    return Skeleton(
        name=name,
        keypoints=keypoints,
        edges=_edges(keypoints, chains),
        flip_pairs=flip_pairs_by_name(keypoints),
        sigmas=tuple(known[keypoint] for keypoint in keypoints),
    )


_POSETRACK_HEAD_EDGES = "left_shoulder head_bottom right_shoulder, head_bottom nose head_top"

POSETRACK15: Final = _by_name(
    "posetrack15",
    ("nose", "head_bottom", "head_top", *_sides(*_LIMBS)),
    f"{_LIMB_EDGES}, {_POSETRACK_HEAD_EDGES}",
    head_bottom=_NECK_SIGMA,
    head_top=_NECK_SIGMA,
)
"""PoseTrack's joints without the ears, which it never labels (``posetrack15_head079``)."""

POSETRACK17: Final = _by_name(
    "posetrack17",
    ("nose", "head_bottom", "head_top", *_sides("ear", *_LIMBS)),
    f"{_LIMB_EDGES}, {_POSETRACK_HEAD_EDGES}, nose left_ear, nose right_ear",
    head_bottom=_NECK_SIGMA,
    head_top=_NECK_SIGMA,
)
"""The 17 slots of PoseTrack 2018 and 2021 files."""

HALPE26: Final = _by_name(
    "halpe26",
    (*_COCO, "head", "neck", "hip", *_sides("big_toe", "small_toe", "heel")),
    "left_ankle left_knee left_hip hip right_hip right_knee right_ankle, head neck hip, "
    "left_wrist left_elbow left_shoulder neck right_shoulder right_elbow right_wrist, "
    f"{_FACE_EDGES}, {_FEET_EDGES}",
    head=0.026,
    neck=0.026,
    hip=0.066,
    **dict.fromkeys(_FEET, 0.079),
)
"""Body and feet of Halpe-FullBody; its own evaluation's sigmas."""

BODY_25B: Final = _by_name(
    "body_25b",
    (*_COCO, "upper_neck", "head_top", *_FEET),
    f"{_LIMB_EDGES}, {_FEET_EDGES}, left_shoulder upper_neck right_shoulder, "
    "upper_neck nose head_top, nose left_eye left_ear, nose right_eye right_ear",
    upper_neck=_NECK_SIGMA,
    head_top=_NECK_SIGMA,
)
"""The 25 joints of OpenPose's BODY_25B model."""

PRESETS: Final[Mapping[str, Skeleton]] = MappingProxyType(
    {
        skeleton.name: skeleton
        for skeleton in (COCO17, COCO_WHOLEBODY, POSETRACK15, POSETRACK17, HALPE26, BODY_25B)
    }
)
"""All presets by name."""
