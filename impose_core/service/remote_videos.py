"""Images that an unmodified X-AnyLabeling uploads, and the poses found and followed on them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from impose_core.engine import Engine
from impose_core.errors import MediaError
from impose_core.frames.source import BaseSource
from impose_core.io.documents import VideoInfo
from impose_core.io.xanylabeling_frame import FrameLabels, Shape
from impose_core.io.xanylabeling_people import Pose, people_of
from impose_core.io.xanylabeling_placing import Placed, with_people
from impose_core.journal import patch_to_json
from impose_core.marks import Cell, Mark
from impose_core.service import looking
from impose_core.session import FrameResult, Session
from impose_core.skeleton import Skeleton

MOST_PIXELS: Final = 2**26


class Uploads(BaseSource):
    """The images of an upload, decoded one at a time."""

    def __init__(self, images: list[bytes]) -> None:
        self.name, self._images = "upload", images
        self.height, self.width = _decoded(images[0]).shape[:2]

    def __len__(self) -> int:
        return len(self._images)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image ``index``, RGB."""
        image = _decoded(self._images[self._checked(index)])
        if image.shape[:2] != (self.height, self.width):
            raise MediaError(
                f"Expected all images to be {self.width}×{self.height} pixels, got image {index} "
                f"of {image.shape[1]}×{image.shape[0]}."
            )
        return image


class Video:
    """An upload, and who was found where the desktop asked for it."""

    def __init__(self, frames: Uploads, engine: Engine, skeleton: Skeleton) -> None:
        self.lock = threading.Lock()
        self.cancelled = False
        self.frames, self._engine, self._skeleton = frames, engine, skeleton
        self._marks: dict[int, FrameLabels] = {}
        self.info = VideoInfo(
            file_name="upload", width=frames.width, height=frames.height, frames=len(frames)
        )

    def prompt(self, frame: int) -> list[Shape]:
        """Everybody on a frame; the clip will follow them from there."""
        found = looking.detected(
            self._engine,
            self.frames.read(frame),
            FrameLabels(),
            near=[self._marks[t] for t in sorted(self._marks)],
            free=1
            + max((s.person or 0 for one in self._marks.values() for s in one.shapes), default=0),
            skeleton=self._skeleton,
            video=self.info,
        )
        shapes = [shape for here in found.values() for shape in here]
        self._marks[frame] = FrameLabels(shapes=tuple(shapes))
        return shapes

    def propagate(self, start: int, stop: int) -> Iterator[tuple[int, list[Shape]]]:
        """The shapes of frames ``start`` to ``stop`` (exclusive)."""
        session = Session(self.frames, skeleton=self._skeleton, engine=self._engine)
        marks: dict[Cell, tuple[Mark | None, Mark | None]] = {
            (track, frame): (None, person.mark())
            for frame, labels in self._marks.items()
            for track, person in people_of(labels, self._skeleton).items()
        }
        session.restore({**session.snapshot(), "marks": patch_to_json(marks)})
        for result in session.propagate(start, stop):
            yield result.frame, self._shapes(result)
            if self.cancelled:
                return

    def _shapes(self, result: FrameResult) -> list[Shape]:
        people = {
            track: Placed(
                pose=Pose(
                    xy=result.xy[n],
                    visibility=result.visibility[n],
                    origin=result.origin[n],
                    seed=np.zeros(len(self._skeleton), bool),
                    deviation=result.deviation[n].astype(np.float64),
                    score=result.score[n].astype(np.float64),
                )
            )
            for n, track in enumerate(result.track_id.tolist())
        }
        labels = with_people(FrameLabels(), people, self._skeleton, self.info)
        return list(labels.shapes)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if found is None:
        raise MediaError(f"Expected an image, got {len(data)} bytes that do not decode.")
    if found.shape[0] * found.shape[1] > MOST_PIXELS:
        raise MediaError(f"Expected at most {MOST_PIXELS} pixels, got {found.shape[:2]}.")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)
