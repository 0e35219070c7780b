"""What a human may say about a video, and what that does to the marks.

A verb (``verbs``) enters by :func:`patch_of` (``patches``). The act of the verb's name
(``pose_acts``, ``identity_acts``) checks its fields against the scene (``scene``) and returns
the marks it leaves, which become a patch (``changes``).
"""

from impose_core.corrections.document_diff import corrections_in, diff
from impose_core.corrections.document_marks import marks_from_tracks
from impose_core.corrections.json_form import correction_from_json, correction_to_json
from impose_core.corrections.patches import patch_of
from impose_core.corrections.scene import VideoShape
from impose_core.corrections.verbs import (
    AssignIdentity,
    Correction,
    MergeIdentity,
    MoveKeypoints,
    RemovePerson,
    SetBox,
    SetVisibility,
    SplitIdentity,
    SwapIdentity,
    clicks,
)

__all__ = [
    "AssignIdentity",
    "Correction",
    "MergeIdentity",
    "MoveKeypoints",
    "RemovePerson",
    "SetBox",
    "SetVisibility",
    "SplitIdentity",
    "SwapIdentity",
    "VideoShape",
    "clicks",
    "correction_from_json",
    "correction_to_json",
    "corrections_in",
    "diff",
    "marks_from_tracks",
    "patch_of",
]
