"""Rendered clips with exact ground truth, for tests, benchmarks and training.

Nothing else in the package imports this.
"""

from impose_core.synthesis.scenes import (
    DIFFICULTIES,
    Scene,
    SceneConfig,
    difficulty,
    iter_frames,
    render,
)

__all__ = ["DIFFICULTIES", "Scene", "SceneConfig", "difficulty", "iter_frames", "render"]
