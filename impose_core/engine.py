"""The parts that look at pixels, bundled: injected, immutable, shared between sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from impose_core.identity_model import IdentityModel
from impose_core.points import PointTracker
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.readers import PoseReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A point tracker and, if there are, a pose reader and a learned identity model.

    Without an identity model, who is who is told by geometry and looks. Holds no per-video state.
    """

    points: PointTracker = field(default_factory=LucasKanade)
    reader: PoseReader | None = None
    identity: IdentityModel | None = None
