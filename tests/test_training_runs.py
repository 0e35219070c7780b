"""Runs from end to end: what they leave, how they go on, and that every loss can be learned."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from training_small import (
    BACKBONE,
    IDENTITY,
    POSE,
    STILL,
    identity_config,
    pose_config,
    pose_network,
    rendered,
)
from typer.testing import CliRunner

import impose_core.cli.train
from impose_core.cli.app import app
from impose_core.errors import (
    DeviceError,
    IncompatibleCheckpoint,
    OutputError,
    StateError,
    UsageError,
)
from impose_core.nets.backbone import ResNet
from impose_core.nets.id_decoder import Tracklets
from impose_core.nets.identity_losses import current_labels
from impose_core.nets.identity_network import IdentityNetwork
from impose_core.nets.interaction import Interaction
from impose_core.nets.matching import Answers, matched, oks
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.trained import Trained, read_trained, write_trained
from impose_core.skeleton import COCO17
from impose_core.training import presets, runs
from impose_core.training.distributed import machine
from impose_core.training.identity_batches import IdentityBatches
from impose_core.training.identity_part import IdentityPart
from impose_core.training.loop import begun, run_steps
from impose_core.training.pose_batches import PoseBatches
from impose_core.training.pose_part import PosePart

SCENE = "synthetic:easy,clips=1,frames=6,width=96,height=64,persons=2"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """The presets, but with small networks."""
    own = dict(presets.PRESETS)
    own["nano"] = presets.Preset(pose=lambda joints: pose_config(joints=joints), settings=POSE)
    own["identity"] = presets.Preset(pose=None, settings=IDENTITY)
    monkeypatch.setattr(runs, "PRESETS", own)
    monkeypatch.setattr(runs, "identity", identity_config)


def request(out, preset="nano", **fields):
    changes = fields.pop("changes", {})
    return runs.Request(
        preset=preset, data=(SCENE,), out=out, changes=changes, device="cpu", **fields
    )


def trained(*arguments, **fields):
    return list(runs.train(request(*arguments, **fields)))


# --- what a run leaves ---------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["nano", "identity"])
def test_a_run_leaves_weights_that_say_how_they_came(tmp_path, preset):
    out = tmp_path / "run"
    steps = trained(out, preset, licence="CC0-1.0")
    assert [p.step for p in steps] == [1, 2, 3, 4]
    made = read_trained(out / runs.WEIGHTS)
    assert made.network.config == (
        pose_config() if preset == "nano" else identity_config(COCO17, 0)
    )
    assert made.skeleton == COCO17
    assert made.size == (64, 96)
    assert made.licence == "CC0-1.0"
    assert made.origin["data"] == [{"source": SCENE}]
    assert made.origin["settings"]["steps"] == 4
    config = json.loads((out / runs.CONFIG).read_text())
    assert config["preset"] == preset
    assert config["settings"]["workers"] == 1
    log = [json.loads(line) for line in (out / runs.LOG).read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in log] == [(p.step, p.loss) for p in steps]


def test_the_weights_are_the_averaged_ones(tmp_path):
    trained(tmp_path / "run")
    state = load_file(tmp_path / "run" / runs.CHECKPOINT)
    weights = load_file(tmp_path / "run" / runs.WEIGHTS)
    name = "encoder.level_embedding"
    assert torch.equal(weights[name], state[f"average/{name}"])
    assert not torch.equal(weights[name], state[f"model/{name}"])


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(tmp_path):
    for name, changes in (("a", {}), ("b", {"workers": 3}), ("c", {"seed": 1})):
        trained(tmp_path / name, changes=changes)
    a, b, c = (load_file(tmp_path / name / runs.WEIGHTS) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["encoder.level_embedding"], c["encoder.level_embedding"])


# --- how it goes on ------------------------------------------------------------------------------


def same(a, b):
    a, b = load_file(a), load_file(b)
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


@pytest.mark.parametrize("preset", ["nano", "identity"])
def test_a_run_that_is_resumed_ends_in_the_same_bits(tmp_path, preset):
    trained(tmp_path / "whole", preset)
    stopped = runs.train(request(tmp_path / "parts", preset))
    assert [next(stopped).step, next(stopped).step] == [1, 2]
    stopped.close()  # as Ctrl-C does
    assert not (tmp_path / "parts" / runs.WEIGHTS).exists()
    rest = trained(tmp_path / "parts", preset, resume=True)
    assert [p.step for p in rest] == [3, 4]
    for name in (runs.WEIGHTS, runs.CHECKPOINT):
        same(tmp_path / "whole" / name, tmp_path / "parts" / name)
    lines = (tmp_path / "parts" / runs.LOG).read_text().splitlines()
    assert lines == (tmp_path / "whole" / runs.LOG).read_text().splitlines()


def test_steps_after_the_last_checkpoint_are_done_again(tmp_path):
    trained(tmp_path / "whole")
    for progress in runs.train(request(tmp_path / "parts", changes={"save_every": 2})):
        kept = (tmp_path / "parts" / runs.CHECKPOINT).read_bytes() if progress.step == 3 else None
        if kept:
            break
    (tmp_path / "parts" / runs.CHECKPOINT).write_bytes(kept)  # killed: nothing after step 2
    assert [p.step for p in trained(tmp_path / "parts", resume=True)] == [3, 4]
    same(tmp_path / "whole" / runs.WEIGHTS, tmp_path / "parts" / runs.WEIGHTS)
    assert len((tmp_path / "parts" / runs.LOG).read_text().splitlines()) == 4


def test_an_interrupt_amid_a_step_waits_for_its_end(tmp_path, monkeypatch):
    trained(tmp_path / "whole")
    step, done = torch.optim.AdamW.step, []

    def interrupted(self, *arguments):
        done.append(step(self, *arguments))
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "parts")
    assert [p.step for p in trained(tmp_path / "parts", resume=True)] == [3, 4]
    for name in (runs.WEIGHTS, runs.CHECKPOINT):
        same(tmp_path / "whole" / name, tmp_path / "parts" / name)


def test_another_run_cannot_be_resumed(tmp_path):
    trained(tmp_path / "run")
    with pytest.raises(StateError, match=r"'settings.lr' to be 0.002 .* got 1.0"):
        trained(tmp_path / "run", resume=True, changes={"lr": "1"})
    with pytest.raises(StateError, match="checkpoint"):
        trained(tmp_path / "empty", resume=True)


def test_a_folder_with_a_run_is_never_overwritten(tmp_path):
    trained(tmp_path / "run")
    before = (tmp_path / "run" / runs.WEIGHTS).read_bytes()
    with pytest.raises(OutputError, match="--out"):
        trained(tmp_path / "run")
    assert (tmp_path / "run" / runs.WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "other", "shape", "missing"])
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    trained(tmp_path / "run")
    path = tmp_path / "run" / runs.CHECKPOINT
    state = load_file(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "other":
        save_file(state, path)
    else:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        name = "exp_avg/encoder.level_embedding"
        tensor = state.pop(name)
        if damage == "shape":
            state[name] = tensor[:1].clone()
        save_file(state, path, metadata=metadata)
    with pytest.raises(StateError):
        trained(tmp_path / "run", resume=True)


# --- what it begins with -------------------------------------------------------------------------


def test_weights_to_begin_with_bring_their_licence(tmp_path):
    first = tmp_path / "first.safetensors"
    write_trained(
        first, Trained(network=pose_network(), skeleton=COCO17, licence="IDEA License 1.0")
    )
    trained(tmp_path / "run", init=first, changes={"part": "clicks", "average": 0})
    made = read_trained(tmp_path / "run" / runs.WEIGHTS)
    assert made.licence == "IDEA License 1.0"
    assert made.origin["init"] == read_trained(first).sha256
    before = pose_network().state_dict()
    after = made.network.state_dict()
    assert torch.equal(before["backbone.conv1.weight"], after["backbone.conv1.weight"])
    assert not torch.equal(before["codebooks.joints.weight"], after["codebooks.joints.weight"])


def test_other_weights_are_refused(tmp_path):
    first = tmp_path / "first.safetensors"
    write_trained(first, Trained(network=pose_network(width=16), skeleton=COCO17))
    with pytest.raises(IncompatibleCheckpoint):
        trained(tmp_path / "run", init=first)
    network = IdentityNetwork(identity_config(COCO17, 0))
    write_trained(first, Trained(network=network, skeleton=COCO17))
    with pytest.raises(IncompatibleCheckpoint, match="nano"):
        trained(tmp_path / "run", init=first)


def test_a_backbone_of_torchvision_to_begin_with(tmp_path):
    torch.manual_seed(5)
    backbone = ResNet(BACKBONE)
    classifier = {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}
    torch.save(backbone.state_dict() | classifier, tmp_path / "resnet.pth")
    changes = {"freeze": "backbone", "average": 0}
    trained(tmp_path / "run", backbone=tmp_path / "resnet.pth", changes=changes)
    made = read_trained(tmp_path / "run" / runs.WEIGHTS).network
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(made.backbone.state_dict()[name], tensor)


def test_identities_by_the_looks_of_a_pose_network(tmp_path):
    looks = tmp_path / "pose.safetensors"
    write_trained(looks, Trained(network=pose_network(), skeleton=COCO17, size=(64, 96)))
    trained(tmp_path / "run", "identity", looks=looks)
    made = read_trained(tmp_path / "run" / runs.WEIGHTS)
    assert made.network.config.appearance == 32
    assert made.origin["looks"] == read_trained(looks).sha256


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"preset": "giant"}, UsageError),
        ({"changes": {"part": "identity"}}, UsageError),
        ({"changes": {"part": "clicks"}}, UsageError),
        ({"preset": "identity", "changes": {"frames": "20"}}, UsageError),
        ({"preset": "identity", "backbone": Path("x.pth")}, UsageError),
        ({"looks": Path("x.safetensors")}, UsageError),
    ],
)
def test_a_request_that_cannot_be(tmp_path, fields, error):
    with pytest.raises(error):
        trained(tmp_path / "run", **fields)


def test_a_gpu_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="GPU"), machine("cuda"):
        pass
    with pytest.raises(DeviceError, match="'--device'"), machine("tpu"):
        pass


def test_a_file_that_is_no_trained_network_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(IncompatibleCheckpoint, match="format"):
        read_trained(path)
    trained(tmp_path / "run")
    state = load_file(tmp_path / "run" / runs.WEIGHTS)
    with safe_open(tmp_path / "run" / runs.WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    said = json.loads(metadata["impose"])
    for field, value in (("width", -1), ("width", "wide"), ("heads", 0), ("width", 10**9)):
        wrong = said | {"config": said["config"] | {field: value}}
        save_file(state, path, metadata=metadata | {"impose": json.dumps(wrong)})
        with pytest.raises(IncompatibleCheckpoint):
            read_trained(path)


# --- the command ---------------------------------------------------------------------------------


def run_command(*arguments):
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_prints_its_settings_and_trains(tmp_path):
    code, said = run_command("nano", "--data", SCENE, "--out", tmp_path / "run", "--steps", 2)
    assert code == 0, said
    assert '"lr": 0.002' in said
    assert "step 2/2" in said
    assert read_trained(tmp_path / "run" / runs.WEIGHTS).origin["settings"]["steps"] == 2
    code, said = run_command(
        "nano", "--data", SCENE, "--out", tmp_path / "run", "--steps", 2, "--resume", "--json"
    )
    assert code == 0
    assert json.loads(said.splitlines()[-1])["weights"].endswith(runs.WEIGHTS)


@pytest.mark.parametrize(
    "arguments",
    [("giant", "--data", SCENE), ("nano", "--data", "x"), ("nano", "--data", SCENE, "--set", "lr")],
)
def test_the_command_says_what_is_wrong(tmp_path, arguments):
    code, said = run_command(*arguments, "--out", tmp_path / "run")
    assert code == 2
    assert "error: Expected" in said


def test_the_command_names_all_presets():
    assert tuple(presets.PRESETS) == impose_core.cli.train.PRESETS


# --- every loss can be learned -------------------------------------------------------------------


def overfitted(clips, given_settings, **network):
    torch.manual_seed(0)
    part = PosePart(
        PoseNetwork(pose_config(**network)), given_settings, sigmas=clips.skeleton.sigmas
    )
    run = begun(part.network, given_settings)
    batches = PoseBatches(clips, given_settings, label=1)
    with machine("cpu") as here:
        said = list(run_steps(part, run, batches, given_settings, here))
    return part.network.eval(), batches.at(0), said


ONE = replace(
    POSE, steps=140, batch=1, warmup=10, clip=1.0, bodies=0, clicks=0, propagated=False,
    average=0.0, **STILL,
)  # fmt: skip


@torch.no_grad()
def alike(found, truth):
    sigmas = torch.tensor(COCO17.sigmas)
    return oks(found, truth.keypoints, truth.labelled, truth.area, sigmas)


def test_the_joints_of_a_body_can_be_learned():
    network, batch, said = overfitted(rendered(frames=1, persons=1), ONE)
    with torch.no_grad():
        poses = network(batch.images, batch.padding)
    best = poses.logits[0, :, 1].argmax()
    (truth,) = batch.truths
    assert float(alike(poses.keypoints[0, best], truth)) > 0.75
    assert said[-1].loss < said[0].loss / 10


def test_the_repair_after_a_click_can_be_learned():
    # what finds bodies is fresh and stays so: all that is known of a body is a click
    given_settings = replace(ONE, part="clicks", clicks=1, steps=120)
    network, batch, said = overfitted(rendered(frames=1, persons=1), given_settings)
    (truth,) = batch.truths
    with torch.no_grad():
        memory = network.encode(batch.images, batch.padding)
    interaction = Interaction(network, memory)
    found = interaction.bodies
    answers = Answers(
        logits=found.logits[None], boxes=found.boxes[None], keypoints=found.keypoints[None]
    )
    person = int(matched(answers, batch.truths, torch.tensor(COCO17.sigmas)).answer)
    before = float(alike(found.keypoints[person], truth))
    away = (found.keypoints[person] - truth.keypoints[0]).norm(dim=-1)
    joint = int(away.where(truth.labelled[0], -1).argmax())
    click = tuple(truth.keypoints[0, joint].tolist())
    after = float(alike(interaction.click({person: {joint: click}}).keypoints[person], truth))
    assert before < 0.3
    assert after > 0.85
    assert said[-1].loss < said[0].loss / 5


def test_the_identities_of_a_clip_can_be_learned():
    clips = rendered(frames=10, persons=3)
    given_settings = replace(IDENTITY, steps=240, relabellings=4, frames=8, clip=1.0, interval=1)
    config = identity_config(COCO17, 0)
    torch.manual_seed(0)
    network = IdentityNetwork(config)
    part = IdentityPart(network, given_settings)
    run = begun(network, given_settings)
    batches = IdentityBatches(clips, given_settings, config, looks={})
    with machine("cpu") as here:
        said = list(run_steps(part, run, batches, given_settings, here))
    assert np.mean([p.loss for p in said[-10:]]) < said[0].loss * 0.6
    batch = batches.at(1000)
    network.eval()
    with torch.no_grad():
        feature = network.embed(batch.bodies)
        shape = batch.missing.shape
        label = torch.tensor([4, 0, 2]).expand(shape)  # words as good as any
        time = torch.arange(shape[1])[None, :, None].expand(shape)
        now = current_labels(label, batch.missing, config.vocabulary)
        logits = network(
            Tracklets(feature, label, time, batch.missing),
            Tracklets(feature, now, time, batch.missing),
        )
    there = ~batch.missing
    right = (logits.argmax(dim=-1) == now)[there].float().mean()
    assert float(right) > 0.9


@pytest.mark.slow
def test_spoiled_bodies_with_wrong_labels_can_be_repaired():
    given_settings = replace(ONE, bodies=6, steps=400)
    _, _, said = overfitted(rendered(frames=1, persons=1), given_settings)
    first, last = (
        np.mean([p.terms["repair.poses.1.keypoint"] for p in part])
        for part in (said[:10], said[-10:])
    )
    assert last < first * 0.75  # half of the labels are wrong, which leaves a floor


@pytest.mark.slow
def test_two_processes_train_as_one_that_sees_all(tmp_path):
    script = tmp_path / "one.py"
    tests = Path(__file__).parent
    script.write_text(
        f"import json, os, sys; sys.path.insert(0, {str(tests)!r})\n"
        "from pathlib import Path\n"
        "from training_small import pose_config, POSE\n"
        "from impose_core.training import presets, runs\n"
        "nano = presets.Preset(pose=lambda joints: pose_config(joints=joints), settings=POSE)\n"
        "runs.PRESETS = {'nano': nano}\n"
        f"request = runs.Request(preset='nano', data=({SCENE!r},), out=Path(sys.argv[1]),\n"
        "    device='cpu', changes={'batch': sys.argv[2], 'bodies': 0})\n"
        "losses = [p.loss for p in runs.train(request)]\n"
        "out = Path(sys.argv[1] + os.environ.get('RANK', ''))\n"
        "out.with_suffix('.losses').write_text(json.dumps(losses))\n"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", str(port), script, tmp_path / "two", "1",
        ],
        check=True, env=environment, timeout=300,
    )  # fmt: skip
    subprocess.run(
        [sys.executable, script, tmp_path / "one", "2"], check=True, env=environment, timeout=300
    )
    one, first, second = (
        json.loads((tmp_path / f"{name}.losses").read_text()) for name in ("one", "two0", "two1")
    )
    # nothing is drawn per machine without spoiled bodies: each sees its half of the images
    np.testing.assert_allclose(np.add(first, second) / 2, one, rtol=1e-3)
    assert len((tmp_path / "two" / runs.LOG).read_text().splitlines()) == len(one)
    assert read_trained(tmp_path / "two" / runs.WEIGHTS).origin["machines"] == 2
