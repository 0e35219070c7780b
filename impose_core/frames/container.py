"""What a video file's container says: its stream, its rate and how long it should be."""

from __future__ import annotations

import re
from pathlib import Path

import av

from impose_core.errors import MediaError
from impose_core.frames.packet_index import Packet

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: the cover of a song
# FFmpeg draws text files and follows playlists to other files.
_NOT_VIDEOS = frozenset({"tty", "bin", "xbin", "adf", "idf", "hls", "dash", "concat"})


def open_video(path: Path) -> tuple[av.container.InputContainer, av.VideoStream]:
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


def frame_rate(stream: av.VideoStream) -> float | None:
    """Frames per second on average, None if nobody knows."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def promised_frames(stream: av.VideoStream, packets: list[Packet]) -> int:
    """The number of frames the header speaks of, or 0 if the packets reach its end.

    The count alone proves nothing: with an edit list fewer are shown than stored.
    """
    frames, base, fps = stream.frames, stream.time_base, frame_rate(stream)
    if base is None or not fps:
        return frames
    if stream.duration:
        end = float(((stream.start_time or 0) + stream.duration) * base)
    else:
        end = _tagged_end(stream)
    ends = [float((p.pts + p.duration) * base) for p in packets if p.pts is not None]
    if not end or not ends:
        return frames
    if end - max(ends) < 1.5 / fps:
        return 0
    start = float((stream.start_time or 0) * base)
    return frames or round((end - start) * fps)


def _tagged_end(stream: av.VideoStream) -> float:
    """Seconds at which Matroska's tag ("00:00:04.040000000") lets the stream end, else 0."""
    parts = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if parts is None:
        return 0.0
    hours, minutes, seconds = (float(part) for part in parts.groups())
    return 3600 * hours + 60 * minutes + seconds
