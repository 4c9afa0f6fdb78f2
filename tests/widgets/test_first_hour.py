"""What stopped a new annotator in the first hour: each is done here with the hands a person has."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox
from scipy import ndimage

from napari_medcnn.widgets.parts import Choice
from napari_medcnn.widgets.result_view import square
from napari_medcnn.widgets.tools.registry import found, tool

pytestmark = pytest.mark.gui


@pytest.fixture
def photo(desk):
    """The photograph with an empty mask, brush in hand."""
    desk.open("fundus")
    desk.empty_mask()
    yield desk
    desk.key(Qt.Key.Key_Escape)
    desk.key(Qt.Key.Key_Escape)
    desk.dock.toolbox._remembered.clear()


def finished(desk) -> None:
    desk.until(lambda: not desk.dock.tasks.names())
    desk.idle(0.02)


def green(desk) -> np.ndarray:
    return np.asarray(desk.dock.layers.scan.data)[..., 1]


def pixel(desk, row: int, column: int) -> tuple[float, float]:
    return desk.dock.views.panes[0].frame().to_canvas((0.0, *desk.dock.layers.mask.data_to_world((row, column))))


def test_region_in_a_photograph_goes_by_green(photo) -> None:
    values = green(photo)
    photo.key(Qt.Key.Key_R)
    form = photo.dock.correct.form
    assert form.title.text() == "Region grow: Class 1"
    grow = photo.dock.toolbox.drawn.grow
    middle = pixel(photo, values.shape[0] // 2, values.shape[1] // 2)
    photo.drag(middle, middle, steps=1)
    photo.until(lambda: grow.levels is not None)
    at = grow._seed.index[1:]
    tolerance = grow.tolerance
    assert tolerance == min(26.0, grow.levels.largest)  # a tenth of 0 to 255
    assert f"{tolerance:g} G, " in grow._words()
    low, high = (int(values[at]) + side * int(tolerance) for side in (-1, 1))
    assert grow._long_words().startswith(f"Values from {low} to {high} G: ")
    photo.key(Qt.Key.Key_Return)
    finished(photo)
    seed = photo.dock.strokes.array[0][at]
    assert seed == 1
    like = np.abs(values.astype(int) - int(values[at])) <= tolerance
    grown = photo.dock.strokes.array[0] == 1
    assert grown.sum() > 100 and not (grown & ~like).any()  # nothing of another green
    piece = ndimage.label(like)[0]
    assert (piece[grown] == piece[at]).all()


def test_threshold_and_range_in_a_photograph_go_by_green(photo) -> None:
    values = green(photo)
    photo.dock.toolbox.open_form(tool("threshold"))
    form = photo.dock.correct.form
    assert (form.values()["low"], form.values()["high"]) == (0.0, 255.0)
    form.show_value("low", 100.0)
    form.show_value("high", 120.0)
    photo.dock.toolbox.use(tool("threshold"), {"low": 100.0, "high": 120.0})
    finished(photo)
    expected = (values >= 100) & (values <= 120)
    np.testing.assert_array_equal(photo.dock.strokes.array[0] == 1, expected)
    assert photo.dock.painting.row.unit_words.text() == "G"


def test_a_preview_in_a_photograph_says_pixels_once(photo) -> None:
    photo.dock.strokes.change("Test", np.s_[0:1, 50:60, 50:60], np.ones((1, 10, 10), np.uint8))
    photo.dock.strokes.change("Test", np.s_[0:1, 54:56, 54:56], np.zeros((1, 2, 2), np.uint8))
    photo.dock.toolbox.open_form(tool("fill_holes"))
    photo.click(photo.dock.correct.form.preview)
    finished(photo)
    assert photo.dock.correct.form.words.text() == "Class 1: 96 px \N{RIGHTWARDS ARROW} 100 px"


def test_filling_open_background_is_refused_without_numbers_of_voxels(photo) -> None:
    photo.key(Qt.Key.Key_F)
    at = pixel(photo, 100, 100)
    photo.drag(at, at, steps=1)
    finished(photo)
    words = photo.dock.correct.message.text()
    assert words.startswith("The background here is open to the border of this slice") and "(" not in words


def test_a_name_comes_before_a_description_in_the_list_of_tools() -> None:
    assert found("scrib")[0].name == "refine"
    assert found("take back")[0].name == "take_back"
    assert [each.name for each in found("copy")] == ["copy_next", "copy_previous"]


def test_an_empty_mask_after_closing_does_not_inherit_the_classes_of_another_scan(photo) -> None:
    session = photo.dock.session
    photo.dock.session.rename_class(1, "vessel")
    assert session.labels.names == ("vessel",)
    photo.dock.strokes.unsaved = 0
    session.close_scan()
    photo.open("phantom")
    photo.empty_mask()
    assert session.labels.names == ("Class 1",)


def test_a_class_is_combined_with_another_one(photo) -> None:
    photo.dock.session.add_class("second")
    photo.dock.session.choose_class(1)
    photo.dock.toolbox.open_form(tool("combine"))
    assert photo.dock.correct.form.values()["other"] == 2


def test_buttons_stay_where_they_are_when_two_lines_are_said(photo) -> None:
    dock = photo.dock
    dock.say("")
    photo.idle(0.05)
    before = dock.tabs.mapTo(dock, dock.tabs.rect().topLeft()).y()
    dock.say("Region grow: 20 slices, 46.1 ml more of anterior hippocampus")
    photo.idle(0.05)
    assert dock.message.height() > dock.message.fontMetrics().height() * 1.5  # it takes two lines
    assert dock.tabs.mapTo(dock, dock.tabs.rect().topLeft()).y() == before
    dock.say("")


def test_opening_a_form_takes_away_what_the_tool_before_said(photo) -> None:
    photo.dock.say("Undone: Lasso")
    photo.dock.toolbox.open_form(tool("smooth"))
    assert photo.dock.message.text() == ""


def test_words_of_a_list_that_do_not_fit_are_not_cut_inside_a_letter(photo) -> None:
    def drawn(kind: type[QComboBox], words: str) -> object:
        box = kind()
        box.addItem(words)
        box.resize(120, 28)
        return box.grab().toImage()

    assert drawn(Choice, "Smooth") == drawn(QComboBox, "Smooth")
    assert drawn(Choice, "Retinal vessels in photographs") != drawn(QComboBox, "Retinal vessels in photographs")


def test_the_square_of_a_class_has_its_colour_in_a_heading_too(photo) -> None:
    icon = square((86, 180, 233))
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Selected):
        assert icon.pixmap(14, 14, mode).toImage().pixelColor(7, 7).getRgb()[:3] == (86, 180, 233)


def test_seeds_in_a_photograph_grow(photo) -> None:
    photo.key(Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(photo.dock.toolbox.finder.search, "grow from")
    QTest.keyClick(photo.dock.toolbox.finder.search, Qt.Key.Key_Return)
    photo.until(lambda: photo.dock.toolbox.finder is None)
    photo.key(Qt.Key.Key_1)
    photo.drag(pixel(photo, 300, 300), pixel(photo, 300, 320))
    photo.key(Qt.Key.Key_0)
    photo.drag(pixel(photo, 330, 300), pixel(photo, 330, 320))
    for _twice in range(2):
        photo.key(Qt.Key.Key_Return)
        finished(photo)
    grown = photo.dock.strokes.array[0]
    assert grown[300, 300:321].all() and not grown[330, 300:321].any()
