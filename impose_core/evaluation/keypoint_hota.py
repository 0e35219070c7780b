"""``HOTA-kp``: HOTA of every single joint, as PoseTrack21 defines it.

Doering et al., "PoseTrack21: A Dataset for Person Search, Multi-Object Tracking and
Multi-Person Pose Tracking", CVPR 2022; ``metrics/hota_pose.py`` of anDoer/PoseTrack21. There is
no OKS in it: two joints are 1 - d / .5001 alike, d their distance in head sizes, so that alpha
means d <= .5001 (1 - alpha). Joints are matched by that alone, each by itself.

The official kit has a bug (issue #10, open): a labelled frame without predictions adds the
joints of the *whole video* to the misses. Here each frame counts its own; the official value
is given beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from impose_core.errors import UsageError
from impose_core.evaluation.compared_tracks import ComparedTracks, Floats
from impose_core.evaluation.frame_pairs import FramePair, VideoPair
from impose_core.evaluation.hota import Hota, combined, hota
from impose_core.evaluation.posetrack_joints import JOINTS, given, head_distances, posetrack_pairs
from impose_core.pose_sets import NO_TRACK, PoseSet

REACH = 0.5001
"""Head sizes from which on two joints have nothing in common; .5 must be within."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointHota:
    """HOTA of the joints of one video, or of several together.

    Attributes:
        joints: by name of the joint.
        pooled: all joints: counts are added, AssA and LocA are means over joints (weighted with
            TP over videos). The kit's column "total" of all videos together.
    """

    joints: Mapping[str, Hota]
    pooled: Hota

    def joint_means(self) -> dict[str, float]:
        """Means over joints and alpha, which the kit calls "total" of a single video."""
        means = [one.means() for one in self.joints.values()]
        return {name: float(np.mean([one[name] for one in means])) for name in means[0]}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideosJointHota:
    """By name of the video, and all together (``combined.pooled`` is the headline)."""

    videos: Mapping[str, JointHota]
    combined: JointHota


@dataclass(frozen=True, slots=True, kw_only=True)
class KeypointHota:
    """``HOTA-kp``.

    Attributes:
        fixed: every frame counts what is on it.
        official: what the kit says; None where the kit stops with an error, which it does at
            a labelled frame without labels (outside its ignore regions).
    """

    fixed: VideosJointHota
    official: VideosJointHota | None


def hota_keypoints(labels: PoseSet, predictions: PoseSet) -> KeypointHota:
    """``HOTA-kp`` of the 15 joints of PoseTrack, outside the ignore regions of the labels.

    Args:
        labels: with track ids and head boxes.
        predictions: with track ids.

    Raises:
        SkeletonMismatch: if one of the sets lacks one of the joints.
        UsageError: if a head box or a track id is missing, a track is twice in a frame,
            shapely is not installed, or the videos do not fit.
    """
    videos = posetrack_pairs(labels, predictions, "posetrack21")
    fixed = {video.name: _video(video) for video in videos}
    official = None
    if all(len(pair.labels.instances) for video in videos for pair in video.frames):
        official = _together(
            {video.name: _with_issue_10(fixed[video.name], video) for video in videos}
        )
    return KeypointHota(fixed=_together(fixed), official=official)


def _video(video: VideoPair) -> JointHota:
    for pair in video.frames:
        for what, people in (("labels", pair.labels.instances), ("predictions", pair.predicted)):
            if NO_TRACK in people.track_id:
                raise UsageError(
                    f"Expected {what} with track ids, got a person without one in frame "
                    f"{pair.labels.index} of '{video.name}'."
                )
    frames = [_Frame.of(pair) for pair in video.frames]
    return _pooled(
        {
            name: hota(ComparedTracks.of(frame.joint(k) for frame in frames), weigh_tracks=False)
            for k, name in enumerate(JOINTS)
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frame:
    """All joints of a frame: who has them, and how alike they are [G, P, 15]."""

    pair: FramePair
    similarity: Floats

    @classmethod
    def of(cls, pair: FramePair) -> _Frame:
        distance = head_distances(pair.labels.instances, pair.predicted, "posetrack21")
        return cls(pair=pair, similarity=np.maximum(0, 1 - distance * (1 / REACH)))

    def joint(self, k: int) -> tuple[np.ndarray, np.ndarray, Floats]:
        labelled, predicted = self.pair.labels.instances, self.pair.predicted
        g = given(labelled, "posetrack21")[:, k]
        p = given(predicted, "posetrack21")[:, k]
        return labelled.track_id[g], predicted.track_id[p], self.similarity[g][:, p, k]


def _with_issue_10(scores: JointHota, video: VideoPair) -> JointHota:
    """``scores`` with the misses the kit adds in a video that has predictions elsewhere."""
    labelled = np.array(
        [given(pair.labels.instances, "posetrack21").sum(0) for pair in video.frames], float
    ).reshape(-1, len(JOINTS))  # [T, 15]
    empty = np.array([not len(pair.predicted) for pair in video.frames], bool)
    if empty.all():
        return scores
    added = (labelled.sum(0) - labelled[empty]).sum(0)
    return _pooled(
        {
            name: replace(one, fn=one.fn + more)
            for (name, one), more in zip(scores.joints.items(), added, strict=True)
        }
    )


def _pooled(joints: Mapping[str, Hota]) -> JointHota:
    every = list(joints.values())

    def mean(values: Sequence[Floats]) -> Floats:
        return np.asarray(np.mean(values, axis=0))

    return JointHota(
        joints=joints,
        pooled=Hota(
            tp=np.sum([one.tp for one in every], axis=0),
            fn=np.sum([one.fn for one in every], axis=0),
            fp=np.sum([one.fp for one in every], axis=0),
            ass_a=mean([one.ass_a for one in every]),
            ass_re=mean([one.ass_re for one in every]),
            ass_pr=mean([one.ass_pr for one in every]),
            loc_a=mean([one.loc_a for one in every]),
        ),
    )


def _together(videos: Mapping[str, JointHota]) -> VideosJointHota:
    every = list(videos.values())
    return VideosJointHota(
        videos=videos,
        combined=JointHota(
            joints={name: combined([one.joints[name] for one in every]) for name in JOINTS},
            pooled=combined([one.pooled for one in every]),
        ),
    )
