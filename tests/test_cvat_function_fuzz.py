"""Whatever comes, the answer is JSON, and nothing a client sends is our fault.

IMPOSE_FUZZ is how many malformed requests are made, IMPOSE_FUZZ_SEED what they follow from
(100000 were made; see docs/cvat.md).
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import time

import numpy as np
import pytest
from cvat_calls import context, image, no_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cvat_function.detecting import Detector
from cvat_function.replies import answered
from cvat_function.state import digest
from cvat_function.tracking import Tracker
from impose_core.engine import Engine
from impose_core.errors import StateError
from impose_core.readers import Candidates, Detections
from impose_core.readers.views import cut, square_views
from impose_core.skeleton import COCO17

COUNT = int(os.environ.get("IMPOSE_FUZZ", "1500"))
SEED = int(os.environ.get("IMPOSE_FUZZ_SEED", "5"))
SLOWEST = 5.0
"""Seconds that a request may take at most, on a busy machine."""
PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


class Blind:
    """Sees nobody."""

    name, skeleton = "blind", COCO17

    def views(self, extents):
        return np.tile(np.array([0, 0, 8]), (len(extents), 1))

    def read(self, images, views):
        shape = (len(images), 17, 1)
        return Candidates(xy=np.full((*shape, 2), np.nan), score=np.zeros(shape))

    def detect(self, picture):
        nobody = Candidates(xy=np.zeros((0, 17, 1, 2)), score=np.zeros((0, 17, 1)))
        return Detections(xy=np.zeros((0, 17, 2)), score=np.zeros((0, 17)), candidates=nobody)


class Sent:
    """An event with nothing but a body."""

    def __init__(self, body):
        self.body = body


TRACKER = Tracker(engine=Engine(reader=Blind()), skeleton=COCO17).answer
DETECTOR = Detector(reader=Blind(), skeleton=COCO17).answer


def asked(answer, body):
    """Status of the answer to ``body``; fails on anything but JSON and 200 or 4xx."""
    made = context()
    response = answered(made, Sent(body), answer)
    told = json.loads(response.body, parse_constant=no_json)
    assert response.status_code < 500, made.logger.lines
    if response.status_code != 200:
        assert told["message"].startswith("Expected"), told
    elif isinstance(told, dict):
        assert None not in told["shapes"]
        assert len(told["shapes"]) == len(told["states"])
    return response.status_code


def good_requests():
    text = image(PICTURE)
    elements = [
        {"label": name, "type": "points", "points": [10.0 + k, 12.0 + k], "outside": k == 2}
        for k, name in enumerate(COCO17.keypoints)
    ]
    shapes = [
        {"type": "skeleton", "points": [], "elements": elements, "track_id": 3},
        {"type": "rectangle", "points": [10, 10, 40, 40], "label_id": 4},
        [5, 5, 30, 30],
        [float(v) for v in range(34)],
    ]
    begin = {"image": text, "shapes": shapes, "states": []}
    states = TRACKER(begin)["states"]
    return [
        begin,
        {"image": text, "shapes": [None] * 4, "states": states},
        {"image": text, "shapes": [None, None, shapes[1]], "states": [states[0], states[2]]},
    ]


ODD = [
    *(None, True, False, 0, 1, -1, 2**31, 10**400, 0.5, -0.0, 1e308, 1e6, 1e7),
    *(float("nan"), float("inf"), "", "x", "0", "é", "\ud800", "\0", "A" * 5000, "=" * 9),
    *([], {}, [[]], [None], [{}], {"": None}, [1, 2], [1, 2, 3, 4], ["1", "2"], [0] * 3000),
    *([[]] * 60, {"id": 1, "name": "x"}, [[[[[[[[[[1]]]]]]]]]], "iVBORw0KGgo=", "/9j/4AAQ"),
]


def mutated(request, rng):
    """A copy with one to three things in it replaced, taken away or doubled."""
    body = copy.deepcopy(request)
    for _ in range(rng.randint(1, 3)):
        place = body
        while True:
            if not isinstance(place, dict | list) or not place:
                break
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if rng.random() < 0.4 or not isinstance(place[key], dict | list):
                change = rng.random()
                if change < 0.7:
                    place[key] = copy.deepcopy(rng.choice(ODD))
                elif change < 0.85:
                    del place[key]
                elif isinstance(place, list):
                    place.append(copy.deepcopy(place[key]))
                elif isinstance(place[key], str) and place[key]:
                    at = rng.randrange(len(place[key]))
                    place[key] = place[key][:at] + rng.choice("A=/x") + place[key][at + 1 :]
                break
            place = place[key]
    return body


def test_malformed_requests_are_refused_in_bounded_time():
    rng, requests = random.Random(SEED), good_requests()
    statuses: dict[int, int] = {}
    slowest = 0.0
    for n in range(COUNT):
        body = mutated(requests[n % len(requests)], rng)
        began = time.perf_counter()
        status = asked(DETECTOR if n % 10 == 9 else TRACKER, body)
        slowest = max(slowest, time.perf_counter() - began)
        statuses[status] = statuses.get(status, 0) + 1
    assert slowest < SLOWEST
    told = dict(sorted(statuses.items()))
    sys.stderr.write(f"{COUNT} malformed requests: {told}, slowest {slowest:.2f} s\n")


json_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)


def _holding(inner):
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)


json_values = json_leaves | _holding(json_leaves | _holding(json_leaves | _holding(json_leaves)))


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(shapes=st.lists(json_values, max_size=3) | json_values, states=json_values)
def test_any_shapes_and_states(shapes, states):
    asked(TRACKER, {"image": image(PICTURE), "shapes": shapes, "states": states})


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    shape=st.fixed_dictionaries(
        {"type": st.sampled_from(["rectangle", "skeleton"]), "points": json_values},
        optional={
            "elements": st.lists(
                st.fixed_dictionaries(
                    {"points": st.lists(st.floats(-50, 150), min_size=2, max_size=2)},
                    optional={
                        "label": json_values,
                        "label_id": json_values,
                        "outside": st.booleans() | json_values,
                        "type": st.just("points"),
                    },
                ),
                min_size=1,
                max_size=5,
            ),
            "label": json_values,
            "sublabels": json_values,
        },
    )
)
def test_any_skeleton_is_answered_or_refused_and_can_go_on(shape):
    body = {"image": image(PICTURE), "shapes": [shape]}
    if asked(TRACKER, body) == 200:
        answer = TRACKER(body)
        again = {**body, "shapes": [None], "states": answer["states"]}
        assert asked(TRACKER, json.loads(json.dumps(again))) == 200


@settings(max_examples=100)
@given(body=st.binary(max_size=60) | json_values)
def test_any_body(body):
    asked(TRACKER, body)
    asked(DETECTOR, body)


@pytest.mark.parametrize("cut", [0, 1, 8, 12, 20, 26, 40, 60])
@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
def test_pictures_that_break_off(kind, cut):
    text = image(PICTURE, kind)[: cut // 4 * 4]
    assert asked(DETECTOR, {"image": text}) in (400, 422)


def test_lists_in_lists_without_end():
    deep = []
    for _ in range(900):
        deep = [deep]
    asked(TRACKER, {"image": image(PICTURE), "shapes": [deep]})
    asked(TRACKER, {"image": image(PICTURE), "shapes": [{"type": "skeleton", "x": deep}]})
    asked(TRACKER, {"image": image(PICTURE), "states": [{"format": "x", "y": deep}]})
    asked(TRACKER, b'{"shapes":' + b"[" * 200_000)


class Square(Blind):
    """Looks where the embedded reader looks, and sees the same nothing."""

    def views(self, extents):
        return square_views(extents)

    def read(self, images, views):
        for picture, view in zip(images, views, strict=True):
            cut(picture, view, 16)
        return super().read(images, views)


def test_a_state_forged_with_its_digest_is_still_checked_field_by_field():
    """Without a key anybody can make a digest: what is in it must do no harm."""
    engine = Engine(reader=Square())
    function = Tracker(engine=engine, skeleton=COCO17).answer
    rng, requests = random.Random(SEED), good_requests()
    statuses: dict[int, int] = {}
    for _ in range(min(COUNT, 5000)):
        body = copy.deepcopy(requests[1])
        n = rng.randrange(4)
        kept = {key: value for key, value in body["states"][n].items() if key != "check"}
        forged = mutated(kept, rng)
        try:
            forged["check"] = digest(forged)
        except StateError:
            continue
        body["states"][n] = forged
        status = asked(function, body)
        statuses[status] = statuses.get(status, 0) + 1
    sys.stderr.write(f"forged states: {dict(sorted(statuses.items()))}\n")
