"""Where a map is seen: in the 3D view, beside the first view, in sight after an answer; and what is said before one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_medcnn.core.saliency import Pace
from napari_medcnn.widgets.volume_view.map_volume import map_volume
from napari_medcnn.widgets.why.why_jobs import EXPLAINING
from tiny_packages import nifti
from why_desk import SHAPE, answered, layer_lps, lps, open_file, ready, two_parts

pytestmark = pytest.mark.gui


@pytest.fixture
def scan_file(tmp_path):
    return two_parts(tmp_path / "scan.nii.gz")


def test_the_3d_view_shows_the_map_where_it_lies_and_follows_the_sliders(desk, scan_file) -> None:
    why, index = ready(desk, scan_file), (5, 7, 4)
    desk.four()
    scene = desk.dock.reading.volume_view.scene
    desk.until(lambda: scene.image is not None)
    desk.order(at_lps=[float(v) for v in lps(index)])
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.until(lambda: scene.map is not None)
    layer = scene.map
    (found,) = np.argwhere(np.asarray(layer.data) == 1)
    assert np.allclose(layer_lps(layer, found), lps(index), atol=1e-4)
    assert layer.visible and layer.opacity == pytest.approx(why.maps.layer.opacity)
    why.panel.opacity.setValue(400)
    why.panel.low.setValue(500)
    desk.idle(0.05)
    assert layer.opacity == pytest.approx(0.2)  # 40 %, faint because it is not checked
    assert np.array_equal(layer.colormap.colors, why.maps.layer.colormap.colors)
    why.panel.visible_box.click()
    desk.idle(0.05)
    assert not layer.visible
    desk.click(why.panel.remove)
    desk.idle(0.05)
    assert scene.map is None and layer not in desk.dock.views.pane("volume").viewer.layers


def test_blocks_of_the_3d_map_keep_their_highest_value() -> None:
    data = np.zeros((4, 6, 5), np.float32)
    data[3, 5, 4], data[0, 0, 0], data[1, 1, 1] = 2.0, -3.0, np.nan
    part = (data, {"scale": (3.0, 1.0, 1.0), "translate": (10.0, 0.0, 0.0), "contrast_limits": (-3.0, 3.0)}, "image")
    made = map_volume(part, True, side=3)
    assert made is not None and made.values.max() == 2.0 and made.values.min() == 0.0
    assert made.values.size <= 27 and made.values[-1, -1, -1] == 2.0
    blocks = [round(s / own) for s, own in zip(made.spacing, (3.0, 1.0, 1.0), strict=True)]
    assert made.values.shape == tuple(-(-n // b) for n, b in zip(data.shape, blocks, strict=True))
    assert made.translate == pytest.approx([10 + (blocks[0] - 1) * 1.5, (blocks[1] - 1) / 2, (blocks[2] - 1) / 2])
    assert map_volume((data[0], part[1], "image"), True) is None


def test_both_maps_follow_the_sliders_each_in_its_own_range(desk, scan_file) -> None:
    why = ready(desk, scan_file, "tiny-class")
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.form.firsts["integrated-gradients"])
    answered(desk, 2)
    why.panel.other.setCurrentIndex(1)
    desk.idle(0.1)
    (side,) = why.beside.sides.sides
    over, other = side.pane.viewer.layers[-1], why.maps.all[0]
    why.panel.opacity.setValue(400)
    why.panel.top.setValue(500)
    assert over.opacity == pytest.approx(0.2) == why.maps.layer.opacity
    # the top tenth of 24 columns of a ramp from 0 to 1: as in the first view, but in its own range and colours
    assert other.legend.hidden == pytest.approx(21 / 23, abs=1e-6)
    clear = over.colormap.colors[:, 3] == 0
    assert clear[:900].all() and not clear[960:].any()
    assert (other.legend.method, why.maps.current.legend.method) == ("Where it looked", "Fine detail")
    assert not other.legend.signed and why.maps.current.legend.signed
    why.panel.visible_box.click()
    assert not over.visible and not why.maps.layer.visible
    why.panel.visible_box.click()
    assert over.visible and why.maps.layer.visible


def test_title_verdict_and_caution_are_in_sight_after_an_answer_on_a_small_screen(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.dock.setFixedHeight(691)
    try:
        desk.order(check_seconds=5, slow=0.2)
        desk.click(desk.dock.ai.result.why)
        desk.until(lambda: why.maps.current is not None and why.maps.current.made.check is not None)
        answered(desk)
        desk.idle(0.2)
        view = desk.dock.tabs.currentWidget().viewport()
        for part in (why.panel.title, why.panel.badge, why.panel.caution):
            top = part.mapTo(view, part.rect().topLeft()).y()
            assert top >= 0 and top + part.height() <= view.height(), part.text()
    finally:
        desk.dock.setMinimumHeight(0)
        desk.dock.setMaximumHeight(16777215)


def test_the_page_of_a_check_goes_with_its_scan(desk, scan_file, tmp_path) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.panel.check)
    answered(desk)
    strip = desk.dock.reading.strip
    assert strip.page == "Check" and strip.widget.isVisible()
    open_file(desk, nifti(tmp_path / "other.nii.gz", SHAPE, seed=5))
    assert strip.page == "" and not strip.widget.isVisible()


def test_the_time_of_a_question_is_said_before_it_is_put(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    why.open()
    assert not why.form.reason.isVisible()
    why.question.learn(SimpleNamespace(pace=Pace(100.0, 300.0)), "tiny-mask")
    why.question.set_place((3, 5, 4))
    # one window holds the whole scan: one pass with its gradient
    assert why.form.firsts["grad-cam"].text() == "Where it looked  (about 5 min)"
    assert "takes a while" in why.form.reason.text() or "take a while" in why.form.reason.text()
    assert why.form.reason.isVisible() and EXPLAINING not in desk.dock.tasks.names()
    why.question._paces.clear()


def test_copying_waits_for_the_mask_that_was_clicked_and_says_so(desk, scan_file, tmp_path) -> None:
    why = ready(desk, scan_file)
    why.at((3, 5, 4))
    answered(desk)
    assert not why.panel.command.isEnabled() and "save the mask first" in why.panel.command.toolTip()
    desk.dock.session.saving.save(tmp_path / "mask.nii.gz")
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.05)
    assert why.panel.command.isEnabled() and why.panel.python.isEnabled()
