"""ONNX files: what onnxruntime says of them is what torch says, for any number of persons."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("onnx", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import onnxruntime
import torch
from training_small import pose_network
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.errors import DeviceError, UsageError, WeightsError
from impose_core.nets import export as onnx_export
from impose_core.nets.conversion import sha256_of
from impose_core.nets.export import COUNTS, TOLERANCE, export
from impose_core.nets.id_decoder import Tracklets
from impose_core.nets.identity_network import Bodies, IdentityConfig, IdentityNetwork
from impose_core.nets.interaction import Interaction
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.presets import ed_pose_r50
from impose_core.nets.trained import Trained, write_trained
from impose_core.onnx_device import check_device, providers
from impose_core.skeleton import COCO17, skeleton_from_names

SIZE = (64, 96)


def session(path):
    return onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])


def run(path, **given):
    opened = session(path)
    fed = {name: np.asarray(value) for name, value in given.items()}
    answers = opened.run(None, {entry.name: fed[entry.name] for entry in opened.get_inputs()})
    return dict(zip((entry.name for entry in opened.get_outputs()), answers, strict=True))


def written(folder, network, skeleton=COCO17, **fields):
    path = folder / "weights.safetensors"
    write_trained(path, Trained(network=network, skeleton=skeleton, **fields))
    return path


def image(seed=0):
    padding = torch.zeros(1, *SIZE, dtype=torch.bool)
    padding[:, :, 80:] = True
    picture = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    return picture.masked_fill(padding[:, None], 0), padding


# --- the pose network ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pose(tmp_path_factory):
    """A network, its files, and what the encoder says of an image."""
    folder = tmp_path_factory.mktemp("pose")
    network = pose_network(persons=4)
    export(written(folder, network, size=SIZE, licence="CC0-1.0"), folder / "onnx")
    images, padding = image()
    said = run(folder / "onnx" / "encoder.onnx", images=images, padding=padding)
    return network, folder, said


def test_finding_by_the_files_is_finding_by_torch(pose):
    network, folder, said = pose
    found = run(folder / "onnx" / "decoder.onnx", **said, free=np.ones((4, 17), np.float32))
    with torch.no_grad():
        poses = network.find(network.encode(*image()))
    for name in ("logits", "boxes", "keypoints", "tokens", "visibility"):
        known = getattr(poses, name)[0].numpy()
        np.testing.assert_allclose(found[f"found_{name}"], known, atol=TOLERANCE)


@pytest.mark.parametrize("count", COUNTS)
def test_any_number_of_persons_is_decoded_as_torch_does(pose, count):
    network, folder, said = pose
    chance = torch.Generator().manual_seed(count)
    boxes = torch.rand(count, 4, generator=chance) * 0.5 + 0.2
    keypoints = torch.rand(count, 17, 2, generator=chance)
    free = (torch.rand(count, 17, generator=chance) < 0.5).float()
    tokens = np.repeat(said["known_tokens"][None], count, axis=0)
    given = said | {"tokens": tokens, "boxes": boxes, "keypoints": keypoints}
    found = run(folder / "onnx" / "decoder.onnx", **given, free=free)
    with torch.no_grad():
        memory = network.encode(*image())
        poses = network.decode(memory, boxes[None], keypoints[None], free=free[None])
    for name in ("logits", "boxes", "keypoints", "tokens", "visibility"):
        known = getattr(poses, name)[0].numpy()
        np.testing.assert_allclose(found[f"found_{name}"], known, atol=TOLERANCE)


def test_a_click_by_the_files_is_a_click_by_torch(pose):
    network, folder, said = pose
    decoder = folder / "onnx" / "decoder.onnx"
    found = run(decoder, **said, free=np.ones((4, 17), np.float32))
    with torch.no_grad():
        interaction = Interaction(network, network.encode(*image()))
    person = int(interaction.bodies.logits.amax(dim=-1).argmax())
    mine = int(found["found_logits"].max(axis=-1).argmax())
    at = tuple(interaction.bodies.keypoints[person, 3].tolist())  # inside the box: it stays
    bodies = interaction.click({person: {3: at}})
    keypoints = found["found_keypoints"][mine : mine + 1].copy()
    keypoints[:, 3] = at
    low = np.minimum(
        found["found_boxes"][mine, :2] - found["found_boxes"][mine, 2:] / 2, keypoints[0].min(0)
    )
    high = np.maximum(
        found["found_boxes"][mine, :2] + found["found_boxes"][mine, 2:] / 2, keypoints[0].max(0)
    )
    free = np.ones((1, 17), np.float32)
    free[0, 3] = 0
    box = np.concatenate([(low + high) / 2, high - low])[None].clip(0, 1)
    given = said | {"tokens": said["known_tokens"][None], "boxes": box, "keypoints": keypoints}
    again = run(decoder, **given, free=free)
    np.testing.assert_allclose(
        np.delete(again["found_keypoints"][0], 3, axis=0),
        np.delete(bodies.keypoints[person].numpy(), 3, axis=0),
        atol=TOLERANCE,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"visibility": False, "content_by_rank": True},
        {"extra_level": True, "width": 24, "joints": 5},
        {"queries": 500},  # more than there are cells
    ],
)
def test_other_networks(tmp_path, changes):
    network = pose_network(**changes)
    names = [f"joint_{k}" for k in range(network.config.joints)]
    skeleton = COCO17 if len(names) == 17 else skeleton_from_names("own", names)
    said = export(written(tmp_path, network, skeleton), tmp_path / "onnx", size=SIZE)
    assert [graph.file for graph in said.graphs] == ["encoder.onnx", "decoder.onnx"]
    assert all(graph.deviation <= TOLERANCE for graph in said.graphs)
    assert all("visibility" not in name for name in said.graphs[1].outputs) or (
        network.config.visibility
    )


def test_the_document_says_what_the_files_are(pose):
    network, folder, _ = pose
    said = json.loads((folder / "onnx" / "export.json").read_text())
    assert said["weights"] == {
        "file": "weights.safetensors", "sha256": sha256_of(folder / "weights.safetensors")
    }  # fmt: skip
    assert said["licence"] == "CC0-1.0"
    assert said["config"]["width"] == network.config.width
    assert said["skeleton"]["keypoints"] == list(COCO17.keypoints)
    assert said["images"]["size"] == list(SIZE)
    for graph in said["graphs"]:
        content = (folder / "onnx" / graph["file"]).read_bytes()
        assert graph["sha256"] == hashlib.sha256(content).hexdigest()
        assert 0 <= graph["deviation"] <= TOLERANCE
        for side, entries in (("inputs", "get_inputs"), ("outputs", "get_outputs")):
            entries = getattr(session(folder / "onnx" / graph["file"]), entries)()
            assert graph[side] == {entry.name: list(entry.shape) for entry in entries}
    assert said["graphs"][1]["inputs"]["keypoints"] == ["persons", 17, 2]


def test_the_same_weights_give_the_same_bytes(pose, tmp_path):
    _, folder, _ = pose
    export(folder / "weights.safetensors", tmp_path)
    for name in ("encoder.onnx", "decoder.onnx", "export.json"):
        assert (tmp_path / name).read_bytes() == (folder / "onnx" / name).read_bytes()


def test_persons_that_meet_cannot_be_decoded_apart(tmp_path):
    small = pose_network().config
    config = replace(
        ed_pose_r50(), backbone=small.backbone, width=32, heads=4, feed_forward=32,
        encoder_layers=1, box_layers=1, keypoint_layers=1, queries=5, persons=3, labels=2,
    )  # fmt: skip
    with pytest.raises(UsageError, match="meet"):
        export(written(tmp_path, PoseNetwork(config)), tmp_path / "onnx", size=SIZE)


def test_a_file_that_does_not_answer_as_torch_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    with pytest.raises(WeightsError, match=r"encoder\.onnx"):
        export(written(tmp_path, pose_network()), tmp_path / "onnx", size=SIZE)
    assert list((tmp_path / "onnx").iterdir()) == []


# --- the identity network ------------------------------------------------------------------------


def identity_network(**changes):
    small = {
        "appearance": 8, "joints": 17, "edges": COCO17.edges, "pose": 16, "word": 16,
        "vocabulary": 30, "layers": 2, "head": 8, "memory": 10,
    }  # fmt: skip
    torch.manual_seed(0)
    network = IdentityNetwork(IdentityConfig(**(small | changes))).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network


@pytest.mark.parametrize(
    "changes",
    [{}, {"appearance": 0}, {"fusion": "residual"}, {"fusion": "none"}],
    ids=["concat", "poses alone", "residual", "no poses"],
)
@torch.no_grad()
def test_identities_by_the_files_are_those_by_torch(tmp_path, changes):
    network = identity_network(**changes)
    export(written(tmp_path, network), tmp_path / "onnx")
    chance = torch.Generator().manual_seed(3)
    for count in COUNTS:
        bodies = Bodies(
            appearance=torch.randn(count, network.config.appearance, generator=chance),
            xy=torch.rand(count, 17, 2, generator=chance) * 200,
            known=torch.rand(count, 17, generator=chance) < 0.7,
            box_xyxy=torch.tensor([[0.0, 0.0, 200.0, 200.0]]).expand(count, -1),
            image_size=torch.tensor([320.0, 240.0]),
        )
        feature = network.embed(bodies)
        if network.config.fusion != "none":
            said = run(tmp_path / "onnx" / "embedding.onnx", **bodies._asdict())
            np.testing.assert_allclose(said["feature"], feature, atol=TOLERANCE)
        past = torch.randn(4, 3, network.config.feature, generator=chance)
        history = {
            "past": past,
            "label": torch.tensor([2, 7, 29]).expand(4, 3),
            "missing": torch.rand(4, 3, generator=chance) < 0.5,
        }
        logits = run(
            tmp_path / "onnx" / "id_decoder.onnx",
            **history,
            age=np.array([8, 3, 2, 1]),
            feature=feature,
        )["logits"]
        known = _by_torch(network, history, [8, 3, 2, 1], feature)
        np.testing.assert_allclose(logits, known, atol=TOLERANCE)


def _by_torch(network, history, age, feature):
    time = (10 - torch.tensor(age))[None, :, None].expand(1, 4, 3)
    past = Tracklets(history["past"][None], history["label"][None], time, history["missing"][None])
    shape = (1, 1, len(feature))
    now = Tracklets(
        feature[None, None],
        torch.zeros(shape, dtype=torch.long),
        torch.full(shape, 10),
        torch.zeros(shape, dtype=torch.bool),
    )
    return network(past, now)[0, 0].numpy()


def test_nobody_remembered_is_no_reason_to_fail(tmp_path):
    network = identity_network()
    export(written(tmp_path, network), tmp_path / "onnx")
    logits = run(
        tmp_path / "onnx" / "id_decoder.onnx",
        past=np.zeros((2, 1, network.config.feature), np.float32),
        label=np.zeros((2, 1), np.int64),
        missing=np.ones((2, 1), bool),
        age=np.array([2, 1]),
        feature=np.ones((3, network.config.feature), np.float32),
    )["logits"]
    assert logits.shape == (3, 31)
    assert np.isfinite(logits).all()


# --- devices and the command ---------------------------------------------------------------------


def test_a_gpu_that_onnxruntime_cannot_use_is_an_error(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert providers("cpu") == ["CPUExecutionProvider"]
    with pytest.raises(DeviceError, match="GPU") as error:
        providers("cuda")
    assert "onnxruntime-gpu" in error.value.hint
    with pytest.raises(DeviceError, match="'tpu'"):
        providers("tpu")


def test_a_session_that_fell_back_is_an_error():
    check_device(["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda")
    with pytest.raises(DeviceError, match="cuda"):
        check_device(["CPUExecutionProvider"], "cuda")


def run_command(*arguments):
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_exports_and_says_what_it_wrote(tmp_path):
    weights = written(tmp_path, identity_network())
    code, said = run_command(weights, "--out", tmp_path / "onnx", "--json")
    assert code == 0, said
    made = json.loads(said)
    assert made["weights_sha256"] == sha256_of(weights)
    assert [graph["file"] for graph in made["graphs"]] == ["embedding.onnx", "id_decoder.onnx"]
    code, said = run_command(weights, "--out", tmp_path / "again")
    assert made["weights_sha256"] in said
    assert "id_decoder.onnx: within" in said


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--size", "64"], 2), (["--size", "16x16"], 2), (["--size", "axb"], 2),
        (["--device", "tpu"], 5),
    ],
)  # fmt: skip
def test_the_command_says_what_is_wrong(tmp_path, options, code):
    weights = written(tmp_path, pose_network())
    got, said = run_command(weights, "--out", tmp_path / "onnx", *options)
    assert got == code
    assert "error: Expected" in said


def test_the_command_needs_weights(tmp_path):
    code, said = run_command(tmp_path / "absent.safetensors", "--out", tmp_path / "onnx")
    assert code == 4
    assert "absent.safetensors" in said
