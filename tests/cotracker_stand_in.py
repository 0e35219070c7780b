"""Speaks as the models of the ``cotracker`` package do, and follows by OpenCV instead.

So the contract is tested on real pixels without the package. It records what it was asked.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import nn


class StandInModel(nn.Module):
    """``model(video [1, T, 3, h, w] 0..255, queries [1, N, 3] (t, x, y), iters)``.

    Gives tracks [1, T, N, 2], visibility and confidence [1, T, N], and a fourth thing. Pixel
    centres are whole numbers, for it as for the package.
    """

    model_resolution = (384, 512)

    def __init__(self):
        super().__init__()
        self.fnet = CountingFeatures()
        self.anything = nn.Parameter(torch.zeros(1))
        self.calls = []

    def forward(self, video, queries, iters):
        self.calls.append((tuple(video.shape), queries.clone(), iters))
        rows, columns = self.model_resolution
        assert video.shape[2:] == (3, rows, columns)
        features = self.fnet(video[0])
        images = [image.mean(0).round().clip(0, 255).byte().numpy() for image in features]
        start = queries[0, :, 1:].numpy().astype(np.float32)
        assert (queries[0, :, 0] == 0).all()
        tracks, seen = [start], [np.ones(len(start), bool)]
        for source, target in pairwise(images):
            moved, error = _flow(source, target, tracks[-1])
            inside = ((moved >= 0) & (moved <= (columns - 1, rows - 1))).all(-1)
            tracks.append(moved)
            seen.append(seen[-1] & (error < 1) & inside)
        visible = torch.from_numpy(np.stack(seen)).float()[None]
        return torch.from_numpy(np.stack(tracks))[None], visible, 0.9 * visible, None


class CountingFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.images = 0

    def forward(self, images):
        self.images += len(images)
        return images


def _flow(source, target, points):
    settings = {"winSize": (21, 21), "maxLevel": 3}
    at = np.clip(points, -1e4, 1e4).reshape(-1, 1, 2)
    there, found, _ = cv2.calcOpticalFlowPyrLK(source, target, at, None, **settings)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(target, source, there, None, **settings)
    good = (found & found_back)[:, 0].astype(bool)
    error = np.where(good, np.hypot(*(back - at)[:, 0].T), np.inf)
    return np.where(np.isfinite(there[:, 0]), there[:, 0], points), error
