"""The function files follow the skeleton; the label CVAT gets is the one the detector answers."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from cvat_function import engines, generate
from cvat_function.limits import BODY_BYTES
from cvat_function.spec import function_spec, label_spec, svg
from impose_core.errors import DeviceError, UsageError
from impose_core.skeleton import COCO17, PRESETS, Skeleton

ROOT = generate.ROOT
FILES = [
    *("tracker/function.yaml", "tracker/function-gpu.yaml"),
    *("detector/function.yaml", "detector/function-gpu.yaml"),
]

pytestmark = pytest.mark.skipif(not (ROOT / "deploy").is_dir(), reason="needs the source checkout")


def loaded(name):
    yaml = pytest.importorskip("yaml", reason="comes with impose[dev]")
    return yaml.safe_load((ROOT / "deploy" / name).read_text())


def test_the_committed_files_are_what_is_generated(capsys):
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_told(tmp_path, capsys):
    assert generate.main(["--check", "--into", str(tmp_path)]) == 1
    assert "function-gpu.yaml is not what" in capsys.readouterr().err
    assert generate.main(["--into", str(tmp_path), "--skeleton", "halpe26"]) == 0
    assert generate.main(["--check", "--into", str(tmp_path), "--skeleton", "halpe26"]) == 0
    assert generate.main(["--check", "--into", str(tmp_path)]) == 1


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_what_nuclio_and_cvat_read(name):
    file = loaded(name)
    gpu = "gpu" in name
    assert file["metadata"]["namespace"] == "cvat"
    spec = file["spec"]
    assert spec["handler"] == "main:handler"
    assert (ROOT / "deploy" / name).parent.joinpath("main.py").is_file()
    environment = {one["name"]: one["value"] for one in spec["env"]}
    assert engines.skeleton_of(environment) == COCO17
    assert environment["IMPOSE_DEVICE"] == ("cuda" if gpu else "cpu")
    assert all(isinstance(value, str) for value in environment.values())
    trigger = spec["triggers"]["myHttpTrigger"]
    assert trigger["attributes"]["maxRequestBodySize"] == BODY_BYTES
    assert trigger["numWorkers"] >= 1
    assert spec["build"]["baseImage"].endswith(f"{generate.project_version()}-{name_of(gpu)}")
    assert ("nvidia.com/gpu" in spec["resources"]["limits"]) is gpu
    assert spec["securityContext"]["runAsUser"] == 10001
    assert "directives" not in spec["build"]  # nothing is installed when a function is built


def name_of(gpu):
    return "gpu" if gpu else "cpu"


@pytest.mark.parametrize("name", FILES)
def test_the_annotations_are_cvat_s(name):
    annotations = loaded(name)["metadata"]["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())
    labels = json.loads(annotations["spec"])
    if name.startswith("tracker"):
        assert annotations["type"] == "tracker"
        assert annotations["supported_shape_types"].split(",") == ["rectangle", "skeleton"]
        assert labels == []
        return
    assert annotations["type"] == "detector"
    assert labels == function_spec(COCO17)


def test_the_label_has_what_cvat_requires():
    (label,) = function_spec(COCO17)
    assert {"name", "type", "svg", "sublabels"} <= set(label)
    assert "attributes" not in label  # CVAT's releases of 2024 fail on them
    names = [sublabel["name"] for sublabel in label["sublabels"]]
    assert names == list(COCO17.keypoints)
    raw = label_spec(COCO17)
    assert [sublabel["name"] for sublabel in raw["sublabels"]] == names
    assert all(sublabel["type"] == "points" for sublabel in raw["sublabels"])


ODD = Skeleton(name="odd", keypoints=('a"<b>&', "tail", "left_eye"), edges=((0, 1),))


@pytest.mark.parametrize("skeleton", [*PRESETS.values(), ODD], ids=lambda s: s.name)
def test_the_drawing_is_the_skeleton(skeleton):
    root = ElementTree.fromstring(f"<svg>{svg(skeleton)}</svg>")
    assert {element.tag for element in root} <= {"line", "circle"}  # what CVAT leaves in
    circles = root.findall("circle")
    assert [c.get("data-label-name") for c in circles] == list(skeleton.keypoints)
    assert [c.get("data-element-id") for c in circles] == numbers(len(skeleton))
    assert [c.get("data-node-id") for c in circles] == numbers(len(skeleton))
    places = [(float(c.get("cx")), float(c.get("cy"))) for c in circles]
    assert all(0 <= v <= 100 for place in places for v in place)
    assert len(set(places)) == len(places)
    ends = {(line.get("data-node-from"), line.get("data-node-to")) for line in root.iter("line")}
    assert ends == {(str(a + 1), str(b + 1)) for a, b in skeleton.edges}
    for line in root.iter("line"):
        a, b = int(line.get("data-node-from")) - 1, int(line.get("data-node-to")) - 1
        assert (float(line.get("x1")), float(line.get("y1"))) == places[a]
        assert (float(line.get("x2")), float(line.get("y2"))) == places[b]


def numbers(count):
    return [str(k + 1) for k in range(count)]


def test_an_unknown_skeleton_or_device_stops_the_function_at_its_start():
    with pytest.raises(UsageError, match="coco18"):
        engines.skeleton_of({"IMPOSE_SKELETON": "coco18"})
    with pytest.raises(UsageError, match="IMPOSE_DEVICE"):
        engines.warm_engine({"IMPOSE_DEVICE": "tpu"})


def test_a_gpu_function_without_a_gpu_says_so():
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there may be a GPU")
    with pytest.raises(DeviceError, match="computes on a GPU, got"):
        engines.warm_engine({"IMPOSE_DEVICE": "cuda"})


def test_the_body_limit_is_nuclio_s_form():
    text = (ROOT / "deploy" / "tracker" / "function.yaml").read_text()
    assert re.search(r"maxRequestBodySize: 33554432$", text, re.MULTILINE)
