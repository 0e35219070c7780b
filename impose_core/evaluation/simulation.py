"""How many clicks until the whole clip is right? A simulated annotator works with a tool.

People whom the tool finds by itself cost nothing yet. Everybody else is put in place on the
first frame they are labelled on, joint by joint, which costs as much with every tool. Then,
round by round, each person that is not good enough yet is visited and corrected, and the tool
makes new poses. A person's accuracy is that of IMPose's VNoC
(:meth:`impose_core.evaluation.tracklets.Tracklet.accuracy`) or the mean OKS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from impose_core.errors import UsageError
from impose_core.evaluation.annotation_tools import AnnotationTool, Placement
from impose_core.evaluation.annotator import Annotator
from impose_core.evaluation.oks import Floats
from impose_core.evaluation.tracklets import THRESHOLDS, Tracklet

TOLERANCE = 1e-9
"""How far below its target an accuracy may be by rounding."""

RECOGNISED = 0.5
"""From this mean OKS over all labelled frames on, a found person is taken for a labelled one; who
is found worse is placed by hand."""

Measure = Literal["accuracy", "oks"]
MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)


@dataclass(slots=True, kw_only=True)
class PersonEffort:
    """What one person cost.

    Attributes:
        track_id: of the label.
        labelled: labelled joints of all frames: clicks that annotating by hand costs.
        frames: labelled frames.
        clicks: made so far.
        visited: frames looked at so far, with or without a click.
        reached: target -> clicks after which it was first reached.
        value: of the measure, now.
        capped: the last target was not reached, and nothing is left that the annotator would
            click; at the latest after as many clicks as there are labelled joints.
    """

    track_id: int
    labelled: int
    frames: int
    clicks: int = 0
    visited: int = 0
    reached: dict[float, int] = field(default_factory=dict)
    value: float = 0.0
    capped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """After a round: all clicks, frames visited, mean OKS and mean accuracy over persons."""

    clicks: int
    visited: int
    oks: float
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What a simulated annotation cost, and how good it got.

    Attributes:
        tool: its name.
        persons: each labelled person.
        curve: after the first placement, and after every round.
        identity_edits: persons made by hand, and found ones taken away since they are nobody
            or somebody who was found already.
        targets: ascending.
        poses: target -> float64 [T, N, K, 2] pixels, when the last person who ever reached it
            did; for the pictures.
    """

    tool: str
    persons: tuple[PersonEffort, ...]
    curve: tuple[CurvePoint, ...]
    identity_edits: int
    targets: tuple[float, ...]
    poses: Mapping[float, Floats]

    def clicks_to(self, target: float) -> float:
        """Mean clicks per person to ``target``; capped persons count what they cost."""
        counted = [one for one in self.persons if one.labelled]
        return float(np.mean([one.reached.get(target, one.clicks) for one in counted]))

    def never(self, target: float) -> int:
        """Persons that did not reach ``target``."""
        return sum(target not in one.reached for one in self.persons if one.labelled)


def simulate(
    tool: AnnotationTool,
    truth: Sequence[Tracklet],
    annotator: Annotator,
    *,
    sigmas: Floats,
    targets: Sequence[float] = (0.75, 0.85, 0.95),
    measure: Measure = "accuracy",
    progress: Callable[[CurvePoint], None] | None = None,
) -> Simulation:
    """Annotate ``truth`` with ``tool`` until every person reaches the last of ``targets``.

    Deterministic: the same arguments (a fresh ``annotator`` and ``tool``) give the same answer.

    Args:
        tool: whose N axis is the order of ``truth``.
        truth: persons of one video over T frames.
        annotator: who clicks.
        sigmas: [K] of OKS.
        targets: values of ``measure``, 0 to 1.
        measure: "accuracy" (share of frames with OKS >= .50:.05:.95) or "oks" (their mean).
        progress: told where the work stands after every round.

    Raises:
        UsageError: if there is nobody to annotate, a target is out of range, or ``measure`` is
            no measure.
    """
    if not targets or not all(0 < target <= 1 for target in targets):
        raise UsageError(
            f"Expected 'targets' to lie above 0 and at most at 1, got {list(targets)}."
        )
    goals = tuple(sorted(set(targets)))
    if not any(person.on.any() for person in truth):
        raise UsageError("Expected 'truth' to hold a labelled person, got nobody.")
    if measure not in MEASURES:
        expected = ", ".join(MEASURES)
        raise UsageError(f"Expected 'measure' to be one of {expected}, got {measure!r}.")
    work = _Work(tool, truth, annotator, sigmas, goals, measure)
    made = work.begin()
    curve = [work.point()]
    while work.go_on():
        curve.append(work.point())
        if progress is not None:
            progress(curve[-1])
    curve[-1] = work.point()  # a last look may have found nothing to click
    return Simulation(
        tool=tool.name,
        persons=tuple(work.efforts),
        curve=tuple(curve),
        identity_edits=made,
        targets=goals,
        poses=work.poses,
    )


class _Work:
    """One annotation under way."""

    def __init__(
        self,
        tool: AnnotationTool,
        truth: Sequence[Tracklet],
        annotator: Annotator,
        sigmas: Floats,
        goals: tuple[float, ...],
        measure: Measure,
    ) -> None:
        self._tool, self._truth, self._annotator = tool, truth, annotator
        self._sigmas, self._goals, self._measure = sigmas, goals, measure
        self.efforts = [
            PersonEffort(
                track_id=one.track_id,
                labelled=int((one.visibility > 0).sum()),
                frames=int(one.on.sum()),
            )
            for one in truth
        ]
        self._clicked = [np.zeros(one.visibility.shape, bool) for one in truth]
        self._terms = [np.full(one.visibility.shape, np.nan) for one in truth]
        self.poses: dict[float, Floats] = {}

    def begin(self) -> int:
        """Take over whom the tool finds, place all others on their first labelled frame.

        Returns:
            How often who is who was edited.
        """
        found = self._tool.found()
        taken = self._recognised(found)
        self._tool.adopt(taken)
        placements = []
        for n, one in enumerate(self._truth):
            if one.on.any() and n not in taken.values():
                frame = int(np.flatnonzero(one.on)[0])
                joints = np.flatnonzero(one.visibility[frame] > 0)
                self.efforts[n].visited += 1
                placements.append(self._click(n, frame, joints))
        self._let_the_tool_work(placements)
        return len(placements) + int(found.shape[1]) - len(taken)

    def go_on(self) -> bool:
        """One round: everybody who is not good enough is corrected once. False: all done."""
        placements = []
        for n, effort in enumerate(self.efforts):
            if effort.capped or not effort.labelled or self._goals[-1] in effort.reached:
                continue
            frame, joints = self._visit(n)
            effort.capped = not len(joints)
            if len(joints):
                placements.append(self._click(n, frame, joints))
        if placements:
            self._let_the_tool_work(placements)
        return bool(placements)

    def point(self) -> CurvePoint:
        """Where the work stands."""
        counted = [n for n, effort in enumerate(self.efforts) if effort.labelled]
        return CurvePoint(
            clicks=sum(effort.clicks for effort in self.efforts),
            visited=sum(effort.visited for effort in self.efforts),
            oks=float(np.mean(np.concatenate([self._likeness(n) for n in counted]))),
            accuracy=float(np.mean([self._accuracy(n) for n in counted])),
        )

    def _recognised(self, found: Floats) -> dict[int, int]:
        """Found person -> person of the truth, where the one is the other on most frames."""
        like = np.zeros((found.shape[1], len(self._truth)))
        for n, one in enumerate(self._truth):
            if one.on.any():
                for m in range(found.shape[1]):
                    terms = one.terms(found[:, m], self._sigmas)[one.on]
                    like[m, n] = np.nanmean(terms)
        rows, columns = linear_sum_assignment(like, maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return {m: n for m, n in pairs if like[m, n] >= RECOGNISED}

    def _visit(self, n: int) -> tuple[int, NDArray[np.int64]]:
        """Look at frames until there is something to click; no joints if there is nothing."""
        effort, nothing = self.efforts[n], np.empty(0, np.int64)
        if effort.clicks == effort.labelled:
            return 0, nothing
        suggested = self._tool.suggestions(n) if self._annotator.strategy == "review" else []
        for frame, joints in self._annotator.visits(self._terms[n], self._clicked[n], suggested):
            effort.visited += 1
            if len(joints):
                return frame, joints
        return 0, nothing

    def _click(self, n: int, frame: int, joints: NDArray[np.int64]) -> Placement:
        person = self._truth[n]
        known = person.xy[frame][person.visibility[frame] > 0]
        size = float(np.hypot(*np.ptp(known, axis=0))) / 2
        self.efforts[n].clicks += len(joints)
        self._clicked[n][frame, joints] = True
        return Placement(
            frame=frame,
            person=n,
            joints=joints,
            xy=self._annotator.clicks(person.xy[frame, joints], size),
            visibility=person.visibility[frame, joints],
        )

    def _let_the_tool_work(self, placements: list[Placement]) -> None:
        if placements:
            self._tool.place(placements)
        poses = self._tool.poses()
        for n, one in enumerate(self._truth):
            self._terms[n] = one.terms(poses[:, n], self._sigmas)
            effort = self.efforts[n]
            if not effort.labelled:
                continue
            values = {"accuracy": self._accuracy(n), "oks": float(self._likeness(n).mean())}
            effort.value = values[self._measure]
            for goal in self._goals:
                if goal not in effort.reached and effort.value >= goal - TOLERANCE:
                    effort.reached[goal] = effort.clicks
                    self.poses[goal] = poses

    def _likeness(self, n: int) -> Floats:
        """OKS of every labelled frame."""
        return np.asarray(np.nanmean(self._terms[n][self._truth[n].on], axis=-1))

    def _accuracy(self, n: int) -> float:
        return float((self._likeness(n)[:, None] >= THRESHOLDS).mean())
