"""YOLO-pose as others write it, and what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from impose_core.errors import BadDocument, UsageError
from impose_core.io.yolo_pose import read_yolo_pose
from impose_core.poses import Visibility

NAMES = ("head", "hand")


def folder(tmp_path: Path, labels: str, ids: str | None = None) -> Path:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text(labels)
    if ids is not None:
        (tmp_path / "ids").mkdir()
        (tmp_path / "ids" / "a.txt").write_text(ids)
    return tmp_path


def read(place: Path):  # type: ignore[no-untyped-def]
    return read_yolo_pose(place, keypoints=NAMES, images=["a.jpg", "b.jpg"], size=(200, 100))


def test_shares_of_the_image_become_pixels(tmp_path: Path) -> None:
    document, images = read(folder(tmp_path, "0 .5 .5 .2 .4 .25 .5 2 0 0 0\n", "9\n"))
    tracks = document.tracks
    assert images == ["a.jpg", "b.jpg"]
    assert tracks.track_id.tolist() == [9]
    assert tracks.xy[0, 0, 0].tolist() == [50.0, 50.0]
    assert np.isnan(tracks.xy[0, 0, 1]).all()
    assert tracks.visibility[0, 0].tolist() == [Visibility.VISIBLE, Visibility.ABSENT]
    assert np.allclose(tracks.box[0, 0], [80, 30, 120, 70])
    assert document.extra.listed == (0,)  # b.jpg has no file


def test_without_ids_the_line_tells_persons_apart(tmp_path: Path) -> None:
    line = "0 .5 .5 .2 .4 .25 .5 2 .5 .5 1\n"
    document, _ = read(folder(tmp_path, line * 2))
    assert document.tracks.track_id.tolist() == [1, 2]
    assert document.tracks.visibility[0, 0, 1] == Visibility.OCCLUDED


@pytest.mark.parametrize(
    ("labels", "ids", "names"),
    [
        ("0 .5 .5\n", None, "line 1"),
        ("0 .5 .5 .2 .4 x .5 2 0 0 0\n", None, "line 1, number 6"),
        ("0 .5 .5 .2 .4 nan .5 2 0 0 0\n", None, "finite"),
        ("0 .5 .5 .2 .4 .5 .5 2 0 0 0\n", "1\n2\n", "lines"),
        ("0 .5 .5 .2 .4 .5 .5 2 0 0 0\n", "-1\n", "ids, line 1"),
        ("0 .5 .5 .2 .4 .5 .5 2 0 0 0\n" * 2, "1\n1\n", "unique"),
        ("é\n", None, "a.txt"),
    ],
)
def test_what_is_none_is_refused_by_line(
    tmp_path: Path, labels: str, ids: str | None, names: str
) -> None:
    with pytest.raises(BadDocument, match=names):
        read(folder(tmp_path, labels, ids))


def test_what_nobody_says_is_asked_for(tmp_path: Path) -> None:
    place = folder(tmp_path, "0 .5 .5 .2 .4 .5 .5 2 0 0 0\n")
    (place / "data.yaml").write_text("kpt_shape: [2, 3]\n")
    with pytest.raises(UsageError, match="keypoints"):
        read_yolo_pose(place)
