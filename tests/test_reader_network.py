"""The paper's network as a pose reader, whatever its weights; learned ones are in the slow test."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import cv2
import torch
from typer.testing import CliRunner

from impose_core.cli.app import app
from impose_core.cli.engines import engine_of
from impose_core.errors import DeviceError, IncompatibleCheckpoint, UsageError
from impose_core.nets import presets
from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.denoising import Denoising
from impose_core.nets.frame_reading import FrameReading
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork
from impose_core.nets.keypoint_decoder import apart
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.prior_groups import PriorGroups, looked, read_priors
from impose_core.nets.trained import Trained, write_trained
from impose_core.one_click import pose_in_box, repair_pose
from impose_core.readers import PriorReader, Priors
from impose_core.readers.movenet import MoveNet
from impose_core.readers.network import NetworkReader
from impose_core.skeleton import COCO17, POSETRACK15

SMALL = replace(
    presets.nano(), backbone=ResNetConfig(depth=18, widths=(4, 8, 16, 32), norm=Norm.GROUP),
    width=16, heads=4, feed_forward=8, points=2, encoder_layers=1, box_layers=2,
    keypoint_layers=2, queries=12, persons=4, labels=3,
)  # fmt: skip


def build(**changes):
    """A network that answers differently everywhere: fresh heads would leave all as it is."""
    torch.manual_seed(0)
    network = PoseNetwork(replace(SMALL, **changes)).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    for head in (*network.box_decoder.class_heads, *network.keypoint_decoder.class_heads):
        torch.nn.init.constant_(head.bias, 0.5)  # so that somebody is found
    return network


@pytest.fixture(scope="module")
def network():
    return build()


@pytest.fixture(scope="module")
def reader(network):
    return NetworkReader(FrameReading(network, size=(64, 96)), COCO17)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(3).integers(0, 256, (90, 120, 3)).astype(np.uint8)


def priors_of(*bodies, pinned=()):
    """Priors [V] of bodies [17, 2]; ``pinned`` are (body, joint)."""
    xy = np.stack(bodies).astype(np.float64)
    held = np.zeros(xy.shape[:2], bool)
    for one in pinned:
        held[one] = True
    box = np.concatenate([np.nanmin(xy, axis=1), np.nanmax(xy, axis=1)], axis=-1)
    return Priors(box_xyxy=box, xy=xy, pinned=held)


def body(seed, low=20, high=80):
    return np.random.default_rng(seed).uniform(low, high, (17, 2))


def read(reader, image, priors):
    views = reader.around(priors)
    return reader.read([image] * len(views), views)


# --- groups --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    padding = torch.zeros(2, 64, 96, dtype=torch.bool)
    padding[1, 48:] = padding[1, :, 64:] = True
    return torch.randn(2, 3, 64, 96, generator=generator), padding


@pytest.fixture(scope="module")
def batch(network, images):
    with torch.inference_mode():
        return looked(network, *images)


def groups(group=((0, 0, 1), (0, 1, 1)), joints=17):
    generator = torch.Generator().manual_seed(2)
    middle = torch.rand(2, 3, 2, generator=generator) * 0.4 + 0.3
    spread = torch.rand(2, 3, joints, 2, generator=generator) * 0.2 - 0.1
    return PriorGroups(
        boxes=torch.cat([middle, torch.full((2, 3, 2), 0.3)], dim=-1),
        keypoints=middle[:, :, None] + spread,
        pinned=torch.zeros(2, 3, joints, dtype=torch.bool),
        group=torch.tensor(group),
    )


class OnlyThemselves(Denoising):
    """Spoiled bodies that in the keypoint decoder see nobody but themselves."""

    def pose_mask(self, persons, boxes_meet):
        joints, count = self.keypoints.shape[2], self.boxes.shape[1]
        return apart(count + persons, joints, boxes_meet=False, device=self.boxes.device)


def test_priors_are_decoded_as_the_spoiled_bodies_of_training(network, batch):
    """Beside a pass that is over, and together with it, like Click-Pose's pose-error modelling."""
    priors = groups()
    with torch.inference_mode():
        beside = read_priors(network, batch, priors)
        together = network.steps(
            batch.memory,
            OnlyThemselves(
                tokens=network.codebooks.poses(2, 3, label=1),
                boxes=priors.boxes,
                keypoints=priors.keypoints,
                group=priors.group,
                truth=torch.zeros(2, 3, dtype=torch.int64),
            ),
        ).poses[-1]
    for name in ("logits", "boxes", "keypoints", "visibility", "tokens"):
        a, b = getattr(beside, name), getattr(together, name)
        torch.testing.assert_close(a, b[:, :3], atol=1e-5, rtol=1e-5)
        # and what is found does not hang on them
        torch.testing.assert_close(getattr(batch.people, name), b[:, 3:], atol=1e-5, rtol=1e-5)


def test_groups_do_not_see_each_other(network, batch):
    """Image 0: bodies 0 and 1 are one group, 2 is another one."""
    priors = groups()
    moved = replace(priors, boxes=priors.boxes.clone(), keypoints=priors.keypoints.clone())
    moved.boxes[0, 1] += 0.1
    moved.keypoints[0, 1] += 0.1
    with torch.inference_mode():
        before, after = (read_priors(network, batch, one).tokens for one in (priors, moved))
    change = (before - after).abs().amax(dim=(2, 3))
    assert change[0, 1] > 1e-3
    assert change[0, 0] > 1e-7  # its own group: little, but something
    assert change[0, 2] == 0
    assert change[1].max() == 0


def test_pinned_joints_stay_and_the_others_follow(network, batch):
    priors = groups()
    pinned = replace(priors, pinned=priors.pinned.clone(), keypoints=priors.keypoints.clone())
    pinned.pinned[0, 0, 4] = True
    pinned.keypoints[0, 0, 4] = torch.tensor([1.25, -0.125])  # beyond the image, where decoders end
    with torch.inference_mode():
        free, held = (read_priors(network, batch, one).keypoints for one in (priors, pinned))
    assert held[0, 0, 4].tolist() == [1.25, -0.125]
    assert ((free - held)[0, 0].abs().amax(-1) > 0).all()


def test_unknown_joints_start_where_the_network_looks_first(network, batch):
    priors = groups()
    priors.keypoints[0, 0, 3] = torch.nan
    priors.keypoints[1, 2] = torch.nan
    with torch.inference_mode():
        found = read_priors(network, batch, priors)
    assert found.keypoints.isfinite().all()


def test_priors_train_the_network():
    network = build().train()
    image, padding = torch.randn(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool)
    one = groups()
    only = PriorGroups(**{n: getattr(one, n)[:1] for n in PriorGroups.__slots__})
    read_priors(network, looked(network, image, padding), only).keypoints.sum().backward()
    for part in (network.backbone, network.codebooks, network.box_decoder):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


# --- the reader ----------------------------------------------------------------------------------


def test_it_promises_what_a_reader_of_priors_must(reader):
    assert isinstance(reader, PriorReader)
    assert not isinstance(MoveNet(threads=1), PriorReader)


def test_what_is_read_hangs_on_the_prior_and_the_pixels_alone(reader, image):
    one, other = body(1), body(2)
    alone = read(reader, image, priors_of(one))
    again = read(reader, image.copy(), priors_of(other, one))
    np.testing.assert_array_equal(again.xy[1], alone.xy[0])
    np.testing.assert_array_equal(again.score[1], alone.score[0])
    assert alone.xy.shape == (1, 17, 1, 2)
    assert ((alone.score > 0) & (alone.score < 1)).all()
    elsewhere = read(reader, image[:, ::-1].copy(), priors_of(one))
    assert np.abs(elsewhere.xy - alone.xy).max() > 0.01
    shifted = read(reader, image, priors_of(one + 5))
    assert np.abs(shifted.xy - alone.xy).max() > 1


def test_a_human_point_is_answered_where_it_is(reader, image):
    prior = body(1)
    prior[9] = [17.0625, 140.5]  # below the image
    found = read(reader, image, priors_of(prior, pinned=[(0, 9)]))
    np.testing.assert_array_equal(found.xy[0, 9, 0], prior[9])
    free = read(reader, image, priors_of(prior))
    assert (np.abs(found.xy - free.xy)[0, :9].max(-1) > 1e-6).all()


def test_views_are_the_same_within_an_eighth_of_a_pixel(reader):
    one = np.round(body(1))
    a, b = (reader.around(priors_of(one + by)) for by in (0.0, 0.1))
    np.testing.assert_array_equal(a, b)
    pinned = [reader.around(priors_of(one + by, pinned=[(0, 3)])) for by in (0.0, 0.1)]
    assert (pinned[0] != pinned[1]).sum() == 2  # x and y of the human point


def test_priors_are_no_reference_points_without_ktcp(network, image):
    """Then they only say which of the network's own proposals is meant."""
    reading = FrameReading(network, size=(64, 96))
    own = reading.found(image)
    reader = NetworkReader(reading, COCO17, ktcp=False)
    box = own.box_xyxy[0]
    corners = np.where(np.arange(17)[:, None] % 2 == 0, box[:2], box[2:])
    grown = 0.1 / 1.2 * (corners - corners.mean(0)) * 2  # so that the box with its room is his
    prior = corners - grown
    inner = prior + np.where(np.arange(17)[:, None] > 2, 0.1 * (corners.mean(0) - prior), 0)
    found = read(reader, image, priors_of(prior, inner))
    np.testing.assert_array_equal(found.xy[0], found.xy[1])
    assert np.abs(found.xy[0, :, 0] - own.xy).max((1, 2)).min() < 1e-9
    held = read(reader, image, priors_of(prior, pinned=[(0, 0)]))
    np.testing.assert_allclose(held.xy[0, 0, 0], prior[0], atol=1e-3)
    far = read(reader, image, priors_of(body(1, 1000, 1010)))
    assert np.isnan(far.xy).all()
    assert not far.score.any()


def test_a_network_without_clicks_reads_its_own_proposals(image):
    network = build(clickable=False, boxes_meet=True)
    reading = FrameReading(network, size=(64, 96))
    with pytest.raises(UsageError, match="ktcp"):
        NetworkReader(reading, COCO17, ktcp=True)
    reader = NetworkReader(reading, COCO17)
    assert not reader.ktcp
    assert read(reader, image, priors_of(body(1))).xy.shape == (1, 17, 1, 2)


def test_everybody_is_found_from_left_to_right(reader, network, image):
    found = reader.detect(image)
    assert 0 < len(found.xy) <= 4
    middle = found.xy.mean(1)[:, 0]
    assert (np.diff(middle) >= 0).all()
    assert found.appearance.shape == (len(found.xy), network.config.width)
    assert found.candidates.xy.shape == (len(found.xy), 17, 1, 2)
    assert (found.score <= 1).all()


def test_padding_and_size_of_the_input_do_not_move_bodies(network):
    """The same picture, twice as large: the same places in shares of the image."""
    small = np.repeat(np.repeat(np.arange(60, dtype=np.uint8), 2)[None], 80, 0)[..., None]
    small = np.ascontiguousarray(np.broadcast_to(small, (80, 120, 3)))
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    reading = FrameReading(network, size=(64, 96))
    a, b = reading.found(small), reading.found(large)
    np.testing.assert_allclose(2 * a.xy, b.xy, atol=3)


def test_bad_priors_and_images_are_named(reader, image):
    one = body(1)
    with pytest.raises(UsageError, match="box_xyxy"):
        reader.around(replace(priors_of(one), box_xyxy=np.full((1, 4), np.nan)))
    with pytest.raises(UsageError, match=r"\(1, 17, 2\)"):
        reader.around(replace(priors_of(one), xy=one[None, :5]))
    unknown = np.where(np.arange(17)[:, None] == 3, np.nan, one)
    with pytest.raises(UsageError, match="pinned"):
        reader.around(priors_of(unknown, pinned=[(0, 3)]))
    with pytest.raises(UsageError, match="views"):
        reader.read([image], np.zeros((1, 5), np.int64))
    with pytest.raises(UsageError, match="image for each"):
        reader.read([], reader.around(priors_of(one)))
    with pytest.raises(UsageError, match="uint8"):
        reader.read([image.astype(float)], reader.around(priors_of(one)))
    with pytest.raises(UsageError, match="uint8"):
        reader.detect(image[..., :2])
    with pytest.raises(UsageError, match="17 joints"):
        NetworkReader(reader._reading, POSETRACK15)


def test_it_also_reads_squares_around_boxes(reader, image):
    """As every reader: whatever asks for views of boxes gets an answer."""
    views = reader.views(np.array([[20, 20, 70, 80]], float))
    assert views.shape == (1, 3)
    assert np.isfinite(reader.read([image], views).xy).all()
    assert reader.read([], np.empty((0, 3), np.int64)).xy.shape == (0, 17, 1, 2)


# --- one click, one box --------------------------------------------------------------------------


def test_a_click_is_read_with_the_joint_held(reader, image):
    before, pinned = body(1), np.full((17, 2), np.nan)
    pinned[9] = [66.5, 30.25]
    best, score = repair_pose(reader, image, before, np.full(17, np.nan), pinned, skeleton=COCO17)
    np.testing.assert_array_equal(best[9], pinned[9])
    assert score[9] == 1
    prior = np.where(np.isnan(pinned), before, pinned)
    want = read(reader, image, priors_of(prior, pinned=[(0, 9)]))
    np.testing.assert_array_equal(np.delete(best, 9, 0), np.delete(want.xy[0, :, 0], 9, 0))


def test_a_box_becomes_a_pose(reader, image):
    best, score = pose_in_box(reader, image, np.array([20.0, 20, 80, 85]), skeleton=COCO17)
    assert np.isfinite(best).all()
    assert (score > 0).all()


# --- files and commands --------------------------------------------------------------------------


def test_a_file_brings_its_skeleton_and_size(network, image, tmp_path):
    path = tmp_path / "own.safetensors"
    write_trained(path, Trained(network=network, skeleton=COCO17, size=(64, 96)))
    reader = engine_of("network", weights=path).reader
    want = NetworkReader(FrameReading(network, size=(64, 96)), COCO17)
    prior = priors_of(body(1))
    np.testing.assert_array_equal(read(reader, image, prior).xy, read(want, image, prior).xy)


def test_an_identity_network_is_no_reader(tmp_path):
    path = tmp_path / "identity.safetensors"
    identity = IdentityNetwork(IdentityConfig(appearance=32, joints=17, edges=((0, 1),)))
    write_trained(path, Trained(network=identity, skeleton=COCO17))
    with pytest.raises(IncompatibleCheckpoint, match="pose network"):
        NetworkReader.load(path)


def test_weights_go_with_the_network_alone(tmp_path):
    for reader, weights in (("network", None), ("movenet", tmp_path), ("none", tmp_path)):
        with pytest.raises(UsageError, match="--weights"):
            engine_of(reader, weights=weights)


def test_without_torch_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DeviceError) as raised:
        NetworkReader.load(tmp_path / "any.safetensors")
    assert "impose[torch]" in raised.value.hint


def test_detect_and_propagate_with_weights(network, tmp_path):
    video = tmp_path / "frames"
    video.mkdir()
    rng = np.random.default_rng(0)
    for t in range(4):
        cv2.imwrite(str(video / f"{t}.png"), rng.integers(0, 256, (64, 96, 3)).astype(np.uint8))
    weights, found = tmp_path / "own.safetensors", tmp_path / "found.json"
    write_trained(weights, Trained(network=network, skeleton=COCO17, size=(64, 96)))
    own = ["--reader", "network", "--weights", str(weights), "--json"]
    result = CliRunner().invoke(app, ["detect", str(video), "--out", str(found), *own])
    assert result.exit_code == 0, result.output
    assert found.exists()
    anchors = tmp_path / "anchors.json"
    anchors.write_text(json.dumps(_one_person(video)))
    out = tmp_path / "out.json"
    result = CliRunner().invoke(
        app, ["propagate", str(video), "--anchors", str(anchors), "--out", str(out), *own]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["reader"] == "network"


def _one_person(video):
    keypoints = [v for x, y in body(4, 20, 60) for v in (float(x), float(y), 2)]
    return {
        "images": [
            {"id": t, "file_name": f"{t}.png", "width": 96, "height": 64, "frame_index": t}
            for t in range(4)
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "track_id": 1, "keypoints": keypoints,
             "num_keypoints": 17, "bbox": [20, 20, 40, 40], "area": 800, "iscrowd": 0}
        ],
    }  # fmt: skip
