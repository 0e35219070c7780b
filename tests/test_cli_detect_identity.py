"""``impose detect --identity``: a learned model says who is who."""

import json

import pytest

torch = pytest.importorskip("torch")

from test_cli_detect import folder, run  # noqa: E402, F401 # a fixture

from impose_core.io.coco import read_document  # noqa: E402
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork  # noqa: E402
from impose_core.nets.trained import Trained, write_trained  # noqa: E402
from impose_core.skeleton import COCO17  # noqa: E402


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """Untrained, of poses alone, as MoveNet says nothing of how bodies look."""
    torch.manual_seed(0)
    config = IdentityConfig(
        appearance=0,
        edges=COCO17.edges,
        pose=16,
        word=16,
        vocabulary=6,
        layers=1,
        head=8,
        memory=4,
    )
    path = tmp_path_factory.mktemp("weights") / "identity.safetensors"
    write_trained(path, Trained(network=IdentityNetwork(config), skeleton=COCO17))
    return path


def refused(*arguments):
    done = run(*arguments, "--json")
    return done.exit_code, json.loads(done.stdout)["error"]


def test_whoever_it_names_is_written(folder, identity, tmp_path):  # noqa: F811
    out = tmp_path / "d.json"
    done = run(folder, "--out", out, "--identity", identity, "--json")
    assert done.exit_code == 0, done.output
    assert len(read_document(out).tracks.track_id) == len(json.loads(done.stdout)["persons"])


def test_what_is_no_identity_network_is_refused(folder, identity, tmp_path):  # noqa: F811
    out = tmp_path / "d.json"
    none = tmp_path / "none.safetensors"
    code, said = refused(folder, "--out", out, "--identity", none)
    assert code == 4
    assert str(none) in said["message"]
    none.write_bytes(b"no weights")
    code, said = refused(folder, "--out", out, "--identity", none)
    assert (code, said["code"]) == (4, "incompatible_checkpoint")
    assert not out.exists()
