"""Weights that were trained here: safetensors that say what network they are of and how it came.

The text beside the tensors (safetensors' own metadata) is JSON: the network's configuration, its
skeleton and its origin. Nothing is unpickled; every field is checked before anything is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impose_core.atomic import write_bytes
from impose_core.errors import IncompatibleCheckpoint, UsageError
from impose_core.nets.backbone import Norm, ResNetConfig
from impose_core.nets.conversion import FORMAT as CONVERTED
from impose_core.nets.conversion import converted_network, sha256_of
from impose_core.nets.identity_network import IdentityConfig, IdentityNetwork
from impose_core.nets.movenet import load_state
from impose_core.nets.pose_network import PoseConfig, PoseNetwork
from impose_core.nets.presets import nano
from impose_core.skeleton import COCO17, Skeleton, skeleton_from_names

FORMAT: Final = "impose-trained-1"
LARGEST: Final = 2**16
"""No size in a configuration is larger."""

Network = PoseNetwork | IdentityNetwork
_Config = TypeVar("_Config", PoseConfig, IdentityConfig, ResNetConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network and what its file says of it.

    Attributes:
        network: on the CPU.
        skeleton: what its joints are called.
        size: height and width in pixels of the images it was trained on; None if unknown.
        licence: of the weights; "" if the file names none.
        origin: how it came: settings, data, versions; JSON values.
        sha256: of the file; "" before it is one.
    """

    network: Network
    skeleton: Skeleton
    size: tuple[int, int] | None = None
    licence: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""


def write_trained(path: Path, trained: Trained) -> None:
    """Write a network's weights with all that ``read_trained`` gives back.

    Raises:
        OutputError: if the file cannot be written.
    """
    state = trained.network.state_dict()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    write_bytes(
        path, save(tensors, metadata={"format": FORMAT, "impose": json.dumps(_of(trained))})
    )


def read_trained(path: Path) -> Trained:
    """The network of a file that training or ``impose models convert`` wrote.

    Raises:
        WeightsError: if the file cannot be read.
        IncompatibleCheckpoint: if it is none of these, or damaged.
    """
    sha256 = sha256_of(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") == CONVERTED:
                return _converted(path, sha256)
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 # no mapping
    except SafetensorError as error:
        raise IncompatibleCheckpoint(f"Expected safetensors in {path}, got: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise IncompatibleCheckpoint(
            f"Expected 'format' {FORMAT!r} in {path}, got {metadata.get('format')!r}.",
            hint="Make it with 'impose train', or 'impose models convert' of a pose network.",
        )
    try:
        said = _read(json.loads(metadata.get("impose", "")))
    except (ValueError, ArithmeticError, UsageError) as error:
        raise IncompatibleCheckpoint(f"In {path}: {error}") from error
    load_state(said.network, state)
    said.network.eval()
    return replace(said, sha256=sha256)


def config_json(config: PoseConfig | IdentityConfig | ResNetConfig) -> dict[str, Any]:
    """A configuration as JSON values."""
    return {f.name: _plain(getattr(config, f.name)) for f in fields(config)}


def _of(trained: Trained) -> dict[str, Any]:
    skeleton = trained.skeleton
    return {
        "kind": "pose" if isinstance(trained.network, PoseNetwork) else "identity",
        "config": config_json(trained.network.config),
        "skeleton": {
            "name": skeleton.name,
            "keypoints": list(skeleton.keypoints),
            "edges": [list(edge) for edge in skeleton.edges],
        },
        "size": trained.size,
        "licence": trained.licence,
        "origin": dict(trained.origin),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, ResNetConfig):
        return config_json(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _read(said: Any) -> Trained:
    root = _object(said, "impose")
    kind = root.get("kind")
    if kind not in ("pose", "identity"):
        raise _bad("kind", "pose or identity", kind)
    network: Network
    if kind == "pose":
        network = PoseNetwork(_config(nano(), root.get("config"), "config"))
    else:
        network = IdentityNetwork(_config(_IDENTITY, root.get("config"), "config"))
    skeleton = _skeleton(_object(root.get("skeleton"), "skeleton"))
    if len(skeleton) != network.config.joints:
        raise _bad("skeleton.keypoints", f"{network.config.joints} names", len(skeleton))
    size = root.get("size")
    if size is not None:
        size = tuple(_integer(side, "size") for side in _list(size, "size", 2))
    return Trained(
        network=network,
        skeleton=skeleton,
        size=size,
        licence=str(root.get("licence", "")),
        origin=_object(root.get("origin", {}), "origin"),
    )


_IDENTITY: Final = IdentityConfig(appearance=1, edges=((0, 1),))


def _config(like: _Config, said: Any, where: str) -> _Config:
    """A configuration whose fields are of the kinds of ``like``'s."""
    root = _object(said, where)
    names = {f.name for f in fields(like)}
    if root.keys() != names:
        raise _bad(where, f"the fields {', '.join(sorted(names))}", ", ".join(sorted(root)))
    values = {name: _value(getattr(like, name), root[name], f"{where}.{name}") for name in names}
    return type(like)(**values)


def _value(like: Any, said: Any, where: str) -> Any:
    if isinstance(like, ResNetConfig):
        config = _config(like, said, where)
        if config.depth not in (18, 50):
            raise _bad(f"{where}.depth", "18 or 50", config.depth)
        return config
    if isinstance(like, Norm):
        if said not in [norm.value for norm in Norm]:
            raise _bad(where, " or ".join(norm.value for norm in Norm), said)
        return Norm(said)
    if isinstance(like, (bool, str)):
        if type(said) is not type(like):
            raise _bad(where, "true or false" if isinstance(like, bool) else "text", said)
        return said
    if isinstance(like, tuple):
        length = None if where.endswith("edges") else len(like)
        return tuple(_value(like[0], part, where) for part in _list(said, where, length))
    return _integer(said, where)


def _skeleton(said: Mapping[str, Any]) -> Skeleton:
    names = [str(name) for name in _list(said.get("keypoints"), "skeleton.keypoints")]
    edges = [
        (_integer(a, "skeleton.edges"), _integer(b, "skeleton.edges"))
        for a, b in (_list(e, "skeleton.edges", 2) for e in _list(said.get("edges"), "edges"))
    ]
    return skeleton_from_names(str(said.get("name", "")), names, edges)


def _converted(path: Path, sha256: str) -> Trained:
    network, provenance = converted_network(path)
    if provenance.joints != len(COCO17):
        names = [f"joint_{k}" for k in range(provenance.joints)]
        skeleton = skeleton_from_names(provenance.preset, names)
    else:
        skeleton = COCO17
    return Trained(
        network=network,
        skeleton=skeleton,
        licence=provenance.licence,
        origin=asdict(provenance),
        sha256=sha256,
    )


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _bad(where, "an object", value)
    return value


def _list(value: Any, where: str, length: int | None = None) -> list[Any]:
    if not isinstance(value, list) or length not in (None, len(value)):
        raise _bad(where, "a list" if length is None else f"a list of {length}", value)
    return value


def _integer(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise _bad(where, f"a whole number from 0 to {LARGEST}", value)
    return value


def _bad(where: str, expected: str, got: object) -> UsageError:
    return UsageError(f"Expected '{where}' to be {expected}, got {str(got)[:200]}.")
