"""Makes the few corrections of the demo from the labels; a development tool.

    python docs/demo/make_corrections.py

Plays an annotator who sees what ``impose detect`` found and knows the labels: the joint that is
most wrong over the whole clip is put in place on its worst frame, everything follows, and so on,
``CLICKS`` times. No click is taken back, and none is chosen for how much it helps. Run it again
when the detector or the estimate changes: the ids are those the detector gives.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import typer
from score import matched, mean_oks, terms

from impose_core.corrections import MoveKeypoints
from impose_core.engine import Engine
from impose_core.frames import open_frames
from impose_core.io.coco import PoseDocument, read_document, write_document
from impose_core.poses import Origin, PoseTracks, Visibility
from impose_core.readers.movenet import MoveNet
from impose_core.session import Session

HERE = Path(__file__).parent
CLICKS = 12
NOTE = (
    "What a simulated annotator clicked after 'impose detect' (make_corrections.py): twelve times "
    "the joint that was most wrong by the labels. Track ids are the detector's. No click by a "
    "human hand."
)


def main() -> None:
    """Write corrections.json beside this file."""
    labels = read_document(HERE / "labels.json")
    with (
        open_frames(HERE / "clip.mp4") as frames,
        Session(
            frames, skeleton=labels.tracks.skeleton, engine=Engine(reader=MoveNet())
        ) as session,
    ):
        for _ in session.detect():
            pass
        for _ in session.propagate():
            pass
        found = session.tracks
        said = PoseTracks.empty(
            frames=len(found), track_id=found.track_id.tolist(), skeleton=found.skeleton
        )
        typer.echo("clicks  OKS     where")
        typer.echo(f"     0  {mean_oks(found, labels)[-1]:.4f}")
        for click in range(1, CLICKS + 1):
            t, n, k, person = _worst(session.tracks, said, labels)
            said.xy[t, person, k] = labels.tracks.xy[t, n, k]
            said.visibility[t, person, k] = labels.tracks.visibility[t, n, k]
            said.origin[t, person, k] = Origin.HUMAN
            joint, track = said.skeleton.keypoints[k], int(said.track_id[person])
            x, y = said.xy[t, person, k].tolist()
            flag = Visibility(int(said.visibility[t, person, k]))
            session.correct(
                MoveKeypoints(frame=t, track=track, xy={joint: (x, y)}, visibility={joint: flag})
            )
            for _ in session.propagate():
                pass
            oks = mean_oks(session.tracks, labels)[-1]
            typer.echo(f"    {click:2d}  {oks:.4f}  frame {t}, person {track}, {joint}")
    extra = replace(labels.extra, document={"info": {"note": NOTE}}, images={}, listed=())
    area = np.full(said.box.shape[:2], np.nan)
    clicked = replace(labels, tracks=said, area=area, extra=replace(extra, annotations={}))
    write_document(HERE / "corrections.json", clicked)


def _worst(tracks: PoseTracks, said: PoseTracks, labels: PoseDocument) -> tuple[int, int, int, int]:
    """Frame, labelled person and joint that is most wrong, and who it is in ``tracks``."""
    found = matched(tracks, labels)
    worst, most = (0, 0, 0, 0), -1.0
    for n, track in enumerate(labels.tracks.track_id.tolist()):
        people = tracks.xy.swapaxes(0, 1)
        person = [np.array_equal(found[track], one, equal_nan=True) for one in people].index(True)
        loss = np.nan_to_num(1 - terms(found[track], labels, n))
        loss[said.origin[:, person] == Origin.HUMAN] = 0.0
        k = int(loss.sum(0).argmax())
        if loss.sum(0)[k] > most:
            worst, most = (int(loss[:, k].argmax()), n, k, person), loss.sum(0)[k]
    return worst


if __name__ == "__main__":
    main()
