"""Why?: a map over the scan from a button, a key, a click on a mask and a class; in a real window, by hand.

The scan's axes are permuted and mirrored and its voxels are no cubes; where a map lies is derived from the file with
nibabel alone.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from heartbeat import Heartbeat
from napari_medcnn.core.saliency import CAUTION
from napari_medcnn.widgets.why import why as why_module
from tiny_packages import nifti
from why_desk import SHAPE, answered, layer_lps, lps, map_layers, open_file, pixel_of, ready, two_parts

pytestmark = pytest.mark.gui


@pytest.fixture
def scan_file(tmp_path):
    return two_parts(tmp_path / "scan.nii.gz")


def test_click_on_a_component_gives_a_map_that_lies_on_it(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.form.click)
    at = pixel_of(desk, (16, 12, 10))
    desk.drag(at, at, steps=1)
    answered(desk, 2)
    assert not why.form.click.isChecked()
    layer = why.maps.layer
    assert layer.visible and [each.visible for each in map_layers(desk)].count(True) == 1
    marked = np.argwhere(np.asarray(layer.data) == 1)
    drawn = np.array([layer_lps(layer, index) for index in marked])
    truth = np.array([lps(index) for index in np.argwhere(np.ones([6, 6, 4])) + (14, 10, 9)])
    assert len(drawn) == 6 * 6 * 4
    assert np.allclose(drawn[np.lexsort(drawn.T)], truth[np.lexsort(truth.T)], atol=1e-4)
    assert "144 voxels" in why.panel.title.text()
    assert why.panel.badge.text().startswith("Check: not checked")
    assert "drawn faintly" in why.panel.badge.text()
    assert why.panel.caution.text() == CAUTION
    said = desk.said()
    assert "Check: not checked" in said and CAUTION in said
    assert layer.opacity == pytest.approx(0.5 * why.panel.share)
    assert not layer.editable or layer.locked


def test_a_map_at_a_place_of_the_patient_is_drawn_there_in_every_view(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    index = (5, 7, 4)
    desk.order(at_lps=[float(v) for v in lps(index)])
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    layer = why.maps.layer
    (found,) = np.argwhere(np.asarray(layer.data) == 1)
    assert np.allclose(layer_lps(layer, found), lps(index), atol=1e-4)
    for pane in desk.four()[1:3]:
        (copy,) = [each for each in pane.viewer.layers if np.shares_memory(each.data, layer.data)]
        assert np.allclose(copy.scale, layer.scale) and np.allclose(copy.translate, layer.translate)
        assert copy.visible and copy.opacity == layer.opacity
    z, y, x = layer.scale * found + layer.translate
    desk.dock.views.go_to((z, y, x))
    desk.idle(0.1)
    desk.move(desk.dock.views.panes[0].frame().to_canvas((z, y, x)))
    lines = desk.dock.reading.annotations.readout.lines(desk.dock.views.panes[0])
    assert f"{layer.name}: 1" in lines


def test_the_key_asks_about_the_component_under_the_mouse_or_the_place_alone(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.move(pixel_of(desk, (5, 6, 4)))
    desk.key(Qt.Key.Key_Y)
    answered(desk)
    assert "75 voxels" in why.panel.title.text() and "bright" in why.panel.title.text()
    assert desk.dock.tabs.currentIndex() == 1
    desk.move(pixel_of(desk, (11, 2, 4)))
    desk.key(Qt.Key.Key_Y)
    answered(desk, 2)
    assert "at one voxel" in why.panel.title.text()
    assert np.count_nonzero(why.maps.layer.data) == 1


def test_the_key_off_the_scan_asks_nothing(desk, scan_file) -> None:
    ready(desk, scan_file)
    desk.move((3, 3))
    desk.key(Qt.Key.Key_Y)
    assert desk.dock.tasks.names() == () and not desk.dock.why.maps.all
    assert desk.dock.message.text() == why_module.POINT_FIRST


def test_a_click_on_a_class_asks_about_it_and_the_next_follows(desk, scan_file) -> None:
    why = ready(desk, scan_file, "tiny-class")
    bars = desk.dock.ai.result.bars
    bar = next(bars.itemAt(i).widget() for i in range(bars.count()) if getattr(
        bars.itemAt(i).widget(), "accessibleName", str)().startswith("ill"))  # fmt: skip
    QTest.mouseClick(bar, Qt.MouseButton.LeftButton)
    answered(desk)
    assert why.panel.title.text() == "Where it looked: score of ill"
    desk.click(why.panel.next)
    answered(desk, 2)
    assert why.panel.title.text() == "Where it looked: score of well"
    why.form.against.setChecked(True)
    desk.click(why.form.firsts["integrated-gradients"])
    answered(desk, 3)
    assert why.panel.title.text() == "Fine detail: what spoke against well"
    assert why.panel.maps.count() == 3 and "against well" in why.maps.layer.name
    low, high = why.maps.layer.contrast_limits
    assert low == -high and why.panel.colour_name == "Blue and orange"
    why.panel.maps.setCurrentIndex(0)
    assert why.maps.current is why.maps.all[0] and map_layers(desk) == [why.maps.layer]
    assert why.maps.layer.visible and why.maps.layer.name == why.maps.all[0].name


def test_the_same_question_again_takes_the_place_of_its_map(desk, scan_file) -> None:
    why = ready(desk, scan_file, "tiny-class")
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    first = why.maps.current
    desk.click(why.form.firsts["grad-cam"])
    answered(desk)
    assert why.maps.current is not first and len(map_layers(desk)) == 1


def test_threshold_and_top_share_hide_the_rest_and_keep_the_values(desk, scan_file) -> None:
    why = ready(desk, scan_file, "tiny-class")
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    layer, before = why.maps.layer, np.array(why.maps.layer.data)
    why.panel.low.setValue(500)
    alpha = layer.colormap.colors[:, 3]
    half = len(alpha) // 2
    assert np.all(alpha[: half - 1] == 0) and np.all(alpha[half + 1 :] > 0.9)
    # a ramp of 24 columns from 0 to 1: those at 12/23 and above are the upper half
    assert why.panel.top_words.text() == "50 %"
    why.panel.top.setValue(500)  # the left half of the slider is the first tenth
    # 10 % of 24 columns are 2.4: the third highest, 21/23, is in it, and with it all of its column
    assert why.panel.top_words.text() == "12.5 %"
    assert why.panel.hidden == pytest.approx(21 / 23, abs=1e-6)
    why.panel.opacity.setValue(400)
    assert layer.opacity == pytest.approx(0.2)
    why.panel.colour.setCurrentIndex(1)
    assert layer.colormap.name.startswith("why Cividis")
    assert np.array_equal(layer.data, before)
    why.panel.visible_box.click()
    assert not layer.visible and CAUTION not in desk.said()


def test_a_quick_check_starts_by_itself_and_its_verdict_is_drawn(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.order(check_seconds=5)
    desk.click(desk.dock.ai.result.why)
    desk.until(lambda: why.maps.current is not None and why.maps.current.made.check is not None)
    answered(desk)
    assert why.panel.badge.text() == "Check: depends on the model"
    assert why.maps.layer.opacity == pytest.approx(why.panel.share)
    assert "mask none" in why.panel.found.text()  # the model's own mask is no reference
    assert "Check: depends on the model" in desk.said()
    assert desk.dock.reading.strip.page == ""
    desk.click(why.panel.plots)
    assert desk.dock.reading.strip.page == "Check"
    assert [len(plot.curves) for plot in why.page.plots] == [2, 2, 2]
    assert list(why.page.plots[0].curves[0][1].y) == [0.4, 0.1]
    assert list(why.page.plots[2].curves[0][1].y) == [1.0, 0.1, 0.0]


@pytest.mark.parametrize(("badge", "words"), [("weakly", "depends weakly on the model"), ("no", "no: does not depend")])
def test_a_map_that_fails_its_check_stays_faint(desk, scan_file, badge, words) -> None:
    why = ready(desk, scan_file)
    desk.order(badge=badge)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    assert why.panel.check.text() == "Check this map (about 2 min)"
    desk.click(why.panel.check)
    answered(desk)
    assert words in why.panel.badge.text() and "drawn faintly" in why.panel.badge.text()
    assert why.maps.layer.opacity == pytest.approx(0.5 * why.panel.share)
    assert words in desk.said()
    assert desk.dock.reading.strip.page == "Check"


def test_a_corrected_mask_is_what_the_check_compares_with(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    dock = desk.dock
    dock.tabs.setCurrentIndex(2)
    desk.idle(0.1)
    desk.key(Qt.Key.Key_P)
    at = pixel_of(desk, (11, 12, 10))
    desk.drag(at, (at[0] + 4, at[1]))
    assert dock.strokes.unsaved == 1
    painted = int(np.count_nonzero(dock.layers.mask.data))
    assert painted > 75 + 144
    dock.tabs.setCurrentIndex(1)
    desk.click(why.panel.check)
    answered(desk)
    assert f"mask {painted}" in why.panel.found.text()
    assert "Inside the corrected mask: 50 % of the map (by chance 10.0 %)." in why.panel.found.text()


@pytest.mark.parametrize("what", [{"kill": True}, {"oom": True}, {"error": "UnsupportedError"}])
def test_what_goes_wrong_is_said_and_the_map_before_stays(desk, scan_file, what) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    before = why.maps.current
    desk.order(slow=0.2, **what)
    desk.click(why.form.firsts["occlusion"])
    desk.until(lambda: why.block.bar.isVisible())
    desk.until(lambda: not desk.dock.tasks.names(), 40)
    assert why.block.error.text().startswith("✗  ") and len(why.block.error.text()) > 6
    assert why.maps.all == [before] and why.maps.layer.visible and len(map_layers(desk)) == 1
    assert not why.block.bar.isVisible() and why.form.firsts["occlusion"].isEnabled()
    desk.order()
    desk.until(lambda: desk.dock.link.engine.state in ("ready", "off", "crashed"), 40)
    desk.click(why.form.firsts["occlusion"])
    desk.until(lambda: not desk.dock.tasks.names(), 40)
    assert len(why.maps.all) == 2 and why.block.error.text() == ""


@pytest.mark.proof  # a speed
def test_the_window_lives_while_why_is_asked_and_checked(desk, scan_file, record_property) -> None:
    """What the window's own thread computes in one go; adding a layer is napari's part, measured by itself."""
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)  # the first map also loads code
    answered(desk)
    desk.order(slow=0.5, check_seconds=5)
    beat, took = Heartbeat(), {}

    def timed(owner, name: str) -> None:
        inner = getattr(owner, name)

        def measured(*given):
            start = time.thread_time()
            made = inner(*given)
            took[name] = max(took.get(name, 0.0), time.thread_time() - start)
            return made

        setattr(owner, name, measured)

    for owner, name in ((why, "_progress"), (why, "_done"), (why.maps, "add"), (why, "_bring_in"), (why, "_refresh")):
        timed(owner, name)
    add = why.maps.add
    why.maps.add = lambda explained: (took.setdefault("stood still until then", beat.stop()), add(explained))[1]
    desk.click(why.form.firsts["integrated-gradients"])
    desk.until(lambda: len(why.maps.all) == 2 and why.maps.current.made.check is not None)
    took["_done"] -= took["add"]
    for name, seconds in took.items():
        record_property(name, round(seconds * 1000))
        print(f"{name}: {seconds * 1000:.0f} ms")
    assert all(seconds < 0.1 for name, seconds in took.items() if name != "add")


@pytest.mark.parametrize("how", ["button", "key"])
def test_cancel_leaves_nothing_half(desk, scan_file, how) -> None:
    why = ready(desk, scan_file)
    desk.order(slow=20)
    desk.click(desk.dock.ai.result.why)
    desk.until(lambda: why.block.bar.maximum() == 1000)
    if how == "button":
        desk.click(why.block.cancel)
    else:
        desk.key(Qt.Key.Key_Escape)
    desk.until(lambda: not desk.dock.tasks.names())
    assert not why.maps.all and not map_layers(desk)
    assert why.block.error.text() == "" and not why.block.bar.isVisible()


def test_a_new_scan_drops_maps_and_questions(desk, scan_file, tmp_path) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.order(slow=20)
    desk.click(why.form.firsts["occlusion"])
    desk.until(lambda: why.block.bar.maximum() == 1000)
    open_file(desk, nifti(tmp_path / "other.nii.gz", SHAPE, seed=5))
    assert not why.maps.all and not map_layers(desk)
    assert why.block.isHidden() and CAUTION not in desk.said()
    assert why_module.EXPLAINING not in desk.dock.tasks.names()


def test_another_mask_leaves_the_maps_and_saving_it_saves_no_map(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    assert desk.dock.layers.mask.contour == 1
    desk.run("tiny-mask")
    assert len(map_layers(desk)) == 1 and desk.dock.layers.mask.contour == 1
    assert set(np.unique(desk.dock.layers.mask_value().array)) == {0, 2}
    desk.click(why.panel.remove)
    assert not map_layers(desk) and desk.dock.layers.mask.contour == 0
    assert not why.panel.isVisible()
