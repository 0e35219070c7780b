"""The label a skeleton is in CVAT: its sub-labels and its drawing, from ``impose_core.skeleton``.

    python -m cvat_function.spec [SKELETON]

prints it for CVAT's raw label editor.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any, Final

from impose_core.skeleton import Skeleton, skeleton_named

LABEL: Final = "person"

_MIDDLE: Final = {
    "head_top": (50, 4),
    "head": (50, 6),
    "nose": (50, 13),
    "upper_neck": (50, 20),
    "head_bottom": (50, 20),
    "neck": (50, 21),
    "hip": (50, 54),
}
_LEFT: Final = {
    "eye": (53, 10),
    "ear": (57, 12),
    "shoulder": (62, 24),
    "elbow": (70, 38),
    "wrist": (74, 52),
    "hip": (58, 54),
    "knee": (60, 73),
    "ankle": (61, 91),
    "heel": (59, 96),
    "big_toe": (63, 98),
    "small_toe": (67, 97),
}
"""Somebody who faces the annotator: the person's left is on the right."""
_PLACES: Final = {
    **_MIDDLE,
    **{f"left_{joint}": place for joint, place in _LEFT.items()},
    **{f"right_{joint}": (100 - x, y) for joint, (x, y) in _LEFT.items()},
}
_RADIUS: Final = 47.0
"""Of the circle that joints without a known place are drawn on."""


def label_spec(skeleton: Skeleton) -> dict[str, Any]:
    """The label for CVAT's raw editor (``POST /api/tasks`` takes the same)."""
    return {
        "name": LABEL,
        "type": "skeleton",
        "attributes": [],
        "sublabels": [
            {"name": keypoint, "type": "points", "attributes": []}
            for keypoint in skeleton.keypoints
        ],
        "svg": svg(skeleton),
    }


def function_spec(skeleton: Skeleton) -> list[dict[str, Any]]:
    """The annotation ``spec`` of a detector: the same with ids, and without attributes.

    CVAT's 2024 releases fail on a function's label that declares attributes.
    """
    sublabels = [
        {"id": k, "name": keypoint, "type": "points"}
        for k, keypoint in enumerate(skeleton.keypoints)
    ]
    return [
        {"id": 0, "name": LABEL, "type": "skeleton", "svg": svg(skeleton), "sublabels": sublabels}
    ]


def svg(skeleton: Skeleton) -> str:
    """The drawing: limbs as lines, then joints as circles, numbered from 1 as CVAT does."""
    places = _places(skeleton.keypoints)
    lines = [
        f'<line x1="{places[a][0]:g}" y1="{places[a][1]:g}" '
        f'x2="{places[b][0]:g}" y2="{places[b][1]:g}" '
        f'stroke="black" data-type="edge" data-node-from="{a + 1}" '
        f'stroke-width="0.5" data-node-to="{b + 1}"></line>'
        for a, b in skeleton.edges
    ]
    circles = [
        f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{places[k][0]:g}" '
        f'cy="{places[k][1]:g}" stroke-width="0.1" data-type="element node" '
        f'data-element-id="{k + 1}" data-node-id="{k + 1}" '
        f'data-label-name="{_attribute(keypoint)}"></circle>'
        for k, keypoint in enumerate(skeleton.keypoints)
    ]
    return "".join(lines + circles)


def _places(keypoints: Sequence[str]) -> list[tuple[float, float]]:
    """Of each joint, 0 to 100; joints of an unknown name stand on a circle around the others."""
    unknown = [keypoint for keypoint in keypoints if keypoint not in _PLACES]
    turn = 2 * math.pi / max(len(unknown), 1)
    circle = {
        keypoint: (
            round(50 + _RADIUS * math.sin(i * turn), 2),
            round(50 - _RADIUS * math.cos(i * turn), 2),
        )
        for i, keypoint in enumerate(unknown)
    }
    return [
        _PLACES[keypoint] if keypoint in _PLACES else circle[keypoint] for keypoint in keypoints
    ]


def _attribute(text: str) -> str:
    for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text


if __name__ == "__main__":
    wanted = skeleton_named(sys.argv[1] if len(sys.argv) > 1 else "coco17")
    sys.stdout.write(json.dumps([label_spec(wanted)], indent=2) + "\n")
