"""The door: a correction comes in, what it changes in the marks goes out."""

from __future__ import annotations

from impose_core.corrections.changes import Changes, patch_from
from impose_core.corrections.identity_acts import (
    assign_identity,
    merge_identity,
    remove_person,
    split_identity,
    swap_identity,
)
from impose_core.corrections.pose_acts import move_keypoints, set_box, set_visibility
from impose_core.corrections.scene import Scene, VideoShape
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
)
from impose_core.errors import BadCorrection
from impose_core.marks import Marks, Patch
from impose_core.poses import PoseTracks
from impose_core.skeleton import Skeleton


def patch_of(
    correction: Correction,
    marks: Marks,
    *,
    skeleton: Skeleton,
    video: VideoShape,
    estimate: PoseTracks | None,
) -> Patch:
    """What ``correction`` changes in ``marks``; nothing is changed yet.

    ``estimate`` is what stands in the ledger (None: nothing): identity edits carry it over
    where no human placed a joint.

    Applied twice, a correction equals itself applied once: the second patch is empty. Except:
    a second swap brings the human marks back (seeds stay, now each person's own), and a person
    who was merged, split off, renamed or removed altogether is not there to be so again.

    Raises:
        BadCorrection, UnknownTrack, UnknownKeypoint, FrameOutOfRange: naming the field.
    """
    scene = Scene(marks=marks, skeleton=skeleton, video=video, estimate=estimate)
    return patch_from(_changes(correction, scene), marks)


def _changes(said: Correction, scene: Scene) -> Changes:
    match said:
        case MoveKeypoints():
            return move_keypoints(said, scene)
        case SetVisibility():
            return set_visibility(said, scene)
        case SetBox():
            return set_box(said, scene)
        case SwapIdentity():
            return swap_identity(said, scene)
        case MergeIdentity():
            return merge_identity(said, scene)
        case SplitIdentity():
            return split_identity(said, scene)
        case AssignIdentity():
            return assign_identity(said, scene)
        case RemovePerson():
            return remove_person(said, scene)
    raise BadCorrection(f"Expected a correction, got {said!r}.")
