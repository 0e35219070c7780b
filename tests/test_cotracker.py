"""CoTracker behind the contract: with a stand-in always, with the package where it is installed."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'impose[torch]'")

from cotracker_stand_in import StandInModel  # noqa: E402
from point_tracker_contract import GRID, PixelTrackerContract, moving_texture  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from test_nets_identity import GOLDEN, golden, weights  # noqa: E402

from impose_core.errors import (  # noqa: E402
    IncompatibleCheckpoint,
    LicenceNotAccepted,
    UsageError,
    WeightsError,
)
from impose_core.points import WindowTracker  # noqa: E402
from impose_core.points import cotracker as module  # noqa: E402
from impose_core.points.cotracker import CoTracker  # noqa: E402

MODES = ("online", "offline")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class TestOnlineStandIn(PixelTrackerContract):
    @pytest.fixture
    def tracker(self):
        return CoTracker(StandInModel(), mode="online")


class TestOfflineStandIn(PixelTrackerContract):
    @pytest.fixture
    def tracker(self):
        return CoTracker(StandInModel(), mode="offline")


# --- what the model is asked ----------------------------------------------------------------


def asked(frames=4, xy=GRID[:3], group=None, mode="offline"):
    model = StandInModel()
    tracker = CoTracker(model, mode=mode)
    encoded = [tracker.encode(image) for image in moving_texture()[:frames]]
    group = np.zeros(len(xy), int) if group is None else np.array(group)
    return model, tracker.track(encoded, np.asarray(xy, float), group)


def test_it_is_a_window_tracker():
    assert isinstance(CoTracker(StandInModel(), mode="online"), WindowTracker)


def test_coordinates_are_those_of_pixel_centres_stretched_corner_to_corner():
    corners = np.array([[0.5, 0.5], [319.5, 239.5]])
    model, tracks = asked(xy=corners)
    _, queries, iterations = model.calls[0]
    np.testing.assert_allclose(queries[0, :2], [[0, 0, 0], [0, 511, 383]], atol=1e-4)
    np.testing.assert_array_equal(tracks.xy[0], corners)
    assert iterations == 6


def test_every_group_has_a_grid_of_its_image_and_one_of_its_body_on_the_query_frame():
    model, _ = asked(xy=[[50, 60], [100, 160], [200, 30]], group=[4, 4, 9])
    queries = [call[1][0] for call in model.calls]
    assert [len(q) for q in queries] == [2 + 36 + 9, 1 + 36 + 9]
    assert all((q[:, 0] == 0).all() for q in queries)
    np.testing.assert_allclose(queries[0][2], [0, 8, 8])
    np.testing.assert_allclose(queries[0][37], [0, 504, 376])
    body = queries[0][38:, 1:]
    np.testing.assert_allclose(body.amin(0), queries[0][:2, 1:].amin(0), atol=1e-4)
    np.testing.assert_allclose(body.amax(0), queries[0][:2, 1:].amax(0), atol=1e-4)


def test_image_features_are_computed_once_for_all_groups():
    model, _ = asked(frames=4, group=[0, 1, 2])
    assert len(model.calls) == 3
    assert model.fnet.inner.images == 4


class Answering(StandInModel):
    """Says how visible and how sure."""

    def __init__(self, visible, sure):
        super().__init__()
        self.visible, self.sure = visible, sure

    def forward(self, video, queries, iters):
        tracks, seen, _, last = super().forward(video, queries, iters)
        return tracks, torch.full_like(seen, self.visible), torch.full_like(seen, self.sure), last


@pytest.mark.parametrize(
    ("mode", "visible", "sure", "seen"),
    [
        ("online", 0.9, 0.7, True),
        ("online", 0.9, 0.6, False),
        ("offline", 0.95, 0.5, True),
        ("offline", 0.85, 1.0, False),
    ],
)
def test_a_point_is_seen_by_the_thresholds_of_its_mode(mode, visible, sure, seen):
    tracker = CoTracker(Answering(visible, sure), mode=mode)
    encoded = [tracker.encode(image) for image in moving_texture()[:2]]
    error = tracker.step(*encoded, GRID[:2]).error
    if seen:  # 12 network pixels, 1.6 of which are one of the video
        np.testing.assert_allclose(error, 12 * (1 - sure) / (511 / 319), rtol=1e-3)
    else:
        assert np.isinf(error).all()


# --- how it is had --------------------------------------------------------------------------


@pytest.fixture
def no_package(monkeypatch):
    def missing(name):
        if name.startswith("cotracker"):
            raise ModuleNotFoundError("No module", name="cotracker")
        return torch

    monkeypatch.setattr(module, "import_module", missing)


def test_without_the_licence_nothing_is_looked_for(tmp_path, no_package):
    with pytest.raises(LicenceNotAccepted, match=r"CC-BY-NC-4\.0: non-commercial") as error:
        CoTracker.load(tmp_path / "none", mode="online", accept_licence=False)
    assert "--accept-licence" in error.value.hint


def test_without_the_package_it_says_how_to_get_it(tmp_path, no_package):
    with pytest.raises(UsageError, match="'cotracker', which is not installed") as error:
        CoTracker.load(tmp_path / "none", mode="online", accept_licence=True)
    assert "git+https://github.com/facebookresearch/co-tracker" in error.value.hint
    assert "non-commercial" in error.value.hint


class Package(StandInModel):
    def __init__(self, *, stride, corr_radius, window_len):
        super().__init__()
        assert (stride, corr_radius) == (4, 3)
        self.window_len = window_len


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setattr(module, "_model_class", lambda mode: Package)


def test_weights_are_loaded_strictly(tmp_path, package):
    path = tmp_path / "weights.safetensors"
    save_file({"anything": torch.full((1,), 7.0)}, path)
    tracker = CoTracker.load(path, mode="offline", accept_licence=True)
    assert tracker._model.anything.tolist() == [7]
    assert tracker._model.window_len == 60
    for wrong in ({"anything": torch.zeros(2)}, {"anything": torch.zeros(1), "b": torch.zeros(1)}):
        save_file(wrong, path)
        with pytest.raises(IncompatibleCheckpoint, match="of shape"):
            CoTracker.load(path, mode="offline", accept_licence=True)


def test_weights_that_are_no_safetensors_are_refused(tmp_path, package):
    path = tmp_path / "scaled_online.pth"
    path.write_bytes(b"\x80\x02pickle")
    with pytest.raises(WeightsError, match="to hold safetensors") as error:
        CoTracker.load(path, mode="online", accept_licence=True)
    assert "impose models convert" in error.value.hint
    with pytest.raises(WeightsError):
        CoTracker.load(tmp_path / "nowhere", mode="online", accept_licence=True)


# --- the package's own classes --------------------------------------------------------------

installed = pytest.mark.skipif(
    importlib.util.find_spec("cotracker") is None,
    reason="the cotracker package is not installed (CC-BY-NC; see points/cotracker.py)",
)


def tiny(mode):
    """The package's classes at the sizes of the fixtures."""
    fixture = golden(f"cotracker3_{mode}_tiny.npz")
    from cotracker.models.core.cotracker.blocks import BasicEncoder, Mlp
    from cotracker.models.core.cotracker.cotracker import EfficientUpdateFormer

    model = module._model_class(mode)(
        stride=4,
        corr_radius=3,
        window_len=int(fixture["cfg_window"]),
        model_resolution=tuple(fixture["cfg_resolution"].tolist()),
        num_virtual_tracks=int(fixture["cfg_virtual"]),
    )
    latent, hidden = int(fixture["cfg_latent"]), int(fixture["cfg_hidden"])
    depth, heads = int(fixture["cfg_depth"]), int(fixture["cfg_heads"])
    model.latent_dim = latent
    model.fnet = BasicEncoder(input_dim=3, output_dim=latent, stride=4)
    model.corr_mlp = Mlp(
        in_features=49 * 49, hidden_features=int(fixture["cfg_corr_hidden"]), out_features=256
    )
    state = weights(fixture)
    model.updateformer = EfficientUpdateFormer(
        space_depth=depth,
        time_depth=depth,
        input_dim=model.input_dim,
        hidden_size=hidden,
        num_heads=heads,
        output_dim=4,
        mlp_ratio=state["updateformer.time_blocks.0.mlp.fc1.weight"].shape[0] / hidden,
        num_virtual_tracks=int(fixture["cfg_virtual"]),
        add_space_attn=True,
        linear_layer_for_vis_conf=True,
    )
    model.load_state_dict(state)
    return model, fixture


def predicted(model, mode, video, queries):
    """What the package's own predictor says of ``video`` [T, 3, H, W]; (t, x, y) queries [N, 3]."""
    from cotracker import predictor as package

    given, asked = torch.from_numpy(video).float()[None], torch.from_numpy(queries)[None]
    if mode == "offline":
        theirs = package.CoTrackerPredictor(checkpoint=None, offline=True, window_len=12)
        theirs.model, theirs.interp_shape = model, model.model_resolution
        return theirs(given, queries=asked)[0][0].numpy()
    theirs = package.CoTrackerOnlinePredictor(checkpoint=None)
    theirs.model, theirs.interp_shape = model, model.model_resolution
    theirs.step = model.window_len // 2
    theirs(given, is_first_step=True, queries=asked, add_support_grid=True)
    for start in range(0, len(video) - theirs.step, theirs.step):
        chunk = given[:, start : start + 2 * theirs.step]
        tracks, _ = theirs(chunk, queries=asked, add_support_grid=True)
    return tracks[0].numpy()


@installed
@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("mode", MODES)
def test_tracks_are_those_of_the_packages_own_predictor(mode, direction, monkeypatch):
    """On its first frame the package's support points are ours, but for those over the person."""
    monkeypatch.setattr(CoTracker, "_person_grid", lambda self, points: np.empty((0, 2)))
    model, fixture = tiny(mode)
    video, queries = fixture["pred/video"][0][::direction].copy(), fixture["pred/queries"][0].copy()
    queries[:, 0] = 0
    expected = predicted(model, mode, video, queries)
    tracker = CoTracker(model, mode=mode)
    encoded = [tracker.encode(np.ascontiguousarray(image.transpose(1, 2, 0))) for image in video]
    tracks = tracker.track(encoded, queries[:, 1:] + 0.5, np.zeros(len(queries), int))
    np.testing.assert_allclose(tracks.xy[1:] - 0.5, expected[1:], atol=1e-3)  # 0 is the query


@installed
@pytest.mark.parametrize(
    ("mode", "video", "answer", "iterations"),
    [
        ("offline", "fnet/in_video_T10", "offline/it1", 1),
        ("offline", "fnet/in_video_T10", "offline/it4", 4),
        ("offline", "video_T12", "offline_T12", 2),
        ("online", "video", "sliding", 3),
    ],
)
def test_keeping_image_features_changes_no_answer_of_the_fixtures(mode, video, answer, iterations):
    model, fixture = tiny(mode)
    tracker = CoTracker(model, mode=mode)
    given = torch.from_numpy(fixture[video]).float(), torch.from_numpy(fixture["queries"])
    with torch.no_grad(), tracker._features.kept():
        for _ in range(2):
            tracker._features.rewind()
            xy, visible, sure, _ = model(video=given[0], queries=given[1], iters=iterations)
            np.testing.assert_allclose(xy, fixture[f"{answer}/tracks"], atol=1e-3)
            np.testing.assert_allclose(visible, fixture[f"{answer}/vis"], atol=1e-4)
            np.testing.assert_allclose(sure, fixture[f"{answer}/conf"], atol=1e-4)


@installed
@pytest.mark.parametrize("mode", MODES)
def test_full_size_names_are_those_of_the_published_checkpoints(mode):
    path = GOLDEN / f"cotracker3_{mode}_names.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    wanted = {e["name"]: e["shape"] for e in json.loads(path.read_text())["entries"]}
    model = module._model_class(mode)(stride=4, corr_radius=3, window_len=module.WINDOW[mode])
    assert {n: list(t.shape) for n, t in model.state_dict().items()} == wanted
