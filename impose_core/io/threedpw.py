"""3DPW with its joints projected into the images ("3DPW-proj"), from ``.npz`` files.

The dataset (von Marcard et al., ECCV 2018) comes as pickles with 24 joints of a body model and
camera poses, and without labelled 2-D keypoints. ``docs/3dpw.md`` shows how to regress and
project the keypoints once; pickles can run code, so this reader takes the arrays only. One
file holds one sequence of T frames, N persons, K keypoints:

========== ================= ============================================================
name        text []           of the sequence
keypoints   text [K]          names of the K axis
track_id    int [N]           unique
xy          float [T, N, K, 2] pixels, origin at the outer corner of the top-left pixel
visibility  int [T, N, K]     2 where the joint projects into the image, else 0
box         float [T, N, 4]   xyxy of all projected joints; NaN where there is no camera pose
size        int [2]           width and height of the images, pixels
========== ================= ============================================================

A person is on the frames where the box is given. The area is 0.53 · width · height of the box.
A frame on which nobody has a box is not labelled.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import BadDocument
from impose_core.io.coco.conventions import AREA_OF_BOX, MAX_COORDINATE
from impose_core.io.coco.read import MAX_JOINTS
from impose_core.io.files import files_of, naming
from impose_core.io.json_fields import shown
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Visibility

_KINDS: Final = {
    "name": ("U", "text"),
    "keypoints": ("U", "text"),
    "track_id": ("iu", "integers"),
    "xy": ("f", "floats"),
    "visibility": ("iu", "integers"),
    "box": ("f", "floats"),
    "size": ("iu", "integers"),
}
"""Letters of numpy's ``dtype.kind`` that each array may have, and what to call them."""

_LARGEST: Final = MAX_JOINTS * 32
"""Bytes, unpacked: two doubles for each joint, and as much again for all else."""


def read_threedpw(path: str | os.PathLike[str]) -> PoseSet:
    """Read one ``.npz`` file, or all of a folder in natural order of their names.

    Raises:
        BadDocument: if a file cannot be read, lacks an array, or an array has another shape,
            kind or range than above; the message names the file and the array.
    """
    files = [Path(path)]
    if Path(path).is_dir():
        files = [file for file in files_of(path) if file.suffix == ".npz"]
    if not files:
        raise BadDocument(f"Expected '{path}' to hold .npz files, got none.")
    sequences: list[PoseSequence] = []
    keypoints: tuple[str, ...] = ()
    for file in files:
        with naming(file):
            arrays = _arrays(file)
            sequence = _sequence(arrays)
            names = tuple(arrays["keypoints"].tolist())
            if sequences and names != keypoints:
                raise BadDocument(
                    f"Expected 'keypoints' to be {shown(keypoints)} as in the files before, "
                    f"got {shown(names)}."
                )
            if sequence.name in {one.name for one in sequences}:
                raise BadDocument(f"Expected 'name' to be unique, got {shown(sequence.name)}.")
        keypoints = names
        sequences.append(sequence)
    return PoseSet(keypoints=keypoints, sequences=tuple(sequences))


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the file, each of the kind it must have."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(info.file_size for info in archive.infolist())
        found: dict[str, NDArray[Any]] = {}
        if size <= _LARGEST:
            with np.load(file, allow_pickle=False) as arrays:
                found = {key: arrays[key] for key in _KINDS if key in arrays.files}
        for key in ("name", "keypoints"):
            if key in found:
                found[key].tolist()  # fails where damage left no characters
    except Exception as error:  # zipfile and numpy let any parser's error through
        raise BadDocument(f"Expected arrays written by numpy.savez, got: {error}.") from error
    if size > _LARGEST:
        raise BadDocument(f"Expected arrays of at most {_LARGEST} bytes, got {size}.")
    for key, (kinds, called) in _KINDS.items():
        if not isinstance(found.get(key), np.ndarray):
            raise BadDocument(f"Expected an array '{key}', got {shown(sorted(found))}.")
        if found[key].dtype.kind not in kinds:
            raise BadDocument(f"Expected '{key}' to be {called}, got {found[key].dtype}.")
    with np.errstate(over="ignore"):  # what a double cannot hold is caught as infinite
        return {**found, **{key: found[key].astype(np.float64) for key in ("xy", "box")}}


def _sequence(arrays: dict[str, NDArray[Any]]) -> PoseSequence:
    _check(arrays)
    seen, track_id = arrays["visibility"].astype(np.uint8), arrays["track_id"].astype(np.int64)
    xy, box = np.where(seen[..., None] > 0, arrays["xy"], np.nan), arrays["box"]
    width, height = arrays["size"].tolist()
    on = np.asarray(np.isfinite(box).all(-1))
    return PoseSequence(
        name=arrays["name"].item(),
        width=width,
        height=height,
        frames=tuple(
            LabelledFrame(
                index=t,
                instances=_people(xy[t], seen[t], box[t], track_id).pick(on[t]),
                labelled=bool(on[t].any()),
            )
            for t in range(len(xy))
        ),
    )


def _people(
    xy: NDArray[np.float64],
    visibility: NDArray[np.uint8],
    box: NDArray[np.float64],
    track_id: NDArray[np.int64],
) -> Instances:
    people = Instances.unknown(*visibility.shape)
    people.xy[:], people.visibility[:], people.track_id[:] = xy, visibility, track_id
    people.box[:] = box
    people.area[:] = AREA_OF_BOX * (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    return people


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    """Shapes and ranges."""
    xy = arrays["xy"]
    if xy.ndim != 4 or xy.shape[3] != 2 or not math.prod(xy.shape):
        raise BadDocument(f"Expected 'xy' to have shape [T, N, K, 2], got {list(xy.shape)}.")
    t, n, k, _ = xy.shape
    shapes = {
        "name": (),
        "keypoints": (k,),
        "track_id": (n,),
        "visibility": (t, n, k),
        "box": (t, n, 4),
        "size": (2,),
    }
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise BadDocument(
                f"Expected '{key}' to have shape {list(shape)} as 'xy' has {list(xy.shape)}, "
                f"got {list(arrays[key].shape)}."
            )
    for key in ("keypoints", "track_id"):
        if len(np.unique(arrays[key])) != arrays[key].size:
            raise BadDocument(f"Expected '{key}' to be unique, got {shown(arrays[key].tolist())}.")
    if not arrays["name"].item() or not all(arrays["keypoints"].tolist()):
        raise BadDocument("Expected 'name' and 'keypoints' to be names, got an empty one.")
    low, high = arrays["track_id"].min(), arrays["track_id"].max()
    if low < 0 or high > np.iinfo(np.int64).max:
        raise BadDocument(f"Expected 'track_id' to be ≥ 0, got {low} to {high}.")
    if not ((arrays["size"] >= 1) & (arrays["size"] <= MAX_COORDINATE)).all():
        raise BadDocument(f"Expected 'size' to be in pixels, got {arrays['size'].tolist()}.")
    _check_positions(xy, arrays["visibility"], arrays["box"])


def _check_positions(xy: NDArray[Any], visibility: NDArray[Any], box: NDArray[Any]) -> None:
    states = (Visibility.ABSENT, Visibility.OCCLUDED, Visibility.VISIBLE)
    checks = {
        "visibility": (visibility, np.isin(visibility, states)),
        "xy": (xy, (np.abs(xy) <= MAX_COORDINATE) | (visibility == 0)[..., None]),
        "box": (
            box,
            np.isnan(box).all(-1, keepdims=True)
            | ((np.abs(box) <= MAX_COORDINATE).all(-1) & (box[..., :2] <= box[..., 2:]).all(-1))[
                ..., None
            ],
        ),
    }
    expected = {
        "visibility": "0, 1 or 2",
        "xy": f"finite and within {MAX_COORDINATE:g} pixels where visibility is above 0",
        "box": f"all NaN, or corners xyxy within {MAX_COORDINATE:g} pixels",
    }
    for key, (values, good) in checks.items():
        wrong = np.argwhere(~np.broadcast_to(good, values.shape))
        if len(wrong):
            at = tuple(wrong[0].tolist())
            raise BadDocument(
                f"Expected '{key}' at {list(at)} to be {expected[key]}, got {values[at]}."
            )
    lost = np.argwhere((visibility > 0).any(-1) & np.isnan(box).all(-1))
    if len(lost):
        raise BadDocument(
            f"Expected 'box' at {lost[0].tolist()} to be given, as 'visibility' is, got NaN."
        )
