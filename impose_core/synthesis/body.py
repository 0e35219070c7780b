"""A body that moves: joint angles in, capsules and COCO joints out.

World frame: x right, y down, z away from the camera, metres. A body's own axes are
its left, down and back, so that a body with yaw 0 faces the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.synthesis.raster import Solids
from impose_core.synthesis.textures import cloth, head, skin

Array = NDArray[np.float64]

PARTS = (
    "torso",
    "pelvis",
    "neck",
    "head",
    *(f"{side}_{part}" for part in ("thigh", "shin", "foot") for side in ("left", "right")),
    *(f"{side}_{part}" for part in ("upper", "fore", "hand") for side in ("left", "right")),
)
"""Capsules of a body, in order."""

FACE = {
    "nose": (0.0, 0.12, -1.0),
    "left_eye": (0.36, -0.18, -0.9),
    "right_eye": (-0.36, -0.18, -0.9),
    "left_ear": (1.0, 0.05, 0.08),
    "right_ear": (-1.0, 0.05, 0.08),
}
"""Face points as directions from the head's centre, in units of its half widths."""

# a body 1.7 m tall, metres: half widths (left-right, cap, back-front), length, tip ratio
_SHAPE = {
    "torso": ((0.165, 0.10, 0.112), 0.36, 0.86),
    "pelvis": ((0.155, 0.10, 0.115), 0.06, 1.0),
    "neck": ((0.058, 0.058, 0.058), 0.08, 1.0),
    "head": ((0.078, 0.118, 0.098), 0.001, 1.0),
    "thigh": ((0.083, 0.083, 0.088), 0.43, 0.68),
    "shin": ((0.058, 0.058, 0.062), 0.41, 0.66),
    "foot": ((0.045, 0.045, 0.04), 0.16, 0.8),
    "upper": ((0.052, 0.052, 0.055), 0.28, 0.8),
    "fore": ((0.043, 0.043, 0.044), 0.25, 0.72),
    "hand": ((0.036, 0.036, 0.024), 0.10, 0.8),
}
_HIP, _SHOULDER = 0.095, 0.185
_NECK_TO_SHOULDER, _SPINE = 0.05, 0.50
_ANKLE = 0.075  # an ankle above the sole
_STRIDE = 1.25  # metres a gait cycle

# how near (metres) the visible surface must be to count as the joint itself
_DEEP = {"shoulder": 0.12, "hip": 0.15, "knee": 0.10, "elbow": 0.075, "wrist": 0.06, "ankle": 0.07}
_FACE_DEEP = 0.03
_AT = {
    "shoulder": ("torso", "upper"),
    "hip": ("pelvis", "torso", "thigh"),
    "knee": ("thigh", "shin"),
    "elbow": ("upper", "fore"),
    "wrist": ("fore", "hand"),
    "ankle": ("shin", "foot"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One body over S moments.

    Attributes:
        solids: its capsules, in the order of :data:`PARTS`.
        joints: name -> float64 [S, 3], world frame, metres.
    """

    solids: Solids
    joints: dict[str, Array]


def joint_surface(name: str) -> tuple[float, tuple[int, ...]]:
    """How deep under a surface joint ``name`` may lie, metres, and under which parts."""
    if name in FACE:
        return _FACE_DEEP, (PARTS.index("head"),)
    side, kind = name.split("_")
    parts = [p if p in PARTS else f"{side}_{p}" for p in _AT[kind]]
    return _DEEP[kind], tuple(PARTS.index(p) for p in parts)


def _turn(axis: int, angle: Array) -> Array:
    """Rotations [S, 3, 3] about one of the axes x, y, z by ``angle`` [S], radians."""
    out = np.zeros((len(angle), 3, 3))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out[:, axis, axis] = 1
    out[:, i, i] = out[:, j, j] = np.cos(angle)
    out[:, j, i] = np.sin(angle)
    out[:, i, j] = -np.sin(angle)
    return out


def smooth_noise(rng: np.random.Generator, time: Array, hertz: float, terms: int = 3) -> Array:
    """A smooth signal [S] of about unit size with frequencies around ``hertz``."""
    frequency = hertz * rng.uniform(0.5, 1.5, terms)
    phase = rng.uniform(0, 2 * np.pi, terms)
    weight = rng.dirichlet(np.full(terms, 3.0))
    return np.asarray(1.3 * np.sin(2 * np.pi * np.outer(time, frequency) + phase) @ weight)


def gait(rng: np.random.Generator, time: Array, travelled: Array) -> dict[str, Array]:
    """Joint angles [S], radians, of somebody who has walked ``travelled`` [S] metres."""
    phase = 2 * np.pi * travelled / _STRIDE + rng.uniform(0, 2 * np.pi)
    swing, arm = rng.uniform(0.36, 0.46), rng.uniform(0.3, 0.55)
    angles = {
        "lean": 0.04 + 0.02 * np.sin(2 * phase),
        "side": 0.03 * np.sin(phase),
        "twist": 0.10 * np.sin(phase),
        "nod": 0.08 * smooth_noise(rng, time, 0.4),
        "look": 0.35 * smooth_noise(rng, time, 0.25),
    }
    for side, shift in (("left", 0.0), ("right", np.pi)):
        p = phase + shift
        angles[f"{side}_hip"] = 0.08 + swing * np.sin(p)
        angles[f"{side}_hip_out"] = np.full_like(p, 0.03)
        angles[f"{side}_knee"] = 0.12 + 0.95 * (0.5 + 0.5 * np.cos(p + 0.35)) ** 2
        angles[f"{side}_shoulder"] = arm * np.sin(p + np.pi)
        angles[f"{side}_shoulder_out"] = 0.14 + 0.03 * smooth_noise(rng, time, 0.3)
        angles[f"{side}_shoulder_spin"] = 0.15 * smooth_noise(rng, time, 0.3)
        angles[f"{side}_elbow"] = 0.35 + 0.2 * np.sin(p + np.pi - 0.4)
    return angles


def dance(rng: np.random.Generator, time: Array, hertz: float) -> dict[str, Array]:
    """Joint angles [S], radians, of somebody who moves at about ``hertz``."""

    def wave(rate: float = 1.0) -> Array:
        return smooth_noise(rng, time, hertz * rate)

    angles = {
        "lean": 0.08 + 0.16 * wave(),
        "side": 0.14 * wave(),
        "twist": 0.3 * wave(),
        "nod": 0.18 * wave(),
        "look": 0.4 * wave(0.7),
    }
    for side in ("left", "right"):
        crouch = 0.25 * (1 + wave())
        angles[f"{side}_hip"] = crouch + 0.3 * wave()
        angles[f"{side}_hip_out"] = 0.12 + 0.12 * wave()
        angles[f"{side}_knee"] = 1.6 * crouch + 0.25 * (1 + wave())
        angles[f"{side}_shoulder"] = 0.5 + 1.0 * wave()
        angles[f"{side}_shoulder_out"] = 0.65 + 0.6 * wave()
        angles[f"{side}_shoulder_spin"] = 0.6 * wave()
        angles[f"{side}_elbow"] = 0.9 + 0.65 * wave()
    return angles


def _orient(angles: dict[str, Array], yaw: Array) -> dict[str, Array]:
    """Rotation [S, 3, 3] of every part; its second column points along the part."""
    pelvis = _turn(1, yaw) @ _turn(2, -0.4 * angles["side"]) @ _turn(0, 0.3 * angles["lean"])
    chest = pelvis @ _turn(1, angles["twist"]) @ _turn(2, angles["side"]) @ _turn(0, angles["lean"])
    skull = chest @ _turn(1, angles["look"]) @ _turn(0, angles["nod"] - angles["lean"])
    out = {"torso": chest, "pelvis": pelvis, "neck": chest, "head": skull}
    for side, sign in (("left", -1.0), ("right", 1.0)):

        def limb(root: Array, joint: str, side: str = side, sign: float = sign) -> Array:
            outward = _turn(2, sign * angles[f"{side}_{joint}_out"])
            return root @ outward @ _turn(0, -angles[f"{side}_{joint}"])

        thigh = limb(pelvis, "hip")
        shin = thigh @ _turn(0, angles[f"{side}_knee"])
        upper = limb(chest, "shoulder") @ _turn(1, sign * angles[f"{side}_shoulder_spin"])
        fore = upper @ _turn(0, -angles[f"{side}_elbow"])
        flat = np.full(len(yaw), -1.25)
        out |= {f"{side}_thigh": thigh, f"{side}_shin": shin, f"{side}_foot": shin @ _turn(0, flat)}
        out |= {f"{side}_upper": upper, f"{side}_fore": fore, f"{side}_hand": fore}
    return out


def _assemble(turn: dict[str, Array], tall: float) -> tuple[dict[str, Array], dict[str, Array]]:
    """Starts of the parts and COCO joints, [S, 3] each, relative to the pelvis."""

    def along(part: str, metres: float, axis: int = 1) -> Array:
        return np.asarray(turn[part][:, :, axis] * (metres * tall))

    def length(part: str) -> float:
        return _SHAPE[part][1]

    nape = along("pelvis", -0.08) + along("torso", -(_SPINE - 0.08))
    start = {
        "pelvis": along("pelvis", -0.05),
        "torso": nape + along("torso", 0.07),
        "neck": nape - along("torso", length("neck")),
        "head": nape - along("torso", 0.10) - along("head", 0.09) - along("head", 0.015, 2),
    }
    joints: dict[str, Array] = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip = along("pelvis", sign * _HIP, 0)
        knee = hip + along(f"{side}_thigh", length("thigh"))
        ankle = knee + along(f"{side}_shin", length("shin"))
        shoulder = nape + along("torso", _NECK_TO_SHOULDER) + along("torso", sign * _SHOULDER, 0)
        elbow = shoulder + along(f"{side}_upper", length("upper"))
        wrist = elbow + along(f"{side}_fore", length("fore"))
        chain = {"thigh": hip, "shin": knee, "upper": shoulder, "fore": elbow, "hand": wrist}
        start |= {f"{side}_{part}": at for part, at in chain.items()}
        heel = along(f"{side}_foot", -0.03) + along(f"{side}_foot", 0.025, 2)
        start[f"{side}_foot"] = ankle + heel
        named = {"hip": hip, "knee": knee, "ankle": ankle}
        named |= {"shoulder": shoulder, "elbow": elbow, "wrist": wrist}
        joints |= {f"{side}_{name}": at for name, at in named.items()}
    half = np.asarray(_SHAPE["head"][0])
    for name, direction in FACE.items():
        unit = np.asarray(direction) / np.linalg.norm(direction)
        joints[name] = start["head"] + turn["head"] @ (unit * half * tall)
    return start, joints


def _stand(joints: dict[str, Array], root: Array, floor: float, tall: float) -> Array:
    """Pelvis places [S, 3] over ``root`` [S, 2] that put the lower ankle on the floor."""
    down = np.stack([joints["left_ankle"][:, 1], joints["right_ankle"][:, 1]])
    soft = 0.04  # metres; a hard maximum would jerk when the weight shifts
    lowest = soft * np.log(np.exp(down / soft).sum(axis=0))
    height = floor - _ANKLE * tall - lowest
    return np.stack([root[:, 0], height, root[:, 1]], axis=-1)


def wardrobe(
    clothes: np.random.Generator, person: np.random.Generator, texture: float
) -> dict[str, NDArray[np.uint8]]:
    """A texture per part without its side: left and right wear the same.

    ``clothes`` decides what is worn, ``person`` the face, hair and skin.
    """
    tone = int(person.integers(5))
    bare = skin(person, tone, texture)
    shirt, trousers, shoes = (cloth(clothes, texture) for _ in range(3))
    sleeve = cloth(clothes, texture) if clothes.random() < 0.3 else shirt
    long_sleeves, shorts = clothes.random() < 0.5, clothes.random() < 0.25
    return {
        "torso": shirt,
        "pelvis": trousers,
        "neck": bare,
        "head": head(person, tone, texture),
        "thigh": trousers,
        "shin": bare if shorts else trousers,
        "foot": shoes,
        "upper": sleeve,
        "fore": sleeve if long_sleeves else bare,
        "hand": bare,
    }


def build_body(
    angles: dict[str, Array],
    *,
    yaw: Array,
    root: Array,
    floor: float,
    tall: float,
    wear: dict[str, NDArray[np.uint8]],
) -> Body:
    """A body from joint angles.

    Args:
        angles: as from :func:`gait` or :func:`dance`, [S] each, radians.
        yaw: [S] radians, 0 faces the camera, positive turns to the body's left.
        root: [S, 2] metres, x and z of the pelvis.
        floor: y of the floor, metres.
        tall: size, 1 is a body of 1.7 m.
        wear: as from :func:`wardrobe`.
    """
    turn = _orient(angles, yaw)
    start, joints = _assemble(turn, tall)
    pelvis = _stand(joints, root, floor, tall)
    kinds = [part.split("_")[-1] for part in PARTS]
    solids = Solids(
        base=np.stack([start[part] + pelvis for part in PARTS], axis=1),
        rotation=np.stack([turn[part] for part in PARTS], axis=1),
        radius=np.array([_SHAPE[kind][0] for kind in kinds]) * tall,
        length=np.array([_SHAPE[kind][1] for kind in kinds]) * tall,
        ratio=np.array([_SHAPE[kind][2] for kind in kinds]),
        textures=tuple(wear[kind] for kind in kinds),
    )
    return Body(solids=solids, joints={name: at + pelvis for name, at in joints.items()})
