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
from impose_core.readers.heatmaps import modes
from impose_core.readers.protocol import Candidates, Detections, Image
from impose_core.readers.views import cut, square_views
from impose_core.skeleton import COCO17
from impose_core.weights import read_weights

SIDE: Final = 256
"""Pixels: side of a view as thunder sees it."""
CELL: Final = 4
"""Pixels of the network's input per cell of a head."""
MOST: Final = 4
"""Places per joint."""
LEAST: Final = 0.05
"""Score below which a maximum is no place."""


class MoveNet:
    """A :class:`~impose_core.readers.PoseReader` for people, COCO's 17 joints.

    Views are read one by one, several at a time: on a CPU a batch costs more than its parts.

    Args:
        threads: how many views at a time; without, ``OMP_NUM_THREADS`` or as many as there are
            cores.
    """

    name = "movenet"
    skeleton = COCO17

    def __init__(self, *, threads: int | None = None) -> None:
        wanted = threads or int(os.environ.get("OMP_NUM_THREADS") or 0) or os.cpu_count() or 1
        self._workers = ThreadPoolExecutor(wanted, thread_name_prefix="movenet")

    def views(self, extents: NDArray[np.float64]) -> NDArray[np.int64]:
        """Squares around ``extents`` [V, 4] xyxy."""
        return square_views(extents)

    def read(self, images: Sequence[Image], views: NDArray[np.int64]) -> Candidates:
        """What thunder sees in each of ``views`` [V, 3], on ``images`` (V of them)."""
        if len(images) != len(views):
            raise UsageError(f"Expected an image for each of {len(views)} views, got {len(images)}.")
        xy = np.full((len(views), len(COCO17), MOST, 2), np.nan)
        score = np.zeros((len(views), len(COCO17), MOST))
        found = self._workers.map(self._read_one, images, views)
        for v, (places, scores) in enumerate(found):
            xy[v], score[v] = places, scores
        return Candidates(xy=xy, score=score)

    def detect(self, image: Image) -> Detections:
        """Everybody on ``image``."""
        raise NotImplementedError

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
        return _session("movenet-thunder")

    @cached_property
    def _multipose(self) -> Any:
        return _session("movenet-multipose")


def _session(name: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        read_weights(name), options, providers=["CPUExecutionProvider"]
    )
