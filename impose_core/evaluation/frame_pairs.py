"""Labels and predictions side by side: videos by name, frames by index."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from impose_core.errors import UsageError
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FramePair:
    """One labelled frame and what is predicted on it (perhaps nobody)."""

    labels: LabelledFrame
    predicted: Instances


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoPair:
    """The labelled frames of one video, by ascending index."""

    name: str
    frames: tuple[FramePair, ...]


def pair_frames(labels: PoseSet, predictions: PoseSet) -> tuple[VideoPair, ...]:
    """Every labelled frame with the predictions for it, in the order of the labels.

    Frames that are not labelled are dropped, and with them their predictions; so are the
    predictions for frames the labels do not list. A labelled frame, or a whole video, without
    predictions has nobody on it.

    Raises:
        UsageError: if predictions are for a video the labels do not have, or a name or frame
            index comes twice.
    """
    predicted = _unique(predictions, "predictions")
    labelled = _unique(labels, "labels")
    for name in predicted:
        if name not in labelled:
            raise UsageError(
                f"Expected predictions for videos of the labels ({_shown(labelled)}), got '{name}'."
            )
    nobody = Instances.unknown(0, len(predictions.keypoints))
    pairs = []
    for name, video in labelled.items():
        frames = predicted[name].frames if name in predicted else ()
        found = {frame.index: frame.instances for frame in frames}
        pairs.append(
            VideoPair(
                name=name,
                frames=tuple(
                    FramePair(labels=frame, predicted=found.get(frame.index, nobody))
                    for frame in video.frames
                    if frame.labelled
                ),
            )
        )
    return tuple(pairs)


def _unique(poses: PoseSet, what: str) -> dict[str, PoseSequence]:
    videos: dict[str, PoseSequence] = {}
    for video in poses.sequences:
        if video.name in videos:
            raise UsageError(f"Expected videos of the {what} to differ, got '{video.name}' twice.")
        twice = _first_repeated(frame.index for frame in video.frames)
        if twice is not None:
            raise UsageError(
                f"Expected frames of '{video.name}' of the {what} to differ, "
                f"got frame {twice} twice."
            )
        videos[video.name] = video
    return videos


def _first_repeated(indices: Iterable[int]) -> int | None:
    seen: set[int] = set()
    for index in indices:
        if index in seen:
            return index
        seen.add(index)
    return None


def _shown(names: Collection[str]) -> str:
    first = ", ".join(f"'{name}'" for name in list(names)[:4])
    return f"{first}, … {len(names)} videos" if len(names) > 4 else first
