"""MoveNet here is MoveNet there: torch against TensorFlow's numbers, onnxruntime against both.

The golden arrays were computed by TensorFlow 2.15 (CPU, float32) from the published graphs. One
crop of them lies in ``tests/data/movenet``; all of them in ``../shared/golden/movenet``, where
there is one. The decoders below repeat the published graphs' own, to compare with their answers;
they are no part of the product.
"""

import runpy
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from scipy.ndimage import maximum_filter
from scipy.special import expit

from impose_core.errors import IncompatibleCheckpoint, UsageError
from impose_core.weights import read_weights

DATA = Path(__file__).parent / "data" / "movenet"
GOLDEN = Path(__file__).parent.parent.parent / "shared" / "golden" / "movenet"
TOLERANCE = 1e-3  # logits and cells
RELATIVE = 1e-3  # of the image's side, for joints above SEEN
SEEN = 0.2
CLEAR = 1e-4  # cells that differ by less may change places
NAMES = {
    "movenet-thunder": ("center", "regress", "heatmap", "offset"),
    "movenet-multipose": ("center", "regress", "heatmap", "offset", "box_scale", "box_offset"),
}
THUNDER_HEADS = {
    "center": "crop0_center_logit",
    "regress": "crop0_regress",
    "heatmap": "crop0_heatmap",  # after the sigmoid
    "offset": "crop0_offset",
}
MULTIPOSE_HEADS = {
    "center": "head_center_0.conv2d_4.BiasAdd",
    "regress": "head_kpt_regress_0.conv2d_8.BiasAdd",
    "heatmap": "head_kpt_heatmap_0.conv2d_7.BiasAdd",
    "offset": "head_kpt_offset_0.conv2d_9.BiasAdd",
    "box_scale": "head_box_scale_0.conv2d_5.BiasAdd",
    "box_offset": "head_box_offset_0.conv2d_6.BiasAdd",
}
CLIPS = ("p2s_multi_cam01_30_256", "p2s_multi_cam03_55_384", "human_dance17_100_384")


class Onnx:
    """The shipped file, run by onnxruntime on one thread."""

    def __init__(self, name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        content = read_weights(name)
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, images):
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {"image": images}), strict=True))


class Torch:
    """Our module with the weights of the shipped file."""

    def __init__(self, name):
        torch = pytest.importorskip("torch", reason="needs impose[torch]")
        from impose_core.nets.movenet import Variant
        from impose_core.nets.onnx_weights import shipped_movenet

        self.torch = torch
        self.network = shipped_movenet(Variant(name))

    def __call__(self, images):
        with self.torch.inference_mode():
            heads = self.network(self.torch.from_numpy(images))
        return {name: head.numpy() for name, head in heads._asdict().items() if head is not None}


_RUNTIMES: dict = {}


def network(runtime, name):
    key = runtime, name
    if key not in _RUNTIMES:
        _RUNTIMES[key] = runtime(name)
    return _RUNTIMES[key]


both = pytest.mark.parametrize("runtime", [Torch, Onnx])
either = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def thunder_golden():
    return _golden("thunder")


@pytest.fixture(scope="module")
def multipose_golden():
    return _golden("multipose")


def _golden(name):
    path = GOLDEN / f"{name}.npz"
    if not path.is_file():
        pytest.skip("TensorFlow's arrays are not here; tests/data/movenet has one crop")
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def crop():
    return cv2.cvtColor(cv2.imread(str(DATA / "crop.png")), cv2.COLOR_BGR2RGB)


# --- the published decoders --------------------------------------------------------------------


def decoded_thunder(heads):
    """Heads of one crop [C, h, w] -> [17, 3] relative y, x, score."""
    rows, columns = np.indices(heads["center"].shape[1:])
    h, w = rows.shape
    to_middle = np.hypot(rows - h / 2, columns - w / 2) + 1.8
    cell = np.unravel_index(np.argmax(expit(heads["center"][0]) / to_middle), (h, w))
    guess = np.array(cell) + _at(heads["regress"], cell).reshape(17, 2)
    pose = np.empty((17, 3))
    for joint, (y, x) in enumerate(guess):
        seen = expit(heads["heatmap"][joint])
        near = seen / (np.hypot(rows - y, columns - x) + 1.7998046875)
        pose[joint] = _read(heads, joint, near, seen)
    return pose


def decoded_multipose(heads):
    """Heads of one image [C, h, w] -> [6, 56] as the published graph orders them."""
    rows, columns = np.indices(heads["center"].shape[1:])
    h, w = rows.shape
    center = expit(heads["center"][0])
    peaks = np.where(np.abs(center - maximum_filter(center, 5)) < 1.013e-6, center, 0)
    cells = np.argsort(-peaks.ravel(), kind="stable")[:6]
    seen = expit(heads["heatmap"])
    boxes, weighted = [], []
    for cell in (np.unravel_index(cell, (h, w)) for cell in cells):
        half = np.maximum(_at(heads["box_scale"], cell), 0) / 2
        middle = np.array(cell) + _at(heads["box_offset"], cell)
        top, left = np.clip(middle - half, 0, (h, w))
        bottom, right = np.clip(middle + half, 0, (h, w))
        inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        guess = np.array(cell) + _at(heads["regress"], cell).reshape(17, 2)
        square = (rows - guess[:, :1, None]) ** 2 + (columns - guess[:, 1:, None]) ** 2
        weighted.append(seen * np.exp(-square / (min(h, w) * 0.300048828125)) * inside)
        boxes.append(np.array([top / h, left / w, bottom / h, right / w]))
    best = np.max(weighted, axis=0)
    answers = []
    for cell, box, near in zip(cells, boxes, weighted, strict=True):
        pose = np.array([_read(heads, joint, near[joint], best[joint]) for joint in range(17)])
        counted = pose[pose[:, 2] > 0.126953125, 2]
        score = peaks.flat[cell] * counted.sum() / max(len(counted), 1)
        answers.append(np.concatenate([pose.ravel(), np.clip(box, 0, 1), [score]]))
    return np.array(answers)


def _read(heads, joint, weighted, score):
    cell = np.unravel_index(np.argmax(weighted), weighted.shape)
    offset = _at(heads["offset"][2 * joint : 2 * joint + 2], cell)
    return *((np.array(cell) + offset) / weighted.shape), score[cell]


def _at(head, cell):
    row, column = cell
    return head[:, row, column]


def gap(weighted):
    """By how much the best cell beats the second."""
    second, best = np.partition(weighted.ravel(), -2)[-2:]
    return best - second


# --- parity ------------------------------------------------------------------------------------


@both
def test_one_crop_as_tensorflow_sees_it(runtime, crop):
    heads = network(runtime, "movenet-thunder")(crop[None])
    with np.load(DATA / "heads.npz") as file:
        known = dict(file)
    heads = {name: head[0] for name, head in heads.items()}
    for name in NAMES["movenet-thunder"]:
        ours = heads[name][:, ::3, ::3]
        ours = expit(ours) if name == "heatmap" else ours
        np.testing.assert_allclose(ours, known[name], atol=TOLERANCE, rtol=0, err_msg=name)
    _same_pose(decoded_thunder(heads), known["pose_yxs"])


@both
def test_thunder_heads_as_tensorflow_has_them(runtime, thunder_golden):
    heads = network(runtime, "movenet-thunder")(thunder_golden["crops_rgb_uint8"][:1])
    for name, theirs in THUNDER_HEADS.items():
        known = thunder_golden[theirs].transpose(2, 0, 1)
        ours = expit(heads[name][0]) if name == "heatmap" else heads[name][0]
        np.testing.assert_allclose(ours, known, atol=TOLERANCE, rtol=0, err_msg=name)


@both
def test_multipose_heads_as_tensorflow_has_them(runtime, multipose_golden):
    heads = network(runtime, "movenet-multipose")(multipose_golden[f"image_{CLIPS[0]}"][None])
    for name, theirs in MULTIPOSE_HEADS.items():
        known = multipose_golden[theirs].transpose(2, 0, 1)
        np.testing.assert_allclose(heads[name][0], known, atol=TOLERANCE, rtol=0, err_msg=name)


@both
def test_joints_lie_in_the_same_cells(runtime, thunder_golden):
    heads = network(runtime, "movenet-thunder")(thunder_golden["crops_rgb_uint8"][:1])
    known = thunder_golden["crop0_heatmap"].transpose(2, 0, 1)
    clear = [joint for joint in range(17) if gap(known[joint]) > CLEAR]
    assert len(clear) > 10
    for joint in clear:
        assert heads["heatmap"][0, joint].argmax() == known[joint].argmax()


@both
def test_thunder_answers_of_the_published_graph(runtime, thunder_golden):
    heads = network(runtime, "movenet-thunder")(thunder_golden["crops_rgb_uint8"])
    for index, known in enumerate(thunder_golden["poses_yxs"]):
        _same_pose(decoded_thunder({name: head[index] for name, head in heads.items()}), known)


@both
@pytest.mark.parametrize("clip", CLIPS)
def test_multipose_answers_of_the_published_graph(runtime, clip, multipose_golden):
    heads = network(runtime, "movenet-multipose")(multipose_golden[f"image_{clip}"][None])
    ours = decoded_multipose({name: head[0] for name, head in heads.items()})
    known = multipose_golden[f"persons_{clip}"]
    found = known[:, 55] > SEEN
    assert found.any()
    np.testing.assert_allclose(ours[found, 51:], known[found, 51:], atol=RELATIVE)
    for mine, theirs in zip(ours[found], known[found], strict=True):
        _same_pose(mine[:51].reshape(17, 3), theirs[:51].reshape(17, 3))


def _same_pose(ours, known):
    seen = known[:, 2] > SEEN
    assert seen.any()
    np.testing.assert_allclose(ours[seen], known[seen], atol=RELATIVE, rtol=0)


@either
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 96), (2, 256, 160), (1, 288, 512)])
def test_onnxruntime_and_torch_agree_on_any_batch_and_size(name, shape):
    images = np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), np.uint8)
    here, there = (network(runtime, name)(images) for runtime in (Torch, Onnx))
    assert tuple(here) == tuple(there) == NAMES[name]
    for head in here:
        assert there[head].shape[2:] == (shape[1] // 4, shape[2] // 4)
        np.testing.assert_allclose(there[head], here[head], atol=TOLERANCE, rtol=0, err_msg=head)


@both
@either
def test_a_batch_gives_what_its_images_give_alone(runtime, name, crop):
    images = np.stack([crop, crop[:, ::-1], 255 - crop])
    together = network(runtime, name)(images)
    for index in range(3):
        alone = network(runtime, name)(images[index : index + 1])
        for head in together:
            np.testing.assert_allclose(together[head][index], alone[head][0], atol=TOLERANCE)


# --- promises of the files and of the module ---------------------------------------------------


@either
def test_the_file_says_what_goes_in_and_out(name):
    session = network(Onnx, name).session
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape == ["batch", "height", "width", 3]
    channels = {"center": 1, "heatmap": 17, "regress": 34, "offset": 34}
    for output in session.get_outputs():
        assert output.type == "tensor(float)"
        assert output.shape == ["batch", channels.get(output.name, 2), "rows", "columns"]


@either
def test_initialisers_are_the_state_dict_in_half_precision(name):
    onnx = pytest.importorskip("onnx", reason="needs impose[torch]")
    state = network(Torch, name).network.state_dict()
    graph = onnx.load_model_from_string(read_weights(name)).graph
    weights = {tensor.name: tensor for tensor in graph.initializer if "." in tensor.name}
    assert weights.keys() == state.keys()
    assert {tensor.data_type for tensor in weights.values()} == {onnx.TensorProto.FLOAT16}


@either
def test_the_file_is_what_the_exporter_writes(name):
    for needed in ("torch", "onnx", "safetensors"):
        pytest.importorskip(needed, reason="needs impose[torch]")
    path = Path(__file__).parent.parent / "models" / "tools" / "export_movenet.py"
    if not path.is_file():
        pytest.skip("needs the source checkout")
    exporter = runpy.run_path(str(path))
    assert exporter["exported"](network(Torch, name).network) == read_weights(name)


@either
def test_the_module_can_be_trained(name):
    torch = pytest.importorskip("torch", reason="needs impose[torch]")
    from impose_core.nets.movenet import MoveNet, Variant

    fresh = MoveNet(Variant(name)).train()
    heads = fresh(torch.zeros(1, 32, 64, 3))
    sum(head.square().sum() for head in heads if head is not None).backward()
    assert all(weight.grad is not None for weight in fresh.parameters())


@pytest.mark.parametrize("shape", [(1, 33, 32, 3), (1, 32, 0, 3), (32, 32, 3), (1, 3, 32, 32)])
def test_an_image_of_another_shape_is_refused(shape):
    torch = pytest.importorskip("torch", reason="needs impose[torch]")
    with pytest.raises(UsageError, match="multiples of 32, got"):
        network(Torch, "movenet-thunder").network(torch.zeros(shape))


def test_weights_that_do_not_fit_are_named():
    pytest.importorskip("torch", reason="needs impose[torch]")
    from impose_core.nets.movenet import MoveNet, Variant, load_state
    from impose_core.nets.onnx_weights import state_of_onnx

    state = state_of_onnx(read_weights("movenet-multipose"))
    with pytest.raises(IncompatibleCheckpoint, match="expected shape"):
        load_state(MoveNet(Variant.THUNDER), state)
    kept = {name: tensor for name, tensor in state.items() if name != "heads.center.output.bias"}
    with pytest.raises(IncompatibleCheckpoint, match=r"heads\.center\.output\.bias is missing"):
        load_state(MoveNet(Variant.MULTIPOSE), kept)
    with pytest.raises(IncompatibleCheckpoint, match="more is unknown"):
        load_state(MoveNet(Variant.MULTIPOSE), state | {"more": state["backbone.stem.bias"]})
    with pytest.raises(IncompatibleCheckpoint, match="Expected an ONNX file"):
        state_of_onnx(b"no such thing")
