"""The per-frame JSON: who made what, and that everything else keeps its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impose_core.errors import BadDocument, OutputError
from impose_core.io import raw_json
from impose_core.io.documents import VideoInfo
from impose_core.io.xanylabeling_files import FileChanged, read_frame, replace_file
from impose_core.io.xanylabeling_frame import FrameLabels
from impose_core.io.xanylabeling_identity import renamed, seeded, without
from impose_core.io.xanylabeling_people import Gone, Pose, people_of
from impose_core.io.xanylabeling_placing import Placed, with_people
from impose_core.poses import Origin, Visibility
from impose_core.skeleton import COCO17, skeleton_from_names

BODY = skeleton_from_names("stick", ("head", "hand", "foot"))
VIDEO = VideoInfo(file_name="v", width=100, height=80, frames=9)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def pose(*xy: tuple[float, float] | None, origin: Origin = Origin.PROPAGATED) -> Pose:
    found = Pose.unknown(len(BODY))
    for k, place in enumerate(xy):
        if place is not None:
            found.xy[k], found.visibility[k] = place, Visibility.VISIBLE
            found.origin[k], found.score[k], found.deviation[k] = origin, 0.5, 2.0
    return found


def document(*shapes: dict[str, Any], **more: Any) -> FrameLabels:
    root = {"shapes": list(shapes), **more}
    return FrameLabels.from_bytes(json.dumps(root, ensure_ascii=False).encode())


def point(label: str, x: float, y: float, group: int | None = 1, **more: Any) -> dict[str, Any]:
    shape = {"label": label, "shape_type": "point", "points": [[x, y]], "group_id": group}
    return {**shape, **more}


def saved(labels: FrameLabels) -> FrameLabels:
    return FrameLabels.from_bytes(labels.as_bytes(image="a.jpg", width=100, height=80))


@given(st.dictionaries(st.text(), values), st.integers(0, 3))
def test_members_of_any_json_keep_their_text(root: dict[str, Any], indent: int) -> None:
    text = json.dumps(root, indent=indent or None, ensure_ascii=indent == 2)
    members = raw_json.members_of(text)
    assert {json.loads(m.name): json.loads(m.value) for m in members.values()} == root
    assert json.loads(raw_json.with_texts(members, {}, 0)) == root


@given(st.lists(values))
def test_items_of_any_list_keep_their_text(root: list[Any]) -> None:
    items = raw_json.items_of(json.dumps(root, ensure_ascii=False))
    assert [json.loads(item) for item in items] == root
    assert json.loads(raw_json.list_text(items, 1)) == root


def test_what_is_not_understood_survives_byte_for_byte() -> None:
    foreign = '{"label":"car","shape_type":"polygon",  "points": [[1.10, 2e0]], "k\\u0065y": 1E+2 }'
    mine = '{"x_1": 1.50, "label":"hand","shape_type":"point","points":[[5,6]],"group_id":1}'
    text = '{"flags": { },"n": 1.000, "shapes": [' + foreign + "," + mine + '], "é": "\\u00e9"}'
    before = FrameLabels.from_bytes(text.encode())
    after = with_people(before, {1: Placed(pose=pose((1, 2), (9, 9), (3, 4)))}, BODY, VIDEO)
    written = after.as_bytes(image="", width=1, height=1).decode()
    for part in (foreign, mine, '"flags": { }', '"n": 1.000', '"é": "\\u00e9"'):
        assert part in written
    assert people_of(saved(after), BODY)[1].pose.xy.tolist() == [[1, 2], [5, 6], [3, 4]]


def test_a_shape_of_ours_keeps_keys_of_others() -> None:
    noted = {"origin": "propagated", "xy": [1.0, 2.0], "difficult": False}
    mine = point("head", 1.0, 2.0, difficult=False, impose=noted, kie="…", review_status="ok")
    after = saved(with_people(document(mine), {1: Placed(pose=pose((7, 8)))}, BODY, VIDEO))
    (head, _box) = after.shapes
    assert head.item["points"] == [[7.0, 8.0]]
    assert (head.item["kie"], head.item["review_status"]) == ("…", "ok")


def test_writing_what_is_there_changes_nothing() -> None:
    placed = {1: Placed(pose=pose((1.23456, 2), None, (3, 4)))}
    once = saved(with_people(FrameLabels(), placed, BODY, VIDEO))
    again = with_people(once, placed, BODY, VIDEO)
    assert (again.shapes, again.impose) == (once.shapes, once.impose)


@pytest.mark.parametrize(
    ("change", "human"),
    [
        ({}, False),
        ({"points": [[1.0, 2.5]]}, True),
        ({"difficult": True}, True),
        ({"score": 0.1, "description": "x"}, False),
        ({"impose": None}, True),
        ({"impose": {"origin": "human", "xy": [1.0, 2.0], "difficult": False}}, True),
        ({"impose": {"origin": "somebody", "xy": [1.0, 2.0], "difficult": False}}, True),
        ({"impose": "damaged"}, True),
    ],
)
def test_a_joint_is_human_unless_it_is_as_it_was_put(change: dict[str, Any], human: bool) -> None:
    noted = {"origin": "propagated", "xy": [1.0, 2.0], "difficult": False}
    shape = point("head", 1.0, 2.0, difficult=False, impose=noted) | change
    person = people_of(document(shape), BODY)[1]
    assert person.pose.human.tolist() == [human, False, False]
    assert people_of(document(shape, checked=True), BODY)[1].pose.human[0]


def test_seeds_are_marks_and_estimates_are_none() -> None:
    noted = {"xy": [1.0, 2.0], "difficult": False}
    shapes = [
        point("head", 1.0, 2.0, impose={**noted, "origin": "detected", "seed": True}),
        point("hand", 1.0, 2.0, impose={**noted, "origin": "propagated"}),
    ]
    mark = people_of(document(*shapes), BODY)[1].mark()
    assert mark.placed.tolist() == [True, False, False]
    assert mark.origin.tolist() == [Origin.DETECTED, Origin.NONE, Origin.NONE]


def test_a_joint_that_was_left_and_is_missing_was_deleted() -> None:
    once = saved(with_people(FrameLabels(), {1: Placed(pose=pose((1, 2), (3, 4)))}, BODY, VIDEO))
    fewer = once.with_shapes([s for s in once.shapes if s.label != "hand"], once.impose)
    mark = people_of(fewer, BODY)[1].mark()
    assert (mark.absent & mark.human).tolist() == [False, True, False]
    # nobody says anything of a person who was taken away whole
    assert 1 not in people_of(once.with_shapes([], once.impose), BODY)


def test_who_is_gone_is_noted_and_a_human_outweighs_a_detector() -> None:
    everything = np.ones(3, bool)
    gone = (Gone(origin=Origin.DETECTED, joints=everything),)
    empty = Pose.unknown(3)
    labels = saved(with_people(FrameLabels(), {4: Placed(pose=empty, gone=gone)}, BODY, VIDEO))
    assert labels.impose["gone"] == [{"person": 4, "origin": "detected"}]
    mark = people_of(labels, BODY)[4].mark()
    assert mark.absent.all()
    said = {**labels.impose, "gone": [*labels.impose["gone"], {"person": 4, "origin": "human"}]}
    both = labels.with_shapes([], said)
    assert people_of(both, BODY)[4].mark().human.all()
    later = with_people(both, {4: Placed(pose=empty, gone=())}, BODY, VIDEO)
    assert later.impose["gone"] == [{"person": 4, "origin": "human"}]


def test_a_box_a_human_drew_stays_and_ours_follows_the_joints() -> None:
    corners = [[0, 0], [50, 0], [50, 50], [0, 50]]
    drawn = {"label": "person", "shape_type": "rectangle", "points": corners, "group_id": 1}
    labels = with_people(document(drawn), {1: Placed(pose=pose((60, 60)))}, BODY, VIDEO)
    assert saved(labels).shapes[0].item == drawn
    ours = saved(with_people(FrameLabels(), {1: Placed(pose=pose((60, 60)))}, BODY, VIDEO))
    assert np.isnan(people_of(ours, BODY)[1].box).all()
    moved = saved(with_people(ours, {1: Placed(pose=pose((20, 20)))}, BODY, VIDEO))
    box = next(s for s in moved.shapes if s.kind == "rectangle")
    assert np.min(box.item["points"], axis=0).tolist() < [20, 20]
    assert with_people(moved, {1: Placed(pose=pose())}, BODY, VIDEO).shapes == ()


def test_foreign_are_joints_without_a_group_and_other_labels() -> None:
    others = [
        point("head", 1, 1, None),
        point("head", 1, 1, -1),
        point("beak", 1, 1),
        point("head", 1, 1, 2**40),
    ]
    labels = document(*others)
    assert people_of(labels, BODY) == {}
    assert [s.item for s in renamed(labels, {1: 2}, BODY).shapes] == others
    assert [s.item for s in without(labels, {1, -1}, BODY).shapes] == others


def test_ids_change_and_nothing_else() -> None:
    labels = document(
        point("head", 1, 2), point("head", 3, 4, 2), impose={"joints": {"1": ["head"]}}
    )
    after = renamed(labels, {1: 2, 2: 1}, BODY)
    assert [s.item["group_id"] for s in after.shapes] == [2, 1]
    assert after.impose == {"joints": {"2": ["head"]}}
    assert renamed(after, {1: 2, 2: 1}, BODY).impose == labels.impose


def test_seeded_leaves_human_joints_as_they_are() -> None:
    noted = {"origin": "propagated", "xy": [1.0, 2.0], "difficult": False}
    labels = document(point("head", 1.0, 2.0, impose=noted), point("hand", 3, 4))
    after = seeded(labels, {1}, BODY)
    assert people_of(after, BODY)[1].pose.seed.tolist() == [True, False, False]
    assert after.shapes[1] is labels.shapes[1]


BAD: list[Any] = [
    b"", b"{", b"[]", b"null", b'{"shapes": 1}', b'{"shapes": [1]}', b'{"shapes": [{}]}',
    b'{"shapes": [], "shapes": []}', b"\xff\xfe{", "{}".encode("utf-16"), b'{"shapes": [NaN]}',
    b'{"shapes": [], "impose": 3}', b'{"shapes": [], "a": ' + b"[" * 100 + b"]" * 100 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("content", BAD)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadDocument):
        FrameLabels.from_bytes(content)


@pytest.mark.parametrize(
    "shapes",
    [
        [point("head", 1, 2), point("head", 1, 2)],
        [point("head", 1, 2, difficult="yes")],
        [point("head", 1e9, 2)],
        [{**point("head", 1, 2), "points": []}],
        [{**point("head", 1, 2), "points": [[1, None]]}],
        [{**point("person", 1, 2), "shape_type": "rectangle"}],
    ],
)
def test_joints_that_make_no_sense_are_refused_by_field(shapes: list[dict[str, Any]]) -> None:
    with pytest.raises(BadDocument, match="shapes"):
        people_of(document(*shapes), BODY)


def test_a_file_is_replaced_only_as_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, None, b"one")
    with pytest.raises(FileChanged, match="no file"):
        replace_file(path, None, b"two")
    path.write_bytes(b"another's")
    with pytest.raises(FileChanged):
        replace_file(path, b"one", b"two")
    assert path.read_bytes() == b"another's"
    replace_file(path, b"another's", b"two")
    replace_file(path, b"two", None)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        replace_file(path, b"one", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert path.read_bytes() == b"one"


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_frame(tmp_path / "none.json") == FrameLabels()
    assert people_of(FrameLabels(), COCO17) == {}
