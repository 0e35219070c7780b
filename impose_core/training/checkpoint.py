"""A run at rest: tensors in safetensors, everything else as JSON beside them in the same file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from impose_core.atomic import write_bytes
from impose_core.errors import StateError
from impose_core.training.average import Average

FORMAT: Final = "impose-run-1"
MOMENTS: Final = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of each weight."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What a step changes; ``done`` is how many there were."""

    network: nn.Module
    optimizer: torch.optim.AdamW
    average: Average | None
    done: int = 0


def save_checkpoint(path: Path, run: Run, *, about: Mapping[str, Any]) -> None:
    """Write the state after the last step; ``about`` is JSON that must be equal on resuming.

    Raises:
        OutputError: if the file cannot be written; the one before stays.
    """
    tensors = {f"model/{name}": value for name, value in run.network.state_dict().items()}
    for name, weight in run.network.named_parameters():
        for moment, value in run.optimizer.state.get(weight, {}).items():
            tensors[f"{moment}/{name}"] = value
    if run.average is not None:
        tensors |= {f"average/{name}": value for name, value in run.average.weights.items()}
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    said = json.dumps({"step": run.done, "about": about}, sort_keys=True)
    write_bytes(path, save(kept, metadata={"format": FORMAT, "impose": said}))


def load_checkpoint(path: Path, run: Run, *, about: Mapping[str, Any]) -> None:
    """Bring ``run`` to where it was.

    Raises:
        StateError: if the file cannot be read, is damaged, or is of another run.
    """
    tensors, step, was = _read(path)
    was, now = _flat(was), _flat(json.loads(json.dumps(about)))
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            raise StateError(
                f"Expected '{name}' to be {_short(was.get(name))} as when {path} was written, "
                f"got {_short(now.get(name))}.",
                hint="Resume with the same data and settings, or begin a run in another folder.",
            )
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest] = value
    _check(path, run, groups)
    run.network.load_state_dict(groups["model"])
    for name, weight in run.network.named_parameters():
        if name in groups.get("step", {}):
            run.optimizer.state[weight] = {
                moment: groups[moment][name].to("cpu" if moment == "step" else weight.device)
                for moment in MOMENTS
            }
    if run.average is not None:
        run.average.load(groups["average"])
    run.done = step


def _read(path: Path) -> tuple[dict[str, Tensor], int, dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no mapping
        said = json.loads(metadata.get("impose", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise StateError(f"Expected a checkpoint in {path}, got: {error}.") from error
    fits = isinstance(said, dict) and type(said.get("step")) is int and said["step"] >= 0
    if metadata.get("format") != FORMAT or not fits or not isinstance(said.get("about"), dict):
        raise StateError(f"Expected 'format' {FORMAT!r} in {path}, got {metadata.get('format')!r}.")
    return tensors, said["step"], said["about"]


def _check(path: Path, run: Run, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
    """All tensors are there, of the right shapes."""
    wanted = {"model": dict(run.network.state_dict())}
    if run.average is not None:
        wanted["average"] = dict(run.average.weights)
    weights = dict(run.network.named_parameters())
    for moment in MOMENTS:
        names = groups.get("step", {}).keys() & weights.keys()
        one = torch.zeros(())
        wanted[moment] = {name: one if moment == "step" else weights[name] for name in names}
    for group, tensors in wanted.items():
        found = groups.get(group, {})
        wrong = sorted(found.keys() ^ tensors.keys())
        wrong += [n for n in found.keys() & tensors.keys() if found[n].shape != tensors[n].shape]
        if wrong:
            raise StateError(f"Expected the tensors of this run in {path}, not so {wrong[0]!r}.")


def _flat(said: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Nested objects as one, with names such as ``settings.lr``."""
    flat: dict[str, Any] = {}
    for name, value in said.items():
        flat |= (
            _flat(value, f"{where}{name}.") if isinstance(value, dict) else {where + name: value}
        )
    return flat


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "…"
