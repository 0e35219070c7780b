"""CoTracker3 (Karaev et al. 2024), from the package and the weights the user has.

Both are CC-BY-NC 4.0: non-commercial use only. Nothing of them is part of this project; this
module only translates. It owns CoTracker's conventions: (0, 0) is the centre of the top-left
pixel, images are stretched corner to corner to the network's resolution, a query is (t, x, y).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from impose_core.errors import IncompatibleCheckpoint, LicenceNotAccepted, UsageError, WeightsError
from impose_core.points.protocol import PointSteps, PointTracks

if TYPE_CHECKING:
    from torch import Tensor

Mode = Literal["online", "offline"]
LICENCE: Final = "CC-BY-NC-4.0"
ORIGIN: Final = "https://github.com/facebookresearch/co-tracker"
INSTALL: Final = f"pip install 'impose[torch]' 'git+{ORIGIN}'"
WINDOW: Final[dict[Mode, int]] = {"online": 16, "offline": 60}
"""Frames of the published checkpoints: their time embedding is a saved buffer."""
ITERATIONS: Final = 6
SUPPORT: Final = 6
"""Points a side of the grid over the whole image that every group is followed with ..."""
PERSON: Final = 3
"""... and of the one over its own extent."""
MARGIN: Final = 64
"""The image grid keeps an image width over this from the border."""
SEEN: Final[dict[Mode, float]] = {"online": 0.6, "offline": 0.9}
"""From here on a point is seen: of visibility times confidence online, of visibility offline."""
NEAR: Final = 12.0
"""Network pixels: confidence is the chance to be this near (CoTracker3, 3.1)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretched:
    """An image at the network's resolution: float [3, h, w], and the size it had, in pixels."""

    image: Tensor
    width: int
    height: int


class CoTracker:
    """A :class:`impose_core.points.WindowTracker` around a model of the ``cotracker`` package.

    Args:
        model: ``CoTrackerThreeOnline`` or ``CoTrackerThreeOffline``, with its weights.
        mode: which of them.
    """

    def __init__(self, model: Any, *, mode: Mode) -> None:
        self.name = f"cotracker3_{mode}"
        self.window = WINDOW["offline"]  # the online model slides over it by itself
        self._mode: Mode = mode
        self._features = _KeptFeatures(model.fnet)
        model.fnet = self._features.module
        self._model = model.eval()
        self._rows, self._columns = model.model_resolution

    @classmethod
    def load(
        cls, weights: Path | None, *, mode: Mode, accept_licence: bool, device: str = "cpu"
    ) -> CoTracker:
        """The tracker with the user's own weights.

        Args:
            weights: safetensors, from ``impose models convert``; None if he has not said where.
            mode: what the weights were trained as.
            accept_licence: the user accepts CoTracker's licence.
            device: of torch.

        Raises:
            LicenceNotAccepted: if he does not.
            UsageError: if the package or torch is not installed, saying how to get it, or
                nobody said where the weights are.
            WeightsError: if the weights cannot be read.
            IncompatibleCheckpoint: if they are of another network.
        """
        if not accept_licence:
            raise LicenceNotAccepted(
                f"CoTracker and its weights are {LICENCE}: non-commercial use only ({ORIGIN}).",
                hint="Pass --accept-licence if you accept that.",
            )
        model_class = _model_class(mode)
        if weights is None:
            raise UsageError(
                f"Expected the weights of CoTracker3 ({mode}), got none.",
                hint=f"impose models convert scaled_{mode}.pth --as cotracker3-{mode} "
                "--accept-licence, then --tracker-weights with the file it wrote.",
            )
        model = model_class(stride=4, corr_radius=3, window_len=WINDOW[mode])
        _load_weights(model, weights)
        return cls(model.to(device), mode=mode)

    def encode(self, image: NDArray[np.uint8]) -> Stretched:
        """RGB [H, W, 3], stretched so that corner pixels stay corner pixels."""
        import torch
        from torch.nn import functional

        height, width = image.shape[:2]
        planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
        size = (self._rows, self._columns)
        stretched = functional.interpolate(planes, size, mode="bilinear", align_corners=True)
        return Stretched(image=stretched[0], width=width, height=height)

    def step(self, source: Stretched, target: Stretched, xy: NDArray[np.float64]) -> PointSteps:
        """Follow ``xy`` [P, 2] over two frames, each point on its own."""
        tracks = self.track([source, target], xy, np.arange(len(xy)))
        return PointSteps(xy=tracks.xy[1], error=tracks.error[1])

    def track(
        self, frames: Sequence[Stretched], xy: NDArray[np.float64], group: NDArray[np.int64]
    ) -> PointTracks:
        """Follow ``xy`` [P, 2], group by group, from the first of ``frames`` to the last."""
        out = PointTracks(
            xy=np.repeat(xy[None], len(frames), axis=0), error=np.zeros((len(frames), len(xy)))
        )
        if not len(xy):
            return out
        scale = self._scale(frames[0])
        video = _video(frames, next(iter(self._model.parameters())).device)
        with self._features.kept():
            for one in np.unique(group):
                mine = np.flatnonzero(group == one)
                self._track(video, (xy[mine] - 0.5) * scale, scale, mine, out)
        return out

    def _track(
        self,
        video: Tensor,
        points: NDArray[np.float64],
        scale: NDArray[np.float64],
        mine: NDArray[np.intp],
        out: PointTracks,
    ) -> None:
        """One group's ``points`` (network pixels) into the columns ``mine`` of ``out``."""
        import torch

        support = [self._image_grid(), self._person_grid(points)]
        asked = np.concatenate([points, *support])
        queries = np.concatenate([np.zeros((len(asked), 1)), asked], axis=1)  # (t, x, y)
        self._features.rewind()
        with torch.no_grad():
            answer = self._model(
                video=video,
                queries=torch.tensor(queries[None], dtype=video.dtype, device=video.device),
                iters=ITERATIONS,
            )
        xy, seen, sure = (
            np.asarray(part[0, :, : len(points)].cpu().numpy(), np.float64) for part in answer[:3]
        )
        known = seen * sure if self._mode == "online" else seen
        inside = ((xy >= -0.5) & (xy <= (self._columns - 0.5, self._rows - 0.5))).all(-1)
        error = np.where((known > SEEN[self._mode]) & inside, NEAR * (1 - sure), np.inf)
        out.xy[1:, mine] = xy[1:] / scale + 0.5
        out.error[1:, mine] = error[1:] / scale.min()

    def _scale(self, frame: Stretched) -> NDArray[np.float64]:
        """[2]: network pixels per pixel of the video, x and y."""
        stretched = np.array([self._columns, self._rows]) - 1
        return np.asarray(stretched / np.maximum([frame.width - 1, frame.height - 1], 1))

    def _image_grid(self) -> NDArray[np.float64]:
        margin = self._columns / MARGIN
        return _grid((margin, margin), (self._columns - margin, self._rows - margin), SUPPORT)

    def _person_grid(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        last = (self._columns - 1, self._rows - 1)
        low, high = np.clip(points.min(0), 0, last), np.clip(points.max(0), 0, last)
        return _grid(tuple(low), tuple(high), PERSON)


class _KeptFeatures:
    """Image features of a video, computed for the first group and used for all.

    The package's models compute them anew at every call, in the same order, and most of the time
    goes there. ``module`` takes their place in the model.
    """

    def __init__(self, fnet: Any) -> None:
        from torch import nn

        keeper = self

        class Keeping(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = fnet

            def forward(self, images: Tensor) -> Tensor:
                return keeper._features(self.inner, images)

        self.module = Keeping()
        self._kept: list[Tensor] | None = None
        self._next = 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Calls in here are about one video."""
        self._kept = []
        try:
            yield
        finally:
            self._kept = None

    def rewind(self) -> None:
        """The video is looked at again from its start."""
        self._next = 0

    def _features(self, fnet: Any, images: Tensor) -> Tensor:
        if self._kept is None:
            return fnet(images)  # type: ignore[no-any-return]
        if self._next == len(self._kept):
            self._kept.append(fnet(images))
        self._next += 1
        return self._kept[self._next - 1]


def _video(frames: Sequence[Stretched], device: Any) -> Tensor:
    """[1, T, 3, h, w], 0 to 255."""
    import torch

    return torch.stack([frame.image for frame in frames])[None].to(device)


def _grid(low: Sequence[float], high: Sequence[float], side: int) -> NDArray[np.float64]:
    x, y = (np.linspace(a, b, side) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _model_class(mode: Mode) -> Any:
    name = {"online": "CoTrackerThreeOnline", "offline": "CoTrackerThreeOffline"}[mode]
    try:
        import_module("torch")
        return getattr(import_module(f"cotracker.models.core.cotracker.cotracker3_{mode}"), name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"CoTracker needs the package {error.name!r}, which is not installed.",
            hint=f"{INSTALL}  (CoTracker is {LICENCE}: non-commercial use only)",
        ) from None


def _load_weights(model: Any, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"Expected {path} to hold safetensors, got: {error}.",
            hint="impose models convert turns a published checkpoint into them.",
        ) from None
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise IncompatibleCheckpoint(
                f"Expected {name!r} of shape {wanted.get(name)}, got {given.get(name)} in {path}."
            )
    model.load_state_dict(state)
