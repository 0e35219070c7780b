"""The slow lane: against the real app, in its own environment (``make test-xanylabeling``)."""

from __future__ import annotations

import importlib.util

import pytest

HAVE_APP = all(
    importlib.util.find_spec(name) for name in ("anylabeling", "PyQt6", "impose_xanylabeling")
)
collect_ignore = [] if HAVE_APP else ["driver.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if HAVE_APP:
        return
    reason = "X-AnyLabeling is not installed here: make test-xanylabeling makes its environment"
    for item in items:
        if "/xanylabeling/" in str(item.path):
            item.add_marker(pytest.mark.skip(reason=reason))


if HAVE_APP:
    import json
    import os
    import shutil
    from collections.abc import Iterator
    from pathlib import Path

    from driver import App
    from impose_xanylabeling.client import Client, ServiceDown
    from impose_xanylabeling.launcher import folder_of
    from impose_xanylabeling.service_process import ServiceProcess, impose_command

    DEMO = Path(__file__).resolve().parents[2] / "docs" / "demo"
    FRAMES = 24

    class Switch:
        """The real service, which a test may take away; ``client`` may then be another's."""

        def __init__(self) -> None:
            self.real = ServiceProcess(impose_command())
            self.down = False

        def client(self) -> Client:
            """Of the real service, unless it is switched off."""
            if self.down:
                raise ServiceDown("The service was switched off.")
            return self.real.client()

        def lost(self) -> None:
            """As the real one."""
            self.real.lost()

        def stop(self) -> None:
            """As the real one."""
            self.real.stop()

    @pytest.fixture(scope="session")
    def service() -> Iterator[Switch]:
        switch = Switch()
        yield switch
        switch.stop()

    @pytest.fixture(scope="session")
    def pictures(service: Switch, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The demo clip as a folder of pictures, made as the launcher makes it."""
        video = tmp_path_factory.mktemp("video") / "demo.mp4"
        shutil.copy(DEMO / "clip.mp4", video)
        folder = folder_of(video, service)
        assert len(list(folder.glob("*.jpg"))) == 100
        return folder

    def labels(frame: int) -> dict[str, object]:
        """A frame of the demo's labels as X-AnyLabeling's JSON, as if drawn by hand."""
        said = json.loads((DEMO / "anchors.json").read_text(encoding="utf-8"))
        names = said["categories"][0]["keypoints"]
        image = next(i for i in said["images"] if i["frame_id"] == frame)
        shapes: list[dict[str, object]] = [
            {
                "label": "light",
                "shape_type": "point",
                "points": [[150.5, 70.25]],
                "group_id": None,
                "score": None,
                "difficult": False,
                "description": "",
                "flags": {},
                "attributes": {},
                "kie_linking": [],
                "ours": {"kept": [1, 2]},
            }
        ]
        for person in (a for a in said["annotations"] if a["image_id"] == image["id"]):
            x, y, w, h = person["bbox"]
            base = {
                "group_id": person["track_id"],
                "score": None,
                "difficult": False,
                "description": "",
                "flags": {},
                "attributes": {},
                "kie_linking": [],
            }
            corners = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
            shapes.append({**base, "label": "person", "shape_type": "rectangle", "points": corners})
            k = person["keypoints"]
            shapes += [
                {**base, "label": n, "shape_type": "point", "points": [[k[3 * j], k[3 * j + 1]]]}
                for j, n in enumerate(names)
                if k[3 * j + 2]
            ]
        return {
            "version": "4.2.1",
            "flags": {},
            "checked": False,
            "shapes": shapes,
            "imagePath": f"frame_{frame:05d}.jpg",
            "imageData": None,
            "imageHeight": 960,
            "imageWidth": 544,
            "description": "",
            "of_another_tool": {"kept": True},
        }

    @pytest.fixture(scope="session")
    def app(
        service: Switch, pictures: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[App]:
        """The one start of the app in a run of the tests."""
        app = App(pictures, tmp_path_factory.mktemp("home"), service)
        yield app
        app.plugin.close()

    @pytest.fixture
    def clip(app: App, service: Switch, pictures: Path, tmp_path: Path) -> Iterator[App]:
        """The app with a fresh clip of which the first frame is labelled by hand."""
        folder = tmp_path / "clip"
        folder.mkdir()
        for picture in sorted(pictures.glob("*.jpg"))[:FRAMES]:
            os.link(picture, folder / picture.name)
        first = folder / "frame_00000.json"
        first.write_text(json.dumps(labels(0), indent=2), encoding="utf-8")
        service.down = False
        app.open_folder(folder)
        yield app
        service.down = False
        app.calm()
