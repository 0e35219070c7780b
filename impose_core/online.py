"""One image at a time: the causal form of the estimate, for hosts that send single frames.

Everything needed to go on is in a small JSON state that the host carries, so any worker can
continue where another stopped. Besides the poses it holds, per person, a grey picture of the
person on the last frame: a tracker cannot follow what it has not seen. Where the engine has a
reader, each step is corrected by what it reads, and the state carries the reader's bias against
the annotator, measured on the frame it began with.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch, StateError, UsageError
from impose_core.following import follow
from impose_core.geometry import body_size, inside_image
from impose_core.poses import Visibility
from impose_core.readers import Candidates
from impose_core.readers.naming import columns, inverse, renamed
from impose_core.readers.protocol import PoseReader, Priors, views_around
from impose_core.reading import Bias, extents_of, missed
from impose_core.readings import claimed, filtered
from impose_core.skeleton import skeleton_from_names

FORMAT, VERSION = "impose-state", 2
PICTURE_PIXELS = 320
"""Longest side of the picture a state carries: half resolution tracks as well as full
(docs/design.md), and a state stays well below 64 KiB per person."""
MARGIN = 0.5
"""Body sizes around the joints that belong to the picture: the reach of one step."""
MAX_PICTURE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlinePoses:
    """Poses of N persons on one frame; the fields are those of ``PoseTracks`` without T."""

    track_id: NDArray[np.int64]
    xy: NDArray[np.float64]
    visibility: NDArray[np.uint8]
    deviation: NDArray[np.float64]


def start(
    image: NDArray[np.uint8],
    *,
    track: int,
    xy: NDArray[np.float64],
    visible: NDArray[np.bool_],
    keypoints: Sequence[str],
    engine: Engine | None = None,
    config: Config | None = None,
) -> dict[str, Any]:
    """The state of one person whose joints are at ``xy`` [K, 2] px (NaN: unknown).

    Args:
        image: RGB [H, W, 3], the frame the joints are on.
        track: the person's id.
        xy: as above.
        visible: [K] whether each joint is seen, not merely inferred.
        keypoints: K names; by them a reader knows its joints.
        engine: the parts that look at pixels.
        config: thresholds.

    Raises:
        UsageError: if no joint is known, or ``keypoints`` are no K unique names.
    """
    if not np.isfinite(xy).all(-1).any():
        raise UsageError(f"Expected 'xy' of track {track} to hold at least one joint, got none.")
    if len(keypoints) != len(xy):
        raise UsageError(f"Expected {len(xy)} 'keypoints', got {len(keypoints)}.")
    engine = engine or Engine()
    config = engine.own(config or Config())
    height, width = image.shape[:2]
    person = _Person(
        track=track,
        keypoints=tuple(keypoints),
        xy=xy,
        variance=np.zeros(len(xy)),
        visible=visible,
        bias=np.zeros((len(xy), 2)),
        wrong=np.ones(len(xy)),
        size=body_size(xy, width=width, height=height),
    )
    return _state(image, _with_bias(person, image, engine, config))


def step(
    image: NDArray[np.uint8],
    states: list[Mapping[str, Any]],
    *,
    engine: Engine | None = None,
    config: Config | None = None,
) -> tuple[OnlinePoses, list[dict[str, Any]]]:
    """Follow every person of ``states`` to the next image.

    Args:
        image: RGB [H, W, 3], of the size the states were made on.
        states: one per person, as :func:`start` or an earlier ``step`` made it, also after a
            round trip through JSON. All must have the same number of joints.
        engine: the parts that look at pixels.
        config: thresholds.

    Returns:
        The poses on ``image``, and the new states, in the order of ``states``.

    Raises:
        StateError: if a state is of another version, image size or shape; naming the field.
    """
    engine = engine or Engine()
    config = engine.own(config or Config())
    persons = [_Person.from_json(state, image) for state in states]
    if len({len(p.xy) for p in persons}) > 1:
        raise StateError(
            "Expected all states to have the same number of joints, got "
            f"{sorted({len(p.xy) for p in persons})}."
        )
    followed = _corrected(
        [_follow(person, image, engine, config) for person in persons], image, engine, config
    )
    height, width = image.shape[:2]
    keypoints = len(persons[0].xy) if persons else 0
    shape = (len(followed), keypoints)
    xy = np.array([p.xy for p in followed]).reshape(*shape, 2)
    variance = np.array([p.variance for p in followed]).reshape(shape)
    visible = np.array([p.visible for p in followed], bool).reshape(shape)
    inside = inside_image(xy, width=width, height=height)
    seen = np.where(visible, Visibility.VISIBLE, Visibility.OCCLUDED)
    poses = OnlinePoses(
        track_id=np.array([p.track for p in followed], np.int64),
        xy=np.where(inside[..., None], xy, np.nan),
        visibility=np.where(inside, seen, Visibility.ABSENT).astype(np.uint8),
        deviation=np.where(inside, np.sqrt(variance) * config.estimate.open_scale, np.nan),
    )
    return poses, [_state(image, person) for person in followed]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """A state, validated and decoded; ``corner`` and ``extent`` place its picture.

    ``bias`` [K, 2] px is what the reader adds to the annotator's points, ``wrong`` [K] 1 where
    it saw something else at the start.
    """

    track: int
    keypoints: tuple[str, ...]
    xy: NDArray[np.float64]
    variance: NDArray[np.float64]
    visible: NDArray[np.bool_]
    bias: NDArray[np.float64]
    wrong: NDArray[np.float64]
    size: float
    corner: tuple[int, int] = (0, 0)
    extent: tuple[int, int] = (0, 0)
    picture: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))

    @classmethod
    def from_json(cls, state: Mapping[str, Any], image: NDArray[np.uint8]) -> _Person:
        height, width = image.shape[:2]
        expected = {"format": FORMAT, "version": VERSION, "width": width, "height": height}
        for name, value in expected.items():
            if state.get(name) != value:
                got = state.get(name)
                raise StateError(f"Expected state '{name}' to be {value!r}, got {got!r}.")
        xy = np.array([_point(p, f"xy[{k}]") for k, p in enumerate(_list(state, "xy"))])
        variance = np.array(
            [_number(v, f"variance[{k}]", low=0.0) for k, v in enumerate(_list(state, "variance"))]
        )
        visible = np.array([v is True for v in _list(state, "visible")], bool)
        # null: the reader was wrong about the joint from the beginning
        said = _list(state, "bias")
        bias = np.array([_point(p, f"bias[{k}]") for k, p in enumerate(said)])
        keypoints = tuple(
            _name(v, f"keypoints[{k}]") for k, v in enumerate(_list(state, "keypoints"))
        )
        lengths = [len(v) for v in (xy, variance, visible, bias, keypoints)]
        if len(set(lengths)) > 1:
            raise StateError(
                "Expected state 'xy', 'variance', 'visible', 'bias' and 'keypoints' to be equally "
                f"long, got {lengths}."
            )
        if len(set(keypoints)) < len(keypoints):
            raise StateError(f"Expected state 'keypoints' to be unique, got {list(keypoints)}.")
        track = state.get("track")
        if not isinstance(track, int) or isinstance(track, bool):
            raise StateError(f"Expected state 'track' to be an integer, got {track!r}.")
        left, top, right, bottom = _crop(state, width, height)
        return cls(
            track=track,
            keypoints=keypoints,
            xy=xy,
            variance=variance,
            visible=visible,
            bias=np.nan_to_num(bias),
            wrong=np.isnan(bias).any(-1).astype(np.float64),
            size=_number(state.get("size"), "size", low=1.0),
            corner=(left, top),
            extent=(right - left, bottom - top),
            picture=_picture(state, (right - left, bottom - top)),
        )


def _follow(person: _Person, image: NDArray[np.uint8], engine: Engine, config: Config) -> _Person:
    (left, top), (w, h) = person.corner, person.extent
    picture = _shrunk(_grey(image[top : top + h, left : left + w]))
    scale = np.array(picture.shape[::-1]) / (w, h)
    known = np.flatnonzero(np.isfinite(person.xy).all(-1))
    steps = follow(
        engine.points,
        engine.points.encode(np.repeat(person.picture[..., None], 3, axis=2)),
        engine.points.encode(np.repeat(picture[..., None], 3, axis=2)),
        (person.xy[known] - person.corner) * scale,
        size=np.full(len(known), person.size * scale.mean()),
        person=np.zeros(len(known), np.int64),
        config=config.tracking,
    )
    xy, variance, visible = person.xy.copy(), person.variance.copy(), person.visible.copy()
    xy[known] = steps.xy / scale + person.corner
    floor = (config.estimate.step_floor * person.size) ** 2
    drift = 1.0 if _columns(person, engine) is None else config.estimate.readings.drift
    variance[known] += drift * ((steps.deviation / scale.mean()) ** 2 + floor)
    visible[known] &= ~steps.lost
    return replace(person, xy=xy, variance=variance, visible=visible)


def _columns(person: _Person, engine: Engine) -> NDArray[np.int64] | None:
    """[K]: the joints among those of the engine's reader; None if it does not know such bodies."""
    if engine.reader is None:
        return None
    try:
        return columns(skeleton_from_names("state", person.keypoints), engine.reader.skeleton)
    except SkeletonMismatch:
        return None


def _seen(
    persons: Sequence[_Person], image: NDArray[np.uint8], engine: Engine
) -> list[Candidates | None]:
    """What the reader sees of each person, by the person's joints; None where it cannot look."""
    found: list[Candidates | None] = [None] * len(persons)
    known = [_columns(person, engine) for person in persons]
    looked = [
        n
        for n, person in enumerate(persons)
        if known[n] is not None and np.isfinite(person.xy).any()
    ]
    if engine.reader is None or not looked:
        return found
    priors = _priors(
        [(persons[n].xy, at) for n in looked if (at := known[n]) is not None], engine.reader
    )
    seen = engine.reader.read([image] * len(looked), views_around(engine.reader, priors))
    for row, n in enumerate(looked):
        at = known[n]
        assert at is not None
        found[n] = Candidates(
            xy=renamed(seen.xy[row][None], at, np.nan)[0],
            score=renamed(seen.score[row][None], at, 0.0)[0],
        )
    return found


def _priors(
    bodies: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]], reader: PoseReader
) -> Priors:
    """Where to look for bodies [K, 2], given with their joints' places among the reader's.

    Nothing is pinned: a state does not tell human points from others.
    """
    places = np.stack(
        [renamed(xy[None], inverse(at, reader.skeleton), np.nan)[0] for xy, at in bodies]
    )
    return Priors(
        box_xyxy=extents_of(np.stack([xy for xy, _ in bodies])),
        xy=places,
        pinned=np.zeros(places.shape[:2], bool),
    )


def _with_bias(
    person: _Person, image: NDArray[np.uint8], engine: Engine, config: Config
) -> _Person:
    """The person with the reader's bias on its first frame."""
    (seen,) = _seen([person], image, engine)
    if seen is None:
        return person
    size = np.full(len(person.xy), person.size)
    known = np.isfinite(person.xy).all(-1)
    apart, right = missed(seen, np.nan_to_num(person.xy), size, config.estimate.readings)
    right &= known
    wrong = np.where(right, 0.0, 1.0)
    return replace(person, bias=np.where(right[:, None], apart, 0.0), wrong=wrong)


def _corrected(
    persons: Sequence[_Person], image: NDArray[np.uint8], engine: Engine, config: Config
) -> list[_Person]:
    """The persons after what the reader sees on ``image``; joints outside of it are gone."""
    height, width = image.shape[:2]
    after = []
    for n, (person, seen) in enumerate(zip(persons, _seen(persons, image, engine), strict=True)):
        xy, variance, visible = person.xy, person.variance, person.visible
        known = np.flatnonzero(np.isfinite(xy).all(-1))
        if seen is not None and len(known):
            size = np.full(len(known), person.size)
            everybody = np.stack([other.xy[known] for other in persons], axis=1)
            score = claimed(
                seen.xy[known],
                seen.score[known],
                np.full(len(known), n),
                everybody,
                size,
                config.estimate.readings,
            )
            readings = Bias(
                xy=np.stack([person.bias, person.bias]), wrong=np.stack([person.wrong] * 2)
            ).taken_from(
                Candidates(xy=seen.xy[known], score=score),
                known,
                np.zeros(len(known)),
                size,
                config.estimate.readings,
            )
            found = filtered(readings, xy[known], variance[known], size, config.estimate.readings)
            xy, variance, visible = xy.copy(), variance.copy(), visible.copy()
            xy[known], variance[known] = found.xy, found.variance
            visible[known] |= found.seen
        gone = ~inside_image(xy, width=width, height=height)
        after.append(
            replace(
                person,
                xy=np.where(gone[:, None], np.nan, xy),
                variance=variance,
                visible=visible & ~gone,
            )
        )
    return after


def _state(image: NDArray[np.uint8], person: _Person) -> dict[str, Any]:
    height, width = image.shape[:2]
    xy, size = person.xy, person.size
    known = np.asarray(np.isfinite(xy).all(-1))
    bias = zip(person.bias.tolist(), person.wrong.tolist(), strict=True)
    state: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "width": width,
        "height": height,
        "track": int(person.track),
        "keypoints": list(person.keypoints),
        "size": float(size),
        "xy": [[float(x), float(y)] if k else None for (x, y), k in zip(xy, known, strict=True)],
        "variance": [float(v) for v in person.variance],
        "visible": [bool(v) for v in person.visible],
        "bias": [None if wrong else point for point, wrong in bias],
    }
    margin = MARGIN * size + 16
    if known.any():
        low = np.clip(xy[known].min(0) - margin, 0, (width - 1, height - 1)).astype(int)
        high = np.ceil(np.clip(xy[known].max(0) + margin, low + 1, (width, height))).astype(int)
    else:  # everybody's joints have left the image: nothing more to follow
        low, high = np.array([0, 0]), np.array([1, 1])
    picture = _shrunk(_grey(image[low[1] : high[1], low[0] : high[0]]))
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    state["crop_xyxy"] = [int(v) for v in (*low, *high)]
    state["picture"] = base64.b64encode(data.tobytes()).decode("ascii")
    return state


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def _shrunk(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = min(1.0, PICTURE_PIXELS / max(grey.shape))
    size = [max(1, round(side * scale)) for side in grey.shape[::-1]]
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _crop(state: Mapping[str, Any], width: int, height: int) -> tuple[int, int, int, int]:
    crop = _list(state, "crop_xyxy")
    integers = all(isinstance(v, int) and not isinstance(v, bool) for v in crop)
    if len(crop) == 4 and integers:
        left, top, right, bottom = crop
        if 0 <= left < right <= width and 0 <= top < bottom <= height:
            return left, top, right, bottom
    raise StateError(
        f"Expected state 'crop_xyxy' to be a box inside {width} x {height}, got {crop!r}."
    )


def _picture(state: Mapping[str, Any], extent: tuple[int, int]) -> NDArray[np.uint8]:
    text = state.get("picture")
    if not isinstance(text, str) or len(text) > MAX_PICTURE_BYTES * 4 // 3:
        raise StateError(
            f"Expected state 'picture' to be base64 text of at most {MAX_PICTURE_BYTES} bytes, "
            f"got {type(text).__name__} of length {len(text) if isinstance(text, str) else 0}."
        )
    try:
        data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        decoded = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    except (ValueError, cv2.error) as error:
        raise StateError(
            f"Expected state 'picture' to be a JPEG in base64, got {error}."
        ) from error
    scale = min(1.0, PICTURE_PIXELS / max(extent))
    expected = tuple(max(1, round(side * scale)) for side in extent)[::-1]
    if decoded is None or decoded.shape != expected:
        got = None if decoded is None else decoded.shape
        raise StateError(f"Expected state 'picture' to be {expected} pixels, got {got}.")
    return np.asarray(decoded, np.uint8)


def _name(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise StateError(f"Expected state '{name}' to be a name, got {value!r}.")
    return value


def _list(state: Mapping[str, Any], name: str) -> list[Any]:
    value = state.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= 1000:
        raise StateError(
            f"Expected state '{name}' to be a list of 1 to 1000 items, got {type(value).__name__}."
        )
    return value


def _point(value: Any, name: str) -> tuple[float, float]:
    if value is None:
        return math.nan, math.nan
    if not isinstance(value, list) or len(value) != 2:
        raise StateError(f"Expected state '{name}' to be two numbers or null, got {value!r}.")
    return _number(value[0], name), _number(value[1], name)


def _number(value: Any, name: str, *, low: float = -1e6) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= 1e9:
        raise StateError(
            f"Expected state '{name}' to be a number of at least {low}, got {value!r}."
        )
    return float(value)
