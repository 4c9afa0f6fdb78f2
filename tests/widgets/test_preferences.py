"""The window in which keys are chosen, and that what is chosen holds at once, everywhere, and next time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.core import paths
from napari_medcnn.widgets.key_choice import KeyChoice, is_fixed, read_choice, write_choice
from napari_medcnn.widgets.key_presets import ITK_SNAP, OURS, PRESETS, SLICER
from napari_medcnn.widgets.keymap import CORRECT, KEYS, ids
from napari_medcnn.widgets.keys_window import KeysWindow
from napari_medcnn.widgets.preferences_window import PreferencesWindow

pytestmark = pytest.mark.gui
CTRL, SHIFT, ALT = (
    Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier,
)  # fmt: skip
CHANGEABLE = tuple(name for name in ids(KEYS) if not is_fixed(name))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch) -> None:
    """Nobody else's keys, and none of these for anybody else."""
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def write(text: str) -> None:
    paths.home().joinpath("keys.json").write_text(text)


def test_a_broken_file_is_told_in_the_dock_and_does_no_harm(make_desk) -> None:
    write("{")
    desk = make_desk()
    assert "keys.json" in desk.dock.message.text()
    desk.open("phantom")
    desk.key(Qt.Key.Key_I)
    assert desk.dock.layers.scan.colormap.name == "gray_r"
    assert paths.home().joinpath("keys.json").read_text() == "{", "left for its owner to look at"


# ---- the window ------------------------------------------------------------------------------------------------------


def window_of(desk) -> PreferencesWindow:
    desk.dock.preferring.show_preferences()
    (window,) = desk.dock.findChildren(PreferencesWindow)
    desk.idle(0.02)
    return window


def press(window: PreferencesWindow, name: str, key: Any, held: Any = Qt.KeyboardModifier.NoModifier) -> str:
    window.choose(name)
    QTest.mouseClick(window.new, Qt.MouseButton.LeftButton)
    assert window.new.isChecked()
    QTest.keyClick(window.new, key, held)
    assert not window.new.isChecked()
    return str(window.said.text())


def test_a_new_key_acts_at_once_everywhere_and_the_old_one_no_more(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    dock, dims = desk.dock, desk.viewer.dims
    panes = desk.four()
    window = window_of(desk)
    assert press(window, "move 1", Qt.Key.Key_B, CTRL) == '"Next slice": Ctrl+B.'
    for layer in (dock.layers.mask, dock.layers.scan, None):
        desk.viewer.layers.selection.active = layer
        start = dims.current_step[0]
        desk.key(Qt.Key.Key_B, CTRL)
        assert dims.current_step[0] == start + 1, layer
        desk.key(Qt.Key.Key_Down)
        assert dims.current_step[0] == start + 1, layer
    for pane in panes:
        before = [tuple(p.viewer.dims.point) for p in panes]
        desk.key(Qt.Key.Key_Down, pane=pane)
        assert [tuple(p.viewer.dims.point) for p in panes] == before, pane.name
    added = dock.session.add_class("later") or dock.layers.scan
    assert added is not None
    assert json.loads(paths.home().joinpath("keys.json").read_text()) == {
        "version": 1, "preset": "medcnn", "keys": {"move 1": "Control-B"},
    }  # fmt: skip
    QTest.mouseClick(window.back, Qt.MouseButton.LeftButton)
    start = dims.current_step[0]
    desk.key(Qt.Key.Key_Down)
    assert dims.current_step[0] == start + 1
    assert json.loads(paths.home().joinpath("keys.json").read_text())["keys"] == {}


def test_what_cannot_be_a_key_is_refused_by_name(desk) -> None:
    window = window_of(desk)
    before = desk.dock.preferring.keys
    assert "cannot be told from others" in press(window, "invert", Qt.Key.Key_Question, SHIFT)
    assert "always shows the keys" in press(window, "invert", Qt.Key.Key_F1)
    assert "field to field" in press(window, "invert", Qt.Key.Key_Tab)
    assert "napari's menus" in press(window, "invert", Qt.Key.Key_O, CTRL)
    press(window, "invert", Qt.Key.Key_Escape)
    assert window.isVisible() and desk.dock.preferring.keys == before == KeyChoice()
    window.choose("invert")
    QTest.mouseClick(window.new, Qt.MouseButton.LeftButton)
    QTest.keyClick(window.new, Qt.Key.Key_Shift)
    assert window.new.isChecked(), "a modifier alone is no key yet"
    window.search.setFocus()
    QApplication.processEvents()
    assert not window.new.isChecked()


def test_a_key_in_use_is_named_and_taken_only_after_asking(desk) -> None:
    asked = desk.dock.dialogs.asked
    window = window_of(desk)
    desk.dock.dialogs.yes = False
    said = press(window, "tool_paint", Qt.Key.Key_E)
    assert '"Eraser"' in said and desk.dock.preferring.keys == KeyChoice()
    assert asked[-1] == 'E is "Eraser" now. Use it for "Brush or sphere", and that gets P instead?'
    said = press(window, "tool_paint", Qt.Key.Key_S)
    assert "smart clicks" in said and desk.dock.preferring.keys == KeyChoice()
    desk.dock.dialogs.yes = True
    press(window, "tool_paint", Qt.Key.Key_E)
    assert desk.dock.preferring.keys.own == {"tool_paint": "E", "tool_erase": "P"}
    QTest.mouseClick(window.all_back, Qt.MouseButton.LeftButton)
    assert desk.dock.preferring.keys == KeyChoice()
    window.choose("tool_fill")
    QTest.mouseClick(window.none, Qt.MouseButton.LeftButton)
    assert desk.dock.preferring.keys.own == {"tool_fill": ""}


def test_sets_of_keys_are_for_real_and_the_sheet_shows_them(make_desk) -> None:
    desk = make_desk()
    desk.open("phantom")
    window = window_of(desk)
    desk.dock.show_keys()
    (sheet,) = desk.dock.findChildren(KeysWindow)
    window.preset.setCurrentIndex(1)
    window.preset.activated.emit(1)
    dims = desk.viewer.dims
    start = dims.current_step[0]
    desk.key(Qt.Key.Key_Right)
    assert dims.current_step[0] == start + 1
    cells = {sheet.table.item(r, 1).text(): sheet.table.item(r, 0).text() for r in range(sheet.table.rowCount())}
    assert cells["Next slice"] == "Right" and cells["Undo"] == "Z, Ctrl+Z"
    sheet.search.setText("undo")
    shown = [sheet.table.item(r, 1).text() for r in range(sheet.table.rowCount()) if not sheet.table.isRowHidden(r)]
    assert [words for words in shown if words] == ["Undo"]
    sheet.close()
    window.preset.setCurrentIndex(2)
    window.preset.activated.emit(2)
    desk.empty_mask()
    mask = desk.dock.layers.mask
    desk.dock.correcting.use_tool("erase")
    desk.key(Qt.Key.Key_4)
    assert str(mask.mode) == "paint" and mask.selected_label == 1
    desk.key(Qt.Key.Key_0, ALT)
    assert mask.selected_label == 0
    desk.dock.shut_down()
    assert read_choice() == KeyChoice(ITK_SNAP), "the next window begins with them"


def test_the_next_window_begins_with_the_keys_that_were_kept(make_desk) -> None:
    write_choice(KeyChoice(OURS, {"invert": "Control-Alt-I"}))
    desk = make_desk()
    desk.open("phantom")
    desk.key(Qt.Key.Key_I)
    assert desk.dock.layers.scan.colormap.name == "gray"
    desk.key(Qt.Key.Key_I, CTRL | ALT)
    assert desk.dock.layers.scan.colormap.name == "gray_r"


def test_no_set_of_keys_takes_a_key_of_naparis_menus_but_one(desk) -> None:
    for preset in PRESETS:
        found = {key: desk.dock.preferring.menu_of(key) for key in KeyChoice(preset).keys.values() if key}
        assert {key: entry for key, entry in found.items() if entry} == {"Control-0": "Fit to View"} or (
            preset == ITK_SNAP and not any(found.values())
        )
    assert "Open" in desk.dock.preferring.menu_of("Control-O")


def test_our_keys_come_before_those_of_menus_while_a_canvas_has_the_focus(desk) -> None:
    """Ctrl+0 is "Fit to View" in napari's menus; shortcuts act in the active window alone."""
    desk.open("phantom")
    scan, camera = desk.dock.layers.scan, desk.viewer.scene.camera
    own = tuple(scan.contrast_limits)
    for pane in desk.four()[:3]:
        desk.key(Qt.Key.Key_2, pane=pane)
        assert tuple(scan.contrast_limits) != own
        desk.qt_window.activateWindow()
        pane.native.setFocus()
        desk.until(desk.qt_window.isActiveWindow)
        camera.zoom = 3.0
        desk.key(Qt.Key.Key_0, CTRL, pane=pane)
        assert (tuple(scan.contrast_limits), camera.zoom) == (own, 3.0), pane.name


def test_slices_go_on_while_their_key_is_down_whatever_key_it_is(desk) -> None:
    desk.open("phantom")
    desk.dock.keymap.use(KeyChoice(ITK_SNAP).rows)
    dims = desk.viewer.dims
    start = dims.current_step[0]
    for repeated in (False, True, True):
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_PageDown, Qt.KeyboardModifier.NoModifier, "", repeated)
        QApplication.sendEvent(desk.native, event)
    assert dims.current_step[0] == start + 3


def test_wheel_and_2x2_hold_at_once_and_are_kept_by_napari(desk, monkeypatch) -> None:
    kept = []
    from napari_medcnn.widgets import preferring

    monkeypatch.setattr(preferring, "set_viewing", lambda *what: kept.append(what) or True)
    desk.open("phantom")
    window = window_of(desk)
    start, zoom = desk.viewer.dims.current_step[0], desk.viewer.scene.camera.zoom
    window.wheel.setCurrentIndex(1)
    window.wheel.activated.emit(1)
    desk.wheel(1)
    assert desk.viewer.dims.current_step[0] == start and desk.viewer.scene.camera.zoom > zoom
    window.four.setChecked(True)
    assert kept == [("zoom", False), ("zoom", True)] and desk.dock.preferences.open_four
    monkeypatch.setattr(preferring, "set_viewing", lambda *what: False)
    window.four.setChecked(False)
    assert "keeps nothing" in window.said.text()


def test_changing_keys_leaves_nothing_behind(desk) -> None:
    desk.open("phantom")
    desk.empty_mask()
    dock, mask = desk.dock, desk.dock.layers.mask
    keys = (set(mask.keymap), set(desk.viewer.keymap))
    for _ in range(20):
        for preset in (SLICER, ITK_SNAP, OURS):
            dock.keymap.use(KeyChoice(preset).rows)
    assert (set(mask.keymap), set(desk.viewer.keymap)) == keys
    assert len(dock.keymap._bound) == len({id(ref()) for ref in dock.keymap._bound})
    dock.keymap.use(KeyChoice(OURS, {"undo": "F9"}).rows)
    dock.shut_down()
    assert not desk.viewer.keymap and not mask.keymap


def test_nothing_in_either_window_is_cut_at_1366_by_768(desk) -> None:
    window = window_of(desk)
    desk.dock.show_keys()
    (sheet,) = desk.dock.findChildren(KeysWindow)
    desk.idle(0.05)
    for each in (window, sheet):
        assert each.width() <= 1366 and each.height() <= 691
        for index in range(each.table.rowCount()):
            for place in range(each.table.columnCount()):
                item = each.table.item(index, place)
                if item is not None and not each.table.columnSpan(index, place) > 1:
                    needs = each.table.fontMetrics().boundingRect(item.text()).width()
                    assert needs <= each.table.columnWidth(place), item.text()
        assert CORRECT and each.minimumSizeHint().width() <= each.width()
