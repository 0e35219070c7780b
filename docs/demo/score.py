"""How near documents of the demo clip are to its labels: the last lines of ``make demo``.

    python docs/demo/score.py NAME=DOCUMENT [NAME=DOCUMENT ...]

Who is who is decided once for the whole clip (the assignment with the largest sum of OKS), so
that mixing up two persons costs what it should.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.io.coco import PoseDocument, read_document
from impose_core.poses import PoseTracks

HERE = Path(__file__).parent


def terms(xy: NDArray[np.float64], labels: PoseDocument, n: int) -> NDArray[np.float64]:
    """OKS terms [T, K] of one found person ``xy`` [T, K, 2] as the labelled person ``n``.

    0 where a labelled joint was not found; NaN where there is no label.
    """
    truth = labels.tracks
    kappa = 2 * np.asarray(truth.skeleton.sigmas) * np.sqrt(labels.area[:, n, None])
    squared = ((xy - truth.xy[:, n]) ** 2).sum(-1)
    found = np.nan_to_num(np.exp(-squared / (2 * kappa**2)))
    return np.where(np.isfinite(truth.xy[:, n]).all(-1), found, np.nan)


def matched(tracks: PoseTracks, labels: PoseDocument) -> dict[int, NDArray[np.float64]]:
    """For each labelled person's id the person found [T, K, 2]; NaN where nobody was."""
    columns = [labels.tracks.skeleton.keypoints.index(k) for k in tracks.skeleton.keypoints]
    xy = np.full((len(tracks.track_id), *labels.tracks.xy[:, 0].shape), np.nan)
    xy[:, :, columns] = tracks.xy.swapaxes(0, 1)
    ids = labels.tracks.track_id.tolist()
    similar = np.array([[np.nansum(terms(one, labels, n)) for one in xy] for n in range(len(ids))])
    pairs = linear_sum_assignment(-similar.reshape(len(ids), len(xy)))
    nobody = np.full_like(labels.tracks.xy[:, 0], np.nan)
    return dict.fromkeys(ids, nobody) | {ids[n]: xy[m] for n, m in zip(*pairs, strict=True)}


def mean_oks(tracks: PoseTracks, labels: PoseDocument) -> list[float]:
    """Of each labelled person over all frames with a label, and of all of them."""
    found = matched(tracks, labels)
    oks = []
    for n, track in enumerate(labels.tracks.track_id.tolist()):
        term = terms(found[track], labels, n)
        oks.append(np.nanmean(term[np.isfinite(term).any(-1)], axis=-1))
    return [*(float(one.mean()) for one in oks), float(np.concatenate(oks).mean())]


def main(arguments: list[str]) -> None:
    """Print a row for each document."""
    labels = read_document(HERE / "labels.json")
    names = [f"label {track}" for track in labels.tracks.track_id.tolist()]
    typer.echo("mean OKS        " + "".join(name.rjust(9) for name in (*names, "all")))
    for argument in arguments:
        name, path = argument.split("=", 1)
        row = mean_oks(read_document(path).tracks, labels)
        typer.echo(f"{name:16s}" + "".join(f"{value:9.3f}" for value in row))


if __name__ == "__main__":
    main(sys.argv[1:])
