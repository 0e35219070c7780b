"""What OKS leaves open: sigmas, areas, and who counts. Every figure names what it chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.pose_sets import Instances, PoseSet
from impose_core.skeleton import COCO17, POSETRACK15, POSETRACK17, PRESETS, skeleton_from_names

WHOLE_BOX: Final = 1.0
"""``share_of_box`` of converters that take the box for the person; OKS rises with it."""


def _by_keypoint(keypoints: Sequence[str], sigmas: Sequence[float]) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(keypoints, sigmas, strict=True)))


SIGMA_SETS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        **{
            # its heads' .079 is in the name, as others choose otherwise
            "posetrack15_head079" if preset is POSETRACK15 else preset.name: _by_keypoint(
                preset.keypoints, preset.sigmas
            )
            for preset in PRESETS.values()
        },
        # mmpose's posetrack18.py hands COCO's list to PoseTrack's 17 slots by position, so that
        # head_bottom and head_top are held to an eye's .025
        "posetrack17_mmpose": _by_keypoint(POSETRACK17.keypoints, COCO17.sigmas),
    }
)
"""Published sigmas, by name of the set and of the keypoint: the presets' own, and what others
use for PoseTrack, which has no official ones (see :mod:`impose_core.skeleton`)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sigmas:
    """COCO's sigma of K keypoints, float64 [K], and what to call them beside a figure."""

    name: str
    values: NDArray[np.float64]


def sigmas_for(keypoints: Sequence[str], name: str | None = None) -> Sigmas:
    """The sigmas of ``keypoints`` from the set called ``name``.

    Without a name, the set whose keypoints these are, in any order; if there is none, what is
    published for each name, else 0.05 (:data:`impose_core.skeleton.DEFAULT_SIGMA`), and the
    set is called "by_name".

    Raises:
        UsageError: if there is no such set, or it lacks one of ``keypoints``.
    """
    if name is None:
        same = [key for key, table in SIGMA_SETS.items() if table.keys() == set(keypoints)]
        if not same:
            own = skeleton_from_names("by_name", keypoints)
            return Sigmas(name=own.name, values=np.array(own.sigmas))
        name = same[0]
    if name not in SIGMA_SETS:
        raise UsageError(f"Expected 'sigmas' to be one of {list(SIGMA_SETS)}, got {name!r}.")
    lacking = [keypoint for keypoint in keypoints if keypoint not in SIGMA_SETS[name]]
    if lacking:
        raise UsageError(
            f"Expected the keypoints to be of the sigma set '{name}' "
            f"({', '.join(SIGMA_SETS[name])}), got '{lacking[0]}'.",
            hint="Without a name, the set is chosen by the keypoints.",
        )
    return Sigmas(name=name, values=np.array([SIGMA_SETS[name][k] for k in keypoints]))


def with_areas(labels: PoseSet, *, share_of_box: float = AREA_OF_BOX) -> tuple[PoseSet, str]:
    """``labels`` with a box and an area for everybody, and what to call them beside a figure.

    The file's ``area`` is kept. Where it gives none, the area is ``share_of_box`` · w · h of
    the person's box: 0.53 in xtcocotools and CrowdPose for data without masks, 1
    (:data:`WHOLE_BOX`) in many converters. Where there is no box either, the extent of the
    labelled keypoints stands in for it. Both stay NaN for people of whom nothing is given.

    Raises:
        UsageError: if ``share_of_box`` is not above 0.
    """
    if not share_of_box > 0:
        raise UsageError(f"Expected 'share_of_box' to be above 0, got {share_of_box}.")
    whole = gather([frame.instances for _, frame in labels], len(labels.keypoints))
    no_box = np.isnan(whole.box).any(-1)
    whole.box[no_box] = _extent(whole)[no_box]
    no_area = np.isnan(whole.area)
    sides = whole.box[:, 2:] - whole.box[:, :2]
    whole.area[no_area] = share_of_box * sides.prod(-1)[no_area]
    derived = no_area & ~np.isnan(whole.area)
    share = f"{share_of_box:g}·w·h"
    names = {
        "area of the file": (~no_area).any(),
        f"{share} of the box": (derived & ~no_box).any(),
        f"{share} of the keypoints' extent": (derived & no_box).any(),
    }
    used = ", else ".join(name for name, any_ in names.items() if any_)
    return scatter(whole, labels), used or "no area"


def ignored(people: Instances, min_labelled_joints: int = 1) -> NDArray[np.bool_]:
    """Who of the labelled ``people`` [P] counts neither as found nor as missed.

    Crowds, and whoever has fewer than ``min_labelled_joints`` labelled keypoints (COCO: 1).

    Raises:
        UsageError: if ``min_labelled_joints`` is below 1.
    """
    if min_labelled_joints < 1:
        raise UsageError(
            f"Expected 'min_labelled_joints' to be 1 or more, got {min_labelled_joints}."
        )
    return np.asarray(people.crowd | ((people.visibility > 0).sum(-1) < min_labelled_joints))


def gather(parts: Sequence[Instances], keypoints: int) -> Instances:
    """The instances of all ``parts``, one after the other, as a copy."""
    parts = parts or [Instances.unknown(0, keypoints)]
    return Instances(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Instances)}
    )


def scatter(whole: Instances, poses: PoseSet) -> PoseSet:
    """The frames of ``poses`` with the instances of ``whole``, the inverse of :func:`gather`."""
    sequences, start = [], 0
    for sequence in poses.sequences:
        frames = []
        for frame in sequence.frames:
            stop = start + len(frame.instances)
            frames.append(replace(frame, instances=whole.pick(np.arange(start, stop))))
            start = stop
        sequences.append(replace(sequence, frames=tuple(frames)))
    return replace(poses, sequences=tuple(sequences))


def _extent(people: Instances) -> NDArray[np.float64]:
    """Box [P, 4] xyxy around the labelled keypoints; NaN without any."""
    labelled = (people.visibility > 0)[..., None]
    low = np.where(labelled, people.xy, np.inf).min(1)
    high = np.where(labelled, people.xy, -np.inf).max(1)
    box = np.concatenate([low, high], axis=-1)
    return np.where(np.isfinite(box), box, np.nan)
