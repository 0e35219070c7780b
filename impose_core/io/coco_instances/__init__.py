"""COCO keypoint documents and result lists as a :class:`~impose_core.pose_sets.PoseSet`.

For evaluation only: many videos or loose pictures, crowds, persons without a track. Documents
of one video that are to be edited are read by :mod:`impose_core.io.coco`.

- ``images`` with ``video_id`` and ``frame_id`` become one sequence per video; with
  ``frame_id`` alone they are one video without a name. Loose pictures become sequences of one
  frame, in the order of their ids, named by ``file_name`` or else by id.
- Annotations keep the order of the file inside their image: with equal scores, or equal
  similarities, that order decides who is matched.
- Only the one category with keypoints is read (or the one the caller names).
"""

from impose_core.io.coco_instances.read import CocoLabels, read_labels, read_predictions

__all__ = ["CocoLabels", "read_labels", "read_predictions"]
