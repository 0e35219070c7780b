"""The worst poses of a clip."""

from __future__ import annotations

import numpy as np
from pose_set_cases import tracklet

from impose_core.evaluation.worst_poses import worst_poses

SIGMAS = np.array([0.1, 0.1])
BODY = np.array([[0.0, 0.0], [10.0, 20.0]])


def found(off, *, limit=9, apart=10, visibility=None):
    """Of one person whose joints are ``off`` [T] pixels to the right of their labels."""
    truth = np.broadcast_to(BODY, (len(off), 2, 2))
    poses = truth + np.array(off, float)[:, None, None] * [1.0, 0.0]
    person = tracklet(truth, np.full(truth.shape, np.nan), visibility)
    given = worst_poses([person], poses[:, None], sigmas=SIGMAS, limit=limit, apart=apart)
    return [one.frame for one in given]


def test_the_worst_first_and_apart():
    assert found([1, 9, 8, 2, 7], apart=1) == [1, 2, 4, 3, 0]
    assert found([1, 9, 8, 2, 7], apart=2) == [1, 4]
    assert found([1, 9, 8, 2, 7], apart=1, limit=2) == [1, 2]


def test_frames_without_a_label_are_left_out():
    visibility = np.array([[2, 2], [0, 0], [0, 1]])
    assert found([1, 9, 2], apart=1, visibility=visibility) == [2, 0]


def test_whom_the_tool_does_not_show_is_as_bad_as_can_be():
    truth = np.broadcast_to(BODY, (2, 2, 2))
    poses = np.stack([truth + 1, truth], axis=1)
    poses[1, 1] = np.nan
    people = [tracklet(truth, truth), tracklet(truth, truth)]
    first, second, *_ = worst_poses(people, poses, sigmas=SIGMAS, limit=4, apart=1)
    assert (first.frame, first.person, first.oks) == (1, 1, 0.0)
    assert second.person == 0
    assert 0 < second.oks < 1
