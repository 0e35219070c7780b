"""COCO keypoints with ``video_id``, ``frame_id`` and ``track_id``: poses of one video as JSON.

Anchors and results have one form. A result adds three lists to each annotation, one entry
per joint: ``score``, ``deviation`` (null where a joint is unknown) and ``origin`` ("human",
"propagated", "detected", "none"). Keys this module does not know are kept, and written back.

What a file can hold, and therefore what a :class:`PoseDocument` read from one holds:

- human coordinates to the last bit; all other coordinates, boxes and deviations to a
  thousandth of a pixel, scores to four decimals;
- a box for everybody with a known joint. Where the file gives none it is the extent of the
  known joints plus 10 % (at least a pixel) on each side, kept inside the image;
- an area for every box. Where the file gives none it is 0.53 · width · height, the
  convention of xtcocotools and CrowdPose for data without masks;
- persons in the order of their track ids.

Writing such a document and reading it again gives an equal one.
"""

from impose_core.io.coco.read import parse_document, read_document
from impose_core.io.coco.write import to_mapping, write_document
from impose_core.io.documents import Extra, PoseDocument, VideoInfo, check_video

__all__ = [
    "Extra",
    "PoseDocument",
    "VideoInfo",
    "check_video",
    "parse_document",
    "read_document",
    "to_mapping",
    "write_document",
]
