"""What must be true of the pose network whatever its weights; parity is in ``test_parity.py``."""

import io
import math
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs impose[torch]")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impose_core.errors import UsageError
from impose_core.nets import presets
from impose_core.nets.backbone import Norm, ResNet, ResNetConfig
from impose_core.nets.checkpoints import from_torchvision
from impose_core.nets.deformable_attention import as_maps, read_values
from impose_core.nets.denoising import PoseErrors, spoiled
from impose_core.nets.feedback import clicked, decoded_again
from impose_core.nets.interaction import Interaction
from impose_core.nets.matching import Answers, matched, oks
from impose_core.nets.matching import given as known_pairs
from impose_core.nets.pose_losses import focal_loss, pose_losses, weighted
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.tensor_geometry import (
    enlarged,
    generalised_iou,
    inverse_sigmoid,
    to_cxcywh,
    to_xyxy,
)
from impose_core.nets.truth import Truth

TINY = ResNetConfig(depth=18, widths=(4, 8, 16, 32), norm=Norm.GROUP)
CLICK = replace(
    presets.nano(), backbone=TINY, joints=5, width=16, heads=4, feed_forward=8, points=2,
    encoder_layers=1, box_layers=2, keypoint_layers=2, queries=12, persons=4, labels=3,
)  # fmt: skip


def build(**changes):
    """A network that answers differently everywhere: fresh heads would leave all as it is."""
    torch.manual_seed(0)
    network = PoseNetwork(replace(CLICK, **changes)).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return network


@pytest.fixture(scope="module")
def network():
    return build()


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    padding = torch.zeros(2, 64, 96, dtype=torch.bool)
    padding[1, 48:] = padding[1, :, 64:] = True
    return torch.randn(2, 3, 64, 96, generator=generator), padding


@pytest.fixture(scope="module")
def memory(network, images):
    with torch.no_grad():
        return network.encode(*images)


def truth(seed, bodies, joints=5):
    generator = torch.Generator().manual_seed(seed)
    middle = torch.rand(bodies, 2, generator=generator) * 0.4 + 0.3
    labelled = torch.rand(bodies, joints, generator=generator) < 0.8
    keypoints = middle[:, None] + torch.rand(bodies, joints, 2, generator=generator) * 0.2 - 0.1
    return Truth(
        labels=torch.ones(bodies, dtype=torch.int64),
        boxes=torch.cat([middle, torch.full((bodies, 2), 0.3)], dim=1),
        keypoints=keypoints,
        labelled=labelled,
        visible=labelled & (torch.rand(bodies, joints, generator=generator) < 0.5),
        area=torch.full((bodies,), 0.05),
    )


# --- shapes and sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize("joints", [1, 5, 21])
@pytest.mark.parametrize("width", [16, 24, 40])
def test_any_number_of_joints_and_any_width(joints, width):
    network = build(joints=joints, width=width)
    with torch.no_grad():
        poses = network(torch.zeros(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.bool))
    assert poses.keypoints.shape == (2, 4, joints, 2)
    assert poses.visibility.shape == (2, 4, joints)
    assert poses.tokens.shape == (2, 4, 1 + joints, width)
    assert poses.keypoints.isfinite().all()


@pytest.mark.parametrize("extra_level", [False, True])
@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("norm", list(Norm))
def test_backbones(depth, norm, extra_level):
    backbone = ResNetConfig(depth=depth, widths=(4, 8, 16, 32), norm=norm)
    network = build(backbone=backbone, extra_level=extra_level)
    with torch.no_grad():
        features = network.backbone(torch.zeros(1, 3, 64, 96))
        memory = network.encode(torch.zeros(1, 3, 64, 96), torch.zeros(1, 64, 96) > 0)
    assert [f.shape[2:] for f in features] == [(8, 12), (4, 6), (2, 3)]
    assert tuple(f.shape[1] for f in features) == backbone.channels
    assert memory.shapes == ((8, 12), (4, 6), (2, 3), (1, 2))[: 3 + extra_level]


def test_resnet_18_and_50_have_the_published_sizes():
    # torchvision: 11.69 and 25.56 million with a classifier of 1000 classes
    for depth, channels, total in ((18, 512, 11_689_512), (50, 2048, 25_557_032)):
        with torch.device("meta"):
            network = ResNet(ResNetConfig(depth=depth))
        weights = sum(value.numel() for value in network.state_dict().values())
        statistics = sum(
            value.numel() for name, value in network.state_dict().items() if "running" in name
        )
        assert weights - statistics + channels * 1000 + 1000 == total


def test_torchvision_weights_fit():
    network = ResNet(ResNetConfig(depth=18, widths=(4, 8, 16, 32)))
    theirs = network.state_dict() | {
        "fc.weight": torch.zeros(10, 32),
        "bn1.num_batches_tracked": torch.tensor(3),
    }
    network.load_state_dict(from_torchvision(theirs), strict=True)


def test_frozen_statistics_normalise_as_batch_norm_does():
    torch.manual_seed(0)
    theirs = torch.nn.BatchNorm2d(4).eval()
    ours = ResNet(ResNetConfig(depth=18, widths=(4, 8, 16, 32))).bn1
    state = {name: torch.rand(4) + 0.5 for name in ours.state_dict()}
    ours.load_state_dict(state)
    theirs.load_state_dict(state | {"num_batches_tracked": torch.tensor(0)})
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    assert list(ours.parameters()) == []


@pytest.mark.parametrize(
    ("preset", "millions"),
    [(presets.click_pose_r50, 48.30), (presets.ed_pose_r50, 48.08), (presets.nano, 4.74)],
)
def test_presets_have_the_documented_sizes(preset, millions):
    with torch.device("meta"):
        network = PoseNetwork(preset())
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 18},
        {"joints": 0},
        {"persons": 0},
        {"person": 2},
        {"box_layers": 0},
        {"boxes_meet": True},
    ],
)
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError, match=f"'{next(iter(wrong))}'"):
        replace(CLICK, **wrong)


def test_images_of_another_shape_are_refused(network):
    with pytest.raises(UsageError, match=r"\(B, 3, H, W\)"):
        network.encode(torch.zeros(3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.bool))


# --- attention -----------------------------------------------------------------------------------


def test_attention_reads_what_bilinear_interpolation_gives():
    rng = np.random.default_rng(0)
    shapes = ((3, 5), (2, 2))
    value = rng.normal(size=(1, 19, 2, 3))
    places = rng.uniform(-0.2, 1.2, size=(1, 4, 2, 2, 3, 2))
    weights = rng.uniform(size=(1, 4, 2, 2, 3))
    read = read_values(
        as_maps(torch.tensor(value), shapes), torch.tensor(places), torch.tensor(weights)
    )
    known = np.zeros((4, 2, 3))
    for query, head, level, point in np.ndindex(4, 2, 2, 3):
        rows, columns = shapes[level]
        first = 0 if level == 0 else 15
        grid = value[0, first : first + rows * columns, head].reshape(rows, columns, 3)
        x, y = places[0, query, head, level, point] * (columns, rows) - 0.5
        for row, column in np.ndindex(rows, columns):
            near = max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column))
            known[query, head] += weights[0, query, head, level, point] * near * grid[row, column]
    np.testing.assert_allclose(read[0].numpy(), known.reshape(4, 6), atol=1e-12)


def test_padding_is_never_seen(network, images):
    with torch.no_grad():
        pyramid = network.neck(network.backbone(images[0]), images[1])
        tokens = torch.where(pyramid.padding[..., None], 9.0, pyramid.tokens)
        clean, other = network.encoder(pyramid), network.encoder(replace(pyramid, tokens=tokens))
        assert pyramid.padding.any()
        torch.testing.assert_close(clean.tokens[~clean.padding], other.tokens[~clean.padding])
        found = [network.find(memory).keypoints for memory in (clean, other)]
    torch.testing.assert_close(*found)


# --- clicks --------------------------------------------------------------------------------------


def test_a_click_changes_only_whom_it_touches_and_stays_where_it_is(network, memory):
    interaction = Interaction(network, memory.of(0))
    before = interaction.bodies
    after = interaction.click({1: {2: (0.25, 0.75)}})
    assert after.keypoints[1, 2].tolist() == [0.25, 0.75]
    others = [0, 2, 3]
    for name in ("logits", "boxes", "keypoints", "visibility", "tokens"):
        assert torch.equal(getattr(after, name)[others], getattr(before, name)[others]), name
        assert not torch.equal(getattr(after, name)[1], getattr(before, name)[1]), name


unit = st.floats(-0.5, 1.5, width=32)
points = st.tuples(unit, unit)
batches = st.dictionaries(
    st.integers(0, 3), st.dictionaries(st.integers(0, 4), points, max_size=5), max_size=4
)


@settings(max_examples=25)
@given(st.lists(batches, min_size=1, max_size=4))
def test_clicks_accumulate_and_are_never_moved(acts):
    network, memory = _shared()
    interaction = Interaction(network, memory)
    said = {}
    for clicks in acts:
        interaction.click(clicks)
        said |= {(p, j): xy for p, joints in clicks.items() for j, xy in joints.items()}
        for (person, joint), xy in said.items():
            assert tuple(interaction.bodies.keypoints[person, joint].tolist()) == xy
    assert interaction.bodies.pinned.sum() == len(said)
    assert interaction.bodies.keypoints.isfinite().all()


_KEPT = {}


def _shared():
    if not _KEPT:
        network = build()
        with torch.no_grad():
            pixels = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
            _KEPT["memory"] = network.encode(pixels, torch.zeros(1, 64, 96, dtype=torch.bool))
        _KEPT["network"] = network
    return _KEPT["network"], _KEPT["memory"]


def test_what_is_kept_gives_what_a_fresh_decoding_gives(network, memory):
    interaction = Interaction(network, memory.of(1))
    before = interaction.bodies
    after = interaction.click({3: {0: (0.5, 0.5), 4: (0.6, 0.4)}})
    keypoints = before.keypoints.clone()
    keypoints[3, 0], keypoints[3, 4] = torch.tensor([0.5, 0.5]), torch.tensor([0.6, 0.4])
    boxes = before.boxes.clone()
    boxes[3] = enlarged(boxes[3], keypoints[3])
    free = torch.ones(1, 4, 5)
    free[0, 3, [0, 4]] = 0
    with torch.no_grad():
        fresh = network.decode(memory.of(1), boxes[None], keypoints[None], free=free)
    joints = [1, 2, 3]
    torch.testing.assert_close(after.keypoints[3, joints], fresh.keypoints[0, 3, joints])
    torch.testing.assert_close(after.boxes[3], fresh.boxes[0, 3])


def test_persons_of_a_batch_of_clicks_do_not_influence_each_other(network, memory):
    clicks = {0: {1: (0.3, 0.3)}, 2: {0: (0.7, 0.2), 3: (0.1, 0.9)}}
    together = Interaction(network, memory.of(0)).click(clicks)
    alone = Interaction(network, memory.of(0))
    for person, joints in clicks.items():
        alone.click({person: joints})
    torch.testing.assert_close(together.keypoints, alone.bodies.keypoints)


def test_a_pinned_joint_moves_the_others(network, memory):
    left = Interaction(network, memory.of(0)).click({0: {0: (0.1, 0.1)}})
    right = Interaction(network, memory.of(0)).click({0: {0: (0.9, 0.9)}})
    assert (left.keypoints[0, 1:] - right.keypoints[0, 1:]).abs().max() > 1e-5


def test_a_drawn_box_gives_a_whole_body_that_can_be_clicked(network, memory):
    interaction = Interaction(network, memory.of(0))
    before = interaction.bodies
    after = interaction.draw((0.25, 0.5, 0.25, 0.5))
    assert len(after) == 5
    assert after.boxes[4].tolist() == [0.25, 0.5, 0.25, 0.5]
    assert after.keypoints[4].isfinite().all()
    assert torch.equal(after.keypoints[:4], before.keypoints)
    again = interaction.click({4: {1: (0.9, 0.9)}})
    assert again.boxes[4].tolist() == [0.25, 0.5, 0.25, 0.5]
    assert again.keypoints[4, 1].tolist() == pytest.approx([0.9, 0.9])
    assert len(interaction.draw((0.5, 0.5, 1.5, 1.5))) == 6


def test_no_clicks_change_nothing(network, memory):
    interaction = Interaction(network, memory.of(0), keep=2)
    before = interaction.bodies
    assert len(before) == 2
    assert interaction.click({}) is before
    assert torch.equal(interaction.click({1: {}}).keypoints, before.keypoints)


def test_the_official_loop_pins_nothing_and_decodes_all(network, memory):
    interaction = Interaction(network, memory.of(0), official=True)
    before = interaction.bodies
    after = interaction.click({1: {2: (0.25, 0.75)}})
    assert not after.pinned.any()
    assert after.keypoints[1, 2].tolist() != [0.25, 0.75]
    assert not torch.equal(after.keypoints[0], before.keypoints[0])


@pytest.mark.parametrize(
    ("clicks", "named"),
    [
        ({4: {0: (0, 0)}}, "'person'"),
        ({-1: {0: (0, 0)}}, "'person'"),
        ({0: {5: (0, 0)}}, "'joint'"),
        ({0: {0: (math.nan, 0)}}, "finite"),
        ({0: {0: (0, math.inf)}}, "finite"),
        ({0: {0: (0, 0, 0)}}, "finite"),
    ],
)
def test_clicks_that_cannot_be_are_refused_and_change_nothing(network, memory, clicks, named):
    interaction = Interaction(network, memory.of(0))
    before = interaction.bodies
    with pytest.raises(UsageError, match=named):
        interaction.click({0: {1: (0.5, 0.5)}} | clicks)
    assert interaction.bodies is before


@pytest.mark.parametrize(
    "box",
    [(0.5, 0.5, 0, 1), (0.5, 0.5, 1, -1), (2, 0.5, 1, 1), (0.5, -1, 1, 1), (0.5, math.nan, 1, 1)],
)
def test_boxes_that_cannot_be_are_refused(network, memory, box):
    interaction = Interaction(network, memory.of(0))
    with pytest.raises(UsageError, match="'box_cxcywh'"):
        interaction.draw(box)
    assert len(interaction.bodies) == 4


def test_a_network_without_joint_codebook_says_so(images):
    network = build(clickable=False, boxes_meet=True)
    with torch.no_grad():
        memory = network.encode(*images)
    with pytest.raises(UsageError, match="codebook") as caught:
        Interaction(network, memory.of(0))
    assert "ED-Pose" in caught.value.hint
    with pytest.raises(UsageError, match="codebook"):
        network.decode(memory, torch.rand(2, 1, 4), torch.rand(2, 1, 5, 2))


def test_an_interaction_is_with_one_image(network, memory):
    with pytest.raises(UsageError, match="one image, got 2"):
        Interaction(network, memory)


# --- training ------------------------------------------------------------------------------------


def test_spoiled_bodies_keep_some_joints_and_know_whose_they_are(network):
    truths = [truth(0, 2), truth(1, 0), truth(2, 3)]
    errors = PoseErrors(bodies=8)
    made = spoiled(truths, network.codebooks, errors, torch.Generator().manual_seed(3))
    assert made.tokens.shape == (3, 8, 6, 16)
    assert sorted(made.truth[0, :8].tolist()) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (made.truth[1] == -1).all()
    assert made.group[2].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    for image in (0, 2):
        true = truths[image].keypoints[made.truth[image]]
        kept = (made.keypoints[image] == true).all(dim=-1).sum(dim=-1)
        assert (kept >= 1).all()
        assert (kept < 5).any()
        away = (made.keypoints[image] - true).abs()
        assert (away <= made.boxes[image, :, None, 2:] / 2 * errors.joint + 1e-6).all()
    again = spoiled(truths, network.codebooks, errors, torch.Generator().manual_seed(3))
    assert torch.equal(made.keypoints, again.keypoints)
    assert torch.equal(made.tokens, again.tokens)


def test_what_is_found_does_not_depend_on_spoiled_bodies(network, memory):
    truths = [truth(0, 2), truth(1, 1)]
    made = spoiled(truths, network.codebooks, PoseErrors(bodies=5), torch.Generator())
    with torch.no_grad():
        alone, beside = network.steps(memory), network.steps(memory, made)
    assert beside.denoising == 5
    for layer in range(2):
        ours, theirs = alone.poses[layer].keypoints, beside.poses[layer].keypoints[:, 5:]
        torch.testing.assert_close(ours, theirs)


def test_every_weight_learns_and_the_loss_falls(images):
    torch.manual_seed(0)
    network = PoseNetwork(CLICK).train()
    truths = [truth(0, 2), truth(1, 1)]
    sigmas = torch.full((5,), 0.1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    totals = []
    for _ in range(40):
        generator = torch.Generator().manual_seed(0)
        made = spoiled(truths, network.codebooks, PoseErrors(bodies=4), generator)
        memory = network.encode(*images)
        steps = network.steps(memory, made)
        again = decoded_again(network, memory, steps, truths, sigmas, rounds=2)
        total = weighted(pose_losses(steps, again, truths, sigmas, denoising=made))
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        totals.append(total.item())
        optimiser.step()
    still = [name for name, p in network.named_parameters() if p.grad is None]
    assert still == []
    assert np.mean(totals[-5:]) < 0.6 * np.mean(totals[:3])


def test_a_simulated_click_puts_the_worst_free_joint_right():
    true = truth(0, 1)
    labelled = torch.tensor([[True, True, True, True, False]])
    true = replace(true, labelled=labelled)
    keypoints = true.keypoints[None].clone()
    keypoints[0, 0, 1] += 0.2
    keypoints[0, 0, 2] += 0.1
    keypoints[0, 0, 4] += 0.4  # not labelled: nobody can know
    free = torch.ones(1, 1, 5)
    pairs = known_pairs(torch.tensor([[0]]))
    boxes, first, free = clicked(true.boxes[None], keypoints, free, [true], pairs)
    assert torch.equal(first[0, 0, 1], true.keypoints[0, 1])
    assert torch.equal(first[0, 0, 2], keypoints[0, 0, 2])
    assert free[0, 0].tolist() == [1, 0, 1, 1, 1]
    _, second, free = clicked(boxes, first, free, [true], pairs)
    assert torch.equal(second[0, 0, 2], true.keypoints[0, 2])
    for _ in range(3):
        _, second, free = clicked(boxes, second, free, [true], pairs)
    assert free[0, 0].tolist() == [0, 0, 0, 0, 1]


def test_matching_finds_the_true_bodies():
    true = truth(0, 3)
    order = torch.tensor([2, 0, 1])
    answers = Answers(
        logits=torch.zeros(1, 5, 2),
        boxes=torch.cat([true.boxes[order], torch.full((2, 4), 0.1)])[None],
        keypoints=torch.cat([true.keypoints[order], torch.zeros(2, 5, 2)])[None],
    )
    sigmas = torch.full((5,), 0.1)
    for with_joints in (answers, replace(answers, keypoints=None)):
        pairs = matched(with_joints, [true], sigmas)
        assert order[pairs.answer].tolist() == pairs.body.tolist()
    none = matched(answers, [truth(0, 0)], sigmas)
    assert len(none.body) == 0


def test_losses_of_a_batch_without_bodies_are_finite(network, memory):
    with torch.no_grad():
        losses = pose_losses(
            network.steps(memory), [], [truth(0, 0), truth(1, 0)], torch.full((5,), 0.1)
        )
    assert all(loss.isfinite() for loss in losses.values())
    assert losses["poses.1.keypoint"] == 0
    assert losses["poses.1.label"] > 0


def test_losses_of_true_answers_are_none():
    true = truth(0, 2)
    alike = oks(true.keypoints, true.keypoints, true.labelled, true.area, torch.full((5,), 0.1))
    assert alike.tolist() == [1, 1]
    sure = torch.tensor([40.0, -40.0])
    assert focal_loss(sure, torch.tensor([1.0, 0.0])).tolist() == [0, 0]


# --- geometry ------------------------------------------------------------------------------------


def test_geometry_of_boxes():
    boxes = torch.tensor([[0.5, 0.5, 0.4, 0.2], [0.1, 0.2, 0.2, 0.4]])
    torch.testing.assert_close(to_cxcywh(to_xyxy(boxes)), boxes)
    a, b = torch.tensor([0.0, 0, 2, 2]), torch.tensor([1.0, 1, 3, 3])
    # intersection 1, union 7, hull 9
    torch.testing.assert_close(generalised_iou(a, b), torch.tensor(1 / 7 - 2 / 9))
    assert generalised_iou(a, a) == 1
    point = torch.tensor([0.5, 0.5, 0.0, 0.0])
    assert generalised_iou(point, point).isfinite()
    grown = to_xyxy(enlarged(boxes[0], torch.tensor([[0.9, 0.5], [0.4, 0.45]])))
    torch.testing.assert_close(grown, torch.tensor([0.3, 0.4, 0.9, 0.6]))


def test_logits_are_clamped_and_invert():
    x = torch.linspace(0.001, 0.999, 50)
    torch.testing.assert_close(inverse_sigmoid(x).sigmoid(), x)
    assert inverse_sigmoid(torch.tensor([-1.0, 0, 1, 2])).isfinite().all()


# --- export --------------------------------------------------------------------------------------


class Again(torch.nn.Module):
    """Decoding alone: persons are an axis of any length."""

    def __init__(self, network, memory):
        super().__init__()
        self.network, self.memory = network, memory

    def forward(self, tokens, boxes, keypoints, free):
        memory = replace(self.memory, tokens=tokens)
        poses = self.network.decode(memory, boxes, keypoints, free=free)
        return poses.boxes, poses.keypoints


@pytest.mark.filterwarnings("ignore")  # the exporter's own, about itself
def test_the_decoder_exports_to_onnx_with_any_number_of_persons(network, memory):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx", reason="needs impose[torch]")
    decoder = Again(network, memory.of(0)).eval()
    generator = torch.Generator().manual_seed(0)

    def inputs(persons):
        xy, wh, joints = (
            torch.rand(1, persons, *shape, generator=generator) for shape in ((2,), (2,), (5, 2))
        )
        boxes = torch.cat([xy, 0.1 + wh / 4], dim=-1)
        return memory.of(0).tokens, boxes, joints, torch.ones(1, persons, 5)

    file, names = io.BytesIO(), ["tokens", "boxes", "keypoints", "free"]
    axes = {name: {1: "persons"} for name in names[1:]}
    torch.onnx.export(
        decoder, inputs(3), file, input_names=names, dynamic_axes=axes, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for persons in (1, 3, 7):
        given_inputs = inputs(persons)
        with torch.no_grad():
            known = decoder(*given_inputs)
        fed = {name: x.numpy() for name, x in zip(names, given_inputs, strict=True)}
        for ours, theirs in zip(session.run(None, fed), known, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
