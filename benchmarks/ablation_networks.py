"""The network in the ablation, where weights are given.

``IMPOSE_NETWORK=FILE`` is a pose network: its rows differ in *ktcp*, whether tracked priors are
reference points of its decoders (IMPose III-C) or only say which of its own proposals is meant.
``IMPOSE_IDENTITY=FILE[:FILE]`` are identity networks beside it: with and without *kp_ae*, the
keypoint-aware embedding beside what is seen of the box (III-B). One that adds the embedding
("residual") is also measured without it; of one that was trained on both together ("concat") the
other half means nothing alone, so it needs a second file, trained without ("none").

Persons of the click rows are those of the labels; so identities are measured without clicks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.clips import Clip
from benchmarks.zero_clicks import tracks
from impose_core.engine import Engine
from impose_core.errors import UsageError
from impose_core.identity_model import IdentityModel
from impose_core.readers.network import NetworkReader
from impose_core.session import DETECT_EVERY

NETWORK: Final = "IMPOSE_NETWORK"
IDENTITY: Final = "IMPOSE_IDENTITY"
GEOMETRY: Final = "no network"
"""Who is who by geometry and looks."""
_OF_POSES: Final = ("keypoint_embedding.", "pose_residual.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A network with its switches.

    Attributes:
        weights: of the pose network.
        ktcp: see the module.
        identity: weights of the identity network; None for geometry.
        kp_ae: see the module; None for geometry.
    """

    weights: Path
    ktcp: bool
    identity: Path | None = None
    kp_ae: bool | None = None

    @property
    def label(self) -> str:
        """As of a row of the ablation."""
        who = {True: "kp_ae", False: "no kp_ae", None: f"{GEOMETRY} for identities"}[self.kp_ae]
        return f"network, {'ktcp' if self.ktcp else 'no ktcp'}, {who}"

    def engine(self) -> Engine:
        """The networks at work.

        Raises:
            WeightsError: if weights cannot be used.
        """
        reader = NetworkReader.load(self.weights, ktcp=self.ktcp)
        if self.identity is None:
            return Engine(reader=reader)
        return Engine(reader=reader, identity=_model(self.identity, kp_ae=self.kp_ae is True))


def pose_weights(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Of the pose network, if one is given."""
    given = environment.get(NETWORK)
    return Path(given) if given else None


def variants(environment: Mapping[str, str] = os.environ) -> Iterator[Variant]:
    """Every combination of switches that the given weights allow.

    Raises:
        WeightsError: if weights cannot be read.
    """
    weights = pose_weights(environment)
    if weights is None:
        return
    identities = [Path(one) for one in environment.get(IDENTITY, "").split(os.pathsep) if one]
    for ktcp in (False, True):
        yield Variant(weights=weights, ktcp=ktcp)
        for path in identities:
            fusion = _network(path).config.fusion
            for kp_ae in {"none": (False,), "concat": (True,), "residual": (False, True)}[fusion]:
                yield Variant(weights=weights, ktcp=ktcp, identity=path, kp_ae=kp_ae)


def measure_variant(clip: Clip, variant: Variant, *, every: int = DETECT_EVERY) -> dict[str, Any]:
    """Poses and identities of everybody on ``clip`` without a click."""
    found = tracks(clip, variant.engine(), every)
    return {"clip": clip.name, "digest": clip.digest, "engine": variant.label, "tracks": found}


def section(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of Markdown."""
    return [
        "### Without a click: KTCP and KP-AE",
        "",
        "| clip | engine | n | mean OKS | found | HOTA-OKS | AssA | IDF1 |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['clip']} | {row['engine']} | {row['tracks']['n']} | "
            + " | ".join(
                f"{row['tracks'][figure]:.3f}"
                for figure in ("oks", "found", "HOTA", "AssA", "IDF1")
            )
            + " |"
            for row in rows
        ),
        "",
    ]


def _network(path: Path) -> Any:
    from impose_core.nets.identity_network import IdentityNetwork
    from impose_core.nets.trained import read_trained

    network = read_trained(path).network
    if not isinstance(network, IdentityNetwork):
        raise UsageError(f"Expected an identity network in {IDENTITY}, got {path}.")
    return network


def _model(path: Path, *, kp_ae: bool) -> IdentityModel:
    from impose_core.nets.identity_inference import NetworkIdentity
    from impose_core.nets.identity_network import IdentityNetwork

    network = _network(path)
    if not kp_ae and network.config.fusion == "residual":
        alone = IdentityNetwork(replace(network.config, fusion="none"))
        state = network.state_dict().items()
        alone.load_state_dict({k: v for k, v in state if not k.startswith(_OF_POSES)})
        network = alone
    return NetworkIdentity(network)
