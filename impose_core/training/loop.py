"""Step after step: what a run does, whatever is trained."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from impose_core.errors import StateError, UsageError
from impose_core.training.average import Average
from impose_core.training.checkpoint import Run
from impose_core.training.distributed import Machine
from impose_core.training.part import Part
from impose_core.training.pose_part import BEFORE_CLICKS
from impose_core.training.settings import Settings

SLOW: Final = ("sampling_offsets", "reference_points")
"""Weights whose name holds one of these learn at a tenth of the rate (Deformable DETR)."""
_Batch = TypeVar("_Batch", bound="Batch")


class Batch(Protocol):
    """What one step is computed from."""

    def to(self: _Batch, device: torch.device) -> _Batch:
        """The same on ``device``."""
        ...


class Batches(Protocol):
    """All batches; must return the same for the same step, and may be asked by any thread."""

    def at(self, step: int) -> Batch:
        """The batch of ``step``, from 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step that is done.

    Attributes:
        step: how many are done.
        loss: weighted, of this machine.
        terms: each loss by name, not weighted.
        lr: that was used.
        norm: of the gradient before it was clipped.
    """

    step: int
    loss: float
    terms: Mapping[str, float]
    lr: float
    norm: float


def begun(network: nn.Module, settings: Settings) -> Run:
    """A run that has done nothing yet; what is frozen takes no gradients.

    Raises:
        UsageError: if nothing is left to train, or a frozen name belongs to nothing.
    """
    frozen = settings.freeze + (BEFORE_CLICKS if settings.part == "clicks" else ())
    groups: dict[float, list[nn.Parameter]] = {}
    used = set()
    for name, weight in network.named_parameters():
        stays = [prefix for prefix in frozen if name == prefix or name.startswith(f"{prefix}.")]
        used.update(stays)
        weight.requires_grad_(not stays)
        if not stays:
            share = settings.backbone_lr if name.startswith("backbone.") else 1.0
            slow = 0.1 if any(part in name for part in SLOW) else 1.0
            groups.setdefault(share * slow, []).append(weight)
    if unknown := [prefix for prefix in settings.freeze if prefix not in used]:
        raise UsageError(f"Expected 'freeze' to name parts of the network, got {unknown[0]!r}.")
    if not groups:
        raise UsageError("Expected 'freeze' to leave something to train, got everything.")
    optimizer = torch.optim.AdamW(
        [{"params": weights, "share": share} for share, weights in groups.items()],
        lr=settings.lr,
        weight_decay=settings.decay,
    )
    average = Average(network, settings.average) if settings.average else None
    return Run(network=network, optimizer=optimizer, average=average)


def run_steps(
    part: Part, run: Run, batches: Batches, settings: Settings, here: Machine
) -> Iterator[Progress]:
    """Do the steps that are not done yet. An interrupt waits until a step has changed everything.

    Args:
        part: gives the loss of each step and its terms.
        run: its network and what belongs to it; changed in place.
        batches: of this machine.
        settings: of the run.
        here: this machine.

    Raises:
        StateError: if the loss is no number any more.
    """
    part.train()
    together: nn.Module = part
    if here.machines > 1:
        together = DistributedDataParallel(part, find_unused_parameters=not part.uses_all)
    weights = [w for group in run.optimizer.param_groups for w in group["params"]]
    bf16 = settings.bf16 and here.device.type == "cuda"
    wanted = range(run.done, settings.steps)
    for step, batch in _ahead(batches.at, wanted, settings.workers):
        lr = _set_rate(run, settings, step)
        with _repeatable(here.device):
            run.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(here.device.type, torch.bfloat16, enabled=bf16):
                loss, terms = together(batch.to(here.device), step)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(weights, settings.clip)
            said, total, length = _numbers(terms, loss, norm)
            if not torch.isfinite(torch.tensor([total, length])).all():
                raise StateError(
                    f"Expected finite loss and gradient at step {step + 1}, got {total} and "
                    f"{length}.",
                    hint="Lower 'lr', or raise 'warmup', and resume from the last checkpoint.",
                )
            with undivided():
                run.optimizer.step()
                if run.average is not None:
                    run.average.follow(run.network, step + 1)
                run.done = step + 1
        yield Progress(step=step + 1, loss=total, terms=said, lr=lr, norm=length)


def rate(settings: Settings, step: int) -> float:
    """Share of the learning rate at ``step``, from 0: a rise, then drops to a tenth."""
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    dropped = sum(step >= share * settings.steps for share in settings.drops)
    return rise * float(0.1**dropped)


@contextmanager
def undivided() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until what happens inside is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for waited in came:
        signal.raise_signal(waited)


def _set_rate(run: Run, settings: Settings, step: int) -> float:
    lr = settings.lr * rate(settings, step)
    for group in run.optimizer.param_groups:
        group["lr"] = lr * group["share"]
    return lr


def _numbers(
    terms: Mapping[str, Tensor], loss: Tensor, norm: Tensor
) -> tuple[dict[str, float], float, float]:
    """All as numbers, brought from the device at once."""
    every = torch.stack([*(term.float() for term in terms.values()), loss.detach(), norm])
    *values, total, length = every.tolist()
    return dict(zip(terms, values, strict=True)), total, length


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On a CPU, sums in the same order each time; a GPU's grid_sample has no such way."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _ahead(
    make: Callable[[int], Batch], wanted: range, workers: int
) -> Iterator[tuple[int, Batch]]:
    """Batches in order, a few of them prepared while others are used."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        try:
            for step in wanted:
                waiting.append((step, pool.submit(make, step)))
                if len(waiting) > workers:
                    number, future = waiting.popleft()
                    yield number, future.result()
            while waiting:
                number, future = waiting.popleft()
                yield number, future.result()
        finally:
            for _, future in waiting:
                future.cancel()
