"""A user's own copy of a public tracker's checkpoint as safetensors that say where they are from.

CoTracker's keep their names: the user's own package loads them. MOTIP's get ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from safetensors.torch import save
from torch import Tensor

from impose_core.atomic import write_bytes
from impose_core.nets.checkpoints import state_of_checkpoint
from impose_core.nets.conversion import read_checkpoint, sha256_of
from impose_core.nets.motip_names import load_motip
from impose_core.nets.motip_preset import MotipNetwork, motip

FORMAT: Final = "impose-tracker-1"
MOTIP: Final = "motip-r50"
KINDS: Final = ("cotracker3-online", "cotracker3-offline", MOTIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerProvenance:
    """Where weights are from, as the file itself says."""

    kind: str
    tensors: int
    source: str
    """Name of the file that was converted."""
    source_sha256: str
    licence: str
    """Of the weights; who converted them accepted it."""


def convert_tracker(source: Path, out: Path, *, kind: str, licence: str) -> TrackerProvenance:
    """Write the weights of an official checkpoint.

    Args:
        source: a ``.pth`` file of the official project.
        out: a ``.safetensors`` file.
        kind: one of ``KINDS``.
        licence: what the user accepted.

    Raises:
        WeightsError: if ``source`` cannot be read.
        IncompatibleCheckpoint: if it is no checkpoint, or none of MOTIP's where one is expected.
        OutputError: if ``out`` cannot be written.
    """
    sha256 = sha256_of(source)
    state: Mapping[str, Tensor] = state_of_checkpoint(read_checkpoint(source))
    if kind == MOTIP:
        network = MotipNetwork(motip())
        load_motip(network, state)
        state = network.state_dict()
    tensors = {name: tensor.contiguous().clone() for name, tensor in state.items()}
    made = TrackerProvenance(
        kind=kind,
        tensors=len(tensors),
        source=source.name,
        source_sha256=sha256,
        licence=licence,
    )
    fields = {name: str(value) for name, value in asdict(made).items()}
    write_bytes(out, save(tensors, metadata={"format": FORMAT, **fields}))
    return made
