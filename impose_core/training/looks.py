"""What a pose network sees of labelled bodies: what the identity part remembers them by."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from impose_core.errors import UsageError
from impose_core.nets.pose_network import IMAGENET_DEVIATION, IMAGENET_MEAN, PoseNetwork
from impose_core.pose_sets import Instances
from impose_core.training.clips import Clips
from impose_core.training.identity_batches import Looks
from impose_core.training.views import View, whole


@torch.no_grad()
def appearances(
    clips: Clips, network: PoseNetwork, *, height: int, width: int, device: torch.device
) -> Looks:
    """The box token [P, d] of every labelled instance, decoded where it is labelled.

    Args:
        clips: with pixels; each image is encoded once.
        network: a clickable one, with the joints of ``clips``.
        height: pixels of the images the network sees.
        width: likewise.
        device: to compute on.

    Raises:
        UsageError: if the network does not fit.
    """
    if not network.config.clickable or network.config.joints != len(clips.skeleton):
        raise UsageError(
            f"Expected a clickable pose network with {len(clips.skeleton)} joints, got one with "
            f"{network.config.joints}" + ("." if network.config.clickable else ", not clickable.")
        )
    network = network.to(device).eval()
    found: dict[tuple[int, int], NDArray[np.float32]] = {}
    for which, clip in enumerate(clips.clips):
        for position, frame in enumerate(clip.frames):
            if len(frame.instances):
                image = clip.read(position)
                view = whole(image)
                given = _given(image, view, height, width, device)
                boxes, keypoints = _places(frame.instances, view, device)
                poses = network.decode(network.encode(*given), boxes, keypoints)
                found[which, position] = poses.tokens[0, :, 0].float().cpu().numpy()
    return found


def _given(
    image: NDArray[np.uint8], view: View, height: int, width: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    shown, padding = view.show(image, height, width)
    normalised = (shown - IMAGENET_MEAN) / IMAGENET_DEVIATION * ~padding[..., None]
    images = torch.from_numpy(normalised.astype(np.float32)).permute(2, 0, 1)[None]
    return images.to(device), torch.from_numpy(padding)[None].to(device)


def _places(
    people: Instances, view: View, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes [1, P, 4] around the labelled joints, and joints, the unknown in the middle."""
    known = (people.visibility > 0)[..., None]
    xy = view.points(np.where(known, people.xy, 0.0)).clip(0, 1)
    low = np.where(known, xy, 1.0).min(axis=1)
    high = np.maximum(np.where(known, xy, 0.0).max(axis=1), low)
    boxes = np.concatenate([(low + high) / 2, high - low], axis=-1)
    keypoints = np.where(known, xy, boxes[:, None, :2])
    return tuple(  # type: ignore[return-value]
        torch.from_numpy(part).float()[None].to(device) for part in (boxes, keypoints)
    )
