"""What a correction is said into, and whether its fields fit there."""

from __future__ import annotations

from dataclasses import dataclass

from impose_core.corrections.values import as_finite, as_integer
from impose_core.errors import BadCorrection, FrameOutOfRange, UnknownKeypoint, UnknownTrack
from impose_core.geometry import FAR_OUTSIDE
from impose_core.marks import Mark, Marks
from impose_core.poses import PoseTracks
from impose_core.skeleton import Skeleton

LARGEST_TRACK = 2**53
"""Ids travel through JSON, where larger integers lose digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoShape:
    """What a correction must fit: number of ``frames``, ``width`` and ``height`` in pixels."""

    frames: int
    width: int
    height: int

    def to_json(self) -> dict[str, int]:
        """As a JSON object."""
        return {"frames": self.frames, "width": self.width, "height": self.height}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is known when a correction is said. Its methods return a checked field or raise.

    ``estimate`` is what stands in the ledger; None: nothing.
    """

    marks: Marks
    skeleton: Skeleton
    video: VideoShape
    estimate: PoseTracks | None

    def mark(self, track: int, frame: int) -> Mark:
        """What is marked there, perhaps nothing. Must not be written to."""
        return self.marks.get(track, frame) or Mark.blank(len(self.skeleton))

    def frame(self, value: int, name: str = "frame") -> int:
        """A frame of the video."""
        frame = as_integer(value, name)
        if not 0 <= frame < self.video.frames:
            raise FrameOutOfRange(
                f"Expected '{name}' to lie in 0 to {self.video.frames - 1}, got {frame}."
            )
        return frame

    def track(self, value: int, name: str) -> int:
        """An id somebody may have."""
        track = as_integer(value, name)
        if not 0 <= track <= LARGEST_TRACK:
            raise BadCorrection(f"Expected '{name}' to lie in 0 to 2**53, got {track}.")
        return track

    def known_track(self, value: int, name: str) -> int:
        """The id of somebody who is marked."""
        track = self.track(value, name)
        if track not in self.marks.tracks:
            raise UnknownTrack(f"Expected '{name}' to be one of {self.marks.tracks}, got {track}.")
        return track

    def new_track(self, value: int) -> int:
        """An id nobody has."""
        track = self.track(value, "new_track")
        if track in self.marks.tracks:
            raise BadCorrection(f"Expected 'new_track' to be new, got {track}, which exists.")
        return track

    def joint(self, name: str, where: str) -> int:
        """The index of a joint that the field ``where`` names."""
        try:
            return self.skeleton.index(name)
        except UnknownKeypoint as error:
            raise UnknownKeypoint(f"In '{where}': {error.message}", hint=error.hint) from None

    def near(self, value: object, count: int, name: str) -> list[float]:
        """``count`` coordinates, x and y in turn, in or around the image."""
        numbers = as_finite(value, count, name)
        for number, size in zip(numbers, (self.video.width, self.video.height) * 2, strict=False):
            if not -FAR_OUTSIDE * size <= number <= (1 + FAR_OUTSIDE) * size:
                raise BadCorrection(
                    f"Expected '{name}' within one image size of the {self.video.width} x "
                    f"{self.video.height} image, got {tuple(numbers)}."
                )
        return numbers
