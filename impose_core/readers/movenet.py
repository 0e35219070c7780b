"""MoveNet (Google, Apache-2.0; weights in ``models/``): finds people and reads their joints.

Two networks: *multipose* finds everybody on an image, *thunder* reads one body in a square
view around it. Both give heads, not answers (see ``models/cards/movenet.md``); what they mean
is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.onnx_device import check_device, providers
from impose_core.readers.heatmaps import modes
from impose_core.readers.multipose import CELL, Bodies, bodies, fitted
from impose_core.readers.people import as_bodies, as_seen, chosen, distinct, extents
from impose_core.readers.protocol import Candidates, Detections, Image
from impose_core.readers.views import cut, square_views
from impose_core.skeleton import COCO17
from impose_core.weights import read_weights

SIDE: Final = 256
"""Pixels: side of a view as thunder sees it."""
MOST: Final = 4
"""Places per joint."""
LEAST: Final = 0.05
"""Score below which a maximum is no place."""
LOOKS: Final = (384, 640)
"""Pixels: longer side of the image as multipose sees it. Large people are found on the first
size, small ones on the second (measured)."""
CLOSE_LOOK: Final = 1024
"""A third size, where it seems that people are too small for the second ..."""
SMALL: Final = 100.0
"""... pixels of it: half of those found have a smaller extent."""
LEAST_FOUND: Final = 0.2
"""Mean score of the joints below which multipose saw nobody."""
LEAST_PERSON: Final = 0.35
"""Mean score of the joints below which thunder, asked again, sees nobody (measured)."""


class MoveNet:
    """A :class:`~impose_core.readers.PoseReader` for people, COCO's 17 joints.

    Views are read one by one, several at a time: on a CPU a batch costs more than its parts.

    Args:
        threads: how many views at a time; without, ``OMP_NUM_THREADS`` or as many as there are
            cores.
        device: "cpu" or "cuda".

    Raises:
        DeviceError: by the first look or reading, if onnxruntime cannot compute there.
    """

    name = "movenet"
    skeleton = COCO17

    def __init__(self, *, threads: int | None = None, device: str = "cpu") -> None:
        wanted = threads or int(os.environ.get("OMP_NUM_THREADS") or 0) or os.cpu_count() or 1
        self._device = device
        self._workers = ThreadPoolExecutor(wanted, thread_name_prefix="movenet")

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        """Squares around ``extents`` [V, 4] xyxy.

        Raises:
            UsageError: if an extent is not finite.
        """
        boxes = np.asarray(extents, np.float64)
        if boxes.size and (boxes.ndim != 2 or boxes.shape[-1] != 4):
            raise UsageError(f"Expected 'extents' to have shape (V, 4), got {boxes.shape}.")
        if not np.isfinite(boxes).all():
            raise UsageError(f"Expected 'extents' to be finite, got {boxes.tolist()}.")
        return square_views(boxes)

    def read(self, images: Sequence[Image], views: NDArray[np.int64]) -> Candidates:
        """What thunder sees in each of ``views`` [V, 3], on ``images`` (V of them).

        Raises:
            UsageError: if an image is not uint8 [H, W, 3], or views do not fit.
        """
        squares = np.asarray(views)
        if len(squares) and (squares.ndim != 2 or squares.shape[-1] != 3):
            raise UsageError(f"Expected 'views' to have shape (V, 3), got {squares.shape}.")
        if len(images) != len(squares):
            raise UsageError(
                f"Expected an image for each of {len(squares)} views, got {len(images)}."
            )
        if len(squares) and (not np.isfinite(squares).all() or (squares[:, 2] < 1).any()):
            raise UsageError(f"Expected 'views' with sides above 0, got {squares.tolist()}.")
        for image in images:
            _check(image)
        xy = np.full((len(squares), len(COCO17), MOST, 2), np.nan)
        score = np.zeros((len(squares), len(COCO17), MOST))
        found = self._workers.map(self._read_one, images, squares)
        for v, (places, scores) in enumerate(found):
            xy[v], score[v] = places, scores
        return Candidates(xy=xy, score=score)

    def detect(self, image: Image) -> Detections:
        """Everybody on ``image``, from left to right.

        Multipose looks at the image in two sizes or three; thunder reads each body it found,
        near the joints multipose gave it.

        Raises:
            UsageError: if the image is not uint8 [H, W, 3].
        """
        _check(image)
        found = distinct(self._found(image))
        candidates = self.read([image] * len(found.xy), self.views(extents(found)))
        xy, score = as_bodies(*chosen(found, candidates), candidates)
        kept = as_seen(xy, score, least=LEAST_PERSON)
        return Detections(
            xy=xy[kept],
            score=score[kept],
            candidates=Candidates(xy=candidates.xy[kept], score=candidates.score[kept]),
        )

    def _found(self, image: Image) -> Bodies:
        """What multipose sees, everybody perhaps several times."""
        looks = list(self._workers.map(lambda side: self._look(image, side), LOOKS))
        extent = np.ptp(looks[-1].xy, axis=1).max(-1) if len(looks[-1].xy) else np.empty(0)
        longer = max(image.shape[:2])
        if len(extent) and longer > LOOKS[-1] and np.median(extent) * LOOKS[-1] / longer < SMALL:
            looks.append(self._look(image, min(CLOSE_LOOK, longer)))
        return Bodies.joined(looks)

    def _look(self, image: Image, longer: int) -> Bodies:
        picture, scale = fitted(image, longer)
        names = ["center", "regress", "heatmap", "offset"]
        heads = self._multipose.run(names, {"image": picture[None]})
        seen = bodies({name: head[0] for name, head in zip(names, heads, strict=True)}, scale)
        return seen.pick(np.flatnonzero(seen.score.mean(-1) >= LEAST_FOUND))

    def _read_one(
        self, image: Image, view: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        picture = cut(image, view, SIDE)
        heatmap, offset = self._thunder.run(["heatmap", "offset"], {"image": picture[None]})
        cells, score = modes(heatmap[0], offset[0], most=MOST, least=LEAST)
        scale = view[2] * CELL / SIDE
        return cells * scale + view[:2], score

    @cached_property
    def _thunder(self) -> Any:
        return _session("movenet-thunder", self._device)

    @cached_property
    def _multipose(self) -> Any:
        return _session("movenet-multipose", self._device)


def _check(image: Image) -> None:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UsageError(
            "Expected an image to be uint8 of shape (height, width, 3), "
            f"got {array.dtype} of shape {array.shape}."
        )


def _session(name: str, device: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    wanted = providers(device)
    session = onnxruntime.InferenceSession(read_weights(name), options, providers=wanted)
    check_device(session.get_providers(), device)
    return session
