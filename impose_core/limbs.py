"""How limbs look in images: the prior that holds a body together.

Where the figures come from, and their licence: ``models/cards/limbs.md``. Lengths are in
*torsos*, from the middle of the shoulders to the middle of the hips.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.skeleton import COCO17

Floats = NDArray[np.float64]

OUTLIERS: Final = 0.05
"""Share of limbs that look like nothing measured: odd cameras, odd labels."""
OUTLIER_RADIUS: Final = 3.0
"""Torsos: those are spread evenly over a disc so large, and thinner and thinner beyond."""
UNKNOWN: Final = 1.0
"""Nats: a limb of which one end is nowhere."""


def limb_cost(name: str, vector: Floats) -> Floats:
    """Nats [...] for a limb with the two ends ``vector`` [..., 2] torsos apart.

    ``name`` is one of the file's: "shoulder - elbow". NaN costs ``UNKNOWN``.
    """
    table, step = _table(name)
    distance = np.hypot(vector[..., 0], vector[..., 1])
    at = np.nan_to_num(distance, nan=0.0) / step
    low = np.clip(at.astype(np.int64), 0, len(table) - 2)
    share = np.clip(at - low, 0, 1)
    cost = table[low] * (1 - share) + table[low + 1] * share
    # beyond the table every doubling costs the same, so that nearer stays better
    cost = cost + 2 * np.log(np.maximum(at / (len(table) - 1), 1.0))
    return np.where(np.isnan(distance), UNKNOWN, cost)


def limb_length(name: str) -> float:
    """Torsos: how long the limb is, seen from the side."""
    return float(_document()["length"][name])


def shoulders_over_hips() -> float:
    """How many times wider than the hips the shoulders are."""
    return float(_document()["shoulders_over_hips"])


@cache
def _table(name: str) -> tuple[Floats, float]:
    """Nats at distances 0, step, 2 step, ..., and the step."""
    document = _document()
    step = float(document["step"])
    density = np.asarray(document["density"][name], np.float64)
    edges = np.concatenate([density[:1], (density[1:] + density[:-1]) / 2, density[-1:]])
    even = OUTLIERS / (np.pi * OUTLIER_RADIUS**2)
    return -np.log((1 - OUTLIERS) * edges + even), step


@cache
def _document() -> Any:
    return json.loads(files("impose_core").joinpath("limbs.json").read_text(encoding="utf-8"))


def torso_seen(xy: Floats) -> float:
    """Pixels: how long the torso of the pose ``xy`` [17, 2] (COCO) is; NaN if no limb is known.

    Limbs never look longer than they are, but for errors: a high percentile of what each of
    them would make of it.
    """
    ends, lengths = _limb_ends()
    seen = np.linalg.norm(xy[ends[:, 0]] - xy[ends[:, 1]], axis=-1) / lengths
    seen = seen[np.isfinite(seen)]
    return (
        max(float(np.percentile(seen, SEEN_PERCENTILE)) * SEEN_SHARE, 4.0) if len(seen) else np.nan
    )


SEEN_PERCENTILE: Final = 70
SEEN_SHARE: Final = 1.05
"""These two: against the size that makes the labels of LSPET likeliest (sigma 6 %)."""


@cache
def _limb_ends() -> tuple[NDArray[np.int64], Floats]:
    """Joint indices [L, 2] and lengths [L] in torsos of all limbs but those of the face."""
    ends, lengths = [], []
    for name, length in _document()["length"].items():
        first, second = name.split(" - ")
        if second in ("eye", "ear"):
            continue
        for side, opposite in (("left", "right"), ("right", "left")):
            start = first if first == "nose" else f"{side}_{first}"
            other = second.startswith("other ")
            end = f"{opposite if other else side}_{second.removeprefix('other ')}"
            if not (other and side == "right"):
                ends.append([COCO17.index(start), COCO17.index(end)])
                lengths.append(length)
    return np.asarray(ends, np.int64), np.asarray(lengths, np.float64)
