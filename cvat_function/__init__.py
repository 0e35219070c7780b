"""IMPose as Nuclio functions for CVAT: a tracker and a detector. See docs/cvat.md."""
