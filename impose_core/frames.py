"""Pixels on demand: videos, folders of images and arrays, one frame at a time.

A frame index means the same picture for everyone who counts: 0-based, in the order in
which a player shows the frames, whatever the timestamps, B-frames or frame rate. An image
is RGB as a player shows it: turned by the rotation the file asks for. The sample aspect
ratio is ignored: pixels stay as they are stored, so that a human's pixels are ours.

Nothing here may be shared between threads.
"""

from __future__ import annotations

import logging
import operator
import re
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from impose_core.errors import FrameOutOfRange, MediaError

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
CACHE_BYTES = 128 * 1024 * 1024

Held = TypeVar("Held")
Self = TypeVar("Self", bound="_Source")  # typing.Self is 3.11


class FrameSource(Protocol):
    """Frames that can be had by index, in any order.

    A context manager: leaving it closes the source.

    Attributes:
        name: what to call the source in a message: the file's or folder's name.
        width: of every image, pixels.
        height: of every image, pixels.
        fps: frames per second on average, or None where nobody knows.
        notes: sentences on what is wrong with the media although it can be used.
    """

    name: str
    width: int
    height: int
    fps: float | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        """Number of frames, at least 1."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the frame is damaged.
        """

    def close(self) -> None:
        """Let go of the file. Nothing can be read afterwards."""

    def __enter__(self) -> FrameSource: ...

    def __exit__(self, *error: object) -> None: ...


def open_frames(path: str | Path) -> VideoFile | ImageFolder:
    """The frames at ``path``: a video file, a folder of images, or one image.

    Raises:
        MediaError: if there is nothing at ``path``, or nothing that can be shown.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFolder(path)
    return VideoFile(path)


class _Source:
    """What all sources have in common."""

    name: str
    width: int
    height: int
    fps: float | None = None
    notes: tuple[str, ...] = ()
    _closed = False

    def __len__(self) -> int:
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Nothing can be read afterwards."""
        self._closed = True

    def _checked(self, index: int) -> int:
        if self._closed:
            raise MediaError(f"Expected {self.name} to be open, got a read after close().")
        at = operator.index(index)
        if not 0 <= at < len(self):
            raise FrameOutOfRange(
                f"Expected 'index' to be 0 to {len(self) - 1} in {self.name}, got {at}."
            )
        return at


class _FrameCache(Generic[Held]):
    """The frames used last, never more than ``limit`` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._held: OrderedDict[int, tuple[Held, int]] = OrderedDict()

    def get(self, index: int) -> Held | None:
        if index not in self._held:
            return None
        self._held.move_to_end(index)
        return self._held[index][0]

    def put(self, index: int, frame: Held, size: int) -> None:
        if index in self._held:
            self.used -= self._held.pop(index)[1]
        if size > self.limit:
            return
        while self.used + size > self.limit:
            self.used -= self._held.popitem(last=False)[1][1]
        self._held[index] = (frame, size)
        self.used += size

    def clear(self) -> None:
        self._held.clear()
        self.used = 0


# --- videos -------------------------------------------------------------------------------

_AvPacket: TypeAlias = "av.Packet[av.VideoStream]"
_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of a song
# FFmpeg draws text files and follows playlists to other files.
_NOT_VIDEOS = frozenset({"tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat"})
_HEAD = 16  # frames; more than any codec reorders


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Stored size in pixels, and the turn that shows it upright."""

    width: int
    height: int
    turn: _Turn


@dataclass(frozen=True, slots=True)
class _Packet:
    """What one packet says of its frame; times in units of the stream's time base."""

    pts: int | None
    dts: int | None
    duration: int
    key: bool
    corrupt: bool
    shown: bool


@dataclass(frozen=True, slots=True)
class _PacketIndex:
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
    def of(cls, packets: list[_Packet]) -> _PacketIndex | None:
        """None if a time is missing or two frames claim the same."""
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
    def counted(cls, size: int) -> _PacketIndex:
        return cls(size, [], [], [], {})

    def only(self, kept: list[int]) -> _PacketIndex:
        """The index of the frames ``kept`` (ascending), renumbered."""
        pts = [self.pts[old] for old in kept]
        number = {time: index for index, time in enumerate(pts)}
        keys = [number[self.pts[key]] for key in self.keys if self.pts[key] in number]
        return _PacketIndex(len(pts), pts, [self.rank[old] for old in kept], keys, number)

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


class VideoFile(_Source):
    """A video file, read with PyAV; frames are exact at any index.

    Opening reads all packets and decodes what follows the last keyframe, to know the number
    of frames that can really be had. Frames are kept as the codec gave them (for YUV 4:2:0
    half the bytes of RGB) and converted at each read: frames passed on the way to another
    one cost no conversion, and reading backwards decodes each of them once if the frames
    from one keyframe to the next fit into the cache.

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
        self._cache: _FrameCache[NDArray[np.uint8]] = _FrameCache(cache_bytes)
        self._shape: _Shape | None = None  # known once frame 0 is
        self._convert = VideoReformatter()
        self._damage = 0  # packets that the decoder refused
        self._lost: set[int] = set()
        self._run: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._next = -1  # the frame that the decoder would give next
        self._container, self._stream = _open_video(self.path)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate else None

        packets, promised = self._scan()
        self._index = _PacketIndex.of(packets) or _PacketIndex.counted(0)
        if not self._tail_and_head_decode():
            self._index = self._index_by_decoding()
        first = self._fetch(0) if len(self) else None
        if first is None:
            raise MediaError(
                f"Expected {self.path} to have at least one frame that decodes, "
                f"got none from {len(packets)} packets."
            )
        self._shape = _Shape(width=first.width, height=first.height, turn=_turn(first))
        self.notes = tuple(self._complaints(promised))
        for note in self.notes:
            _log.warning("%s", note)
        size = (first.width, first.height)
        self.width, self.height = size[::-1] if self._shape.turn.swap else size

    def __len__(self) -> int:
        return self._index.size

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the frame is damaged, or the file changed since it was opened.
        """
        index = self._checked(index)
        held = self._cache.get(index)
        if held is not None:
            return held
        frame = None if index in self._lost else self._fetch(index)
        if frame is None or self._shape is None:
            self._lost.add(index)
            raise MediaError(
                f"Expected frame {index} of {self.path} to decode, got none: the file is damaged.",
                hint="Convert the video with ffmpeg, or leave this frame out.",
            )
        held = self._cache.get(index)
        return self._pixels(frame, self._shape) if held is None else held

    def _pixels(self, frame: av.VideoFrame, shape: _Shape) -> NDArray[np.uint8]:
        # the size is given for streams that change theirs midway
        rgb = self._convert.reformat(frame, width=shape.width, height=shape.height, format="rgb24")
        return _sealed(shape.turn.apply(np.asarray(rgb.to_ndarray(), np.uint8)))

    def close(self) -> None:
        """Let go of the file and of all cached frames. Nothing can be read afterwards."""
        super().close()
        self._run = iter(())
        self._cache.clear()
        self._container.close()

    # getting at a frame

    def _fetch(self, index: int) -> av.VideoFrame | None:
        """Frame ``index`` by the shortest way: open decoder, keyframe, start."""
        starts = self._index.starts(index)
        if starts[0] <= self._next <= index:
            frame = self._advance(index)
            if frame is not None:
                return frame
        for key in starts:
            self._run, self._next = self._decode_from(key), key
            frame = self._advance(index)
            if frame is not None:
                return frame
        return None

    def _advance(self, index: int) -> av.VideoFrame | None:
        for at, frame in self._run:
            self._next = at + 1
            if at >= index:
                return frame if at == index else None
        return None

    def _decode_from(self, key: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Frames and their indices from keyframe ``key`` on, all put into the cache."""
        for count, frame in enumerate(self._frames(self._packets_from(key))):
            index = self._index.at(frame.pts) if self._index.pts else count
            # What comes before the keyframe (the leading pictures of an open GOP) may lack
            # what it refers to: it decodes, but to other pixels.
            if key <= index < len(self):
                if self._shape is not None:
                    # Pixels, not the codec's frames: those hold on to the pool of the decoder
                    # they came from, and memory would grow with every decoder opened.
                    pixels = self._pixels(frame, self._shape)
                    self._cache.put(index, pixels, pixels.nbytes)
                yield index, frame

    def _packets_from(self, key: int) -> Iterator[_AvPacket]:
        """Packets from keyframe ``key`` or earlier; none if the container cannot seek there."""
        if key == 0:
            # A fresh decoder, not a seek: right in every container.
            stale = self._container
            self._container, self._stream = _open_video(self.path)
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

    def _packets(self) -> Iterator[_AvPacket]:
        """Packets from where the container stands to where it ends or breaks."""
        try:
            for packet in self._container.demux(self._stream):
                # An empty one (a dropped frame in AVI) would tell the decoder to finish.
                if packet.size:
                    yield packet
        except av.error.FFmpegError as error:
            _log.debug("%s: reading stopped: %s", self.name, error)

    def _frames(self, packets: Iterator[_AvPacket]) -> Iterator[av.VideoFrame]:
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

    def _scan(self) -> tuple[list[_Packet], int]:
        """All packets, without decoding, in the file's order; how many frames there should be."""
        packets = [
            # Edit lists make packets that are decoded but not shown.
            _Packet(p.pts, p.dts, p.duration or 0, p.is_keyframe, p.is_corrupt, not p.is_discard)
            for p in self._packets()
        ]
        promised = max(self._promised(packets), sum(p.shown for p in packets))
        cut_off = [p.pts for p in packets[-1:] if p.corrupt and p.pts is not None]
        if packets and (cut_off or promised > sum(p.shown for p in packets)):
            # With B-frames the last packets are not the last pictures: what is missing may
            # belong between them, and an index must not skip it. Nothing that is missing is
            # shown before the last decoding time. A cut-off packet would give half a picture.
            limits = [pts - 1 for pts in cut_off]
            if packets[-1].dts is not None:
                limits.append(packets[-1].dts)
            packets = [
                replace(p, shown=p.shown and (p.pts is None or all(p.pts <= at for at in limits)))
                for p in packets
            ]
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

    def _index_by_decoding(self) -> _PacketIndex:
        """The index by decoding everything once: where packets lie or the file is damaged."""
        trusted = self._index
        self._cache.clear()
        self._damage = 0
        decoded = [trusted.at(frame.pts) for frame in self._frames(self._packets_from(0))]
        known = [index for index in decoded if index >= 0]
        there = sorted(set(known))
        if not trusted.pts or (known != there and not self._damage):
            return _PacketIndex.counted(len(decoded))
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

    def _promised(self, packets: list[_Packet]) -> int:
        """The number of frames the header speaks of, or 0 if the packets reach its end.

        The count alone proves nothing: with an edit list fewer are shown than stored.
        """
        stream, base = self._stream, self._stream.time_base
        frames = stream.frames
        if base is None or not self.fps:
            return frames
        if stream.duration:
            end = float(((stream.start_time or 0) + stream.duration) * base)
        else:
            end = _tagged_end(stream)
        ends = [float((p.pts + p.duration) * base) for p in packets if p.pts is not None]
        if not end or not ends:
            return frames
        if end - max(ends) < 1.5 / self.fps:
            return 0
        start = float((stream.start_time or 0) * base)
        return frames or round((end - start) * self.fps)


def _open_video(path: Path) -> tuple[av.container.InputContainer, av.VideoStream]:
    """The container and the stream that a player would show."""
    if not path.is_file():
        raise MediaError(f"Expected {path} to be a video file, got nothing that can be read there.")
    # Absolute, so that no name looks like a protocol; files only, so that no playlist
    # reaches for the network.
    name, options = str(path.absolute()), {"protocol_whitelist": "file"}
    try:
        try:
            container = av.open(name, options=options)
        except UnicodeDecodeError:  # a title in Latin-1; PyAV before 19 gives up on it
            container = av.open(name, options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise MediaError(f"Expected {path} to be a video, got: {error.strerror}.") from error
    streams = [
        stream
        for stream in container.streams.video
        if not int(getattr(stream, "disposition", 0)) & _ATTACHED_PICTURE
    ]
    if container.format.name in _NOT_VIDEOS:
        container.close()
        raise MediaError(f"Expected {path} to be a video, got a text file or a playlist.")
    if not streams or streams[0].codec_context is None:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        container.close()
        raise MediaError(
            f"Expected {path} to have a video stream that can be decoded, got {kinds}."
        )
    return container, streams[0]


def _tagged_end(stream: av.VideoStream) -> float:
    """Seconds at which Matroska's tag ("00:00:04.040000000") lets the stream end, else 0."""
    parts = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if parts is None:
        return 0.0
    hours, minutes, seconds = (float(part) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds


@dataclass(frozen=True, slots=True)
class _Turn:
    """How a stored image becomes upright: transpose, then mirror rows and columns."""

    swap: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.swap:
            image = image.transpose(1, 0, 2)
        rows, columns = -1 if self.flip_rows else 1, -1 if self.flip_columns else 1
        return image[::rows, ::columns]


_QUARTER_TURNS = (  # counterclockwise
    _Turn(),
    _Turn(swap=True, flip_rows=True),
    _Turn(flip_rows=True, flip_columns=True),
    _Turn(swap=True, flip_columns=True),
)


def _turn(frame: av.VideoFrame) -> _Turn:
    """What the frame's display matrix asks for, to the nearest quarter turn."""
    try:
        data: Any = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV before 19 fails on kinds of side data newer than itself; `rotation` does not
        # look at those (but does not tell mirrored videos either).
        return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
    if data is None:
        return _Turn()
    # (x, y) is shown at (a x + c y, b x + d y), y downwards
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), np.int32)[:5])
    if abs(b) > abs(a):
        return _Turn(swap=True, flip_rows=b < 0, flip_columns=c < 0)
    return _Turn(flip_rows=d < 0, flip_columns=a < 0)


# --- images and arrays --------------------------------------------------------------------


class ImageFolder(_Source):
    """The images of a folder in natural order of their names (frame2 before frame10).

    Other files and hidden ones are left alone, subfolders too. An EXIF orientation is
    honoured; 16-bit, grey, palette and transparent images become 8-bit RGB (without alpha).
    Sizes are checked as images are read.

    Args:
        path: the folder, or one image, which is a folder of one.
        cache_bytes: how much to keep of what was read.

    Attributes:
        file_names: tuple of T names, without the folder.

    Raises:
        MediaError: if there is no image, or the first cannot be read.
    """

    def __init__(self, path: str | Path, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        self.name = self.path.name
        folder = self.path if self.path.is_dir() else self.path.parent
        files = folder.iterdir() if self.path.is_dir() else iter([self.path])
        images = [
            file.name
            for file in files
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not images:
            raise MediaError(
                f"Expected {self.path} to be a folder with images or an image "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}), got none."
            )
        self.file_names = tuple(sorted(images, key=_natural))
        self._folder = folder
        self._cache: _FrameCache[NDArray[np.uint8]] = _FrameCache(cache_bytes)
        first = _read_image(folder / self.file_names[0])
        self.height, self.width = first.shape[:2]
        self._cache.put(0, first, first.nbytes)

    def __len__(self) -> int:
        return len(self.file_names)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Image ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
            MediaError: if the file cannot be read, or its size is not that of the first.
        """
        index = self._checked(index)
        image = self._cache.get(index)
        if image is None:
            image = _read_image(self._folder / self.file_names[index])
            height, width = image.shape[:2]
            if (width, height) != (self.width, self.height):
                raise MediaError(
                    f"Expected all images in {self.path} to have the size of "
                    f"{self.file_names[0]}, {self.width}×{self.height} pixels, got "
                    f"{width}×{height} in {self.file_names[index]}."
                )
            self._cache.put(index, image, image.nbytes)
        return image

    def close(self) -> None:
        """Let go of all cached images. Nothing can be read afterwards."""
        super().close()
        self._cache.clear()


class ArrayFrames(_Source):
    """Frames that are in memory already; not copied, so the caller must not change them.

    Args:
        array: uint8 [T, H, W, 3] RGB or [T, H, W] grey.
        fps: frames per second, if known.
        name: what to call it in messages.

    Raises:
        MediaError: if the shape or the dtype is another.
    """

    def __init__(
        self, array: NDArray[np.uint8], *, fps: float | None = None, name: str = "array"
    ) -> None:
        fits = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3)
        if not fits or array.dtype != np.uint8 or 0 in array.shape:
            raise MediaError(
                "Expected 'array' to be uint8 [T, H, W, 3] or [T, H, W], nowhere of length 0, "
                f"got {array.dtype} {list(array.shape)}."
            )
        self.name, self.fps = name, fps
        self.height, self.width = array.shape[1:3]
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``: uint8 [H, W, 3], RGB, must not be written to.

        Raises:
            FrameOutOfRange: if ``index`` is not in 0 to ``len(self) - 1``.
        """
        image = self._array[self._checked(index)]
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        return _sealed(image)


def _sealed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A contiguous view or copy of ``image`` that refuses to be written to."""
    view: NDArray[np.uint8] = np.ascontiguousarray(image).view()
    view.flags.writeable = False
    return view


def _natural(name: str) -> tuple[list[str | int], str]:
    """Sort key by which frame2 comes before frame10; the name itself settles ties."""
    # split by a group alternates text, number, text ..., so like meets like
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)], name


def _read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as uint8 [H, W, 3] RGB, read-only."""
    try:
        # not cv2.imread, which cannot open names outside the code page on Windows
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise MediaError(f"Expected {path} to be readable, got: {error.strerror}.") from error
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise MediaError(f"Expected {path} to be an image, got: {error.err}.") from error
    if bgr is None:
        raise MediaError(
            f"Expected {path} to be an image, got {data.size} bytes that do not decode."
        )
    return _sealed(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
