"""``python -m benchmarks.click_cost [PRESET]``: what a click costs against a full pass.

Ratios inside one process; weights are random, since cost does not depend on them. A full pass is
what finds everybody on an image; a click decodes the bodies it touches, from what is kept of it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import torch

from impose_core.nets.interaction import Interaction
from impose_core.nets.pose_network import PoseNetwork
from impose_core.nets.presets import click_pose_r50, nano

SIZES: Final = {"nano": (384, 512), "click_pose_r50": (800, 1333)}
PRESETS: Final = {"nano": nano, "click_pose_r50": click_pose_r50}
PERSONS: Final = (1, 5, 20)


def measured(
    preset: str, *, size: tuple[int, int], repeats: int, device: str = "cpu", half: bool = False
) -> dict[str, Any]:
    """Medians over ``repeats``: milliseconds of a pass and of clicks, and their ratios."""
    torch.manual_seed(0)
    network = PoseNetwork(PRESETS[preset]()).eval().to(device)
    images = torch.randn(1, 3, *size, device=device)
    padding = torch.zeros(1, *size, dtype=torch.bool, device=device)
    kind = torch.device(device).type
    with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=half):
        whole = _median(lambda: network(images, padding), repeats, device)
        interaction = Interaction(network, network.encode(images, padding))
        clicks = {}
        for persons in PERSONS:
            said = {person: {0: (0.5, 0.5)} for person in range(persons)}
            clicks[persons] = _median(lambda said=said: interaction.click(said), repeats, device)
    return {
        "preset": preset,
        "size": list(size),
        "device": device,
        "precision": "bf16" if half else "fp32",
        "repeats": repeats,
        "pass_ms": 1000 * whole,
        "click_ms": {persons: 1000 * seconds for persons, seconds in clicks.items()},
        "ratio": {persons: seconds / whole for persons, seconds in clicks.items()},
    }


def _median(work: Callable[[], object], repeats: int, device: str) -> float:
    work()  # the first time allocates
    seconds = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", nargs="?", choices=sorted(PRESETS), default="nano")
    parser.add_argument("--height", type=int, help="default: that of the preset")
    parser.add_argument("--width", type=int, help="likewise")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--half", action="store_true", help="bf16 autocast")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    height, width = SIZES[given.preset]
    size = (given.height or height, given.width or width)
    found = measured(
        given.preset, size=size, repeats=given.repeats, device=given.device, half=given.half
    )
    if given.json:
        print(json.dumps(found))
        return
    print(f"{given.preset} at {size[0]}x{size[1]}, {given.device}, {found['precision']}")
    print(f"  full pass         {found['pass_ms']:9.1f} ms   median of {given.repeats}")
    for persons, milliseconds in found["click_ms"].items():
        ratio = found["ratio"][persons]
        print(f"  click on {persons:2d} bodies {milliseconds:9.1f} ms   {ratio:.3f} of a pass")


if __name__ == "__main__":
    main()
