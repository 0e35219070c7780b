"""Numbers of official tracking tools: four and five cases lie here, the others beside the clone."""

import json
from pathlib import Path

import numpy as np
import pytest

SHIPPED = Path(__file__).parent / "data/metrics"
GOLDEN = Path(__file__).resolve().parents[2] / "shared/golden/metrics"

HOTA = [
    *("01_perfect", "02_noise", "03_id_switch", "04_fragments", "05_leave_and_return"),
    *("06_empty_frames", "07_single_frame", "08_ties", "09_unlabelled_joints"),
    *("10_multi_sequence", "11_alpha_boundaries", "12_crowd_40_frames"),
    "13_real_posetrack_tracks",
]
POSETRACK = [
    *("P1_real_posetrack18_frames", "P2_real_frame_animated_16"),
    *("P3_labelled_frame_without_prediction", "P4_ignore_regions_unlabelled_frames"),
    *("P5_labelled_frame_without_gt", "P6_boundaries", "P7_three_sequences"),
    "P8_real_posetrack_tracks",
]


def load(kind, name):
    """The case ``name`` of ``kind`` ("hota", "posetrack")."""
    shipped = SHIPPED / f"{kind}_{name}.json"
    path = shipped if shipped.exists() else GOLDEN / kind / f"{name}.json"
    if not path.exists():
        pytest.skip("needs ../shared/golden")
    return json.loads(path.read_text())


def assert_scores(expected, found, found_identity, found_clear):
    """What TrackEval says of a video, and what we say."""
    assert found.means() == pytest.approx(expected["HOTA"], abs=1e-6)
    counts = {"HOTA_TP": found.tp, "HOTA_FN": found.fn, "HOTA_FP": found.fp}
    per_alpha = found.per_alpha() | counts
    assert per_alpha.keys() == expected["HOTA_per_alpha"].keys()
    for name, values in per_alpha.items():
        assert values == pytest.approx(np.array(expected["HOTA_per_alpha"][name]), abs=1e-6)
    assert {
        "IDF1": found_identity.idf1,
        "IDR": found_identity.idr,
        "IDP": found_identity.idp,
        "IDTP": found_identity.idtp,
        "IDFN": found_identity.idfn,
        "IDFP": found_identity.idfp,
    } == pytest.approx(expected["Identity"], abs=1e-6)
    assert {
        "MOTA": found_clear.mota,
        "MOTP": found_clear.motp,
        "IDSW": found_clear.switches,
        "CLR_TP": found_clear.tp,
        "CLR_FN": found_clear.fn,
        "CLR_FP": found_clear.fp,
        "MT": found_clear.mostly_tracked,
        "PT": found_clear.partly_tracked,
        "ML": found_clear.mostly_lost,
        "Frag": found_clear.fragments,
    } == pytest.approx(expected["CLEAR"], abs=1e-6)
