"""Bias between anchors: what it takes from readings, and how sure it is of that."""

import numpy as np

from impose_core.config import ReadingConfig
from impose_core.readers.protocol import Candidates
from impose_core.reading import Bias

CONFIG = ReadingConfig()


def taken(first, last, share, size=100.0):
    """What is left of a reading at (50, 50) of one joint, and its mistrust."""
    bias = Bias(xy=np.array([[first], [last]], float), wrong=np.zeros((2, 1)))
    seen = Candidates(xy=np.full((1, 1, 2), 50.0), score=np.ones((1, 1)))
    read = bias.taken_from(seen, np.zeros(1, int), np.array([share]), np.array([size]), CONFIG)
    return read.xy[0, 0], read.mistrust[0]


def test_the_bias_goes_evenly_from_anchor_to_anchor():
    for share, left in ((0.0, 46.0), (0.5, 48.0), (1.0, 50.0)):
        xy, _ = taken((4, 4), (0, 0), share)
        np.testing.assert_allclose(xy, [left, left])


def test_a_bias_that_changes_is_known_the_less_between_the_anchors():
    variance = (CONFIG.deviation * 100) ** 2
    for share in (0.0, 0.25, 0.5, 1.0):
        _, same = taken((4, 4), (4, 4), share)
        _, other = taken((4, 4), (0, 0), share)
        assert same == 1.0
        # per axis: 4 px of change, as a bridge between the two anchors
        expected = CONFIG.wander * 4**2 * share * (1 - share)
        np.testing.assert_allclose((other - same) * variance, expected)
