"""Tool tips name the keys that hold: ours at first, those of the user as soon as they are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_medcnn.widgets.key_names import keys_of
from napari_medcnn.widgets.keymap import BOTH, KEYS, READ, Key
from napari_medcnn.widgets.preferences_window import PreferencesWindow

CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDCNN_HOME", str(tmp_path / "home"))


def test_keys_of_an_action_in_words() -> None:
    assert keys_of(KEYS, "invert") == "I"
    assert keys_of(KEYS, "preset 3") == "Ctrl+3 or 3 while reading"
    assert keys_of(KEYS, "redo") == "Ctrl+Shift+Z or Ctrl+Y"
    assert keys_of(KEYS, "tool_paint") == "P"
    assert keys_of((Key("", BOTH, "Undo", "undo"), Key("M", (READ,), "Measure", "measure")), "undo") == ""
    assert keys_of(KEYS, "preset 33") == ""


def tip(desk: Any, words: str) -> str:
    (found,) = {b.toolTip() for b in desk.dock.findChildren(QPushButton) if b.text() == words}
    return str(found)


@pytest.mark.gui
def test_tips_follow_the_keys_of_the_user(desk) -> None:
    desk.open("phantom")
    said = {"Invert": "(I)", "2x2": "(G)", "Length": "(M while reading)", "Brush": "(P)", "Undo": "(Ctrl+Z)"}
    for words, keys in said.items():
        assert tip(desk, words).endswith(keys)
    assert tip(desk, "As opened") == "As opened (Ctrl+0 or 0 while reading)"
    desk.dock.preferring.show_preferences()
    (window,) = desk.dock.findChildren(PreferencesWindow)
    for name, key, held in (
        ("invert", Qt.Key.Key_J, ALT),
        ("measure_length", Qt.Key.Key_L, ALT),
        ("preset 0", Qt.Key.Key_B, CTRL),
    ):
        window.choose(name)
        QTest.mouseClick(window.new, Qt.MouseButton.LeftButton)
        QTest.keyClick(window.new, key, held)
    assert tip(desk, "Invert").endswith("(Alt+J)")
    assert tip(desk, "Length").endswith("(Alt+L while reading)")
    assert "Ctrl+B" in tip(desk, "As opened") and "Ctrl+0" not in tip(desk, "As opened")
    window.close()
    desk.dock.session.close_scan()
    desk.open("fundus")  # other windows are offered: their buttons are new
    desk.open("phantom")
    assert "Ctrl+B" in tip(desk, "As opened")
