"""Every metric as figures of JSON: what it needs, and what it gives.

A figure is null where nothing could be evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.evaluation.comparison import Comparison
from impose_core.evaluation.conventions import WHOLE_BOX
from impose_core.evaluation.drift import Drift, Fails, frames_until_drift, summarize, survival
from impose_core.evaluation.ignore_regions import without_ignored_boxes
from impose_core.evaluation.keypoint_ap import NOTHING, KeypointAP, keypoint_ap
from impose_core.evaluation.keypoint_hota import JointHota, hota_keypoints
from impose_core.evaluation.occlusion import recoveries, recovery_rates
from impose_core.evaluation.posetrack_ap import posetrack_ap
from impose_core.evaluation.posetrack_joints import JOINTS
from impose_core.evaluation.smoothness import jitter
from impose_core.evaluation.track_calibration import track_calibration
from impose_core.evaluation.tracking import hota_box, hota_oks
from impose_core.pose_sets import NO_TRACK, Instances

Figures = dict[str, Any]
Flags = NDArray[np.bool_]
Need = Callable[[Comparison], str]
"""What an input lacks: "" if nothing, else "predictions without …"."""

TAUS: Final = (0.75, 0.85, 0.95)
"""OKS terms that are still right, for drift and occlusions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric by its published definition.

    Attributes:
        needs: what must be there; asked in this order.
        figures: what it gives, by name.
    """

    needs: tuple[Need, ...]
    figures: Callable[[Comparison], Figures]

    def lacking(self, comparison: Comparison) -> str:
        """The first thing that is lacking; "" if nothing is."""
        return next((said for need in self.needs if (said := need(comparison))), "")


# --- what a metric may need ----------------------------------------------------------------------


def _keypoints(c: Comparison) -> str:
    sides = (("labels", c.keypoints_of_labels), ("predictions", c.keypoints_of_predictions))
    return next((f"{side} without keypoints" for side, names in sides if not names), "")


def _posetrack_joints(c: Comparison) -> str:
    sides = (("labels", c.keypoints_of_labels), ("predictions", c.keypoints_of_predictions))
    for side, names in sides:
        lacking = [joint for joint in JOINTS if joint not in names]
        if lacking:
            return f"{side} without PoseTrack's joint '{lacking[0]}'"
    return ""


def _scores(c: Comparison) -> str:
    return _without("predictions", c.found, "a score", np.isnan(c.found.score))


def _keypoint_scores(c: Comparison) -> str:
    unscored = np.where(c.found.visibility > 0, c.found.keypoint_score, 0.0)
    return _without("predictions", c.found, "a score of every keypoint", _partly_nan(unscored))


def _tracks(c: Comparison) -> str:
    return _on_one_side(c, "a track id", lambda people: people.track_id == NO_TRACK)


def _boxes(c: Comparison) -> str:
    return _on_one_side(c, "a box", lambda people: _partly_nan(people.box))


def _deviations(c: Comparison) -> str:
    return "predictions without deviations" if c.tracks is None else ""


def _head_boxes(c: Comparison) -> str:
    return _without("labels", c.people, "a head box", _partly_nan(c.people.head_box))


def _no_crowds(c: Comparison) -> str:
    return "labels with crowds" if c.people.crowd.any() else ""


def _partly_nan(rows: NDArray[np.float64]) -> Flags:
    return np.asarray(np.isnan(rows).any(-1))


def _on_one_side(c: Comparison, what: str, lacking: Callable[[Instances], Flags]) -> str:
    of_labels = _without("labels", c.people, what, lacking(c.people))
    return of_labels or _without("predictions", c.found, what, lacking(c.found))


def _without(side: str, people: Instances, what: str, lacking: Flags) -> str:
    count = int(lacking.sum())
    return f"{side} without {what} ({count} of {len(people)} persons)" if count else ""


# --- what a metric gives -------------------------------------------------------------------------


def _average_precision(c: Comparison) -> Figures:
    found = _keypoint_ap(c, c.share_of_box, joints=False)
    figures = {
        "AP": found.ap,
        "AP50": found.ap50,
        "AP75": found.ap75,
        "APM": found.ap_medium,
        "APL": found.ap_large,
        "AR": found.ar,
        "AR50": found.ar50,
        "AR75": found.ar75,
        "ARM": found.ar_medium,
        "ARL": found.ar_large,
    }
    if "w·h" in c.sized[1] and c.share_of_box != WHOLE_BOX:
        figures["AP_whole_box"] = _keypoint_ap(c, WHOLE_BOX, joints=False).ap
    return {name: _evaluated(value) for name, value in figures.items()}


def _joint_precision(c: Comparison) -> Figures:
    found = _keypoint_ap(c, c.share_of_box, joints=True)
    return {
        "mean_joint_AP": _evaluated(found.mean_joint_ap),
        "per_joint_AP": {name: _evaluated(joint.ap) for name, joint in found.joints.items()},
    }


def _keypoint_ap(c: Comparison, share_of_box: float, *, joints: bool) -> KeypointAP:
    return keypoint_ap(
        c.labels,
        c.predictions,
        sigmas=c.sigma_set,
        share_of_box=share_of_box,
        min_labelled_joints=c.min_labelled_joints,
        joints=joints,
    )


def _hota_oks(c: Comparison) -> Figures:
    found = hota_oks(
        c.labels,
        c.predictions,
        sigmas=c.sigma_set,
        share_of_box=c.share_of_box,
    )
    return {"HOTA-OKS": found.combined.summary()}


def _hota_box(c: Comparison) -> Figures:
    predictions = c.whole_predictions
    if c.ignore_regions:
        predictions = without_ignored_boxes(c.whole_labels, predictions)
    return {"HOTA-box": hota_box(c.whole_labels, predictions).combined.summary()}


def _hota_kp(c: Comparison) -> Figures:
    def means(scores: JointHota) -> Figures:
        of_all = scores.pooled.means()
        return {name: of_all[name] for name in ("HOTA", "DetA", "AssA")}

    found = hota_keypoints(c.whole_labels, c.whole_predictions)
    official = None if found.official is None else means(found.official.combined)
    return {"HOTA-kp": {**means(found.fixed.combined), "official": official}}


def _pckh(c: Comparison) -> Figures:
    found = posetrack_ap(c.whole_labels, c.whole_predictions)
    kit = posetrack_ap(c.whole_labels, c.whole_predictions, kit="posetrack21")
    figures = {
        "mAP": found.ap.mean,
        "mAP_posetrack21_kit": kit.ap.mean,
        "groups": found.ap.groups,
        "joints": dict(found.ap.joints),
    }
    return {"PCKh-mAP": figures}


def _drift(c: Comparison) -> Figures:
    def drifts(tau: float, fails: Fails) -> list[Drift]:
        return [
            frames_until_drift(
                one, int(np.argmax(one.on)), tau=tau, sigmas=c.sigmas.values, fails=fails
            )
            for one in c.tracklets
            if one.on.any()
        ]

    by_tau: Figures = {}
    for tau in TAUS:
        joints, poses = (drifts(tau, fails) for fails in (Fails.ANY_JOINT, Fails.WHOLE_POSE))
        by_tau[f"{tau:.2f}"] = {
            "any_joint": {**asdict(summarize(joints)), "survival": _survival(joints)},
            "whole_pose": asdict(summarize(poses)),
        }
    return {"drift": {"from": "first labelled frame", **by_tau}}


def _survival(drifts: list[Drift]) -> Figures:
    """The steps of the curve, and how far it reaches beyond the last of them."""
    curve = survival(drifts)
    return {
        "frames": curve.frames.tolist(),
        "share": curve.share.tolist(),
        "at_risk": curve.at_risk.tolist(),
        "longest": max((one.frames for one in drifts), default=0),
    }


def _occlusion(c: Comparison) -> Figures:
    recovered = recoveries(
        c.tracklets,
        sigmas=c.sigmas.values,
        track=lambda tracklet, event: tracklet.predicted[event.first, event.joint],
    )
    by_tau = {f"{tau:.2f}": asdict(recovery_rates(recovered, tau=tau)) for tau in TAUS}
    for rates in by_tau.values():
        del rates["tau"]
    return {"occlusion": by_tau}


def _jitter(c: Comparison) -> Figures:
    return {"jitter": asdict(jitter(c.tracklets))}


def _calibration(c: Comparison) -> Figures:
    if c.tracks is None:  # its needs say so too, but not to a type checker
        return {}
    found = track_calibration(c.tracks, c.tracklets, c.labels.keypoints)
    return {"calibration": {origin.name.lower(): asdict(one) for origin, one in found.items()}}


def _evaluated(value: float) -> float | None:
    return None if value == NOTHING else value


METRICS: Final[Mapping[str, Metric]] = {
    "AP": Metric(needs=(_keypoints, _scores), figures=_average_precision),
    "per_joint_AP": Metric(needs=(_keypoints, _scores), figures=_joint_precision),
    "HOTA-OKS": Metric(needs=(_keypoints, _tracks, _no_crowds), figures=_hota_oks),
    "HOTA-box": Metric(needs=(_tracks, _boxes, _no_crowds), figures=_hota_box),
    "HOTA-kp": Metric(needs=(_posetrack_joints, _tracks, _head_boxes), figures=_hota_kp),
    "PCKh-mAP": Metric(needs=(_posetrack_joints, _head_boxes, _keypoint_scores), figures=_pckh),
    "drift": Metric(needs=(_keypoints, _tracks), figures=_drift),
    "occlusion": Metric(needs=(_keypoints, _tracks), figures=_occlusion),
    "jitter": Metric(needs=(_keypoints, _tracks), figures=_jitter),
    "calibration": Metric(needs=(_keypoints, _deviations, _tracks), figures=_calibration),
}
"""By name, in the order in which they are printed."""


def plain(value: Any) -> Any:
    """``value`` with null for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
