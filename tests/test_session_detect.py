"""What a session takes from the detector, and what it never takes from the human."""

import numpy as np
import pytest

from impose_core.corrections import (
    MergeIdentity,
    MoveKeypoints,
    RemovePerson,
    SetVisibility,
    SplitIdentity,
    SwapIdentity,
    corrections_in,
    diff,
)
from impose_core.engine import Engine
from impose_core.errors import SkeletonMismatch, UsageError
from impose_core.frames import ArrayFrames
from impose_core.io.coco import PoseDocument, VideoInfo, read_document, write_document
from impose_core.poses import Origin, Visibility
from impose_core.readers import Candidates, Detections
from impose_core.seeds import removed_words
from impose_core.session import Session
from impose_core.skeleton import COCO17, POSETRACK15, skeleton_from_names

K, T = len(COCO17), 120
STANDING = np.random.default_rng(5).uniform(-25, 25, (K, 2)) * [0.5, 1.5]
HIP = COCO17.index("left_hip")


class Walkers:
    """A reader that sees persons where ``at`` says: frame -> places; frames carry their index."""

    name, skeleton = "walkers", COCO17

    def __init__(self, at):
        self.at, self.asked = at, []

    def views(self, extents):
        low, high = extents[:, :2], extents[:, 2:]
        return np.column_stack([low, (high - low).max(-1) + 1]).astype(np.int64)

    def read(self, images, views):
        empty = np.full((len(views), K, 1, 2), np.nan)
        return Candidates(xy=empty, score=np.zeros((len(views), K, 1)))

    def detect(self, image):
        t = int(image[0, 0, 0])
        self.asked.append(t)
        xy = np.array([STANDING + place for place in self.at(t)]).reshape(-1, K, 2)
        score = np.full((len(xy), K), 0.8)
        score[:, COCO17.index("left_ear")] = 0.1
        empty = Candidates(xy=xy[:, :, None], score=score[..., None])
        return Detections(xy=xy, score=score, candidates=empty)


def two(t):
    return [(80 + t / 4, 100), (240 - t / 4, 100)]


def video(frames=T):
    images = np.zeros((frames, 200, 320, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (200, 320, 3), np.uint8)
    images[:] = noise
    images[:, 0, 0, 0] = np.arange(frames)
    return ArrayFrames(images, fps=30.0, name="walkers")


def session(at=two, *, skeleton=COCO17, journal=None, reader=None, frames=T):
    engine = Engine(reader=reader or Walkers(at))
    return Session(video(frames), skeleton=skeleton, engine=engine, journal=journal)


def detected(*args, **kwargs):
    made = session(*args, **kwargs)
    list(made.detect())
    return made


def marks(made):
    return made.snapshot()["marks"]


def seeds(made, track, joint=HIP):
    n = made.tracks.person(track)
    placed = np.isfinite(made.tracks.xy[:, n, joint]).all(-1)
    return np.flatnonzero(placed & (made.tracks.origin[:, n, joint] == Origin.DETECTED)).tolist()


# --- seeds -----------------------------------------------------------------------------------


def test_everybody_is_seeded_at_both_ends_and_every_few_frames():
    made = detected()
    assert made.tracks.track_id.tolist() == [1, 2]
    for track in (1, 2):
        at = seeds(made, track)
        assert (at[0], at[-1]) == (0, T - 1)
        assert max(np.diff(at)) <= 18
        assert len(at) < T / 6
    n = made.tracks.person(1)
    np.testing.assert_allclose(made.tracks.xy[0, n, HIP], STANDING[HIP] + [80, 100])


def test_joints_of_a_low_score_are_left_unplaced():
    made = detected()
    assert seeds(made, 1, COCO17.index("left_ear")) == []


def test_who_leaves_is_gone_and_who_comes_was_not_there():
    made = detected(lambda t: [(80, 100)] * (t < 60) + [(240, 100)] * (t >= 30))
    by_start = sorted(made.tracks.track_id.tolist(), key=lambda i: seeds(made, i)[0])
    first, second = (made.tracks.person(i) for i in by_start)
    flags, origin = made.tracks.visibility, made.tracks.origin
    gone = (flags == Visibility.ABSENT) & (origin == Origin.DETECTED)
    assert np.flatnonzero(gone[:, first].all(-1)).tolist() == [60]
    assert np.flatnonzero(gone[:, second].all(-1)).tolist() == [0]
    assert not (origin == Origin.HUMAN).any()


def test_looks_are_every_few_frames_and_only_once():
    reader = Walkers(two)
    made = session(reader=reader)
    assert [looked.bodies for looked in made.detect(every=50)][49:52] == [None, 2, None]
    assert reader.asked == [0, 50, 100, T - 1]
    list(made.detect(every=50))
    assert len([t for t in reader.asked if t in (0, 50, 100, T - 1)]) == 4


def test_nobody_is_no_act():
    made = detected(lambda t: [])
    assert marks(made) == []
    assert not made.undo()


def test_other_skeletons_get_the_joints_they_share_by_name():
    made = detected(skeleton=POSETRACK15)
    knee = POSETRACK15.index("left_knee")
    at = made.tracks.xy[0, 0, knee]
    np.testing.assert_allclose(at, STANDING[COCO17.index("left_knee")] + [80, 100])
    assert seeds(made, 1, POSETRACK15.index("head_top")) == []


def test_what_cannot_be_is_refused():
    with pytest.raises(UsageError, match="with a pose reader") as caught:
        Session(video(3), skeleton=COCO17).detect()
    assert "MoveNet" in caught.value.hint
    with pytest.raises(SkeletonMismatch, match="keypoints the reader knows"):
        session(skeleton=skeleton_from_names("fly", ("head", "wing"))).detect()
    with pytest.raises(UsageError, match="'every' to be 1 or more, got 0"):
        session().detect(every=0)


# --- acts ------------------------------------------------------------------------------------


def test_one_undo_takes_all_of_it_back_and_a_closed_run_leaves_nothing():
    made = session()
    made.correct(MoveKeypoints(frame=40, track=7, xy={"nose": (20, 20)}))
    before, ledger = marks(made), made.tracks.copy()
    run = made.detect()
    for _ in range(50):
        next(run)
    run.close()
    assert marks(made) == before
    list(made.detect())
    assert marks(made) != before
    assert made.undo()
    assert marks(made) == before
    np.testing.assert_array_equal(made.tracks.xy, ledger.xy)


def test_the_journal_brings_the_seeds_back_exactly(tmp_path):
    with detected(journal=tmp_path / "j") as made:
        said = marks(made)
    with session(journal=tmp_path / "j") as again:
        assert marks(again) == said
        assert again.undo()
        assert marks(again) == []


def test_detecting_again_changes_nothing():
    made = detected()
    said = marks(made)
    list(made.detect())
    assert marks(made) == said
    assert made.undo()
    assert marks(made) == []


def test_a_human_point_sends_the_seeds_of_its_joint_away_and_undo_brings_them_back():
    made = detected()
    before, others = marks(made), seeds(made, 1, HIP + 1)
    made.correct(MoveKeypoints(frame=100, track=1, xy={"left_hip": (90, 90)}))
    assert [t for t in seeds(made, 1) if t != 100] == [t for t in seeds(made, 2) if t < 40]
    assert seeds(made, 1, HIP + 1) == others
    made.undo()
    assert marks(made) == before


def test_seeds_leave_up_to_the_next_human_point():
    made = detected()
    made.correct(MoveKeypoints(frame=50, track=1, xy={"left_hip": (90, 90)}))
    list(made.detect())
    assert all(abs(t - 50) > 60 for t in seeds(made, 1))
    made.correct(SetVisibility(frame=70, track=2, visibility={"left_hip": Visibility.ABSENT}))
    assert max(seeds(made, 2)) < 70


# --- what a human said holds -----------------------------------------------------------------


def human(made):
    return [m for m in marks(made) if Origin.HUMAN in m["after"]["origin"]]


def test_human_marks_keep_their_ids_and_stay_as_they_are():
    made = session()
    x, y = STANDING[HIP] + two(45)[1]
    for joint in ("left_hip", "right_shoulder", "nose"):
        point = STANDING[COCO17.index(joint)] + two(45)[1]
        made.correct(MoveKeypoints(frame=45, track=9, xy={joint: tuple(point)}))
    said = human(made)
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1, 9]
    assert seeds(made, 9, COCO17.index("right_hip"))
    n = made.tracks.person(9)
    np.testing.assert_allclose(made.tracks.xy[45, n, HIP], [x, y])
    assert [(m["track"], m["frame"]) for m in human(made)] == [
        (m["track"], m["frame"]) for m in said
    ]
    at = made.tracks.xy[0, n, COCO17.index("right_hip")]
    np.testing.assert_allclose(at, STANDING[COCO17.index("right_hip")] + two(0)[1])


def test_who_was_removed_stays_removed():
    made = detected()
    made.correct(RemovePerson(track=2))
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1]
    made.correct(RemovePerson(track=1))
    list(made.detect())
    assert made.tracks.track_id.tolist() == []
    made.undo()
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1]


def test_who_was_removed_from_a_frame_on_is_seeded_before_it_only():
    made = detected()
    made.correct(RemovePerson(track=2, start=60))
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1, 2]
    assert max(seeds(made, 2)) < 60
    assert max(seeds(made, 1)) == T - 1


def test_swapped_merged_and_split_persons_stay_so():
    made = detected()
    list(made.propagate())
    made.correct(SwapIdentity(frame=60, first=1, second=2))
    list(made.detect())
    right = COCO17.index("right_hip")
    n = made.tracks.person(1)
    np.testing.assert_allclose(
        made.tracks.xy[T - 1, n, right], STANDING[right] + two(T - 1)[1], atol=1e-6
    )
    np.testing.assert_allclose(made.tracks.xy[0, n, right], STANDING[right] + two(0)[0])

    made = detected(lambda t: [(60, 100)] if t < 50 else [(260, 100)] if t > 55 else [])
    assert made.tracks.track_id.tolist() == [1, 2]
    made.correct(MergeIdentity(keep=1, absorb=2))
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1]

    made = detected(lambda t: [(80, 100)])
    list(made.propagate())
    made.correct(SplitIdentity(frame=60, track=1, new_track=5))
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1, 5]
    assert max(seeds(made, 1)) < 60 <= min(seeds(made, 5))


def test_a_new_beginning_is_no_removal():
    made = detected()
    empty = session().snapshot()
    made.restore(empty)
    assert removed_words(made._acts, made._marks) == []
    list(made.detect())
    assert made.tracks.track_id.tolist() == [1, 2]


# --- documents and review --------------------------------------------------------------------


def test_documents_keep_who_detected_a_joint(tmp_path):
    made = detected()
    list(made.propagate())
    tracks = made.tracks
    document = PoseDocument(
        tracks=tracks,
        video=VideoInfo(file_name="v", width=320, height=200, frames=T),
        area=np.full(tracks.box.shape[:2], np.nan),
    )
    write_document(tmp_path / "d.json", document)
    back = read_document(tmp_path / "d.json").tracks
    placed = np.isfinite(tracks.xy).all(-1)
    np.testing.assert_array_equal(back.origin[placed], tracks.origin[placed])
    assert (back.origin == Origin.DETECTED).any()


def written(made, path):
    """What a session knows, by way of a file."""
    list(made.propagate())
    tracks = made.tracks
    document = PoseDocument(
        tracks=tracks,
        video=VideoInfo(file_name="v", width=320, height=200, frames=T),
        area=np.full(tracks.box.shape[:2], np.nan),
    )
    write_document(path, document)
    return read_document(path).tracks


def said(made):
    """(track, frame) -> origins, flags and places to a thousandth of a pixel."""
    return {
        (m["track"], m["frame"]): (
            m["after"]["origin"],
            m["after"]["visibility"],
            [p and np.round(p, 3).tolist() for p in m["after"]["xy"]],
        )
        for m in marks(made)
    }


def test_seeds_of_a_document_are_seeds_again_and_the_same_poses_follow(tmp_path):
    made = detected(lambda t: [(80 + t / 4, 100)] * (t < 60) + [(240, 100)] * (t >= 30))
    other = session()
    other.load(written(made, tmp_path / "d.json"))
    assert said(other) == said(made)  # who left, and who was not there yet, too
    list(other.propagate())
    np.testing.assert_allclose(other.tracks.xy, made.tracks.xy, atol=0.1)
    np.testing.assert_array_equal(other.tracks.origin, made.tracks.origin)
    assert other.undo()
    assert marks(other) == []


def test_seeds_of_a_document_stay_away_from_what_a_human_said(tmp_path):
    made = detected()
    back = written(made, tmp_path / "d.json")
    other = session()
    other.load(back)
    other.correct(MoveKeypoints(frame=100, track=1, xy={"left_hip": (90, 90)}))
    before = marks(other)
    other.load(back)  # as a journal and the same file do on the next run
    assert marks(other) == before
    assert not [t for t in seeds(other, 1) if t >= 40 and t != 100]


def test_corrections_of_a_document_are_acts_on_the_seeds(tmp_path):
    made = detected()
    made.correct(MoveKeypoints(frame=100, track=1, xy={"left_hip": (90, 90)}))
    acts = corrections_in(written(made, tmp_path / "d.json"))
    assert [(a.frame, a.track, dict(a.xy)) for a in acts] == [(100, 1, {"left_hip": (90, 90)})]
    other = detected()
    other.correct(*acts)
    assert marks(other) == marks(made)


def test_two_documents_that_share_their_seeds_differ_in_nothing(tmp_path):
    back = written(detected(), tmp_path / "d.json")
    assert diff(back, back) == []
    assert corrections_in(back) == []


def test_estimates_of_a_part_of_a_video_say_nothing_about_the_rest(tmp_path):
    made = detected()
    list(made.propagate(0, 30))
    tracks = made.tracks.copy()
    other = session()
    other.load(tracks)
    assert said(other) == said(made)


def test_nearly_equal_ways_to_go_on_are_shown_first():
    def meeting(t):  # one in front of the other, then apart again
        apart = abs(t - 60) / 2 + 1
        return [(160 - apart, 100), (160 + apart, 100)]

    made = detected(meeting)
    list(made.propagate())
    found = [s for s in made.review(10) if s.reason == "identity"]
    assert found
    assert all(40 <= s.frame <= 80 for s in found)
    assert not [s for s in detected().review(10) if s.reason == "identity"]
    made.undo()
    assert not [s for s in made.review(10) if s.reason == "identity"]
