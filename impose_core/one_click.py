"""One click repairs a body: the other joints are chosen again, on this image alone.

A joint that a human puts elsewhere says more than where it is. What was seen of this body may
belong to its other side, to a neighbour, or to somebody lying down whom the reader took for
standing. So the body is read again, in a view that holds the click, upright and turned; every
place the reader gives for a joint competes with where the joint was; and the likeliest body
(:mod:`impose_core.body_tree`) with the clicked joints where they are is taken whole.

A reader that starts from priors weighs the body itself: it reads it once, around where it was,
the clicked joints held (Click-Pose's loop).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.body_tree import JOINTS
from impose_core.poses import PoseTracks, Visibility
from impose_core.readers import PoseReader, PriorReader, Priors
from impose_core.readers.naming import columns, inverse, renamed
from impose_core.readers.protocol import Candidates, Image
from impose_core.readers.views import cut
from impose_core.readers.whole_body import (
    TURNS,
    Neighbours,
    RepairConfig,
    Repaired,
    repair,
)
from impose_core.skeleton import COCO17, Skeleton, remap

Floats = NDArray[np.float64]


def repair_body(
    reader: PoseReader,
    image: Image,
    xy: Floats,
    deviation: Floats,
    pinned: Floats,
    *,
    neighbours: Neighbours | None = None,
    config: RepairConfig | None = None,
) -> Repaired:
    """Look again at the body that was at ``xy``, and choose its joints anew around ``pinned``.

    Args:
        reader: must know the joints of COCO.
        image: the frame.
        xy: [17, 2] pixels, where the joints were before the click, pinned ones as well; NaN
            where unknown.
        deviation: [17] pixels, one sigma; NaN where unknown, as for a reader's own poses.
        pinned: [17, 2] pixels: where a human put them; NaN for the others.
        neighbours: who else is there.
        config: see :class:`RepairConfig`.
    """
    if isinstance(reader, PriorReader):
        return _read_around(reader, image, xy, pinned)
    readings = look(reader, image, views_of(reader, xy, pinned))
    return repair(readings, xy, deviation, pinned, neighbours=neighbours, config=config)


def repair_pose(
    reader: PoseReader,
    image: Image,
    xy: Floats,
    deviation: Floats,
    pinned: Floats,
    *,
    skeleton: Skeleton,
    others: Neighbours | None = None,
    config: RepairConfig | None = None,
) -> tuple[Floats, Floats]:
    """:func:`repair_body` for a body of any skeleton: joints are known by their names.

    Args:
        reader: must know the joints of COCO.
        image: the frame.
        xy: [K, 2] pixels, as for :func:`repair_body`.
        deviation: [K] pixels.
        pinned: [K, 2] pixels.
        skeleton: of the K axis.
        others: see :func:`others_of`.
        config: see :class:`RepairConfig`.

    Returns:
        Pixels [K, 2] and scores [K]. Joints the reader does not know are where they were.

    Raises:
        SkeletonMismatch: if too few of the skeleton's joints are COCO's to know a body by.
    """
    there = _coco_of(skeleton)
    found = repair_body(
        reader,
        image,
        *(_at(values, there) for values in (xy, deviation, pinned)),
        neighbours=others,
        config=config,
    )
    return _as_skeleton(found, there, np.where(np.isnan(pinned), xy, pinned))


def pose_in_box(
    reader: PoseReader,
    image: Image,
    box: Floats,
    *,
    skeleton: Skeleton,
    others: Neighbours | None = None,
    config: RepairConfig | None = None,
) -> tuple[Floats, Floats]:
    """The whole pose of whoever fills ``box`` [4] (xyxy pixels): pixels [K, 2], scores [K].

    Joints the reader does not know or see are NaN. Arguments as of :func:`repair_pose`.

    Raises:
        SkeletonMismatch: if too few of the skeleton's joints are COCO's to know a body by.
    """
    there = _coco_of(skeleton)
    box = np.asarray(box, np.float64)
    nowhere = np.full((len(JOINTS), 2), np.nan)
    if isinstance(reader, PriorReader):
        found = _read_around(reader, image, nowhere, nowhere, box=box)
    else:
        found = repair(
            look(reader, image, reader.views(box[None])),
            nowhere,
            nowhere[:, 0],
            nowhere,
            neighbours=others,
            config=config,
        )
    return _as_skeleton(found, there, np.full((len(skeleton), 2), np.nan))


def _coco_of(skeleton: Skeleton) -> NDArray[np.intp]:
    """[17]: each of COCO's joints in ``skeleton``, -1 for none."""
    columns(skeleton, COCO17)  # refuses what is no body of a person
    return remap(skeleton, COCO17)


def _as_skeleton(found: Repaired, there: NDArray[np.intp], rest: Floats) -> tuple[Floats, Floats]:
    """``found`` on a skeleton of K joints, of which ``there`` [17] are COCO's; others ``rest``."""
    best, score = rest.copy(), np.zeros(len(rest))
    best[there[there >= 0]] = found.xy[there >= 0]
    score[there[there >= 0]] = found.score[there >= 0]
    return best, score


def others_of(shown: PoseTracks, frame: int, person: int) -> Neighbours:
    """Everybody on ``frame`` of ``shown`` but the one at index ``person``, as neighbours.

    Raises:
        SkeletonMismatch: if the skeleton has no joint of COCO.
    """
    there = remap(shown.skeleton, COCO17)
    rest = np.arange(len(shown.track_id)) != person
    seen = shown.visibility[frame, rest] != Visibility.ABSENT
    sure = np.where(seen, np.nan_to_num(shown.score[frame, rest]), 0.0)
    return Neighbours(
        xy=np.stack([_at(xy, there) for xy in shown.xy[frame, rest]])
        if rest.any()
        else Neighbours().xy,
        sure=np.nan_to_num(np.stack([_at(one, there) for one in sure]))
        if rest.any()
        else Neighbours().sure,
    )


def views_of(reader: PoseReader, xy: Floats, pinned: Floats) -> NDArray[np.int64]:
    """Views [V, 3] that hold the body and what was clicked.

    A click beyond the body's extent may also mean that it is elsewhere as a whole.
    """
    there = xy[np.isfinite(xy).all(-1)]
    clicked = pinned[np.isfinite(pinned).all(-1)]
    both = np.concatenate([there, clicked])
    if len(both) < 2:
        return np.zeros((0, 3), np.int64)
    extents = [np.concatenate([both.min(0), both.max(0)])]
    if len(there) and len(clicked):
        low, high = there.min(0), there.max(0)
        shift = _shift(xy, pinned)
        if ((clicked < low) | (clicked > high)).any() and np.isfinite(shift).all():
            extents.append(np.concatenate([low + shift, high + shift]))
    return reader.views(np.stack(extents))


def look(reader: PoseReader, image: Image, views: NDArray[np.int64]) -> Candidates:
    """What each of ``views`` [V, 3] shows, upright and turned: V x 4 readings."""
    cuts, squares = [], []
    for view in views:
        side = int(view[2])
        upright = cut(image, view, side)
        cuts += [np.ascontiguousarray(np.rot90(upright, turn)) for turn in range(TURNS)]
        squares += [(0, 0, side)] * TURNS
    seen = reader.read(cuts, np.asarray(squares, np.int64).reshape(-1, 3))
    xy = seen.xy.copy()
    for i in range(len(xy)):
        view = views[i // TURNS]
        xy[i] = _turned_back(xy[i], i % TURNS, float(view[2])) + view[:2]
    return Candidates(xy=_as_coco(reader, xy, np.nan), score=_as_coco(reader, seen.score, 0.0))


def _read_around(
    reader: PriorReader, image: Image, xy: Floats, pinned: Floats, *, box: Floats | None = None
) -> Repaired:
    """The body read around ``xy`` [17, 2] with ``pinned`` [17, 2] held; both NaN where unknown.

    ``box`` [4] xyxy is where it is; default: the extent of its joints.
    """
    held = np.asarray(np.isfinite(pinned).all(-1))
    now = np.where(held[:, None], pinned, xy)
    known = now[np.isfinite(now).all(-1)]
    if box is None and len(known) < 2:
        return Repaired(xy=now, score=held.astype(np.float64), cost=np.inf, reading=-1)
    at = inverse(columns(COCO17, reader.skeleton), reader.skeleton)
    prior = Priors(
        box_xyxy=(np.concatenate([known.min(0), known.max(0)]) if box is None else box)[None],
        xy=renamed(now[None], at, np.nan),
        pinned=renamed(held[None].astype(np.float64), at, 0.0) > 0,
    )
    seen = reader.read([image], reader.around(prior))
    best, score = _as_coco(reader, seen.xy, np.nan)[0, :, 0], _as_coco(reader, seen.score, 0.0)[0]
    read = np.isfinite(best).all(-1) & ~held
    return Repaired(
        xy=np.where(read[:, None], best, now),
        score=np.where(held, 1.0, np.where(read, score[:, 0], 0.0)),
        cost=0.0,
        reading=0,
    )


def _shift(xy: Floats, pinned: Floats) -> Floats:
    """[2]: how far the clicked joint that moved most did; NaN if none was known before."""
    moved = pinned - xy
    far = np.nan_to_num((moved**2).sum(-1), nan=-1.0)
    return np.asarray(moved[far.argmax()] if far.max() >= 0 else np.full(2, np.nan))


def _at(values: Floats, there: NDArray[np.intp]) -> Floats:
    """``values`` [K, ...] at the joints ``there`` [17]; NaN where that is -1."""
    known = there.reshape(-1, *[1] * (values.ndim - 1)) >= 0
    return np.asarray(np.where(known, values[there], np.nan))


def _turned_back(xy: Floats, turns: int, side: float) -> Floats:
    """Places on a square turned ``turns`` quarters to the left, on the square itself."""
    x, y = xy[..., 0], xy[..., 1]
    return np.asarray(
        (xy, np.stack([side - y, x], -1), side - xy, np.stack([y, side - x], -1))[turns]
    )


def _as_coco(reader: PoseReader, values: Floats, fill: float) -> Floats:
    """``values`` [V, J, ...] of the reader's skeleton as [V, 17, ...], by name."""
    names = reader.skeleton.keypoints
    if names == JOINTS:
        return values
    out = np.full((len(values), len(JOINTS), *values.shape[2:]), fill)
    for k, name in enumerate(JOINTS):
        if name in names:
            out[:, k] = values[:, names.index(name)]
    return out
