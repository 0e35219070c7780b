"""Which frames a video has, told from its packets without decoding them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Packet:
    """What one packet says of its frame; times in units of the stream's time base."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    corrupt: bool
    shown: bool


@dataclass(frozen=True, slots=True)
class PacketIndex:
    """Which frames a video has, in presentation order, and where decoding may start.

    Attributes:
        size: number of frames.
        pts: time of each frame, strictly ascending. Empty if the packets' times cannot be
            trusted: then frames are known only by counting them from the start.
        rank: where in the file each frame's packet comes, in decoding order.
        keys: frame indices of the keyframes, ascending.
        number: frame index by pts.
    """

    size: int
    pts: list[int]
    rank: list[int]
    keys: list[int]
    number: dict[int, int]

    @classmethod
    def of(cls, packets: list[Packet]) -> PacketIndex | None:
        """The index of the shown ones of ``packets``, which are in decoding order.

        None if a time is missing or two frames claim the same.
        """
        known = [(p.pts, at) for at, p in enumerate(packets) if p.shown and p.pts is not None]
        known.sort()
        pts = [time for time, _ in known]
        number = {time: index for index, time in enumerate(pts)}
        if len(number) != sum(p.shown for p in packets):
            return None
        rank = [at for _, at in known]
        keys = [index for index, at in enumerate(rank) if packets[at].key]
        return cls(len(pts), pts, rank, keys, number)

    @classmethod
    def counted(cls, size: int) -> PacketIndex:
        """Frames known only by counting them."""
        return cls(size, [], [], [], {})

    def only(self, kept: list[int]) -> PacketIndex:
        """The index of the frames ``kept`` (ascending), renumbered."""
        pts = [self.pts[old] for old in kept]
        number = {time: index for index, time in enumerate(pts)}
        keys = [number[self.pts[key]] for key in self.keys if self.pts[key] in number]
        return PacketIndex(len(pts), pts, [self.rank[old] for old in kept], keys, number)

    def at(self, pts: int | None) -> int:
        """The frame of time ``pts``, -1 if there is none."""
        return -1 if pts is None else self.number.get(pts, -1)

    def starts(self, index: int) -> list[int]:
        """Where decoding may start to reach ``index``, best first.

        Twice a keyframe's index, because some containers seek past the one asked for;
        0 is the start of the file, which always works.
        """
        upto = bisect_right(self.keys, index)
        return list(dict.fromkeys([*self.keys[max(0, upto - 2) : upto][::-1], 0]))


def without_missing_end(packets: list[Packet]) -> list[Packet]:
    """The packets of a file that ends too early; what may follow a gap is not shown.

    With B-frames the last packets are not the last pictures: what is missing may belong
    between them, and an index must not skip it. Nothing that is missing is shown before the
    last decoding time. A cut-off packet would give half a picture.
    """
    last = packets[-1]
    limits = [last.dts] if last.dts is not None else []
    if last.corrupt and last.pts is not None:
        limits.append(last.pts - 1)
    return [
        replace(p, shown=p.shown and (p.pts is None or all(p.pts <= at for at in limits)))
        for p in packets
    ]
