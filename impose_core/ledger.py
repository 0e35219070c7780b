"""Writing the ledger: estimates where nobody spoke, marks where somebody did."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from impose_core.anchors import rearranged
from impose_core.config import EstimateConfig
from impose_core.estimates import Estimates
from impose_core.geometry import body_size, inside_image
from impose_core.marks import UNMARKED, Mark, Marks
from impose_core.poses import Origin, PoseTracks, Visibility

AREA_OF_EXTENT = 0.53
"""A body's area over its joints' extent, as in the evaluation of data without masks."""


def with_persons(ledger: PoseTracks, track_id: list[int]) -> PoseTracks:
    """A ledger of the persons ``track_id``: rows of those it had, empty rows for new ones."""
    columns = columns_of(ledger.track_id.tolist(), track_id)
    empty = {"visibility": 0, "origin": 0}
    names = ("xy", "visibility", "origin", "score", "deviation", "box")
    return PoseTracks(
        skeleton=ledger.skeleton,
        track_id=np.asarray(track_id, np.int64),
        **{
            name: rearranged(getattr(ledger, name), columns, empty.get(name, np.nan))
            for name in names
        },
    )


def columns_of(old: list[int], new: list[int]) -> NDArray[np.int64]:
    """For each of ``new`` its place in ``old``, -1 where it has none."""
    place = {track: n for n, track in enumerate(old)}
    return np.array([place.get(track, -1) for track in new], dtype=np.int64)


def write_frames(
    ledger: PoseTracks,
    estimates: Estimates,
    marks: Marks,
    start: int,
    *,
    width: int,
    height: int,
    config: EstimateConfig,
) -> None:
    """Write the frames of ``estimates``, the first of which is ``start``, into ``ledger``."""
    stop = start + len(estimates.xy)
    _write_estimates(ledger, estimates, start, width=width, height=height, config=config)
    for n, track in enumerate(ledger.track_id.tolist()):
        for frame in range(start, stop):
            mark = marks.get(track, frame)
            if mark is not None:
                size = body_size(mark.xy, width=width, height=height)
                _write_mark(ledger, mark, (frame, n), seed=config.seed_deviation * size)


def _write_mark(ledger: PoseTracks, mark: Mark, at: tuple[int, int], *, seed: float) -> None:
    """Write ``mark`` over whatever stands at a frame and person; seeds deviate ``seed`` px."""
    ledger.box[at] = mark.box
    placed, absent = mark.placed, mark.absent
    ledger.xy[at][placed] = mark.xy[placed]
    deviation = np.where(mark.human, 0.0, seed)
    score = expected_oks(deviation, np.asarray(ledger.skeleton.sigmas), _area(mark.xy))
    ledger.deviation[at][placed], ledger.score[at][placed] = deviation[placed], score[placed]
    for unknown in (ledger.xy[at], ledger.deviation[at], ledger.score[at]):
        unknown[absent] = np.nan
    flagged = mark.visibility != UNMARKED
    ledger.visibility[at][flagged] = mark.visibility[flagged]
    # a flag alone does not make a position human
    spoken = placed | absent
    ledger.origin[at][spoken] = mark.origin[spoken]


def _write_estimates(
    ledger: PoseTracks,
    estimates: Estimates,
    start: int,
    *,
    width: int,
    height: int,
    config: EstimateConfig,
) -> None:
    rows = slice(start, start + len(estimates.xy))
    xy, known = estimates.xy, estimates.known
    shown = known & inside_image(xy, width=width, height=height)
    scale = np.where(estimates.bridged, config.bridged_scale, config.open_scale)
    deviation = np.where(shown, np.sqrt(estimates.variance) * scale, np.nan)
    seen = np.where(estimates.visible, Visibility.VISIBLE, Visibility.OCCLUDED)
    ledger.xy[rows] = np.where(shown[..., None], xy, np.nan)
    ledger.visibility[rows] = np.where(shown, seen, Visibility.ABSENT)
    ledger.origin[rows] = np.where(shown, Origin.PROPAGATED, Origin.NONE)
    ledger.deviation[rows] = deviation
    ledger.score[rows] = expected_oks(
        deviation, np.asarray(ledger.skeleton.sigmas), _area(np.where(known[..., None], xy, np.nan))
    )
    ledger.box[rows] = np.nan


def expected_oks(
    deviation: NDArray[np.float64], sigmas: NDArray[np.float64], area: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The OKS term a joint may expect, in closed form.

    The mean of exp(-d^2 / (2 kappa^2)), kappa = 2 sigma sqrt(area), over a 2-D Gaussian error
    of ``deviation`` [..., K] pixels per axis is 1 / (1 + deviation^2 / kappa^2).
    """
    return np.asarray(1 / (1 + deviation**2 / ((2 * sigmas) ** 2 * area[..., None])))


def _area(xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area [...] of the bodies ``xy`` [..., K, 2] in pixels squared, never below 16."""
    known = np.isfinite(xy)
    low, high = np.where(known, xy, np.inf).min(-2), np.where(known, xy, -np.inf).max(-2)
    extent = np.maximum(high - low, 0.0)  # of nobody: -inf
    # three joints in a row have no area of their own; half their length squared stands in
    product = np.maximum(extent.prod(-1), (extent.max(-1) / 2) ** 2)
    return np.asarray(np.maximum(AREA_OF_EXTENT * product, 16.0))
