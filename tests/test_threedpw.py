import ast
import pickle
import re
import sys
import types
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impose_core.errors import BadDocument, ImposeError
from impose_core.io.threedpw import read_threedpw
from impose_core.skeleton import COCO17

PAGE = Path(__file__).resolve().parents[1] / "docs/3dpw.md"


def arrays(**changed):
    """Two frames, two persons, three keypoints; person 4 has no camera on frame 1."""
    xy = np.arange(24.0).reshape(2, 2, 3, 2)
    visibility = np.full((2, 2, 3), 2)
    visibility[0, 0, 1] = 0
    visibility[1, 0] = 0
    xy[visibility == 0] = np.nan
    box = np.tile([0.0, 0.0, 10.0, 20.0], (2, 2, 1))
    box[1, 0] = np.nan
    return {
        "name": np.array("downtown_walk"),
        "keypoints": np.array(["a", "b", "c"]),
        "track_id": np.array([4, 2]),
        "xy": xy,
        "visibility": visibility,
        "box": box,
        "size": np.array([1920, 1080]),
        **changed,
    }


@pytest.fixture
def written(tmp_path):
    def write(file="walk.npz", **changed):
        found = {key: value for key, value in arrays(**changed).items() if value is not None}
        np.savez(tmp_path / file, **found)
        return tmp_path / file

    return write


def test_a_person_is_where_the_box_is(written):
    found = read_threedpw(written())
    assert found.keypoints == ("a", "b", "c")
    (sequence,) = found.sequences
    assert (sequence.name, sequence.width, sequence.height) == ("downtown_walk", 1920, 1080)
    first, second = (frame.instances for frame in sequence.frames)
    assert first.track_id.tolist() == [4, 2]
    assert second.track_id.tolist() == [2]
    assert first.visibility.tolist() == [[2, 0, 2], [2, 2, 2]]
    assert first.xy[0, 0].tolist() == [0, 1]
    assert np.isnan(first.xy[0, 1]).all()
    assert first.area.tolist() == pytest.approx([0.53 * 200] * 2)


def test_a_frame_without_any_camera_is_not_labelled(written):
    nowhere = written(box=np.full((2, 2, 4), np.nan), visibility=np.zeros((2, 2, 3), int))
    frames = read_threedpw(nowhere).sequences[0].frames
    assert [frame.labelled for frame in frames] == [False, False]


def test_a_folder_is_read_in_natural_order(written):
    written("s10.npz", name="ten")
    folder = written("s9.npz", name="nine").parent
    (folder / "README.txt").touch()
    assert [one.name for one in read_threedpw(folder).sequences] == ["nine", "ten"]
    written("s11.npz", name="ten")
    with pytest.raises(BadDocument, match=r"s11\.npz.*'name' to be unique"):
        read_threedpw(folder)
    written("s10.npz", keypoints=np.array(["a", "b", "d"]))
    with pytest.raises(BadDocument, match=r"s10\.npz.*'keypoints' to be.*as in the files before"):
        read_threedpw(folder)


def test_a_folder_must_hold_sequences(tmp_path):
    with pytest.raises(BadDocument, match=r"\.npz files, got none"):
        read_threedpw(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"xy": None}, "an array 'xy'"),
        ({"xy": np.zeros((2, 2, 3))}, r"'xy' to have shape \[T, N, K, 2\]"),
        ({"xy": np.zeros((2, 2, 3, 2), int)}, "'xy' to be floats"),
        ({"xy": np.zeros((0, 2, 3, 2))}, "'xy' to have shape"),
        ({"visibility": np.zeros((2, 2, 4), int)}, r"'visibility' to have shape \[2, 2, 3\]"),
        ({"visibility": np.full((2, 2, 3), 3)}, r"'visibility' at \[0, 0, 0\] to be 0, 1 or 2"),
        (
            {"xy": np.zeros((2, 2, 3, 2)), "visibility": np.full((2, 2, 3), 2)},
            r"'box' at \[1, 0\] to be given",
        ),
        ({"visibility": np.zeros((2, 2, 3))}, "'visibility' to be integers"),
        ({"xy": np.full((2, 2, 3, 2), np.nan)}, r"'xy' at \[0, 0, 0, 0\] to be finite"),
        ({"xy": np.full((2, 2, 3, 2), np.inf)}, r"'xy' at \[0, 0, 0, 0\] to be finite"),
        ({"box": np.full((2, 2, 4), np.inf)}, r"'box' at \[0, 0, 0\] to be all NaN, or"),
        ({"box": np.tile([5.0, 0, 4, 9], (2, 2, 1))}, r"'box' at \[0, 0, 0\] to be all NaN, or"),
        ({"box": np.tile([5.0, 0, np.nan, 9], (2, 2, 1))}, "'box' at"),
        ({"track_id": np.array([1, 1])}, "'track_id' to be unique"),
        ({"track_id": np.array([-1, 1])}, "'track_id' to be ≥ 0"),
        ({"track_id": np.array([2**64 - 1, 1], np.uint64)}, "'track_id' to be ≥ 0"),
        ({"keypoints": np.array(["a", "a", "c"])}, "'keypoints' to be unique"),
        ({"keypoints": np.array(["a", "", "c"])}, "an empty one"),
        ({"keypoints": np.array([2**31 - 1, 1, 2], np.uint32).view("U1")}, "numpy.savez"),
        ({"name": np.array(["walk"])}, r"'name' to have shape \[\]"),
        ({"name": np.array(3)}, "'name' to be text"),
        ({"size": np.array([1920, 0])}, "'size' to be in pixels"),
        ({"keypoints": np.array(["a", "b", "c"], object)}, "allow_pickle"),
    ],
)
def test_errors_name_file_and_array(written, changed, message):
    with pytest.raises(BadDocument, match=message) as error:
        read_threedpw(written(**changed))
    assert "walk.npz" in error.value.message


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.longdouble, ">f8"])
def test_any_float_will_do(written, kind):
    path = written(xy=arrays()["xy"].astype(kind))
    assert read_threedpw(path).sequences[0].frames[0].instances.xy[0, 0].tolist() == [0, 1]


def test_what_no_double_holds_is_not_finite(written):
    xy = arrays()["xy"].astype(np.longdouble)
    xy[0, 1] = np.longdouble("1e4000")
    with pytest.raises(BadDocument, match=r"'xy' at \[0, 1, 0, 0\] to be finite"):
        read_threedpw(written(xy=xy))


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(pickle.dumps({"xy": 1}))
    with pytest.raises(BadDocument, match=r"a\.npz.*numpy.savez"):
        read_threedpw(path)
    with pytest.raises(BadDocument, match=r"b\.npz"):
        read_threedpw(tmp_path / "b.npz")


EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=3
)


def _edited(data, edits):
    for share, length, more in edits:
        start = int(share * len(data))
        data = data[:start] + more + data[start + length :]
    return data


@given(edits=EDITS, member=st.none() | st.sampled_from(sorted(arrays())))
def test_no_damage_gets_through_as_nonsense(tmp_path_factory, edits, member):
    path = tmp_path_factory.mktemp("fuzz") / "a.npz"
    np.savez(path, **arrays())
    if member is None:
        path.write_bytes(_edited(path.read_bytes(), edits))
    else:  # an archive that is sound, so that the damage is not found by its checksum
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members[f"{member}.npy"] = _edited(members[f"{member}.npy"], edits)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    try:
        found = read_threedpw(path)
    except ImposeError:
        return
    for _, frame in found:
        people = frame.instances
        assert np.isfinite(people.box).all()
        assert np.isfinite(people.xy[people.visibility > 0]).all()


class _Tensor(np.ndarray):
    """What the recipe asks of a tensor."""

    def expand(self, rows, _):
        return np.broadcast_to(self, (rows, *self.shape))

    def numpy(self):
        return np.asarray(self)


class _Ignored:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def _stand_ins(monkeypatch):
    """A body whose 6890 vertices all stand where it is moved to, the k-th one k cm to the right."""
    torch = types.ModuleType("torch")
    torch.float32 = np.float32
    torch.tensor = lambda values, dtype: np.asarray(values, dtype).view(_Tensor)
    torch.no_grad = _Ignored
    smplx = types.ModuleType("smplx")

    def create(_models, _kind, gender):
        assert gender in ("male", "female")

        def body(betas, global_orient, body_pose, transl):
            assert betas.shape == (len(transl), 10)
            assert (global_orient.shape[1], body_pose.shape[1]) == (3, 69)
            right = np.arange(6890)[None, :, None] * np.array([0.01, 0.0, 0.0])
            vertices = (np.asarray(transl)[:, None] + right).view(_Tensor)
            return types.SimpleNamespace(vertices=vertices)

        return body

    smplx.create = create
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "smplx", smplx)


def test_the_recipe_of_the_page_writes_what_is_read(tmp_path, monkeypatch):
    (recipe,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    _stand_ins(monkeypatch)
    moved = np.zeros((3, 3))
    moved[:, 2] = 2.0  # two metres ahead
    sequence = {
        "sequence": "lab",
        "genders": ["m", "f"],
        "poses": [np.zeros((3, 72))] * 2,
        "betas": [np.zeros(10)] * 2,
        "trans": [moved, moved + np.array([50.0, 0, 0])],
        "cam_poses": np.tile(np.eye(4), (3, 1, 1)),
        "cam_intrinsics": np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]]),
        "campose_valid": [np.array([1, 1, 0]), np.array([1, 1, 0])],
    }
    (tmp_path / "lab.pkl").write_bytes(pickle.dumps(sequence))
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images/image_00000.jpg"), np.zeros((48, 64, 3), np.uint8))
    np.save(tmp_path / "regressor.npy", np.eye(17, 6890))
    arguments = ("lab.pkl", "images", "smpl", "regressor.npy", "")
    monkeypatch.setattr(sys, "argv", ["project_3dpw.py", *(str(tmp_path / a) for a in arguments)])
    exec(compile(ast.parse(recipe), "3dpw.md", "exec"), {})
    found = read_threedpw(tmp_path / "lab.npz")
    assert found.keypoints == COCO17.keypoints
    (lab,) = found.sequences
    assert [frame.labelled for frame in lab.frames] == [True, True, False]
    here, there = lab.frames[0].instances.xy, lab.frames[0].instances.visibility
    # k cm at two metres are k / 2 pixels from the centre
    expected = np.array([[32 + k / 2, 24] for k in range(17)])
    assert here[0] == pytest.approx(expected, abs=1e-4)
    assert there.tolist() == [[2] * 17, [0] * 17]
    assert lab.frames[0].instances.box[0].tolist() == pytest.approx([32, 24, 40, 24], abs=1e-4)
