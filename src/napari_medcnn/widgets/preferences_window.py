"""The window in which keys are chosen: a set to start from, then one after the other; the wheel; one view or 2x2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_medcnn.widgets.key_choice import KeyChoice, is_fixed, kept_for, row_of
from napari_medcnn.widgets.key_names import name_of, problem
from napari_medcnn.widgets.key_presets import NAMES
from napari_medcnn.widgets.keymap import BOTH, shown
from napari_medcnn.widgets.parts import GAP, Choice, Text, button, column, form, row

_WHEEL = (("slice", "Next or previous slice"), ("zoom", "Zoom"))


@dataclass(frozen=True)
class Shown:
    """What the window shows.

    Parameters
    ----------
    keys
        The user's keys.
    wheel_mode
        "slice" or "zoom": the wheel on volumes.
    open_four
        True if volumes open in 2x2.
    """

    keys: KeyChoice
    wheel_mode: str
    open_four: bool


@dataclass(frozen=True)
class Hands:
    """What the window asks of its owner.

    Parameters
    ----------
    apply
        Takes what was chosen, at once; returns a line to show, "" if there is nothing to say.
    sure
        Asks the user yes or no.
    menu_of
        Returns the entry of napari's menus that has a key already, "" for none.
    """

    apply: Callable[[Shown], str]
    sure: Callable[[str], bool]
    menu_of: Callable[[str], str]


class KeyButton(QPushButton):
    """Waits for a key after a click; `pressed_key` carries its name, "" for one without a name."""

    pressed_key = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Press a new key")
        self.setAutoDefault(False)
        self.setCheckable(True)
        self.toggled.connect(self._show)
        self._show(False)

    def event(self, event: Any) -> bool:
        """While it waits, every key is its own: Tab and shortcuts of menus included."""
        if self.isChecked():
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                self._take(event)
                return True
        return bool(super().event(event))

    def focusOutEvent(self, event: Any) -> None:
        """Somewhere else was clicked: no key is wanted any more."""
        self.setChecked(False)
        super().focusOutEvent(event)

    def _take(self, event: Any) -> None:
        name = name_of(event)
        if name is None:
            return
        self.setChecked(False)
        if name != "Escape":
            self.pressed_key.emit(name)

    def _show(self, waiting: bool) -> None:
        self.setText("Press the key (Esc: none)" if waiting else "New key...")


class PreferencesWindow(QDialog):
    """Every change holds at once; Close only closes."""

    def __init__(self, state: Shown, hands: Hands, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys, mouse, views")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._state, self._hands = state, hands
        self._names: list[str] = []
        layout = column(self, margin=2 * GAP)
        fields = form()
        self.preset = _choice("Set of keys", tuple(NAMES.items()))
        self.wheel = _choice("Mouse wheel on volumes", _WHEEL)
        self.four = QCheckBox("Open volumes in 2x2")
        self.four.setAccessibleName("Open volumes in 2x2")
        fields.addRow("Set of keys", self.preset)
        fields.addRow("Mouse wheel on volumes", self.wheel)
        fields.addRow("", self.four)
        layout.addLayout(fields)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Type to search: undo, brush, Ctrl ...")
        self.search.setAccessibleName("Search actions")
        self.search.textChanged.connect(self._filter)
        layout.addWidget(self.search)
        self.table = _table()
        layout.addWidget(self.table)
        self.new = KeyButton()
        self.none = button("No key", lambda: self._give(""), "The action of the chosen line has no key any more")
        self.back = button("Reset line", self._reset, "The key of the chosen line as in the set")
        self.all_back = button("Reset all", self._reset_all, "All keys as in the set")
        layout.addLayout(row(self.new, self.none, self.back, self.all_back))
        self.said = Text("")
        self.said.setAccessibleName("What came of it")
        layout.addWidget(self.said)
        self.shut = button("Close", self.close)
        for each in (self.none, self.back, self.all_back, self.shut):
            each.setAutoDefault(False)
        layout.addLayout(row(self.shut))
        self._fill()
        self._connect()
        self.resize(560, 620)

    def _connect(self) -> None:
        self.new.pressed_key.connect(self._give)
        self.preset.activated.connect(self._use_preset)
        self.wheel.activated.connect(self._use_rest)
        self.four.toggled.connect(self._use_rest)
        self.table.itemSelectionChanged.connect(self._offer)
        self.table.itemDoubleClicked.connect(lambda _item: self._wait())
        self.table.setCurrentCell(0, 0)
        self._offer()

    # ---- showing -------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        choice = self._state.keys
        keys = choice.keys
        self._names = [name for name in keys if not is_fixed(name)]
        self.preset.setCurrentIndex(list(NAMES).index(choice.preset))
        self.wheel.setCurrentIndex([key for key, _words in _WHEEL].index(self._state.wheel_mode))
        self.four.blockSignals(True)
        self.four.setChecked(self._state.open_four)
        self.four.blockSignals(False)
        usual = KeyChoice(choice.preset).keys
        self.table.setRowCount(len(self._names))
        for index, name in enumerate(self._names):
            line = row_of(name)
            where = "Always" if line.modes == BOTH else line.modes[0]
            changed = keys[name] != usual[name]
            for place, text in enumerate((line.does, where, shown(keys[name]) + (" (changed)" if changed else ""))):
                self.table.setItem(index, place, QTableWidgetItem(text))
        self._filter(self.search.text())

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        for index in range(self.table.rowCount()):
            cells = [self.table.item(index, place) for place in range(3)]
            line = " ".join(cell.text() for cell in cells if cell is not None).casefold()
            self.table.setRowHidden(index, not all(word in line for word in words))

    def _offer(self) -> None:
        for each in (self.new, self.none, self.back):
            each.setEnabled(self._chosen is not None)

    @property
    def _chosen(self) -> str | None:
        """Name of the chosen line, None if none is chosen or it is filtered away."""
        index = self.table.currentRow()
        return self._names[index] if 0 <= index < len(self._names) and not self.table.isRowHidden(index) else None

    # ---- doing ---------------------------------------------------------------------------------------------------

    def choose(self, name: str) -> None:
        """Choose the line of an action."""
        self.table.setCurrentCell(self._names.index(name), 0)

    def _wait(self) -> None:
        self.new.setFocus()
        self.new.setChecked(True)

    def _give(self, key: str) -> None:
        name = self._chosen
        if name is None:
            return
        does, choice = row_of(name).does, self._state.keys
        wrong = "" if key == "" and self.sender() is not self.new else self._refusal(key)
        if wrong:
            self.said.setText(wrong)
            return
        had = choice.keys[name]
        others = choice.holders(name, key)
        if others:
            names = " and ".join(dict.fromkeys(f'"{row_of(other).does}"' for other in others))
            swap = f"that gets {shown(had)} instead" if had else "that has no key then"
            if not self._hands.sure(f'{shown(key)} is {names} now. Use it for "{does}", and {swap}?'):
                self.said.setText(f"Left as it was: {shown(key)} is {names}.")
                return
        later = kept_for(name, key) if key else ""
        if later and not self._hands.sure(
            f'{shown(key)} is kept for {later} in a later version. Use it for "{does}" all the same?'
        ):
            self.said.setText(f"Left as it was: {shown(key)} is kept for {later}.")
            return
        self._apply(choice.with_key(name, key), f'"{does}": {shown(key) or "no key"}.')

    def _refusal(self, key: str) -> str:
        menu = "" if problem(key) else self._hands.menu_of(key)
        return problem(key) or (f'{shown(key)} is "{menu}" in napari\'s menus; take another key.' if menu else "")

    def _reset(self) -> None:
        name = self._chosen
        if name is not None:
            self._apply(self._state.keys.reset(name), f'"{row_of(name).does}" is as in the set.')

    def _reset_all(self) -> None:
        if not self._state.keys.own or self._hands.sure("Take back all keys that were changed?"):
            self._apply(KeyChoice(self._state.keys.preset), "All keys are as in the set.")

    def _use_preset(self, index: int) -> None:
        preset = list(NAMES)[index]
        choice = self._state.keys
        if preset == choice.preset:
            return
        lost = f"Keys that were changed are lost with another set. Use {NAMES[preset]}?"
        if choice.own and not self._hands.sure(lost):
            self._fill()
            return
        self._apply(KeyChoice(preset), f"The keys of {NAMES[preset]} hold.")

    def _use_rest(self, _value: Any = None) -> None:
        self._apply(self._state.keys, "")

    def _apply(self, keys: KeyChoice, words: str) -> None:
        self._state = Shown(keys, _WHEEL[self.wheel.currentIndex()][0], self.four.isChecked())
        said = self._hands.apply(self._state)
        self.said.setText(said or words)
        self._fill()
        self._offer()


def _choice(name: str, items: tuple[tuple[str, str], ...]) -> Choice:
    made = Choice()
    made.setAccessibleName(name)
    for _key, words in items:
        made.addItem(words)
    return made


def _table() -> QTableWidget:
    table = QTableWidget(0, 3)
    table.setHorizontalHeaderLabels(["Action", "Where", "Key"])
    table.setAccessibleName("Actions and their keys")
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.verticalHeader().hide()
    table.setTabKeyNavigation(False)
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + GAP)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for place in (1, 2):
        table.horizontalHeader().setSectionResizeMode(place, QHeaderView.ResizeMode.ResizeToContents)
    return table
