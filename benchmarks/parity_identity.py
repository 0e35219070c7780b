"""Trajectories, ID decoder and runtime against MOTIP's own code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.parity_fixtures import EXACT, FOLDER, MODULE, Deviation, Fixture
from impose_core.id_assignment import PROTOCOLS
from impose_core.identity_runtime import IdentityRuntime, IdentityThresholds
from impose_core.nets.id_decoder import Tracklets
from impose_core.nets.identity_inference import NetworkIdentity
from impose_core.nets.identity_losses import id_loss
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork
from impose_core.nets.motip_names import load_tracker, our_name
from impose_core.nets.motip_preset import MotipNetwork, motip

DECODER = IdentityConfig(
    appearance=64, fusion="none", word=48, vocabulary=12, layers=3, head=16, memory=10
)
RUNTIME = IdentityConfig(
    appearance=256, fusion="none", word=32, vocabulary=8, layers=2, head=32, memory=12
)
SEEN = 0.3
"""Detections of a higher score take part, as in the official configuration."""


def deviations() -> Iterator[Deviation]:
    """All of them; call without gradients."""
    yield from decoder()
    for protocol in PROTOCOLS:
        yield from runtime(protocol)
        yield from logic(protocol)
    yield from full_size()


def decoder() -> Iterator[Deviation]:
    """Trajectories, logits of a clip and of one frame, and the loss."""
    golden = Fixture("motip_id_decoder_tiny")
    network = _network(golden, DECODER)
    past, now = (_tracklets(golden, kind) for kind in ("trajectory", "unknown"))
    modelled = network.trajectory_modeling(past.feature)
    known = golden["out/trajectory_modeling"].reshape(modelled.shape)
    yield golden.compare("trajectories", modelled, known, MODULE)
    yield _of_those_there(golden, "logits", network(past, now), now)
    before = Tracklets(*(part[:, :6] for part in past))
    last = Tracklets(*(part[:, 6:] for part in now))
    yield _of_those_there(golden, "logits of one frame", network(before, last), last)
    loss = id_loss(network(past, now), now.label, now.missing)
    yield golden.compare("loss", loss, "out/id_loss", MODULE)


def runtime(protocol: str) -> Iterator[Deviation]:
    """24 frames with the real decoder: logits, who is who, and what is remembered."""
    golden = Fixture("motip_runtime")
    model = NetworkIdentity(_network(golden, RUNTIME))
    tracker = IdentityRuntime(
        model.logits,
        vocabulary=model.vocabulary,
        memory=model.memory,
        width=model.width,
        thresholds=IdentityThresholds(protocol=protocol),
    )
    for t in range(24):
        feature, score = _seen(golden, t)
        named = tracker.step(feature, score)
        identity = torch.as_tensor(named.identity)
        yield golden.compare(f"{protocol}: identities", identity, f"{protocol}/{t}/id", EXACT)
        if named.logits is not None:
            logits = torch.as_tensor(named.logits)
            yield golden.compare(f"{protocol}: logits", logits, f"{protocol}/{t}/id_logits")
    bank, final = tracker.bank.history, golden.under(f"{protocol}/final/")
    for what, ours, theirs in (
        ("words", bank.word, final["trajectory_id_labels"][0]),
        ("gaps", bank.missing, final["trajectory_masks"]),
        ("queue", tracker.words.queue, final["id_queue"]),
    ):
        yield golden.compare(f"{protocol}: {what}", torch.as_tensor(ours), theirs, EXACT)


def logic(protocol: str) -> Iterator[Deviation]:
    """30 frames with given logits: gaps, rivals, swaps, rejected newborns, words used up."""
    golden = Fixture("motip_runtime_logic")
    now = 0
    tracker = IdentityRuntime(
        lambda history, feature: golden[f"{protocol}/{now}/id_logits"].numpy(),  # noqa: ARG005
        vocabulary=int(golden["vocab"]),
        memory=int(golden["miss_tolerance"]) - 1,
        width=256,
        thresholds=IdentityThresholds(
            newborn=float(golden["newborn_thresh"]),
            share=float(golden["id_thresh"]),
            protocol=protocol,
        ),
    )
    for now in range(30):
        named = tracker.step(*_seen(golden, now))
        bank = tracker.bank.history
        for what, ours, theirs in (
            ("identities", named.identity, "id"),
            ("words", bank.word, "bank_labels"),
            ("gaps", bank.missing, "bank_masks"),
            ("queue", tracker.words.queue, "queue"),
        ):
            known = golden[f"{protocol}/{now}/{theirs}"]
            yield golden.compare(f"{protocol}: {what}", torch.as_tensor(ours), known, EXACT)


def full_size() -> Iterator[Deviation]:
    """Names and shapes of the published network, and which names mean the same tensor."""
    with (FOLDER / "motip_names.json").open() as file:
        known = json.load(file)["entries"]
    with torch.device("meta"):
        state = MotipNetwork(motip()).state_dict()
    theirs = {(our_name(entry["name"]), tuple(entry["shape"])) for entry in known}
    ours = {(name, tuple(tensor.shape)) for name, tensor in state.items()}
    wrong = len(ours ^ theirs)
    wrong += sum(our_name(e["name"]) != our_name(e["alias_of"]) for e in known if "alias_of" in e)
    yield Deviation(
        fixture="motip_names",
        what=f"{len(known)} names and shapes, aliases",
        largest=float(wrong),
        tolerance=EXACT,
    )


def _network(golden: Fixture, config: IdentityConfig) -> IdentityNetwork:
    network = IdentityNetwork(config).eval()
    load_tracker(network, golden.under("sd/"))
    return network


def _tracklets(golden: Fixture, kind: str) -> Tracklets:
    parts = ("features", "id_labels", "times", "masks")
    return Tracklets(*(golden[f"in/{kind}_{part}"].flatten(0, 1) for part in parts))


def _of_those_there(golden: Fixture, what: str, logits: Tensor, who: Tracklets) -> Deviation:
    name = "out/id_logits_eval" if what == "logits" else "out/id_logits_last_frame"
    known = golden[name].reshape(logits.shape)
    return golden.compare(what, logits[~who.missing], known[~who.missing], MODULE)


def _seen(golden: Fixture, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [M, F] and scores [M] of what was detected."""
    score = golden[f"frame/{t}/pred_logits"][:, 0].double().sigmoid()
    there = score > SEEN
    return golden[f"frame/{t}/outputs"][there].numpy(), score[there].numpy()
