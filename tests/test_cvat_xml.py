import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impose_core.errors import BadDocument, ImposeError
from impose_core.io.cvat_xml import read_cvat_xml
from impose_core.pose_sets import NO_TRACK

LABELS = """<labels>
  <label><name>car</name><type>rectangle</type><attributes></attributes></label>
  <label><name>person</name><type>skeleton</type><svg>&lt;line x1="1"&gt;</svg></label>
  <label><name>nose</name><type>points</type><parent>person</parent></label>
  <label><name>wrist</name><type>points</type><parent>person</parent></label>
</labels>"""


def task(stop=4, more="", labels=LABELS, mode="interpolation"):
    frames = "" if stop is None else f"<start_frame>0</start_frame><stop_frame>{stop}</stop_frame>"
    return f"""<meta><task><id>3</id><name>walk</name><mode>{mode}</mode>{frames}
      <original_size><width>640</width><height>480</height></original_size>{more}{labels}
      </task><dumped>2024-01-01</dumped></meta>"""


def points(label, xy, outside=0, occluded=0):
    return (
        f'<points label="{label}" keyframe="1" outside="{outside}" occluded="{occluded}" '
        f'points="{xy}"></points>'
    )


def skeleton(frame, *inside):
    return f'<skeleton frame="{frame}" keyframe="1" z_order="0">{"".join(inside)}</skeleton>'


def track(identity, *inside, label="person"):
    return f'<track id="{identity}" label="{label}" source="manual">{"".join(inside)}</track>'


def image(number, *inside, name=None, width=100):
    name = name or f"img_{number}.jpg"
    return (
        f'<image id="{number}" name="{name}" width="{width}" height="50">{"".join(inside)}</image>'
    )


def still(*inside):
    """A skeleton as "CVAT for images" writes it."""
    return f'<skeleton label="person" source="manual" z_order="0">{"".join(inside)}</skeleton>'


@pytest.fixture
def written(tmp_path):
    def write(*inside, version="1.1"):
        path = tmp_path / "annotations.xml"
        text = f"<annotations><version>{version}</version>{''.join(inside)}</annotations>"
        path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}', encoding="utf-8")
        return path

    return write


ONE = track(7, skeleton(0, points("wrist", "1.5,2"), points("nose", "10,20", occluded=1)))


def test_a_track_of_skeletons(written):
    found = read_cvat_xml(written(task(stop=0), ONE))
    assert found.keypoints == ("nose", "wrist")
    (sequence,) = found.sequences
    assert (sequence.name, sequence.width, sequence.height) == ("walk", 640, 480)
    (frame,) = sequence.frames
    assert frame.instances.track_id.tolist() == [7]
    assert frame.instances.xy.tolist() == [[[10, 20], [1.5, 2]]]
    assert frame.instances.visibility.tolist() == [[1, 2]]
    assert np.isnan(frame.instances.box).all()
    assert np.isnan(frame.instances.area).all()


def test_what_lies_between_keyframes_is_linear_and_what_follows_holds(written):
    moving = track(
        1,
        skeleton(1, points("nose", "0,0"), points("wrist", "5,5")),
        skeleton(3, points("nose", "10,20", occluded=1)),
    )
    frames = read_cvat_xml(written(task(), moving)).sequences[0].frames
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert len(frames[0].instances) == 0
    nose = [frame.instances.xy[0, 0].tolist() for frame in frames[1:]]
    assert nose == [[0, 0], [5, 10], [10, 20], [10, 20]]
    assert [frame.instances.visibility[0, 0] for frame in frames[1:]] == [2, 2, 1, 1]
    assert all(frame.instances.xy[0, 1].tolist() == [5, 5] for frame in frames[1:])
    assert all(frame.labelled for frame in frames)


def test_outside_is_not_there_until_the_next_entry(written):
    leaving = track(
        1,
        skeleton(0, points("nose", "0,0"), points("wrist", "5,5")),
        skeleton(1, points("nose", "0,0", outside=1), points("wrist", "5,5", outside=1)),
        skeleton(3, points("nose", "8,8")),
    )
    frames = read_cvat_xml(written(task(), leaving)).sequences[0].frames
    assert [len(frame.instances) for frame in frames] == [1, 0, 0, 1, 1]
    back = frames[3].instances
    assert back.visibility.tolist() == [[2, 0]]
    assert np.isnan(back.xy[0, 1]).all()


def test_frames_of_a_task_that_skips_some_are_the_videos(written):
    filtered = task(stop=10, more="<frame_filter>step=5</frame_filter>")
    moving = track(1, skeleton(0, points("nose", "0,0")), skeleton(10, points("nose", "10,0")))
    frames = read_cvat_xml(written(filtered, moving)).sequences[0].frames
    assert [frame.index for frame in frames] == [0, 5, 10]
    assert [frame.instances.xy[0, 0, 0] for frame in frames] == [0, 5, 10]


def test_without_meta_the_caller_names_the_keypoints_and_the_last_entry_ends_it(written):
    path = written(ONE)
    with pytest.raises(BadDocument, match="name the keypoints") as error:
        read_cvat_xml(path)
    assert "keypoints=" in error.value.hint
    found = read_cvat_xml(path, keypoints=("wrist", "nose"), name="mine")
    assert found.sequences[0].name == "mine"
    assert len(found.sequences[0].frames) == 1
    assert found.sequences[0].frames[0].instances.xy[0, 0].tolist() == [1.5, 2]


def test_people_are_by_ascending_id_and_other_tracks_are_left_out(written):
    first = skeleton(0, points("nose", "1,1"))
    box = '<box frame="0" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"/>'
    tracks = track(9, first), track(2, first), track(1, box, label="car")
    (frame,) = read_cvat_xml(written(task(stop=0), *tracks)).sequences[0].frames
    assert frame.instances.track_id.tolist() == [2, 9]


def test_a_label_is_chosen_where_there_are_several(written):
    dogs = LABELS.replace(
        "</labels>", "<label><name>dog</name><type>skeleton</type></label></labels>"
    )
    path = written(task(stop=0, labels=dogs), ONE)
    with pytest.raises(BadDocument, match=r"got 2: \['person', 'dog'\]"):
        read_cvat_xml(path)
    assert len(read_cvat_xml(path, label="person").sequences[0].frames[0].instances) == 1


def test_images_are_sequences_of_one(written):
    people = still(points("nose", "3,4")) + still(points("wrist", "5,6", occluded=1))
    path = written(task(mode="annotation"), image(0, people), image(4, width=200))
    first, second = read_cvat_xml(path).sequences
    assert (first.name, first.width, second.name, second.width) == (
        "img_0.jpg",
        100,
        "img_4.jpg",
        200,
    )
    assert first.frames[0].index == second.frames[0].index == 0
    people = first.frames[0].instances
    assert people.track_id.tolist() == [NO_TRACK, NO_TRACK]
    assert people.visibility.tolist() == [[2, 0], [0, 1]]
    assert len(second.frames[0].instances) == 0


def test_images_of_a_video_are_its_frames(written):
    path = written(task(), image(4), image(2, still(points("nose", "3,4"))))
    (sequence,) = read_cvat_xml(path).sequences
    assert (sequence.name, sequence.width, sequence.height) == ("walk", 100, 50)
    assert [frame.index for frame in sequence.frames] == [2, 4]
    assert sequence.frames[0].file_name == "img_2.jpg"
    with pytest.raises(BadDocument, match=r"'width' of <image>.*height 50"):
        read_cvat_xml(written(task(), image(0), image(1, width=101)))


NOSE = skeleton(0, points("nose", "1,1"))


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ([track(1, skeleton(0, points("toe", "1,1")))], r"'label' of <points>.*nose, wrist.*'toe'"),
        ([track(1, skeleton(0, points("nose", "1,1") * 2))], "once in its skeleton"),
        ([track(1, NOSE, NOSE)], r"'frame' of <skeleton>.*once in its track"),
        ([track(1, NOSE), track(1, NOSE)], r"'id' of <track>.*unique"),
        ([track("one", NOSE)], r"'id' of <track>.*an integer"),
        ([track(1, skeleton(5, points("nose", "1,1")))], r"a frame of the task.*got 5"),
        ([track(1, skeleton(-1))], r"'frame' of <skeleton>.*an integer"),
        ([track(1, skeleton(0, points("nose", "1,1", outside=2)))], r"'outside'.*0 or 1"),
        ([track(1, skeleton(0, points("nose", "1,1", occluded="yes")))], r"'occluded'.*0 or 1"),
        ([track(1, skeleton(0, points("nose", "nan,1")))], "one point, written x,y"),
        ([track(1, skeleton(0, points("nose", "inf,1")))], "one point, written x,y"),
        ([track(1, skeleton(0, points("nose", "1_0,1")))], "one point, written x,y"),
        ([track(1, skeleton(0, points("nose", "1,1;2,2")))], "one point, written x,y"),
        ([track(1, skeleton(0, points("nose", "1")))], "one point, written x,y"),
        ([track(1, skeleton(0, points("nose", "1e9,1")))], "within 1e\\+06 pixels"),
        ([track(1, NOSE), image(0)], "tracks or images"),
        ([image(0), image(0, name="b.jpg")], r"'id' of <image>.*unique"),
    ],
)
def test_errors_name_file_and_line(written, inside, message):
    with pytest.raises(BadDocument, match=message) as error:
        read_cvat_xml(written(task(), *inside))
    assert "annotations.xml" in error.value.message


def test_numbers_of_the_task_are_checked(written):
    for stop in ("many", "-1", "99999999"):
        with pytest.raises(BadDocument, match=r"<stop_frame> of <task> in line 2"):
            read_cvat_xml(written(task(stop=stop), ONE))
    with pytest.raises(BadDocument, match="frame_filter"):
        read_cvat_xml(written(task(more="<frame_filter>step=x</frame_filter>"), ONE))
    with pytest.raises(BadDocument, match=r"one label of type skeleton, got 0"):
        read_cvat_xml(written())
    with pytest.raises(BadDocument, match="project"):
        read_cvat_xml(written("<meta><project/></meta>", ONE))
    with pytest.raises(BadDocument, match=r"version 1\.1"):
        read_cvat_xml(written(version="2.0"))
    loose = task(mode="annotation")
    with pytest.raises(BadDocument, match=r"'name' of <image>.*unique"):
        read_cvat_xml(written(loose, image(0, name="a.jpg"), image(1, name="a.jpg")))


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotations>&b;</annotations>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", [LAUGHS, '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'])
def test_entities_are_refused_in_any_encoding(tmp_path, text, encoding):
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(BadDocument, match="without a DOCTYPE, got one in line 1"):
        read_cvat_xml(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<annotations>",
        b"PK\x03\x04",
        b"<a/><b/>",
        b'<?xml version="1.0" encoding="zlib"?><a/>',
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_what_is_no_document_is_said(tmp_path, data):
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    with pytest.raises(BadDocument, match=r"a\.xml"):
        read_cvat_xml(path)
    with pytest.raises(BadDocument, match="readable file"):
        read_cvat_xml(tmp_path / "nothing.xml")


def test_depth_is_limited(tmp_path):
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a>" * 10_000 + b"</a>" * 10_000)
    with pytest.raises(BadDocument, match="nested at most 64 deep, got more in line 1"):
        read_cvat_xml(path)


SOUND = (
    '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
    + task(more="<frame_filter>step=1</frame_filter>")
    + track(1, NOSE, skeleton(3, points("nose", "4.5,-1e1", occluded=1), points("wrist", "7,8")))
    + "</annotations>"
).encode()
SNIPPETS = [
    b"",
    b"nan",
    b"1e400",
    b"-1",
    b"<",
    b'"',
    b"&amp;",
    b"99999999999",
    b"\xff",
    b"<!DOCTYPE a>",
]


@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(SOUND)),
            st.integers(0, 12),
            st.sampled_from(SNIPPETS) | st.binary(max_size=3),
        ),
        max_size=3,
    )
)
def test_no_damage_gets_through_as_nonsense(tmp_path_factory, edits):
    data = SOUND
    for start, length, snippet in edits:
        data = data[:start] + snippet + data[start + length :]
    path = tmp_path_factory.mktemp("fuzz") / "a.xml"
    path.write_bytes(data)
    try:
        found = read_cvat_xml(path)
    except ImposeError:
        return
    for _, frame in found:
        people = frame.instances
        assert (people.visibility > 0).any(-1).all()
        assert np.isfinite(people.xy[people.visibility > 0]).all()
        assert np.isnan(people.xy[people.visibility == 0]).all()
