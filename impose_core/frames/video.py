"""A video file as a source of frames, exact at any index."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from impose_core.errors import MediaError
from impose_core.frames.container import frame_rate, open_video, promised_frames
from impose_core.frames.packet_index import Packet, PacketIndex, without_missing_end
from impose_core.frames.source import CACHE_BYTES, BaseSource, FrameCache, sealed
from impose_core.frames.turn import turn_of

_log = logging.getLogger(__name__)
AvPacket: TypeAlias = "av.Packet[av.VideoStream]"
_HEAD = 16  # frames; more than any codec reorders


class VideoFile(BaseSource):
    """A video file, read with PyAV; frames are exact at any index.

    Opening reads all packets and decodes what follows the last keyframe, to know the number
    of frames that can really be had. Frames passed on the way to another one are kept as
    well: reading backwards decodes each of them once if the frames from one keyframe to the
    next fit into the cache.

    Where packets have no usable times (raw streams, AVI with B-frames) frames are counted
    from the start: still exact, but going back beyond the cache starts anew; ``notes`` says so.

    Args:
        path: any file FFmpeg can open.
        cache_bytes: how much to keep of what was decoded.

    Attributes:
        decoded: frames that came out of the decoder so far, for tests and benchmarks.

    Raises:
        MediaError: if the file is missing, not a video, or not one frame decodes.
    """

    def __init__(self, path: str | Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.decoded = 0
        # Pixels, not the codec's frames: those hold on to the pool of the decoder they came
        # from, and memory would grow with every decoder opened.
        self._cache = FrameCache(cache_bytes)
        self._convert = VideoReformatter()
        self._damage = 0  # packets that the decoder refused
        self._lost: set[int] = set()
        self._run: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._next = -1  # the frame that the decoder would give next
        self._container, self._stream = open_video(self.path)
        self.fps = frame_rate(self._stream)

        packets, promised = self._scan()
        self._index = PacketIndex.of(packets) or PacketIndex.counted(0)
        if not self._tail_and_head_decode():
            self._index = self._index_by_decoding()
        self._run, self._next = self._decode_from(0), 1
        index, first = next(self._run, (-1, None))
        if first is None or index != 0:
            raise MediaError(
                f"Expected {self.path} to have at least one frame that decodes, "
                f"got none from {len(packets)} packets."
            )
        self._stored, self._turn = (first.width, first.height), turn_of(first)
        self.width, self.height = self._stored[::-1] if self._turn.swap else self._stored
        self._cache.put(0, self._pixels(first))
        self.notes = tuple(self._complaints(promised))
        for note in self.notes:
            _log.warning("%s", note)

    def __len__(self) -> int:
        return self._index.size

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the frame is damaged, or the file changed since it was opened.
        """
        index = self._checked(index)
        image = self._cache.get(index)
        if image is None and index not in self._lost:
            image = self._fetch(index)
        if image is None:
            self._lost.add(index)
            raise MediaError(
                f"Expected frame {index} of {self.path} to decode, got none: the file is damaged.",
                hint="Convert the video with ffmpeg, or leave this frame out.",
            )
        return image

    def close(self) -> None:
        """Let go of the file and of all cached frames. Nothing can be read afterwards."""
        super().close()
        self._run = iter(())
        self._cache.clear()
        self._container.close()

    # getting at a frame

    def _fetch(self, index: int) -> NDArray[np.uint8] | None:
        """Frame ``index`` by the shortest way: open decoder, keyframe, start."""
        starts = self._index.starts(index)
        if starts[0] <= self._next <= index:
            image = self._advance(index)
            if image is not None:
                return image
        for key in starts:
            self._run, self._next = self._decode_from(key), key
            image = self._advance(index)
            if image is not None:
                return image
        return None

    def _advance(self, index: int) -> NDArray[np.uint8] | None:
        """Decode on to frame ``index``; it and all on the way go into the cache."""
        for at, frame in self._run:
            self._next = at + 1
            image = self._pixels(frame)
            self._cache.put(at, image)
            if at >= index:
                return image if at == index else None
        return None

    def _pixels(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        # the size is given for streams that change theirs midway
        width, height = self._stored
        rgb = self._convert.reformat(frame, width=width, height=height, format="rgb24")
        return sealed(self._turn.apply(np.asarray(rgb.to_ndarray(), np.uint8)))

    def _decode_from(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames and their indices from keyframe ``key`` on."""
        for count, frame in enumerate(self._frames(self._packets_from(key))):
            index = self._index.at(frame.pts) if self._index.pts else count
            # What comes before the keyframe (the leading pictures of an open GOP) may lack
            # what it refers to: it decodes, but to other pixels.
            if key <= index < len(self):
                yield index, frame

    def _packets_from(self, key: int) -> Iterator[AvPacket]:
        """Packets from keyframe ``key`` or earlier; none if the container cannot seek there."""
        if key == 0:
            # A fresh decoder, not a seek: right in every container.
            stale = self._container
            self._container, self._stream = open_video(self.path)
            stale.close()
            return self._packets()
        before = bisect_left(self._index.keys, key)
        # MPEG-TS lands behind the packet asked for, so earlier ones are asked for as well
        for target in [key, *self._index.keys[max(0, before - 2) : before][::-1]]:
            try:
                self._container.seek(self._index.pts[target], stream=self._stream)
            except av.error.FFmpegError:
                continue
            packets, passed, landed = self._packets(), [], -1
            while landed < 0 and (packet := next(packets, None)) is not None:
                passed.append(packet)
                landed = self._index.at(packet.pts)
            if landed >= 0 and self._index.rank[landed] <= self._index.rank[key]:
                return chain(passed, packets)
        return iter(())

    def _packets(self) -> Iterator[AvPacket]:
        """Packets from where the container stands to where it ends or breaks."""
        try:
            for packet in self._container.demux(self._stream):
                # An empty one (a dropped frame in AVI) would tell the decoder to finish.
                if packet.size:
                    yield packet
        except av.error.FFmpegError as error:
            _log.debug("%s: reading stopped: %s", self.name, error)

    def _frames(self, packets: Iterator[AvPacket]) -> Iterator[av.VideoFrame]:
        decoder = self._stream.codec_context
        for packet in chain(packets, [None]):
            try:
                frames = decoder.decode(packet)
            except av.error.FFmpegError as error:
                # One damaged packet: what players skip.
                self._damage += 1
                _log.debug("%s: a packet does not decode: %s", self.name, error)
                continue
            self.decoded += len(frames)
            yield from frames

    # knowing what is there

    def _scan(self) -> tuple[list[Packet], int]:
        """All packets, without decoding, in the file's order; how many frames there should be."""
        packets = [
            # Edit lists make packets that are decoded but not shown.
            Packet(p.pts, p.dts, p.duration or 0, p.is_keyframe, p.is_corrupt, not p.is_discard)
            for p in self._packets()
        ]
        shown = sum(p.shown for p in packets)
        promised = max(promised_frames(self._stream, packets), shown)
        if packets and (packets[-1].corrupt or promised > shown):
            packets = without_missing_end(packets)
        return packets, promised

    def _tail_and_head_decode(self) -> bool:
        """Whether what decodes is what the packets say, where it costs little to know."""
        last = self._index.size - 1
        if not self._index.pts:
            return False
        for key in self._index.starts(last):
            tail = [index for index, _ in self._decode_from(key)]
            if tail == list(range(key, last + 1)):
                break
            # Starting late is a matter of the keyframe, ending early is not.
            if tail and tail[-1] != last:
                return False
        else:
            return False
        self._run = self._decode_from(0)
        head = [index for index, _ in islice(self._run, _HEAD)]
        self._next = len(head)
        return head == list(range(min(_HEAD, last + 1)))

    def _index_by_decoding(self) -> PacketIndex:
        """The index by decoding everything once: where packets lie or the file is damaged."""
        trusted = self._index
        self._damage = 0
        decoded = [trusted.at(frame.pts) for frame in self._frames(self._packets_from(0))]
        known = [index for index in decoded if index >= 0]
        there = sorted(set(known))
        if not trusted.pts or (known != there and not self._damage):
            return PacketIndex.counted(len(decoded))
        if not self._damage or not there:
            return trusted.only(there)
        # Frames that are damaged keep their place, so that the others keep their number.
        span = range(there[0], there[-1] + 1)
        self._lost = {index - span.start for index in set(span) - set(there)}
        return trusted.only(list(span))

    def _complaints(self, promised: int) -> Iterator[str]:
        if len(self) < promised:
            yield (
                f"{self.name}: {len(self)} of {promised} frames decode; "
                "the rest of the file is truncated or damaged."
            )
        if self._lost:
            yield (
                f"{self.name}: {len(self._lost)} of {len(self)} frames are damaged, the first of "
                f"them {min(self._lost)}; they cannot be read."
            )
        if not self._index.pts:
            yield (
                f"{self.name}: the packets have no usable times, so frames are counted from "
                "the start and jumping back is slow."
            )
