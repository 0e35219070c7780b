"""The whole way of a job on real clips, against the core alone on the same anchors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cvat_sdk", reason="needs impose[cvat]")

from cvat_server import TOKEN, FakeCvat, drag, keyframes, serving, shown

from cvat_function.client import flows
from cvat_function.client.chunks import ChunkFrames
from cvat_function.client.connection import open_server
from cvat_function.client.estimators import LocalEstimator
from cvat_function.client.job import read_job
from cvat_function.client.labels import client_label, read_label
from cvat_function.client.work import Options, Place
from impose_core.engine import Engine
from impose_core.evaluation.oks import keypoint_similarity
from impose_core.frames import ArrayFrames, open_frames
from impose_core.io.coco import read_document
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.session import Session

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "docs" / "demo"
SHARED = ROOT.parent / "shared" / "data" / "p2s_multi_cam03"
EVERY, DRAGGED = 25, (12, 37, 62)


def mean_oks(xy, labels) -> float:
    """Of ``xy`` [T, N, K, 2] against ``labels``, over labelled joints."""
    truth = labels.tracks
    known = np.isfinite(truth.xy).all(-1)
    terms = keypoint_similarity(
        xy, truth.xy, area=labels.area, sigmas=np.array(truth.skeleton.sigmas)
    )
    return float(terms[known].mean())


def core_alone(images, marks: PoseTracks, reader) -> np.ndarray:
    session = Session(
        ArrayFrames(np.stack(images)), skeleton=marks.skeleton, engine=Engine(reader=reader)
    )
    session.load(marks)
    list(session.propagate())
    return session.tracks.xy


def round_trip(images, labels, tmp_path, *, tolerance: float, reader=None):
    """Anchors, propagate, three joints dragged in between, propagate: what CVAT then shows
    [T, N, K, 2], and the core's own answer to the same marks."""
    truth = labels.tracks
    frames = range(len(images))
    anchors = [*range(0, len(images) - 1, EVERY), len(images) - 1]
    cvat = FakeCvat(images, client_label(truth.skeleton), chunk=36)
    people = range(len(truth.track_id))
    cvat.save([cvat.skeleton({t: truth.xy[t, n] for t in anchors}) for n in people])
    marks = PoseTracks.empty(
        frames=len(images), track_id=[n + 1 for n in people], skeleton=truth.skeleton
    )
    for t in anchors:
        there = np.isfinite(truth.xy[t]).all(-1)
        marks.xy[t], marks.origin[t] = truth.xy[t], Origin.HUMAN
        marks.visibility[t] = np.where(there, Visibility.VISIBLE, Visibility.ABSENT)
    human = [keyframes(track) for track in cvat.tracks()]
    with (
        serving(cvat) as url,
        open_server(host=url, profile=None, environment={"CVAT_ACCESS_TOKEN": TOKEN}) as server,
    ):
        job = read_job(server, 7)
        place = Place(server=server, job=job, label=read_label(server, job, name=None))
        with ChunkFrames(server, job) as pictures:
            local = LocalEstimator(pictures, place.label, Engine(reader=reader))
            options = Options(tolerance=tolerance, pin="moved", backups=tmp_path)
            flows.propagate(place, options, local, lambda _: None)
            tracks = cvat.tracks()
            for n, frame in enumerate(DRAGGED[: len(tracks)]):
                k = truth.skeleton.index("left_ankle")
                at = shown(cvat, tracks[n], [frame])[0, k]
                moved = drag(
                    cvat, tracks[n], frame=frame, joint="left_ankle", by=truth.xy[frame, n, k] - at
                )
                human[n][moved["key"]] = moved["shape"]
                marks.xy[frame, n, k] = moved["shape"]["points"]
                marks.origin[frame, n, k], marks.visibility[frame, n, k] = Origin.HUMAN, 2
            cvat.save(tracks)
            outcome = flows.propagate(place, options, local, lambda _: None)
    for n, track in enumerate(cvat.tracks()):
        held = keyframes(track)
        assert {key: held.get(key) for key in human[n]} == human[n]
    result = np.stack([shown(cvat, track, frames) for track in cvat.tracks()], axis=1)
    return result, core_alone(images, marks, reader), outcome


def check(name, images, labels, tmp_path, reader=None):
    for tolerance in (0.0, 0.5):
        result, expected, outcome = round_trip(
            images, labels, tmp_path, tolerance=tolerance, reader=reader
        )
        there = mean_oks(result, labels), mean_oks(expected, labels)
        count = outcome.count
        print(  # noqa: T201 # the figure is what the test is for
            f"{name}: tolerance {tolerance} px, {len(images)} frames, {result.shape[1]} persons: "
            f"OKS {there[0]:.6f} in CVAT, {there[1]:.6f} of the core; {count.written} keyframes "
            f"of {count.shown}"
        )
        assert there[0] == pytest.approx(there[1], abs=2e-5 if tolerance == 0 else 2e-3)
        error = np.linalg.norm(result - expected, axis=-1)
        assert np.nanmax(error) <= max(tolerance, 0.0075)
        assert (np.isnan(result) == np.isnan(expected)).all()


def test_the_demo_clip_comes_back_as_the_core_has_it(tmp_path):
    labels = read_document(DEMO / "labels.json")
    with open_frames(DEMO / "clip.mp4") as video:
        check("demo", [video.read(t) for t in range(len(video))], labels, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/p2s_multi_cam03")
def test_a_clip_of_three_persons_comes_back_as_the_core_has_it(tmp_path):
    labels = read_document(SHARED / "annotations.json")
    with open_frames(SHARED / "frames.mp4") as video:
        images = [video.read(t) for t in range(len(video))]
    check("p2s_multi_cam03 with MoveNet", images, labels, tmp_path, reader=MoveNet())
