"""Which key does what for this user: sets of keys, changed keys, the file that keeps them, the window to choose."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_medcnn.core import paths
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.key_choice import KeyChoice, is_fixed, kept_for, read_choice, row_of, write_choice
from napari_medcnn.widgets.key_names import problem
from napari_medcnn.widgets.key_presets import ITK_SNAP, OURS, PRESETS, SLICER
from napari_medcnn.widgets.keymap import BOTH, CORRECT, KEYS, READ, RESERVED, ids
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


def twice(choice: KeyChoice) -> list[tuple[str, str]]:
    """Return (mode, key) of every key with two meanings in one mode."""
    found = []
    for mode in BOTH:
        keys = [row.key for row in choice.rows if mode in row.modes and row.key]
        found += [(mode, key) for key in set(keys) if keys.count(key) > 1]
    return found


# ---- sets of keys ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_in_every_set_a_key_has_one_line_per_mode(preset: str) -> None:
    choice = KeyChoice(preset)
    assert set(choice.keys) == set(ids(KEYS)) and len(set(ids(KEYS))) == len(KEYS)
    assert twice(choice) == []
    assert set(PRESETS[preset]) <= set(CHANGEABLE), "every line that the set names is in the table"
    assert [key for key in choice.keys.values() if key and problem(key) and key not in ("F1", "Escape")] == []
    without = {name for name, key in choice.keys.items() if not key}
    assert without == (set() if preset == SLICER else {"undo #2"}), "actions that lost their key by accident"


def test_two_sets_are_those_of_the_programs() -> None:
    """By hand from the pages that `key_presets` names."""
    slicer, snap = KeyChoice(SLICER).keys, KeyChoice(ITK_SNAP).keys
    assert (slicer["move -1"], slicer["move 1"]) == ("Left", "Right")
    assert (slicer["undo"], slicer["redo"], slicer["step_class -1"], slicer["step_class 1"]) == ("Z", "Y", "Q", "W")
    assert (slicer["hide_overlays"], slicer["brush -1"], slicer["brush 1"]) == ("G", "-", "=")
    assert (snap["move -1"], snap["move 1"], snap["move 10"]) == ("PageUp", "PageDown", "Shift-PageDown")
    assert (snap["tool_paint"], snap["step_class -1"], snap["step_class 1"]) == ("4", ",", ".")
    assert (snap["hide_overlays"], snap["preset 0"], snap["pick_class 4"]) == ("S", "Control-Shift-J", "Alt-4")


def test_keys_that_later_tools_will_have_are_free_and_named() -> None:
    for key, modes, what in RESERVED:
        assert problem(key) == "" and what
        assert not [row for row in KEYS if row.key == key and set(row.modes) & set(modes)], key
    assert kept_for("tool_paint", "J") == "interpolating between slices"
    assert kept_for("tool_paint", "G") == ""
    only_read = next(name for name in ids(KEYS) if row_of(name).modes == (READ,))
    assert kept_for(only_read, "J") == ""


@pytest.mark.parametrize(
    "key, ok",
    [("A", True), ("Control-Shift-Z", True), ("Shift-PageUp", True), ("[", True), ("-", True), ("Alt-4", True),
     ("F12", True), ("Enter", True), ("Delete", True), ("?", False), ("", False), ("!", False), ("+", False),
     ("<", False), ("Shift-1", False), ("Shift-;", False), ("F1", False), ("Shift-F1", False), ("Escape", False),
     ("Tab", False), ("Space", False), ("Control-Space", False), ("Meta-A", False), ("Shift-Control-Z", False),
     ("Control-Control-Z", False), ("a", False), ("Control-", False), ("F13", False), ("é", False), ("AB", False)],
)  # fmt: skip
def test_which_keys_may_be_given(key: str, ok: bool) -> None:
    assert (problem(key) == "") is ok, problem(key)


def test_napari_can_bind_every_key_that_may_be_given_and_tells_them_apart() -> None:
    from napari.utils.key_bindings import coerce_keybinding

    names = [*"ABCXYZ0123456789[]-=,.;'\\/`", "Up", "PageUp", "Home", "Insert", "Delete", "Backspace", "Enter", "F2"]
    names += [f"Control-{name}" for name in "AZ09"] + ["Alt-4", "Control-Shift-Z", "Control-Alt-Shift-Left"]
    assert [name for name in names if problem(name)] == []
    assert len({str(coerce_keybinding(name)) for name in names}) == len(names)
    assert "" not in {str(coerce_keybinding(name)).strip() for name in names}


# ---- changed keys ----------------------------------------------------------------------------------------------------


def test_a_key_that_another_line_has_is_swapped() -> None:
    choice = KeyChoice().with_key("tool_paint", "E")
    assert (choice.keys["tool_paint"], choice.keys["tool_erase"]) == ("E", "P")
    assert choice.reset("tool_paint") == KeyChoice()
    # T works in both modes, P only in Correct: Read or Correct gets P, which is free in Read
    assert KeyChoice().with_key("tool_paint", "T").keys["toggle_mode"] == "P"
    # "1" is two lines, one per mode; the key I goes to both of them
    taken = KeyChoice().with_key("invert", "1").keys
    assert (taken["invert"], taken["preset 1 #2"], taken["pick_class 1"]) == ("1", "I", "I")
    assert KeyChoice().with_key("tool_fill", "").keys["tool_fill"] == ""
    assert KeyChoice(SLICER).with_key("tool_paint", "Z").keys["undo"] == "P"
    assert KeyChoice(OURS, {"tool_paint": "T"}).keys["toggle_mode"] == "", "told in a file without the other line"


KEY = st.sampled_from(
    ("", "A", "E", "G", "P", "Z", "1", "4", "Control-1", "Control-Z", "Left", "PageUp", "Shift-X", ",")
)
STEP = st.tuples(st.sampled_from(CHANGEABLE), st.one_of(st.none(), KEY))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(tuple(PRESETS)), st.lists(STEP, max_size=8))
def test_no_change_gives_a_key_two_meanings_and_all_changes_can_be_taken_back(preset, steps) -> None:
    choice = KeyChoice(preset)
    for name, key in steps:
        choice = choice.reset(name) if key is None else choice.with_key(name, key)
        assert twice(choice) == []
        assert choice.keys[name] == (KeyChoice(preset).keys[name] if key is None else key)
        assert KeyChoice(preset, choice.own).keys == choice.keys
    write_choice(choice)
    assert read_choice() == choice
    assert KeyChoice(choice.preset) == KeyChoice(preset)


# ---- the file --------------------------------------------------------------------------------------------------------


def write(text: str | bytes) -> None:
    paths.home().joinpath("keys.json").write_bytes(text.encode() if isinstance(text, str) else text)


def good(**changed: Any) -> str:
    return json.dumps({"version": 1, "preset": "slicer", "keys": {"tool_paint": "B"}} | changed)


def test_without_a_file_our_keys_hold_and_a_file_is_read() -> None:
    assert read_choice() == KeyChoice()
    write(good())
    assert read_choice() == KeyChoice(SLICER, {"tool_paint": "B"})


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "JSON"),
        ("{", "JSON"),
        (b"\xff\xfe", "JSON"),
        ("[" * 5000, "JSON"),
        ('{"version": 1, "preset": "slicer", "preset": "medcnn", "keys": {}}', "JSON"),
        ("[]", "version"),
        ('{"version": 1, "preset": "slicer"}', "version"),
        (good(version=2), "version 1"),
        (good(version=True), "version 1"),
        (good(more=1), "version"),
        (good(preset="vim"), "preset"),
        (good(preset=["slicer"]), "preset"),
        (good(keys=[]), "keys"),
        (good(keys={"tool_paint": 4}), "keys"),
        (good(keys={"fly": "B"}), "'fly' is no action"),
        (good(keys={"show_keys": "B"}), "show_keys"),
        (good(keys={"tool_paint": "?"}), "'\\?' for 'Brush'"),
        (good(keys={"tool_paint": "F1"}), "'F1' for 'Brush'"),
        (good(keys={"tool_paint": "B", "tool_erase": "B"}), "B is given to both 'Brush' and 'Eraser'"),
        (" " * 70_000 + good(), "larger"),
    ],
)
def test_a_file_that_is_not_exactly_right_is_named(text: str | bytes, words: str) -> None:
    write(text)
    with pytest.raises(InputError, match=words) as told:
        read_choice()
    assert "keys.json" in str(told.value) and "Our own keys hold" in str(told.value)


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
    assert asked[-1] == 'E is "Eraser" now. Use it for "Brush", and that gets P instead?'
    said = press(window, "tool_paint", Qt.Key.Key_J)
    assert "interpolating between slices" in said and desk.dock.preferring.keys == KeyChoice()
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
