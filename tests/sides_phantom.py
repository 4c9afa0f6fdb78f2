"""A phantom with a mark at each of its six sides, and what can be seen of marks and letters on the screen.

Written with SimpleITK and pydicom, whose geometry is not ours. Each mark has a brightness of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from dicom_files import MR, write_series
from napari_medcnn.widgets.views import letters
from napari_medcnn.widgets.views.letters import Edges
from napari_medcnn.widgets.views.sheet import Sheet

#: Brightness and place of the marks, LPS mm from the middle of the phantom: DICOM PS3.3 C.7.6.2.1.1 says that x rises
#: to the left, y to the back, z to the head. No two distances are equal, so no flip leaves the picture as it is.
MARKS = {"R": (300, (-26, 0, 0)), "L": (400, (21, 0, 0)), "A": (500, (0, -24, 0)), "P": (600, (0, 19, 0)),
         "S": (700, (0, 0, 25)), "I": (800, (0, 0, -20))}  # fmt: skip
CENTRE = (-31.0, 57.0, 143.0)
RADIUS, BODY, TOP = 6.5, 60, 1000
#: What stands left, right, above and below in each plane, as radiologists look at it: from the feet, from the front,
#: from the patient's left.
RADIOLOGICAL = {0: ("R", "L", "A", "P"), 1: ("R", "L", "S", "I"), 2: ("A", "P", "S", "I")}
NEUROLOGICAL = {0: ("L", "R", "A", "P"), 1: ("L", "R", "S", "I"), 2: ("A", "P", "S", "I")}


def turned(degrees: float, axis: tuple[float, float, float]) -> np.ndarray:
    """Return the rotation by Rodrigues' formula."""
    k = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    return np.eye(3) + np.sin(np.radians(degrees)) * cross + (1 - np.cos(np.radians(degrees))) * cross @ cross


#: Directions of columns, rows and slices in LPS: ITK's columns.
SAGITTAL = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float)
CORONAL = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)


def phantom(direction: np.ndarray, spacing_xyz: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels (z, y, x) and the origin of a box around the marks, 72 mm wide in every direction of the body."""
    reach = np.abs(direction.T) @ np.array([37.0, 36.0, 38.0])
    size = np.ceil(2 * reach / spacing_xyz).astype(int)
    origin = np.array(CENTRE) - direction @ ((size - 1) / 2 * spacing_xyz)
    i, j, k = np.meshgrid(*(np.arange(n) for n in size), indexing="ij")
    at = np.stack([i, j, k], -1) * spacing_xyz @ direction.T + origin - CENTRE
    voxels = np.full(size, BODY, np.int16)
    for value, place in MARKS.values():
        voxels[np.linalg.norm(at - place, axis=-1) < RADIUS] = value
    return voxels.transpose(2, 1, 0), origin


def image_file(name: str, direction: Any = None, code: str = "", spacing: Any = (1.3, 1.1, 2.0)) -> Callable[..., Path]:
    """Return a writer of one file; `code` is ITK's name of the order of voxels, made by ITK itself."""

    def write(folder: Path) -> Path:
        matrix = np.eye(3) if direction is None else direction
        voxels, origin = phantom(matrix, spacing)
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
        image.SetSpacing(spacing)
        image.SetOrigin(origin.tolist())
        image.SetDirection(matrix.ravel().tolist())
        sitk.WriteImage(sitk.DICOMOrient(image, code) if code else image, str(folder / name))
        return folder / name

    return write


def dicom_folder(direction: np.ndarray, spacing: tuple[float, float, float]) -> Callable[..., Path]:
    """Return a writer of one series."""

    def write(folder: Path) -> Path:
        voxels, origin = phantom(direction, spacing)
        write_series(folder / "dicom", voxels, spacing[::-1], sop_class=MR, direction=direction, origin=origin)
        return folder / "dicom"

    return write


CASES = {
    "LPS nrrd": image_file("a.nrrd", code="LPS"),
    "RAS nifti": image_file("b.nii.gz", code="RAS"),
    "LIP mha": image_file("c.mha", code="LIP"),
    "PSR nifti": image_file("d.nii", code="PSR"),
    "tilted by 12": image_file("e.nii.gz", turned(12, (1, 0, 0))),
    "tilted in two ways": image_file("f.nrrd", turned(10, (0, 0, 1)) @ turned(-8, (0, 1, 0))),
    "sagittal dicom, thick": dicom_folder(SAGITTAL, (1.1, 1.2, 5.0)),
    "coronal dicom": dicom_folder(CORONAL, (1.2, 1.1, 3.0)),
    "axial dicom, tilted": dicom_folder(turned(-10, (1, 0, 0)), (1.0, 1.2, 4.0)),
}


# ---- looking at the screen ---------------------------------------------------------------------------------------


def pixels_of(desk: Any, pane: Any) -> np.ndarray:
    """Return a pane as it stands on the screen, (y, x, 3)."""
    desk.idle(0.15)
    corner = pane.native.mapToGlobal(pane.native.rect().topLeft())
    size = pane.native.size()
    shot = pane.native.screen().grabWindow(0, corner.x(), corner.y(), size.width(), size.height()).toImage()
    shot = shot.convertToFormat(shot.Format.Format_RGB888)
    bits = shot.constBits()
    bits.setsize(shot.sizeInBytes() if hasattr(shot, "sizeInBytes") else shot.byteCount())
    rows = np.frombuffer(bits, np.uint8).reshape(shot.height(), shot.bytesPerLine())
    return rows[:, : 3 * shot.width()].reshape(shot.height(), shot.width(), 3).copy()


def marks_in(pixels: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return where each mark is seen, as (right, down) from the middle of the picture; those that are not seen miss."""
    found = {}
    grey = pixels.astype(int)
    plain = (np.ptp(grey, axis=-1) <= 2) if grey.size else grey
    for letter, (value, _place) in MARKS.items():
        near = plain & (np.abs(grey[..., 0] - value / TOP * 255) <= 5)
        inner = ndimage.binary_erosion(near, np.ones((5, 5)))  # the rim of a brighter mark has every brightness
        if inner.sum() >= 12:
            down, right = np.argwhere(inner).mean(axis=0) - (np.array(near.shape) - 1) / 2
            found[letter] = (float(right), float(down))
    return found


def letters_in(pixels: np.ndarray, pane: Any, edges: Edges) -> None:
    """Check that the pixels at each edge are those of its letter, drawn white by Qt, and of no other letter."""
    from qtpy.QtGui import QFontMetricsF, QImage, QPainter

    height, width = pixels.shape[:2]
    white = pixels.min(axis=-1) > 200
    room = {"left": (0, height // 2 - 14, 30, 28), "right": (width - 30, height // 2 - 14, 30, 28),
            "top": (width // 2 - 15, 0, 30, 26), "bottom": (width // 2 - 15, height - 26, 30, 26)}  # fmt: skip
    for side, (x, y, w, h) in room.items():
        if not getattr(edges, side):
            continue
        part = white[y : y + h, x : x + w]
        assert part.sum() > 8, f"no letter at the {side}"
        scores = {}
        for letter in "APLRSI":
            image = QImage(40, 40, QImage.Format.Format_RGB888)
            image.fill(0)
            painter = QPainter(image)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            sheet = Sheet(painter, 40, 40, 1.0, float(pane.native.logicalDpiY()))
            sheet.write(letter, 12, 28, sheet.large)
            assert QFontMetricsF(sheet.large).horizontalAdvance(letter) < 24
            painter.end()
            bits = image.constBits()
            bits.setsize(image.bytesPerLine() * 40)
            drawn = np.frombuffer(bits, np.uint8).reshape(40, image.bytesPerLine())[:, :120].reshape(40, 40, 3)
            scores[letter] = overlap(part, drawn.min(axis=-1) > 200)
        assert max(scores, key=scores.__getitem__) == getattr(edges, side), (side, scores)


def overlap(part: np.ndarray, template: np.ndarray) -> float:
    """Return the best intersection over union of two white shapes, cut to what is white and moved by a pixel or two."""

    def cut(shape: np.ndarray) -> np.ndarray:
        ys, xs = np.nonzero(shape)
        return np.pad(shape[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1], 2)

    a, b = cut(part), cut(template)
    size = np.maximum(a.shape, b.shape)
    a, b = (np.pad(x, [(0, size[0] - x.shape[0]), (0, size[1] - x.shape[1])]) for x in (a, b))
    return max(
        float((a & moved).sum() / (a | moved).sum())
        for dy in (-2, -1, 0, 1, 2) for dx in (-2, -1, 0, 1, 2)
        for moved in (np.roll(b, (dy, dx), (0, 1)),)
    )  # fmt: skip


def check_plane(desk: Any, pane: Any, expected: tuple[str, ...]) -> None:
    """Check marks and letters of a flat pane: each mark is on the side where its letter is, and that side is right."""
    frame = pane.frame()
    edges = letters.edges_of(desk.dock.session.scan, frame)
    assert tuple(edges) == expected, (pane.name, frame.depth_axis)
    pixels = pixels_of(desk, pane)
    seen = marks_in(pixels)
    assert set(seen) >= set(expected), (pane.name, seen)
    far = 8 * frame.zoom  # mm
    for letter, (right, down) in {letter: seen[letter] for letter in expected}.items():
        place = {"left": -right, "right": right, "top": -down, "bottom": down}
        side = edges._fields[edges.index(letter)]
        others = [value for name, value in place.items() if name != side]
        assert place[side] > far and place[side] > 1.5 * max(others), (pane.name, letter, side, seen)
    letters_in(pixels, pane, edges)


# ---- opening and turning -----------------------------------------------------------------------------------------


def shown(desk: Any, path: Path) -> Any:
    """Open a phantom and give it a window in which brightness is value / 1000."""
    dock = desk.dock
    dock.open_path(path)
    desk.until(lambda: dock.session.scan is not None and not dock.tasks.names())
    desk.idle(0.2)
    dock.viewing.set_window(0, TOP)
    return dock.views.panes[0]


def look_along(desk: Any, pane: Any, axis: int) -> None:
    """Show another plane in a view, through the middle of the phantom."""
    dims = pane.viewer.dims
    lead = dims.ndim - 3
    dims.order = (*range(lead), lead + axis, *(lead + a for a in range(3) if a != axis))
    pane.viewer.reset_view()
    go_to_middle(desk)


def go_to_middle(desk: Any) -> None:
    views = desk.dock.views
    views.go_to(tuple(float(v) for v in views.grid.world_of(CENTRE)))
    desk.idle(0.05)
