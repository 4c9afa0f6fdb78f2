"""Left is left: marks at the six sides of a phantom are looked for among the pixels of the screen, in every view.

A picture that is flipped, turned or mislabelled puts a mark where its letter is not. That the test would notice is
shown by flipping one thing at a time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_files import CR, write_image
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.widgets.views import letters
from napari_medcnn.widgets.views.letters import Edges
from napari_medcnn.widgets.views.sheet import Sheet
from sides_phantom import (
    CASES,
    CENTRE,
    MARKS,
    NEUROLOGICAL,
    RADIOLOGICAL,
    RADIUS,
    check_plane,
    go_to_middle,
    letters_in,
    look_along,
    marks_in,
    pixels_of,
    shown,
    turned,
)  # fmt: skip

pytestmark = pytest.mark.gui


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


@pytest.mark.own_window
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
