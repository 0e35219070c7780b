"""Several machines (or GPUs of one) that train together, started by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from impose_core.errors import DeviceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Which one this is, of how many, and what it computes on."""

    number: int
    machines: int
    device: torch.device

    @property
    def first(self) -> bool:
        """The one that writes and speaks."""
        return self.number == 0


@contextmanager
def machine(device: str) -> Iterator[Machine]:
    """This machine; inside, it can reach the others. ``device``: auto, cpu or cuda.

    Raises:
        DeviceError: if a GPU is asked for and there is none for this process.
    """
    machines = int(os.environ.get("WORLD_SIZE", "1"))
    number, local = (int(os.environ.get(name, "0")) for name in ("RANK", "LOCAL_RANK"))
    where = _device(device, local)
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if machines > 1:
        distributed.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        yield Machine(number=number, machines=machines, device=where)
    finally:
        if machines > 1:
            distributed.destroy_process_group()


def mean_over_machines(count: float, device: torch.device) -> float:
    """``count`` on average over all that train together, at least 1."""
    if not distributed.is_initialized():
        return max(float(count), 1.0)
    total = torch.tensor(float(count), device=device)
    distributed.all_reduce(total)
    return max(float(total) / distributed.get_world_size(), 1.0)


def _device(name: str, local: int) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"Expected '--device' to be auto, cpu or cuda, got {name!r}.")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cuda" and local >= gpus:
        raise DeviceError(
            f"Expected a GPU for process {local} of this machine, got {gpus} of them.",
            hint="Install a torch build for your GPU (pytorch.org), or take --device cpu.",
        )
    if name == "cpu" or gpus == 0:
        return torch.device("cpu")
    return torch.device("cuda", local)
