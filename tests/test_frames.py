from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from media import (
    CLOCKWISE,
    MIRRORED,
    cut_off,
    number_of,
    numbered_frame,
    numbered_frames,
    set_display_matrix,
    trim_start,
    write_video,
)
from numpy.typing import NDArray

from impose_core.errors import FrameOutOfRange, MediaError
from impose_core.frames import ArrayFrames, FrameSource, ImageFolder, VideoFile, open_frames

COUNT = 60
B_FRAMES = {"bf": "2", "g": "12"}
OPEN_GOP = {"bf": "3", "g": "12", "x264-params": "open-gop=1:keyint=12"}
IRREGULAR = np.cumsum(random.Random(0).choices([3, 17, 40, 41, 90, 250], k=COUNT)).tolist()
LATE = [7000 + 40 * index for index in range(COUNT)]

VIDEOS: dict[str, dict[str, object]] = {
    "mpeg4-b.mp4": {"codec": "mpeg4", "options": B_FRAMES},
    "h264-b.mp4": {"options": B_FRAMES},
    "h264-b.mkv": {"options": B_FRAMES},
    "irregular.mp4": {"options": B_FRAMES, "pts": IRREGULAR},
    "irregular.mkv": {"options": B_FRAMES, "pts": IRREGULAR},
    "late.mp4": {"options": B_FRAMES, "pts": LATE},
    "late.mkv": {"options": B_FRAMES, "pts": LATE},
    "intra.mp4": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "gop250.mp4": {"options": {"bf": "3", "g": "250"}},
    "open-gop.mp4": {"options": OPEN_GOP},
    "open-gop.ts": {"options": OPEN_GOP},
    "hevc.mkv": {"codec": "libx265", "options": {"g": "12", "x265-params": "log-level=none"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "deadline": "realtime"}},
    "refresh.mp4": {"options": {"g": "12", "x264-params": "intra-refresh=1:keyint=12"}},
    "fragments.mp4": {
        "options": B_FRAMES,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "mpeg2.mpg": {"codec": "mpeg2video", "options": B_FRAMES},
    "xvid.avi": {"codec": "mpeg4", "options": B_FRAMES},
    "guessed-times.avi": {"options": B_FRAMES},
    "no-times.h264": {"options": B_FRAMES},
    "rgb.avi": {"codec": "ffv1", "pix_fmt": "bgr0"},
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="session")
def clip(folder: Path) -> Path:
    return write_video(folder / "clip.mp4", numbered_frames(COUNT), options=B_FRAMES)


def sequential(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def assert_exact(path: Path, seed: int, **arguments: int) -> None:
    expected = sequential(path)
    order = list(range(len(expected)))
    random.Random(seed).shuffle(order)
    with VideoFile(path, **arguments) as video:
        assert len(video) == len(expected)
        for index in order:
            np.testing.assert_array_equal(video.read(index), expected[index])


@pytest.mark.parametrize("name", VIDEOS)
def test_any_frame_in_any_order_is_the_frame_of_a_sequential_decode(
    folder: Path, name: str
) -> None:
    path = write_video(folder / name, numbered_frames(COUNT), **VIDEOS[name])  # type: ignore[arg-type]
    with VideoFile(path) as video:
        assert [number_of(video.read(index)) for index in range(COUNT)] == list(range(COUNT))
        counted = name in ("guessed-times.avi", "no-times.h264")
        assert bool(video.notes) == counted, video.notes
    assert_exact(path, seed=1)
    assert_exact(path, seed=2, cache_bytes=0)


def test_an_edit_list_hides_the_frames_before_it(folder: Path, clip: Path) -> None:
    path = folder / "trimmed.mp4"
    path.write_bytes(clip.read_bytes())
    trim_start(path, Fraction(17, 25))
    with VideoFile(path) as video:
        assert [number_of(video.read(index)) for index in range(len(video))] == list(range(17, 60))
        assert video.notes == ()
    assert_exact(path, seed=3, cache_bytes=0)


def test_a_seek_that_lands_wrong_costs_time_but_not_the_frame(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VideoFile(clip, cache_bytes=0) as video:
        late = video._index.pts[-1]
        real = video._container

        class Late:
            def seek(self, offset: int, **arguments: object) -> None:
                real.seek(late, **arguments)  # type: ignore[arg-type]

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

        monkeypatch.setattr(video, "_container", Late())
        assert number_of(video.read(30)) == 30


def test_size_and_rate_are_known(clip: Path) -> None:
    with open_frames(clip) as video:
        assert (video.name, video.width, video.height, video.fps) == ("clip.mp4", 96, 64, 25.0)


def test_frames_are_read_only(clip: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 6, 3), np.uint8))
    sources: list[FrameSource] = [
        VideoFile(clip),
        ImageFolder(tmp_path),
        ArrayFrames(np.zeros((1, 4, 6, 3), np.uint8)),
        ArrayFrames(np.zeros((1, 4, 6), np.uint8)),
    ]
    for source in sources:
        with source:
            image = source.read(0)
            assert image.shape == (source.height, source.width, 3)
            assert image.dtype == np.uint8
            assert image.flags.c_contiguous
            with pytest.raises(ValueError, match="read-only"):
                image[0] = 0


@pytest.mark.parametrize("degrees", CLOCKWISE)
def test_a_phone_video_is_turned_as_opencv_turns_it(tmp_path: Path, degrees: int) -> None:
    # Stored turned the other way, so that a player shows the numbers upright.
    stored = [np.rot90(frame, degrees // 90).copy() for frame in numbered_frames(5)]
    path = set_display_matrix(write_video(tmp_path / "phone.mp4", stored), CLOCKWISE[degrees])
    player = cv2.VideoCapture(str(path))
    with VideoFile(path) as video:
        assert (video.width, video.height) == (96, 64)
        for index in range(5):
            assert number_of(video.read(index)) == index
            np.testing.assert_array_equal(video.read(index), player.read()[1][..., ::-1])
    player.release()


def test_a_mirrored_video_is_mirrored_back(tmp_path: Path) -> None:
    stored = [frame[:, ::-1].copy() for frame in numbered_frames(3)]
    path = set_display_matrix(write_video(tmp_path / "selfie.mp4", stored), MIRRORED)
    with VideoFile(path) as video:
        assert [number_of(video.read(index)) for index in range(3)] == [0, 1, 2]


def test_reading_on_decodes_each_frame_once(clip: Path) -> None:
    with VideoFile(clip, cache_bytes=0) as video:
        before = video.decoded
        for index in range(COUNT):
            video.read(index)
        assert video.decoded - before <= COUNT + 16  # what opening decoded of the head


@pytest.mark.parametrize(("held", "decodes"), [(COUNT, 1), (20, 2.5)])
def test_reading_backwards_is_not_quadratic(tmp_path: Path, held: int, decodes: float) -> None:
    path = write_video(tmp_path / "long.mp4", numbered_frames(COUNT), options={"g": "250"})
    one = 96 * 64 * 3 // 2 * 2  # rows are padded
    with VideoFile(path, cache_bytes=held * one) as video:
        before = video.decoded
        for index in reversed(range(COUNT)):
            assert number_of(video.read(index)) == index
        assert video.decoded - before <= decodes * COUNT  # COUNT² / 2 without a cache: 30


def test_jumping_decodes_from_the_nearest_keyframe(clip: Path) -> None:
    with VideoFile(clip, cache_bytes=0) as video:
        for index in (50, 3, 37, 12):
            before = video.decoded
            video.read(index)
            assert video.decoded - before <= 12


def test_the_cache_never_exceeds_its_bytes(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 100_000
    with VideoFile(clip, cache_bytes=limit) as video:
        cache, used = video._cache, []
        put = cache.put

        def watched(index: int, image: np.ndarray) -> None:
            put(index, image)
            used.append(cache.used)
            assert cache.used == sum(image.nbytes for image in cache._held.values())

        monkeypatch.setattr(cache, "put", watched)
        for index in random.Random(0).choices(range(COUNT), k=80):
            video.read(index)
        assert limit / 2 < max(used) <= limit


# --- damage -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
@pytest.mark.parametrize("options", [{"bf": "0", "g": "12"}, B_FRAMES])
def test_a_truncated_video_is_used_as_far_as_it_goes(
    tmp_path: Path, name: str, options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    front = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = tmp_path / name
    write_video(path, numbered_frames(COUNT), options=options, container_options=front)
    cut_off(path, 0.6)
    with VideoFile(path) as video:
        count = len(video)
        assert 20 < count < 45
        assert [number_of(video.read(index)) for index in range(count)] == list(range(count))
        assert video.notes == (
            f"{name}: {count} of 60 frames decode; the rest of the file is truncated or damaged.",
        )
        assert video.notes[0] in caplog.messages


def scratched(clip: Path, path: Path, *, packet: int) -> Path:
    """``clip`` with everything from ``packet`` to the fourth keyframe (frame 36) destroyed."""
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    start = packets[packet].pos
    stop = [packet for packet in packets if packet.is_keyframe][3].pos
    data = bytearray(clip.read_bytes())
    data[start:stop] = b"\xff" * (stop - start)
    path.write_bytes(data)
    return path


def test_damaged_frames_are_named_and_do_not_shift_the_others(clip: Path, tmp_path: Path) -> None:
    with VideoFile(scratched(clip, tmp_path / "scratched.mp4", packet=14)) as video:
        assert len(video) == COUNT
        assert "frames are damaged, the first of them 1" in video.notes[0]
        assert [number_of(video.read(index)) for index in range(36, COUNT)] == [*range(36, COUNT)]
        with pytest.raises(MediaError, match=r"Expected frame 20 of .*scratched.mp4 to decode"):
            video.read(20)


def test_damage_where_opening_does_not_look_is_told_at_the_read(clip: Path, tmp_path: Path) -> None:
    with VideoFile(scratched(clip, tmp_path / "later.mp4", packet=26)) as video:
        assert (len(video), video.notes) == (COUNT, ())
        for _ in range(2):
            with pytest.raises(MediaError, match=r"Expected frame 30 of .*later.mp4 to decode"):
                video.read(30)
        for index in (20, 40, 59):
            assert number_of(video.read(index)) == index


# --- what is not a video ------------------------------------------------------------------


def audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


def test_what_is_no_video_is_told(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video " * 100)
    (tmp_path / "text.txt").write_text("no video " * 100)
    (tmp_path / "list.ffconcat").write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    audio(tmp_path / "song.m4a")
    for name, message in {
        "gone.mp4": "got nothing that can be read there",
        "text.mp4": "to be a video, got: Invalid data",
        "text.txt": "got a text file or a playlist",
        "list.ffconcat": "got a text file or a playlist|got: ",
        "empty.mp4": "to be a video, got: ",
        "song.m4a": "to have a video stream that can be decoded, got audio",
    }.items():
        with pytest.raises(MediaError, match=message) as error:
            open_frames(tmp_path / name)
        assert name in str(error.value)


def test_a_video_without_a_frame_is_told(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "none.mp4"
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    stop = data.index(b"moov") - 4
    data[start:stop] = b"\xff" * (stop - start)
    path.write_bytes(data)
    with pytest.raises(MediaError, match="at least one frame that decodes, got none from 60"):
        VideoFile(path)


@pytest.mark.parametrize("index", [-1, 60, 10**9])
def test_an_index_outside_the_video_is_told(clip: Path, index: int) -> None:
    with (
        VideoFile(clip) as video,
        pytest.raises(FrameOutOfRange, match=rf"'index' to be 0 to 59 in clip.mp4, got {index}\."),
    ):
        video.read(index)


def test_a_closed_source_says_so(clip: Path) -> None:
    with VideoFile(clip) as video:
        pass
    with pytest.raises(MediaError, match=r"Expected clip.mp4 to be open"):
        video.read(0)


# --- images -------------------------------------------------------------------------------


def test_images_come_in_natural_order_and_nothing_else_does(tmp_path: Path) -> None:
    folder = tmp_path / "bilder für Ä"
    folder.mkdir()
    names = ["frame2.png", "Frame10.PNG", "frame100.png", "frame9.bmp", "日本1.png"]
    for name in names:
        number = int("".join(c for c in name if c in "0123456789"))
        _, data = cv2.imencode(".png", numbered_frame(number)[..., ::-1])
        data.tofile(folder / name)
    (folder / "frame2.json").write_text(json.dumps({"shapes": []}))
    (folder / "._frame1.png").write_bytes(b"what macOS leaves behind")
    (folder / "frame3.png").mkdir()
    with open_frames(folder) as images:
        assert isinstance(images, ImageFolder)
        assert images.file_names == (
            "frame2.png",
            "frame9.bmp",
            "Frame10.PNG",
            "frame100.png",
            "日本1.png",
        )
        assert [number_of(images.read(i)) for i in range(5)] == [2, 9, 10, 100, 1]
        assert (images.fps, images.name, images.notes) == (None, folder.name, ())
        assert images.read(0) is images.read(0)


def test_one_image_is_a_folder_of_one(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(tmp_path / name), numbered_frame(5)[..., ::-1])
    with open_frames(tmp_path / "b.jpg") as image:
        assert (len(image), image.name, number_of(image.read(0))) == (1, "b.jpg", 5)


def test_deep_grey_and_transparent_images_become_eight_bit_rgb(tmp_path: Path) -> None:
    grey16 = np.full((4, 6), 200 << 8, np.uint16)
    grey8 = np.full((4, 6), 200, np.uint8)
    clear = np.dstack([np.full((4, 6, 3), 200, np.uint8), np.zeros((4, 6), np.uint8)])
    for name, image in {"a.png": grey16, "b.tif": grey8, "c.png": clear}.items():
        cv2.imwrite(str(tmp_path / name), image)
    with ImageFolder(tmp_path) as images:
        for index in range(3):
            np.testing.assert_array_equal(images.read(index), np.full((4, 6, 3), 200))


def test_the_orientation_in_exif_is_honoured(tmp_path: Path) -> None:
    _, data = cv2.imencode(".jpg", np.rot90(numbered_frame(5))[..., ::-1])
    # one little-endian IFD entry: tag 0x112 (orientation), SHORT, 1 value, 6 (turn clockwise)
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    exif = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2, "big") + b"Exif\0\0" + tiff
    (tmp_path / "a.jpg").write_bytes(data.tobytes()[:2] + exif + data.tobytes()[2:])
    with ImageFolder(tmp_path) as images:
        assert (images.width, images.height) == (96, 64)
        assert number_of(images.read(0)) == 5


def test_bad_images_are_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"Expected .* to be a folder with images"):
        ImageFolder(tmp_path)
    with pytest.raises(MediaError, match=r"gone.png"):
        open_frames(tmp_path / "gone.png")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 6, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((5, 7, 3), np.uint8))
    (tmp_path / "c.png").write_bytes(b"no image")
    (tmp_path / "d.png").write_bytes(b"")
    with ImageFolder(tmp_path) as images:
        with pytest.raises(MediaError, match=r"size of a.png, 6×4 pixels, got 7×5 in b.png"):
            images.read(1)
        with pytest.raises(MediaError, match=r"c.png to be an image, got 8 bytes"):
            images.read(2)
        with pytest.raises(MediaError, match=r"d.png to be an image, got 0 bytes"):
            images.read(3)
        with pytest.raises(FrameOutOfRange, match=r"0 to 3 in .*, got 4"):
            images.read(4)


def test_the_image_cache_is_bounded(tmp_path: Path) -> None:
    for index in range(6):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((4, 6, 3), index, np.uint8))
    with ImageFolder(tmp_path, cache_bytes=3 * 4 * 6 * 3) as images:
        for index in (0, 5, 1, 4, 2, 3, 0):
            assert images.read(index)[0, 0, 0] == index
            assert images._cache.used <= images._cache.limit


# --- arrays -------------------------------------------------------------------------------


def test_arrays_are_frames_without_a_copy() -> None:
    array = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    frames = ArrayFrames(array, fps=50.0)
    assert (len(frames), frames.width, frames.height, frames.fps) == (2, 6, 4, 50.0)
    assert np.shares_memory(frames.read(1), array)
    grey = ArrayFrames(array[..., 0])
    np.testing.assert_array_equal(grey.read(1), np.repeat(array[1, :, :, :1], 3, axis=2))
    assert array.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 6, 4), np.uint8),
        np.zeros((2, 4, 6, 3), np.float32),
        np.zeros((4, 6), np.uint8),
        np.zeros((0, 4, 6, 3), np.uint8),
    ],
)
def test_an_array_of_another_kind_is_told(array: NDArray[np.uint8]) -> None:
    with pytest.raises(MediaError, match=rf"got {array.dtype} \[{array.shape[0]}, "):
        ArrayFrames(array)
