"""Pose readers: what does this frame itself say about bodies?"""

from impose_core.readers.protocol import Candidates, Detections, PoseReader, PriorReader, Priors

__all__ = ["Candidates", "Detections", "PoseReader", "PriorReader", "Priors"]
