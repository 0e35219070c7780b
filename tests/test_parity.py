"""Our networks are the official ones: number by number against what official code computed.

The golden arrays (seeded random weights, no trained ones) lie beside the checkout in
``../shared/golden``; without them this file is skipped, and ``test_nets_pose.py`` still holds the
networks to what must be true of any weights.
"""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are no part of the package
pytest.importorskip("benchmarks")

import torch

from benchmarks import parity_identity, parity_layers, parity_networks, parity_training
from benchmarks.parity_fixtures import FOLDER

pytestmark = pytest.mark.skipif(
    not (FOLDER / "msdeform_core.npz").is_file(), reason="the golden arrays are not here"
)

PARTS = {
    "deformable attention": parity_layers.core,
    "deformable attention with projections": parity_layers.module,
    "encoder layer": parity_layers.encoder_layer,
    "decoder layer": parity_layers.decoder_layer,
    "helpers": parity_layers.helpers,
    "Click-Pose d 64": lambda: parity_networks.finding(parity_networks.H64),
    "Click-Pose d 256": lambda: parity_networks.finding(parity_networks.H256),
    "ED-Pose": lambda: parity_networks.finding(parity_networks.ED),
    "clicks d 64": lambda: parity_networks.clicks(parity_networks.H64),
    "clicks d 256": lambda: parity_networks.clicks(parity_networks.H256),
    "pins": parity_networks.pins,
    "answers d 64": lambda: parity_training.answered(parity_networks.H64),
    "answers d 256": lambda: parity_training.answered(parity_networks.H256),
    "answers of ED-Pose": lambda: parity_training.answered(parity_networks.ED),
    "training": parity_training.training,
    "names and shapes": parity_networks.full_size,
    "MOTIP's tracker": parity_identity.deviations,
}


@pytest.mark.parametrize("part", PARTS)
def test_numbers_are_the_official_ones(part):
    with torch.no_grad():
        found = list(PARTS[part]())
    assert found
    assert [deviation for deviation in found if not deviation.fits] == []
