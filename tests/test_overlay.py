"""Pictures of poses, and files that are whole or not there."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from impose_core.errors import (
    Cancelled,
    FrameOutOfRange,
    OutputError,
    UnknownKeypoint,
    UnknownTrack,
    UsageError,
)
from impose_core.overlay import (
    OverlayStyle,
    contact_sheet,
    draw_poses,
    person_colour,
    trajectory_plot,
    write_image,
    write_video,
)
from impose_core.overlay.draw import CENTRE, LEFT, RIGHT
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton

STICK = Skeleton(
    name="stick",
    keypoints=("head", "left_hand", "right_hand", "tail"),
    edges=((0, 1), (0, 2), (0, 3)),
    flip_pairs=((1, 2),),
)
PLACES = np.array([[100.0, 30.0], [150.0, 90.0], [50.0, 90.0], [100.0, 150.0]])
QUIET = OverlayStyle(boxes=False, ids=False)


def grey(height: int = 180, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def stick(origin: Origin = Origin.PROPAGATED, frames: int = 1) -> PoseTracks:
    tracks = PoseTracks.empty(frames=frames, track_id=[7], skeleton=STICK)
    tracks.xy[:, 0] = PLACES
    tracks.visibility[:] = Visibility.VISIBLE
    tracks.origin[:] = origin
    tracks.score[:] = 1
    tracks.deviation[:] = 0
    return tracks


def colour_at(image: np.ndarray, k: int) -> list[int]:
    x, y = PLACES[k].astype(int)
    return image[y, x].tolist()


def test_joints_show_their_side_and_the_given_image_stays_as_it_was():
    image = grey()
    drawn = draw_poses(image, stick(), 0, style=QUIET)
    assert (image == 90).all()
    assert [colour_at(drawn, k) for k in range(4)] == [
        list(c) for c in (CENTRE, LEFT, RIGHT, CENTRE)
    ]


def test_a_dot_lies_on_its_joint_to_a_tenth_of_a_pixel():
    tracks = PoseTracks.empty(frames=1, track_id=[1], skeleton=Skeleton(name="p", keypoints=("p",)))
    tracks.xy[:] = (60.25, 40.5)
    tracks.visibility[:] = Visibility.VISIBLE
    drawn = draw_poses(grey(), tracks, 0, style=OverlayStyle(ids=False, scale=3)).astype(float)
    weight = np.abs(drawn - 90).sum(axis=-1)
    y, x = np.mgrid[0:180, 0:200] + 0.5
    found = (np.average(x, weights=weight), np.average(y, weights=weight))
    assert found == pytest.approx((60.25, 40.5), abs=0.1)


def test_human_points_wear_a_white_ring():
    human = draw_poses(grey(), stick(Origin.HUMAN), 0, style=QUIET)
    plain = draw_poses(grey(), stick(Origin.PROPAGATED), 0, style=QUIET)
    x, y = PLACES[1].astype(int)
    near = np.s_[y - 9 : y + 10, x - 9 : x + 10]
    assert (human[near] > 235).all(axis=-1).any()
    assert not (plain[near] > 235).all(axis=-1).any()


def test_occluded_joints_are_hollow():
    tracks = stick()
    tracks.visibility[0, 0, 3] = Visibility.OCCLUDED
    drawn = draw_poses(grey(), tracks, 0, style=OverlayStyle(boxes=False, ids=False, scale=2))
    assert colour_at(drawn, 3) != list(CENTRE)
    assert (drawn == np.array(CENTRE)).all(axis=-1)[140:160, 90:110].any()


@pytest.mark.parametrize("how", ["absent", "unknown"])
def test_absent_and_unknown_joints_leave_no_mark(how: str):
    tracks = stick()
    if how == "absent":
        tracks.visibility[0, 0, 1] = Visibility.ABSENT
    else:
        tracks.xy[0, 0, 1] = np.nan
    drawn = draw_poses(grey(), tracks, 0, style=QUIET)
    assert (drawn[60:, 120:] == 90).all()


def test_haze_grows_with_deviation():
    def marked(deviation: float) -> int:
        tracks = stick()
        tracks.deviation[:] = deviation
        return int((draw_poses(grey(), tracks, 0, style=QUIET) != 90).any(axis=-1).sum())

    assert marked(8) < marked(16) < marked(24)
    assert marked(1e30) == 180 * 200


def test_nobody_at_all_and_bodies_far_outside_are_drawn_without_fuss():
    empty = PoseTracks.empty(frames=1, track_id=[], skeleton=STICK)
    assert (draw_poses(grey(), empty, 0) == 90).all()
    unknown = PoseTracks.empty(frames=1, track_id=[1], skeleton=STICK)
    assert (draw_poses(grey(), unknown, 0) == 90).all()
    outside = stick()
    outside.xy[:] += 1e12
    outside.box[:] = (-1e12, -1e12, 1e12, 1e12)
    draw_poses(grey(), outside, 0)


def test_ids_and_boxes_are_drawn_in_the_colour_of_the_person():
    tracks = stick()
    tracks.box[0, 0] = (40, 40, 160, 165)
    drawn = draw_poses(grey(), tracks, 0)
    hue = np.array(person_colour(7))
    tag, corner = drawn[20:40, 40:60], drawn[160:170, 145:165]
    for place in (tag, corner):
        assert (np.abs(place.astype(int) - hue).max(axis=-1) < 50).any()
    assert person_colour(7) != person_colour(8)


def test_widths_follow_the_image_and_the_body():
    small, large = stick(), stick()
    large.xy[:] *= 10
    few = (draw_poses(grey(), small, 0, style=QUIET) != 90).any(axis=-1).sum()
    many = (draw_poses(grey(1800, 2000), large, 0, style=QUIET) != 90).any(axis=-1).sum()
    # ten times as long; as wide as before it would be ten times as many pixels
    assert 15 * few < many < 100 * few


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]):
    with pytest.raises(UsageError, match="'image' to be uint8"):
        draw_poses(np.zeros(shape, np.uint8), stick(), 0)


def test_frames_outside_the_ledger_are_refused():
    with pytest.raises(FrameOutOfRange, match="from 0 to 0, got 1"):
        draw_poses(grey(), stick(), 1)


def test_contact_sheet_has_its_width_and_shows_every_tile():
    tiles = [(f"tile {i}", np.full((40 + 10 * i, 80, 3), 50 * i, np.uint8)) for i in range(1, 6)]
    sheet = contact_sheet(tiles, columns=2, width=400)
    assert sheet.shape[1] == 400
    for _, tile in tiles:
        assert (sheet == tile[0, 0]).all(axis=-1).sum() > 1000


def test_contact_sheet_of_nothing_is_refused():
    with pytest.raises(UsageError, match="got 0 images"):
        contact_sheet([], columns=2, width=400)
    with pytest.raises(UsageError, match="0 columns"):
        contact_sheet([("a", grey())], columns=0, width=400)


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.jpeg"])
def test_images_come_back_as_rgb(tmp_path: Path, name: str):
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 0] = 200
    write_image(tmp_path / name, image)
    back = cv2.imread(str(tmp_path / name))[..., ::-1]
    assert np.abs(back.astype(int) - image).max() <= 4
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_unwritable_places_are_named(tmp_path: Path):
    with pytest.raises(OutputError, match=r"nowhere/a\.png"):
        write_image(tmp_path / "nowhere" / "a.png", grey())
    with pytest.raises(OutputError, match=r"nowhere/a\.mp4"):
        write_video(tmp_path / "nowhere" / "a.mp4", [grey()], 30)
    with pytest.raises(UsageError, match=r"\.png, \.jpg or \.jpeg"):
        write_image(tmp_path / "a.gif", grey())


def ramp(count: int, height: int = 48, width: int = 64) -> Iterator[np.ndarray]:
    for i in range(count):
        yield np.full((height, width, 3), 40 + 10 * i, np.uint8)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_video_comes_back_frame_by_frame(tmp_path: Path):
    path = tmp_path / "a.mp4"
    assert write_video(path, ramp(12), 30000 / 1001) == 12
    levels = [float(frame.mean()) for frame in decoded(path)]
    assert levels == pytest.approx([40 + 10 * i for i in range(12)], abs=3)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate.numerator, stream.average_rate.denominator) == (30000, 1001)
        assert stream.codec_context.pix_fmt == "yuv420p"


def test_video_keeps_its_colours(tmp_path: Path):
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 40, 40), (40, 180, 60), (50, 60, 210)
    write_video(tmp_path / "a.mp4", [image] * 3, 25)
    back = decoded(tmp_path / "a.mp4")[1].astype(int)
    for x in (16, 48, 80):
        assert np.abs(back[32, x] - image[32, x]).max() <= 6


def test_odd_sizes_get_one_more_pixel(tmp_path: Path):
    path = tmp_path / "a.mp4"
    write_video(path, ramp(3, height=47, width=63), 25)
    assert decoded(path)[0].shape == (48, 64, 3)


def test_video_falls_back_to_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx264"})
    write_video(tmp_path / "a.mp4", ramp(3), 29.97)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert len(decoded(tmp_path / "a.mp4")) == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled, GeneratorExit])
def test_an_interrupted_video_is_kept_as_far_as_it_went(tmp_path: Path, stop: type[BaseException]):
    def interrupted() -> Iterator[np.ndarray]:
        yield from ramp(5)
        raise stop("enough")

    path = tmp_path / "a.mp4"
    with pytest.raises(stop, match="enough"):
        write_video(path, interrupted(), 30)
    assert len(decoded(path)) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_failing_source_leaves_the_old_file_and_keeps_its_own_exception(tmp_path: Path):
    def failing() -> Iterator[np.ndarray]:
        yield from ramp(2)
        raise OSError("the camera fell")

    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="the camera fell"):
        write_video(path, failing(), 30)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_full_disk_is_an_output_error():
    resource = pytest.importorskip("resource")
    import signal
    import tempfile

    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are set in the main thread only")
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(30))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mp4"
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(OutputError, match=r"a\.mp4"):
                write_video(path, noise, 30)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert list(Path(folder).iterdir()) == []


def test_videos_that_cannot_be_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="one image or more"):
        write_video(tmp_path / "a.mp4", [], 30)
    with pytest.raises(UsageError, match="'fps'"):
        write_video(tmp_path / "a.mp4", ramp(2), 0)
    with pytest.raises(UsageError, match=r"\.mp4, \.mkv or \.mov"):
        write_video(tmp_path / "a.txt", ramp(2), 30)
    with pytest.raises(UsageError, match="at frame 1"):
        write_video(tmp_path / "a.mp4", [grey(), grey(90)], 30)
    assert list(tmp_path.iterdir()) == []


def test_trajectory_plot_writes_a_png(tmp_path: Path):
    pytest.importorskip("matplotlib")
    tracks = stick(frames=30)
    tracks.deviation[:] = 2
    tracks.origin[::10] = Origin.HUMAN
    tracks.xy[15, 0, 1] = np.nan
    path = tmp_path / "a.png"
    trajectory_plot(path, tracks, track_id=7, keypoints=["head", "left_hand"], truth=tracks)
    assert cv2.imread(str(path)).std() > 5


def test_trajectory_plot_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.png"
    with pytest.raises(UnknownTrack):
        trajectory_plot(path, stick(), track_id=8, keypoints=["head"])
    with pytest.raises(UnknownKeypoint):
        trajectory_plot(path, stick(), track_id=7, keypoints=["wing"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        trajectory_plot(path, stick(), track_id=7, keypoints=["head"])
    assert caught.value.hint == "pip install impose[plots]"
