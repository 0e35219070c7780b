"""What the verbs that speak of one person on one frame do to the marks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from impose_core.corrections.changes import Changes
from impose_core.corrections.scene import Scene
from impose_core.corrections.values import as_flag, as_mapping
from impose_core.corrections.verbs import MoveKeypoints, SetBox, SetVisibility
from impose_core.errors import BadCorrection
from impose_core.marks import UNMARKED, Mark
from impose_core.poses import Origin, Visibility

SEEDS_YIELD = 60
"""Frames to either side of a human point within which detector seeds of its joint leave."""


def move_keypoints(said: MoveKeypoints, scene: Scene) -> Changes:
    """The joints named are exactly there, by a human's word."""
    frame, track = scene.frame(said.frame), scene.track(said.track, "track")
    points, flags = as_mapping(said.xy, "xy"), as_mapping(said.visibility, "visibility")
    if not points:
        raise BadCorrection("Expected 'xy' to name at least one keypoint, got none.")
    for name in flags:
        if name not in points:
            raise BadCorrection(
                f"Expected 'visibility' to flag keypoints of 'xy', got '{name}' as well."
            )
    mark = _copy(scene.mark(track, frame))
    for name, point in points.items():
        k = scene.joint(name, "xy")
        mark.xy[k] = scene.near(point, 2, f"xy['{name}']")
        if name in flags:
            mark.visibility[k] = as_flag(flags[name], name)
            if mark.visibility[k] == Visibility.ABSENT:
                raise BadCorrection(
                    f"Expected visibility['{name}'] to be occluded or visible, as 'xy' says "
                    "where it is; got absent."
                )
        elif not mark.human[k] or mark.absent[k]:
            mark.visibility[k] = Visibility.VISIBLE
        mark.origin[k] = Origin.HUMAN
    joints = [scene.joint(name, "xy") for name in points]
    return _without_seeds(track, frame, joints, scene) | {(track, frame): mark}


def set_visibility(said: SetVisibility, scene: Scene) -> Changes:
    """The joints named have these flags; an absent one has no position."""
    frame, track = scene.frame(said.frame), scene.known_track(said.track, "track")
    flags = as_mapping(said.visibility, "visibility")
    if not flags:
        raise BadCorrection("Expected 'visibility' to name at least one keypoint, got none.")
    mark = _copy(scene.mark(track, frame))
    for name, value in flags.items():
        k = scene.joint(name, "visibility")
        mark.visibility[k] = as_flag(value, name)
        mark.origin[k] = Origin.HUMAN
        if mark.absent[k]:
            mark.xy[k] = np.nan
    gone = np.flatnonzero(mark.absent & mark.human).tolist()
    named = {scene.joint(name, "visibility") for name in flags}
    after = _without_seeds(track, frame, named.intersection(gone), scene, before=0)
    return after | {(track, frame): mark}


def set_box(said: SetBox, scene: Scene) -> Changes:
    """The person has this box."""
    frame, track = scene.frame(said.frame), scene.track(said.track, "track")
    x1, y1, x2, y2 = box = scene.near(said.box, 4, "box")
    if x2 <= x1 or y2 <= y1:
        raise BadCorrection(f"Expected 'box' as x1 < x2 and y1 < y2, got {tuple(box)}.")
    mark = _copy(scene.mark(track, frame))
    mark.box[:] = box
    return {(track, frame): mark}


def _without_seeds(
    track: int, frame: int, joints: Iterable[int], scene: Scene, *, before: int = SEEDS_YIELD
) -> Changes:
    """The marks near ``frame`` without the detector's seeds of ``joints``.

    A human point of the joint ends the stretch; so does ``SEEDS_YIELD`` (to the left ``before``).
    """
    changes: Changes = {}
    marks = scene.marks.of(track)
    for k in joints:
        human = [t for t, mark in marks.items() if mark.human[k] and t != frame]
        start = max([frame - before, *(t + 1 for t in human if t < frame)])
        stop = min([frame + SEEDS_YIELD + 1, *(t for t in human if t > frame)])
        for t, mark in marks.items():
            if start <= t < stop and t != frame and mark.origin[k] == Origin.DETECTED:
                left = changes.get((track, t)) or _copy(mark)
                left.xy[k], left.visibility[k], left.origin[k] = np.nan, UNMARKED, Origin.NONE
                changes[track, t] = left
    return changes


def _copy(mark: Mark) -> Mark:
    return Mark(
        xy=mark.xy.copy(),
        visibility=mark.visibility.copy(),
        origin=mark.origin.copy(),
        box=mark.box.copy(),
    )
