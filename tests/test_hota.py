import numpy as np
import pytest
from tracking_golden import HOTA, assert_scores, load

from impose_core.errors import UsageError
from impose_core.evaluation import clear, hota, identity
from impose_core.evaluation.compared_tracks import ComparedTracks


def _tracks(case, kind):
    """The videos of a case with the similarities TrackEval was given."""
    for sequence in case["sequences"]:
        frames = []
        similarities = case["expected"][kind]["similarity_gt_by_pr"][sequence["name"]]
        for frame, similarity in zip(sequence["frames"], similarities, strict=True):
            labels = [
                person["id"]
                for person in frame["gt"]
                if kind == "box" or any(person["keypoints"][2::3])
            ]
            predictions = [person["id"] for person in frame["pr"]]
            matrix = np.array(similarity, float).reshape(len(labels), len(predictions))
            frames.append((np.array(labels, int), np.array(predictions, int), matrix))
        yield sequence["name"], ComparedTracks.of(frames)


@pytest.mark.parametrize("kind", ["oks", "box"])
@pytest.mark.parametrize("name", HOTA)
def test_trackevals_numbers(name, kind):
    case = load("hota", name)
    expected = case["expected"][kind]
    scores = {
        video: (hota.hota(tracks), identity.identity(tracks), clear.clear(tracks))
        for video, tracks in _tracks(case, kind)
    }
    assert scores.keys() == expected["sequences"].keys()
    for video, found in scores.items():
        assert_scores(expected["sequences"][video], *found)
    hotas, identities, clears = zip(*scores.values(), strict=True)
    assert_scores(
        expected["combined"],
        hota.combined(hotas),
        identity.combined(identities),
        clear.combined(clears),
    )


def _random_frames(seed, frames=60, persons=6, tracks=15):
    random = np.random.default_rng(seed)
    made = []
    for _ in range(frames):
        labels = random.choice(tracks, random.integers(0, persons), replace=False)
        predictions = random.choice(2 * tracks, random.integers(0, persons), replace=False)
        alike = random.random((len(labels), len(predictions))) ** 3
        same = labels[:, None] == predictions
        made.append((labels, predictions, np.where(same, np.sqrt(alike), alike)))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_trackeval_where_it_is_installed(seed):
    metrics = pytest.importorskip("trackeval.metrics")
    frames = _random_frames(seed)
    tracks = ComparedTracks.of(frames)
    data = {
        "seq": "video",
        "num_timesteps": len(frames),
        "num_gt_ids": len(tracks.label_lengths),
        "num_tracker_ids": len(tracks.predicted_lengths),
        "num_gt_dets": int(tracks.label_lengths.sum()),
        "num_tracker_dets": int(tracks.predicted_lengths.sum()),
        "gt_ids": [frame.labels for frame in tracks.frames],
        "tracker_ids": [frame.predictions for frame in tracks.frames],
        "similarity_scores": [frame.similarity for frame in tracks.frames],
    }
    theirs = metrics.HOTA().eval_sequence(data)
    for name, values in hota.hota(tracks).per_alpha().items():
        assert values == pytest.approx(theirs[name], abs=1e-12)
    theirs = metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    assert identity.identity(tracks).idf1 == pytest.approx(theirs["IDF1"], abs=1e-12)
    theirs = metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    ours = clear.clear(tracks)
    assert (ours.switches, ours.fragments) == (theirs["IDSW"], theirs["Frag"])
    assert ours.mota == pytest.approx(theirs["MOTA"], abs=1e-12)


def test_an_identity_swap_costs_association_but_no_detection():
    one = np.eye(2)
    frames = [(np.array([0, 1]), np.array([7, 9] if t < 5 else [9, 7]), one) for t in range(10)]
    tracks = ComparedTracks.of(frames)
    means = hota.hota(tracks).means()
    assert means["DetA"] == 1
    assert means["AssA"] == pytest.approx(5 / (10 + 10 - 5))
    assert identity.identity(tracks).idf1 == 0.5
    assert clear.clear(tracks).switches == 2


def test_without_track_weights_each_frame_is_matched_for_itself():
    # in frame 1 prediction 1 is nearer to the person that prediction 0 follows all the time
    frames = [(np.array([0]), np.array([0]), np.array([[0.9]])) for _ in range(8)]
    frames.insert(1, (np.array([0]), np.array([0, 1]), np.array([[0.6, 0.7]])))
    tracks = ComparedTracks.of(frames)
    assert hota.hota(tracks).ass_a[0] == 1
    assert hota.hota(tracks, weigh_tracks=False).ass_a[0] < 1


def test_a_similarity_of_alpha_is_enough_in_spite_of_rounding():
    assert hota.ALPHAS[2] > 0.15  # by an ulp
    tracks = ComparedTracks.of([(np.array([0]), np.array([0]), np.array([[0.15]]))])
    assert hota.hota(tracks).tp.tolist() == [1] * 3 + [0] * 16


def test_alignment_by_hand():
    # frame 0: the label could be either prediction; frame 1: prediction 0 is alone
    frames = [
        (np.array([4]), np.array([0, 1]), np.array([[0.6, 0.2]])),
        (np.array([], int), np.array([0]), np.empty((0, 1))),
    ]
    found = hota.alignment(ComparedTracks.of(frames))
    shares = 0.6 / (0.6 + 0.8 - 0.6), 0.2 / (0.2 + 0.8 - 0.2)
    expected = [[shares[0] / (1 + 2 - shares[0]), shares[1] / (1 + 1 - shares[1])]]
    assert found == pytest.approx(np.array(expected))


def test_clear_keeps_a_pair_together_while_it_is_alike_enough():
    first = (np.array([0]), np.array([5]), np.array([[0.9]]))
    nearer = (np.array([0]), np.array([5, 6]), np.array([[0.6, 0.9]]))
    kept = clear.clear(ComparedTracks.of([first, nearer]))
    assert (kept.switches, kept.similarity) == (0, pytest.approx(1.5))
    lost = (np.array([0]), np.array([5, 6]), np.array([[0.4, 0.9]]))
    assert clear.clear(ComparedTracks.of([first, lost])).switches == 1


@pytest.mark.parametrize(
    ("found", "expected"), [(0, "mostly_lost"), (1, "partly_tracked"), (5, "mostly_tracked")]
)
def test_clear_says_how_much_of_a_track_was_found(found, expected):
    alone = [(np.array([0]), np.array([1]), np.array([[float(t < found)]])) for t in range(5)]
    scores = clear.clear(ComparedTracks.of(alone))
    assert {
        name: getattr(scores, name) for name in ("mostly_lost", "partly_tracked", "mostly_tracked")
    } == {"mostly_lost": 0, "partly_tracked": 0, "mostly_tracked": 0, expected: 1}


def test_nothing_at_all_scores_nothing():
    tracks = ComparedTracks.of([])
    means = hota.hota(tracks).means()
    assert means.pop("LocA") == 1
    assert set(means.values()) == {0}
    assert hota.combined([]).means()["HOTA"] == 0
    assert identity.identity(tracks).idf1 == 0
    assert clear.clear(tracks).mota == 0


@pytest.mark.parametrize(
    ("labels", "predictions", "similarity", "message"),
    [
        ([3, 3], [1], [[0.5], [0.5]], "track ids of the labels of frame 0 to differ, got 3 2 ti"),
        ([3], [1, 1], [[0.5, 0.5]], "track ids of the predictions of frame 0 to differ, got 1"),
        ([3], [1, 2], [[0.5]], r"'similarity' of frame 0 to have shape \(1, 2\), got \(1, 1\)"),
        ([3], [1], [[1.5]], "'similarity' of frame 0 to be from 0 to 1, got 1.5"),
        ([3], [1], [[-0.5]], "'similarity' of frame 0 to be from 0 to 1, got -0.5"),
        ([3], [1], [[np.nan]], "'similarity' of frame 0 to be from 0 to 1, got nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(labels, predictions, similarity, message):
    with pytest.raises(UsageError, match=message):
        ComparedTracks.of([(np.array(labels), np.array(predictions), np.array(similarity))])
