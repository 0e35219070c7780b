"""A job of CVAT: which frames it has, and which of them can be worked on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_function.client.connection import Server
from cvat_function.client.errors import BadJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What of a job matters here. Frames are numbered as CVAT's player numbers them: those of
    the task, whatever its start frame and step in the video.

    Attributes:
        number: the job's id.
        task: the id of its task.
        frames: int [T], ascending: its frames without the deleted ones.
        deleted: frames nobody sees.
        first: of all frames.
        last: of all frames.
        chunk: frames in a chunk.
        width: of every frame, pixels.
        height: likewise.
        updated: when somebody last saved.
        organization: id, or None.
    """

    number: int
    task: int
    frames: NDArray[np.int64]
    deleted: frozenset[int]
    first: int
    last: int
    chunk: int
    width: int
    height: int
    updated: str
    organization: int | None

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"job {self.number}"


def read_job(server: Server, number: int) -> Job:
    """Job ``number``.

    Raises:
        BadJob: if it is a ground-truth job, has single frames of its task, no flat images, or
            images of different sizes.
        CvatError: if the server does not answer.
    """
    job = server.job(number)
    if job.get("type", "annotation") == "ground_truth":
        raise BadJob(
            f"Expected job {number} to be an annotation job, got the ground truth of task "
            f"{job['task_id']}.",
            hint="Ground truth measures annotators: it must not come from a tool.",
        )
    if job.get("dimension", "2d") != "2d":
        raise BadJob(f"Expected job {number} to be of flat images, got {job['dimension']}.")
    meta = server.meta(number)
    if meta.get("included_frames") is not None:
        raise BadJob(
            f"Expected job {number} to hold frames that follow each other, got single ones.",
            hint="Tasks with hidden validation frames (honeypots) take no tracks.",
        )
    width, height = _size(number, meta)
    deleted = frozenset(meta.get("deleted_frames", ()))
    first, last = int(job["start_frame"]), int(job["stop_frame"])
    frames = np.array([t for t in range(first, last + 1) if t not in deleted], np.int64)
    if not len(frames):
        raise BadJob(f"Expected job {number} to have a frame, got {last - first + 1} deleted ones.")
    return Job(
        number=number,
        task=int(job["task_id"]),
        frames=frames,
        deleted=deleted,
        first=first,
        last=last,
        chunk=int(meta["chunk_size"] or last - first + 1),
        width=width,
        height=height,
        updated=str(job.get("updated_date", "")),
        organization=job.get("organization"),
    )


def _size(number: int, meta: Mapping[str, Any]) -> tuple[int, int]:
    """Videos list their size once, images each their own."""
    sizes = {(int(frame["width"]), int(frame["height"])) for frame in meta["frames"]}
    if len(sizes) != 1:
        shown = ", ".join(f"{w} x {h}" for w, h in sorted(sizes)[:3]) or "none"
        raise BadJob(
            f"Expected the frames of job {number} to have one size, got {len(sizes)}: {shown}.",
            hint="Images of different sizes are not frames of one video.",
        )
    return sizes.pop()
