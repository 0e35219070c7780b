"""Calibration of a document's deviations by labels whose persons are its tracks' partners."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from impose_core.evaluation.calibration import Calibration, calibration
from impose_core.evaluation.tracklets import Tracklet
from impose_core.poses import Origin, PoseTracks


def track_calibration(
    tracks: PoseTracks, tracklets: Iterable[Tracklet], keypoints: Sequence[str]
) -> Mapping[Origin, Calibration]:
    """Calibration of ``tracks`` by who placed the joint; tracks without a partner do not count.

    Args:
        tracks: the predictions of one video, with their deviations.
        tracklets: the labels of this video with the ids of their partners in ``tracks``.
        keypoints: names of the K axis of ``tracklets``; those of ``tracks`` are matched by name.
    """
    xy, visibility = np.full_like(tracks.xy, np.nan), np.zeros_like(tracks.visibility)
    names = tracks.skeleton.keypoints
    shared = [keypoint for keypoint in names if keypoint in keypoints]
    ours = [names.index(keypoint) for keypoint in shared]
    theirs = [list(keypoints).index(keypoint) for keypoint in shared]
    person = {track: n for n, track in enumerate(tracks.track_id.tolist())}
    for one in tracklets:
        if one.predicted_id not in person:
            continue
        n, frames = person[one.predicted_id], min(len(tracks), len(one.on))
        xy[:frames, n][:, ours] = one.xy[:frames][:, theirs]
        visibility[:frames, n][:, ours] = one.visibility[:frames][:, theirs]
    return calibration(tracks, xy, visibility)
