"""What the user prefers: keys, the wheel, one view or 2x2; shown in two windows, kept, and in force at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QKeySequence

from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.engine_link import set_viewing
from napari_medcnn.widgets.key_choice import KeyChoice, read_choice, write_choice
from napari_medcnn.widgets.key_names import keys_of, name_of, tell_keys
from napari_medcnn.widgets.keymap import Key
from napari_medcnn.widgets.keys_window import KeysWindow, lines_of
from napari_medcnn.widgets.preferences_window import Hands, PreferencesWindow, Shown

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock


#: What is done again and again while its key is down; napari repeats the arrows alone.
_REPEATED = ("move", "move_time")
_ARROWS = ("Up", "Down", "Left", "Right")


class Preferring(QObject):
    """Reads what was kept when the dock begins, and keeps what is chosen.

    It also sees to it that our keys reach a canvas that has the focus: an entry of napari's menus with the same key
    (Ctrl+0 is "Fit to View") would take it away.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        super().__init__(dock)
        self._dock = dock
        self.keys = KeyChoice()
        dock.views.pane_added.connect(lambda pane: pane.native.installEventFilter(self))

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """On a canvas our keys come before those of menus, and those that move through slices repeat."""
        kind = event.type()
        if kind == QEvent.Type.ShortcutOverride and self._row_of(event) is not None:
            event.accept()
            return True
        if kind == QEvent.Type.KeyPress and event.isAutoRepeat():
            row = self._row_of(event)
            if row is not None and row.action in _REPEATED and row.key not in _ARROWS:
                self._dock.keymap.press(row.key)
                return True
        return False

    def _row_of(self, event: Any) -> Key | None:
        return self._dock.keymap.row(name_of(event) or "no key")

    def begin(self) -> None:
        """Take the keys that were kept; a file that is not right is told, and our own keys hold."""
        try:
            self.keys = read_choice()
        except MedcnnError as error:
            self._dock.showing.on_failed(error)
        if self.keys != KeyChoice():
            self._dock.keymap.use(self.keys.rows)
        self.tell_keys()
        self._dock.reading.brightness.block.presets_changed.connect(self.tell_keys)

    def tell_keys(self) -> None:
        """Let all tool tips and the table of classes name the keys that hold now."""
        rows = self._dock.keymap.rows
        tell_keys(self._dock, rows)
        picked = [row.argument for row in rows if row.action == "pick_class" and row.argument is not None]
        self._dock.correct.classes.show_keys({n: keys_of(rows, f"pick_class {n}") for n in picked})

    def show_keys(self) -> None:
        """Show which key does what now."""
        window = next(iter(self._dock.findChildren(KeysWindow)), None)
        if window is None:
            window = KeysWindow(self._lines(), self.show_preferences, self._dock)
        window.show()
        window.raise_()
        window.activateWindow()

    def show_preferences(self) -> None:
        """Show the window in which keys are chosen."""
        window = next(iter(self._dock.findChildren(PreferencesWindow)), None)
        if window is None:
            preferences = self._dock.preferences
            state = Shown(self.keys, preferences.wheel_mode, preferences.open_four)
            hands = Hands(self.use, lambda question: self._dock.dialogs.sure(question), self.menu_of)
            window = PreferencesWindow(state, hands, self._dock)
        window.show()
        window.raise_()
        window.activateWindow()

    def use(self, wanted: Shown) -> str:
        """Take what was chosen, at once; return what has to be said about it, "" for nothing."""
        dock, said = self._dock, ""
        if wanted.keys != self.keys:
            self.keys = wanted.keys
            dock.keymap.use(wanted.keys.rows)
            self.tell_keys()
            try:
                write_choice(wanted.keys)
            except MedcnnError as error:
                said = f"In force until the window closes: {error}"
        now = dock.preferences
        if (now.wheel_mode, now.open_four) != (wanted.wheel_mode, wanted.open_four):
            dock.preferences = replace(now, wheel_mode=wanted.wheel_mode, open_four=wanted.open_four)
            dock.viewing.wheel_moves_slices = wanted.wheel_mode == "slice"
            dock.views.opens_four = wanted.open_four
            if not set_viewing(wanted.wheel_mode, wanted.open_four):
                said = (
                    said or "In force until the window closes: napari does not list this plugin, so it keeps nothing."
                )
        for window in dock.findChildren(KeysWindow):
            window.show_lines(self._lines())
        return said

    def menu_of(self, key: str) -> str:
        """Return the entry of napari's menus that has a key, "" for none."""
        wanted = QKeySequence("+".join({"Control": "Ctrl", "Enter": "Return"}.get(p, p) for p in _parts(key)))
        bar = getattr(self._dock.window(), "menuBar", lambda: None)()
        waiting = [] if bar is None else list(bar.actions())
        while waiting:
            entry = waiting.pop()
            if wanted in entry.shortcuts():
                return str(entry.text()).replace("&", "")
            if entry.menu() is not None:
                waiting += entry.menu().actions()
        return ""

    def _lines(self) -> list[tuple[str, str]]:
        return lines_of(self._dock.keymap.rows, self._dock.viewing.wheel_moves_slices)


def _parts(key: str) -> list[str]:
    return key.split("-") if len(key) > 1 else [key]
