"""Digits by the place of the key: the digit row of AZERTY types & é " ' ( without Shift, and has to choose classes.

Qt says which key was pressed in numbers that differ from system to system; this is the only place that knows them.
The filter sits on the canvas alone, so text fields keep what the keyboard types.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt
from qtpy.QtGui import QGuiApplication, QKeyEvent
from qtpy.QtWidgets import QWidget

#: Number of the key by platform of Qt -> digit, for the row 1 2 ... 9 0.
_EVDEV = {10 + n: (n + 1) % 10 for n in range(10)}  # X11 and Wayland: evdev's 2 to 11, plus 8
_PC = {2 + n: (n + 1) % 10 for n in range(10)}  # Windows: scan codes of set 1
_MAC = {18: 1, 19: 2, 20: 3, 21: 4, 23: 5, 22: 6, 26: 7, 28: 8, 25: 9, 29: 0}  # kVK_ANSI_1 to kVK_ANSI_0

_KEYS = (
    Qt.Key.Key_0, Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4,
    Qt.Key.Key_5, Qt.Key.Key_6, Qt.Key.Key_7, Qt.Key.Key_8, Qt.Key.Key_9,
)  # fmt: skip


def digit_of(platform: str, scan_code: int, virtual_key: int) -> int | None:
    """Return the digit printed on a key of the digit row, whatever the layout types with it.

    Parameters
    ----------
    platform
        As `QGuiApplication.platformName` says: "xcb", "wayland", "windows", "cocoa", ...
    scan_code, virtual_key
        `QKeyEvent.nativeScanCode` and `QKeyEvent.nativeVirtualKey`.

    Returns
    -------
    int or None
        None for every other key, the number pad included, and on platforms without such numbers.
    """
    if platform == "xcb" or platform.startswith("wayland"):
        return _EVDEV.get(scan_code)
    if platform == "windows":
        return _PC.get(scan_code)
    if platform == "cocoa":
        return _MAC.get(virtual_key)
    return None


def as_digit(event: Any, platform: str) -> int | None:
    """Return the digit that a key event means but does not say, None where the event is right as it is.

    Shift is left alone (it is another key), and so are keys that type a letter: some X servers number keys otherwise.
    """
    key = int(event.key())
    letter_or_digit = chr(key).isascii() and chr(key).isalnum() if 0 < key < 0x110000 else False
    if letter_or_digit or key >= 0x01000000 or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
        return None
    return digit_of(platform, int(event.nativeScanCode()), int(event.nativeVirtualKey()))


class PhysicalDigits(QObject):
    """Hands the canvases of a window the digit in place of what the layout typed.

    Parameters
    ----------
    window
        The main window; its canvases are the OpenGL widgets in it.
    """

    def __init__(self, window: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._canvases: list[QWidget] = []
        for canvas in window.findChildren(QWidget):
            if canvas.inherits("QOpenGLWidget"):
                self.watch(canvas)

    def watch(self, canvas: QWidget) -> None:
        """Listen to a canvas that came later."""
        if all(canvas is not known for known in self._canvases):
            canvas.installEventFilter(self)
            self._canvases.append(canvas)

    def let_go(self) -> None:
        """Leave the canvases as they were found."""
        for canvas in self._canvases:
            canvas.removeEventFilter(self)
        self._canvases = []

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Replace a key event by that of the digit."""
        if event.type() not in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            return False
        digit = as_digit(event, str(QGuiApplication.platformName()))
        if digit is None:
            return False
        said = QKeyEvent(event.type(), _KEYS[digit], event.modifiers(), str(digit), event.isAutoRepeat())
        QCoreApplication.sendEvent(watched, said)
        return True
