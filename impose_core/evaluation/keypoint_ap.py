"""COCO keypoint AP and AR, by pycocotools itself, and AP joint by joint.

The ten numbers are those of ``COCOeval(iouType="keypoints")``: OKS thresholds .50:.05:.95,
101 recall points, the 20 best predictions of an image, medium from 32² to 96² square pixels
and large above. Predictions take labels greedily, by score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from impose_core.errors import UsageError
from impose_core.evaluation.alignment import align
from impose_core.evaluation.conventions import gather, ignored, sigmas_for, with_areas
from impose_core.evaluation.pycocotools_eval import Floats, People, evaluate
from impose_core.io.coco.conventions import AREA_OF_BOX
from impose_core.pose_sets import Instances, PoseSet

NOTHING: Final = -1.0
"""A number of which nothing could be evaluated, as in COCO."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointAP:
    """AP of one keypoint, and how many persons it was evaluated on."""

    ap: float
    ap50: float
    ap75: float
    labelled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointAP:
    """COCO's ten numbers, 0 to 1, or -1 where nothing could be evaluated.

    Attributes:
        ap: mean precision over thresholds and recall; ``ap50`` and ``ap75`` at OKS .50, .75.
        ap_medium: of persons of 32² to 96² square pixels.
        ap_large: of larger ones.
        ar: mean recall over thresholds; the others accordingly.
        joints: AP of each keypoint by name; empty if it was not asked for.
        mean_joint_ap: mean of ``joints`` over the keypoints that could be evaluated.
        sigmas: name of the sigmas (:func:`~impose_core.evaluation.conventions.sigmas_for`).
        area: name of the areas (:func:`~impose_core.evaluation.conventions.with_areas`).
        images: how many were evaluated.
        labelled: how many persons counted in them; ignored ones are not among them.
        predicted: how many predictions they had.
    """

    ap: float
    ap50: float
    ap75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_medium: float
    ar_large: float
    joints: Mapping[str, JointAP]
    mean_joint_ap: float
    sigmas: str
    area: str
    images: int
    labelled: int
    predicted: int


def keypoint_ap(
    labels: PoseSet,
    predictions: PoseSet,
    *,
    sigmas: str | None = None,
    share_of_box: float = AREA_OF_BOX,
    min_labelled_joints: int = 1,
    joints: bool = True,
) -> KeypointAP:
    """AP and AR of ``predictions``, which are first aligned with ``labels``.

    Frames that nobody labelled are left out. Ignore regions are not looked at: COCO has none;
    remove what lies in them from both sides before.

    A missing keypoint is put at (0, 0), as result files do. The area of a prediction, which
    decides whether an unmatched one is medium or large, is that of its box, or else of the
    extent of its keypoints, those at (0, 0) included (``COCO.loadRes``). Equal scores on
    different images are ranked in the order of ``labels``.

    AP of a joint is COCO's AP of a body of that joint alone: its sigma, the area and the score
    of the person, matched anew; persons on whom it is not labelled are ignored. There is no
    official definition of it.

    Args:
        labels: the truth.
        predictions: each with a score.
        sigmas: name of a set, see :func:`~impose_core.evaluation.conventions.sigmas_for`.
        share_of_box: area in units of w · h where the labels give none, see
            :func:`~impose_core.evaluation.conventions.with_areas`.
        min_labelled_joints: persons with fewer labelled keypoints are ignored.
        joints: whether to evaluate the K joints too, each of which takes about as long as the
            whole body.

    Raises:
        UsageError: if pycocotools is not installed, the two sets do not fit, a prediction has
            no score, or an argument makes no sense.
    """
    found = align(predictions, labels)
    labels, area = with_areas(labels, share_of_box=share_of_box)
    chosen = sigmas_for(labels.keypoints, sigmas)
    truth = _truth(labels, min_labelled_joints)
    candidates = _candidates(labels, found)
    precision, recall = evaluate(truth, candidates, chosen.values)
    by_joint = {
        name: _joint_ap(truth.joint(k), candidates.joint(k), chosen.values[k : k + 1])
        for k, name in enumerate(labels.keypoints if joints else ())
    }
    able = [one.ap for one in by_joint.values() if one.ap > NOTHING]
    return KeypointAP(
        ap=_mean(precision[..., 0]),
        ap50=_mean(precision[_OKS_50, ..., 0]),
        ap75=_mean(precision[_OKS_75, ..., 0]),
        ap_medium=_mean(precision[..., 1]),
        ap_large=_mean(precision[..., 2]),
        ar=_mean(recall[..., 0]),
        ar50=_mean(recall[_OKS_50, ..., 0]),
        ar75=_mean(recall[_OKS_75, ..., 0]),
        ar_medium=_mean(recall[..., 1]),
        ar_large=_mean(recall[..., 2]),
        joints=by_joint,
        mean_joint_ap=float(np.mean(able)) if able else NOTHING,
        sigmas=chosen.name,
        area=area,
        images=truth.images,
        labelled=int((~truth.ignored).sum()),
        predicted=len(candidates.image),
    )


_OKS_50, _OKS_75 = 0, 5
"""Where .50 and .75 are among the ten thresholds."""


def _truth(labels: PoseSet, min_labelled_joints: int) -> People:
    parts = [frame.instances for _, frame in labels if frame.labelled]
    people = gather(parts, len(labels.keypoints))
    image = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    # whoever has neither a box nor a keypoint is nowhere, and cannot be matched
    there = np.asarray(np.isfinite(people.box).all(-1))
    people, image = people.pick(there), image[there]
    return People(
        images=len(parts),
        image=image,
        triples=_triples(people),
        box=_xywh(people.box),
        area=people.area,
        score=np.zeros(len(image)),
        crowd=people.crowd,
        ignored=ignored(people, min_labelled_joints),
    )


def _candidates(labels: PoseSet, found: PoseSet) -> People:
    pairs = zip(labels, found, strict=True)
    parts = [frame.instances for (_, label), (_, frame) in pairs if label.labelled]
    people = gather(parts, len(labels.keypoints))
    if np.isnan(people.score).any():
        raise UsageError(
            f"Expected every prediction to have a score, got {np.isnan(people.score).sum()} of "
            f"{len(people)} without."
        )
    triples = _triples(people)
    extent = np.concatenate([triples[..., :2].min(1), triples[..., :2].max(1)], axis=-1)
    box = _xywh(np.where(np.isnan(people.box), extent, people.box))
    return People(
        images=len(parts),
        image=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        triples=triples,
        box=box,
        area=box[:, 2] * box[:, 3],
        score=people.score,
        crowd=np.zeros(len(people), bool),
        ignored=np.zeros(len(people), bool),
    )


def _triples(people: Instances) -> Floats:
    return np.concatenate([np.nan_to_num(people.xy), people.visibility[..., None]], axis=-1)


def _xywh(box: Floats) -> Floats:
    return np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=-1)


def _joint_ap(truth: People, candidates: People, sigma: Floats) -> JointAP:
    precision, _ = evaluate(truth, candidates, sigma, ranges=1)
    return JointAP(
        ap=_mean(precision),
        ap50=_mean(precision[_OKS_50]),
        ap75=_mean(precision[_OKS_75]),
        labelled=int((~truth.ignored).sum()),
    )


def _mean(values: Floats) -> float:
    """Mean of what was evaluated; -1 if nothing was."""
    able = values[values > NOTHING]
    return float(able.mean()) if able.size else NOTHING
