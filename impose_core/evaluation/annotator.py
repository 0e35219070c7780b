"""A simulated annotator: where it looks, what it clicks, how well it hits.

Only frames the person is labelled on are ever looked at: elsewhere nobody knows what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.evaluation.oks import Floats

Frames = Iterator[int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One person as the annotator may see it.

    Attributes:
        terms: float64 [T, K], OKS term of every joint against the truth: 0 where the tool
            shows none, NaN where the truth has none.
        open: bool [T, K]: wrong (``terms`` below what is accepted) and not clicked yet.
        suggested: frames the tool would look at next, worst first.
        rng: for those who choose by chance.
    """

    terms: Floats
    open: NDArray[np.bool_]
    suggested: list[int]
    rng: np.random.Generator


Strategy = Callable[[View], Frames]
"""Gives frames in the order in which the annotator looks at them, until one needs a click."""


def worst_joint(view: View) -> Frames:
    """The frame of the joint that is furthest off anywhere (IMPose's VNoC).

    Knows the truth, so it looks at no frame on which nothing is wrong.
    """
    worst = np.where(view.open, view.terms, np.inf).min(-1)
    order = np.argsort(worst, kind="stable")
    yield from order[np.isfinite(worst[order])].tolist()


def first_error(view: View) -> Frames:
    """From the left, the first frame with something wrong on it: scrubs the video once more."""
    yield from range(len(view.terms))


def review(view: View) -> Frames:
    """The tool's own suggestions, then the other frames by chance."""
    yield from view.suggested
    yield from (frame for frame in random_frame(view) if frame not in view.suggested)


def random_frame(view: View) -> Frames:
    """All frames in an order left to chance."""
    yield from view.rng.permutation(len(view.terms)).tolist()


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "worst": worst_joint,
        "first-error": first_error,
        "review": review,
        "random": random_frame,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """How somebody annotates.

    Attributes:
        strategy: a name of :data:`STRATEGIES`.
        joints_per_visit: at most so many joints are corrected on a frame, worst first (the k
            of the papers).
        accept: a joint whose OKS term is at least this is right.
        noise: body sizes, one sigma per axis: how far clicks miss (a body size is half the
            diagonal of the labelled joints' extent, so a lone joint is hit exactly).
        miss: probability that a wrong joint is overlooked on a visit. Who has looked
            everywhere and noticed nothing stops.
        seed: of everything that is left to chance, at least 0.

    Raises:
        UsageError: if a value is out of range.
    """

    strategy: str = "worst"
    joints_per_visit: int = 1
    accept: float = 0.95
    noise: float = 0.0
    miss: float = 0.0
    seed: int = 0
    rng: np.random.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UsageError(
                f"Expected 'strategy' to be one of {', '.join(STRATEGIES)}, got {self.strategy!r}."
            )
        for name, good, expected in (
            ("joints_per_visit", self.joints_per_visit >= 1, "at least 1"),
            ("accept", 0 < self.accept <= 1, "above 0 and at most 1"),
            ("noise", 0 <= self.noise < np.inf, "at least 0 and finite"),
            ("miss", 0 <= self.miss < 1, "at least 0 and below 1"),
            ("seed", self.seed >= 0, "at least 0"),
        ):
            if not good:
                raise UsageError(f"Expected '{name}' to be {expected}, got {getattr(self, name)}.")
        object.__setattr__(self, "rng", np.random.default_rng(self.seed))

    def visits(
        self, terms: Floats, clicked: NDArray[np.bool_], suggested: list[int]
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Frames one after the other with the joints to click there, until there are some.

        Args:
            terms: [T, K], see :class:`View`.
            clicked: [T, K], what was clicked before: a human believes it is right.
            suggested: frames.
        """
        view = View(
            terms=terms,
            open=(terms < self.accept) & ~clicked,
            suggested=suggested,
            rng=self.rng,
        )
        labelled = np.asarray(np.isfinite(terms).any(-1))
        for frame in STRATEGIES[self.strategy](view):
            if not labelled[frame]:
                continue
            wrong = np.flatnonzero(view.open[frame])
            noticed = wrong[self.rng.random(len(wrong)) >= self.miss]
            order = np.argsort(terms[frame, noticed], kind="stable")[: self.joints_per_visit]
            yield frame, noticed[order]
            if len(order):
                return

    def clicks(self, xy: Floats, size: float) -> Floats:
        """Where clicks on ``xy`` [J, 2] pixels land, on a body of ``size`` pixels."""
        return np.asarray(xy + self.rng.normal(0, 1, xy.shape) * self.noise * size)
