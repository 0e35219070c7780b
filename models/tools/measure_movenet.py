"""Parity and cost of the MoveNet files, as the card states them.

A tool for developers; ``golden`` is a folder with TensorFlow's numbers, see the card::

    OMP_NUM_THREADS=1 python models/tools/measure_movenet.py golden/movenet
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from scipy.special import expit

from impose_core.nets.movenet import Heads, Variant
from impose_core.nets.onnx_weights import shipped_movenet
from impose_core.weights import read_weights

TENSORFLOW = {
    Variant.THUNDER: {
        "center": "crop0_center_logit",
        "regress": "crop0_regress",
        "heatmap": "crop0_heatmap",
        "offset": "crop0_offset",
    },
    Variant.MULTIPOSE: {
        "center": "head_center_0.conv2d_4.BiasAdd",
        "regress": "head_kpt_regress_0.conv2d_8.BiasAdd",
        "heatmap": "head_kpt_heatmap_0.conv2d_7.BiasAdd",
        "offset": "head_kpt_offset_0.conv2d_9.BiasAdd",
        "box_scale": "head_box_scale_0.conv2d_5.BiasAdd",
        "box_offset": "head_box_offset_0.conv2d_6.BiasAdd",
    },
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("golden", type=Path)
    golden = parser.parse_args().golden
    torch.set_num_threads(1)
    for variant in Variant:
        _measure(variant, golden)


def _measure(variant: Variant, golden: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = read_weights(variant.value)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    network = shipped_movenet(variant)
    with np.load(golden / f"{variant.value.removeprefix('movenet-')}.npz") as file:
        known = dict(file)
    thunder = variant is Variant.THUNDER
    images = (
        [known["crops_rgb_uint8"]]
        if thunder
        else [image[None] for name, image in known.items() if name.startswith("image_")]
    )
    print(f"\n{variant.value}: {len(content):,} bytes")
    worst: dict[str, float] = {}
    for number, image in enumerate(images):
        with torch.inference_mode():
            ours: Heads = network(torch.from_numpy(image))
        ran = session.run(list(variant.heads), {"image": image})
        for name, there in zip(variant.heads, ran, strict=True):
            here = getattr(ours, name).numpy()
            worst[name] = max(worst.get(name, 0), float(np.abs(here - there).max()))
            if number == 0:
                tensorflow = known[TENSORFLOW[variant][name]].transpose(2, 0, 1)
                seen = expit(here[0]) if thunder and name == "heatmap" else here[0]
                print(f"  torch - TensorFlow  {name:11s} {np.abs(seen - tensorflow).max():.1e}")
    for name, value in worst.items():
        print(f"  onnxruntime - torch {name:11s} {value:.1e}")
    for batch in (1, 10):
        crop = np.random.default_rng(0).integers(0, 256, (batch, 256, 256, 3), np.uint8)
        print(f"  256 x 256, batch {batch}: {_milliseconds(session, crop) / batch:.1f} ms each")


def _milliseconds(session: onnxruntime.InferenceSession, image: NDArray[np.uint8]) -> float:
    """Median of a few runs after one that warms up."""
    taken = []
    for _ in range(8):
        start = time.perf_counter()
        session.run(None, {"image": image})
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:])) * 1000


if __name__ == "__main__":
    main()
