"""IMPose: correct a skeleton once, the clip follows."""
