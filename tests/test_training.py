"""What training is made of: settings, images, batches, losses, steps."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs impose[torch]")
pytest.importorskip("safetensors", reason="needs impose[torch]")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_small import (
    IDENTITY,
    POSE,
    STILL,
    identity_config,
    pose_config,
    pose_network,
    rendered,
)

from impose_core.errors import BadDocument, MediaError, SkeletonMismatch, StateError, UsageError
from impose_core.io.coco import write_document
from impose_core.io.documents import PoseDocument, VideoInfo
from impose_core.nets.pose_network import PoseNetwork
from impose_core.pose_sets import Instances
from impose_core.skeleton import COCO17
from impose_core.synthesis import SceneConfig, render
from impose_core.training.average import Average
from impose_core.training.chance import order
from impose_core.training.clips import Clips, open_sources
from impose_core.training.distributed import machine
from impose_core.training.identity_batches import IdentityBatches
from impose_core.training.looks import appearances
from impose_core.training.loop import begun, rate, run_steps
from impose_core.training.pose_batches import PoseBatches, seen_bodies
from impose_core.training.pose_part import PosePart
from impose_core.training.settings import changed, settings_json
from impose_core.training.views import View, random_view, whole


@pytest.fixture(scope="module")
def clips():
    return rendered(frames=6)


# --- settings ------------------------------------------------------------------------------------


def test_settings_are_given_as_text_and_survive_json():
    given_settings = changed(
        POSE, {"lr": "1e-3", "bf16": "false", "drops": "0.5,0.9", "freeze": "backbone,neck"}
    )
    assert (given_settings.lr, given_settings.bf16) == (1e-3, False)
    assert given_settings.drops == (0.5, 0.9)
    assert given_settings.freeze == ("backbone", "neck")
    again = changed(POSE, json.loads(json.dumps(settings_json(given_settings))))
    assert again == given_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "fast"), ("lr", "0"), ("steps", "1.5"), ("steps", "0"), ("bf16", "maybe"),
        ("zoom", "2"), ("part", "legs"), ("drops", "2"), ("frames", "1"), ("height", "8"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_named(name, value):
    with pytest.raises(UsageError, match=f"'{name}'"):
        changed(POSE, {name: value})


def test_an_unknown_setting_is_named():
    with pytest.raises(UsageError, match="'speed'"):
        changed(POSE, {"speed": "1"})


def test_the_rate_rises_then_drops_to_a_tenth_twice():
    given_settings = replace(POSE, steps=100, warmup=10, drops=(0.5, 0.75))
    assert rate(given_settings, 0) == pytest.approx(0.1)
    assert rate(given_settings, 9) == rate(given_settings, 49) == 1
    assert rate(given_settings, 50) == pytest.approx(0.1)
    assert rate(given_settings, 99) == pytest.approx(0.01)


# --- images --------------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), x=st.integers(5, 114), y=st.integers(5, 74))
@settings(max_examples=40)
def test_a_point_is_where_the_view_shows_it(seed, x, y):
    image = np.zeros((80, 120, 3), np.uint8)
    cv2.circle(image, (x, y), 2, (255, 255, 255), -1)
    view = random_view(image, replace(POSE, colour=0.0), np.random.default_rng(seed))
    shown, padding = view.show(image, 96, 96)
    at = view.points(np.array([x + 0.5, y + 0.5]))
    seen = shown.mean(axis=-1)
    if not ((at > 0.06) & (at < 0.94)).all():
        return  # at the edge of what is seen
    rows, columns = (int((~padding).any(axis=axis).sum()) for axis in (1, 0))
    weight = seen / seen.sum()
    middle = (np.indices(seen.shape) + 0.5) * weight
    found = middle.sum(axis=(1, 2))[::-1] / (columns, rows)
    np.testing.assert_allclose(found, at, atol=1.5 / min(rows, columns))


def test_the_rest_of_the_frame_is_padding():
    image = np.full((40, 80, 3), 200, np.uint8)
    shown, padding = whole(image).show(image, 64, 64)
    assert (~padding).sum() == 32 * 64
    assert (shown[padding] == 0).all()
    np.testing.assert_allclose(shown[~padding], 200 / 255, atol=1e-6)


def people_at(xy, **fields):
    people = Instances.unknown(len(xy), len(COCO17))
    people.xy[:] = np.asarray(xy, float)
    people.visibility[:] = 2
    for name, value in fields.items():
        getattr(people, name)[:] = value
    return people


def test_a_mirrored_body_has_its_left_on_the_other_side():
    xy = np.stack([np.arange(17) * 4.0 + 10, np.full(17, 20.0)], axis=-1)
    people = people_at(xy[None], box=[[5, 10, 90, 30]])
    view = View(window_xyxy=(0, 0, 100, 40), mirrored=True)
    bodies = seen_bodies(people, view, COCO17)
    left, right = COCO17.index("left_wrist"), COCO17.index("right_wrist")
    assert bodies.keypoints[0, left, 0] == pytest.approx(1 - xy[right, 0] / 100)
    np.testing.assert_allclose(bodies.boxes[0], [0.525, 0.5, 0.85, 0.5])


def test_what_is_cut_off_is_not_labelled_and_has_no_area():
    xy = np.stack([np.linspace(10, 90, 17), np.full(17, 20.0)], axis=-1)
    people = people_at(xy[None], box=[[0, 0, 100, 40]], area=1000.0)
    bodies = seen_bodies(people, View(window_xyxy=(50, 0, 100, 40)), COCO17)
    np.testing.assert_array_equal(bodies.labelled[0], xy[:, 0] >= 50)
    np.testing.assert_allclose(bodies.boxes[0], [0.5, 0.5, 1, 1])
    assert bodies.area[0] == pytest.approx(1000 / 2 / (50 * 40))
    gone = seen_bodies(
        people_at(xy[None], box=[[0, 0, 40, 40]]), View(window_xyxy=(50, 0, 100, 40)), COCO17
    )
    assert len(gone.boxes) == 0


def test_crowds_are_no_bodies_and_a_body_without_box_gets_one_around_its_joints():
    xy = np.stack([np.linspace(20, 60, 17), np.linspace(10, 30, 17)], axis=-1)
    people = people_at(np.stack([xy, xy]), crowd=[True, False])
    bodies = seen_bodies(people, View(window_xyxy=(0, 0, 100, 40)), COCO17)
    np.testing.assert_allclose(bodies.boxes, [[0.4, 0.5, 0.48, 0.6]])


# --- batches -------------------------------------------------------------------------------------


def test_every_image_comes_once_before_any_comes_again():
    for epoch in range(3):
        assert sorted(order(7, epoch * 5 + i, 5) for i in range(5)) == list(range(5))
    assert [order(7, i, 50) for i in range(50)] != [order(8, i, 50) for i in range(50)]


def test_a_step_has_the_same_batch_always(clips):
    batches = PoseBatches(clips, POSE, label=1)
    first, again, other = batches.at(3), PoseBatches(clips, POSE, label=1).at(3), batches.at(4)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.prior_keypoints, again.prior_keypoints)
    assert not torch.equal(first.images, other.images)


def test_two_machines_share_what_one_would_see(clips):
    both = [PoseBatches(clips, POSE, label=1, machine=m, machines=2).at(1) for m in (0, 1)]
    alone = PoseBatches(clips, replace(POSE, batch=4), label=1).at(1)
    assert torch.equal(torch.cat([batch.images for batch in both]), alone.images)


def test_a_prior_lies_between_then_and_now(clips):
    batches = PoseBatches(clips, replace(POSE, **STILL), label=1)
    batch = batches.at(0)
    assert batch.prior_boxes.shape == (2, 2, 4)
    view = whole(clips.clips[0].read(0))
    every = np.stack(
        [
            np.nan_to_num(seen_bodies(frame.instances, view, COCO17).keypoints)
            for frame in clips.clips[0].frames
        ]
    )
    low, high = every.min(axis=(0, 1)), every.max(axis=(0, 1))
    joints = [COCO17.index(name) for name in ("left_hip", "right_hip")]
    prior = batch.prior_keypoints.numpy()
    assert (prior[:, :, joints] >= low[joints] - 1e-6).all()
    assert (prior[:, :, joints] <= high[joints] + 1e-6).all()
    for image, truth in enumerate(batch.truths):
        off = np.abs(prior[image][:, joints] - truth.keypoints.numpy()[:, joints])
        assert off.max() < 0.1


def test_without_a_neighbour_there_is_no_prior():
    batch = PoseBatches(rendered(frames=1), POSE, label=1).at(0)
    assert batch.prior_boxes is None
    assert batch.prior_keypoints is None


def test_identities_keep_their_columns(clips):
    config = identity_config(COCO17, 0)
    given_settings = replace(IDENTITY, flip=0.0, joint_noise=0.0, interval=1)
    batch = IdentityBatches(clips, given_settings, config, looks={}).at(0)
    assert batch.bodies.xy.shape == (2, 6, 2, 17, 2)
    assert not batch.missing.any()
    truth = np.stack([frame.instances.xy for frame in clips.clips[0].frames])
    for clip in range(2):
        mine = batch.bodies.xy[clip].numpy()
        same = [
            np.abs(np.nan_to_num(truth[:, n]) - mine[:, column]).max() < 1e-3
            for column in range(2)
            for n in range(2)
        ]
        assert same in ([True, False, False, True], [False, True, True, False])


def test_intervals_are_drawn_but_never_beyond_the_clip():
    long = rendered(frames=12)
    config = identity_config(COCO17, 0)
    batches = IdentityBatches(long, replace(IDENTITY, frames=4, batch=8), config, looks={})
    steps = set()
    hip = COCO17.index("left_hip")
    truth = np.stack([frame.instances.xy[:, hip] for frame in long.clips[0].frames])
    for step in range(3):
        batch = batches.at(step)
        assert not batch.missing[:, 0].all()
        steps.add(int((~batch.missing).any(dim=-1).sum(dim=-1).min()))
    assert steps == {4}
    assert np.isfinite(truth).any()


def test_identities_need_tracks():
    clips = rendered(frames=3)
    for frame in clips.clips[0].frames:
        frame.instances.track_id[:] = -1
    with pytest.raises(BadDocument, match="track_id"):
        IdentityBatches(clips, IDENTITY, identity_config(COCO17, 0), looks={})


def test_looks_are_box_tokens_of_every_labelled_body(clips):
    network = pose_network()
    device = torch.device("cpu")
    looks = appearances(clips, network, height=64, width=96, device=device)
    assert {key: value.shape for key, value in looks.items()} == {(0, t): (2, 32) for t in range(6)}
    assert np.abs(looks[0, 0][0] - looks[0, 0][1]).max() > 1e-3
    config = identity_config(COCO17, 32)
    batch = IdentityBatches(clips, IDENTITY, config, looks=looks).at(0)
    seen = batch.bodies.appearance[0, 0].numpy()
    assert all(
        any(np.allclose(row, look, atol=1e-6) for t in range(6) for look in looks[0, t])
        for row in seen
    )
    with pytest.raises(UsageError, match="17 joints"):
        appearances(clips, pose_network(joints=5), height=64, width=96, device=device)


# --- sources -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Labels of a rendered clip, its images as a folder, and pictures of several sizes."""
    root = tmp_path_factory.mktemp("data")
    scene = render(SceneConfig(seed=1, frames=3, width=96, height=64, persons=2))
    (root / "frames").mkdir()
    for t, image in enumerate(scene.frames):
        cv2.imwrite(str(root / "frames" / f"{t}.png"), image[..., ::-1])
    video = VideoInfo(file_name="clip.mp4", width=96, height=64, frames=3)
    area = np.full(scene.tracks.box.shape[:2], np.nan)
    write_document(root / "labels.json", PoseDocument(tracks=scene.tracks, video=video, area=area))
    pictures = {
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints), "skeleton": []}
        ],
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 60 + i, "height": 50} for i in (1, 2)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [5, 5, 40, 40],
             "area": 800, "keypoints": [20, 20, 2] * 17} for i in (1, 2)
        ],
    }  # fmt: skip
    (root / "pictures").mkdir()
    for i in (1, 2):
        cv2.imwrite(str(root / "pictures" / f"{i}.png"), np.full((50, 60 + i, 3), 9 * i, np.uint8))
    (root / "pictures.json").write_text(json.dumps(pictures))
    return root


def test_a_video_document_and_the_folder_of_its_frames(folder):
    clips = open_sources((f"{folder / 'labels.json'}={folder / 'frames'}",))
    (clip,) = clips.clips
    assert clips.skeleton.keypoints == COCO17.keypoints
    assert [frame.index for frame in clip.frames] == [0, 1, 2]
    assert clip.read(1).shape == (64, 96, 3)
    assert clip.frames[0].instances.track_id.tolist() == [1, 2]


def test_a_frame_of_a_video_that_nobody_labelled_is_not_an_empty_one(folder):
    document = json.loads((folder / "labels.json").read_text())
    last = document["images"][2]["id"]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != last]
    (folder / "sparse.json").write_text(json.dumps(document))
    (clip,) = open_sources((f"{folder / 'sparse.json'}={folder / 'frames'}",)).clips
    assert [frame.index for frame in clip.frames] == [0, 1]


def test_pictures_of_several_sizes_are_found_by_name(folder):
    clips = open_sources((f"{folder / 'pictures.json'}={folder / 'pictures'}",))
    assert [clip.read(0).shape[1] for clip in clips.clips] == [61, 62]
    batch = PoseBatches(clips, POSE, label=1).at(0)
    assert batch.images.shape == (2, 3, 64, 96)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("labels.json", UsageError),
        ("=frames", UsageError),
        ("synthetic:nowhere", UsageError),
        ("synthetic:easy,clips=none", UsageError),
        ("synthetic:easy,speed=3", UsageError),
        ("{root}/absent.json={root}/frames", BadDocument),
        ("{root}/labels.json={root}/absent.mp4", MediaError),
        ("{root}/pictures.json={root}", MediaError),
        ("{root}/pictures.json={root}/frames/0.png", BadDocument),
        ("{root}/labels.json={root}/frames/0.png", BadDocument),
    ],
)
def test_a_source_that_cannot_be(folder, source, error):
    with pytest.raises(error):
        open_sources((source.format(root=folder),))


def test_sources_of_other_bodies_do_not_go_together(folder):
    document = json.loads((folder / "pictures.json").read_text())
    document["categories"][0]["keypoints"] = ["a", "b"]
    for item in document["annotations"]:
        item["keypoints"] = [20, 20, 2] * 2
    (folder / "others.json").write_text(json.dumps(document))
    first = f"{folder / 'pictures.json'}={folder / 'pictures'}"
    with pytest.raises(SkeletonMismatch, match="others"):
        open_sources((first, f"{folder / 'others.json'}={folder / 'pictures'}"))
    with pytest.raises(UsageError, match="--data"):
        open_sources(())


def test_scenes_are_rendered_as_asked():
    clips = open_sources(("synthetic:fast,clips=2,frames=2,width=64,height=48,persons=1,seed=4",))
    assert [len(clip.frames) for clip in clips.clips] == [2, 2]
    assert clips.clips[0].read(0).shape == (48, 64, 3)
    assert (clips.clips[0].read(0) != clips.clips[1].read(0)).any()


# --- losses and steps ----------------------------------------------------------------------------


def part_of(clips, **changes):
    given_settings = replace(POSE, **changes)
    torch.manual_seed(0)
    network = PoseNetwork(pose_config())
    return PosePart(network, given_settings, sigmas=clips.skeleton.sigmas), given_settings


def test_every_loss_of_the_published_training_is_there(clips):
    part, given_settings = part_of(clips)
    _, terms = part(PoseBatches(clips, given_settings, label=1).at(0), 0)
    kinds = {name.split(".")[0] for name in terms}
    assert kinds == {"queries", "boxes", "poses", "clicks", "propagated", "repair"}
    for kind in ("poses", "clicks", "propagated"):
        assert {name.split(".")[2] for name in terms if name.startswith(kind)} == {
            "label", "box", "giou", "keypoint", "oks", "visibility"
        }  # fmt: skip
    part, given_settings = part_of(clips, bodies=0, clicks=0, propagated=False)
    _, terms = part(PoseBatches(clips, given_settings, label=1).at(0), 0)
    assert {name.split(".")[0] for name in terms} == {"queries", "boxes", "poses"}


def test_a_step_is_its_own_chance(clips):
    part, given_settings = part_of(clips)
    batch = PoseBatches(clips, given_settings, label=1).at(0)
    with torch.no_grad():
        first, again, other = (part(batch, step)[0] for step in (5, 5, 6))
    assert first == again
    assert first != other


def test_bfloat16_gives_nearly_the_same_losses(clips):
    part, given_settings = part_of(clips)
    batch = PoseBatches(clips, given_settings, label=1).at(0)
    exact, _ = part(batch, 0)
    with torch.autocast("cpu", torch.bfloat16):
        rough, _ = part(batch, 0)
    rough.backward()
    assert rough.dtype == torch.float32
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.05)
    assert all(w.grad is None or w.grad.isfinite().all() for w in part.parameters())


def test_clicks_alone_leave_everything_before_them(clips):
    part, given_settings = part_of(clips, part="clicks", steps=2)
    run = begun(part.network, given_settings)
    before = {name: weight.clone() for name, weight in part.network.state_dict().items()}
    batches = PoseBatches(clips, given_settings, label=1)
    with machine("cpu") as here:
        (first, *_) = list(run_steps(part, run, batches, given_settings, here))
    assert {name.split(".")[0] for name in first.terms} == {"repair", "clicks", "propagated"}
    moved = {
        name.split(".")[0]
        for name, weight in part.network.state_dict().items()
        if not torch.equal(weight, before[name])
    }
    assert moved == {"keypoint_decoder", "codebooks"}


def test_what_is_frozen_must_exist_and_leave_something():
    network = PoseNetwork(pose_config())
    with pytest.raises(UsageError, match="'legs'"):
        begun(network, replace(POSE, freeze=("legs",)))
    names = tuple({name.split(".")[0] for name, _ in network.named_parameters()})
    with pytest.raises(UsageError, match="everything"):
        begun(network, replace(POSE, freeze=names))


def test_the_backbone_and_sampling_offsets_learn_slowly():
    network = PoseNetwork(pose_config())
    run = begun(network, replace(POSE, backbone_lr=0.5))
    shares = {id(w): g["share"] for g in run.optimizer.param_groups for w in g["params"]}
    named = dict(network.named_parameters())
    assert shares[id(named["backbone.conv1.weight"])] == 0.5
    offsets = "encoder.layers.0.attention.sampling_offsets.weight"
    assert shares[id(named[offsets])] == pytest.approx(0.1)
    assert shares[id(named["encoder.level_embedding"])] == 1


def test_a_loss_that_is_no_number_stops_the_run(clips):
    part, given_settings = part_of(clips)
    with torch.no_grad():
        part.network.encoder.level_embedding.fill_(torch.nan)
    run = begun(part.network, given_settings)
    batches = PoseBatches(clips, given_settings, label=1)
    with machine("cpu") as here, pytest.raises(StateError, match="step 1"):
        list(run_steps(part, run, batches, given_settings, here))


def test_the_average_follows_slowly():
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = Average(layer, decay=0.9)
    torch.nn.init.ones_(layer.weight)
    average.follow(layer, 1000)
    assert average.weights["weight"].item() == pytest.approx(0.1)
    average.give(layer)
    assert layer.weight.item() == pytest.approx(0.1)


def test_a_batch_of_images_without_bodies_is_learned_from():
    clips = rendered(frames=2)
    empty = Clips(
        skeleton=clips.skeleton,
        clips=(
            replace(
                clips.clips[0],
                frames=tuple(
                    replace(f, instances=f.instances.pick(np.zeros(2, bool)))
                    for f in clips.clips[0].frames
                ),
            ),
        ),
        sources=("rendered",),
    )
    part, given_settings = part_of(empty)
    loss, _ = part(PoseBatches(empty, given_settings, label=1).at(0), 0)
    loss.backward()
    assert loss.isfinite()
