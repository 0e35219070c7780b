"""Golden cases of clicks and videos, and small pose sets to say things about."""

import json
from pathlib import Path

import numpy as np
import pytest

from impose_core.evaluation.tracklets import Tracklet
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet

HERE = Path(__file__).resolve().parent
SHIPPED = HERE / "data/metrics"
SHARED = HERE.parents[1] / "shared/golden/metrics"


def golden(folder, name):
    """A parameter for pytest: the golden case, or a reason to skip it."""
    for path in (SHIPPED / f"{folder}_{name}.json", SHARED / folder / f"{name}.json"):
        if path.exists():
            return pytest.param(json.loads(path.read_text()), id=name)
    return pytest.param(None, id=name, marks=pytest.mark.skip("needs ../shared/golden"))


def people(xy, visibility=None, **given):
    """Instances at ``xy`` [P, K, 2]; further arrays by name."""
    xy = np.asarray(xy, float)
    found = Instances.unknown(*xy.shape[:2])
    found.xy[:] = xy
    found.visibility[:] = np.isfinite(xy).all(-1) * 2 if visibility is None else visibility
    for name, values in given.items():
        getattr(found, name)[:] = values
    return found


def pictures(keypoints, images):
    """A set of single images of 100 × 100 pixels, by name."""
    return PoseSet(
        keypoints=keypoints,
        sequences=tuple(
            PoseSequence(
                name=name,
                width=100,
                height=100,
                frames=(LabelledFrame(index=0, instances=instances),),
            )
            for name, instances in images.items()
        ),
    )


def video(keypoints, frames, name="clip", labelled=None):
    """A set of one video of 100 × 100 pixels."""
    labelled = [True] * len(frames) if labelled is None else labelled
    return PoseSet(
        keypoints=keypoints,
        sequences=(
            PoseSequence(
                name=name,
                width=100,
                height=100,
                frames=tuple(
                    LabelledFrame(index=t, instances=instances, labelled=labelled[t])
                    for t, instances in enumerate(frames)
                ),
            ),
        ),
    )


def tracklets(case):
    """The tracklets of a golden video case, by name."""
    return {
        name: _tracklet(number, one) for number, (name, one) in enumerate(case["tracklets"].items())
    }


def _tracklet(number, one):
    triples = np.array(one["gt_keypoints"], float).reshape(one["n_frames"], -1, 3)
    predicted = np.array(one["pred_keypoints"], float).reshape(one["n_frames"], -1, 2)
    predicted[~np.array(one["pred_present"])] = np.nan
    box = np.array(one["bbox"])
    return Tracklet(
        video="video",
        track_id=number,
        xy=triples[..., :2],
        visibility=triples[..., 2].astype(np.uint8),
        area=np.array(one["area"], float),
        box=np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=-1),
        predicted=predicted,
    )


def tracklet(xy, predicted, visibility=None, area=100.0):
    """A tracklet from positions [T, K, 2]."""
    xy, predicted = np.asarray(xy, float), np.asarray(predicted, float)
    seen = np.full(xy.shape[:2], 2) if visibility is None else np.asarray(visibility)
    return Tracklet(
        video="clip",
        track_id=1,
        xy=xy,
        visibility=seen.astype(np.uint8),
        area=np.broadcast_to(np.asarray(area, float), len(xy)).copy(),
        box=np.tile([0.0, 0.0, 10.0, 20.0], (len(xy), 1)),
        predicted=predicted,
    )
