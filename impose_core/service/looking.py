"""One frame at a time, nothing written: after a drag, in a box, everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.click_seeds import FEWEST, PLAIN, SEEN, seeds_of_boxes, seeds_of_clicks
from impose_core.config import Config
from impose_core.engine import Engine
from impose_core.errors import UnknownTrack, UsageError
from impose_core.estimates import Estimates
from impose_core.frames import ArrayFrames
from impose_core.geometry import body_size
from impose_core.io.documents import VideoInfo
from impose_core.io.xanylabeling_frame import FrameLabels, Shape, new_shape
from impose_core.io.xanylabeling_people import PERSON, Person, Pose, people_of
from impose_core.io.xanylabeling_placing import DIGITS, Placed, joint_shape, with_people
from impose_core.ledger import write_frames
from impose_core.marks import Mark, Marks
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.readers import PoseReader
from impose_core.readers.naming import columns, renamed
from impose_core.service.errors import BadRequest
from impose_core.skeleton import Skeleton

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]

SAME: Final = 0.2
"""Body sizes: bodies whose joints are nearer than this in the median are one and the same ..."""
FOLLOWED: Final = 0.5
"""... and on neighbouring frames probably are."""


def refined(
    engine: Engine,
    image: Image,
    labels: FrameLabels,
    *,
    person: int,
    moved: Sequence[str],
    before: Mapping[str, Sequence[float]],
    skeleton: Skeleton,
) -> list[Shape]:
    """The joints of ``person`` that change after a human moved those called ``moved``.

    Args:
        engine: without a reader nothing follows from a drag on its own frame.
        image: the frame.
        labels: all its shapes, after the drag.
        person: whose.
        moved: names of joints; they are the human's from now on.
        before: where those joints were, pixels.
        skeleton: what the names mean.

    Raises:
        UnknownTrack, UnknownKeypoint: if nobody of that id, or no such joint, is there.
    """
    people = people_of(labels, skeleton)
    if person not in people or not people[person].places:
        raise UnknownTrack(
            f"Expected 'person' to be one of {sorted(people)} on this frame, got {person}."
        )
    one = people[person]
    at = [skeleton.index(name) for name in moved]
    for k, name in zip(at, moved, strict=True):
        if k not in one.places:
            raise BadRequest(f"Expected 'moved' to name joints that are there, got {name!r}.")
        one.pose.origin[k], one.pose.seed[k] = Origin.HUMAN, False
        one.pose.deviation[k], one.pose.score[k] = 0.0, 1.0
    mark = one.mark()
    after = _after_click(engine, image, labels, people, person, at, before, skeleton)
    if after is not None:
        mark = after
    pose = _pose_of(mark, one.pose, skeleton, image)
    return [_shape(labels, one, person, pose, k, skeleton) for k in _changed(one.pose, pose, at)]


def _after_click(
    engine: Engine,
    image: Image,
    labels: FrameLabels,
    people: Mapping[int, Person],
    person: int,
    at: Sequence[int],
    before: Mapping[str, Sequence[float]],
    skeleton: Skeleton,
) -> Mark | None:
    """What is fixed about the person once the reader looked again; None: as it was."""
    if engine.reader is None:
        return None
    one = people[person]
    shown = _shown(people, skeleton)
    n = shown.person(person)
    marks, old = Marks(len(skeleton)), Marks(len(skeleton))
    mark = one.mark()
    marks.apply({(person, 0): (None, mark)})
    was = one.mark()
    for k in at:
        noted = labels.shapes[one.places[k]].impose.get("xy")
        place = before.get(skeleton.keypoints[k], noted)
        shown.xy[0, n, k] = np.nan if place is None else place
        shown.deviation[0, n, k] = np.nan
        was.origin[k] = Origin.NONE
        was.visibility[k], was.xy[k] = Mark.blank(1).visibility[0], np.nan
    old.apply({(person, 0): (None, was)})
    patch = seeds_of_clicks(
        [(person, 0)], marks, before=old, shown=shown, frames=_still(image), reader=engine.reader
    )
    return patch[person, 0][1] if patch else None


def boxed(
    engine: Engine,
    image: Image,
    labels: FrameLabels,
    *,
    box: Sequence[float],
    person: int,
    skeleton: Skeleton,
    video: VideoInfo,
) -> list[Shape]:
    """The box [xyxy pixels] and the pose of whoever fills it, as shapes of ``person``.

    Raises:
        UsageError: if the engine has no reader.
        BadRequest: if the box has no inside, or somebody of that id is there already.
    """
    reader = _reader(engine)
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        raise BadRequest(f"Expected 'box_xyxy' as x1 < x2 and y1 < y2, got {list(box)}.")
    people = people_of(labels, skeleton)
    if person in people and people[person].places:
        raise BadRequest(f"Expected 'person' not to have joints on this frame, got {person}.")
    mark = Mark.blank(len(skeleton))
    mark.box[:] = box
    marks = Marks(len(skeleton))
    marks.apply({(person, 0): (None, mark)})
    patch = seeds_of_boxes(
        [(person, 0)],
        marks,
        shown=_shown(people, skeleton),
        frames=_still(image),
        reader=reader,
    )
    found = patch[person, 0][1] if patch else None
    pose = _pose_of(found or mark, Pose.unknown(len(skeleton)), skeleton, image)
    bare = labels.with_shapes([s for s in labels.shapes if s.person != person], labels.impose)
    placed = with_people(bare, {person: Placed(pose=pose)}, skeleton, video)
    joints = [s for s in placed.shapes if s.person == person and s.kind == "point"]
    return [_human_box(box, person), *joints]


def detected(
    engine: Engine,
    image: Image,
    labels: FrameLabels,
    *,
    near: Sequence[FrameLabels],
    free: int,
    skeleton: Skeleton,
    video: VideoInfo,
) -> dict[int, list[Shape]]:
    """Everybody on a frame who is not in ``labels`` yet: shapes by id.

    Args:
        engine: with a reader.
        image: the frame.
        labels: its shapes.
        near: the frames beside it, for who is who.
        free: the first id that nobody has.
        skeleton: whose joints are wanted.
        video: what the frames are.

    Raises:
        UsageError: if the engine has no reader.
        SkeletonMismatch: if the reader knows too few of the joints.
    """
    reader = _reader(engine)
    seen = reader.detect(image)
    at = columns(skeleton, reader.skeleton)
    xy, score = renamed(seen.xy, at, np.nan), renamed(seen.score, at, 0.0)
    here = people_of(labels, skeleton)
    beside = [people_of(frame, skeleton) for frame in near]
    taken = set(here)
    found: dict[int, list[Shape]] = {}
    for one in _bodies(xy, score):
        if any(_apart(one.xy, p.pose.xy, image) < SAME for p in here.values()):
            continue
        identity = _followed(one, beside, taken, image)
        if identity is None:
            identity = free
            free += 1
        taken.add(identity)
        pose = _measured(one, skeleton, image)
        placed = with_people(FrameLabels(), {identity: Placed(pose=pose)}, skeleton, video)
        found[identity] = list(placed.shapes)
    return found


def _bodies(xy: Floats, score: Floats) -> Iterator[Pose]:
    for place, sure in zip(xy, score, strict=True):
        there = np.isfinite(place).all(-1) & (sure >= SEEN)
        if there.sum() < FEWEST:
            continue
        pose = Pose.unknown(len(place))
        pose.xy[there] = np.round(place[there], DIGITS)
        pose.origin[there], pose.seed[there] = Origin.DETECTED, True
        flag = np.where(sure >= PLAIN, Visibility.VISIBLE, Visibility.OCCLUDED)
        pose.visibility[there] = flag[there]
        yield pose


def _followed(
    pose: Pose, beside: Sequence[Mapping[int, Person]], taken: set[int], image: Image
) -> int | None:
    """Who of the frames beside this one stands here; None for nobody."""
    apart = {
        identity: _apart(pose.xy, person.pose.xy, image)
        for people in reversed(beside)
        for identity, person in people.items()
        if identity not in taken
    }
    nearest = min(apart, key=apart.__getitem__, default=None)
    return nearest if nearest is not None and apart[nearest] < FOLLOWED else None


def _apart(a: Floats, b: Floats, image: Image) -> float:
    """How far two bodies are apart, in body sizes; infinite if they share no joint."""
    off = np.linalg.norm(a - b, axis=-1)
    off = off[np.isfinite(off)]
    height, width = image.shape[:2]
    size = body_size(a, width=width, height=height)
    return float(np.median(off) / size) if len(off) else np.inf


def _reader(engine: Engine) -> PoseReader:
    if engine.reader is None:
        raise UsageError(
            "Expected a service with a pose reader to find people, got one without.",
            hint="Start it with --reader movenet.",
        )
    return engine.reader


def _still(image: Image) -> ArrayFrames:
    return ArrayFrames(image[None])


def _shown(people: Mapping[int, Person], skeleton: Skeleton) -> PoseTracks:
    """Everybody on one frame, as a ledger of that frame."""
    ids = sorted(i for i, person in people.items() if person.places)
    shown = PoseTracks.empty(frames=1, track_id=ids, skeleton=skeleton)
    for n, identity in enumerate(ids):
        pose = people[identity].pose
        shown.xy[0, n], shown.visibility[0, n] = pose.xy, pose.visibility
        shown.origin[0, n], shown.score[0, n] = pose.origin, pose.score
        shown.deviation[0, n] = pose.deviation
    return shown


def _pose_of(mark: Mark, rest: Pose, skeleton: Skeleton, image: Image) -> Pose:
    """What ``mark`` fixes, with deviation and score; other joints as in ``rest``."""
    marks = Marks(len(skeleton))
    marks.apply({(0, 0): (None, mark)})
    ledger = PoseTracks.empty(frames=1, track_id=[0], skeleton=skeleton)
    write_frames(
        ledger,
        Estimates.unknown((1, 1, len(skeleton))),
        marks,
        0,
        width=image.shape[1],
        height=image.shape[0],
        config=Config().estimate,
    )
    fixed = mark.placed
    xy = np.where(mark.human[:, None], mark.xy, np.round(mark.xy, DIGITS))
    return Pose(
        xy=np.where(fixed[:, None], xy, rest.xy),
        visibility=np.where(fixed, mark.visibility, rest.visibility).astype(np.uint8),
        origin=np.where(fixed, mark.origin, rest.origin).astype(np.uint8),
        seed=np.where(fixed, ~mark.human, rest.seed),
        deviation=np.where(fixed, ledger.deviation[0, 0], rest.deviation),
        score=np.where(fixed, ledger.score[0, 0], rest.score),
    )


def _measured(pose: Pose, skeleton: Skeleton, image: Image) -> Pose:
    """A pose of seeds with their deviation and score."""
    mark = Mark.blank(len(skeleton))
    there = pose.known
    mark.xy[there], mark.origin[there] = pose.xy[there], pose.origin[there]
    mark.visibility[there] = pose.visibility[there]
    return _pose_of(mark, pose, skeleton, image)


def _changed(old: Pose, new: Pose, moved: Sequence[int]) -> list[int]:
    same = (old.xy == new.xy).all(-1) & (old.visibility == new.visibility)
    return sorted({*moved, *np.flatnonzero(new.known & ~same & ~old.human).tolist()})


def _shape(
    labels: FrameLabels, one: Person, person: int, pose: Pose, k: int, skeleton: Skeleton
) -> Shape:
    old = labels.shapes[one.places[k]] if k in one.places else None
    return joint_shape(old, skeleton.keypoints[k], person, pose, k)


def _human_box(box: Sequence[float], person: int) -> Shape:
    x1, y1, x2, y2 = box
    corners = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
    return new_shape("rectangle", PERSON, person, corners, impose={"origin": "human"})
