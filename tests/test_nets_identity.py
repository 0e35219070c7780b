"""Who is who, learned: the parts, number by number and property by property."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'impose[torch]'")

from impose_core.errors import IncompatibleCheckpoint, UsageError  # noqa: E402
from impose_core.nets.id_decoder import Tracklets  # noqa: E402
from impose_core.nets.identity_losses import (  # noqa: E402
    current_labels,
    id_loss,
    occluded,
    swapped,
    training_pair,
)
from impose_core.nets.identity_network import (  # noqa: E402
    Bodies,
    IdentityConfig,
    IdentityNetwork,
    coco_identity,
)
from impose_core.nets.keypoint_embedding import KeypointEmbedding  # noqa: E402
from impose_core.nets.motip_names import load_tracker  # noqa: E402
from impose_core.skeleton import COCO17  # noqa: E402

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "golden"


def golden(name):
    path = GOLDEN / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return np.load(path)


def weights(fixture):
    return {
        k.removeprefix("sd/"): torch.from_numpy(fixture[k].astype(np.float32))
        for k in fixture.files
        if k.startswith("sd/")
    }


def seeded(config):
    torch.manual_seed(0)
    return IdentityNetwork(config).eval()


@pytest.fixture(scope="module")
def tiny():
    """MOTIP's reduced decoder, and its inputs [B * G, T, N]."""
    fixture = golden("motip_id_decoder_tiny.npz")
    config = IdentityConfig(
        appearance=64, fusion="none", word=48, vocabulary=12, layers=3, head=16, memory=10
    )
    network = seeded(config)
    load_tracker(network, weights(fixture))

    def tracklets(kind):
        take = (f"in/{kind}_{part}" for part in ("features", "id_labels", "times", "masks"))
        return Tracklets(*(torch.from_numpy(fixture[name]).flatten(0, 1) for name in take))

    return network, fixture, tracklets("trajectory"), tracklets("unknown")


@torch.no_grad()
def test_motip_trajectories_are_modelled_as_in_the_official_code(tiny):
    network, fixture, past, _ = tiny
    ours = network.trajectory_modeling(past.feature)
    expected = fixture["out/trajectory_modeling"].reshape(ours.shape)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


@torch.no_grad()
def test_motip_logits_are_those_of_the_official_code(tiny):
    network, fixture, past, now = tiny
    logits = network(past, now)
    expected = fixture["out/id_logits_eval"].reshape(logits.shape)
    there = ~now.missing.numpy()
    np.testing.assert_allclose(logits.numpy()[there], expected[there], atol=1e-5)


@torch.no_grad()
def test_motip_logits_of_one_frame_after_its_history(tiny):
    network, fixture, past, now = tiny
    before = Tracklets(*(part[:, :6] for part in past))
    last = Tracklets(*(part[:, 6:] for part in now))
    logits = network(before, last)
    expected = fixture["out/id_logits_last_frame"].reshape(logits.shape)
    there = ~last.missing.numpy()
    np.testing.assert_allclose(logits.numpy()[there], expected[there], atol=1e-5)


@torch.no_grad()
def test_motip_loss_is_that_of_the_official_code(tiny):
    network, fixture, past, now = tiny
    loss = id_loss(network(past, now), now.label, now.missing)
    assert float(loss) == pytest.approx(float(fixture["out/id_loss"]), abs=1e-5)


EDGES = ((0, 1), (1, 2))


def bodies(count=3, joints=3, seed=0, appearance=8):
    generator = torch.Generator().manual_seed(seed)
    xy = 50 + 100 * torch.rand(count, joints, 2, generator=generator)
    box = torch.cat([xy.amin(-2) - 5, xy.amax(-2) + 5], dim=-1)
    return Bodies(
        appearance=torch.randn(count, appearance, generator=generator),
        xy=xy,
        known=torch.ones(count, joints, dtype=torch.bool),
        box_xyxy=box,
        image_size=torch.tensor([320.0, 240.0]),
    )


def pose_features(some, embedding):
    """The features before the projection."""
    seen = []
    hook = embedding.projection.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    embedding(some.xy, some.known, some.box_xyxy, some.image_size)
    hook.remove()
    return seen[0]


def test_the_coco_embedding_has_the_516_inputs_of_the_paper():
    # 34 coordinates, 19 edges of 3, 17 joints x 2 x 12 sines and cosines, 17 bits
    assert len(COCO17.edges) == 19
    assert KeypointEmbedding(joints=17, edges=COCO17.edges).inputs == 34 + 57 + 408 + 17


def test_edges_are_the_same_far_and_near_and_the_places_are_not():
    embedding, near = KeypointEmbedding(joints=3, edges=EDGES, width=4), bodies()
    far = near._replace(xy=near.xy / 2, box_xyxy=near.box_xyxy / 2)
    a, b = pose_features(near, embedding), pose_features(far, embedding)
    np.testing.assert_allclose(a[:, 6:12].detach(), b[:, 6:12].detach(), atol=1e-5)
    assert (a[:, :6] - b[:, :6]).abs().max() > 0.05


def test_an_edge_says_its_length_and_its_direction():
    embedding = KeypointEmbedding(joints=2, edges=[(0, 1)], width=4)
    xy = torch.tensor([[[10.0, 10.0], [13.0, 14.0]]])
    box, size = torch.tensor([[0.0, 0.0, 30.0, 40.0]]), torch.tensor([100.0, 100.0])
    some = Bodies(torch.empty(1, 0), xy, torch.ones(1, 2, dtype=torch.bool), box, size)
    np.testing.assert_allclose(
        pose_features(some, embedding)[0, 4:7].detach(), [0.1, 0.6, 0.8], atol=1e-4
    )


def test_a_joint_that_is_not_known_says_nothing_but_that():
    embedding, some = KeypointEmbedding(joints=3, edges=EDGES, width=4), bodies()
    known = some.known.clone()
    known[:, 1] = False
    answers = []
    for place in (torch.nan, 1e9):
        xy = some.xy.clone()
        xy[:, 1] = place
        answers.append(embedding(xy, known, some.box_xyxy, some.image_size))
        assert torch.isfinite(answers[-1]).all()
    assert torch.equal(*answers)
    assert not torch.equal(answers[0], embedding(some.xy, some.known, *some[3:]))


@pytest.mark.parametrize("joints", [1, 5, 40])
def test_any_number_of_joints_and_no_edges(joints):
    embedding, some = KeypointEmbedding(joints=joints, edges=[], width=7), bodies(joints=joints)
    assert embedding(some.xy, some.known, some.box_xyxy, some.image_size).shape == (3, 7)


def test_an_edge_to_a_joint_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"joints 0 to 2, got \(0, 3\)"):
        KeypointEmbedding(joints=3, edges=[(0, 3)])


SMALL = IdentityConfig(
    appearance=8,
    joints=3,
    edges=EDGES,
    pose=8,
    word=16,
    vocabulary=6,
    layers=2,
    head=8,
    memory=10,
)


def a_clip(count=3, frames=6, width=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(1, 1, count, width, generator=generator)
    noise = 0.3 * torch.randn(1, frames, count, width, generator=generator)
    return own + noise, torch.zeros(1, frames, count, dtype=torch.bool)


def test_a_feature_is_what_is_seen_and_how_somebody_stands():
    network, some = seeded(SMALL), bodies()
    feature = network.embed(some)
    assert feature.shape == (3, 16)
    assert torch.equal(feature[:, :8], some.appearance)


def test_residual_poses_change_nothing_until_they_are_trained():
    from dataclasses import replace

    network, some = seeded(replace(SMALL, fusion="residual")), bodies()
    assert torch.equal(network.embed(some), some.appearance)
    network.embed(some).sum().backward()
    assert network.pose_residual.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_nobody_in_the_past_gives_a_finite_answer():
    network = seeded(SMALL)
    feature, missing = a_clip()
    generator = torch.Generator().manual_seed(0)
    past, now = training_pair(feature, missing, vocabulary=6, generator=generator)
    alone = past._replace(missing=torch.ones_like(past.missing))
    assert torch.isfinite(network(alone, now)).all()


@torch.no_grad()
def test_the_future_is_not_heard():
    network = seeded(SMALL)
    feature, missing = a_clip()
    generator = torch.Generator().manual_seed(0)
    past, now = training_pair(feature, missing, vocabulary=6, generator=generator)
    changed = past.feature.clone()
    changed[:, 3:] += 1
    before, after = network(past, now), network(past._replace(feature=changed), now)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[:, 4:], after[:, 4:])


@torch.no_grad()
def test_who_is_missing_is_not_heard():
    network = seeded(SMALL)
    feature, missing = a_clip()
    missing[:, :, 1] = True
    generator = torch.Generator().manual_seed(0)
    past, now = training_pair(feature, missing, vocabulary=6, generator=generator)
    before = network(past, now)
    past.feature[:, :, 1] += 1
    now.feature[:, :, 1] += 1
    after = network(past, now)
    np.testing.assert_array_equal(before[:, :, [0, 2]].numpy(), after[:, :, [0, 2]].numpy())


@torch.no_grad()
def test_the_order_of_bodies_means_nothing():
    network = seeded(SMALL)
    feature, missing = a_clip()
    past, now = training_pair(
        feature, missing, vocabulary=6, generator=torch.Generator().manual_seed(0)
    )
    turned = Tracklets(*(part[:, :, [2, 0, 1]] for part in now))
    np.testing.assert_allclose(
        network(past, now)[:, :, [2, 0, 1]], network(past, turned), atol=1e-5
    )


def test_a_width_that_no_head_divides_is_refused():
    with pytest.raises(UsageError, match="multiple of 'head'"):
        seeded(IdentityConfig(appearance=9, fusion="none", word=16, head=8))


def test_a_checkpoint_that_does_not_fit_says_where():
    network = seeded(SMALL)
    with pytest.raises(IncompatibleCheckpoint, match="only the network has"):
        load_tracker(network, {})
    with pytest.raises(IncompatibleCheckpoint, match=r"a name of MOTIP's, got 'head\.weight'"):
        load_tracker(network, {"head.weight": torch.zeros(1)})


def test_the_papers_widths():
    network = coco_identity(edges=COCO17.edges)
    assert network.config.feature + network.config.word == 256 + 128 + 256
    assert network.id_decoder.age_bias.shape == (6, 30, 20)


# --- training -------------------------------------------------------------------------------


def test_a_label_is_the_newborns_until_somebody_was_seen():
    label = torch.tensor([[[4, 2]] * 4])
    missing = torch.tensor([[[True, False], [False, False], [True, True], [False, False]]])
    expected = [[[9, 9], [9, 2], [4, 2], [4, 2]]]
    assert current_labels(label, missing, 9).tolist() == expected


def test_occlusion_hides_one_stretch_of_half_of_the_trajectories():
    generator = torch.Generator().manual_seed(0)
    hidden = occluded(torch.zeros(200, 12, 5, dtype=torch.bool), chance=0.5, generator=generator)
    turns = (hidden[:, 1:] != hidden[:, :-1]).sum(1)
    assert turns.max() <= 2
    # half of them, less those whose stretch is empty (1 in 13)
    assert float(hidden.any(1).float().mean()) == pytest.approx(0.5 * 12 / 13, abs=0.05)
    kept = occluded(torch.zeros(9, 12, 5, dtype=torch.bool), chance=0.0, generator=generator)
    assert not kept.any()


def test_a_swap_exchanges_two_who_are_there():
    feature = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 300, 4, 1)
    missing = torch.zeros(1, 300, 4, dtype=torch.bool)
    missing[..., 3] = True
    out = swapped(feature, missing, chance=0.5, generator=torch.Generator().manual_seed(0))
    moved = (out != feature).sum((2, 3))[0]
    assert set(moved.tolist()) == {0, 2}
    assert float((moved == 2).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert (out[..., 3, 0] == 3).all()
    np.testing.assert_array_equal(out.sort(2).values, feature)


def test_the_same_seed_spoils_alike():
    feature, missing = a_clip(count=5)
    pairs = [
        training_pair(feature, missing, vocabulary=6, generator=torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    ]
    same = [torch.equal(a, b) for a, b in zip(pairs[0][0], pairs[1][0], strict=True)]
    assert all(same)
    assert not torch.equal(pairs[0][0].label, pairs[2][0].label)


def test_the_first_frame_and_who_is_missing_cost_nothing():
    label = torch.zeros(1, 3, 2, dtype=torch.long)
    missing = torch.tensor([[[False, False], [False, True], [False, True]]])
    right = torch.zeros(1, 3, 2, 4)
    right[:, 1:, 0, 0] = 50
    assert float(id_loss(right, label, missing)) == pytest.approx(0, abs=1e-6)
    assert float(id_loss(right, label, torch.ones_like(missing))) == 0


@pytest.fixture
def one_thread():
    """Tensors this small are slower on many threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_clips_identities_are_learned(one_thread):
    """Four bodies of one clip, words dealt anew every time: only looking back can tell."""
    torch.manual_seed(0)
    network = IdentityNetwork(SMALL)
    feature, missing = a_clip(count=4, frames=8)
    missing[0, 3:5, 1] = True  # one is hidden for a while, one comes late
    missing[0, :3, 2] = True
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    batch, losses = (feature.expand(8, -1, -1, -1), missing.expand(8, -1, -1)), []
    for _ in range(250):
        past, now = training_pair(*batch, vocabulary=6, generator=generator)
        loss = id_loss(network(past, now), now.label, now.missing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    # swaps leave a doubt that nobody can take away
    assert np.mean(losses[-20:]) < 0.4 * np.mean(losses[:10])
    with torch.no_grad():  # unspoiled, with words that were never dealt so
        past, now = training_pair(
            *batch,
            vocabulary=6,
            generator=torch.Generator().manual_seed(99),
            occlusion=0,
            swap=0,
        )
        right = network(past, now).argmax(-1) == now.label
    assert right[~now.missing].all()
