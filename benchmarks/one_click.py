"""``python -m benchmarks.one_click``: what one click says about the joints nobody clicked.

Zero-click poses are MoveNet Thunder's best place for every joint, in the view around the
labelled person. Then three ways to take a click:

- *one joint*: the clicked joint moves, nothing else;
- *read again*: the view is placed by the click, every other joint goes to its best place;
- *body*: :func:`impose_core.one_click.repair_body`.

Constants were chosen on the images of LSPET with even place in its file (and the way trunk and
neighbours count also with an eye on p2s_multi_cam03); odd ones and the other clips report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import DATA, real_clip
from benchmarks.remembering import Remembering, the_reader
from impose_core.click_seeds import seeds_of_clicks
from impose_core.corrections import MoveKeypoints, VideoShape, marks_from_tracks, patch_of
from impose_core.engine import Engine
from impose_core.evaluation.click_matching import matched_as_click_pose
from impose_core.evaluation.click_rounds import ClickProtocol, Clicks, ImageKey, place_clicks
from impose_core.evaluation.click_strategies import worst_l1
from impose_core.evaluation.clicks import click_curve, number_of_clicks
from impose_core.evaluation.keypoint_ap import keypoint_ap
from impose_core.evaluation.oks import keypoint_similarity
from impose_core.frames import ArrayFrames
from impose_core.marks import Marks
from impose_core.one_click import look, repair_body, views_of
from impose_core.pose_sets import Instances, LabelledFrame, PoseSequence, PoseSet
from impose_core.poses import Origin, Visibility
from impose_core.readers.whole_body import Neighbours, repair
from impose_core.session import Session
from impose_core.skeleton import COCO17

SIGMAS: Final = np.asarray(COCO17.sigmas)
CLIPS: Final = ("p2s_multi_cam01", "p2s_multi_cam03", "human_dance17")
BAD: Final = 0.75
"""OKS below which a zero-click body is a bad one."""
DATASETS: Final = ("lspet_500", *CLIPS)
METHODS: Final = ("one joint", "read again", "body")
MOST: Final = 4
"""C_0 to C_4."""
TARGETS: Final = (0.85, 0.90, 0.95)

Floats = NDArray[np.float64]
Pixels = Callable[[ImageKey], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Labelled images and how to get at their pixels."""

    name: str
    labels: PoseSet
    pixels: Pixels


def lspet(*, first: int, step: int) -> Material:
    """Images of LSPET: every ``step``-th from ``first`` of those with six joints or more."""
    folder = DATA / "lspet_500"
    document = json.loads((folder / "annotations.json").read_text())
    names = document["categories"][0]["keypoints"]
    images = {image["id"]: image for image in document["images"]}
    columns = [COCO17.keypoints.index(n) if n in COCO17.keypoints else -1 for n in names]
    sequences = []
    for annotation in document["annotations"]:
        found = np.zeros((17, 3))
        triples = np.reshape(annotation["keypoints"], (-1, 3))
        for k, triple in zip(columns, triples, strict=True):
            if k >= 0 and triple[2] > 0:
                found[k] = triple
        if (found[:, 2] > 0).sum() < 6:
            continue
        image = images[annotation["image_id"]]
        persons = _labelled(found[None], np.array([annotation["area"]], np.float64))
        frame = LabelledFrame(index=0, instances=persons, file_name=image["file_name"])
        sequences.append(
            PoseSequence(
                name=image["file_name"],
                width=image["width"],
                height=image["height"],
                frames=(frame,),
            )
        )
    labels = PoseSet(keypoints=COCO17.keypoints, sequences=tuple(sequences[first::step]))

    def pixels(key: ImageKey) -> NDArray[np.uint8]:
        return np.ascontiguousarray(cv2.imread(str(folder / key.sequence))[..., ::-1])

    return Material(name="lspet_500", labels=labels, pixels=pixels)


def clip(name: str, *, step: int) -> Material:
    """Every ``step``-th frame of a clip."""
    clip = real_clip(name)
    truth = clip.truth
    frames = []
    for t in range(0, len(truth), step):
        flags = truth.visibility[t] * np.isfinite(truth.xy[t]).all(-1)
        there = (flags > 0).sum(-1) >= 6
        if not there.any():
            continue
        triples = np.concatenate([np.nan_to_num(truth.xy[t]), flags[..., None]], -1)[there]
        frames.append(LabelledFrame(index=t, instances=_labelled(triples, clip.area[t][there])))
    sequence = PoseSequence(
        name=name, width=clip.frames.width, height=clip.frames.height, frames=tuple(frames)
    )
    return Material(
        name=name,
        labels=PoseSet(keypoints=truth.skeleton.keypoints, sequences=(sequence,)),
        pixels=lambda key: clip.frames.read(key.index),
    )


def _labelled(triples: Floats, area: Floats) -> Instances:
    people = Instances.unknown(len(triples), 17)
    people.xy[:], people.visibility[:] = triples[..., :2], triples[..., 2]
    people.area[:] = area
    for p, triple in enumerate(triples):
        there = triple[triple[:, 2] > 0, :2]
        people.box[p] = (*there.min(0), *there.max(0))
    return people


def zero_clicks(material: Material, reader: Remembering) -> PoseSet:
    """Thunder's best places in the views around the labelled persons, as read upright."""
    sequences = []
    for sequence in material.labels.sequences:
        frames = []
        for frame in sequence.frames:
            image = material.pixels(_key(sequence, frame))
            seen = look(reader, image, reader.views(frame.instances.box))
            people = Instances.unknown(len(frame.instances), 17)
            people.xy[:], people.keypoint_score[:] = seen.xy[::4, :, 0], seen.score[::4, :, 0]
            people.visibility[:] = np.isfinite(people.xy).all(-1) * Visibility.VISIBLE
            people.score[:] = people.keypoint_score.mean(-1)
            people.box[:] = frame.instances.box
            frames.append(replace(frame, instances=people))
        sequences.append(replace(sequence, frames=tuple(frames)))
    return PoseSet(keypoints=material.labels.keypoints, sequences=tuple(sequences))


def _key(sequence: PoseSequence, frame: LabelledFrame) -> ImageKey:
    return ImageKey(
        sequence=sequence.name,
        index=frame.index,
        file_name=frame.file_name,
        width=sequence.width,
        height=sequence.height,
    )


class Refining:
    """A refiner of one run: remembers what was clicked on which image."""

    def __init__(self, method: str, reader: Remembering, pixels: Pixels) -> None:
        self._method, self._reader = method, reader
        self._pixels = cache(pixels)
        self._pins: dict[tuple[str, int], Floats] = {}

    def __call__(self, persons: Instances, clicks: Clicks, image: ImageKey) -> Instances:
        """See :class:`impose_core.evaluation.click_rounds.Refiner`."""
        placed = place_clicks(persons, clicks, image)
        if self._method == "one joint":
            return placed
        pins = self._pins.setdefault(
            (image.sequence, image.index), np.full_like(persons.xy, np.nan)
        )
        pins[clicks.person, clicks.joint] = clicks.xy
        xy, score = placed.xy.copy(), placed.keypoint_score.copy()
        for p in np.unique(clicks.person):
            xy[p], score[p] = self._refined(persons, pins, int(p), self._pixels(image))
        flags = np.where(np.isfinite(xy).all(-1), Visibility.VISIBLE, 0).astype(np.uint8)
        return replace(placed, xy=xy, keypoint_score=score, visibility=flags)

    def _refined(
        self, persons: Instances, pins: Floats, p: int, image: NDArray[np.uint8]
    ) -> tuple[Floats, Floats]:
        pinned = pins[p]
        if self._method == "read again":
            seen = look(self._reader, image, views_of(self._reader, persons.xy[p], pinned))
            best = np.where(np.isnan(seen.xy[0, :, 0]), persons.xy[p], seen.xy[0, :, 0])
            return np.where(np.isnan(pinned), best, pinned), seen.score[0, :, 0]
        rest = np.arange(len(persons)) != p
        known = np.isfinite(pins[rest]).all(-1)
        others = Neighbours(
            xy=np.where(known[..., None], pins[rest], persons.xy[rest]),
            sure=np.where(known, 1.0, np.nan_to_num(persons.keypoint_score[rest])),
        )
        unknown = np.full(17, np.nan)
        found = repair_body(self._reader, image, persons.xy[p], unknown, pinned, neighbours=others)
        return found.xy, found.score


def measure_clicks(material: Material, reader: Remembering) -> list[dict[str, Any]]:
    """C_k and NoC of the three methods: progressive, clicked joints stay."""
    first = zero_clicks(material, reader)
    rows = []
    for method in METHODS:

        def protocol(method: str = method) -> ClickProtocol:
            return ClickProtocol(
                matching=matched_as_click_pose(SIGMAS),
                strategy=worst_l1,
                refine=Refining(method, reader, material.pixels),
            )

        curve = click_curve(
            material.labels, first, average_precision=_ap, protocol=protocol(), most=MOST
        )
        needed = number_of_clicks(
            material.labels, first, average_precision=_ap, protocol=protocol(), targets=TARGETS
        )
        rows.append(
            {
                "data": material.name,
                "images": len(needed[0].per_image),
                "method": method,
                "C": [round(ap, 4) for ap in curve.average_precision],
                "NoC": {f"{n.target:.2f}": round(n.mean, 3) for n in needed},
                "never": {f"{n.target:.2f}": n.never for n in needed},
            }
        )
        print(clicks_line(rows[-1]), flush=True)
    return rows


def _ap(labels: PoseSet, predictions: PoseSet) -> float:
    return keypoint_ap(labels, predictions, joints=False).ap


def measure_others(material: Material, reader: Remembering) -> list[dict[str, Any]]:
    """Mean error of the joints not clicked after one click on the worst, in half diagonals."""
    first = zero_clicks(material, reader)
    bodies: list[tuple[float, dict[str, float]]] = []
    for (sequence, frame), (_, predicted) in zip(material.labels, first, strict=True):
        labels, persons = frame.instances, predicted.instances
        counts = labels.visibility > 0
        size = np.hypot(*(labels.box[:, 2:] - labels.box[:, :2]).T) / 2
        errors = _errors(persons.xy, labels, size)
        worst = np.where(counts, errors, -1).argmax(-1)
        p = np.arange(len(labels))
        clicks = Clicks(person=p, joint=worst, xy=labels.xy[p, worst])
        key = _key(sequence, frame)
        after = {
            method: Refining(method, reader, material.pixels)(persons, clicks, key).xy
            for method in METHODS
        }
        after["body, no click"] = _unclicked(persons, material.pixels(key), reader)
        terms = keypoint_similarity(persons.xy, labels.xy, area=labels.area, sigmas=SIGMAS)
        counted = counts.copy()
        counted[p, worst] = False
        for n in p:
            score = float(terms[n][counts[n]].mean())
            found = {
                method: float(_errors(xy, labels, size)[n][counted[n]].mean())
                for method, xy in after.items()
            }
            bodies.append((score, found))
    rows = []
    for kind, chosen in (
        ("bad", [f for s, f in bodies if s < BAD]),
        ("good", [f for s, f in bodies if s >= BAD]),
    ):
        if chosen:
            mean = {m: round(float(np.mean([f[m] for f in chosen])), 4) for m in chosen[0]}
            rows.append({"data": material.name, "bodies": kind, "n": len(chosen), "error": mean})
            print(others_line(rows[-1]), flush=True)
    return rows


def _unclicked(persons: Instances, image: NDArray[np.uint8], reader: Remembering) -> Floats:
    """The tree alone, as a zero-click method: what the click adds is the difference to this."""
    nothing = np.full((17, 2), np.nan)
    return np.stack(
        [
            repair(
                look(reader, image, views_of(reader, xy, nothing)), xy, nothing[:, 0], nothing
            ).xy
            for xy in persons.xy
        ]
    )


def _errors(xy: Floats, labels: Instances, size: Floats) -> Floats:
    """[P, K]; a joint that is missing is one body size off."""
    distance = np.linalg.norm(xy - labels.xy, axis=-1) / size[:, None]
    return np.where(np.isnan(distance), 1.0, distance)


def measure_between_anchors(name: str, *, gap: int = 15, frames: int = 91) -> dict[str, Any]:
    """Click the worst joint of every person on frames between anchors: what happens to others.

    Errors in pixels of the joints not clicked, on the clicked frame, as shown at once.
    """
    clip = real_clip(name)
    truth = clip.truth.frames(0, frames)
    human = truth.copy()
    keep = np.zeros(frames, bool)
    keep[::gap] = True
    human.xy[~keep], human.visibility[~keep], human.origin[~keep] = np.nan, 0, Origin.NONE
    human.origin[keep] = np.where(np.isfinite(truth.xy[keep]).all(-1), Origin.HUMAN, Origin.NONE)
    pixels = ArrayFrames(np.stack([clip.frames.read(t) for t in range(frames)]), fps=30, name=name)
    session = Session(pixels, skeleton=truth.skeleton, engine=Engine())
    session.load(human)
    for _ in session.propagate():
        pass
    shown, reader = session.tracks, the_reader()
    video = VideoShape(frames=frames, width=pixels.width, height=pixels.height)
    marks = Marks(len(truth.skeleton))
    marks.apply(marks_from_tracks(human, marks, truth.skeleton, video))
    before, after, seeds, clicked = [], [], 0, 0
    for t in [f for f in range(frames) if f % gap in (gap // 4, gap // 2, 3 * gap // 4)]:
        for n, track in enumerate(truth.track_id.tolist()):
            there = np.isfinite(truth.xy[t, n]).all(-1) & (truth.visibility[t, n] > 0)
            error = np.linalg.norm(shown.xy[t, n] - truth.xy[t, n], axis=-1)
            if not np.isfinite(error[there]).any():
                continue
            k = int(np.nanargmax(np.where(there, error, np.nan)))
            said = MoveKeypoints(
                frame=t, track=track, xy={truth.skeleton.keypoints[k]: tuple(truth.xy[t, n, k])}
            )
            trial = marks.copy()
            trial.apply(patch_of(said, marks, skeleton=truth.skeleton, video=video, estimate=shown))
            patch = seeds_of_clicks(
                [(track, t)], trial, before=marks, shown=shown, frames=pixels, reader=reader
            )
            mark = patch[track, t][1] if patch else None
            new = error.copy()
            if mark is not None:
                seeded = mark.origin == Origin.DETECTED
                seeds += int(seeded.sum())
                new[seeded] = np.linalg.norm(mark.xy - truth.xy[t, n], axis=-1)[seeded]
            rest = there & (np.arange(len(there)) != k) & np.isfinite(error)
            before.append(error[rest].mean())
            after.append(new[rest].mean())
            clicked += 1
    return {
        "data": name,
        "gap": gap,
        "clicks": clicked,
        "seeds": seeds,
        "error_before_px": round(float(np.mean(before)), 3),
        "error_after_px": round(float(np.mean(after)), 3),
    }


def clicks_line(row: dict[str, Any]) -> str:
    """A line of the table of clicks."""
    curve = " | ".join(f"{c:.3f}" for c in row["C"])
    needed = " | ".join(f"{row['NoC'][t]:.2f} ({row['never'][t]})" for t in row["NoC"])
    return f"| {row['data']} | {row['images']} | {row['method']} | {curve} | {needed} |"


def others_line(row: dict[str, Any]) -> str:
    """A line of the table of the other joints."""
    error = row["error"]
    drop = 1 - error["body"] / error["one joint"]
    cells = " | ".join(f"{error[m]:.3f}" for m in (*METHODS, "body, no click"))
    return f"| {row['data']} | {row['bodies']} | {row['n']} | {cells} | {round(100 * drop)} % |"


def run(name: str, *, full: bool = False) -> dict[str, list[dict[str, Any]]]:
    """The rows of one lot of data by question, JSON-ready.

    Args:
        name: one of :data:`DATASETS`.
        full: measure the other joints on twice as many images.
    """
    if name == "lspet_500":
        clicked, others = lspet(first=1, step=4), lspet(first=1, step=2 if full else 4)
    else:
        clicked, others = clip(name, step=10), clip(name, step=5 if full else 10)
    reader = the_reader()
    return {
        "others": measure_others(others, reader),
        "clicks": measure_clicks(clicked, reader),
        "between_anchors": [measure_between_anchors(name)] if name in CLIPS[:2] else [],
    }


def main() -> None:
    """Measure, print, and write to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    results: dict[str, list[dict[str, Any]]] = {}
    for name in DATASETS:
        for question, rows in run(name, full=True).items():
            results.setdefault(question, []).extend(rows)
    print(*results["between_anchors"], sep="\n")
    if out:
        out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
