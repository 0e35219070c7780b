"""A learned identity model from a file, for commands that say who is who."""

from __future__ import annotations

from pathlib import Path

from impose_core.errors import DeviceError, IncompatibleCheckpoint
from impose_core.identity_model import IdentityModel


def identity_of(weights: Path) -> IdentityModel:
    """The ID decoder that ``impose train identity`` wrote.

    Raises:
        DeviceError: if torch is not installed.
        WeightsError: if the file cannot be read, or holds no identity network.
    """
    try:
        from impose_core.nets.identity_inference import NetworkIdentity
        from impose_core.nets.identity_network import IdentityNetwork
        from impose_core.nets.trained import read_trained
    except ImportError as error:
        raise DeviceError(
            f"Expected torch and safetensors to be installed, got: {error}.",
            hint="pip install 'impose[torch]'",
        ) from error
    network = read_trained(weights).network
    if not isinstance(network, IdentityNetwork):
        raise IncompatibleCheckpoint(
            f"Expected an identity network in {weights}, got a {type(network).__name__}.",
            hint="Train one with 'impose train identity'; a pose network is for '--weights'.",
        )
    return NetworkIdentity(network)
