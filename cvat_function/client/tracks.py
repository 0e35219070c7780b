"""Results as tracks of CVAT: keyframes where they are needed, humans' as they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cvat_function.client.job import Job
from cvat_function.client.keyframes import needed
from cvat_function.client.labels import AUTO, MANUAL, SkeletonLabel
from cvat_function.client.persons import Keyframe, Person, Pin
from cvat_function.client.record import ESTIMATE, HUMAN, SEED, joint_code, line
from impose_core.poses import Origin, PoseTracks, Visibility

DIGITS: Final = 2
"""Of a coordinate that is written: hundredths of a pixel."""


@dataclass(slots=True, kw_only=True)
class Count:
    """Keyframes of joints: ``written``, ``human`` ones among them, and one for every joint on
    every frame where it is shown, which is what they stand for (``shown``)."""

    written: int = 0
    human: int = 0
    shown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How results are written.

    Attributes:
        inside: bool [T]: the job's frames that may change; all others stay as CVAT shows them.
        pin: what a human fixed on a frame they touched.
        tolerance: px, see :mod:`.keyframes`.
    """

    inside: NDArray[np.bool_]
    pin: Pin
    tolerance: float


@dataclass(slots=True, kw_only=True)
class _Joint:
    """What is to be written of one joint: by frame the shape and its code."""

    shapes: dict[int, dict[str, Any]] = field(default_factory=dict)
    codes: dict[int, str | None] = field(default_factory=dict)


def written_track(
    person: Person,
    result: PoseTracks,
    n: int,
    job: Job,
    label: SkeletonLabel,
    rules: Rules,
    count: Count,
) -> dict[str, Any] | None:
    """The whole track of ``person``, who is at index ``n`` of ``result``; None for nobody.

    Keyframes of humans are the very objects that came. Those outside of the frames that may
    change stay too, with one more at either border, so that nothing moves there.
    """
    wanted, state, first = _merged(person, result, n, job, rules)
    if first is None:
        return None
    frames = job.frames[first:]
    gone = (state[first:] == Visibility.ABSENT).all(-1)
    ends = np.concatenate([[False], gone[1:] & ~gone[:-1]])
    said = person.said(rules.pin)
    joints = []
    for k in range(len(label.joints)):
        seeds = (result.origin[first:, n, k] == Origin.DETECTED) & rules.inside[first:]
        joint = _kept(person, k, said[k], job, label, rules)
        forced = ends | np.isin(frames, list(joint.shapes)) | _borders(rules.inside)[first:] | seeds
        _choose(joint, k, wanted[first:, k], state[first:, k], forced, seeds, frames, label, rules)
        joints.append(joint)
        count.written += len(joint.shapes)
        count.human += sum(code is None or code[0] == HUMAN for code in joint.codes.values())
    count.shown += int((state[first:] != Visibility.ABSENT).sum())
    changing = frozenset(job.frames[rules.inside].tolist())
    return _assembled(person, joints, frames, gone, said, changing, label)


def _merged(
    person: Person, result: PoseTracks, n: int, job: Job, rules: Rules
) -> tuple[NDArray[np.float64], NDArray[np.uint8], int | None]:
    """Where to show each joint [T, K, 2], its state [T, K], and the index of the first frame.

    What is absent is where it was last, or will be first.
    """
    wanted, state = result.xy[:, n].copy(), result.visibility[:, n].copy()
    state[~np.isfinite(wanted).all(-1)] = Visibility.ABSENT
    for k in range(state.shape[1]):
        now = person.shown(k, job.frames, job.deleted)
        wanted[~rules.inside, k] = now.xy[~rules.inside]
        state[~rules.inside, k] = now.state[~rules.inside]
    begin = person.begin
    if begin is not None:
        state[job.frames < begin] = Visibility.ABSENT
    present = state != Visibility.ABSENT
    if not present.any():
        return wanted, state, None
    first = int(present.any(-1).argmax())
    if begin is not None:
        first = min(first, int(np.searchsorted(job.frames, begin)))
    for k in range(state.shape[1]):
        wanted[:, k] = _held(wanted[:, k], present[:, k], wanted[first])
    return wanted, state, first


def _held(
    xy: NDArray[np.float64], present: NDArray[np.bool_], body: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``xy`` [T, 2] with the last place, or the first, wherever the joint is absent."""
    if not present.any():
        known = body[np.isfinite(body).all(-1)]
        return np.full(xy.shape, known.mean(0) if len(known) else 0.0)
    at = np.where(present, np.arange(len(xy)), -1)
    at = np.maximum.accumulate(at)
    return np.asarray(xy[np.where(at < 0, int(present.argmax()), at)])


def _borders(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames that stay, beside one that may change."""
    near = np.zeros_like(inside)
    near[:-1] |= inside[1:]
    near[1:] |= inside[:-1]
    return np.asarray(near & ~inside)


def _kept(
    person: Person, k: int, said: frozenset[int], job: Job, label: SkeletonLabel, rules: Rules
) -> _Joint:
    """The keyframes of joint ``k`` that stay as they came."""
    changing = set(job.frames[rules.inside].tolist())
    joint = _Joint()
    for frame, one in person.joints[k].items():
        if frame not in said and frame in changing:
            continue
        shape = {name: value for name, value in one.shape.items() if name != "id"}
        kind = one.kind
        if frame in said and frame in changing:
            kind = HUMAN
        joint.shapes[frame] = shape
        joint.codes[frame] = None if kind is None else _code(kind, frame, k, one, label)
    return joint


def _code(kind: str, frame: int, k: int, one: Keyframe, label: SkeletonLabel) -> str:
    return joint_code(
        kind,
        frame,
        label.joints[k],
        one.xy,
        outside=one.state == Visibility.ABSENT,
        occluded=bool(one.shape.get("occluded")),
    )


def _choose(
    joint: _Joint,
    k: int,
    wanted: NDArray[np.float64],
    state: NDArray[np.uint8],
    forced: NDArray[np.bool_],
    seeds: NDArray[np.bool_],
    frames: NDArray[np.int64],
    label: SkeletonLabel,
    rules: Rules,
) -> None:
    """Add the keyframes that ``joint`` needs besides those it has."""
    places = np.round(wanted, DIGITS) + 0.0
    for t, frame in enumerate(frames.tolist()):
        if frame in joint.shapes:
            places[t] = joint.shapes[frame]["points"][:2]
    tolerance = max(rules.tolerance - 10.0**-DIGITS, 0.0)
    keys = needed(frames, wanted, places, state, forced, tolerance=tolerance)
    for t in np.flatnonzero(keys).tolist():
        frame = int(frames[t])
        if frame in joint.shapes:
            continue
        outside, occluded = state[t] == Visibility.ABSENT, state[t] == Visibility.OCCLUDED
        x, y = places[t].tolist()
        joint.shapes[frame] = {
            "type": "points",
            "frame": frame,
            "points": [x, y],
            "occluded": bool(occluded),
            "outside": bool(outside),
            "z_order": 0,
            "rotation": 0.0,
            "attributes": [],
        }
        joint.codes[frame] = joint_code(
            SEED if seeds[t] else ESTIMATE,
            frame,
            label.joints[k],
            (x, y),
            outside=bool(outside),
            occluded=bool(occluded),
        )


def _assembled(
    person: Person,
    joints: Sequence[_Joint],
    frames: NDArray[np.int64],
    gone: NDArray[np.bool_],
    said: Sequence[frozenset[int]],
    changing: frozenset[int],
    label: SkeletonLabel,
) -> dict[str, Any]:
    """The track, with a keyframe of the skeleton wherever a joint has one."""
    before = person.track or {"group": 0, "attributes": []}
    keyed = sorted({t for joint in joints for t in joint.shapes} | person.confirmed)
    absent = dict(zip(frames.tolist(), gone.tolist(), strict=True))
    shapes, hidden, order = [], False, 0
    for frame in keyed:
        hidden = absent.get(frame, hidden)
        old = person.parents.get(frame)
        if old is not None and frame in person.confirmed and frame not in changing:
            shapes.append({name: value for name, value in old.items() if name != "id"})
            continue
        order = int(old.get("z_order", order)) if old is not None else order
        codes = [joint.codes.get(frame) for joint in joints]
        human = frame in person.confirmed or any(
            frame in one and frame in joint.shapes for one, joint in zip(said, joints, strict=True)
        )
        shape: dict[str, Any] = {
            "type": "skeleton",
            "frame": frame,
            "points": [],
            "occluded": False,
            "outside": hidden,
            "z_order": order,
            "rotation": 0.0,
            "attributes": [],
        }
        if old is not None and frame in person.confirmed:
            shape = {name: value for name, value in old.items() if name != "id"}
        elif old is not None:
            shape["attributes"] = list(old.get("attributes", ()))
        shape["attributes"] = _with(
            shape["attributes"], label, frame, MANUAL if human else AUTO, codes
        )
        shapes.append(shape)
    track = {k: v for k, v in before.items() if k not in ("shapes", "elements", "attributes")}
    source = "semi-auto" if any(said) else "auto"
    elements = {one["label_id"]: one for one in before.get("elements", ())}
    return {
        **track,
        "frame": keyed[0],
        "label_id": label.number,
        "source": source,
        "attributes": _set(before["attributes"], label.specs.get("id"), person.identity),
        "shapes": shapes,
        "elements": [
            {
                "label_id": number,
                "frame": min(joint.shapes),
                "group": track.get("group") or 0,
                "source": source,
                "attributes": list(elements.get(number, {}).get("attributes", ())),
                "shapes": [joint.shapes[t] for t in sorted(joint.shapes)],
            }
            for number, joint in zip(label.joints, joints, strict=True)
        ],
    }


def _with(
    attributes: Sequence[Mapping[str, Any]],
    label: SkeletonLabel,
    frame: int,
    origin: str,
    codes: Sequence[str | None],
) -> list[dict[str, Any]]:
    said = _set(attributes, label.specs.get("origin"), origin)
    return _set(said, label.specs.get("impose"), line(frame, origin, codes))


def _set(
    attributes: Sequence[Mapping[str, Any]], spec: int | None, value: str
) -> list[dict[str, Any]]:
    kept = [dict(one) for one in attributes if one["spec_id"] != spec]
    return kept if spec is None else [*kept, {"spec_id": spec, "value": value}]
