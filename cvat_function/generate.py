"""Writes the function files of ``deploy/`` from the skeleton, the limits and the version.

    python -m cvat_function.generate [--check] [--skeleton NAME]

``--check`` writes nothing and exits with 1 if a file is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cvat_function.limits import BODY_BYTES
from cvat_function.spec import function_spec
from impose_core.skeleton import Skeleton, skeleton_named

ROOT: Final = Path(__file__).resolve().parent.parent
DEVICES: Final = ("cpu", "gpu")
RUNTIME: Final = "python:3.11"

_HEAD: Final = """\
# Made by python -m cvat_function.generate; change that, not this file.
"""
_TRACKER: Final = """\
metadata:
  name: impose-tracker
  namespace: cvat
  annotations:
    name: IMPose tracker
    type: tracker
    # CVAT 2.40 and later hand shapes of these types through; earlier versions send boxes
    supported_shape_types: "rectangle,skeleton"
    spec: "[]"
spec:
  description: Follows persons, by pose or by box, from frame to frame
"""
_DETECTOR: Final = """\
metadata:
  name: impose-detector
  namespace: cvat
  annotations:
    name: IMPose detector
    type: detector
    spec: |
      {spec}
spec:
  description: Poses of everybody on a frame, without a click
"""
_REST: Final = """\
  runtime: "{runtime}"
  handler: main:handler
  # CVAT waits 120 s; a worker that takes longer than this is restarted, which costs nothing but
  # the call: functions keep nothing between calls
  eventTimeout: 60s
  env:
    - name: IMPOSE_SKELETON
      value: {skeleton}
    - name: IMPOSE_DEVICE
      value: {device}
    # one image is never worth more threads than this; workers run beside each other
    - name: OMP_NUM_THREADS
      value: "2"
  build:
    image: cvat.impose.{kind}{suffix}
    # made by deploy/deploy.sh from deploy/Dockerfile.{file}
    baseImage: impose-cvat:{version}-{file}
  # who runs in the container; the base image says the same
  securityContext:
    runAsUser: 10001
    runAsGroup: 10001
  triggers:
    myHttpTrigger:
      kind: http
      # processes, one call each at a time; any of them continues any person, so more are only
      # more memory and cores
      numWorkers: {workers}
      # a call waits so long for a free worker, then CVAT shows 503
      workerAvailabilityTimeoutMilliseconds: 10000
      attributes:
        # {megabytes} MiB, what the function itself allows: a frame as PNG in base64
        maxRequestBodySize: {body}
  resources:
    limits:
      memory: {memory}
{gpu}  platform:
    attributes:
      restartPolicy:
        name: always
        maximumRetryCount: 3
      mountMode: volume
"""
_GPU: Final = """\
      # on Docker: --gpus all
      nvidia.com/gpu: "1"
"""


def function_files(skeleton: Skeleton, version: str) -> dict[str, str]:
    """Text of every function file by its path below ``deploy/``."""
    # a YAML block would break where a name holds a line break; JSON keeps it on one line
    detector = _DETECTOR.format(spec=json.dumps(function_spec(skeleton)))
    heads = {"tracker": _TRACKER, "detector": detector}
    files = {}
    for kind, head in heads.items():
        for device in DEVICES:
            gpu = device == "gpu"
            name = "function-gpu.yaml" if gpu else "function.yaml"
            files[f"{kind}/{name}"] = (
                _HEAD
                + head
                + _REST.format(
                    runtime=RUNTIME,
                    skeleton=skeleton.name,
                    device="cuda" if gpu else "cpu",
                    kind=kind,
                    suffix=".gpu" if gpu else "",
                    file=device,
                    version=version,
                    workers=1 if gpu else 2,
                    megabytes=BODY_BYTES // 2**20,
                    body=BODY_BYTES,
                    memory="4Gi" if gpu else "3Gi",
                    gpu=_GPU if gpu else "",
                )
            )
    return files


def project_version(root: Path = ROOT) -> str:
    """The version in ``pyproject.toml``."""
    found = re.search(r'^version = "([^"]+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("Expected pyproject.toml to hold a line 'version = \"...\"', got none.")
    return found[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m cvat_function.generate")
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    parser.add_argument("--skeleton", default="coco17", help="a preset of impose_core.skeleton")
    parser.add_argument("--into", type=Path, default=ROOT / "deploy", help="folder of the files")
    chosen = parser.parse_args(arguments)
    files = function_files(skeleton_named(chosen.skeleton), project_version())
    stale = 0
    for name, text in files.items():
        path = chosen.into / name
        if path.is_file() and path.read_text() == text:
            continue
        stale += 1
        if chosen.check:
            sys.stderr.write(f"{path} is not what cvat_function.generate writes\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return int(bool(chosen.check and stale))


if __name__ == "__main__":
    sys.exit(main())
