"""Numbers that people type: comma and point mean the same, a point is shown, what is unclear is refused."""

from __future__ import annotations

import re
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLineEdit

from napari_medcnn.core.quantity import plain
from napari_medcnn.errors import InputError

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def number(text: str, what: str) -> float:
    """Read a number with comma or point; what could mean two numbers is refused.

    Raises
    ------
    InputError
        No plain number, or three digits after a comma, which many read as thousands.
    """
    text = text.strip().replace("\N{MINUS SIGN}", "-")
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise InputError(f"{what}: expected a number such as 0.5 or -160, got {text[:40]!r}")
    if _THOUSANDS.fullmatch(text):
        raise InputError(f"{what}: {text} can mean two numbers; write {text.replace(',', '')} or {with_point(text)}")
    return float(with_point(text))


def with_point(text: str) -> str:
    """Return a number's text with a point for its comma."""
    return text.replace(",", ".")


def _short(value: float) -> str:
    """Return a number as a narrow line shows it: whole ones in full, others with six digits."""
    return plain(value, 15 if float(value).is_integer() else 6)


class NumberField(QLineEdit):
    """A line for one number. Enter or leaving it hands the number on; what is refused gives way to the number before.

    Signals: `typed` with a number that was newly typed; `refused` with an error that says what was expected.

    Parameters
    ----------
    name
        For error messages and screen readers.
    low, high
        What is accepted, both included.
    """

    typed = Signal(float)
    refused = Signal(object)

    def __init__(self, name: str, low: float = -1e12, high: float = 1e12) -> None:
        super().__init__()
        self._name, self._low, self._high = name, low, high
        self._shown = ""
        self.setAccessibleName(name)
        self.setAcceptDrops(False)  # a file dropped there is meant for the dock
        self.editingFinished.connect(self._read)

    def show_number(self, value: float | None) -> None:
        """Show a number, None for none; a line that is being edited is left alone until it is done."""
        self._shown = "" if value is None else _short(value)
        if not (self.hasFocus() and self.isModified()):
            self._restore()

    def _restore(self) -> None:
        if self.text() != self._shown:
            self.setText(self._shown)
            self.setCursorPosition(0)
        self.setModified(False)

    def _read(self) -> None:
        text = self.text()
        if not self.isModified() or text == self._shown:
            self._restore()
            return
        try:
            value = number(text, self._name)
            if not self._low <= value <= self._high:
                raise InputError(
                    f"{self._name}: expected {plain(self._low)} to {plain(self._high)}, got {plain(value)}"
                )
        except InputError as error:
            self._restore()
            self.refused.emit(error)
            return
        self._shown = _short(value)
        self._restore()
        self.typed.emit(value)

    def keyPressEvent(self, event: Any) -> None:
        """Escape takes back what was typed; every other key is the line's."""
        if event.key() == Qt.Key.Key_Escape and self.isModified():
            self._restore()
            event.accept()
            return
        super().keyPressEvent(event)
