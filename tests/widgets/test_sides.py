"""Left is left: marks at the six sides of a phantom are looked for among the pixels of the screen, in every view.

The phantom is written with SimpleITK and pydicom, whose geometry is not ours. Each mark has a brightness of its own, so
a picture that is flipped, turned or mislabelled puts a mark where its letter is not. That the test would notice is
shown by flipping one thing at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from dicom_files import CR, MR, write_image, write_series
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.widgets.views import letters
from napari_medcnn.widgets.views.letters import Edges
from napari_medcnn.widgets.views.sheet import Sheet

pytestmark = pytest.mark.gui

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


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request, tmp_path) -> Path:
    return CASES[request.param](tmp_path)


def test_every_mark_is_where_its_letter_is(desk, case) -> None:
    pane = shown(desk, case)
    box = desk.dock.reading.annotations.neurological.box
    assert not box.isChecked()
    for axis in (0, 1, 2):
        look_along(desk, pane, axis)
        check_plane(desk, pane, RADIOLOGICAL[axis])
        assert "NEUROLOGICAL" not in desk.said()
    look_along(desk, pane, 0)
    box.setChecked(True)
    panes = desk.four()
    go_to_middle(desk)
    assert sorted(flat.axis for flat in panes[:3]) == [0, 1, 2]
    for flat in panes[:3]:
        flat.viewer.reset_view()
    for flat in panes[:3]:
        check_plane(desk, flat, NEUROLOGICAL[flat.axis])


def test_the_neurological_badge_stands_where_the_picture_is_flipped(desk, tmp_path) -> None:
    pane = shown(desk, CASES["LPS nrrd"](tmp_path))
    annotations = desk.dock.reading.annotations
    panes = desk.four()
    go_to_middle(desk)
    for flat in panes[:3]:
        check_plane(desk, flat, RADIOLOGICAL[flat.axis])
    annotations.neurological.box.setChecked(True)
    flipped = {flat.axis: "NEUROLOGICAL DISPLAY" in annotations.words(flat) for flat in panes[:3]}
    assert flipped == {0: True, 1: True, 2: False}
    desk.dock.views.show_one()
    for axis in (0, 1, 2):
        look_along(desk, pane, axis)
        check_plane(desk, pane, NEUROLOGICAL[axis])
        assert ("NEUROLOGICAL" in desk.said()) == (axis != 2)


# ---- what is not a plain plane -----------------------------------------------------------------------------------


def test_napari_preferences_do_not_turn_the_picture(desk, tmp_path) -> None:
    camera = desk.viewer.scene.camera
    camera.orientation = ("away", "up", "left")
    pane = shown(desk, CASES["LPS nrrd"](tmp_path))
    look_along(desk, pane, 1)
    check_plane(desk, pane, RADIOLOGICAL[1])
    camera.orientation = ("away", "up", "left")
    desk.idle()
    check_plane(desk, pane, RADIOLOGICAL[1])
    desk.dock.session.close_scan()
    desk.idle()
    assert [str(part) for part in camera.orientation] == ["away", "up", "left"]


def test_pictures_without_sides_have_no_letters(desk, tmp_path) -> None:
    desk.open("fundus")
    pane = desk.dock.views.panes[0]
    assert tuple(letters.edges_of(desk.dock.session.scan, pane.frame())) == ("", "", "", "")
    assert "left/right not stated in this file" in desk.said() and "no measures in mm" in desk.said()
    assert not desk.dock.reading.annotations.neurological.box.isEnabled()
    voxels = (np.arange(4 * 40 * 50) % 251).reshape(4, 40, 50).astype(np.int16)
    import nibabel

    image = nibabel.Nifti1Image(voxels, np.eye(4))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.save(image, tmp_path / "nowhere.nii")
    pane = shown(desk, tmp_path / "nowhere.nii")
    desk.dock.reading.annotations.neurological.box.setChecked(True)
    desk.idle()
    assert not pane.frame().mirrored and "NEUROLOGICAL" not in desk.said()
    assert "left/right not stated in this file" in desk.said()
    written = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sheet, "write", lambda _self, words, *_rest: written.append(words))
        pane.native.grab()
    assert written and not {"A", "P", "L", "R", "S", "I"} & set(written)


@pytest.mark.parametrize(
    "stated, expected",
    [(["L", "F"], ("R", "L", "S", "I")), (["R", "F"], ("L", "R", "S", "I")), (["P", "H"], ("A", "P", "I", "S")),
     (["LA", "F"], ("RP", "LA", "S", "I"))],
)  # fmt: skip
def test_radiographs_have_the_letters_of_their_file(desk, tmp_path, stated, expected) -> None:
    pixels = np.zeros((300, 260), np.uint16)
    pixels[100:200, 40:90] = 3000
    tags = {"PatientOrientation": stated, "ImageOrientationPatient": None, "ImageLaterality": "L"}
    pane = shown(desk, write_image(tmp_path / "cr.dcm", pixels, tags, sop_class=CR))
    edges = letters.edges_of(desk.dock.session.scan, pane.frame())
    assert tuple(edges) == expected
    assert "body side: left" in desk.said() and "not stated" not in desk.said()
    single = Edges(*(letter if len(letter) == 1 else "" for letter in edges))
    letters_in(pixels_of(desk, pane), pane, single)


def test_a_tilted_scan_says_so(desk, tmp_path) -> None:
    pane = shown(desk, CASES["tilted by 12"](tmp_path))
    assert "tilted by 12°" in desk.said()
    grid = desk.dock.session.scan.geometry
    steep = Geometry(grid.shape, grid.spacing_mm, grid.origin_lps, turned(30, (1, 0, 0)))
    # turned by 30 degrees about the x axis, the body axis runs to S by 0.87 and to A by 0.5; columns to L alone
    scan = replace(desk.dock.session.scan, geometry=steep)
    assert letters.ends_of(scan, 0) == ("SA", "IP")
    assert letters.ends_of(scan, 1) == ("AI", "PS")
    assert letters.ends_of(scan, 2) == ("R", "L")
    assert pane.frame() is not None


def screen_side(spokes: Any, letter: str) -> np.ndarray:
    spoke = next(spoke for spoke in spokes if spoke.letter == letter)
    return np.array([spoke.right, spoke.down])


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)], ids=str)
def test_in_3d_marks_lie_where_the_letters_point_and_the_body_is_not_mirrored(desk, tmp_path, order) -> None:
    pane = shown(desk, CASES["RAS nifti"](tmp_path))
    dims, camera = desk.viewer.dims, desk.viewer.scene.camera
    desk.dock.reading.annotations.neurological.box.setChecked(True)  # never mirrors a body
    dims.order = order
    dims.ndisplay = 3
    desk.dock.layers.scan.rendering = "mip"
    desk.viewer.reset_view()
    for angles in ((0, 0, 0), (20, -35, 10), (-60, 100, 170)):
        camera.angles = angles
        seen = marks_in(pixels_of(desk, pane))
        spokes = letters.spokes_of(desk.dock.session.scan, pane)
        checked = 0
        for letter, (right, down) in seen.items():
            to = screen_side(spokes, letter)
            if np.linalg.norm(to) > 0.5:
                along = np.array([right, down]) @ to / np.linalg.norm(to)
                assert along > 0.7 * np.hypot(right, down), (order, angles, letter, seen)
                checked += 1
        assert checked >= 3, seen
    # face to face with the patient, head up: the right hand is on the left
    front = np.zeros(3)
    front[order.index(1)] = 1.0
    head = np.zeros(3)
    head[order.index(0)] = -1.0
    camera.set_view_direction(tuple(front), tuple(head))
    seen = marks_in(pixels_of(desk, pane))
    assert seen["R"][0] < -20 and seen["L"][0] > 20 and seen["S"][1] < -20 and seen["I"][1] > 20, seen


def test_in_the_3d_pane_the_patient_faces_the_reader(desk, tmp_path) -> None:
    shown(desk, CASES["LIP mha"](tmp_path))
    volume = desk.four()[3]
    desk.until(lambda: not desk.dock.tasks.names() and len(volume.viewer.layers) > 0)
    volume.viewer.layers[0].colormap = "gray"  # its own is see-through, and darker for it
    seen = marks_in(pixels_of(desk, volume))
    assert seen["R"][0] < -20 and seen["L"][0] > 20 and seen["S"][1] < -20 and seen["I"][1] > 20, seen


# ---- hands in a flipped picture ----------------------------------------------------------------------------------


def test_a_brush_in_a_flipped_picture_paints_what_is_under_it(desk, tmp_path) -> None:
    from qtpy.QtCore import Qt

    pane = shown(desk, CASES["LPS nrrd"](tmp_path))
    desk.dock.reading.annotations.neurological.box.setChecked(True)
    desk.idle(0.2)
    desk.empty_mask()
    go_to_middle(desk)
    at = marks_in(pixels_of(desk, pane))["L"]
    assert at[0] < -20  # the patient's left is on the left
    desk.key(Qt.Key.Key_P)
    desk.dock.layers.mask.brush_size = 2
    spot = (at[0] + pane.native.width() / 2, at[1] + pane.native.height() / 2)
    desk.drag(spot, (spot[0] + 4, spot[1]))
    painted = np.argwhere(desk.dock.layers.mask.data)
    assert len(painted)
    grid = desk.dock.views.grid
    lps = grid.lps_of(grid.world_of_index(painted)) - CENTRE
    assert np.all(np.linalg.norm(lps - MARKS["L"][1], axis=1) < RADIUS + 3), lps.mean(axis=0)


# ---- the test notices ------------------------------------------------------------------------------------------


def test_one_flip_that_is_wrong_is_noticed(desk, tmp_path, monkeypatch) -> None:
    pane = shown(desk, CASES["sagittal dicom, thick"](tmp_path))
    for axis in (0, 1, 2):
        look_along(desk, pane, axis)
        check_plane(desk, pane, RADIOLOGICAL[axis])
        with monkeypatch.context() as patch:  # letters of one axis the wrong way round
            patch.setattr(letters, "ends_of", _swapped(letters.ends_of, 2 if axis < 2 else 1))
            with pytest.raises(AssertionError):
                check_plane(desk, pane, RADIOLOGICAL[axis])
    look_along(desk, pane, 0)
    layer = desk.dock.layers.scan
    for flipped in (0, 1, 2):  # voxels the wrong way round, letters as they should be
        axis = 1 if flipped == 0 else 0
        look_along(desk, pane, axis)
        right = layer.data
        layer.data = np.flip(right, flipped)
        go_to_middle(desk)
        with pytest.raises(AssertionError):
            check_plane(desk, pane, RADIOLOGICAL[axis])
        layer.data = right
    look_along(desk, pane, 0)
    desk.dock.reading.annotations.neurological.box.setChecked(True)
    check_plane(desk, pane, NEUROLOGICAL[0])
    real = type(pane).frame
    with monkeypatch.context() as patch:  # a camera that is flipped unknown to the frame
        patch.setattr(type(pane), "frame", lambda self: replace(real(self), mirrored=False))
        with pytest.raises(AssertionError):
            check_plane(desk, pane, RADIOLOGICAL[0])


def _swapped(real: Any, wrong: int) -> Any:
    return lambda scan, axis: tuple(reversed(real(scan, axis))) if axis == wrong else real(scan, axis)


def test_a_reorientation_to_the_wrong_side_is_noticed(desk, tmp_path, monkeypatch) -> None:
    real = Geometry.reorientation_to
    monkeypatch.setattr(Geometry, "reorientation_to", lambda self, _to=("I", "P", "R"): real(self, ("I", "P", "R")))
    pane = shown(desk, CASES["LPS nrrd"](tmp_path))
    look_along(desk, pane, 0)
    with pytest.raises(AssertionError):
        check_plane(desk, pane, RADIOLOGICAL[0])
