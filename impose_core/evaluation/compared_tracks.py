"""What HOTA, CLEAR and the identity scores look at: who could be whom, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EPSILON = float(np.finfo(float).eps)
"""What a similarity may lack of a threshold by rounding (TrackEval's tolerance)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedFrame:
    """The G labels and P predictions of one frame.

    Attributes:
        labels: int64 [G], number of each label's track, from 0.
        predictions: int64 [P], number of each prediction's track, from 0.
        similarity: float64 [G, P], 0 (nothing alike) to 1 (the same).
    """

    labels: Integers
    predictions: Integers
    similarity: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedTracks:
    """The I labelled and J predicted tracks of one video.

    Attributes:
        frames: in the order of time.
        label_lengths: int64 [I], frames in which each labelled track is.
        predicted_lengths: int64 [J], likewise.
    """

    frames: tuple[ComparedFrame, ...]
    label_lengths: Integers
    predicted_lengths: Integers

    @classmethod
    def of(cls, frames: Iterable[tuple[Integers, Integers, Floats]]) -> ComparedTracks:
        """Tracks numbered by ascending id, which decides where similarities are equal.

        Args:
            frames: of each, the track ids [G] of labels and [P] of predictions, and how
                alike they are [G, P].

        Raises:
            UsageError: if a track is twice in a frame, shapes do not fit, or a similarity is
                not from 0 to 1.
        """
        given = [(np.asarray(a, np.int64), np.asarray(b, np.int64), s) for a, b, s in frames]
        for number, (labels, predictions, similarity) in enumerate(given):
            _check_frame(number, labels, predictions, similarity)
        label_ids, label_lengths = _counted([labels for labels, _, _ in given])
        predicted_ids, predicted_lengths = _counted([predictions for _, predictions, _ in given])
        return cls(
            frames=tuple(
                ComparedFrame(
                    labels=np.searchsorted(label_ids, labels),
                    predictions=np.searchsorted(predicted_ids, predictions),
                    similarity=similarity,
                )
                for labels, predictions, similarity in given
            ),
            label_lengths=label_lengths,
            predicted_lengths=predicted_lengths,
        )


def _counted(ids: list[Integers]) -> tuple[Integers, Integers]:
    return np.unique(np.concatenate([np.empty(0, np.int64), *ids]), return_counts=True)


def _check_frame(number: int, labels: Integers, predictions: Integers, similarity: Floats) -> None:
    for name, ids in (("labels", labels), ("predictions", predictions)):
        found, count = np.unique(ids, return_counts=True)
        if (count > 1).any():
            raise UsageError(
                f"Expected the track ids of the {name} of frame {number} to differ, "
                f"got {found[count > 1][0]} {count.max()} times."
            )
    if similarity.shape != (len(labels), len(predictions)):
        raise UsageError(
            f"Expected 'similarity' of frame {number} to have shape "
            f"{(len(labels), len(predictions))}, got {similarity.shape}."
        )
    # in this form NaN is caught too; a rounding error above 1 is none of the caller's faults
    if similarity.size and not (similarity.min() >= 0 and similarity.max() <= 1 + 1e-9):
        raise UsageError(
            f"Expected 'similarity' of frame {number} to be from 0 to 1, "
            f"got {similarity.min()} to {similarity.max()}."
        )
