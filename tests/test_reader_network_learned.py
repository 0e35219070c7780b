"""A small network that has learned what a body looks like, in the estimate.

It is trained here, for a minute on one core, on drawn bodies with priors that are off; so the
figures below are about the road from a prior to a pose, not about people.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import cv2
import torch
from fakes import FieldTracker

from impose_core.corrections import MoveKeypoints
from impose_core.engine import Engine
from impose_core.frames import ArrayFrames
from impose_core.nets import presets
from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.pose_network import IMAGENET_DEVIATION, IMAGENET_MEAN, PoseNetwork
from impose_core.nets.prior_groups import PriorGroups, looked, read_priors
from impose_core.nets.trained import Trained, write_trained
from impose_core.one_click import repair_pose
from impose_core.readers import Priors
from impose_core.readers.network import NetworkReader
from impose_core.session import Session
from impose_core.skeleton import skeleton_from_names

pytestmark = pytest.mark.slow

SIDE, STEPS, BATCH = 64, 350, 8
BODY = skeleton_from_names(
    "discs", ["nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_ankle"]
)
K = len(BODY)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255))
REST = np.array([[0, -14], [-7, -6], [7, -6], [-5, 8], [5, 8], [0, 16]], float)
NET = replace(
    presets.nano(joints=K),
    backbone=ResNetConfig(depth=18, widths=(8, 16, 32, 64), norm=Norm.GROUP),
    width=32, heads=4, feed_forward=32, points=4, encoder_layers=1, box_layers=1,
    keypoint_layers=2, queries=8, persons=2, labels=3,
)  # fmt: skip


def drawn(xy, rng):
    """A disc for each joint, on noise."""
    image = rng.integers(90, 130, (SIDE, SIDE, 3)).astype(np.uint8)
    for (x, y), colour in zip(xy, COLOURS, strict=True):
        cv2.circle(image, (int(x * 8), int(y * 8)), 3 * 8, colour, -1, shift=3)
    return image


def somewhere(rng):
    return REST * rng.uniform(0.8, 1.1) + rng.normal(0, 2, (K, 2)) + rng.uniform(22, 42, 2)


def batch(rng):
    """Images, true joints and priors of them, in shares of the images."""
    true = np.stack([somewhere(rng) for _ in range(BATCH)])
    priors = true + rng.normal(0, 3, (BATCH, 1, 2)) + rng.normal(0, 2, true.shape)
    images = torch.from_numpy(np.stack([drawn(xy, rng) for xy in true])).permute(0, 3, 1, 2) / 255
    mean, deviation = (torch.tensor(x)[:, None, None] for x in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    true, priors = (torch.tensor(xy / SIDE).float() for xy in (true, priors))
    return (images - mean) / deviation, true, priors.clamp(0, 1)


def groups(priors, true, pinned):
    keypoints = torch.where(pinned[..., None], true, priors)
    low, high = keypoints.amin(1), keypoints.amax(1)
    boxes = torch.cat([(low + high) / 2, (high - low) * 1.2], dim=-1)
    return PriorGroups(
        boxes=boxes[:, None],
        keypoints=keypoints[:, None],
        pinned=pinned[:, None],
        group=torch.zeros(BATCH, 1, dtype=torch.int64),
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network, padding = PoseNetwork(NET), torch.zeros(BATCH, SIDE, SIDE, dtype=torch.bool)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        images, true, priors = batch(rng)
        pinned = torch.from_numpy(rng.random((BATCH, K)) < 0.1)
        poses = read_priors(network, looked(network, images, padding), groups(priors, true, pinned))
        off = (poses.keypoints[:, 0] - true).abs().mean() * SIDE
        unsure = -torch.nn.functional.logsigmoid(poses.logits[:, 0, NET.person]).mean()
        unseen = -torch.nn.functional.logsigmoid(poses.visibility).mean()
        optimiser.zero_grad()
        (off + 0.1 * unsure + 0.1 * unseen).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        rate.step()
    path = tmp_path_factory.mktemp("weights") / "discs.safetensors"
    write_trained(path, Trained(network=network, skeleton=BODY, size=(SIDE, SIDE)))
    return path


@pytest.fixture(scope="module")
def reader(weights):
    return NetworkReader.load(weights, device="cpu")


def clip(frames=21):
    """A body that swings and bends: images and truth [T, K, 2]."""
    rng = np.random.default_rng(5)
    t = np.arange(frames)[:, None, None]
    bend = 3 * np.sin(t / 5 + np.arange(K)[None, :, None])
    path = np.concatenate([32 + 8 * np.sin(t / 6), 32 + 4 * np.cos(t / 4)], axis=-1)
    true = REST + path + bend * [1, 0]
    return np.stack([drawn(xy, rng) for xy in true]), true


def test_a_prior_becomes_a_pose(reader):
    rng = np.random.default_rng(7)
    before, after = [], []
    for _ in range(20):
        true = somewhere(rng)
        prior = true + rng.normal(0, 3, 2) + rng.normal(0, 2, true.shape)
        box = np.concatenate([prior.min(0), prior.max(0)])
        views = reader.around(
            Priors(box_xyxy=box[None], xy=prior[None], pinned=np.zeros((1, K), bool))
        )
        found = reader.read([drawn(true, rng)], views)
        before.append(np.abs(prior - true).mean())
        after.append(np.abs(found.xy[0, :, 0] - true).mean())
        assert found.score.min() > 0.5
    assert np.mean(after) < np.mean(before) / 2


def corrected(reader, frame, images, true):
    """Everything from one corrected frame, where tracks stand still."""
    still = FieldTracker(lambda t, xy: np.zeros_like(xy))
    still.encode = lambda image: 0
    engine = Engine(points=still, reader=reader)
    with Session(ArrayFrames(images), skeleton=BODY, engine=engine) as session:
        xy = {name: tuple(true[frame, k]) for k, name in enumerate(BODY.keypoints)}
        session.correct(MoveKeypoints(frame=frame, track=1, xy=xy))
        list(session.propagate())
        return np.abs(session.tracks.xy[:, 0] - true).mean((1, 2))


@pytest.mark.parametrize("frame", [0, 20])
def test_a_correction_is_carried_forward_and_backward(reader, frame):
    """A tracker that follows nothing: what is read around its priors carries the pose on."""
    images, true = clip()
    alone, read = (corrected(one, frame, images, true) for one in (None, reader))
    window = slice(1, 11) if frame == 0 else slice(10, 20)
    assert read[frame] == alone[frame] == 0
    assert read[window].mean() < alone[window].mean() / 2


def test_a_click_pulls_the_rest_of_the_body(reader):
    """The joint is where it was clicked, and the body, which was off, comes after it."""
    rng = np.random.default_rng(9)
    true = somewhere(rng)
    off = true + np.array([4, -3])
    pinned = np.full((K, 2), np.nan)
    pinned[5] = true[5]
    best, _ = repair_pose(reader, drawn(true, rng), off, np.full(K, np.nan), pinned, skeleton=BODY)
    np.testing.assert_array_equal(best[5], true[5])
    assert np.abs(best - true)[:5].mean() < np.abs(off - true)[:5].mean() / 2
