"""What is installed, and does it work? Tried out, not looked up."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

import av
import av.codec
import cv2
import numpy as np

from impose_core.points.lucas_kanade import LucasKanade

REQUIRED = {
    "numpy": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "opencv-python-headless": "Apache-2.0",
    "av": "BSD-3-Clause (FFmpeg inside its wheels: LGPL/GPL)",
    "typer": "MIT",
    "tqdm": "MPL-2.0 AND MIT",
}
OPTIONAL = {"matplotlib": "PSF-based"}
LARGEST_ERROR = 0.1
"""Pixels a point tracker may be off on the doctor's moving texture."""


def version() -> str:
    """The installed version of this package."""
    return metadata.version("impose")


def examine() -> dict[str, Any]:
    """A report as JSON: versions, licences, engines, encoders, and ``healthy``."""
    packages = [
        _package(name, licence, required=True) for name, licence in REQUIRED.items()
    ] + [_package(name, licence, required=False) for name, licence in OPTIONAL.items()]
    tracker = _lucas_kanade()
    return {
        "impose": version(),
        "licence": "Apache-2.0",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "ffmpeg": {name: ".".join(map(str, v)) for name, v in av.library_versions.items()},
        "packages": packages,
        "engines": [tracker],
        "encoders": {name: name in av.codec.codecs_available for name in ("libx264", "mpeg4")},
        "healthy": bool(
            tracker["works"] and all(p["version"] for p in packages if p["required"])
        ),
    }


def _package(name: str, licence: str, *, required: bool) -> dict[str, Any]:
    try:
        found: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        found = None
        if name.startswith("opencv"):  # one of its siblings may stand in for it
            found = cv2.__version__
    return {"name": name, "version": found, "licence": licence, "required": required}


def _lucas_kanade() -> dict[str, Any]:
    """Follow a texture that moves by a known amount."""
    grey = np.random.default_rng(0).uniform(0, 255, (24, 32)).astype(np.float32)
    texture = cv2.resize(grey, (320, 240), interpolation=cv2.INTER_CUBIC)
    move = np.array([3.25, -1.5])
    shift = np.array([[1, 0, move[0]], [0, 1, move[1]]])
    images = [texture, cv2.warpAffine(texture, shift, (320, 240), flags=cv2.INTER_CUBIC)]
    tracker = LucasKanade()
    source, target = (
        tracker.encode(np.repeat(np.clip(i, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
        for i in images
    )
    points = np.stack(np.meshgrid(np.arange(60, 260, 40.0), np.arange(60, 180, 40.0)), -1)
    points = points.reshape(-1, 2)
    error = np.abs(tracker.step(source, target, points).xy - points - move).max()
    return {
        "name": tracker.name,
        "kind": "point tracker",
        "licence": "Apache-2.0 (OpenCV)",
        "error_px": round(float(error), 4),
        "works": bool(error < LARGEST_ERROR),
    }
