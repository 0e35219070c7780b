"""What the verbs that speak of who is who do to the marks."""

from __future__ import annotations

import numpy as np

from impose_core.corrections.changes import Changes
from impose_core.corrections.scene import Scene
from impose_core.corrections.verbs import (
    AssignIdentity,
    MergeIdentity,
    RemovePerson,
    SplitIdentity,
    SwapIdentity,
)
from impose_core.errors import BadCorrection
from impose_core.marks import UNMARKED, Cell, Mark
from impose_core.poses import Origin, Visibility


def swap_identity(said: SwapIdentity, scene: Scene) -> Changes:
    """Both get the other's marks from the frame on, and on it the other's estimate."""
    frame = scene.frame(said.frame)
    first = scene.known_track(said.first, "first")
    second = scene.known_track(said.second, "second")
    if first == second:
        raise BadCorrection(f"Expected 'first' and 'second' to differ, got {first} twice.")
    changes = _moved(first, second, frame, scene) | _moved(second, first, frame, scene)
    changes[first, frame] = _seeded(changes.get((first, frame)), second, frame, scene)
    changes[second, frame] = _seeded(changes.get((second, frame)), first, frame, scene)
    return changes


def merge_identity(said: MergeIdentity, scene: Scene) -> Changes:
    """The marks of ``absorb`` become marks of ``keep``."""
    keep, absorb = scene.known_track(said.keep, "keep"), scene.known_track(said.absorb, "absorb")
    if keep == absorb:
        raise BadCorrection(f"Expected 'keep' and 'absorb' to differ, got {keep} twice.")
    changes: Changes = {}
    began = False
    for frame, mark in scene.marks.of(absorb).items():
        began = began or not _says_gone(mark)
        if not began:  # "not there yet" says nothing about the one it was all along
            changes[absorb, frame] = None
            continue
        other = scene.mark(keep, frame)
        if _is_human(other) and _is_human(mark):
            raise BadCorrection(
                f"Expected 'keep' {keep} and 'absorb' {absorb} not to be marked on the same "
                f"frame, got human marks of both on frame {frame}."
            )
        changes[absorb, frame] = None
        yields = other.is_blank or (_says_gone(other) and not _says_gone(mark))
        changes[keep, frame] = mark if yields or _is_human(mark) else other
    return changes


def split_identity(said: SplitIdentity, scene: Scene) -> Changes:
    """The marks from the frame on are the new person's, who starts there from the estimate."""
    frame, track = scene.frame(said.frame), scene.known_track(said.track, "track")
    new = scene.new_track(said.new_track)
    changes = _moved(track, new, frame, scene) | dict.fromkeys(_cells(track, frame, scene))
    changes[new, frame] = _seeded(changes.get((new, frame)), track, frame, scene)
    if not any(_is_somewhere(mark) for mark in changes.values()):
        raise BadCorrection(
            f"Expected 'frame' to be one where track {track} is known, or one before a joint or "
            f"box that is marked, got {frame}: nothing is known there and nothing follows.",
            hint="Propagate to that frame first, or split where the person is.",
        )
    changes[track, frame] = _gone(scene)
    if frame > 0:  # nobody was there before the split, or both would be
        changes[new, 0] = _gone(scene)
    return changes


def assign_identity(said: AssignIdentity, scene: Scene) -> Changes:
    """All marks of the person become those of the new id."""
    track, new = scene.known_track(said.track, "track"), scene.new_track(said.new_track)
    return _moved(track, new, 0, scene) | dict.fromkeys(_cells(track, 0, scene))


def remove_person(said: RemovePerson, scene: Scene) -> Changes:
    """No marks from the frame on but, if the person was there before, that they are gone."""
    track, start = scene.known_track(said.track, "track"), scene.frame(said.start, "start")
    changes: Changes = dict.fromkeys(_cells(track, start, scene))
    if start > 0:
        changes[track, start] = _gone(scene)
    return changes


def _cells(track: int, start: int, scene: Scene) -> list[Cell]:
    """The cells of ``track`` from frame ``start`` on that have a mark."""
    return [(track, frame) for frame in scene.marks.of(track) if frame >= start]


def _moved(source: int, target: int, start: int, scene: Scene) -> Changes:
    """The marks of ``source`` from ``start`` on as those of ``target``, whose own go."""
    changes: Changes = dict.fromkeys(_cells(target, start, scene))
    for track, frame in _cells(source, start, scene):
        changes[target, frame] = scene.marks.get(track, frame)
    return changes


def _seeded(mark: Mark | None, source: int, frame: int, scene: Scene) -> Mark | None:
    """``mark``, and where it places nothing, what stands in the ledger for ``source``."""
    estimate = scene.estimate
    if estimate is None or source not in estimate.track_id:
        return mark
    n = estimate.person(source)
    base = mark or Mark.blank(len(scene.skeleton))
    xy, flags = estimate.xy[frame, n], estimate.visibility[frame, n]
    there = np.isfinite(xy).all(-1) & (flags != Visibility.ABSENT)
    seed = there & ~base.placed & ~base.absent
    silent = seed & (base.visibility == UNMARKED)  # a human's flag holds on a seed too
    return Mark(
        xy=np.where(seed[:, None], xy, base.xy),
        visibility=np.where(silent, flags, base.visibility).astype(np.uint8),
        origin=np.where(seed, Origin.PROPAGATED, base.origin).astype(np.uint8),
        box=base.box,
    )


def _gone(scene: Scene) -> Mark:
    mark = Mark.blank(len(scene.skeleton))
    mark.visibility[:], mark.origin[:] = Visibility.ABSENT, Origin.HUMAN
    return mark


def _says_gone(mark: Mark) -> bool:
    """True if all that a mark says is that nobody is there."""
    return bool(mark.absent.all() and np.isnan(mark.box).all())


def _is_human(mark: Mark) -> bool:
    """True if a human pointed at somebody: a joint or a box. "All gone" points at nobody."""
    return bool((mark.human.any() or np.isfinite(mark.box).all()) and not _says_gone(mark))


def _is_somewhere(mark: Mark | None) -> bool:
    """True if a joint or a box is placed. A flag alone places nobody."""
    return mark is not None and bool(mark.placed.any() or np.isfinite(mark.box).all())
