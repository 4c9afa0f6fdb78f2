"""Letters of sides: A, P, L, R, S, I at the edges of a plane, and a small cross of axes in a 3D view.

They come from what the file states and from how the picture is drawn now; where the file states nothing there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from qtpy.QtCore import QPointF
from qtpy.QtGui import QColor, QFontMetricsF, QPen

from napari_medcnn.core.display import DisplayGrid
from napari_medcnn.core.volume import Volume
from napari_medcnn.widgets.views.frame import Frame
from napari_medcnn.widgets.views.sheet import YELLOW, Sheet

if TYPE_CHECKING:
    from napari_medcnn.widgets.views.pane import Pane

#: LPS x, y, z: letter of the negative and of the positive direction.
_BODY = (("R", "L"), ("A", "P"), ("I", "S"))
#: DICOM's letters of directions (PS3.3 C.7.6.1.1.1) -> those on screen; head and feet are superior and inferior here.
_DICOM = {"A": "A", "P": "P", "L": "L", "R": "R", "H": "S", "F": "I"}
_OPPOSITE = {"A": "P", "P": "A", "L": "R", "R": "L", "S": "I", "I": "S"}
#: An axis that runs to two sides at once is named by both from this share on: the sine of 20 degrees.
_NEAR = 0.05
_SHARE = float(np.sin(np.radians(20.0)))


class Edges(NamedTuple):
    """Letters at the four edges of a picture; "" where nothing is stated."""

    left: str = ""
    right: str = ""
    top: str = ""
    bottom: str = ""


def ends_of(scan: Volume, axis: int) -> tuple[str, str]:
    """Return the letters at the low and high end of a display axis (0 body, 1 front to back, 2 side to side).

    Of a tilted scan an end has the letters of all sides it points to by more than 20 degrees, the nearest first
    ("PS"), as DICOM writes them; a radiograph has those of its Patient Orientation. ("", "") where nothing is stated.
    """
    if scan.geometry.orientation_known:
        towards = DisplayGrid(scan.geometry).lps_of(np.eye(3)[axis])
        low, high = _letters(-towards), _letters(towards)
        return low, high
    stated = scan.patient_orientation
    if len(stated) != 2 or axis == 0:
        return ("", "")
    high = "".join(_DICOM.get(letter, "") for letter in stated[0 if axis == 2 else 1].upper())
    return ("".join(_OPPOSITE[letter] for letter in high), high)


def edges_of(scan: Volume | None, frame: Frame) -> Edges:
    """Return the letters of the four edges of a picture as it is drawn now, mirrored or not."""
    if scan is None:
        return Edges()
    top, bottom = ends_of(scan, frame.axes[0])
    left, right = ends_of(scan, frame.axes[1])
    return Edges(right, left, top, bottom) if frame.mirrored else Edges(left, right, top, bottom)


def draw_edges(sheet: Sheet, edges: Edges, from_top: float = 0.0) -> None:
    """Write the letters at the middle of the four edges; the upper one below what takes `from_top` pixels."""
    font = sheet.large
    metrics = QFontMetricsF(font)
    middle_x, middle_y = sheet.width / 2, sheet.height / 2 + metrics.capHeight() / 2
    gap = sheet.margin

    def width(words: str) -> float:
        return float(metrics.horizontalAdvance(words))

    if edges.left:
        sheet.write(edges.left, gap, middle_y, font)
    if edges.right:
        sheet.write(edges.right, sheet.width - gap - width(edges.right), middle_y, font)
    if edges.top:
        sheet.write(edges.top, middle_x - width(edges.top) / 2, from_top + gap + metrics.capHeight(), font)
    if edges.bottom:
        sheet.write(edges.bottom, middle_x - width(edges.bottom) / 2, sheet.height - gap, font)


class Spoke(NamedTuple):
    """One side of the body as a 3D view shows it: its letter, and where it points: right, down and away, -1 to 1."""

    letter: str
    right: float
    down: float
    away: float


def spokes_of(scan: Volume | None, pane: Pane) -> tuple[Spoke, ...]:
    """Return where the six sides point in a 3D view, the farthest first; empty where the file does not state them."""
    if scan is None or not scan.geometry.orientation_known:
        return ()
    dims, camera = pane.viewer.dims, pane.viewer.scene.camera
    away, up = np.array(camera.view_direction), np.array(camera.up_direction)
    hand = 1.0 if str(camera.handedness) == "right" else -1.0
    right = hand * np.cross(away, up)
    # LPS of the scene's three axes, which are those of the display in the order in which they are shown
    first = int(dims.ndim) - 3
    order = [int(axis) - first for axis in dims.displayed]
    if sorted(order) != [0, 1, 2]:
        return ()
    scene = DisplayGrid(scan.geometry).lps_of(np.eye(3)[order])
    found = []
    for body, letters in enumerate(_BODY):
        for letter, sign in zip(letters, (-1.0, 1.0), strict=True):
            to = sign * scene[:, body]
            found.append(Spoke(letter, float(to @ right), float(-to @ up), float(to @ away)))
    return tuple(sorted(found, key=lambda spoke: -spoke.away))


def draw_spokes(sheet: Sheet, spokes: tuple[Spoke, ...]) -> None:
    """Draw the six sides as a cross of axes in the lower left corner; what points away is drawn thinner."""
    if not spokes:
        return
    reach = 30.0 * sheet.scale
    metrics = QFontMetricsF(sheet.strong)
    centre = QPointF(sheet.margin + reach + 14 * sheet.scale, sheet.height - sheet.margin - reach - 14 * sheet.scale)
    for letter, right, down, away in spokes:
        at = QPointF(centre.x() + right * reach, centre.y() + down * reach)
        colour = QColor(YELLOW if away <= 0.05 else "#b0b0b0")
        for pen in (
            QPen(QColor(0, 0, 0, 190), 4 * sheet.scale),
            QPen(colour, (2 if away <= 0.05 else 1) * sheet.scale),
        ):
            sheet.painter.setPen(pen)
            sheet.painter.drawLine(centre, at)
        beyond = (reach + 8 * sheet.scale) / reach
        x = centre.x() + right * reach * beyond - metrics.horizontalAdvance(letter) / 2
        y = centre.y() + down * reach * beyond + metrics.capHeight() / 2
        if abs(right) + abs(down) > 0.25:  # a side that points at the reader or straight away would cover the centre
            sheet.write(letter, x, y, sheet.strong, colour.name())


def _letters(towards: Any) -> str:
    """Return the letters of a direction in LPS, the nearest side first."""
    order = np.argsort(-np.abs(towards), kind="stable")
    kept = [int(axis) for position, axis in enumerate(order) if position == 0 or abs(towards[axis]) > _SHARE]
    return "".join(_BODY[axis][int(towards[axis] > 0)] for axis in kept)
