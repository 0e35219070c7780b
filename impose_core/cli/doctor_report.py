"""What is installed, and does it work? Tried out, not looked up."""

from __future__ import annotations

import platform
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import av
import av.codec
import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.errors import ImposeError, WeightsError
from impose_core.frames import open_frames
from impose_core.overlay import write_video
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.weights import WeightsFile, read_checked, read_manifest

REQUIRED: Final = {
    "numpy": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "opencv-python-headless": "Apache-2.0",
    "av": "BSD-3-Clause",
    "onnxruntime": "MIT",
    "typer": "MIT",
    "tqdm": "MPL-2.0 AND MIT",
}
OPTIONAL: Final = {
    "matplotlib": "matplotlib licence (PSF-based)",
    "torch": "BSD-3-Clause",
}
FFMPEG_LICENCE: Final = "LGPL; GPL where built with x264"
LICENCE_NOTES: Final = (
    "impose holds none of these packages; they come from their own distributors.",
    "the weights of MoveNet (Apache-2.0, Google) are part of impose; a notice lies beside them.",
    "binary wheels of av and OpenCV bring FFmpeg along: who passes those wheels on "
    "keeps to its licence.",
    "nothing is downloaded while impose runs.",
)
LARGEST_ERROR: Final = 0.1
"""Pixels a point tracker may be off on the doctor's moving texture."""


def version() -> str:
    """The installed version of this package."""
    return metadata.version("impose")


def examine() -> dict[str, Any]:
    """A report as JSON: versions, licences, engines, video, and ``healthy``."""
    packages = [_package(name, licence, required=True) for name, licence in REQUIRED.items()]
    packages += [_package(name, licence, required=False) for name, licence in OPTIONAL.items()]
    engines, weights, video = [_lucas_kanade()], _all_weights(), _video()
    return {
        "impose": version(),
        "licence": "Apache-2.0",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "ffmpeg": {name: ".".join(map(str, v)) for name, v in av.library_versions.items()},
        "ffmpeg_licence": FFMPEG_LICENCE,
        "engines": engines,
        "weights": weights,
        "video": video,
        "licence_notes": list(LICENCE_NOTES),
        "healthy": all(part["works"] for part in (*engines, *weights, video))
        and all(package["version"] for package in packages if package["required"]),
    }


def _package(name: str, licence: str, *, required: bool) -> dict[str, Any]:
    try:
        found: str | None = metadata.version(name)
    except metadata.PackageNotFoundError:
        # one of its siblings, such as opencv-python, may stand in for it
        found = cv2.__version__ if name.startswith("opencv") else None
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
    try:
        error = float(np.abs(tracker.step(source, target, points).xy - points - move).max())
        found = f"off by {error:.3f} px on a texture that moves by {np.hypot(*move):.1f} px"
    except cv2.error as broken:
        error, found = np.inf, str(broken.err)
    return {
        "name": tracker.name,
        "kind": "point tracker",
        "licence": "Apache-2.0 (OpenCV)",
        "works": bool(error < LARGEST_ERROR),
        "error_px": round(error, 4) if np.isfinite(error) else None,
        "found": found,
    }


def _all_weights() -> list[dict[str, Any]]:
    """Check every file of the manifest, and run each network once."""
    try:
        return [_weights(file) for file in read_manifest().values()]
    except WeightsError as error:
        nothing = {"name": "weights", "kind": "weights", "licence": "unknown"}
        return [nothing | {"intact": False, "works": False, "found": error.message}]


def _weights(file: WeightsFile) -> dict[str, Any]:
    works = intact = False
    try:
        content = read_checked(file)
        intact = True
        outputs = _run_once(content)
        works = all(np.isfinite(output).all() for output in outputs)
        found = f"{file.size / 2**20:.1f} MiB, hash ok, {len(outputs)} heads"
        found += "" if works else " with numbers that are not finite"
    except WeightsError as error:
        found = error.message
    except Exception as broken:  # noqa: BLE001 # onnxruntime's errors share no other base
        found = f"hash {'ok' if intact else 'unknown'}, but it does not run: {broken}"
    return {
        "name": file.name,
        "kind": "weights",
        "licence": file.licence,
        "source": file.source,
        "size": file.size,
        "sha256": file.sha256,
        "intact": intact,
        "works": bool(works),
        "found": found,
    }


def _run_once(content: bytes) -> list[NDArray[np.float32]]:
    """The heads of a small black image."""
    import onnxruntime  # here, so that no other command waits for it

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float32]] = session.run(
        None, {session.get_inputs()[0].name: np.zeros((1, 64, 64, 3), np.uint8)}
    )
    return outputs


def _video() -> dict[str, Any]:
    """Write a short video and read it again."""
    encoders = [name for name in ("libx264", "mpeg4") if name in av.codec.codecs_available]
    images = [np.full((64, 64, 3), 40 * t, np.uint8) for t in range(6)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "doctor.mp4"
            write_video(path, images, fps=25)
            with open_frames(path) as frames:
                count = len(frames)
        found = f"{count} of {len(images)} frames written and read again"
    except ImposeError as error:
        count, found = 0, error.message
    return {
        "name": encoders[0] if encoders else "no encoder",
        "kind": "video",
        "licence": "GPL-2.0-or-later (x264)" if "libx264" in encoders else FFMPEG_LICENCE,
        "works": count == len(images),
        "encoders": encoders,
        "found": found,
    }
