"""The paper's network as a pose reader: it finds people, and reads bodies around priors.

Where a point tracker has a body, its box and joints become the reference points of the decoders
(IMPose III-C); joints a human placed on that frame are held. Torch is needed, and imported when a
reader is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from impose_core.config import ReadingConfig
from impose_core.errors import DeviceError, IncompatibleCheckpoint, UsageError
from impose_core.readers.protocol import Candidates, Detections, Image, Priors
from impose_core.readers.views import GROWTH, square_views
from impose_core.skeleton import Skeleton

if TYPE_CHECKING:
    from impose_core.nets.frame_reading import FrameReading, ReadBodies

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNIT: Final = 1024
"""Parts of a pixel that a view counts in."""
GRID: Final = 256
"""... and to how many of them boxes and free joints are rounded: a quarter of a pixel."""
FREE, PINNED = 1, 2
"""State of a joint in a view; 0: nothing is known of it."""
LEAST_PERSON: Final = 0.3
"""Score of a proposal from which it is a person (MOTIP's and the paper's threshold)."""
ROOM: Final = 0.1
"""Share of its larger side that a box of joints grows by on each side: bodies have flesh."""
_AS_MOVENET: Final = ReadingConfig().deviation
SAME_BODY: Final = 0.5
"""IoU from which a proposal is the body of a prior, where priors are no reference points."""


class NetworkReader:
    """A :class:`~impose_core.readers.PriorReader` for bodies of one skeleton.

    A view is a row of 4 + 3 K numbers: a box xyxy, and per joint x, y and its state; in parts of
    a pixel.

    Args:
        reading: the network at work.
        skeleton: what its joints are called.
        ktcp: keypoint-level temporal correction propagation, that is: priors are reference
            points. Without it a prior only says which of the network's own proposals is meant;
            pinned joints are held, and the rest decoded again, either way. Default: if the
            network can.
        deviation: body sizes, one sigma, of its readings. Nobody has measured it; the default
            is MoveNet's.

    Raises:
        UsageError: if the skeleton has not as many joints as the network, or it cannot decode
            bodies again and ``ktcp`` asks for that.
    """

    name = "network"

    def __init__(
        self,
        reading: FrameReading,
        skeleton: Skeleton,
        *,
        ktcp: bool | None = None,
        deviation: float = _AS_MOVENET,
    ) -> None:
        config = reading.network.config
        if config.joints != len(skeleton):
            raise UsageError(f"Expected a skeleton of {config.joints} joints, got {len(skeleton)}.")
        if ktcp and not config.clickable:
            raise UsageError(
                "Expected a network that decodes bodies again for 'ktcp', got one that does not.",
                hint="ED-Pose is such a network; Click-Pose and 'nano' read priors.",
            )
        self._reading, self._again = reading, config.clickable
        self.skeleton, self.deviation = skeleton, deviation
        self.ktcp = config.clickable if ktcp is None else ktcp

    @classmethod
    def load(
        cls, weights: Path, *, ktcp: bool | None = None, device: str | None = None
    ) -> NetworkReader:
        """The reader of a file that ``impose models convert`` or training wrote.

        Args:
            weights: safetensors.
            ktcp: see the class.
            device: as torch names it; default: a GPU where there is one.

        Raises:
            DeviceError: if torch is not installed.
            WeightsError: if the file cannot be read, or holds no pose network.
        """
        try:
            import torch

            from impose_core.nets.frame_reading import FrameReading
            from impose_core.nets.pose_network import PoseNetwork
            from impose_core.nets.trained import read_trained
        except ImportError as error:
            raise DeviceError(
                f"Expected torch and safetensors to be installed, got: {error}.",
                hint="pip install 'impose[torch]'",
            ) from error
        trained = read_trained(weights)
        if not isinstance(trained.network, PoseNetwork):
            raise IncompatibleCheckpoint(
                f"Expected a pose network in {weights}, got a {type(trained.network).__name__}."
            )
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        reading = FrameReading(trained.network, size=trained.size, device=device)
        return cls(reading, trained.skeleton, ktcp=ktcp)

    def views(self, extents: Floats) -> Ints:
        """Squares [V, 3] around ``extents`` [V, 4] xyxy: of bodies of which no joint is known.

        Raises:
            UsageError: if an extent is not finite.
        """
        return square_views(_checked(extents, "extents", (4,)))

    def around(self, priors: Priors) -> Ints:
        """Views [V, 4 + 3 K] that hold ``priors``.

        Raises:
            UsageError: if a box or a pinned joint is not finite, or joints are not this
                skeleton's.
        """
        count = len(self.skeleton)
        box = _checked(priors.box_xyxy, "box_xyxy", (4,))
        xy = np.asarray(priors.xy, np.float64)
        if xy.shape != (len(box), count, 2):
            raise UsageError(f"Expected 'xy' to have shape {(len(box), count, 2)}, got {xy.shape}.")
        known, pinned = np.isfinite(xy).all(-1), np.asarray(priors.pinned, bool)
        if (pinned & ~known).any():
            raise UsageError("Expected pinned joints to be finite, got NaN.")
        coarse, exact = (np.round(np.nan_to_num(xy) * UNIT / grid) * grid for grid in (GRID, 1))
        rows = np.empty((len(box), 4 + 3 * count), np.int64)
        rows[:, :4] = np.round(box * UNIT / GRID) * GRID
        joints = rows[:, 4:].reshape(len(box), count, 3)
        joints[..., :2] = np.where(pinned[..., None], exact, coarse)
        joints[..., 2] = np.where(pinned, PINNED, np.where(known, FREE, 0))
        return rows

    def read(self, images: Sequence[Image], views: Ints) -> Candidates:
        """One place per joint of the body in each of ``views`` [V, 3 or 4 + 3 K].

        Raises:
            UsageError: if an image is not uint8 [H, W, 3], or views do not fit.
        """
        count, views = len(self.skeleton), np.asarray(views)
        if len(views) and (views.ndim != 2 or views.shape[1] not in (3, 4 + 3 * count)):
            raise UsageError(
                f"Expected 'views' to have shape (V, 3) or (V, {4 + 3 * count}), got {views.shape}."
            )
        if len(images) != len(views):
            raise UsageError(
                f"Expected an image for each of {len(views)} views, got {len(images)}."
            )
        xy, score = np.full((len(views), count, 1, 2), np.nan), np.zeros((len(views), count, 1))
        for v, (image, view) in enumerate(zip(images, views, strict=True)):
            body = self._read_one(_image(image), *_prior_of(view, count))
            if body is not None:
                xy[v, :, 0], score[v, :, 0] = body.xy[0], body.score[0]
        return Candidates(xy=xy, score=score)

    def detect(self, image: Image) -> Detections:
        """Everybody the network proposes on ``image``, from left to right.

        Raises:
            UsageError: if the image is not uint8 [H, W, 3].
        """
        found = self._found(_image(image))
        middle = found.xy.mean(1)
        found = found.pick(np.lexsort((middle[:, 1], middle[:, 0])))
        return Detections(
            xy=found.xy,
            score=found.score,
            candidates=Candidates(xy=found.xy[:, :, None], score=found.score[..., None]),
            appearance=found.appearance,
        )

    def _found(self, image: Image) -> ReadBodies:
        found = self._reading.found(image)
        return found.pick(np.flatnonzero(found.person >= LEAST_PERSON))

    def _read_one(
        self, image: Image, box: Floats, xy: Floats, pinned: NDArray[np.bool_]
    ) -> ReadBodies | None:
        """The body of a prior; None where the network sees nobody."""
        if self.ktcp:
            return self._reading.around(image, box, xy, pinned)
        found = self._found(image)
        overlap = _overlap(found.box_xyxy, box)
        if not len(overlap) or overlap.max() < SAME_BODY:
            return None
        body = found.pick(np.array([overlap.argmax()]))
        if not pinned.any():
            return body
        xy = np.where(pinned[:, None], xy, body.xy[0])
        if self._again:
            return self._reading.around(image, body.box_xyxy[0], xy, pinned)
        body.xy[0, pinned] = xy[pinned]
        return body


def _checked(values: Floats, name: str, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(values, np.float64)
    if not array.size:
        array = array.reshape(0, *shape)
    if array.shape[1:] != shape:
        raise UsageError(f"Expected '{name}' to have shape (V, {shape[0]}), got {array.shape}.")
    if not np.isfinite(array).all():
        raise UsageError(f"Expected '{name}' to be finite, got {array.tolist()}.")
    return array


def _prior_of(view: Ints, joints: int) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Box xyxy [4], joints [K, 2] and which are pinned [K], in pixels, of a row of views."""
    if len(view) == 3:
        middle, half = view[:2] + view[2] / 2, view[2] / GROWTH / 2
        nothing = np.full((joints, 2), np.nan)
        return np.concatenate([middle - half, middle + half]), nothing, np.zeros(joints, bool)
    box, parts = view[:4] / UNIT, view[4:].reshape(joints, 3)
    known = parts[:, 2] > 0
    if known.any():
        room = ROOM * max(box[2] - box[0], box[3] - box[1])
        box = box + np.array([-room, -room, room, room])
    return box, np.where(known[:, None], parts[:, :2] / UNIT, np.nan), parts[:, 2] == PINNED


def _overlap(boxes_xyxy: Floats, box_xyxy: Floats) -> Floats:
    """IoU [N] of boxes [N, 4] with one."""
    low = np.maximum(boxes_xyxy[:, :2], box_xyxy[:2])
    high = np.minimum(boxes_xyxy[:, 2:], box_xyxy[2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(-1)
    total = areas + (box_xyxy[2:] - box_xyxy[:2]).prod() - shared
    return np.asarray(shared / np.maximum(total, 1e-9))


def _image(image: Image) -> Image:
    """``image``, if it is one."""
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UsageError(
            "Expected an image to be uint8 of shape (height, width, 3), "
            f"got {array.dtype} of shape {array.shape}."
        )
    return array
