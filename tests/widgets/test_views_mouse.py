"""Mouse, wheel and keys in every pane: crosshair, slices, zoom, pan, brightness, and where a pixel lies."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.widgets.views.overlay import draw
from napari_medcnn.widgets.views.views import FOUR, ONE

pytestmark = pytest.mark.gui
KEYS = Qt.Key
SHIFT, CTRL, ALT = (Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier,
                    Qt.KeyboardModifier.AltModifier)  # fmt: skip
RIGHT, MIDDLE = Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
FLAT = ("main", "second", "third")


@pytest.fixture
def four(desk):
    """The phantom in 2x2."""
    desk.open("phantom")
    desk.four()
    return desk


def pane(desk, name):
    return desk.dock.views.pane(name)


def steps(desk) -> list[int]:
    return [int(p.viewer.dims.current_step[p.slider]) for p in desk.dock.views.panes[:3]]


# ---- where a pixel lies: napari's own answer is the oracle -----------------------------------------------------------


def pointed_by_napari(desk, name, pixel) -> np.ndarray:
    """What napari tells mouse callbacks about a pixel, as (z, y, x)."""
    told = []
    viewer = pane(desk, name).viewer
    viewer.mouse_move_callbacks.append(lambda _viewer, event: told.append(tuple(event.position)))
    desk.move((1.0, 1.0), pane=name)
    desk.move(pixel, pane=name)
    viewer.mouse_move_callbacks.pop()
    return np.array([0.0, 0.0, 0.0, *told[-1]][-3:])


def assert_frame_is_napari_s(desk, name) -> None:
    frame = pane(desk, name).frame()
    for fx, fy in ((0.5, 0.5), (0.1, 0.2), (0.83, 0.71)):
        pixel = (round(frame.width * fx), round(frame.height * fy))
        place = frame.to_place(*pixel)
        np.testing.assert_allclose(place, pointed_by_napari(desk, name, pixel), atol=2e-3 / frame.zoom + 1e-4)
        assert frame.to_canvas(place) == pytest.approx(pixel)


@pytest.mark.parametrize("mirrored", [False, True])
def test_pixels_lie_where_napari_says_in_every_plane(four, mirrored) -> None:
    for name in FLAT:
        if mirrored:
            pane(four, name).viewer.scene.camera.orientation2d = ("down", "left")
        assert_frame_is_napari_s(four, name)
        four.wheel(4, CTRL, pane=name, at=(60, 90))
        four.drag((100, 100), (140, 70), MIDDLE, pane=name)
        four.wheel(-2, pane=name)
        assert_frame_is_napari_s(four, name)


def test_pixels_of_a_film_and_of_a_picture_lie_where_napari_says(desk, tmp_path) -> None:
    image = nibabel.Nifti1Image(np.zeros((14, 12, 10, 3), np.int16), np.diag([-1.0, -2.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "film.nii.gz")
    desk.dock.open_path(tmp_path / "film.nii.gz")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.four()
    for name in FLAT:
        assert_frame_is_napari_s(desk, name)
    desk.dock.open_sample("fundus")
    desk.until(lambda: desk.dock.session.scan.is_picture and not desk.dock.tasks.names())
    desk.idle(0.1)
    assert_frame_is_napari_s(desk, "main")
    desk.wheel(3, CTRL, at=(50, 60))
    assert_frame_is_napari_s(desk, "main")


# ---- crosshair -------------------------------------------------------------------------------------------------------


def test_shift_and_the_mouse_move_the_place_of_all_other_views(four) -> None:
    views = four.dock.views
    for name, part in zip(FLAT, (0.45, 0.58, 0.4), strict=True):  # another place each time
        here = pane(four, name)
        before, own = steps(four), here.axis
        frame = here.frame()
        pixel = (round(frame.width * part), round(frame.height * 0.6))  # Qt tells whole pixels
        wanted = frame.to_place(*pixel)
        four.move(pixel, SHIFT, pane=name)
        four.idle(0.1)
        assert views.place == pytest.approx(wanted), name
        expected = np.rint(views.grid.index_of(wanted)).astype(int).tolist()
        assert steps(four) == expected and steps(four)[own] == before[own], name
        assert steps(four) != before, name


def test_moving_without_shift_moves_nothing(four) -> None:
    before = steps(four)
    four.move((50, 60), pane="second")
    four.move((90, 80), pane="main")
    assert steps(four) == before


def test_many_moves_are_one(four) -> None:
    """What the mouse passed while a slice was drawn is not drawn later."""
    moved = []
    four.dock.views.place_changed.connect(lambda: moved.append(1))
    native = four.on("second")
    for i in range(200):
        point = QPointF(60 + i, 80)
        event = QMouseEvent(QEvent.Type.MouseMove, point, QPointF(native.mapToGlobal(point.toPoint())),
                            Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, SHIFT)  # fmt: skip
        QApplication.sendEvent(native, event)
    four.idle(0.2)
    assert 1 <= len(moved) <= 20
    four.move((300, 80), SHIFT, pane="second")  # vispy itself drops moves that follow each other within milliseconds
    four.idle(0.2)
    last = pane(four, "second").place_at(300, 80)
    assert four.dock.views.place == pytest.approx(last, abs=1e-6)


def test_shift_moves_the_place_while_correcting_and_paints_nothing(four) -> None:
    four.empty_mask()
    before = steps(four)
    brush = four.dock.layers.mask.brush_size
    x, y = four.centre()
    four.move((x + 30, y - 25), SHIFT)
    four.idle(0.1)
    assert steps(four) != before and not four.dock.layers.mask.data.any()
    four.wheel(1, SHIFT)
    assert four.dock.layers.mask.brush_size > brush


def lines_of(desk, name) -> tuple[list[int], list[int]]:
    """Draw the crosshair alone on a white picture and return its columns and rows."""
    here = pane(desk, name)
    frame = here.frame()
    picture = QImage(frame.width, frame.height, QImage.Format.Format_RGB32)
    picture.fill(QColor("white"))
    painter = QPainter(picture)
    draw(painter, [desk.dock.reading.crosshair.paint], frame, here)
    painter.end()
    marked = np.array([[picture.pixelColor(x, y) != QColor("white") for x in range(frame.width)]
                       for y in (3, frame.height - 4)])  # fmt: skip
    columns = np.flatnonzero(marked.any(axis=0)).tolist()
    rows = [y for y in range(frame.height) if picture.pixelColor(3, y) != QColor("white")]
    return columns, rows


def test_crosshair_is_drawn_at_the_place_with_a_gap_and_only_where_asked_for(four) -> None:
    views = four.dock.views
    for name in FLAT:
        x, y = pane(four, name).frame().to_canvas(views.place)
        columns, rows = lines_of(four, name)
        assert columns and rows and abs(np.mean(columns) - x) <= 1.5 and abs(np.mean(rows) - y) <= 1.5
    views.hold(True)
    assert lines_of(four, "main") == ([], [])
    views.hold(False)
    with views.without_names():
        assert lines_of(four, "main") == ([], [])
    views.show_one()
    assert lines_of(four, "main") == ([], [])
    four.move((80, 90), SHIFT)
    assert lines_of(four, "main")[0]
    QTest.keyRelease(four.native, KEYS.Key_Shift)
    assert lines_of(four, "main") == ([], [])


# ---- slices ----------------------------------------------------------------------------------------------------------


def test_wheel_and_keys_move_the_slices_of_the_pane_under_the_mouse(four) -> None:
    def change(act, *what, name) -> list[int]:
        before = steps(four)
        act(*what, pane=name)
        return [b - a for a, b in zip(before, steps(four), strict=True)]

    for index, name in enumerate(FLAT):
        only = [0, 0, 0]
        only[index] = 1
        four.move(four.centre(name), pane=name)
        assert change(four.wheel, -1, name=name) == only
        assert change(four.key, KEYS.Key_Down, name=name) == only
        assert change(four.key, KEYS.Key_Up, name=name) == [-n for n in only]
        four.key(KEYS.Key_Home, pane=name)
        assert steps(four)[index] == 0
        assert change(four.key, KEYS.Key_PageDown, name=name) == [10 * n for n in only]
        last = int(pane(four, name).viewer.dims.nsteps[pane(four, name).slider]) - 1
        four.key(KEYS.Key_End, pane=name)
        assert steps(four)[index] == last
        assert change(four.key, KEYS.Key_Down, name=name) == [0, 0, 0]


def test_keys_act_where_the_mouse_is_whichever_canvas_has_the_focus(four) -> None:
    before = steps(four)
    four.native.setFocus()
    four.move(four.centre("third"), pane="third")
    assert four.qt_window.focusWidget() is four.on("third")
    QTest.keyClick(four.qt_window.focusWidget(), KEYS.Key_Down)
    four.idle(0.05)
    assert steps(four) == [before[0], before[1], before[2] + 1]


def test_a_control_keeps_the_keys_until_a_pane_is_clicked(four) -> None:
    four.dock.reading.view_section.linked.setFocus()
    assert four.qt_window.focusWidget() is four.dock.reading.view_section.linked
    four.move(four.centre("second"), pane="second")
    assert four.qt_window.focusWidget() is four.dock.reading.view_section.linked
    QTest.mouseClick(four.on("second"), Qt.MouseButton.LeftButton)
    assert four.qt_window.focusWidget() is four.on("second")


# ---- zoom, pan, brightness -------------------------------------------------------------------------------------------


def test_ctrl_wheel_zooms_at_the_cursor(four) -> None:
    for name in FLAT:
        here, pixel, before = pane(four, name), (70.0, 110.0), steps(four)
        place, zoom = here.place_at(*pixel), here.frame().zoom
        four.wheel(2, CTRL, pane=name, at=pixel)
        assert here.frame().zoom == pytest.approx(zoom * 1.15**2), name
        assert here.place_at(*pixel) == pytest.approx(place, abs=1e-6) and steps(four) == before, name


def test_middle_drag_moves_the_picture_with_the_hand(four) -> None:
    for sideways, name in itertools.product(("right", "left"), FLAT):
        here = pane(four, name)
        here.viewer.scene.camera.orientation2d = ("down", sideways)
        start, end = (90.0, 100.0), (130.0, 80.0)
        place = here.place_at(*start)
        four.drag(start, end, MIDDLE, pane=name)
        assert here.place_at(*end) == pytest.approx(place, abs=1e-6), (sideways, name)


def test_right_drag_is_brightness_in_every_pane_and_paints_nothing(four) -> None:
    four.empty_mask()
    scan = four.dock.layers.scan
    low, high = scan.contrast_limits
    looks = [p.look for p in four.dock.views.panes[:3]]
    for name in (*FLAT, "volume"):
        four.dock.viewing.set_window(low, high)
        x, y = four.centre(name)
        four.drag((x, y), (x + 40, y), RIGHT, pane=name)
        new_low, new_high = scan.contrast_limits
        assert new_high - new_low > high - low, name
        assert [p.look for p in four.dock.views.panes[:3]] == looks, name
        assert not four.dock.layers.mask.data.any() and str(four.dock.layers.mask.mode) == "paint", name
        for further in four.dock.views.panes[1:3]:
            assert tuple(further.viewer.layers[0].contrast_limits) == tuple(scan.contrast_limits), name


def test_alt_drag_zooms_into_a_box(four) -> None:
    for name in FLAT:
        zoom = pane(four, name).frame().zoom
        x, y = four.centre(name)
        four.drag((x - 40, y - 40), (x + 40, y + 40), modifiers=ALT, pane=name)
        four.idle(0.1)
        assert pane(four, name).frame().zoom > zoom * 1.5, name


def test_space_drag_moves_the_picture_and_paints_nothing(four) -> None:
    four.empty_mask()
    for name in ("main", "second"):
        here = pane(four, name)
        start, end = (120.0, 110.0), (150.0, 130.0)
        four.move(start, pane=name)
        place, native = here.place_at(*start), four.on(name)
        QTest.keyPress(native, KEYS.Key_Space)
        four.drag(start, end, pane=name)
        QTest.keyRelease(native, KEYS.Key_Space)
        four.idle(0.1)
        assert here.place_at(*end) == pytest.approx(place, abs=0.5), name
    assert not four.dock.layers.mask.data.any() and str(four.dock.layers.mask.mode) == "paint"


def test_linked_zoom_is_the_same_mm_per_pixel_and_middle(four) -> None:
    section = four.dock.reading.view_section
    four.wheel(3, CTRL, pane="main", at=(60, 60))
    four.move(four.centre("main"), pane="main")
    section.linked.setChecked(True)
    frames = [p.frame() for p in four.dock.views.panes[:3]]
    assert frames[1].zoom == frames[2].zoom == pytest.approx(frames[0].zoom)
    four.drag((100, 100), (130, 85), MIDDLE, pane="second")
    four.wheel(2, CTRL, pane="third", at=(40, 50))
    frames = [p.frame() for p in four.dock.views.panes[:3]]
    assert frames[0].zoom == pytest.approx(frames[2].zoom) and frames[1].zoom == pytest.approx(frames[2].zoom)
    middles: dict[int, set[float]] = {}
    for frame in frames:
        for axis, at in zip(frame.axes, frame.centre, strict=True):
            middles.setdefault(axis, set()).add(round(at, 4))
    assert {axis: len(found) for axis, found in middles.items()} == {0: 1, 1: 1, 2: 1}
    section.linked.setChecked(False)
    four.wheel(2, CTRL, pane="third", at=(40, 50))
    assert pane(four, "main").frame().zoom != pytest.approx(pane(four, "third").frame().zoom)


# ---- double-click ----------------------------------------------------------------------------------------------------


def test_double_click_maximises_and_napari_does_not_zoom(desk) -> None:
    desk.open("phantom")
    views, main = desk.dock.views, desk.dock.views.panes[0]
    desk.double_click()
    assert views.layout == FOUR
    desk.idle(0.2)
    zoom = main.look.zoom
    desk.double_click(pane="main")
    desk.idle(0.2)
    assert views.layout == ONE and main.look.zoom == pytest.approx(zoom, rel=0.02)


def test_double_click_with_a_tool_in_hand_is_the_tool_s(four) -> None:
    four.empty_mask()
    four.double_click()
    assert four.dock.views.layout == FOUR


def test_double_click_fits_a_picture(desk) -> None:
    desk.open("fundus")
    main = desk.dock.views.panes[0]
    desk.wheel(5, CTRL, at=(30, 30))
    assert main.look.zoom > 1.5
    desk.double_click()
    assert main.look.zoom == pytest.approx(1.0) and desk.dock.views.layout == ONE


def test_double_click_zooms_layers_of_others_as_napari_does(desk) -> None:
    desk.viewer.add_image(np.zeros((40, 40), np.uint8))
    zoom = desk.viewer.scene.camera.zoom
    desk.double_click()
    assert desk.viewer.scene.camera.zoom == pytest.approx(2 * zoom)


def test_a_window_of_another_size_shows_the_same_part(four) -> None:
    looks = [p.look for p in four.dock.views.panes[:3]]
    four.qt_window.resize(900, 620)
    four.idle(0.3)
    for before, here in zip(looks, four.dock.views.panes[:3], strict=True):
        assert here.look.zoom == pytest.approx(before.zoom, rel=0.02), here.name
        assert here.look.centre == pytest.approx(before.centre)


def test_digits_and_other_keys_work_in_every_pane(four) -> None:
    """The same key does the same in each pane, and none of napari's own keys is left in further ones."""
    scan = four.dock.layers.scan
    for name in ("second", "third", "volume"):
        four.dock.viewing.set_window(0.0, 1.0)
        four.key(KEYS.Key_0, CTRL, pane=name)
        assert tuple(scan.contrast_limits) != (0.0, 1.0), name
        colours = scan.colormap.name
        four.key(KEYS.Key_I, pane=name)
        assert scan.colormap.name != colours
        four.key(KEYS.Key_I, pane=name)
        viewer = pane(four, name).viewer
        ndisplay, order = viewer.dims.ndisplay, viewer.dims.order
        four.key(KEYS.Key_Y, CTRL, pane=name)  # napari: 3D
        four.key(KEYS.Key_E, CTRL, pane=name)  # napari: roll axes
        four.key(KEYS.Key_G, CTRL, pane=name)  # napari: grid
        assert (viewer.dims.ndisplay, viewer.dims.order) == (ndisplay, order) and not viewer.canvas.grid.enabled


def test_thick_slices_have_their_thickness_on_screen(desk, tmp_path) -> None:
    """Slices 5 mm apart with 1 mm pixels: in the coronal pane a slice is five pixels' worth high."""
    image = sitk.GetImageFromArray(np.zeros((8, 40, 40), np.int16))
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(tmp_path / "thick.nii.gz"))
    desk.dock.open_path(tmp_path / "thick.nii.gz")
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.four()
    grid, frame = desk.dock.views.grid, pane(desk, "second").frame()
    (x0, y0), (x1, y1) = (frame.to_canvas(tuple(grid.world_of_index(i))) for i in ((0, 20, 0), (1, 20, 5)))
    assert x1 - x0 == pytest.approx(y1 - y0)
