"""What the work cost so far: clicks and seconds, in all and for each person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

PAUSE_SECONDS: Final = 30.0
"""Of a longer time without any act only this much counts as work."""


class Tally:
    """Counts acts of a human, and the time from each act to the next."""

    def __init__(self) -> None:
        self.clicks = 0
        self.keys = 0
        self.seconds = 0.0
        self.clicks_of: Counter[int] = Counter()
        self._last: float | None = None

    def click(self, now: float, person: int | None = None) -> None:
        """A joint was moved, a box drawn, or the like. ``now`` in seconds of any clock."""
        self.clicks += 1
        if person is not None:
            self.clicks_of[person] += 1
        self.touch(now)

    def key(self, now: float) -> None:
        """A key of ours was pressed, or a menu entry chosen."""
        self.keys += 1
        self.touch(now)

    def touch(self, now: float) -> None:
        """The human is at work."""
        if self._last is not None:
            self.seconds += min(max(now - self._last, 0.0), PAUSE_SECONDS)
        self._last = now

    def line(self, persons: Iterable[dict[str, Any]], frames: int) -> str:
        """The status line. ``persons`` as the service describes them."""
        known = list(persons)
        done = max((int(person["frames"]) for person in known), default=0)
        parts = [
            f"clicks {self.clicks}, keys {self.keys}, {self.seconds:.0f} s",
            f"frames done {done} of {frames}",
        ]
        for person in known:
            number = int(person["person"])
            parts.append(
                f"#{number}: clicks {self.clicks_of[number]}, frames {person['frames']}, "
                f"by hand {person['human_joints']}"
            )
        return "   ".join(parts)
