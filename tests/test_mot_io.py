import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impose_core.errors import BadDocument, ImposeError
from impose_core.io.mot import read_mot_labels, read_mot_predictions

TRUTH = "1,7,100,200,70,180,1,-1,-1,-1\n3,7,110,200,70,180,1,-1,-1,-1\n3,2,1,2,3,4,1,-1,-1,-1\n"


def _info():
    region = {"ignore_regions_x": [[0, 9, 9]], "ignore_regions_y": [[0, 0, 9]]}
    return [
        {"file_name": "a/000000.jpg", "frame_index": 1, **region},
        {"frame_index": 3, "ignore_regions_x": [], "ignore_regions_y": []},
        {"frame_index": 2, "ignore_regions_x": [], "ignore_regions_y": []},
    ]


def _write(folder, truth=TRUTH, info=None, name="000001_bonn"):
    (folder / name / "gt").mkdir(parents=True, exist_ok=True)
    (folder / name / "gt/gt.txt").write_text(truth)
    (folder / name / "image_info.json").write_text(json.dumps(_info() if info is None else info))
    return folder


def test_labels(tmp_path):
    poses = read_mot_labels(_write(tmp_path))
    assert poses.keypoints == ()
    (sequence,) = poses.sequences
    assert sequence.name == "000001_bonn"
    first, second, third = sequence.frames
    assert [frame.index for frame in sequence.frames] == [0, 1, 2]
    assert all(frame.labelled for frame in sequence.frames)
    assert first.file_name == "a/000000.jpg"
    assert [region.tolist() for region in first.ignore_regions] == [[[0, 0], [9, 0], [9, 9]]]
    assert first.instances.box.tolist() == [[100, 200, 170, 380]]
    assert first.instances.xy.shape == (1, 0, 2)
    assert len(second.instances) == 0
    assert third.instances.track_id.tolist() == [7, 2]


def test_one_video_or_a_folder_of_them(tmp_path):
    _write(_write(tmp_path), name="000002_bonn")
    names = [sequence.name for sequence in read_mot_labels(tmp_path).sequences]
    assert names == ["000001_bonn", "000002_bonn"]
    (sequence,) = read_mot_labels(tmp_path / "000002_bonn").sequences
    assert sequence.name == "000002_bonn"


def test_predictions(tmp_path):
    (tmp_path / "b.txt").write_text("2, 3.0, 1.5, 2, 3, 4, 0.25\n\n1,9,0,0,1,1,-0.5,-1,-1,-1\n")
    (tmp_path / "notes.md").write_text("")
    for path in (tmp_path, tmp_path / "b.txt"):
        (sequence,) = read_mot_predictions(path).sequences
        assert sequence.name == "b"
        first, second = sequence.frames
        assert (first.index, first.instances.track_id.tolist()) == (0, [9])
        assert second.instances.track_id.tolist() == [3]
        assert second.instances.score.tolist() == [0.25]
        assert second.instances.box.tolist() == [[1.5, 2, 4.5, 6]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,4,5", r"'line 2' to be 7 numbers or more, with commas \(frame, id, left"),
        ("1,2,3,4,5,6,x", "'line 2, confidence' to be a number, got 'x'"),
        ("1,2,nan,4,5,6,1", "'line 2, left' to be a finite number, got nan"),
        ("1,2,3,inf,5,6,1", "'line 2, top' to be a finite number, got inf"),
        ("1,2,3,4,-5,6,1", "'line 2, width' to be ≥ 0 and ≤ 1e\\+06, got -5.0"),
        ("1,2,3,4,5,-6,1", "'line 2, height' to be ≥ 0 and ≤ 1e\\+06, got -6.0"),
        ("1,2,3e7,4,5,6,1", "'line 2, left' to be ≥ -1e\\+06 and ≤ 1e\\+06, got 30000000.0"),
        ("0,2,3,4,5,6,1", "'line 2, frame' to be an integer from 1 to"),
        ("1.5,2,3,4,5,6,1", "'line 2, frame' to be an integer from 1 to"),
        ("1,-1,3,4,5,6,1", "'line 2, id' to be an integer from 0 to"),
        ("1,7,3,4,5,6,1", r"'line 2, id' to be unique in its frame \(so has line 1\), got 7"),
    ],
)
def test_errors_name_file_line_and_column(tmp_path, line, message):
    text = "1,7,100,200,70,180,1\n" + line
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadDocument, match=rf"In '.*a\.txt': Expected {message}"):
        read_mot_predictions(tmp_path)
    with pytest.raises(BadDocument, match=rf"In '.*gt\.txt': Expected {message}"):
        read_mot_labels(_write(tmp_path / "truth", text))


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("4,7,1,2,3,4,1", r"'line 1, frame' to be one of those image_info\.json lists, got 4"),
        ("1,7,1,2,3,4,0", "'line 1, confidence' to be 1, as in PoseTrack21, got 0.0"),
    ],
)
def test_errors_of_labels_alone(tmp_path, truth, message):
    with pytest.raises(BadDocument, match=rf"In '.*gt\.txt': Expected {message}"):
        read_mot_labels(_write(tmp_path, truth))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_index": None}, r"'images\[1\]\.frame_index' to be an integer ≥ 1"),
        ({"frame_index": 0}, r"'images\[1\]\.frame_index' to be an integer ≥ 1"),
        ({"frame_index": 2}, r"'images\[2\]\.frame_index' to be unique"),
        ({"file_name": 3}, r"'images\[1\]\.file_name' to be a name, got 3"),
        ({"ignore_regions_x": [[1, 2, 3]]}, r"ignore_regions_y' to be a list of 1 polygons"),
    ],
)
def test_errors_of_image_info(tmp_path, change, message):
    info = _info()
    info[1].update(change)
    with pytest.raises(BadDocument, match=rf"In '.*image_info\.json': Expected .*{message}"):
        read_mot_labels(_write(tmp_path, info=info))


def test_what_is_not_there(tmp_path):
    with pytest.raises(BadDocument, match="to hold folders of videos, got none"):
        read_mot_labels(tmp_path)
    with pytest.raises(BadDocument, match=r"to hold files called \*\.txt, got none"):
        read_mot_predictions(tmp_path)
    with pytest.raises(BadDocument, match="to be a folder, got: No such file"):
        read_mot_labels(tmp_path / "nowhere")
    with pytest.raises(BadDocument, match="to be a readable file, got: No such file"):
        read_mot_predictions(tmp_path / "nowhere.txt")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe1")
    with pytest.raises(BadDocument, match="to be UTF-8 text, got"):
        read_mot_predictions(tmp_path)


CELL = st.floats().map(str) | st.integers(-3, 5).map(str) | st.text(max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.lists(CELL, min_size=6, max_size=8), max_size=3))
def test_any_text_is_read_or_refused_in_words(rows):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "a.txt"
        file.write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
        try:
            poses = read_mot_predictions(file)
        except ImposeError:
            return
    for _, frame in poses:
        assert np.isfinite(frame.instances.box).all()
        assert np.isfinite(frame.instances.score).all()
