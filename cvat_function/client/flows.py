"""What each command makes of a scene: propagate, detect, repair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cvat_function.client.errors import BadJob
from cvat_function.client.estimators import Estimator, LocalEstimator, Step
from cvat_function.client.persons import Person
from cvat_function.client.work import (
    Options,
    Outcome,
    Place,
    Scene,
    carry_out,
    inside,
    moved_joints,
)
from impose_core.corrections import MoveKeypoints
from impose_core.poses import Origin, PoseTracks, Visibility


def propagate(place: Place, options: Options, estimator: Estimator, step: Step) -> Outcome:
    """Carry what humans said to all frames of ``options``.

    Raises:
        BadJob: if nobody said anything.
    """
    mask = inside(place.job, options)
    at = np.flatnonzero(mask)

    def estimate(scene: Scene) -> tuple[PoseTracks, NDArray[np.bool_]]:
        known = np.isin(scene.anchors.origin, (Origin.HUMAN, Origin.DETECTED))
        if not known.any():
            raise BadJob(
                f"Expected a skeleton track of label {place.label.name!r} in {place.job.name}, "
                "got none.",
                hint="Draw a skeleton as a track on one frame and save, or let "
                "'impose cvat detect' find everybody.",
            )
        start, stop = int(at[0]), int(at[-1]) + 1
        return estimator.estimate(scene.anchors, start, stop, step), mask

    return carry_out(place, options, estimate)


def detect(place: Place, options: Options, estimator: LocalEstimator, step: Step) -> Outcome:
    """Find everybody on every frame; who has a track keeps it, and every human keyframe."""

    def estimate(scene: Scene) -> tuple[PoseTracks, NDArray[np.bool_]]:
        return estimator.detect(scene.anchors, step), np.ones(len(place.job.frames), bool)

    return carry_out(place, options, estimate)


def repair(place: Place, options: Options, estimator: LocalEstimator) -> Outcome:
    """Choose the other joints of every body anew of which a human moved some since the last
    write, on those frames alone. ``options.pin`` must be "moved"."""
    mask = inside(place.job, options)

    def estimate(scene: Scene) -> tuple[PoseTracks, NDArray[np.bool_]]:
        fixed = np.asarray((scene.anchors.origin == Origin.HUMAN).all(-1))
        moved = moved_joints(scene, place.job) & (mask[:, None] & ~fixed)[..., None]
        bodies = np.asarray(moved.any(-1))
        if not bodies.any():
            return scene.anchors, bodies
        shown = scene.anchors.copy()
        for n, person in enumerate(scene.persons):
            _as_before(shown, n, person, place, moved[:, n])
        repaired = estimator.repair(shown, _acts(scene.anchors, moved))
        return _chosen(repaired, scene.anchors, bodies), bodies

    return carry_out(place, options, estimate)


def _chosen(repaired: PoseTracks, anchors: PoseTracks, bodies: NDArray[np.bool_]) -> PoseTracks:
    """``anchors`` with what was chosen anew of ``bodies`` [T, N]."""
    result = anchors.copy()
    for t, n in np.argwhere(bodies).tolist():
        m = repaired.person(int(anchors.track_id[n]))
        new = (repaired.origin[t, m] == Origin.DETECTED) & np.isfinite(repaired.xy[t, m]).all(-1)
        new &= anchors.origin[t, n] != Origin.HUMAN
        for name in ("xy", "visibility", "origin"):
            getattr(result, name)[t, n, new] = getattr(repaired, name)[t, m, new]
    return result


def _as_before(
    tracks: PoseTracks, n: int, person: Person, place: Place, moved: NDArray[np.bool_]
) -> None:
    """Show ``person`` as they were before a human moved joints (``moved`` [T, K])."""
    for k in range(moved.shape[1]):
        at = np.flatnonzero(moved[:, k])
        if not len(at):
            continue
        frames = set(place.job.frames[at].tolist())
        rest = {t: one for t, one in person.joints[k].items() if t not in frames}
        before = Person(
            identity=person.identity,
            track=None,
            joints=(rest,),
            parents={},
            confirmed=frozenset(),
        ).shown(0, place.job.frames, place.job.deleted)
        there = before.state[at] != Visibility.ABSENT
        tracks.xy[at, n, k] = np.where(there[:, None], before.xy[at], np.nan)
        tracks.visibility[at, n, k] = before.state[at]
        tracks.origin[at, n, k] = np.where(there, Origin.PROPAGATED, Origin.NONE)


def _acts(anchors: PoseTracks, moved: NDArray[np.bool_]) -> list[MoveKeypoints]:
    names = anchors.skeleton.keypoints
    acts = []
    for t, n in np.argwhere(moved.any(-1)).tolist():
        placed = [
            k
            for k in np.flatnonzero(moved[t, n]).tolist()
            if np.isfinite(anchors.xy[t, n, k]).all()
        ]
        points = anchors.xy[t, n, placed].tolist()
        if placed:
            acts.append(
                MoveKeypoints(
                    frame=t,
                    track=int(anchors.track_id[n]),
                    xy={names[k]: (x, y) for k, (x, y) in zip(placed, points, strict=True)},
                    visibility={
                        names[k]: Visibility(int(anchors.visibility[t, n, k])) for k in placed
                    },
                )
            )
    return acts
