"""The 3D pane in a real window: marks of known place are looked for among its pixels; surfaces follow the mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_medcnn.core.geometry import Geometry
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.core.volume import LabelMap, Volume
from napari_medcnn.io.layerdata import KEY, scan_layers
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.volume_view.graphics import graphics_of
from sides_phantom import pixels_of

pytestmark = pytest.mark.gui

#: Stored as many MR series are: slices from right to left, rows to the feet, columns to the back; thick slices.
SAGITTAL = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
GRID = Geometry((20, 60, 50), (4.0, 1.0, 1.2), (-38.0, -30.0, 30.0), SAGITTAL)
#: LPS mm of a mark: left, to the front, towards the head.
MARK = (22.0, -12.0, 14.0)


def volume(times: int = 0) -> Volume:
    """Return a dark scan with one bright ball; of several time points only the last has it."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in GRID.shape], indexing="ij"), axis=-1)
    near = np.linalg.norm(GRID.index_to_lps(index) - MARK, axis=-1) < 5
    one = np.where(near, 1000, 0).astype(np.int16)
    if not times:
        return Volume(one, GRID, name="marked", window=(0.0, 1000.0))
    return Volume(np.stack([one * 0] * (times - 1) + [one]), GRID, "tzyx", name="marked", window=(0.0, 1000.0))


def mask() -> LabelMap:
    array = np.zeros(GRID.shape, np.uint8)
    array[volume().array > 500] = 2
    array[2:6, 40:50, 5:15] = 1
    return LabelMap(array, GRID, LabelSet.from_names(["Right", "Left"]))


def show(desk: Any, scan: Volume, labels: LabelMap | None = None) -> Any:
    desk.dock.session.show_opened(jobs.Opened(scan, scan_layers(scan)))
    if labels is not None:
        desk.dock.session.show_mask(jobs.prepare_mask(labels, scan), "saved")
    desk.four()
    feature = desk.dock.reading.volume_view
    desk.until(lambda: feature.scene.image is not None and not desk.dock.tasks.names())
    desk.idle(0.3)
    return feature


def pixels(desk: Any) -> np.ndarray:
    """Return what OpenGL drew in the 3D pane, (y, x, rgb)."""
    image = desk.on("volume").grabFramebuffer()
    image = image.convertToFormat(image.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    shape = (image.height(), image.bytesPerLine() // 4, 4)
    return np.frombuffer(bits, np.uint8).reshape(shape)[:, : image.width(), 2::-1].astype(int)


def middle_of(found: np.ndarray) -> tuple[float, float]:
    """Return x, y of the middle of the pixels that are True."""
    rows, columns = np.nonzero(found)
    assert rows.size > 20, "nothing of it is to be seen"
    return float(columns.mean()), float(rows.mean())


def test_the_patient_is_seen_from_the_front_head_up_and_not_mirrored(desk):
    feature = show(desk, volume())
    width, height = desk.on("volume").width(), desk.on("volume").height()
    x, y = middle_of(pixels(desk)[..., 0] > 150)
    assert x > width / 2 + 30, "the patient's left is on the right of the picture"
    assert y < height / 2 - 20, "the head is up"
    place = desk.dock.views.grid.world_of(MARK)
    assert feature.projection().to_canvas(place) == pytest.approx((x, y), abs=6)
    # from the patient's left side: the front is on the left of the picture
    camera = feature._pane.viewer.scene.camera
    camera.set_view_direction(view_direction=(0, 0, -1), up_direction=(-1, 0, 0))
    desk.idle(0.3)
    x, y = middle_of(pixels(desk)[..., 0] > 150)
    assert x < width / 2 - 10
    assert feature.projection().to_canvas(place) == pytest.approx((x, y), abs=6)
    desk.click_front = feature.panel.front.click()
    assert camera.orientation == ("towards", "down", "right")
    np.testing.assert_allclose(camera.view_direction, (0, 1, 0), atol=1e-6)


def test_a_turned_preference_of_napari_mirrors_nobody(desk):
    feature = show(desk, volume())
    feature._pane.viewer.scene.camera.orientation = ("away", "down", "right")
    feature.look_from_front()
    desk.idle(0.3)
    x, _y = middle_of(pixels(desk)[..., 0] > 150)
    assert x > desk.on("volume").width() / 2 + 30


def test_the_preview_is_small_follows_the_window_and_goes_when_unseen(desk):
    feature = show(desk, volume())
    graphics = graphics_of(desk.on("volume"))
    assert graphics.largest >= 256
    assert feature.preview.codes.size <= graphics.side**3
    np.testing.assert_allclose(feature.scene.image.scale, desk.dock.layers.scan.scale)
    desk.dock.layers.scan.contrast_limits = (0, 4000)
    desk.until(lambda: feature.scene.image.contrast_limits[1] == pytest.approx(feature.preview.code_of(4000)))
    desk.dock.views.show_one()
    desk.idle(0.1)
    assert len(feature._pane.viewer.layers) == 0
    made = feature.preview
    desk.four()
    assert feature.scene.image is not None, "what was made is kept"
    assert feature.preview is made
    desk.dock.session.close_scan()
    desk.idle(0.1)
    assert feature.preview is None
    assert len(feature._pane.viewer.layers) == 0


@pytest.mark.own_window
def test_a_view_hidden_with_a_picture_waiting_is_drawn_when_it_is_seen_again(desk):
    """On the screen: Qt forgets the request, and vispy asks for no other while it waits for that one."""
    desk.open("phantom")
    desk.run("tiny-mask")
    desk.dock.reading.strip.show_page("Measures")
    desk.four()
    desk.until(lambda: not desk.dock.tasks.names())
    desk.dock.session.close_scan()
    desk.dock.views.show_one()
    desk.dock.reading.strip.hide()
    desk.idle(0.1)
    desk.open("phantom")
    pane = desk.four()[3]
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.3)
    assert (pixels_of(desk, pane).min(axis=-1) > 150).sum() > 5000


def test_a_large_scan_says_that_its_preview_is_coarser(desk):
    scan = Volume(np.zeros((150, 180, 190), np.int16), Geometry((150, 180, 190), (1.0, 1.0, 1.0)), name="large")
    feature = show(desk, scan)
    factor = max(feature.preview.blocks)
    assert factor > 1
    assert f"3D preview {factor}x coarser" in feature._notices()


def test_the_time_point_that_is_seen_is_shown(desk):
    feature = show(desk, volume(times=3))
    assert feature.preview.codes.max() == 0
    desk.viewer.dims.set_current_step(0, 2)
    desk.until(lambda: feature.preview.codes.max() > 0 and not desk.dock.tasks.names())
    desk.idle(0.3)
    middle_of(pixels(desk)[..., 0] > 150)


def test_surfaces_have_the_place_colour_and_visibility_of_their_classes(desk):
    feature = show(desk, volume(), mask())
    desk.dock.tabs.setCurrentIndex(0)
    feature.panel.rendering.setCurrentIndex(3)
    desk.idle(0.2)
    assert pixels(desk).max() < 40, "no scan: nothing is drawn"
    feature.make_surfaces()
    desk.until(lambda: feature.surfaces and not desk.dock.tasks.names())
    desk.idle(0.4)
    shown = pixels(desk)
    red, blue = shown[..., 0], shown[..., 2]
    left = middle_of(blue > red + 40)  # class 2: sky blue; class 1: orange
    right = middle_of(red > blue + 40)
    place = desk.dock.views.grid.world_of(MARK)
    assert feature.projection().to_canvas(place) == pytest.approx(left, abs=6)
    assert right[0] < desk.on("volume").width() / 2 < left[0]
    assert set(feature.surfaces) == {1, 2}
    desk.dock.session.hide_classes(frozenset({2}))
    desk.idle(0.3)
    shown = pixels(desk)
    assert not (shown[..., 2] > shown[..., 0] + 40).any()
    middle_of(shown[..., 0] > shown[..., 2] + 40)
    feature.panel.shown.click()
    desk.idle(0.3)
    assert pixels(desk).max() < 40


def test_a_stroke_makes_surfaces_out_of_date_and_another_mask_takes_them_away(desk):
    feature = show(desk, volume(), mask())
    feature.make_surfaces()
    desk.until(lambda: feature.surfaces and not desk.dock.tasks.names())
    assert not feature.stale
    layer = desk.dock.layers.mask
    layer.data_setitem((np.array([10, 11]), np.array([10, 10]), np.array([10, 10])), 1)
    desk.dock.strokes.commit()
    desk.idle(0.1)
    assert feature.stale
    assert feature.panel.state.text() == "Out of date: the mask changed."
    assert feature.panel.surfaces.text() == "Update surfaces"
    feature.make_surfaces()
    desk.until(lambda: not feature.stale and not desk.dock.tasks.names())
    assert feature.panel.state.text().startswith("2 surfaces, ")
    desk.dock.session.close_mask(keep=False)
    desk.idle(0.1)
    assert not feature.surfaces
    assert feature.scene.surface is None
    assert not feature.panel.surfaces.isEnabled()


def test_pictures_have_no_3d(desk):
    show(desk, volume())
    desk.dock.views.show_one()
    assert not feature_section(desk).isHidden()
    desk.open("fundus")
    assert desk.dock.layers.scan.metadata[KEY]["picture"]
    assert feature_section(desk).isHidden()


def feature_section(desk: Any) -> Any:
    return desk.dock.reading.volume_view.panel.parentWidget()
