"""Pose readers: what does this frame itself say about a body near these priors?"""

from impose_core.readers.protocol import PoseReader, Readings

__all__ = ["PoseReader", "Readings"]
