"""Public checkpoints, converted: names, licence, provenance, and what is refused."""

import argparse
import hashlib
import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import torch
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.errors import IncompatibleCheckpoint, WeightsError
from impose_core.nets import conversion
from impose_core.nets.backbone import ResNetConfig
from impose_core.nets.checkpoints import from_official, to_official
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.presets import click_pose_r50

KIND = "click-pose-r50"


def small(*, joints=17):
    return replace(
        click_pose_r50(joints=joints), backbone=ResNetConfig(depth=18, widths=(4, 8, 16, 32)),
        width=16, heads=4, feed_forward=8, encoder_layers=1, keypoint_layers=2, queries=5,
        persons=3, labels=2,
    )  # fmt: skip


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setitem(conversion.PRESETS, KIND, small)
    torch.manual_seed(0)
    return PoseNetwork(small(joints=5))


@pytest.fixture
def checkpoint(network, tmp_path):
    """As official trainers write it: weights and command line; averaged weights count."""
    state = to_official(network.state_dict(), network.config)
    old = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    averaged = {f"module.{name}": tensor for name, tensor in state.items()}
    path = tmp_path / "checkpoint.pth"
    torch.save({"model": old, "ema_model": averaged, "args": argparse.Namespace(lr=1e-4)}, path)
    return path


def run(*arguments):
    result = CliRunner().invoke(app, ["models", "convert", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_checkpoint_becomes_safetensors_with_its_origin(network, checkpoint, tmp_path):
    out = tmp_path / "own.safetensors"
    code, said = run(checkpoint, "--as", KIND, "--accept-licence", "--out", out, "--json")
    assert code == 0, said
    assert json.loads(said)["joints"] == 5
    loaded, provenance = conversion.converted_network(out)
    assert provenance.source == "checkpoint.pth"
    assert provenance.licence == "IDEA License 1.0"
    assert provenance.source_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_without_acceptance_nothing_is_read_or_written(tmp_path):
    code, said = run(tmp_path / "absent.pth", "--as", KIND, "--json")
    assert code == 4
    error = json.loads(said)["error"]
    assert error["code"] == "licence_not_accepted"
    assert "Non-commercial" in error["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.pth", "--as", "something"], 2),
        (["absent.pth", "--as", KIND, "--out", "weights.pth"], 2),
        (["absent.pth", "--as", KIND, "--accept-licence"], 4),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments)[0] == code
    assert list(tmp_path.iterdir()) == []


class Code:
    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize(
    "content", [{"model": {"a": Code()}}, [1, 2], {"model": {"a": 1}}, {"model": {}}, {"model": 3}]
)
def test_a_file_that_holds_more_than_tensors_is_refused(content, tmp_path, capsys):
    path = tmp_path / "bad.pth"
    torch.save(content, path)
    with pytest.raises(IncompatibleCheckpoint):
        conversion.convert(path, tmp_path / "out.safetensors", preset=KIND, licence="none")
    assert "must not run" not in capsys.readouterr().out
    assert not (tmp_path / "out.safetensors").exists()


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    path.write_bytes(b"no such thing")
    with pytest.raises(IncompatibleCheckpoint):
        conversion.convert(path, tmp_path / "out.safetensors", preset=KIND, licence="none")


def test_names_go_there_and_back(network):
    state = network.state_dict()
    back = from_official(to_official(state, network.config), network.config)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_an_alias_of_another_value_and_an_unknown_name_are_errors(network):
    official = to_official(network.state_dict(), network.config)
    with pytest.raises(IncompatibleCheckpoint, match="class_embed"):
        from_official(official | {"class_embed.0.bias": torch.ones(2)}, network.config)
    with pytest.raises(IncompatibleCheckpoint, match="'more'"):
        from_official(official | {"more": torch.ones(2)}, network.config)


@pytest.mark.parametrize("content", [b"", b"no such thing"])
def test_safetensors_that_are_none_are_refused(content, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(IncompatibleCheckpoint):
        conversion.converted_network(path)
    with pytest.raises(WeightsError):
        conversion.converted_network(tmp_path / "absent.safetensors")


def test_safetensors_of_others_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(conversion.save({"a": torch.ones(1)}))
    with pytest.raises(IncompatibleCheckpoint, match="'format'"):
        conversion.converted_network(path)
    wrong = {"format": conversion.FORMAT, "preset": "other", "joints": "3"}
    path.write_bytes(conversion.save({"a": torch.ones(1)}, metadata=wrong))
    with pytest.raises(IncompatibleCheckpoint, match="'preset'"):
        conversion.converted_network(path)
