"""An identity network at work: arrays in, arrays out (see ``impose_core.identity_model``)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impose_core.errors import UsageError
from impose_core.nets.id_decoder import Tracklets
from impose_core.nets.identity_network import Bodies, IdentityNetwork

SPEAKS = 0.2
"""Score from which a joint is known."""


class _Seen(Protocol):
    """``impose_core.identity_model.SeenBodies``, which lies above this package."""

    @property
    def xy(self) -> NDArray[np.float64]: ...
    @property
    def score(self) -> NDArray[np.float64]: ...
    @property
    def appearance(self) -> NDArray[np.float64]: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


class _History(Protocol):
    """``impose_core.trajectory_bank.History``."""

    @property
    def feature(self) -> NDArray[np.float32]: ...
    @property
    def word(self) -> NDArray[np.int64]: ...
    @property
    def missing(self) -> NDArray[np.bool_]: ...


class NetworkIdentity:
    """The network as an :class:`impose_core.identity_model.IdentityModel`.

    Args:
        network: is put into evaluation mode.
        name: for reports.
    """

    def __init__(self, network: IdentityNetwork, *, name: str = "id_decoder") -> None:
        self.network, self.name = network.eval(), name
        self.vocabulary = network.config.vocabulary
        # the oldest look lies one look further back from the one in question
        self.memory = network.config.memory - 1
        self.appearance = network.config.appearance
        self.width = network.config.feature

    @torch.no_grad()
    def embed(self, bodies: _Seen) -> NDArray[np.float32]:
        """[N, F].

        Raises:
            UsageError: if bodies have other joints or another appearance than it was made for.
        """
        config = self.network.config
        for what, came, wanted in (
            ("appearance", bodies.appearance.shape[-1], config.appearance),
            ("joints", bodies.xy.shape[-2], config.joints),
        ):
            if came != wanted and (what == "appearance" or config.fusion != "none"):
                raise UsageError(f"Expected bodies with {wanted} numbers of {what}, got {came}.")
        known = (bodies.score >= SPEAKS) & np.isfinite(bodies.xy).all(-1)
        given = Bodies(
            appearance=self._tensor(bodies.appearance),
            xy=self._tensor(bodies.xy),
            known=torch.from_numpy(known).to(self._device),
            box_xyxy=self._tensor(_extents(bodies.xy, known)),
            image_size=self._tensor(np.array([bodies.width, bodies.height])),
        )
        return np.asarray(self.network.embed(given).cpu().numpy(), np.float32)

    @torch.no_grad()
    def logits(self, history: _History, feature: NDArray[np.float32]) -> NDArray[np.float32]:
        """[M, vocabulary + 1] for ``feature`` [M, F], one look after ``history``."""
        looks, count = history.missing.shape
        time = np.broadcast_to(np.arange(looks)[:, None], (looks, count))
        past = Tracklets(
            feature=self._tensor(history.feature)[None],
            label=self._tensor(np.broadcast_to(history.word, (looks, count)), torch.long)[None],
            time=self._tensor(time, torch.long)[None],
            missing=self._tensor(history.missing, torch.bool)[None],
        )
        shape = (1, 1, len(feature))
        now = Tracklets(
            feature=self._tensor(feature)[None, None],
            label=torch.zeros(shape, dtype=torch.long, device=self._device),
            time=torch.full(shape, looks, dtype=torch.long, device=self._device),
            missing=torch.zeros(shape, dtype=torch.bool, device=self._device),
        )
        return np.asarray(self.network(past, now)[0, 0].float().cpu().numpy(), np.float32)

    @property
    def _device(self) -> torch.device:
        return self.network.id_decoder.age_bias.device

    def _tensor(self, array: NDArray[np.generic], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(array, dtype=dtype, device=self._device)


def _extents(xy: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[N, 4] xyxy of the known joints; a point at the origin where there are none."""
    low = np.where(known[..., None], xy, np.inf).min(-2, initial=np.inf)
    high = np.where(known[..., None], xy, -np.inf).max(-2, initial=-np.inf)
    box = np.concatenate([low, high], axis=-1)
    return np.where(np.isfinite(box), box, 0.0)
