"""Window and level in a real window: drags, keys, typed numbers, presets, and windows that go from series to series."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from dicom_files import CR, PET, write_image
from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.volume import Volume
from napari_medcnn.io.layerdata import KEY, scan_layers

pytestmark = pytest.mark.gui

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton

CTRL = Qt.KeyboardModifier.ControlModifier


def volume(tmp_path: Path, values: np.ndarray, name: str = "scan") -> Path:
    """Write values (x, y, z) as a NIfTI file with anisotropic voxels."""
    path = tmp_path / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([-0.7, -0.8, 2.5, 1.0])), path)
    return path


def ramp(low: float, high: float, dtype=np.int16) -> np.ndarray:
    return np.linspace(low, high, 40 * 30 * 12).reshape(40, 30, 12).astype(dtype)


def open_path(desk, path: Path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.05)


def window(desk) -> tuple[float, float]:
    return tuple(float(v) for v in desk.dock.layers.scan.contrast_limits)


def type_in(field, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def button_of(desk, text: str) -> QPushButton:
    found = [b for b in desk.dock.scan.brightness.findChildren(QPushButton) if b.text() == text and b.isVisible()]
    assert len(found) == 1, f"{text}: {len(found)} buttons"
    return found[0]


# ---- dragging ------------------------------------------------------------------------------------------------------


def test_right_drag_sets_window_and_level_and_touches_nothing_else(desk) -> None:
    desk.open("phantom")
    low, high = window(desk)
    x, y = desk.centre()
    zoom, place = desk.viewer.scene.camera.zoom, desk.viewer.dims.point
    desk.drag((x, y), (x + 75, y), RIGHT)
    now = window(desk)
    assert now[1] - now[0] == pytest.approx((high - low) * np.exp(0.5)), "75 px to the right"
    assert sum(now) == pytest.approx(low + high), "across changes the width alone"
    width = now[1] - now[0]
    desk.drag((x, y), (x, y - 50), RIGHT)
    then = window(desk)
    assert then[1] - then[0] == pytest.approx(width)
    assert sum(then) / 2 == pytest.approx(sum(now) / 2 - width / 4), "50 px up is a quarter of the width brighter"
    assert desk.viewer.scene.camera.zoom == zoom and desk.viewer.dims.point == place


def test_right_drag_paints_nothing_in_any_tool_and_the_tool_comes_back(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    mask = desk.dock.layers.mask
    x, y = desk.centre()
    for tool in ("paint", "erase", "fill", "pick", "polygon"):
        mask.mode = tool
        before, chosen, limits = mask.data.copy(), mask.selected_label, window(desk)
        desk.drag((x, y), (x + 40, y + 30), RIGHT)
        assert np.array_equal(mask.data, before), tool
        assert window(desk) != limits, tool
        assert str(mask.mode) == tool and mask.selected_label == chosen
    mask.mode = "paint"
    desk.drag((x, y), (x + 20, y), LEFT)
    assert (mask.data != 0).any(), "the tool still paints"


def test_right_drag_draws_no_region(desk) -> None:
    desk.open("phantom")
    desk.dock.layers.draw_region(True)
    region = desk.dock.layers.region
    x, y = desk.centre()
    limits = window(desk)
    desk.drag((x, y), (x + 60, y + 60), RIGHT)
    assert len(region.data) == 0 and window(desk) != limits
    assert desk.dock.layers.is_drawing
    desk.drag((x, y), (x + 60, y + 60), LEFT)
    assert len(region.data) == 1, "the tool still draws"


def test_right_drag_does_not_depend_on_the_selected_layer_and_spares_tools_of_others(desk) -> None:
    desk.open("phantom")
    labels = desk.viewer.add_labels(np.zeros(desk.dock.layers.scan.data.shape, np.uint8), name="theirs")
    labels.mode = "paint"
    desk.viewer.layers.selection.active = labels
    x, y = desk.centre()
    limits = window(desk)
    desk.drag((x, y), (x + 60, y + 20), RIGHT)
    assert window(desk) != limits and not labels.data.any() and str(labels.mode) == "paint"


def test_right_drag_on_colours_does_nothing(desk) -> None:
    desk.open("fundus")
    scan = desk.dock.layers.scan
    assert scan.rgb
    before, zoom = scan.data.copy(), desk.viewer.scene.camera.zoom
    x, y = desk.centre()
    desk.drag((x, y), (x + 60, y + 20), RIGHT)
    desk.key(Qt.Key.Key_I)
    desk.key(Qt.Key.Key_1)
    assert np.array_equal(scan.data, before) and desk.viewer.scene.camera.zoom == zoom
    assert desk.dock.scan.brightness.isHidden()


@pytest.mark.parametrize("values", [
    ramp(-1000, 1000), ramp(0, 255, np.uint8), ramp(0, 60000, np.uint16), ramp(-1, 1, np.float32),
    np.full((8, 7, 6), 5, np.int16), np.full((8, 7, 6), 0.25, np.float32),
], ids=["int16", "uint8", "uint16", "float32", "constant", "constant float"])  # fmt: skip
def test_every_kind_of_numbers_can_be_dragged(desk, tmp_path, values) -> None:
    open_path(desk, volume(tmp_path, values))
    x, y = desk.centre()
    low, high = window(desk)
    desk.drag((x, y), (x + 75, y), RIGHT)
    now = window(desk)
    assert now[1] - now[0] == pytest.approx((high - low) * np.exp(0.5), rel=1e-4)
    desk.drag((x, y), (x - 400, y - 300), RIGHT)
    now = window(desk)
    assert np.isfinite(now).all() and now[0] < now[1]


def test_nan_and_complex_can_be_dragged(desk) -> None:
    holes = ramp(0, 100, np.float32)
    holes[:5] = np.nan
    for values in (holes, ramp(0, 100, np.float32) * (1 + 1j)):
        scan = Volume(values.astype(values.dtype), Geometry(values.shape, (2.5, 0.8, 0.7)))
        layer = desk.dock.layers.add_scan(scan_layers(scan))
        low, high = (float(v) for v in layer.contrast_limits)
        desk.drag(desk.centre(), (desk.centre()[0] + 75, desk.centre()[1]), RIGHT)
        now = layer.contrast_limits
        assert now[1] - now[0] == pytest.approx((high - low) * np.exp(0.5), rel=1e-4)
        desk.dock.layers.close_case()


def test_middle_drag_still_moves_the_picture(desk) -> None:
    desk.open("phantom")
    limits, centre = window(desk), desk.viewer.scene.camera.center
    x, y = desk.centre()
    desk.drag((x, y), (x + 40, y), MIDDLE)
    assert window(desk) == limits and desk.viewer.scene.camera.center != centre


# ---- presets, keys, numbers ----------------------------------------------------------------------------------------


def test_windows_of_ct_by_button_and_by_key(desk) -> None:
    desk.open("phantom")
    block = desk.dock.scan.brightness
    opened = window(desk)
    for key, name, limits in ((Qt.Key.Key_2, "Lung", (-1350, 150)), (Qt.Key.Key_7, "Stroke", (20, 60))):
        desk.key(key)
        assert window(desk) == limits
        desk.key(Qt.Key.Key_0)
        assert window(desk) == opened
        desk.click(button_of(desk, name))
        assert window(desk) == limits
        desk.until(lambda want=limits: (block.low_field.text(), block.high_field.text()) == tuple(map(str, want)), 2)
    assert block.width_field.text() == "40" and block.level_field.text() == "40"
    desk.key(Qt.Key.Key_9)
    assert window(desk) == (20, 60), "a number without a window does nothing"
    assert block.unit.text() == "HU"


def test_presets_while_correcting_are_ctrl_and_a_digit(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    limits = window(desk)
    desk.key(Qt.Key.Key_2)
    assert window(desk) == limits, "a digit alone is a class"
    desk.key(Qt.Key.Key_2, CTRL)
    assert window(desk) == (-1350, 150)


def test_typed_numbers(desk) -> None:
    desk.open("phantom")
    block = desk.dock.scan.brightness
    type_in(block.level_field, "50")
    type_in(block.width_field, "350,5")
    assert window(desk) == pytest.approx((50 - 175.25, 50 + 175.25))
    assert block.width_field.text() == "350.5", "a point is shown"
    type_in(block.low_field, "-100")
    type_in(block.high_field, "300")
    assert window(desk) == (-100, 300)
    desk.until(lambda: (block.width_field.text(), block.level_field.text()) == ("400", "100"), 2)


@pytest.mark.parametrize("text", ["abc", "1.234,5", "1,234", "0", "-5", "1e3", ""])
def test_what_is_no_width_is_refused_and_said(desk, text) -> None:
    desk.open("phantom")
    block, limits = desk.dock.scan.brightness, window(desk)
    shown = block.width_field.text()
    type_in(block.width_field, text or " ")
    assert window(desk) == limits and block.width_field.text() == shown
    assert "Window" in desk.dock.message.text()


def test_white_below_black_is_refused(desk) -> None:
    desk.open("phantom")
    block, limits = desk.dock.scan.brightness, window(desk)
    type_in(block.high_field, str(limits[0] - 1))
    assert window(desk) == limits and "White" in desk.dock.message.text()
    assert float(block.high_field.text()) == limits[1]


def test_numbers_follow_the_drag(desk) -> None:
    desk.open("phantom")
    block = desk.dock.scan.brightness
    x, y = desk.centre()
    desk.drag((x, y), (x + 33, y + 21), RIGHT)
    low, high = window(desk)
    desk.until(lambda: float(block.low_field.text()) == pytest.approx(low, rel=1e-5), 2)
    assert float(block.width_field.text()) == pytest.approx(high - low, rel=1e-5)


def test_invert_by_key_and_button(desk) -> None:
    desk.open("phantom")
    scan, block = desk.dock.layers.scan, desk.dock.scan.brightness
    desk.key(Qt.Key.Key_I)
    assert scan.colormap.name == "gray_r" and block.invert.isChecked()
    desk.click(block.invert)
    assert scan.colormap.name == "gray" and not block.invert.isChecked()
    desk.key(Qt.Key.Key_I)
    desk.key(Qt.Key.Key_0)
    assert scan.colormap.name == "gray", "key 0 is how it was opened"


def test_mr_has_percentiles(desk, tmp_path) -> None:
    values = ramp(0, 1000, np.float32)
    open_path(desk, volume(tmp_path, values))
    desk.key(Qt.Key.Key_2)
    assert window(desk) == pytest.approx((20, 980), abs=1)
    desk.key(Qt.Key.Key_3)
    assert window(desk) == (0, 1000)
    desk.key(Qt.Key.Key_0)
    assert window(desk) == pytest.approx((5, 995), abs=1)


# ---- from series to series -----------------------------------------------------------------------------------------


def test_the_last_window_is_offered_for_the_next_series_of_the_kind(desk, tmp_path) -> None:
    first, second = volume(tmp_path, ramp(0, 1000), "one"), volume(tmp_path, ramp(0, 3000), "two")
    open_path(desk, first)
    block = desk.dock.scan.brightness
    assert not block.last.isVisible()
    desk.dock.viewing.set_window(100, 300)
    desk.key(Qt.Key.Key_I)
    open_path(desk, second)
    assert window(desk) != (100, 300)
    desk.click(button_of(desk, "Use the last window"))
    assert window(desk) == (100, 300) and desk.dock.layers.scan.colormap.name == "gray_r"
    assert not block.last.isVisible(), "nothing more to offer"
    desk.open("phantom")  # a CT: those numbers are no HU
    assert not block.last.isVisible()


def test_a_window_is_given_to_the_scans_beside(desk, tmp_path) -> None:
    first, second = volume(tmp_path, ramp(0, 1000), "one"), volume(tmp_path, ramp(0, 3000), "two")
    open_path(desk, first)
    assert not desk.dock.scan.brightness.copy.isVisible()
    desk.dock.session.opening.beside([second])
    desk.until(lambda: len(desk.dock.session.beside) == 1 and not desk.dock.tasks.names())
    other = next(x for x in desk.dock.layers.ours if x is not desk.dock.layers.scan)
    desk.dock.viewing.set_window(100, 300)
    assert tuple(other.contrast_limits) != (100, 300)
    desk.click(button_of(desk, "To other series"))
    assert tuple(other.contrast_limits) == (100, 300)


def test_the_drag_acts_on_the_scan_that_is_seen_or_chosen(desk, tmp_path) -> None:
    first, second = volume(tmp_path, ramp(0, 1000), "one"), volume(tmp_path, ramp(0, 3000), "two")
    open_path(desk, first)
    desk.dock.session.opening.beside([second])
    desk.until(lambda: len(desk.dock.session.beside) == 1 and not desk.dock.tasks.names())
    scan = desk.dock.layers.scan
    other = next(x for x in desk.dock.layers.ours if x is not scan)
    block = desk.dock.scan.brightness
    assert not block.which.isVisible()
    other.visible = True  # it covers the first one
    x, y = desk.centre()

    def moved() -> tuple[bool, bool]:
        before = tuple(scan.contrast_limits), tuple(other.contrast_limits)
        desk.drag((x, y), (x + 30, y), RIGHT)
        return tuple(scan.contrast_limits) != before[0], tuple(other.contrast_limits) != before[1]

    assert moved() == (False, True)
    other.opacity, other.blending = 0.5, "additive"  # mixed: both are seen
    assert moved() == (True, False)
    assert block.which.isVisible() and block.which.count() == 2
    block.which.setCurrentIndex(1)
    assert moved() == (False, True)
    block.which.setCurrentIndex(0)
    assert moved() == (True, False)
    other.visible = False
    assert not block.which.isVisible()


# ---- pictures and PET ----------------------------------------------------------------------------------------------


def test_a_16_bit_picture_keeps_its_values_and_its_window(desk, tmp_path) -> None:
    values = np.linspace(0, 65535, 200 * 300).astype(np.uint16).reshape(200, 300)
    path = tmp_path / "wide.png"
    iio.imwrite(path, values)
    open_path(desk, path)
    scan = desk.dock.layers.scan
    assert scan.data.dtype == np.uint16 and np.array_equal(scan.data, values)
    assert scan.metadata[KEY]["range"] == (0.0, 65535.0)
    assert window(desk) == pytest.approx((0.005 * 65535, 0.995 * 65535), abs=1)
    desk.key(Qt.Key.Key_3)
    assert window(desk) == (0, 65535)
    x, y = desk.centre()
    desk.drag((x, y), (x - 150, y), RIGHT)
    low, high = window(desk)
    assert high - low == pytest.approx(65535 / np.e, rel=1e-3)
    zoom = desk.viewer.scene.camera.zoom
    desk.wheel(2)
    assert desk.viewer.scene.camera.zoom > zoom, "the wheel zooms pictures"


def test_an_xray_that_stores_white_as_small_values_is_shown_right_and_can_be_turned(desk, tmp_path) -> None:
    pixels = np.tile(np.arange(100, dtype=np.uint16) * 40, (80, 1))
    path = write_image(
        tmp_path / "xray.dcm", pixels, {"PhotometricInterpretation": "MONOCHROME1", "Modality": "CR"}, sop_class=CR
    )
    open_path(desk, path)
    scan = desk.dock.layers.scan
    assert scan.colormap.name == "gray_r" and np.array_equal(np.squeeze(scan.data), pixels)
    desk.key(Qt.Key.Key_I)
    assert scan.colormap.name == "gray"
    desk.key(Qt.Key.Key_0)
    assert scan.colormap.name == "gray_r"


SUV = {
    "Units": "GML", "SUVType": "BW", "Modality": "PT", "RescaleSlope": 0.01, "RescaleIntercept": 0,
    "WindowCenter": 2, "WindowWidth": 4, "PixelSpacing": [4, 4], "SliceThickness": 3,
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
}  # fmt: skip


def test_pet_in_suv_opens_dark_on_white_from_0_to_10(desk, tmp_path) -> None:
    folder = tmp_path / "pet"
    folder.mkdir()
    for k in range(4):
        pixels = (np.arange(20 * 20, dtype=np.int16).reshape(20, 20) * 5 + k).astype(np.int16)
        place = {"ImagePositionPatient": [0, 0, 3.0 * k], "InstanceNumber": k + 1}
        write_image(folder / f"{k}.dcm", pixels, {**SUV, **place}, sop_class=PET)
    open_path(desk, folder)
    scan = desk.dock.layers.scan
    assert desk.dock.session.scan.value_unit.startswith("SUV"), desk.dock.session.scan.notes
    assert window(desk) == (0, 10) and scan.colormap.name == "gray_r"
    desk.key(Qt.Key.Key_2)
    assert window(desk) == (0, 5) and scan.colormap.name == "gray_r"
    desk.key(Qt.Key.Key_4)
    assert window(desk) == pytest.approx((0, 4), abs=0.02), "the file's own window is kept as a further one"
    desk.key(Qt.Key.Key_0)
    assert window(desk) == (0, 10)
