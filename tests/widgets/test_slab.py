"""Slabs: the voxels that are seen against numpy, in every plane, at every place, and nothing left behind when off."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtCore import Qt

from napari_medcnn.core.slab import margins, slab_at

pytestmark = pytest.mark.gui

SHIFT = Qt.KeyboardModifier.ShiftModifier
#: Of the file's axes x, y, z in mm: three different ones.
SPACING = (0.5, 1.0, 2.5)
SIZE = (24, 20, 14)
FUNCTIONS = {"max": np.max, "min": np.min, "mean": np.mean}


@given(st.integers(2, 40), st.floats(0, 39), st.integers(1, 45), st.sampled_from([0.7, 1.0, 2.5, 5.0]),
       st.floats(-500, 500))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_napari_takes_in_just_these_slices(length, index, count, spacing, origin) -> None:
    """A column of 1, 10, 100 ... would overflow: each slice holds its index, least and largest tell first and last."""

    index = min(index, length - 1.0)
    if abs(index - round(index)) > 0.49:  # halfway between two slices either is right
        index = float(round(index))
    column = np.arange(length, dtype=np.int16).reshape(length, 1, 1) * np.ones((1, 2, 2), np.int16)
    viewer = ViewerModel()
    layer = Image(column, scale=(spacing, 1, 1), translate=(origin, 0, 0), contrast_limits=(0, 50))
    viewer.layers.append(layer)
    slab = slab_at(index, count, length, spacing)
    left, right = margins(index, slab)
    viewer.dims.point = (origin + index * spacing, 0, 0)
    viewer.dims.margin_left, viewer.dims.margin_right = (left, 0, 0), (right, 0, 0)
    for mode, expected in (("min", slab.first), ("max", slab.last), ("mean", (slab.first + slab.last) / 2)):
        layer.projection_mode = mode
        seen = np.asarray(layer._slice.image.raw)
        assert seen == pytest.approx(np.full((2, 2), expected)), mode


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-1000, 1000, shape).astype(np.int16)


def open_scan(desk, tmp_path: Path, values: np.ndarray, spacing=SPACING):
    path = tmp_path / "scan.nii.gz"
    image = nib.Nifti1Image(values, np.diag([*spacing, 1.0]))
    image.header.set_zooms((*spacing, *([2.0] if values.ndim == 4 else [])))
    nib.save(image, path)
    desk.dock.open_path(path)
    desk.until(lambda: desk.dock.session.scan is not None and not desk.dock.tasks.names())
    desk.idle(0.05)
    return desk.dock.layers.scan


def seen(layer) -> np.ndarray:
    return np.asarray(layer._slice.image.raw)


def show_plane(desk, axis: int) -> None:
    """Let slices of the first view follow a display axis."""
    dims = desk.viewer.dims
    lead = dims.ndim - 3
    dims.order = (*range(lead), lead + axis, *(lead + a for a in range(3) if a != axis))
    desk.idle(0.02)


def choose(desk, mode: str, thickness: float | None = None) -> None:
    row = desk.dock.reading.slab.row
    row.mode.setCurrentIndex(row.mode.findData(mode))
    if thickness is not None:
        desk.dock.reading.slab.set(mode, thickness)
    desk.idle(0.02)


# display axes 0, 1, 2 are the file's z, y, x; slices in 10 mm: 10 / 2.5, 10 / 1.0, 10 / 0.5
@pytest.mark.parametrize("axis, count", [(0, 4), (1, 10), (2, 20)], ids=["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("mode", ["max", "min", "mean"])
def test_voxels_of_a_slab_are_those_of_numpy(desk, tmp_path, axis, count, mode) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    show_plane(desk, axis)
    middle = 6
    desk.viewer.dims.set_current_step(axis, middle)
    choose(desk, mode, 10.0)
    first, last = max(0, middle - (count - 1) // 2), min(layer.data.shape[axis] - 1, middle + count // 2)
    part = np.take(layer.data, range(first, last + 1), axis=axis)
    assert seen(layer) == pytest.approx(FUNCTIONS[mode](part, axis=axis))
    pane = desk.dock.views.panes[0]
    slab = desk.dock.reading.slab.slab_of(pane)
    assert (slab.first, slab.last) == (first, last)
    real = (last - first + 1) * (2.5, 1.0, 0.5)[axis]
    assert desk.dock.reading.slab.slab_words(pane).split(" mm")[0].split()[-1] == f"{real:g}"


def test_every_slice_of_a_stack_has_its_own_slab(desk, tmp_path) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    show_plane(desk, 0)
    choose(desk, "max", 7.5)  # three slices
    desk.viewer.dims.set_current_step(0, 0)
    for k in range(layer.data.shape[0]):
        assert np.array_equal(seen(layer), layer.data[max(0, k - 1) : k + 2].max(axis=0)), k
        desk.key(Qt.Key.Key_Down)


def test_a_place_between_slices_takes_in_as_many(desk, tmp_path) -> None:
    """The crosshair puts views anywhere; half-thickness margins would gain or lose a slice there."""
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    show_plane(desk, 0)
    choose(desk, "max", 7.5)
    origin = float(layer.translate[0])
    for part in (-0.45, -0.3, 0.2, 0.49):
        desk.viewer.dims.set_point(0, origin + (6 + part) * 2.5)
        assert np.array_equal(seen(layer), layer.data[5:8].max(axis=0)), part


def test_off_is_as_before(desk, tmp_path) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    mode, before = str(layer.projection_mode), seen(layer).copy()
    words = desk.dock.reading.slab.slab_words
    choose(desk, "mean", 20.0)
    assert not np.array_equal(seen(layer), before)
    choose(desk, "")
    assert np.array_equal(seen(layer), before) and str(layer.projection_mode) == mode
    assert not any(desk.viewer.dims.margin_left) and not any(desk.viewer.dims.margin_right)
    assert words(desk.dock.views.panes[0]) == ""


def test_one_time_point_stays_one(desk, tmp_path) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE, 3))
    show_plane(desk, 0)
    choose(desk, "max", 7.5)
    desk.viewer.dims.set_current_step(1, 6)
    for t in range(3):
        desk.viewer.dims.set_current_step(0, t)
        assert np.array_equal(seen(layer), layer.data[t, 5:8].max(axis=0)), t
    desk.key(Qt.Key.Key_Left)
    assert np.array_equal(seen(layer), layer.data[1, 5:8].max(axis=0))


def test_all_planes_of_2x2_show_the_slab(desk, tmp_path) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    desk.key(Qt.Key.Key_G)
    desk.idle(0.3)
    choose(desk, "min", 5.0)
    spacing = (2.5, 1.0, 0.5)
    panes = [pane for pane in desk.dock.views.panes if pane.is_flat and pane.name != "volume"]
    assert len(panes) == 3 and {pane.axis for pane in panes} == {0, 1, 2}
    for pane in panes:
        slab = desk.dock.reading.slab.slab_of(pane)
        assert slab.thickness == pytest.approx(5.0) and slab.spacing == spacing[pane.axis]
        shown = pane.viewer.layers[0]
        part = np.take(layer.data, range(slab.first, slab.last + 1), axis=pane.axis).min(axis=pane.axis)
        assert np.array_equal(seen(shown), part), pane.name
    choose(desk, "")
    for pane in panes:
        assert not any(pane.viewer.dims.margin_left), pane.name


def test_shift_wheel_makes_it_thicker_and_thinner(desk, tmp_path) -> None:
    open_scan(desk, tmp_path, noise(*SIZE))
    show_plane(desk, 0)
    slab, pane = desk.dock.reading.slab, desk.dock.views.panes[0]
    desk.viewer.dims.set_current_step(0, 6)
    place, zoom = desk.viewer.dims.point, desk.viewer.scene.camera.zoom
    counts = []
    for turn in (1, 1, 1, -1, -1, -1):
        desk.wheel(turn, SHIFT)
        found = slab.slab_of(pane)
        counts.append(0 if found is None else found.count)
    assert counts == [2, 3, 4, 3, 2, 0]
    assert desk.viewer.dims.point == place and desk.viewer.scene.camera.zoom == zoom


def test_no_slab_while_correcting_and_masks_keep_their_slice(desk, tmp_path) -> None:
    layer = open_scan(desk, tmp_path, noise(*SIZE))
    show_plane(desk, 0)
    desk.viewer.dims.set_current_step(0, 6)
    desk.empty_mask()
    mask = desk.dock.layers.mask
    mask.data[5] = 1
    mask.refresh()
    choose(desk, "max", 7.5)
    assert desk.dock.mode == "Correct"
    assert np.array_equal(seen(layer), layer.data[6]), "strokes go into one slice, so one is seen"
    desk.wheel(1, SHIFT)
    assert desk.dock.reading.slab.thickness == 7.5, "Shift+wheel is the brush"
    desk.dock.tabs.setCurrentIndex(0)
    desk.idle(0.05)
    assert np.array_equal(seen(layer), layer.data[5:8].max(axis=0))
    assert not np.asarray(mask._slice.image.raw).any(), "the mask shows slice 6 alone"


def test_a_new_scan_and_pictures_have_no_slab(desk, tmp_path) -> None:
    open_scan(desk, tmp_path, noise(*SIZE))
    choose(desk, "max", 10.0)
    desk.open("fundus")
    assert desk.dock.reading.slab.row.isHidden() and desk.dock.reading.slab.mode == ""
    desk.wheel(1, SHIFT)
    assert not any(desk.viewer.dims.margin_left)
    desk.open("phantom")
    assert not desk.dock.reading.slab.row.isHidden()
    assert not any(desk.viewer.dims.margin_left)


def test_typed_thickness(desk, tmp_path) -> None:
    open_scan(desk, tmp_path, noise(*SIZE))
    choose(desk, "mean")
    row = desk.dock.reading.slab.row
    row.thickness.setText("7,5")
    row.thickness.setModified(True)
    row.thickness.editingFinished.emit()
    assert desk.dock.reading.slab.thickness == 7.5 and row.thickness.text() == "7.5"
    row.thickness.setText("0")
    row.thickness.setModified(True)
    row.thickness.editingFinished.emit()
    assert desk.dock.reading.slab.thickness == 7.5 and "Thickness" in desk.dock.message.text()
    assert row.unit.text() == "mm"
