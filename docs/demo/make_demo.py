"""Makes the demo clip and its annotations from the shared data; a development tool.

    python docs/demo/make_demo.py

Reads ``../shared/data/p2s_multi_cam01`` (BSD-3-Clause, see LICENSE-pose2sim.txt), halves the
size, keeps every frame, and takes the labels of every 20th frame and of the last one as anchors
for those who want to begin with labelled frames. ``make_corrections.py`` makes the rest.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from impose_core.frames import open_frames
from impose_core.io.coco import read_document, write_document
from impose_core.overlay.files import write_video
from impose_core.poses import PoseTracks

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "shared" / "data" / "p2s_multi_cam01"
EVERY = 20
SCALE = 0.5
NOTE = (
    "Camera 1 of pose2sim's Demo_MultiPerson (BSD-3-Clause), half size. Track 1: a man, "
    "triangulated from several views. Track 2: a rendered woman, 12 key frames interpolated. "
    "Track 3: a bystander, from this view alone. No label was made by a human hand; see README.md."
)


def main() -> None:
    """Write clip.mp4, labels.json and anchors.json beside this file."""
    document = read_document(SOURCE / "annotations.json")
    with open_frames(SOURCE / "frames.mp4") as frames:
        size = (round(frames.width * SCALE), round(frames.height * SCALE))
        images = [
            cv2.resize(frames.read(t), size, interpolation=cv2.INTER_AREA)
            for t in range(len(frames))
        ]
        write_video(HERE / "clip.mp4", images, frames.fps or 60)
    tracks = document.tracks
    scaled = replace(tracks, xy=np.round(tracks.xy * SCALE, 2), box=np.round(tracks.box * SCALE, 1))
    video = replace(document.video, file_name="clip.mp4", width=size[0], height=size[1])
    extra = replace(document.extra, document={"info": {"note": NOTE}}, images={}, listed=None)
    area = document.area * SCALE**2
    small = replace(document, tracks=scaled, video=video, area=area, extra=extra)
    write_document(HERE / "labels.json", small)
    anchors = sorted({*range(0, len(tracks), EVERY), len(tracks) - 1})
    write_document(HERE / "anchors.json", replace(small, tracks=_only(scaled, anchors)))


def _only(tracks: PoseTracks, frames: list[int]) -> PoseTracks:
    kept = PoseTracks.empty(
        frames=len(tracks), track_id=tracks.track_id.tolist(), skeleton=tracks.skeleton
    )
    for name in ("xy", "visibility", "origin", "score", "deviation", "box"):
        getattr(kept, name)[frames] = getattr(tracks, name)[frames]
    return kept


if __name__ == "__main__":
    main()
