"""Maps side by side, in the narrowest dock, and saved."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_medcnn.core.saliency import CAUTION
from napari_medcnn.widgets.hand_on.wishes import MapWish
from tiny_packages import AFFINE
from why_desk import answered, lps, ready, two_parts

pytestmark = pytest.mark.gui


@pytest.fixture
def scan_file(tmp_path):
    return two_parts(tmp_path / "scan.nii.gz")


def test_a_second_map_stands_beside_the_first_at_the_same_place(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.form.firsts["integrated-gradients"])
    answered(desk, 2)
    why.panel.other.setCurrentIndex(1)
    desk.idle(0.2)
    (side,) = why.beside.sides.sides
    data = [layer.data for layer in side.pane.viewer.layers]
    assert any(np.shares_memory(each, why.maps.all[0].explained.layer[0]) for each in data)
    assert why.maps.current is why.maps.all[1] and why.maps.layer.visible
    x, y, z = lps((16, 12, 10))
    desk.dock.views.go_to((-z, y, x))
    desk.idle(0.1)
    depth = side.pane.frame().depth_axis
    assert side.pane.frame().depth == pytest.approx((-z, y, x)[depth], abs=1e-3)
    assert any("Where it looked" in each for each in side.words.corners(side.pane.frame()).words)
    desk.key(Qt.Key.Key_G)
    desk.idle(0.2)
    assert not why.beside.sides.sides and why.panel.other.currentIndex() == 0


def test_everything_fits_into_a_dock_of_340_pixels(desk, scan_file) -> None:
    why = ready(desk, scan_file)
    desk.order(check_seconds=5)
    desk.click(desk.dock.ai.result.why)
    desk.until(lambda: why.maps.current is not None and why.maps.current.made.check is not None)
    why.form.more.open(True)
    why.form.options_section.open(True)
    desk.idle(0.1)
    # the dock's and the tab's margins and the scroll bar take 45
    assert why.block.minimumSizeHint().width() <= 340 - 45
    area = desk.dock.tabs.currentWidget()
    desk.dock.setFixedWidth(340)
    desk.idle(0.2)
    for part in (why.form, why.panel):
        right = part.mapTo(area.viewport(), part.rect().topRight()).x()
        assert right <= area.viewport().width()


def test_the_map_is_saved_on_the_grid_of_the_file(desk, scan_file, tmp_path) -> None:
    why = ready(desk, scan_file)
    index = (5, 7, 4)
    desk.order(at_lps=[float(v) for v in lps(index)], badge="weakly")
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.panel.check)
    answered(desk)
    target = tmp_path / "map.nii.gz"
    offered = []
    desk.dock.dialogs.map = lambda offer: offered.append(offer) or MapWish(target)
    desk.click(why.panel.save)
    answered(desk)
    image = nibabel.load(target)
    assert np.allclose(image.affine, AFFINE, atol=1e-4) and image.get_data_dtype() == np.float32
    assert [tuple(at) for at in np.argwhere(np.asarray(image.dataobj) == 1)] == [index]
    record = json.loads((tmp_path / "map.provenance.json").read_text())
    assert record["map"]["check"]["badge"] == "weakly" and record["options"]["method"] == "grad-cam"
    assert offered[0].suggestion == "medcnn-scan-why"
    page = tmp_path / "map.html"
    desk.dock.dialogs.map = lambda _offer: MapWish(page)
    desk.click(why.panel.save)
    answered(desk)
    text = page.read_text()
    assert CAUTION in text and "weakly" in text and "scan.nii" not in text and str(tmp_path) not in text
    desk.dock.dialogs.map = lambda _offer: MapWish(tmp_path / "absent" / "map.html")
    desk.click(why.panel.save)
    desk.until(lambda: not desk.dock.tasks.names())
    assert "no such folder" in desk.dock.message.text()


def test_copied_text_makes_the_map_again(desk, scan_file) -> None:
    why = ready(desk, scan_file, "tiny-class")
    desk.click(desk.dock.ai.result.why)
    answered(desk)
    desk.click(why.panel.command)
    words = QApplication.clipboard().text()
    assert words.startswith("medcnn explain -m ") and str(scan_file) in words and "--check" not in words
    desk.click(why.panel.check)
    answered(desk)
    desk.click(why.panel.command)
    assert "--check" in QApplication.clipboard().text()
    desk.click(why.panel.python)
    assert "mc.explain(scan" in QApplication.clipboard().text()
