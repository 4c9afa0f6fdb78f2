"""The strip at the bottom of the window: closed at first, one page at a time, its keys are its own."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLabel, QTableWidget, QTableWidgetItem

pytestmark = [pytest.mark.gui, pytest.mark.own_window]  # it adds pages, and closes the dock


def two_pages(desk):
    found = desk.dock.reading.strip
    table = QTableWidget(1, 1)
    table.setItem(0, 0, QTableWidgetItem("a"))
    found.add_page("One", table)
    found.add_page("Two", QLabel("two"))
    desk.open("phantom")
    return found


def test_closed_until_asked_for_and_one_page_at_a_time(desk) -> None:
    strip = two_pages(desk)
    told = []
    strip.page_changed.connect(told.append)
    assert strip.page == "" and strip.widget is None
    height = desk.qt_window.height()
    canvas = desk.native.height()
    strip.show_page("One")
    desk.idle()
    assert strip.widget.isVisible() and strip._pages["One"].isVisible() and not strip._pages["Two"].isVisible()
    assert desk.qt_window.height() == height
    assert 110 <= strip.widget.height() <= 170
    assert canvas - desk.native.height() >= 110
    desk.click(strip._header._buttons["Two"])
    assert strip._pages["Two"].isVisible() and not strip._pages["One"].isVisible()
    desk.click(strip._header.close_button)
    desk.idle()
    assert not strip.widget.isVisible() and strip.page == "" and desk.native.height() == canvas
    strip.toggle_page("Two")
    strip.toggle_page("Two")
    assert told == ["One", "Two", "", "Two", ""]


def test_the_dock_keeps_its_height_and_the_strip_lies_below_the_picture(desk) -> None:
    strip = two_pages(desk)
    before = desk.dock.height()
    strip.show_page("One")
    desk.idle()
    assert desk.dock.height() == before
    left = desk.dock.mapTo(desk.qt_window, desk.dock.rect().topLeft()).x()
    assert strip.widget.geometry().right() <= left


def test_keys_in_a_table_of_the_strip_do_nothing_to_the_picture(desk) -> None:
    strip = two_pages(desk)
    strip.show_page("One")
    desk.idle()
    table, dims = strip._pages["One"], desk.viewer.dims
    table.setFocus()
    step, window = tuple(dims.current_step), tuple(desk.dock.layers.scan.contrast_limits)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_3, Qt.Key.Key_G, Qt.Key.Key_I, Qt.Key.Key_Backspace, Qt.Key.Key_Down):
        QTest.keyClick(table, key)
        desk.idle(0.02)
    assert tuple(dims.current_step) == step
    assert tuple(desk.dock.layers.scan.contrast_limits) == window
    assert desk.dock.layers.scan.colormap.name == "gray" and desk.dock.views.layout == "one"
    assert desk.dock.mode == "Read"


def test_closing_the_dock_takes_the_strip_out_of_the_window(desk) -> None:
    strip = two_pages(desk)
    corner = Qt.Corner.BottomRightCorner
    before = desk.qt_window.corner(corner)
    strip.show_page("One")
    assert desk.qt_window.corner(corner) == Qt.DockWidgetArea.RightDockWidgetArea
    qt = strip.widget
    desk.dock.shut_down()
    assert desk.qt_window.corner(corner) == before and qt.parent() is None
