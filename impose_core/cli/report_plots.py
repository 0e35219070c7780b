"""Plots of a report, as PNG; matplotlib draws them (extra ``plots``)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from impose_core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = (  # Okabe and Ito's, which colour-blind people tell apart; yellow is too pale
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#333333",
)
LINES: Final = ("-", "--", ":", "-.")
_DPI, _WIDTH = 110, 9.5
_WIDE_RANGE = 8
"""Clicks at the end over clicks at the start: beyond it, the axis is logarithmic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How good a simulated annotation was after how many clicks.

    Attributes:
        engine: sets the colour.
        strategy: sets the kind of line.
        file: of the document, where several speak of one video; else "".
        points: with ``clicks``, ``accuracy`` and ``oks``.
    """

    engine: str
    strategy: str
    file: str
    points: Sequence[Mapping[str, Any]]


def need_matplotlib() -> None:
    """Refuse to begin without it.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "Expected matplotlib to be installed for reports, got none.",
            hint="pip install impose[plots]",
        )


def click_curves(curves: Sequence[Curve]) -> bytes:
    """Accuracy and mean OKS against clicks."""
    engines = list(dict.fromkeys((one.file, one.engine) for one in curves))
    strategies = list(dict.fromkeys(one.strategy for one in curves))
    figure = _figure(height=4.1)
    panels = figure.subplots(1, 2, sharex=True)
    clicks = [point["clicks"] for one in curves for point in one.points]
    for axes, key, title in zip(panels, ("accuracy", "oks"), ("accuracy", "mean OKS"), strict=True):
        for one in curves:
            colour = COLOURS[engines.index((one.file, one.engine)) % len(COLOURS)]
            axes.plot(
                [point["clicks"] for point in one.points],
                [point[key] for point in one.points],
                color=colour,
                ls=LINES[strategies.index(one.strategy) % len(LINES)],
                lw=1.6,
                label=_plain(", ".join(filter(None, (one.engine, one.strategy, one.file)))),
            )
        if max(clicks) > _WIDE_RANGE * max(min(clicks), 1):
            _logarithmic(axes)
        _tidy(axes)
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("clicks", fontsize=9)
        axes.set_ylim(top=1.01)
    _legend(figure, panels[0], columns=3)
    return _png(figure)


def joint_bars(names: Sequence[str], joints: Sequence[Mapping[str, float | None]]) -> bytes:
    """AP of every joint, one bar for each of ``names``."""
    order = list(dict.fromkeys(joint for row in joints for joint in row))
    height = 0.8 / len(names)
    figure = _figure(height=1.2 + len(order) * max(0.22, 0.13 * len(names)))
    axes = figure.subplots()
    for at, (name, row) in enumerate(zip(names, joints, strict=True)):
        values = [(i, row.get(joint)) for i, joint in enumerate(order)]
        known = [(i, value) for i, value in values if value is not None]
        places = [i + (at - (len(names) - 1) / 2) * height for i, _ in known]
        axes.barh(
            places,
            [value for _, value in known],
            height=height * 0.92,
            color=COLOURS[at % len(COLOURS)],
            label=_plain(name),
        )
    axes.set_yticks(range(len(order)), [_plain(joint) for joint in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("AP", fontsize=9)
    _tidy(axes)
    axes.grid(visible=False, axis="y")
    _legend(figure, axes, columns=4)
    return _png(figure)


def survival_curves(curves: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> bytes:
    """Steps of threshold -> name -> curve (``frames``, ``share``, ``longest``)."""
    names = list(dict.fromkeys(name for by_name in curves.values() for name in by_name))
    figure = _figure(height=3.5)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (tau, by_name) in zip(panels, curves.items(), strict=True):
        for name, curve in by_name.items():
            colour = COLOURS[names.index(name) % len(COLOURS)]
            # before the first frame all are right
            frames = [0, *curve["frames"], max(curve["longest"], curve["frames"][-1])]
            share = [1.0, *curve["share"], curve["share"][-1]]
            axes.step(frames, share, where="post", color=colour, lw=1.6, label=_plain(name))
            if share[-1] > 0:  # some were never wrong, as far as they were watched
                axes.plot(frames[-1], share[-1], "o", ms=4, color=colour, clip_on=False)
        _tidy(axes)
        axes.set_title(f"OKS term at least {_plain(tau)}", fontsize=10, loc="left")
        axes.set_xlabel("labelled frames", fontsize=9)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(left=0)
    panels[0].set_ylabel("share still right", fontsize=9)
    _legend(figure, panels[0], columns=4)
    return _png(figure)


def _figure(*, height: float) -> Figure:
    from matplotlib.figure import Figure  # an optional extra, and slow to import

    return Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")


def _logarithmic(axes: Axes) -> None:
    """Ticks at 10, 20, 50, 100, ..., written out."""
    from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())


def _tidy(axes: Axes) -> None:
    axes.grid(alpha=0.25, lw=0.6)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure, axes: Axes, *, columns: int) -> None:
    lines, labels = axes.get_legend_handles_labels()
    figure.legend(
        lines, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )


def _plain(text: str) -> str:
    """``text`` as itself: to matplotlib, dollars are formulas, a leading "_" hides a line."""
    return "\u200b" + text.replace("$", r"\$") if text.startswith("_") else text.replace("$", r"\$")


def _png(figure: Figure) -> bytes:
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})  # the same bytes every time
    return png.getvalue()
