"""Which key does what for this user: sets of keys, changed keys, and the file that keeps them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from napari_medcnn.core import paths
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.key_choice import KeyChoice, is_fixed, kept_for, read_choice, row_of, write_choice
from napari_medcnn.widgets.key_names import problem
from napari_medcnn.widgets.key_presets import ITK_SNAP, OURS, PRESETS, SLICER
from napari_medcnn.widgets.keymap import BOTH, KEYS, READ, RESERVED, ids

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
    assert kept_for("tool_paint", "S") == "smart clicks"
    assert kept_for("tool_paint", "G") == ""
    only_read = next(name for name in ids(KEYS) if row_of(name).modes == (READ,))
    assert kept_for(only_read, "S") == ""


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
        (good(keys={"tool_paint": "?"}), "'\\?' for 'Brush or sphere'"),
        (good(keys={"tool_paint": "F1"}), "'F1' for 'Brush or sphere'"),
        (good(keys={"tool_paint": "B", "tool_erase": "B"}), "B is given to both 'Brush or sphere' and 'Eraser'"),
        (" " * 70_000 + good(), "larger"),
    ],
)
def test_a_file_that_is_not_exactly_right_is_named(text: str | bytes, words: str) -> None:
    write(text)
    with pytest.raises(InputError, match=words) as told:
        read_choice()
    assert "keys.json" in str(told.value) and "Our own keys hold" in str(told.value)
