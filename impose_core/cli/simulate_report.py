"""What ``impose simulate`` reports: figures for machines, a table and pictures for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from impose_core.cli.evaluate_table import aligned
from impose_core.cli.pictures import write_pairs
from impose_core.evaluation.figures import plain
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.simulation import Simulation
from impose_core.evaluation.tracklets import Tracklet
from impose_core.evaluation.worst_poses import worst_poses
from impose_core.frames import FrameSource
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.skeleton import Skeleton

PICTURED: Final = 6
"""Worst poses in a picture."""


def figures(done: Simulation, strategy: str, *, seconds: float) -> dict[str, Any]:
    """The row of one engine and strategy; target values are keys, as JSON has no others."""
    persons = [
        {**asdict(one), "reached": {f"{goal:g}": clicks for goal, clicks in one.reached.items()}}
        for one in done.persons
    ]
    row: dict[str, Any] = plain(
        {
            "engine": done.tool,
            "strategy": strategy,
            "targets": {
                f"{goal:g}": {"clicks_per_person": done.clicks_to(goal), "never": done.never(goal)}
                for goal in done.targets
            },
            "clicks": done.curve[-1].clicks,
            "visited": done.curve[-1].visited,
            "identity_edits": done.identity_edits,
            "rounds": len(done.curve),
            "seconds": seconds,
            "persons": persons,
            "curve": [asdict(point) for point in done.curve],
        }
    )
    return row


def write_picture(
    path: Path,
    frames: FrameSource,
    truth: Sequence[Tracklet],
    poses: Floats,
    skeleton: Skeleton,
    sigmas: Floats,
) -> None:
    """Write the worst of ``poses`` [T, N, K, 2] beside their labels."""
    labels = np.stack([one.xy for one in truth], axis=1)
    labelled = np.stack([one.visibility > 0 for one in truth], axis=1)
    ids = [one.track_id for one in truth]
    left = _ledger(np.where(labelled[..., None], labels, np.nan), ids, skeleton)
    right = _ledger(poses, ids, skeleton)
    pairs = [
        (one.frame, one.person, f"frame {one.frame}, person {ids[one.person]}, OKS {one.oks:.2f}")
        for one in worst_poses(truth, poses, sigmas=sigmas, limit=PICTURED)
    ]
    write_pairs(path, frames, ("label", left), ("tool", right), pairs)


def _ledger(xy: Floats, ids: Sequence[int], skeleton: Skeleton) -> PoseTracks:
    tracks = PoseTracks.empty(frames=len(xy), track_id=list(ids), skeleton=skeleton)
    known = np.isfinite(xy).all(-1)
    return replace(
        tracks,
        xy=xy,
        visibility=np.where(known, Visibility.VISIBLE, Visibility.ABSENT).astype(np.uint8),
        origin=np.where(known, Origin.HUMAN, Origin.NONE).astype(np.uint8),
    )


def table(rows: Sequence[dict[str, Any]], persons: int) -> str:
    """All rows, for people."""
    targets = list(rows[0]["targets"])
    cells: list[list[Any]] = [
        [
            "clicks per person",
            "strategy",
            *(f"to {target}" for target in targets),
            "never",
            "frames visited",
            "OKS at the end",
        ]
    ]
    for row in rows:
        reached = [row["targets"][target] for target in targets]
        cells.append(
            [
                row["engine"],
                row["strategy"],
                *(f"{one['clicks_per_person']:.1f}" for one in reached),
                f"{reached[-1]['never']} of {persons}",
                row["visited"],
                row["curve"][-1]["oks"],
            ]
        )
    return "\n".join(aligned(cells))
