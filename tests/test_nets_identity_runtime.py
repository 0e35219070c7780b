"""The ID decoder at work: frame by frame as MOTIP's official runtime."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'impose[torch]'")

from test_identity_runtime import detected  # noqa: E402
from test_nets_identity import EDGES, SMALL, golden, seeded, weights  # noqa: E402

from impose_core.errors import UsageError  # noqa: E402
from impose_core.id_assignment import PROTOCOLS  # noqa: E402
from impose_core.identity_model import SeenBodies  # noqa: E402
from impose_core.identity_runtime import IdentityRuntime, IdentityThresholds  # noqa: E402
from impose_core.nets.identity_inference import NetworkIdentity  # noqa: E402
from impose_core.nets.identity_network import IdentityConfig  # noqa: E402
from impose_core.nets.motip_names import load_tracker  # noqa: E402


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_motip_runtime_is_that_of_the_official_code(protocol):
    fixture = golden("motip_runtime.npz")
    config = IdentityConfig(
        appearance=256, fusion="none", word=32, vocabulary=8, layers=2, head=32, memory=12
    )
    network = seeded(config)
    load_tracker(network, weights(fixture))
    model = NetworkIdentity(network)
    runtime = IdentityRuntime(
        model.logits,
        vocabulary=model.vocabulary,
        memory=model.memory,
        width=model.width,
        thresholds=IdentityThresholds(protocol=protocol),
    )
    largest = 0.0
    for t in range(24):
        feature, score, _ = detected(fixture, t)
        named = runtime.step(feature, score)
        np.testing.assert_array_equal(named.identity, fixture[f"{protocol}/{t}/id"], f"{t}")
        if named.logits is not None:
            expected = fixture[f"{protocol}/{t}/id_logits"]
            np.testing.assert_allclose(named.logits, expected, atol=1e-4)
            largest = max(largest, float(np.abs(named.logits - expected).max()))
    final = f"{protocol}/final"
    np.testing.assert_array_equal(
        runtime.bank.history.word, fixture[f"{final}/trajectory_id_labels"][0]
    )
    np.testing.assert_array_equal(
        runtime.bank.history.missing, fixture[f"{final}/trajectory_masks"]
    )
    np.testing.assert_array_equal(runtime.words.queue, fixture[f"{final}/id_queue"])
    for word, identity in fixture[f"{final}/id_label_to_id"].tolist():
        assert runtime.words.identities([word]) == [identity]


def seen(count=2, joints=3, appearance=8):
    rng = np.random.default_rng(0)
    return SeenBodies(
        xy=rng.uniform(20, 200, (count, joints, 2)),
        score=np.ones((count, joints)),
        appearance=rng.normal(0, 1, (count, appearance)),
        width=320,
        height=240,
    )


def test_bodies_become_features():
    model = NetworkIdentity(seeded(SMALL))
    feature = model.embed(seen())
    assert feature.shape == (2, model.width)
    assert feature.dtype == np.float32
    assert np.isfinite(feature).all()
    assert SMALL.edges == EDGES


def test_nobody_and_somebody_without_joints():
    model = NetworkIdentity(seeded(SMALL))
    assert model.embed(seen(count=0)).shape == (0, 16)
    blank = seen(count=1)
    blank.xy[:], blank.score[:] = np.nan, 0
    assert np.isfinite(model.embed(blank)).all()


@pytest.mark.parametrize(
    ("bodies", "what"), [(seen(appearance=5), "8 numbers of appearance"), (seen(joints=4), "3")]
)
def test_bodies_of_another_kind_are_refused(bodies, what):
    with pytest.raises(UsageError, match=what):
        NetworkIdentity(seeded(SMALL)).embed(bodies)
