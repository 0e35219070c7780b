"""A run from end to end: data, network, steps, and what it leaves in its folder.

``config.json`` says what was asked for; ``log.jsonl`` has a line per step; the run can go on from
``checkpoint.safetensors``; ``weights.safetensors`` is the result (``impose_core.nets.trained``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch

from impose_core.atomic import write_bytes
from impose_core.errors import IncompatibleCheckpoint, OutputError, UsageError
from impose_core.nets.checkpoints import from_torchvision, state_of_checkpoint
from impose_core.nets.conversion import read_checkpoint, sha256_of
from impose_core.nets.identity_network import IdentityNetwork
from impose_core.nets.movenet import load_state
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.trained import Network, Trained, config_json, read_trained, write_trained
from impose_core.training.checkpoint import load_checkpoint, save_checkpoint
from impose_core.training.clips import SYNTHETIC, Clips, open_sources
from impose_core.training.distributed import Machine, machine
from impose_core.training.identity_batches import IdentityBatches, Looks
from impose_core.training.identity_part import IdentityPart
from impose_core.training.looks import appearances
from impose_core.training.loop import Batches, Progress, begun, run_steps
from impose_core.training.part import Part
from impose_core.training.pose_batches import PoseBatches
from impose_core.training.pose_part import PosePart
from impose_core.training.presets import PRESETS, identity
from impose_core.training.settings import Settings, changed, settings_json

CONFIG: Final = "config.json"
LOG: Final = "log.jsonl"
CHECKPOINT: Final = "checkpoint.safetensors"
WEIGHTS: Final = "weights.safetensors"
_FREE: Final = ("workers", "save_every")
"""Settings that may differ when a run is resumed: they change no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to train.

    Attributes:
        preset: one of ``PRESETS``.
        data: as ``clips.open_sources`` takes it.
        out: folder of the run.
        changes: settings other than the preset's.
        init: weights to begin with.
        backbone: a torchvision ResNet's state dict to begin with.
        looks: a pose network whose box tokens tell bodies apart (identity only).
        licence: of the weights that come out; default: that of ``init``.
        device: auto, cpu or cuda.
        resume: go on where the run in ``out`` stopped.
    """

    preset: str
    data: tuple[str, ...]
    out: Path
    changes: Mapping[str, object] = field(default_factory=dict)
    init: Path | None = None
    backbone: Path | None = None
    looks: Path | None = None
    licence: str = ""
    device: str = "auto"
    resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A request with everything it names."""

    settings: Settings
    clips: Clips
    trained: Trained
    looks: Trained | None
    about: Mapping[str, Any]


def settings_of(request: Request) -> Settings:
    """The settings of a run.

    Raises:
        UsageError: if there is no such preset or setting, or they do not go together.
    """
    if request.preset not in PRESETS:
        raise UsageError(f"Expected a preset ({', '.join(PRESETS)}), got {request.preset!r}.")
    preset = PRESETS[request.preset]
    settings = changed(preset.settings, request.changes)
    if (settings.part == "identity") != (preset.pose is None):
        raise UsageError(
            f"Expected 'part' to be {'pose or clicks' if preset.pose else 'identity'} of "
            f"{request.preset}, got {settings.part!r}."
        )
    if settings.part == "clicks" and request.init is None:
        raise UsageError(
            "Expected '--init' with part=clicks, got none.",
            hint="Clicks are learned on top of a network that finds bodies; train that first.",
        )
    if request.looks is not None and settings.part != "identity":
        raise UsageError("Expected '--looks' with the preset identity only.")
    return settings


def train(request: Request) -> Iterator[Progress]:
    """Train, and yield every step. Whoever stops early finds a checkpoint of the last step.

    Raises:
        UsageError: if the request makes no sense.
        OutputError: if the folder holds another run or cannot be written.
        StateError: if a run cannot be resumed, or the loss is no number any more.
        WeightsError: if weights cannot be read or do not fit.
        MediaError: if pixels cannot be had.
        DeviceError: if there is no such device.
    """
    with machine(request.device) as here:
        settings = settings_of(request)
        _check_folder(request)
        task = _task(request, settings, here)
        yield from _trained(request, task, here)


def _trained(request: Request, task: _Task, here: Machine) -> Iterator[Progress]:
    settings, network = task.settings, task.trained.network.to(here.device)
    run = begun(network, settings)
    part, batches = _part(task, here)
    checkpoint = request.out / CHECKPOINT
    if request.resume:
        load_checkpoint(checkpoint, run, about=task.about)
    if here.first:
        _write_config(request, task)
        _cut_log(request.out / LOG, run.done)
    saved = run.done
    try:
        for progress in run_steps(part.to(here.device), run, batches, settings, here):
            if here.first:
                _log(request.out / LOG, progress)
                if run.done % settings.save_every == 0:
                    save_checkpoint(checkpoint, run, about=task.about)
                    saved = run.done
            yield progress
    finally:
        if here.first and run.done > saved:
            save_checkpoint(checkpoint, run, about=task.about)
    if here.first:
        if run.average is not None:
            run.average.give(network)
        write_trained(request.out / WEIGHTS, task.trained)


def _task(request: Request, settings: Settings, here: Machine) -> _Task:
    clips = open_sources(request.data)
    looks = None if request.looks is None else read_trained(request.looks)
    init = None if request.init is None else read_trained(request.init)
    network = _network(request, settings, clips, looks, init)
    about = {
        "preset": request.preset,
        "network": config_json(network.config),
        "settings": {n: v for n, v in settings_json(settings).items() if n not in _FREE},
        "data": [_source(source) for source in request.data],
        "init": None if init is None else init.sha256,
        "looks": None if looks is None else looks.sha256,
        "machines": here.machines,
    }
    trained = Trained(
        network=network,
        skeleton=clips.skeleton,
        size=(settings.height, settings.width),
        licence=request.licence or ("" if init is None else init.licence),
        origin={**about, "impose": version("impose"), "torch": torch.__version__},
    )
    return _Task(settings=settings, clips=clips, trained=trained, looks=looks, about=about)


def _network(
    request: Request, settings: Settings, clips: Clips, looks: Trained | None, init: Trained | None
) -> Network:
    """Fresh weights by the seed, then those that are given."""
    torch.manual_seed(settings.seed)
    network: Network
    pose = PRESETS[request.preset].pose
    if pose is not None:
        network = PoseNetwork(pose(len(clips.skeleton)))
    else:
        seen = None if looks is None else looks.network
        if seen is not None and not isinstance(seen, PoseNetwork):
            raise UsageError("Expected '--looks' to be a pose network, got an identity network.")
        network = IdentityNetwork(
            identity(clips.skeleton, 0 if seen is None else seen.config.width)
        )
        if settings.frames > network.config.memory:
            raise UsageError(
                f"Expected 'frames' to be at most {network.config.memory}, which the network "
                f"remembers, got {settings.frames}."
            )
    if request.backbone is not None:
        if not isinstance(network, PoseNetwork):
            raise UsageError("Expected '--backbone' with a pose network only.")
        state = state_of_checkpoint(read_checkpoint(request.backbone))
        load_state(network.backbone, from_torchvision(state))
    if init is not None:
        if type(init.network) is not type(network):
            raise IncompatibleCheckpoint(f"Expected weights of {request.preset} in {request.init}.")
        load_state(network, init.network.state_dict())
    return network


def _part(task: _Task, here: Machine) -> tuple[Part, Batches]:
    settings, network = task.settings, task.trained.network
    share = {"machine": here.number, "machines": here.machines}
    if isinstance(network, PoseNetwork):
        label = network.config.person
        pose_part = PosePart(
            network, settings, sigmas=task.clips.skeleton.sigmas, machine=here.number
        )
        return pose_part, PoseBatches(task.clips, settings, label=label, **share)
    looks: Looks = {}
    if task.looks is not None and isinstance(task.looks.network, PoseNetwork):
        height, width = task.looks.size or (settings.height, settings.width)
        looks = appearances(
            task.clips, task.looks.network, height=height, width=width, device=here.device
        )
    batches = IdentityBatches(task.clips, settings, network.config, looks=looks, **share)
    return IdentityPart(network, settings, machine=here.number), batches


def _source(source: str) -> dict[str, str]:
    """What is said of data: its name, and of labels what they were."""
    if source.startswith(SYNTHETIC):
        return {"source": source}
    labels, media = (Path(part) for part in source.rpartition("=")[::2])
    return {"labels": labels.name, "sha256": sha256_of(labels), "media": media.name}


def _check_folder(request: Request) -> None:
    checkpoint = request.out / CHECKPOINT
    if request.resume:
        return
    for path in (checkpoint, request.out / WEIGHTS, request.out / CONFIG):
        if path.exists():
            raise OutputError(
                f"Expected '--out' to be a folder without a run, got {request.out} with "
                f"{path.name}.",
                hint="Add --resume to go on, or take another folder.",
            )
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Expected '--out' to be a folder to write to, got {request.out}: {error.strerror}."
        ) from error


def config_document(settings: Settings, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is printed before a run and written to ``config.json``."""
    return {**about, "settings": settings_json(settings)}


def _write_config(request: Request, task: _Task) -> None:
    content = json.dumps(config_document(task.settings, task.about), indent=2) + "\n"
    write_bytes(request.out / CONFIG, content.encode())


def _log(path: Path, progress: Progress) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(progress)) + "\n")


def _cut_log(path: Path, done: int) -> None:
    """Forget steps after the checkpoint: they are done again."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if _step_of(line) <= done]
    write_bytes(path, "".join(f"{line}\n" for line in kept).encode())


def _step_of(line: str) -> float:
    """Of a line of the log; infinity of one that broke off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf
