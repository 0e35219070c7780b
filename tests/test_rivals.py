"""Two persons whose tracks come together: who is looking at the other's joint?"""

import numpy as np
import pytest
from fakes import FieldTracker, TexturedFrames
from test_propagation import BODY, mark, propagation, run

from impose_core.config import RivalConfig
from impose_core.marks import Marks
from impose_core.rivals import _looks, beaten_tracks

FRAMES = 31
HERE, THERE = np.array([100.0, 100.0]), np.array([160.0, 100.0])


class TwoTextures(TexturedFrames):
    """The texture moves with person 1, who goes right; person 2 stands and is passed."""

    def read(self, index):
        image = super().read(index)
        image[80:190, 80:300] = np.roll(self.texture[80:190, 80:300], 4 * index, axis=1)
        image[0, 0] = (*divmod(index, 256), 0)
        return image


def person_1(t):
    return HERE + np.array([4.0 * t, 0])


def captured(t, xy):
    """What the tracker does: everybody at person 1's place goes with person 1."""
    near = np.abs(xy[:, :1] - person_1(t)[0] - np.array([0, 30])).min(1) < 1.5
    return np.where(near[:, None], [4.0, 0.0], 0.0)


def scene(anchors_1, anchors_2, **options):
    marks = Marks(4)
    marks.apply({(1, t): (None, mark(BODY + person_1(t))) for t in anchors_1})
    marks.apply({(2, t): (None, mark(BODY + THERE)) for t in anchors_2})
    p = propagation(FRAMES, FieldTracker(captured), source=TwoTextures(FRAMES), **options)
    return p, marks


def test_who_is_taken_along_by_a_neighbour_is_brought_back_by_the_far_anchor():
    p, marks = scene([0, 30], [0, 30])
    found = run(p, marks, [1, 2], FRAMES)
    taken = p.evidence.forward.xy[29, 1, :, 0] - BODY[:, 0] > THERE[0] + 20
    assert taken.any()  # the tracker did fall for it
    inner = slice(1, 30)
    own = np.array([BODY + person_1(t) for t in range(FRAMES)])[inner]
    np.testing.assert_allclose(found.xy[inner, 0], own, atol=3)
    np.testing.assert_allclose(found.xy[inner, 1], np.broadcast_to(BODY + THERE, own.shape), atol=3)


def test_the_loser_is_no_longer_called_visible_by_the_track_that_was_taken():

    p, marks = scene([0, 30], [0, 30])
    run(p, marks, [1, 2], FRAMES)
    beaten = beaten_tracks(p.evidence, 0, FRAMES, p._image, RivalConfig())
    taken = p.evidence.forward.xy[29, 1, :, 0] - BODY[:, 0] > THERE[0] + 20
    assert beaten.forward[29, 1, taken].all()
    assert not beaten.forward[:, 0].any()
    assert not beaten.forward[:10].any()


def test_a_track_that_resembles_its_anchor_as_much_as_the_other_is_not_a_loser():

    p, marks = scene([0, 30], [0, 30])
    run(p, marks, [1, 2], FRAMES)
    flat = np.zeros((320, 320, 3), np.uint8)
    beaten = beaten_tracks(p.evidence, 0, FRAMES, lambda t: flat, RivalConfig())
    assert not beaten.forward.any()
    assert not beaten.backward.any()


@pytest.mark.parametrize("where", [(-500.0, 40.0), (5000.0, 5000.0), (319.9, 319.9)])
def test_patches_beyond_the_border_are_patches(where):

    image = TexturedFrames(1).read(0)
    look = _looks(image, np.array([where]), RivalConfig())
    assert np.isfinite(look).all()


def test_a_correction_of_one_person_reaches_a_rival_and_nobody_else():
    p, marks = scene([0, 30], [0, 30])
    marks.apply({(3, t): (None, mark(BODY + np.array([20.0, 220.0]))) for t in (0, 30)})
    run(p, marks, [1, 2, 3], FRAMES)
    before = p.estimates.xy.copy()
    marks.apply({(1, 15): (None, mark(BODY + person_1(15) + np.array([0, 9])))})
    after = run(p, marks, [1, 2, 3], FRAMES, columns=[0, 1, 2]).xy
    np.testing.assert_array_equal(after[:, 2], before[:, 2])
