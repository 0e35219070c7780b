"""A user's own copy of a public checkpoint, turned into safetensors that say where they are from.

The only place where a checkpoint of others is read, by ``torch.load(weights_only=True)``, which
builds tensors and plain containers and runs no code of the file.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impose_core.atomic import write_bytes
from impose_core.errors import IncompatibleCheckpoint, WeightsError
from impose_core.nets.checkpoints import from_official, state_of_checkpoint
from impose_core.nets.movenet import load_state
from impose_core.nets.pose_network import PoseConfig, PoseNetwork
from impose_core.nets.presets import click_pose_r50, ed_pose_r50

FORMAT: Final = "impose-pose-network-1"
PRESETS: Final[Mapping[str, Callable[..., PoseConfig]]] = {
    "click-pose-r50": click_pose_r50,
    "ed-pose-r50": ed_pose_r50,
}
_JOINTS_OF: Final = "transformer.decoder.hw.weight"
"""The tensor with a row per joint: checkpoints of other skeletons are known by it."""
_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where weights are from, as the file itself says."""

    preset: str
    joints: int
    source: str
    """Name of the file that was converted."""
    source_sha256: str
    licence: str
    """Of the weights; who converted them accepted it."""


def convert(source: Path, out: Path, *, preset: str, licence: str) -> Provenance:
    """Write the weights of an official checkpoint under our names.

    Args:
        source: a ``.pth`` file of the official project.
        out: a ``.safetensors`` file.
        preset: one of ``PRESETS``.
        licence: what the user accepted.

    Raises:
        WeightsError: if ``source`` cannot be read.
        IncompatibleCheckpoint: if it is no checkpoint of this network.
        OutputError: if ``out`` cannot be written.
    """
    sha256 = sha256_of(source)
    state = state_of_checkpoint(read_checkpoint(source))
    if _JOINTS_OF not in state:
        raise IncompatibleCheckpoint(f"Expected {_JOINTS_OF} in {source}, got no such tensor.")
    network = PoseNetwork(PRESETS[preset](joints=state[_JOINTS_OF].shape[0]))
    load_state(network, from_official(state, network.config))
    provenance = Provenance(
        preset=preset,
        joints=network.config.joints,
        source=source.name,
        source_sha256=sha256,
        licence=licence,
    )
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(out, save(tensors, metadata=_written(provenance)))
    return provenance


def converted_network(path: Path) -> tuple[PoseNetwork, Provenance]:
    """The network of a file that ``convert`` wrote, in eval mode, and where it is from.

    Raises:
        WeightsError: if the file cannot be read.
        IncompatibleCheckpoint: if it is none of ``convert``, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            provenance = _read_metadata(path, file.metadata() or {})
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no mapping
    except OSError as error:
        raise _unreadable(path, error) from error
    except SafetensorError as error:
        raise IncompatibleCheckpoint(f"Expected safetensors in {path}, got: {error}.") from error
    network = PoseNetwork(PRESETS[provenance.preset](joints=provenance.joints))
    load_state(network, state)
    return network.eval(), provenance


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """What a ``.pth`` file holds, without running anything of it.

    Raises:
        WeightsError: if it cannot be read.
        IncompatibleCheckpoint: if it is no mapping of plain things and tensors.
    """
    # the official trainers keep their command line beside the weights: a plain record of values
    plain = torch.serialization.safe_globals([argparse.Namespace])
    try:
        with plain:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first = str(error).strip().split("\n", 1)[0]
        raise IncompatibleCheckpoint(
            f"Expected a checkpoint with tensors only in {path}, got: {first}",
            hint="A file that wants to run code is refused; give it as its authors publish it.",
        ) from error
    if not isinstance(content, Mapping):
        raise IncompatibleCheckpoint(
            f"Expected a mapping in {path}, got a {type(content).__name__}."
        )
    return content


def sha256_of(path: Path) -> str:
    """The digest of a file.

    Raises:
        WeightsError: if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"Expected to read {path}, got: {error.strerror or type(error).__name__}.")


def _written(provenance: Provenance) -> dict[str, str]:
    """Safetensors hold text only."""
    fields = {name: str(value) for name, value in asdict(provenance).items()}
    return {"format": FORMAT, **fields}


def _read_metadata(path: Path, metadata: Mapping[str, str]) -> Provenance:
    if metadata.get("format") != FORMAT:
        raise IncompatibleCheckpoint(
            f"Expected 'format' {FORMAT!r} in {path}, got {metadata.get('format')!r}.",
            hint="Make it from a public checkpoint with: impose models convert",
        )
    fields = {field.name: metadata.get(field.name, "") for field in dataclass_fields(Provenance)}
    joints = fields.pop("joints")
    if fields["preset"] not in PRESETS or not joints.isascii() or not joints.isdigit():
        raise IncompatibleCheckpoint(
            f"Expected 'preset' in {', '.join(PRESETS)} and a number 'joints' in {path}, "
            f"got {fields['preset']!r} and {joints!r}."
        )
    return Provenance(joints=int(joints), **fields)
