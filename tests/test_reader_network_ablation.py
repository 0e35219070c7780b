"""KTCP and KP-AE as switches of the evaluation, with weights that know nothing yet."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pycocotools")
pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package

pytest.importorskip("benchmarks")

import torch

from benchmarks import ablation_engines as engines
from benchmarks import ablation_networks as networks
from benchmarks import ablation_page
from benchmarks.ablation import Question, measure, points_of_every
from benchmarks.clips import Clip
from impose_core.errors import UsageError
from impose_core.frames import ArrayFrames
from impose_core.nets import presets
from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.trained import Trained, write_trained
from impose_core.skeleton import COCO17
from impose_core.synthesis import SceneConfig, render

TINY = Question(gap=9, window=4)
POSE = replace(
    presets.nano(), backbone=ResNetConfig(depth=18, widths=(4, 8, 16, 32), norm=Norm.GROUP),
    width=16, heads=4, feed_forward=8, points=2, encoder_layers=1, box_layers=1,
    keypoint_layers=1, queries=6, persons=3, labels=3,
)  # fmt: skip
IDENTITY = IdentityConfig(
    appearance=16, edges=((0, 1),), pose=16, word=16, vocabulary=5, layers=1, head=16, memory=4
)


@pytest.fixture(scope="module")
def clip():
    scene = render(SceneConfig(seed=2, frames=10, width=96, height=72, persons=2, motion="fast"))
    size = np.maximum(scene.tracks.box[..., 2:] - scene.tracks.box[..., :2], 1)
    return Clip(
        name="tiny",
        frames=ArrayFrames(scene.frames, fps=30.0, name="tiny"),
        truth=scene.tracks,
        area=0.53 * size.prod(-1),
        digest="",
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A pose network, and identity networks by how poses enter."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    pose = PoseNetwork(POSE)
    for weight in pose.parameters():  # fresh heads would leave priors where they are
        torch.nn.init.normal_(weight, std=0.2)
    for head in (*pose.box_decoder.class_heads, *pose.keypoint_decoder.class_heads):
        torch.nn.init.constant_(head.bias, 0.5)  # so that somebody is found
    paths = {"pose": folder / "pose.safetensors"}
    write_trained(paths["pose"], Trained(network=pose, skeleton=COCO17, size=(72, 96)))
    for fusion in ("concat", "residual", "none"):
        network = IdentityNetwork(replace(IDENTITY, fusion=fusion))
        paths[fusion] = folder / f"{fusion}.safetensors"
        write_trained(paths[fusion], Trained(network=network, skeleton=COCO17))
    return paths


def given(files, *identities):
    return {
        networks.NETWORK: str(files["pose"]),
        networks.IDENTITY: os.pathsep.join(str(files[one]) for one in identities),
    }


def test_weights_say_which_switches_there_are(files):
    def of(*identities):
        found = networks.variants(given(files, *identities))
        return [(one.ktcp, one.kp_ae) for one in found]

    assert of() == [(False, None), (True, None)]
    assert of("residual") == [(k, a) for k in (False, True) for a in (None, False, True)]
    assert of("concat", "none") == [(k, a) for k in (False, True) for a in (None, True, False)]
    assert list(networks.variants({})) == []
    with pytest.raises(UsageError, match="identity network"):
        list(networks.variants(given(files, "pose")))


def test_the_box_embedding_alone_is_the_network_without_its_pose_part(files):
    both, alone = (
        networks._model(files["residual"], kp_ae=kp_ae).network for kp_ae in (True, False)
    )
    assert both.config.fusion == "residual"
    assert alone.config.fusion == "none"
    for name, tensor in alone.state_dict().items():
        assert torch.equal(tensor, both.state_dict()[name])


def test_the_rows_of_a_network_are_measured(clip, files, monkeypatch):
    monkeypatch.setattr(engines, "REGISTRY", [])
    engines.register_network(files["pose"])
    assert [one.label for one in engines.REGISTRY] == ["network, no ktcp", "network, ktcp"]
    rows = [measure(clip, one, TINY) for one in engines.REGISTRY]
    assert [row["flags"] for row in rows] == [{"ktcp": False}, {"ktcp": True}]
    assert all(row["Ck_video"]["1"]["clicks"] > 0 for row in rows)
    without = [
        networks.measure_variant(clip, one) for one in networks.variants(given(files, "concat"))
    ]
    page = {"rows": rows, "start_gap": 9, "window": 4, "clips": ["tiny"], "without_clicks": without}
    text = ablation_page.section(page)
    assert sum("network, ktcp" in line for line in text) == 2 + 2  # mean and clip; who is who
    assert sum("| network, ktcp, kp_ae |" in line for line in text) == 1


def test_the_switch_reaches_the_decoders(clip, files):
    points = points_of_every(clip, 9)
    start = engines.Start(clip=clip, points=points)
    with_priors, without = (
        engines._network(start, weights=files["pose"], ktcp=ktcp)(points) for ktcp in (True, False)
    )
    apart = np.abs(with_priors - without)
    assert apart[1:9].max() > 1e-3
    assert apart[[0, 9]].max() == 0  # human points
