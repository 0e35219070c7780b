"""Poses as pictures: overlays, contact sheets, videos, trajectories.

Images are uint8 [H, W, 3] RGB. Files appear whole or not at all; only an interrupted
video is kept as far as it went.
"""

from impose_core.overlay.draw import OverlayStyle, draw_poses, person_colour
from impose_core.overlay.files import write_image, write_video
from impose_core.overlay.plots import trajectory_plot
from impose_core.overlay.sheet import contact_sheet

__all__ = [
    "OverlayStyle",
    "contact_sheet",
    "draw_poses",
    "person_colour",
    "trajectory_plot",
    "write_image",
    "write_video",
]
