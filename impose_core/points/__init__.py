"""Point trackers: where do these pixels go from one frame to another?"""

from impose_core.points.protocol import PointSteps, PointTracker, PointTracks, WindowTracker

__all__ = ["PointSteps", "PointTracker", "PointTracks", "WindowTracker"]
