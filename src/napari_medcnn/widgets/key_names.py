"""Names of keys: from what Qt says was pressed to what napari binds, and which keys may be given to an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_medcnn.widgets.keymap import READ, Key, shown
from napari_medcnn.widgets.physical_keys import as_digit

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
#: Signs that napari can tell apart; it has one code for all others, so that `?` would fire on `!`, too.
_SIGNS = "[]-=,.;'\\/`"
_NAMED: Mapping[int, str] = {
    Qt.Key.Key_Up: "Up", Qt.Key.Key_Down: "Down", Qt.Key.Key_Left: "Left", Qt.Key.Key_Right: "Right",
    Qt.Key.Key_PageUp: "PageUp", Qt.Key.Key_PageDown: "PageDown", Qt.Key.Key_Home: "Home", Qt.Key.Key_End: "End",
    Qt.Key.Key_Insert: "Insert", Qt.Key.Key_Delete: "Delete", Qt.Key.Key_Backspace: "Backspace",
    Qt.Key.Key_Return: "Enter", Qt.Key.Key_Enter: "Enter", Qt.Key.Key_Escape: "Escape", Qt.Key.Key_Space: "Space",
    Qt.Key.Key_Tab: "Tab", Qt.Key.Key_Backtab: "Tab",
    Qt.Key.Key_F1: "F1", Qt.Key.Key_F2: "F2", Qt.Key.Key_F3: "F3", Qt.Key.Key_F4: "F4", Qt.Key.Key_F5: "F5",
    Qt.Key.Key_F6: "F6", Qt.Key.Key_F7: "F7", Qt.Key.Key_F8: "F8", Qt.Key.Key_F9: "F9", Qt.Key.Key_F10: "F10",
    Qt.Key.Key_F11: "F11", Qt.Key.Key_F12: "F12",
}  # fmt: skip
_MODIFIERS = (
    ("Control", Qt.KeyboardModifier.ControlModifier),
    ("Alt", Qt.KeyboardModifier.AltModifier),
    ("Shift", Qt.KeyboardModifier.ShiftModifier),
    ("Meta", Qt.KeyboardModifier.MetaModifier),
)
_ONLY_MODIFIERS = (
    Qt.Key.Key_Shift, Qt.Key.Key_Control, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr, Qt.Key.Key_CapsLock,
    Qt.Key.Key_NumLock,
)  # fmt: skip
#: Keys that keep their meaning, and why.
FIXED = MappingProxyType(
    {
        "F1": "F1 always shows the keys",
        "Escape": "Esc always cancels what is running",
        "Tab": "Tab goes from field to field",
        "Space": "Space with the mouse moves the picture",
    }
)


def name_of(event: Any) -> str | None:
    """Return the key of a Qt event as napari spells it, None for a modifier alone, "" for a key without a name.

    Digits are told by the place of their key, as on the canvas.
    """
    code = int(event.key())
    if code in _ONLY_MODIFIERS:
        return None
    held = event.modifiers()
    digit = as_digit(event, str(QGuiApplication.platformName()))
    sign = str(digit) if digit is not None else chr(code) if 32 < code < 127 else ""
    name = _NAMED.get(code, sign) if digit is None else sign
    if not name:
        return ""
    consumed = len(name) == 1 and name not in _LETTERS + _DIGITS  # Shift only makes the sign, as in napari
    parts = [word for word, flag in _MODIFIERS if held & flag and not (word == "Shift" and consumed)]
    return "-".join([*parts, name])


def keys_of(rows: Sequence[Key], action: str) -> str:
    """Return the keys of an action as printed on keyboards, "I" or "Ctrl+3 or 3 while reading"; "" for none.

    `action` is the name of its function, with its argument behind a space where it has one.
    """
    name, _, argument = action.partition(" ")
    mine = [row for row in rows if row.key and row.action == name and (not argument or str(row.argument) == argument)]
    always = [row.shown for row in mine if row.modes != (READ,)]
    reading = [f"{row.shown} while reading" for row in mine if row.modes == (READ,)]
    return " or ".join(dict.fromkeys((*always, *reading)))


def tell_keys(root: QWidget, rows: Sequence[Key]) -> None:
    """Write the keys that hold now into the tool tips of all buttons in `root` that were made with an action."""
    for made in root.findChildren(QAbstractButton):
        action = made.property("action")
        if action:
            tip, keys = str(made.property("tip") or ""), keys_of(rows, str(action))
            made.setToolTip(f"{tip} ({keys})" if tip and keys else tip or (f"Key: {keys}" if keys else ""))


def problem(name: str) -> str:
    """Return why a key cannot be given to an action, "" if it can.

    Parameters
    ----------
    name
        As `name_of` returns it, or as a file says: anything at all.
    """
    if name in FIXED:
        return f"{FIXED[name]}."
    *held, last = name.split("-") if len(name) > 1 else [name]
    order = [word for word, _flag in _MODIFIERS]
    known = last in (*_LETTERS, *_DIGITS, *_SIGNS, *_NAMED.values()) and last != ""
    if not known or [word for word in order if word in held] != held:
        return "This key cannot be told from others by napari; take a letter, a digit or a key with a name."
    if last in FIXED:
        return f"{shown(name)} is kept: {FIXED[last]}."
    if "Meta" in held:
        return "Keys with the system key belong to the desktop."
    if "Shift" in held and last in _DIGITS + _SIGNS:
        return "Shift with a digit or a sign is another key on every keyboard; take a letter."
    return ""
