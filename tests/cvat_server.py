"""A small CVAT: jobs, labels, frames in chunks and tracks, on loopback, for the client's tests.

What it does with annotations follows the server code of CVAT 2.73 (see docs/cvat.md): an update
deletes the tracks of the given ids, if they are there, and creates all that were sent, in one step
and under new ids; attributes that a shape lacks are filled in from the shape before it; elements
and attributes come back in any order; NaN is let through. Bodies must be ones that the SDK's own
models accept.
"""

from __future__ import annotations

import copy
import io
import json
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import cv2
import numpy as np
from cvat_sdk import models

from impose_core.skeleton import Skeleton

TOKEN = "token-of-the-tests"
LINE = Skeleton(name="line", keypoints=("head", "middle", "tail"), edges=((0, 1), (1, 2)))
FRAMES = 30


class FakeCvat:
    """One task with one job. Frames of the task: ``images``; the job has ``start`` to ``stop``.

    Attributes:
        log: method and path of every request.
        before_write: called once, inside the server, just before the next write.
        refuse: paths that are answered with a status.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        label: dict[str, Any],
        *,
        start: int = 0,
        stop: int | None = None,
        chunk: int = 10,
        video: bool = False,
        deleted: Sequence[int] = (),
        kind: str = "annotation",
        old: bool = False,
        owner: bool = True,
        function: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.images, self.start = images, start
        self.stop = len(images) - 1 if stop is None else stop
        self.chunk, self.video, self.deleted, self.kind = chunk, video, list(deleted), kind
        self.old, self.owner, self.function = old, owner, function
        self.included: list[int] | None = None
        self.sizes: list[tuple[int, int]] | None = None
        self.log: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.before_write: Callable[[], None] | None = None
        self.after_read: Callable[[], None] | None = None
        self.refuse: dict[str, int] = {}
        self.lost_answers = 0
        self.saves = 0
        self._ids = iter(range(100, 10_000_000))
        self._lock = threading.RLock()
        self.label = self._labelled(label)
        self.annotations: dict[str, list[dict[str, Any]]] = {"tags": [], "shapes": [], "tracks": []}

    # what an annotator and a browser do

    def save(self, tracks: Sequence[dict[str, Any]]) -> None:
        """As CVAT's interface saves changed tracks."""
        self.write("update", copy.deepcopy(list(tracks)))

    def tracks(self) -> list[dict[str, Any]]:
        """All tracks, as a browser gets them."""
        return self.read()["tracks"]

    def spec(self, name: str) -> int:
        """The id of an attribute of the label."""
        return next(one["id"] for one in self.label["attributes"] if one["name"] == name)

    def joint(self, name: str) -> int:
        """The id of a sub-label."""
        return next(one["id"] for one in self.label["sublabels"] if one["name"] == name)

    def skeleton(
        self, poses: dict[int, np.ndarray], *, identity: str = "", occluded: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A track drawn by hand: ``poses`` [K, 2] by frame; NaN is outside."""
        names = [one["name"] for one in self.label["sublabels"]]

        def points(k: int, frame: int) -> dict[str, Any]:
            xy = poses[frame][k]
            there = bool(np.isfinite(xy).all())
            return {
                "type": "points",
                "frame": frame,
                "points": [float(v) for v in xy] if there else [1.0, 1.0],
                "outside": not there,
                "occluded": names[k] in occluded,
                "z_order": 0,
                "rotation": 0.0,
                "attributes": [],
            }

        first = min(poses)
        return {
            "frame": first,
            "label_id": self.label["id"],
            "group": 0,
            "source": "manual",
            "attributes": [{"spec_id": self.spec("id"), "value": identity}] if identity else [],
            "shapes": [
                {"type": "skeleton", "frame": first, "points": [], "outside": False,
                 "occluded": False, "z_order": 0, "rotation": 0.0, "attributes": []}
            ],
            "elements": [
                {"label_id": self.joint(name), "frame": first, "group": 0, "source": "manual",
                 "attributes": [], "shapes": [points(k, frame) for frame in sorted(poses)]}
                for k, name in enumerate(names)
            ],
        }  # fmt: skip

    # the server

    def read(self) -> dict[str, Any]:
        with self._lock:
            found = copy.deepcopy(self.annotations)
        for track in found["tracks"]:
            self._fill_in(track)
            track["elements"].reverse()  # no order is promised
            for shape in track["shapes"]:
                shape["attributes"].reverse()
        return {"version": 0, **found}

    def write(self, action: str, tracks: list[dict[str, Any]]) -> None:
        with self._lock:
            if self.before_write is not None:
                late, self.before_write = self.before_write, None
                late()
            ids = {track.get("id") for track in tracks} - {None}
            held = [one for one in self.annotations["tracks"] if one["id"] not in ids]
            if action != "delete":
                for track in tracks:
                    self._check(track)
                held += [self._numbered(track) for track in tracks if track["shapes"]]
            self.annotations["tracks"] = held
            self.saves += 1

    def replace(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.annotations["tracks"] = []
            self.write("update", body.get("tracks", []))
            self.annotations["shapes"] = [self._numbered(one) for one in body.get("shapes", [])]

    def _check(self, track: dict[str, Any]) -> None:
        models.LabeledTrackRequest(**copy.deepcopy(track))
        assert track["label_id"] == self.label["id"]
        immutable = {one["id"] for one in self.label["attributes"] if not one["mutable"]}
        mutable = {one["id"] for one in self.label["attributes"] if one["mutable"]}
        assert {one["spec_id"] for one in track["attributes"]} <= immutable
        assert [s for s in track["shapes"] if s["type"] == "skeleton" and not s["points"]]
        for shape in track["shapes"]:
            assert {one["spec_id"] for one in shape["attributes"]} <= mutable
            assert all(len(one["value"]) <= 4096 for one in shape["attributes"])
        frames = [shape["frame"] for shape in track["shapes"]]
        assert len(frames) == len(set(frames))
        joints = {one["id"] for one in self.label["sublabels"]}
        assert {one["label_id"] for one in track["elements"]} <= joints
        for element in track["elements"]:
            listed = [shape["frame"] for shape in element["shapes"]]
            assert len(listed) == len(set(listed))
            assert all(np.isfinite(shape["points"]).all() for shape in element["shapes"])
            assert all(len(shape["points"]) == 2 for shape in element["shapes"])

    def _numbered(self, one: dict[str, Any]) -> dict[str, Any]:
        one = copy.deepcopy(one)
        one["id"] = next(self._ids)
        for name in ("shapes", "elements"):
            if name in one:
                one[name] = [self._numbered(inner) for inner in one[name]]
        return one

    def _fill_in(self, track: dict[str, Any]) -> None:
        mutable = [one for one in self.label["attributes"] if one["mutable"]]
        before = {one["id"]: one["default_value"] for one in mutable}
        track["shapes"].sort(key=lambda shape: shape["frame"])
        for shape in track["shapes"]:
            said = {one["spec_id"]: one["value"] for one in shape["attributes"]}
            before = {**before, **said}
            shape["attributes"] = [{"spec_id": k, "value": v} for k, v in before.items()]

    def _labelled(self, label: dict[str, Any]) -> dict[str, Any]:
        label = copy.deepcopy(label)
        label["id"] = next(self._ids)
        for one in (*label["sublabels"], *label["attributes"]):
            one["id"] = next(self._ids)
        return label

    def job(self) -> dict[str, Any]:
        return {
            "id": 7, "task_id": 3, "type": self.kind, "dimension": "2d", "project_id": None,
            "start_frame": self.start, "stop_frame": self.stop, "organization": None,
            "data_chunk_size": self.chunk, "updated_date": f"save {self.saves}",
            "mode": "interpolation" if self.video else "annotation",
        }  # fmt: skip

    def meta(self) -> dict[str, Any]:
        height, width = self.images[0].shape[:2]
        count = 1 if self.video else self.stop - self.start + 1
        sizes = self.sizes or [(width, height)] * count
        return {
            "chunk_size": self.chunk, "size": self.stop - self.start + 1,
            "start_frame": 100 + 3 * self.start, "frame_filter": "step=3",  # of the video
            "frames": [{"width": w, "height": h, "name": "frame"} for w, h in sizes],
            "deleted_frames": self.deleted, "included_frames": self.included, "storage": "cache",
        }  # fmt: skip

    def chunk_of(self, query: dict[str, list[str]]) -> tuple[int, bytes, str]:
        if "index" in query and self.old:
            return 400, b'"Number is not specified"', "application/json"
        if "index" in query:
            first = self.start + int(query["index"][0]) * self.chunk
            frames = range(first, min(first + self.chunk, self.stop + 1))
        else:
            first = int(query["number"][0]) * self.chunk
            frames = range(first, min(first + self.chunk, len(self.images)))
        if not frames:
            return 400, b'"Invalid chunk number"', "application/json"
        pictures = [self.images[t] for t in frames]
        if self.video:
            return 200, encoded_video(pictures), "video/mp4"
        return 200, zipped(pictures), "application/zip"

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, bytes, str]:
        if path in self.refuse:
            return self.refuse[path], b'{"detail":"refused by the test"}', "application/json"
        if path == "/api/jobs/7/data":
            return self.chunk_of(query)
        found: Any = None
        if path == "/api/jobs/7":
            found = self.job()
        elif path == "/api/jobs/7/data/meta":
            found = self.meta()
        elif path == "/api/labels":
            found = {"count": 1, "next": None, "results": [self.label]}
        elif path == f"/api/labels/{self.label['id']}" and method == "PATCH":
            if not self.owner:
                return 403, b'{"detail":"not yours"}', "application/json"
            for one in body["attributes"]:
                self.label["attributes"].append({**one, "id": next(self._ids)})
            found = self.label
        elif path == "/api/jobs/7/annotations" and method == "GET":
            found = self.read()
            if self.after_read is not None:
                self.after_read()
        elif path == "/api/jobs/7/annotations" and method == "PATCH":
            self.write(query["action"][0], body["tracks"])
            if self.lost_answers:
                self.lost_answers -= 1
                return 502, b"", "text/html"
            found = self.read()
        elif path == "/api/jobs/7/annotations" and method == "PUT":
            self.replace(body)
            found = self.read()
        elif path.startswith("/api/lambda/functions/") and self.function is not None:
            found = self.function(body)
        if found is None:
            return 404, b'{"detail":"Not found."}', "application/json"
        return 200, json.dumps(found).encode(), "application/json"


@contextmanager
def serving(cvat: FakeCvat):
    """The address of ``cvat`` while it is served."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.rstrip("/")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            cvat.log.append(f"{self.command} {path}")
            cvat.headers.append(dict(self.headers))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, data, kind = 401, b'{"detail":"who are you?"}', "application/json"
            else:
                status, data, kind = cvat.answer(self.command, path, parse_qs(parts.query), body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_PUT = do_POST = respond  # noqa: N815 # the base class's names

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def zipped(pictures: Sequence[np.ndarray]) -> bytes:
    """A chunk of pictures, as the server packs those of image tasks."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i, picture in enumerate(pictures):
            archive.writestr(f"{i:06d}.png", cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    return file.getvalue()


def encoded_video(pictures: Sequence[np.ndarray]) -> bytes:
    """A chunk of a video, without loss but for the colour space; sizes are made even."""
    height, width = (side + side % 2 for side in pictures[0].shape[:2])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "0", "preset": "ultrafast"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            for packet in stream.encode(frame.reformat(width, height)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file.getvalue()


def profile_at(folder: Path, server: str, token: str) -> None:
    """A profile as cvat-cli keeps it."""
    from cvat_sdk.core.auth import AuthStore, ProfileEntry

    AuthStore(folder).put_profile(
        "tests", ProfileEntry(server=server, token=token, created_date=""), set_default=True
    )


@lru_cache
def sliding_board() -> tuple[list[np.ndarray], np.ndarray]:
    """A textured board that slides; points [T, 2, 3, 2] of two figures on it, T = ``FRAMES``."""
    random = np.random.default_rng(5)
    board = cv2.GaussianBlur(random.integers(0, 255, (160, 320, 3)).astype(np.uint8), (5, 5), 1.2)
    images, points = [], []
    start = np.array([[[40, 40], [60, 55], [80, 45]], [[40, 90], [60, 105], [85, 95]]], float)
    for t in range(FRAMES):
        shift = np.array([1.5 * t, 6 * np.sin(t / 5)])
        matrix = np.array([[1, 0, shift[0] - 40], [0, 1, shift[1]]])
        images.append(cv2.warpAffine(board, matrix, (160, 140), borderMode=cv2.BORDER_REFLECT))
        points.append(start + shift)
    return images, np.array(points)


def drawn(cvat: FakeCvat, points, frames, *, person: int = 0, identity: str = "") -> dict:
    return cvat.skeleton({t: points[t, person] + 0.123456789 for t in frames}, identity=identity)


def keyframes(track: dict) -> dict[tuple[int, int], dict]:
    """Every keyframe of a joint, without the number the server gave it."""
    return {
        (element["label_id"], shape["frame"]): {k: v for k, v in shape.items() if k != "id"}
        for element in track["elements"]
        for shape in element["shapes"]
    }


def shown(cvat: FakeCvat, track: dict, frames) -> np.ndarray:
    """[T, K, 2]: where CVAT shows the joints, by its own rule."""
    found = []
    for sublabel in cvat.label["sublabels"]:
        (element,) = [one for one in track["elements"] if one["label_id"] == sublabel["id"]]
        knots = {s["frame"]: s for s in element["shapes"] if s["frame"] not in cvat.deleted}
        at = sorted(knots)
        rows = [np.interp(frames, at, [knots[t]["points"][axis] for t in at]) for axis in (0, 1)]
        outside = [knots[max(s for s in at if s <= t)]["outside"] if t >= at[0] else True
                   for t in frames]  # fmt: skip
        found.append(np.where(np.array(outside)[:, None], np.nan, np.stack(rows, -1)))
    return np.stack(found, 1)


def drag(cvat: FakeCvat, track: dict, *, frame: int, joint: str, by) -> dict:
    """As CVAT's interface: every joint gets a keyframe, the dragged one elsewhere."""
    place = dict(
        zip([one["id"] for one in cvat.label["sublabels"]], shown(cvat, track, [frame])[0],
            strict=True)
    )  # fmt: skip
    found = {}
    for element in track["elements"]:
        before = max(
            (s for s in element["shapes"] if s["frame"] <= frame), key=lambda s: s["frame"]
        )
        xy = before["points"] if before["outside"] else place[element["label_id"]].tolist()
        if element["label_id"] == cvat.joint(joint):
            xy = [xy[0] + float(by[0]), xy[1] + float(by[1])]
        old = [one for one in element["shapes"] if one["frame"] == frame]
        shape = {"type": "points", "frame": frame, "points": xy, "occluded": before["occluded"],
                 "outside": before["outside"], "z_order": 0, "rotation": 0.0,
                 "attributes": []}  # fmt: skip
        element["shapes"] = [*(s for s in element["shapes"] if s not in old), shape]
        if element["label_id"] == cvat.joint(joint):
            found = {"key": (element["label_id"], frame), "shape": shape}
    return found
