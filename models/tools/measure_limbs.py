"""Make ``impose_core/limbs.json`` again: how long limbs look, from one body of public domain.

    python models/tools/measure_limbs.py path/to/base.obj impose_core/limbs.json

``base.obj`` is MakeHuman's base mesh (CC0; makehumancommunity/mpfb2, ``src/mpfb/data``). What
turns one body into statistics is arithmetic, with the assumptions below; no picture and no
label of anybody is used. See ``models/cards/limbs.md``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

SEED, DRAWS = 0, 2_000_000
SPREAD = 0.12
"""Share of a limb's length, one sigma: people are not all alike, near limbs look longer."""
NOISE = 0.04
"""Torsos, one sigma per axis and end: what two annotators differ by."""
TWIST = np.deg2rad(30)
"""One sigma: shoulders against hips."""
STEP, BINS = 0.04, 75
"""Torsos: width and number of the bins of distance; farther is left to the outliers."""

LIMBS = (
    ("shoulder", "other shoulder"),
    ("hip", "other hip"),
    ("shoulder", "hip"),
    ("shoulder", "elbow"),
    ("elbow", "wrist"),
    ("hip", "knee"),
    ("knee", "ankle"),
    ("nose", "shoulder"),
    ("nose", "eye"),
    ("nose", "ear"),
)
CUBES = {
    "shoulder": "joint-l-shoulder",
    "elbow": "joint-l-elbow",
    "wrist": "joint-l-hand",
    "hip": "joint-l-upper-leg",
    "knee": "joint-l-knee",
    "ankle": "joint-l-ankle",
    "eye": "joint-l-eye",
}


def main(mesh: str, target: str) -> None:
    """Read the mesh, draw, write."""
    joints = joints_of(Path(mesh))
    up = middle(joints, "shoulder") - middle(joints, "hip")
    torso = float(np.linalg.norm(up))
    rng = np.random.default_rng(SEED)
    lengths, tables = {}, {}
    for start, end in LIMBS:
        name = f"{start} - {end}"
        lengths[name] = round(float(np.linalg.norm(joints[start] - joints[end])) / torso, 4)
        tables[name] = density(seen(lengths[name], rng))
    shoulders, hips = lengths["shoulder - other shoulder"], lengths["hip - other hip"]
    tables["twist"] = density(twisted(shoulders, rng))
    document = {
        "unit": "torso: from the middle of the shoulders to the middle of the hips",
        "step": STEP,
        "shoulders_over_hips": round(shoulders / hips, 4),
        "length": lengths,
        "density": tables,
        "source_sha256": hashlib.sha256(Path(mesh).read_bytes()).hexdigest(),
    }
    text = json.dumps(document, indent=1)
    Path(target).write_text(compact(text) + "\n", encoding="utf-8")
    print(json.dumps(lengths, indent=1))


def joints_of(mesh: Path) -> dict[str, np.ndarray]:
    """Joints of the left side and of the middle, [3] in the units of the mesh."""
    corners: list[list[float]] = []
    groups: dict[str, set[int]] = {}
    members: set[int] = set()
    for line in mesh.read_text(encoding="utf-8").splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            corners.append([float(v) for v in rest[:3]])
        elif word == "g":
            members = groups.setdefault(rest[0], set())
        elif word == "f":
            members |= {int(corner.split("/")[0]) - 1 for corner in rest}
    points = np.array(corners)
    joints = {name: points[sorted(groups[cube])].mean(0) for name, cube in CUBES.items()}
    for name in ("shoulder", "hip"):
        joints[f"other {name}"] = joints[name] * (-1, 1, 1)
    skin = points[sorted(groups["body"])]
    head = skin[skin[:, 1] > joints["eye"][1] - 0.6]
    joints["nose"] = head[head[:, 2].argmax()]  # its tip
    joints["ear"] = head[head[:, 0].argmax()] * (0.85, 1, 1)  # from the edge to the canal
    return joints


def middle(joints: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Between left and right."""
    return (joints[name] + joints[f"other {name}"]) / 2


def seen(length: float, rng: np.random.Generator) -> np.ndarray:
    """Lengths [D] in an image of a limb that may point anywhere."""
    along = rng.uniform(-1, 1, DRAWS)  # of a direction even over the sphere, towards the camera
    flat = length * np.exp(rng.normal(0, SPREAD, DRAWS)) * np.sqrt(1 - along**2)
    noise = rng.normal(0, NOISE * np.sqrt(2), (2, DRAWS))
    return np.hypot(flat + noise[0], noise[1])


def twisted(width: float, rng: np.random.Generator) -> np.ndarray:
    """[D]: how far the line of the shoulders is from that of the hips, made as long."""
    turn = rng.normal(0, TWIST, DRAWS)
    difference = 2 * np.abs(np.sin(turn / 2)) * width
    along = rng.uniform(-1, 1, DRAWS)
    noise = rng.normal(0, 2 * NOISE * np.sqrt(2), (2, DRAWS))
    return np.hypot(difference * np.sqrt(1 - along**2) + noise[0], noise[1])


def density(distance: np.ndarray) -> list[float]:
    """Per square torso, at the middle of each bin of distance."""
    count, edges = np.histogram(distance, bins=BINS, range=(0, STEP * BINS))
    ring = np.pi * np.diff(edges**2)
    return [float(f"{v:.4g}") for v in count / len(distance) / ring]


def compact(text: str) -> str:
    """Lists of numbers on one line each."""
    parts = text.split("[")
    lines = [
        " ".join(part.split("]", 1)[0].split()) + "]" + part.split("]", 1)[1] for part in parts[1:]
    ]
    return "[".join([parts[0], *lines])


if __name__ == "__main__":
    main(*sys.argv[1:3])
