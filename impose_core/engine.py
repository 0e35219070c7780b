"""The parts that look at pixels, bundled: injected, immutable, shared between sessions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from impose_core.config import Config
from impose_core.identity_model import IdentityModel
from impose_core.points import PointTracker
from impose_core.points.lucas_kanade import LucasKanade
from impose_core.readers import PoseReader, PriorReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A point tracker and, if there are, a pose reader and a learned identity model.

    Without an identity model, who is who is told by geometry and looks. Holds no per-video state.
    """

    points: PointTracker = field(default_factory=LucasKanade)
    reader: PoseReader | None = None
    identity: IdentityModel | None = None

    def own(self, config: Config) -> Config:
        """``config`` with what the reader says of its own deviation, if it says anything."""
        if not isinstance(self.reader, PriorReader):
            return config
        readings = replace(config.estimate.readings, deviation=self.reader.deviation)
        return replace(config, estimate=replace(config.estimate, readings=readings))
