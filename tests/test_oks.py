import json
from pathlib import Path

import numpy as np
import pytest

from impose_core.evaluation.oks import keypoint_similarity, oks

GOLDEN = Path(__file__).resolve().parents[2] / "shared/golden/metrics/oks/oks_cases.json"


def _cases():
    if not GOLDEN.exists():
        return [pytest.param(None, marks=pytest.mark.skip("needs ../shared/golden"))]
    cases = json.loads(GOLDEN.read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("case", _cases())
def test_pycocotools_numbers(case):
    label = np.array(case["gt"]["keypoints"]).reshape(-1, 3)
    found = np.array(case["dt"]["keypoints"]).reshape(-1, 3)
    x, y, w, h = case["gt"]["bbox"]
    sigmas = np.array(case["sigma_values"])
    area = np.array([case["gt"]["area"]], float)
    value = oks(
        found[None, :, :2],
        label[None, :, :2],
        label[None, :, 2].astype(np.uint8),
        area=area,
        box_xyxy=np.array([[x, y, x + w, y + h]]),
        sigmas=sigmas,
    )
    assert value.shape == (1, 1)
    assert value[0, 0] == pytest.approx(case["expected"]["oks"], abs=1e-8)


def test_a_missing_keypoint_scores_nothing():
    label = np.zeros((1, 2, 2))
    found = np.array([[[0.0, 0.0], [np.nan, np.nan]]])
    terms = keypoint_similarity(found, label, area=np.array([100.0]), sigmas=np.array([0.1, 0.1]))
    assert terms.tolist() == [[1.0, 0.0]]
