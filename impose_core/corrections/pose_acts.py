"""What the verbs that speak of one person on one frame do to the marks."""

from __future__ import annotations

import numpy as np

from impose_core.corrections.changes import Changes
from impose_core.corrections.scene import Scene
from impose_core.corrections.values import as_flag, as_mapping
from impose_core.corrections.verbs import MoveKeypoints, SetBox, SetVisibility
from impose_core.errors import BadCorrection
from impose_core.marks import Mark
from impose_core.poses import Origin, Visibility


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
    return {(track, frame): mark}


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
    return {(track, frame): mark}


def set_box(said: SetBox, scene: Scene) -> Changes:
    """The person has this box."""
    frame, track = scene.frame(said.frame), scene.track(said.track, "track")
    x1, y1, x2, y2 = box = scene.near(said.box, 4, "box")
    if x2 <= x1 or y2 <= y1:
        raise BadCorrection(f"Expected 'box' as x1 < x2 and y1 < y2, got {tuple(box)}.")
    mark = _copy(scene.mark(track, frame))
    mark.box[:] = box
    return {(track, frame): mark}


def _copy(mark: Mark) -> Mark:
    return Mark(
        xy=mark.xy.copy(),
        visibility=mark.visibility.copy(),
        origin=mark.origin.copy(),
        box=mark.box.copy(),
    )
