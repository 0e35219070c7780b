"""Skeletons over the picture: limbs, sides, and joints that are not certain.

Left is blue and right orange (Okabe and Ito's colours, safe for colour-blind eyes), neither is
white. A ring is an uncertain or hidden joint, a disc a certain one; a white rim is a human's.
"""

from __future__ import annotations

from typing import Any, Final

from PyQt6 import QtCore, QtGui

from impose_xanylabeling.canvas import plain
from impose_xanylabeling.clips import Clip
from impose_xanylabeling.poses import Json, body_size, by_key, is_human, is_uncertain, positions

LEFT: Final = QtGui.QColor(86, 180, 233)
RIGHT: Final = QtGui.QColor(230, 159, 0)
CENTRE: Final = QtGui.QColor(240, 240, 240)
DARK: Final = QtGui.QColor(24, 24, 24)
LIMB, JOINT, TAG = 2.5, 3.5, 11
"""Widths, radii and letters in pixels of the screen."""


def paint(canvas: Any, clip: Clip) -> None:
    """Draw the persons of ``canvas`` over what is there."""
    shapes = [plain(shape) for shape in canvas.shapes if canvas.is_visible(shape)]
    persons: dict[int, dict[str, Json]] = {}
    for (person, label, kind), shape in by_key(shapes).items():
        if kind == "point" and label in clip.keypoints:
            persons.setdefault(person, {})[label] = shape
    painter = QtGui.QPainter(canvas)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.scale(canvas.scale, canvas.scale)
    painter.translate(canvas.offset_to_center())
    for person, joints in persons.items():
        _paint_body(painter, clip, person, joints, 1.0 / canvas.scale)
    painter.end()


def _paint_body(
    painter: QtGui.QPainter, clip: Clip, person: int, joints: dict[str, Json], unit: float
) -> None:
    """``unit``: one pixel of the screen, in pixels of the picture."""
    at = {name: QtCore.QPointF(*positions(shape)[0]) for name, shape in joints.items()}
    body = body_size([positions(shape)[0] for shape in joints.values()])
    sides = _sides(clip)
    for a, b in clip.edges:
        first, second = clip.keypoints[a], clip.keypoints[b]
        if first not in at or second not in at:
            continue
        side = sides[a] if sides[a] == sides[b] else CENTRE
        for colour, width in ((DARK, LIMB + 1.5), (side, LIMB)):
            painter.setPen(_pen(colour, width * unit))
            painter.drawLine(at[first], at[second])
    for k, name in enumerate(clip.keypoints):
        if name in at:
            _paint_joint(painter, at[name], sides[k], joints[name], body, unit)
    top = min(at.values(), key=lambda point: point.y())
    _paint_tag(painter, top, str(person), unit)


def _paint_joint(
    painter: QtGui.QPainter,
    at: QtCore.QPointF,
    colour: QtGui.QColor,
    shape: Json,
    body: float,
    unit: float,
) -> None:
    radius = JOINT * unit
    hollow = is_uncertain(shape, body) or bool(shape.get("difficult"))
    rim = QtGui.QColor("white") if is_human(shape) else DARK
    painter.setBrush(QtCore.Qt.BrushStyle.NoBrush if hollow else QtGui.QBrush(colour))
    if hollow:
        painter.setPen(_pen(DARK, 4 * unit))
        painter.drawEllipse(at, radius * 1.2, radius * 1.2)
        painter.setPen(_pen(colour, 2 * unit))
        painter.drawEllipse(at, radius * 1.2, radius * 1.2)
    else:
        painter.setPen(_pen(rim, (2 if is_human(shape) else 1) * unit))
        painter.drawEllipse(at, radius, radius)


def _paint_tag(painter: QtGui.QPainter, at: QtCore.QPointF, text: str, unit: float) -> None:
    font = painter.font()
    font.setPixelSize(TAG)
    painter.save()
    painter.translate(at.x(), at.y() - 12 * unit)
    painter.scale(unit, unit)  # letters of the screen's size, however far it is zoomed
    painter.setFont(font)
    width = painter.fontMetrics().horizontalAdvance(text) + 8
    box = QtCore.QRectF(-width / 2, -TAG - 5, width, TAG + 5)
    painter.setPen(QtCore.Qt.PenStyle.NoPen)
    painter.setBrush(DARK)
    painter.drawRoundedRect(box, 3, 3)
    painter.setPen(QtGui.QColor("white"))
    painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignCenter, text)
    painter.restore()


def _pen(colour: QtGui.QColor, width: float) -> QtGui.QPen:
    pen = QtGui.QPen(colour, width)
    pen.setCapStyle(QtCore.Qt.PenCapStyle.RoundCap)
    return pen


def _sides(clip: Clip) -> list[QtGui.QColor]:
    """A colour per joint."""
    sides = [CENTRE] * len(clip.keypoints)
    for left, right in clip.flip_pairs:
        sides[left], sides[right] = LEFT, RIGHT
    return sides
