"""MOTIP whole: its names, shapes and parameters are the published ones, and it runs."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'impose[torch]'")

from test_nets_identity import GOLDEN  # noqa: E402

from impose_core.errors import IncompatibleCheckpoint  # noqa: E402
from impose_core.nets.backbone import ResNetConfig  # noqa: E402
from impose_core.nets.deformable_detr import DetectorConfig  # noqa: E402
from impose_core.nets.identity_network import IdentityConfig  # noqa: E402
from impose_core.nets.motip_names import load_motip, our_name  # noqa: E402
from impose_core.nets.motip_preset import MotipConfig, MotipNetwork, motip  # noqa: E402


@pytest.fixture(scope="module")
def published():
    path = GOLDEN / "motip_names.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def whole():
    with torch.device("meta"):
        return MotipNetwork(motip())


def test_every_published_name_and_shape_and_no_other(published, whole):
    state = whole.state_dict()
    parameters = dict(whole.named_parameters())
    seen = {}
    for entry in published["entries"]:
        ours = our_name(entry["name"])
        assert list(state[ours].shape) == entry["shape"], entry["name"]
        assert (ours in parameters) == (entry["kind"] == "parameter"), entry["name"]
        # two official names mean one tensor exactly where the list says so
        assert (ours in seen) == ("alias_of" in entry), entry["name"]
        if "alias_of" in entry:
            assert our_name(entry["alias_of"]) == ours
        seen[ours] = entry["name"]
    assert seen.keys() == state.keys()


def test_as_many_parameters_as_published(published, whole):
    assert sum(p.numel() for p in whole.parameters()) == published["unique_parameters"]


def tiny():
    torch.manual_seed(0)
    return MotipNetwork(
        MotipConfig(
            detector=DetectorConfig(
                backbone=ResNetConfig(depth=18, widths=(8, 8, 16, 32)),
                width=32,
                feed_forward=32,
                layers=2,
                heads=4,
                points=2,
                queries=7,
            ),
            identity=IdentityConfig(
                appearance=32, fusion="none", word=32, vocabulary=5, layers=1, head=16
            ),
        )
    ).eval()


@torch.no_grad()
def test_images_become_persons_and_padding_is_not_seen():
    network = tiny()
    images, padding = torch.randn(1, 3, 64, 96), torch.zeros(1, 64, 96, dtype=torch.bool)
    found = network(images, padding)
    assert found.tokens.shape == (1, 7, 32)
    assert found.logits.shape == (1, 7, 1)
    assert found.boxes_cxcywh.shape == (1, 7, 4)
    assert ((found.boxes_cxcywh >= 0) & (found.boxes_cxcywh <= 1)).all()


def official(network):
    """A state dict as MOTIP would write it, made by turning our names around."""
    state = network.state_dict()
    names = [
        "id_decoder.rel_pos_embeds",
        "id_decoder.word_to_embed.weight",
        "id_decoder.embed_to_word_layers.0.weight",
    ]
    return {name: state[our_name(name)] for name in names}


def test_a_checkpoint_with_something_missing_or_unknown_is_refused():
    network = tiny()
    with pytest.raises(IncompatibleCheckpoint, match="only the network has 'detector"):
        load_motip(network, official(network))
    with pytest.raises(IncompatibleCheckpoint, match=r"'detr\.neck\.weight'"):
        load_motip(network, {"detr.neck.weight": torch.zeros(1)})
    shared = official(network)
    shared["id_decoder.embed_to_word_layers.1.weight"] = torch.zeros(6, 32)
    with pytest.raises(IncompatibleCheckpoint, match="to equal the weights it shares"):
        load_motip(network, shared)


def test_a_whole_checkpoint_loads(published):
    """Of the published names, at full size: what is loaded is what was given."""
    generator = torch.Generator().manual_seed(0)
    given = {}
    for entry in published["entries"]:
        of = entry.get("alias_of")
        fresh = torch.rand(entry["shape"], generator=generator)
        given[entry["name"]] = given[of] if of else fresh
    network = MotipNetwork(motip())
    load_motip(network, given)
    state = network.state_dict()
    assert all(torch.equal(state[our_name(name)], tensor) for name, tensor in given.items())
