"""2x2: what each pane shows, the place they share, and that nothing is left behind."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import SimpleITK as sitk
from napari.components import ViewerModel
from napari.layers import Layer
from napari.qt import QtViewer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.views.views import FOUR, ONE

pytestmark = [pytest.mark.gui, pytest.mark.own_window]
KEYS = Qt.Key


def volume_file(folder, shape=(12, 20, 30), spacing=(1.0, 1.5, 4.0), name="scan.nii.gz", direction=None):
    """Write a volume whose values are all different; spacing in x, y, z."""
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(direction)
    path = folder / name
    sitk.WriteImage(image, str(path))
    return path


def open_path(desk, path) -> None:
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.1)


@pytest.fixture
def four(desk):
    """The phantom in 2x2."""
    desk.open("phantom")
    desk.four()
    return desk


def steps(desk) -> list[int | None]:
    """The slice that each flat pane shows."""
    return [int(p.viewer.dims.current_step[p.slider]) for p in desk.dock.views.panes[:3]]


def test_three_planes_and_3d_share_the_canvas_area(four) -> None:
    panes = four.dock.views.panes
    assert [p.name for p in panes] == ["main", "second", "third", "volume"]
    assert [p.axis for p in panes] == [0, 1, 2, None]
    corners = [p.native.mapTo(four.qt_window, QPoint(0, 0)) for p in panes]
    main, second, third, volume = corners
    assert main.x() == second.x() < volume.x() == third.x()
    assert main.y() < second.y() and volume.y() < third.y()
    sizes = np.array([(p.native.width(), p.native.height()) for p in panes])
    assert (np.abs(sizes - sizes[0]) < 40).all() and sizes.min() > 200


def test_each_pane_shows_its_whole_plane(four) -> None:
    """Corners of the scan lie inside each canvas, and at least one edge nearly fills it."""
    grid = four.dock.views.grid
    ends = [grid.world_of_index(np.array(grid.shown.shape) * f - 0.5) for f in (0, 1)]
    for pane in four.dock.views.panes[:3]:
        frame = pane.frame()
        (left, top), (right, bottom) = (frame.to_canvas(tuple(end)) for end in ends)
        assert 0 <= left < right <= frame.width and 0 <= top < bottom <= frame.height, pane.name
        assert max((right - left) / frame.width, (bottom - top) / frame.height) > 0.9


def test_g_shows_2x2_and_one_view_again(desk) -> None:
    desk.open("phantom")
    views, zoom = desk.dock.views, desk.dock.viewer.scene.camera.zoom
    desk.key(KEYS.Key_G)
    assert views.layout == FOUR
    desk.idle(0.2)
    assert len(views.shown) == 4 and desk.dock.reading.view_section.four.isChecked()
    desk.key(KEYS.Key_G)
    desk.idle(0.2)
    assert views.layout == ONE and [p.name for p in views.shown] == ["main"]
    assert not desk.dock.reading.view_section.four.isChecked()
    assert desk.dock.viewer.scene.camera.zoom == pytest.approx(zoom, rel=1e-3)  # as large as before


def test_the_button_in_the_scan_tab_does_the_same(desk) -> None:
    desk.open("phantom")
    button = desk.dock.reading.view_section.four
    desk.click(button)
    assert desk.dock.views.layout == FOUR and button.isChecked()
    desk.until(lambda: not desk.dock.tasks.names())
    desk.click(button)
    assert desk.dock.views.layout == ONE and not button.isChecked()


@pytest.mark.parametrize("name", ["second", "third"])
def test_a_maximised_plane_stands_in_napari_s_own_canvas(four, name) -> None:
    """The same middle, relative size kept; painting works there; back again the acquired plane returns."""
    views = four.dock.views
    pane, main = views.pane(name), views.panes[0]
    four.wheel(3, Qt.KeyboardModifier.ControlModifier, pane=name, at=(100, 100))
    axis, look, acquired, before = pane.axis, pane.look, main.axis, main.look
    assert look.zoom > 1.2
    four.double_click(pane=name)
    four.idle(0.2)
    assert views.layout == ONE and [p.name for p in views.shown] == ["main"]
    assert main.axis == axis
    assert main.look.centre == pytest.approx(look.centre) and main.look.zoom == pytest.approx(look.zoom, rel=0.02)
    four.double_click()
    four.idle(0.2)
    assert views.layout == FOUR and [p.axis for p in views.panes[:3]] == [0, 1, 2] and main.axis == acquired
    assert pane.look.centre == pytest.approx(look.centre) and pane.look.zoom == pytest.approx(look.zoom, rel=0.02)
    assert main.look.centre == pytest.approx(before.centre) and main.look.zoom == pytest.approx(before.zoom, rel=0.02)


def test_painting_works_in_a_maximised_plane(four) -> None:
    four.empty_mask()
    four.dock.views.maximise(four.dock.views.pane("second"))
    four.idle(0.2)
    x, y = four.centre()
    four.drag((x, y), (x + 40, y))
    data = four.dock.layers.mask.data
    assert data.any() and len(np.flatnonzero(data.any(axis=(0, 2)))) == 1  # one coronal slice
    assert four.dock.strokes.history.names == ("Brush",)


def test_the_3d_view_is_maximised_by_hiding_the_others(four) -> None:
    views = four.dock.views
    four.double_click(pane="volume")
    four.idle(0.2)
    assert [p.name for p in views.shown] == ["volume"] and views.layout == ONE
    four.key(KEYS.Key_G, pane="volume")
    four.idle(0.2)
    assert views.layout == FOUR and len(views.shown) == 4


def test_moving_slices_in_a_pane_moves_the_place_of_all(four) -> None:
    views = four.dock.views
    start = steps(four)
    views.move(3, views.pane("second"))
    assert steps(four) == [start[0], start[1] + 3, start[2]]
    grid = views.grid
    assert grid.index_of(views.place)[1] == pytest.approx(start[1] + 3, abs=0.01)
    four.viewer.dims.set_current_step(0, 2)  # napari's own slider
    assert grid.index_of(views.place)[0] == pytest.approx(2, abs=0.01)
    assert steps(four) == [2, start[1] + 3, start[2]]
    views.go_to(tuple(grid.world_of_index((5.0, 6.0, 7.0))))
    assert steps(four) == [5, 6, 7]


def test_nothing_is_sliced_anew_that_shows_its_slice_already(four) -> None:
    """A place in the main plane costs the other two a slice each, and the main one none."""
    views = four.dock.views
    mirrors = [p.viewer.layers[0] for p in views.panes[1:3]]
    count = {"main": 0, "second": 0, "third": 0}

    def counting(name):
        return lambda _event: count.__setitem__(name, count[name] + 1)

    calls = [counting(name) for name in count]
    for layer, call in zip((four.dock.layers.scan, *mirrors), calls, strict=True):
        layer.events.set_data.connect(call)
    index = views.grid.index_of(views.place)
    views.go_to(tuple(views.grid.world_of_index(index + (0, 4, 4))))
    assert count["main"] == 0 and count["second"] == 1 and count["third"] == 1
    for layer, call in zip((four.dock.layers.scan, *mirrors), calls, strict=True):
        layer.events.set_data.disconnect(call)


def test_position_is_told_in_mm_of_the_patient(desk, tmp_path) -> None:
    open_path(desk, volume_file(tmp_path))
    desk.four()
    views = desk.dock.views
    views.go_to(tuple(views.grid.world_of_source((4, 6, 10))))
    said = [" | ".join(desk.dock.reading.annotations.words(pane)) for pane in views.panes]
    assert all(
        words in each for words, each in zip((" · S 16.0 mm", " · P 9.0 mm", " · L 10.0 mm"), said[:3], strict=True)
    )
    assert " mm" not in said[3]


def test_a_sagittal_series_is_the_first_pane_and_the_others_are_the_other_two(desk, tmp_path) -> None:
    """Slices 6 mm apart from right to left: the plane it was acquired in comes first."""
    sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)  # columns: x to posterior, y to inferior, z to left
    open_path(desk, volume_file(tmp_path, (9, 24, 24), (1.0, 1.0, 6.0), direction=sagittal))
    desk.four()
    assert [p.axis for p in desk.dock.views.panes[:3]] == [2, 1, 0]
    desk.double_click(pane="third")
    assert desk.dock.views.panes[0].axis == 0
    desk.key(KEYS.Key_G)
    desk.key(KEYS.Key_G)
    assert desk.dock.views.panes[0].axis == 2


def test_a_new_scan_keeps_2x2_and_a_picture_falls_back_to_one_view(four, tmp_path) -> None:
    views = four.dock.views
    open_path(four, volume_file(tmp_path))
    assert views.layout == FOUR and len(views.shown) == 4
    for pane in views.panes[1:3]:
        assert [layer.data.shape for layer in pane.viewer.layers] == [(12, 20, 30)]
        assert pane.look.zoom == pytest.approx(1.0, rel=0.02)
    four.dock.open_sample("fundus")
    four.until(lambda: four.dock.session.scan.is_picture and not four.dock.tasks.names())
    four.idle(0.1)
    assert views.layout == ONE and [p.name for p in views.shown] == ["main"]
    open_path(four, volume_file(tmp_path))
    four.idle(0.2)
    assert views.layout == FOUR and len(views.shown) == 4


def test_volumes_open_in_2x2_where_that_is_preferred(desk) -> None:
    desk.dock.views.opens_four = True
    desk.open("phantom")
    desk.idle(0.2)
    assert desk.dock.views.layout == FOUR


def test_a_picture_has_no_2x2(desk) -> None:
    desk.open("fundus")
    desk.key(KEYS.Key_G)
    assert desk.dock.views.layout == ONE and len(desk.dock.views.panes) == 1


def test_units_agree_in_every_view(four, tmp_path, recwarn) -> None:
    four.empty_mask()
    open_path(four, volume_file(tmp_path))
    four.idle(0.3)
    assert not [str(w.message) for w in recwarn if "units" in str(w.message)]
    for pane in four.dock.views.panes[:3]:
        assert pane.viewer.layers.extent.units is not None


# ---- time ------------------------------------------------------------------------------------------------------------


def test_time_points_are_the_same_in_every_view(desk, tmp_path) -> None:
    import nibabel

    array = np.arange(4 * 5 * 6 * 3, dtype=np.int16).reshape(4, 5, 6, 3)
    image = nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 3.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, tmp_path / "film.nii.gz")
    open_path(desk, tmp_path / "film.nii.gz")
    panes = desk.four()
    assert [p.axis for p in panes[:3]] == [0, 1, 2] and [p.slider for p in panes[:3]] == [1, 2, 3]
    panes[1].viewer.dims.set_current_step(0, 0)
    assert [int(p.viewer.dims.current_step[0]) for p in panes[:3]] == [0, 0, 0]
    desk.key(KEYS.Key_Right, pane="third")
    assert [int(p.viewer.dims.current_step[0]) for p in panes[:3]] == [1, 1, 1]
    panes[0].viewer.dims.set_current_step(0, 2)
    assert [int(p.viewer.dims.current_step[0]) for p in panes[:3]] == [2, 2, 2]
    before = steps(desk)
    desk.wheel(-1, pane="second")
    assert steps(desk) == [before[0], before[1] + 1, before[2]]
    assert [int(p.viewer.dims.current_step[0]) for p in panes[:3]] == [2, 2, 2]


# ---- nothing is left -------------------------------------------------------------------------------------------------


def alive() -> dict[str, int]:
    gc.collect()
    found = gc.get_objects()
    kinds = (QtViewer, ViewerModel, Layer, QWidget)
    return {kind.__name__: sum(isinstance(x, kind) for x in found) for kind in kinds} | {
        "ours": sum(type(x).__module__.startswith("napari_medcnn") for x in found)
    }


def listeners(desk) -> int:
    """How many functions the layers and the axes of the first view call."""
    scan, dims = desk.dock.layers.scan, desk.dock.views._viewer.dims
    sources = [scan.events, desk.dock.layers.mask.events, dims.events]
    return sum(len(emitter.callbacks) for events in sources for emitter in events.emitters.values() if emitter)


@pytest.mark.proof  # a minute; `test_leaks.py` counts every object over fewer
def test_thirty_times_2x2_leaves_nothing(four) -> None:
    four.empty_mask()
    views = four.dock.views
    views.show_one()
    views.show_four()  # the first ones fill caches
    views.show_one()
    four.until(lambda: not four.dock.tasks.names())
    before, heard = alive(), listeners(four)
    for turn in range(30):
        views.show_four()
        if turn % 10 == 0:
            four.idle(0.05)
        views.show_one()
    four.until(lambda: not four.dock.tasks.names())
    four.idle(0.05)
    after = alive()
    assert {kind: n for kind, n in after.items() if n > before[kind]} == {} and listeners(four) == heard


def test_a_closed_dock_leaves_the_window_as_it_was_found(four) -> None:
    window, viewer = four.qt_window, four.dock.views._viewer
    four.dock.shut_down()
    four.idle(0.1)
    assert len(window.findChildren(QtViewer)) == 1
    assert four.native.isVisible() and not viewer.mouse_move_callbacks
    assert [c.__name__ for c in viewer.mouse_double_click_callbacks] == ["double_click_to_zoom"]
    assert {c.__name__ for c in viewer.mouse_wheel_callbacks} == {"dims_scroll", "layers_scroll"}
