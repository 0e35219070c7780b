"""Seeds in files yield to humans as those of a session do."""

from __future__ import annotations

import numpy as np

from impose_core.corrections.pose_acts import SEEDS_YIELD
from impose_core.marks import Mark
from impose_core.poses import Origin, Visibility
from impose_core.service.seeds import without_overruled


def mark(origin: Origin, *joints: int, flag: Visibility = Visibility.VISIBLE) -> Mark:
    made = Mark.blank(2)
    for k in joints:
        made.visibility[k], made.origin[k] = flag, origin
        if flag != Visibility.ABSENT:
            made.xy[k] = (1.0, 2.0)
    return made


def test_seeds_of_a_joint_leave_around_a_human_point_of_it() -> None:
    far = SEEDS_YIELD + 1
    marks = {
        (1, 100): mark(Origin.HUMAN, 0),
        (1, 100 + SEEDS_YIELD): mark(Origin.DETECTED, 0, 1),
        (1, 100 - SEEDS_YIELD): mark(Origin.DETECTED, 0),
        (1, 100 + far): mark(Origin.DETECTED, 0),
        (2, 101): mark(Origin.DETECTED, 0),
        (1, 101): mark(Origin.PROPAGATED, 0),  # what an identity act left
    }
    after = without_overruled(marks)
    assert after[1, 100 + SEEDS_YIELD].placed.tolist() == [False, True]
    assert (1, 100 - SEEDS_YIELD) not in after
    for cell in ((1, 100), (1, 100 + far), (2, 101), (1, 101)):
        assert after[cell] == marks[cell]


def test_a_joint_that_is_gone_takes_the_seeds_after_it_only() -> None:
    marks = {
        (1, 50): mark(Origin.HUMAN, 0, flag=Visibility.ABSENT),
        (1, 40): mark(Origin.DETECTED, 0),
        (1, 60): mark(Origin.DETECTED, 0),
    }
    assert set(without_overruled(marks)) == {(1, 50), (1, 40)}


def test_seeds_without_a_human_stay() -> None:
    marks = {(1, t): mark(Origin.DETECTED, 0) for t in range(3)}
    after = without_overruled(marks)
    assert all(np.array_equal(after[cell].xy, marks[cell].xy, equal_nan=True) for cell in marks)
