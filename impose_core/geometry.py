"""Where things are: extents and motions of bodies in the image plane.

All coordinates are pixels, x right, y down, origin at the outer corner of the top-left pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONE_BODY = 0.1
"""Body size of a person of whom fewer than three joints are marked on a frame, as a share of
the image's half diagonal: all that is known is that people are filmed to be seen."""

FAR_OUTSIDE = 1.0
"""Image sizes: a point further outside the image than this is a mistake, not a joint that
left the picture."""


def body_size(xy: NDArray[np.float64], *, width: int, height: int) -> float:
    """Half the diagonal, in pixels, of the extent of the known joints ``xy`` [K, 2].

    Fewer than three known joints say nothing about a body's size; then a share of the
    image stands in (``LONE_BODY``). Never below 4 pixels.
    """
    known = xy[np.isfinite(xy).all(-1)]
    if len(known) < 3:
        return max(LONE_BODY * float(np.hypot(width, height)) / 2, 4.0)
    return max(float(np.hypot(*np.ptp(known, axis=0))) / 2, 4.0)


def inside_image(xy: NDArray[np.float64], *, width: int, height: int) -> NDArray[np.bool_]:
    """Which points [..., 2] lie in the image; unknown (NaN) points do not."""
    return np.asarray(
        (xy[..., 0] >= 0) & (xy[..., 0] <= width) & (xy[..., 1] >= 0) & (xy[..., 1] <= height)
    )


def robust_similarity(
    source: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    scale: tuple[float, float],
    rounds: int = 3,
) -> NDArray[np.float64]:
    """The similarity that carries ``source`` [P, 2] to ``target`` [P, 2], outliers discounted.

    Weighted least squares over turn, scale (limited to ``scale``) and shift, reweighted
    ``rounds`` times by each point's residual over the median. One point gives a shift, none
    the identity.

    Returns:
        float64 [2, 3]: linear part and shift; apply as ``xy @ m[:, :2].T + m[:, 2]``.
    """
    if len(source) == 0:
        return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    weight = np.ones(len(source))
    matrix = np.zeros((2, 3))
    for _ in range(rounds):
        total = weight.sum()
        from_centre, to_centre = weight @ source / total, weight @ target / total
        a, b = source - from_centre, target - to_centre
        spread = weight @ (a**2).sum(-1)
        cosine, sine = 1.0, 0.0
        if spread > 1e-6:
            cosine = float(weight @ (a * b).sum(-1) / spread)
            sine = float(weight @ (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / spread)
            grown = float(np.hypot(cosine, sine))
            if grown > 0:
                limited = min(max(grown, scale[0]), scale[1]) / grown
                cosine, sine = cosine * limited, sine * limited
        linear = np.array([[cosine, -sine], [sine, cosine]])
        matrix = np.column_stack([linear, to_centre - linear @ from_centre])
        residual = np.hypot(*(b - a @ linear.T).T)
        weight = 1 / (1 + (residual / (2 * np.median(residual) + 1)) ** 2)
    return matrix
