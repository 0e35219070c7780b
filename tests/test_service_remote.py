"""What an unmodified X-AnyLabeling asks of a remote server, field by field as it sends it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service is an extra: pip install 'impose[serve]'")
pytest.importorskip("uvicorn")

from tests.service_clips import make_images, running, truth


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(token="key") as found:
        found.headers["Token"] = "key"
        yield found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = make_images(tmp_path_factory.mktemp("images"), 8)
    return [uri(path) for path in sorted(folder.glob("*.png"))]


def uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    return answer.json()["data"]


def test_the_model_says_which_widgets_it_wants(client: httpx.Client) -> None:
    (about,) = data(client.get("/v1/models")).values()
    assert about["batch_processing_mode"] == "default"
    assert [task["batch_processing_mode"] for task in about["available_tasks"]] == [
        "default",
        "video",
    ]
    for task in about["available_tasks"]:  # the desktop hides what the task does not name
        assert "toggle_preserve_existing_annotations" in task["active_widgets"]
    assert data(client.get("/v1/models/impose/info")) == about
    assert client.get("/v1/models", headers={"Token": "x"}).status_code == 401


def test_predict_finds_everybody_on_an_image(client: httpx.Client, images: list[str]) -> None:
    params = {"conf_threshold": 0.0, "iou_threshold": 0.0, "epsilon_factor": 0.001}
    body = {"model": "impose", "image": images[3], "params": params}
    found = data(client.post("/v1/predict", json=body))
    assert "replace" not in found, "the desktop's own switch says so"
    nose = [s for s in found["shapes"] if s["label"] == "nose"]
    assert [s["group_id"] for s in nose] == [1, 2]
    assert np.allclose(nose[0]["points"][0], truth(3)[0])
    assert not any("impose" in shape for shape in found["shapes"])


def test_a_failure_is_never_an_empty_success(client: httpx.Client, images: list[str]) -> None:
    for image in (None, "", "data:image/png;base64,!!", "data:image/png;base64,aGVsbG8="):
        answer = client.post("/v1/predict", json={"model": "impose", "image": image})
        assert answer.status_code in (400, 422)
        assert "error" in answer.json()


def test_from_one_frame_to_the_others(client: httpx.Client, images: list[str]) -> None:
    begun = {"model": "impose", "frames": images, "start_frame_index": 0}
    name = data(client.post("/v1/video/init", json=begun))["session_id"]
    params = {"conf_threshold": 0.0, "epsilon_factor": 0.001}
    said = {"session_id": name, "model": "impose", "text_prompt": "pose", "frame_index": 2}
    masks = data(client.post("/v1/video/prompt", json={**said, "params": params}))["masks"]
    assert {shape["group_id"] for shape in masks} == {1, 2}
    wanted = {"session_id": name, "model": "impose", "start_frame": 3, "end_frame": 6}
    answer = client.post("/v1/video/propagate/stream", json=wanted)
    lines = [line for line in answer.text.splitlines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert [e["type"] for e in events] == ["started", *["progress"] * 4, "completed"]
    results = events[-1]["results"]
    assert list(results) == ["3", "4", "5", "6"]
    (nose, _) = (s for s in results["6"]["masks"] if s["label"] == "nose")
    assert np.allclose(nose["points"][0], truth(6)[0], atol=0.5)
    whole = data(client.post("/v1/video/propagate", json=wanted))["results"]
    assert whole == results
    assert client.post(f"/v1/video/cancel/{name}").status_code == 200
    assert client.post(f"/v1/video/cleanup/{name}", params={"model": "impose"}).status_code == 200
    assert client.post("/v1/video/prompt", json=said).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("init", {"frames": []}),
        ("init", {"frames": [1]}),
        ("init", {}),
        ("prompt", {"session_id": 3, "frame_index": 0}),
        ("propagate", {"session_id": None}),
        ("propagate/stream", {"session_id": []}),
    ],
)
def test_malformed_requests_are_refused(client: httpx.Client, path: str, body: Any) -> None:
    assert client.post(f"/v1/video/{path}", json=body).status_code in (400, 404)
