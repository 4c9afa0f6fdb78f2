"""The lines that are always there: what is open and of whom, is it saved, what mode, what the AI engine does."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_medcnn.widgets.names import HIDDEN
from napari_medcnn.widgets.parts import GAP, Elided, Text, button, column, row

#: State of the engine -> words.
ENGINE_WORDS = {
    "off": "AI off",
    "starting": "AI starting",
    "ready": "AI ready",
    "busy": "AI busy",
    "crashed": "AI stopped by an error",
}


class Header(QWidget):
    """Shows state and emits wishes; knows nothing of scans or engines."""

    cancel_asked = Signal()
    keys_asked = Signal()
    names_hidden = Signal(bool)
    layers_shown = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._name = self._person = self._progress = ""
        #: Takes what may name a patient out of a line while names are hidden.
        self.clean: Callable[[str], str] = lambda _words: HIDDEN
        self.scan = Elided("No scan open", bold=True)
        self.scan.setAccessibleName("Scan")
        self.saved = QLabel("")
        self.saved.setAccessibleName("Saved or not")
        self.state = Elided("Read · AI off")
        self.state.setAccessibleName("Mode and AI engine")
        self.cancel = button("Cancel", self.cancel_asked.emit, "Stop what is running (Esc)")
        self.cancel.hide()
        self.names = button(
            "Hide names",
            lambda: self._hide_names(self.names.isChecked()),
            "Hide names, numbers and dates of patients, and names of files; what a series shows stays",
        )
        self.names.setCheckable(True)
        self.layers = button("Layers", lambda: self.layers_shown.emit(self.layers.isChecked()), "napari's layer list")
        self.layers.setCheckable(True)
        self.keys = button("Keys", self.keys_asked.emit, "Keys and mouse (F1)")
        self.warning = Text("", bold=True)
        self.warning.setAccessibleName("Two patients or dates")
        self.warning.hide()
        layout = column(self, margin=0)
        layout.setSpacing(GAP // 2)
        first = row(self.scan, self.saved)
        first.setStretch(0, 1)
        layout.addLayout(first)
        self.person = Elided("")
        self.person.setAccessibleName("Patient")
        self.person.hide()
        layout.addWidget(self.person)
        layout.addWidget(self.warning)
        second = row(self.state, self.cancel, self.names, self.layers, self.keys)
        second.setStretch(0, 1)
        second.setSpacing(GAP // 2)
        layout.addLayout(second)
        self._mode, self._engine = "Read", "off"

    def show_scan(self, name: str) -> None:
        """Show the scan's name, "" for none."""
        self._name = name
        self._show_name()

    def show_person(self, words: str) -> None:
        """Show name, number and birth date of the patient so that a reader can check them; "" where none is stated."""
        self._person = words
        self._show_name()

    def show_warning(self, words: str) -> None:
        """Show that two patients or two dates are on the screen, as long as they are; "" for none."""
        self.warning.setText(f"!  {words}" if words else "")
        self.warning.setVisible(bool(words))

    def show_progress(self, words: str) -> None:
        """Show how far the reading is, "" when it ended."""
        self._progress = words
        self._show_state()

    def show_saved(self, words: str) -> None:
        """Show "saved", "saving ..." or "not saved"; "" without a mask."""
        self.saved.setText(words)

    def show_mode(self, mode: str) -> None:
        """Show Read or Correct."""
        self._mode = mode
        self._show_state()

    def show_engine(self, state: str) -> None:
        """Show what the engine does; `state` is that of `worker.client.Engine`."""
        self._engine = state
        self._show_state()

    def show_cancel(self, possible: bool) -> None:
        """Offer Cancel while something runs."""
        self.cancel.setVisible(possible)
        self.names.setVisible(not possible)

    @property
    def hides_names(self) -> bool:
        """True while names are hidden."""
        return bool(self.names.isChecked())

    def _hide_names(self, hidden: bool) -> None:
        self._show_name()
        self.names_hidden.emit(hidden)

    def _show_name(self) -> None:
        if not self._name:
            self.scan.show_text("No scan open")
        else:
            left = self.clean(self._name) if self.hides_names else self._name
            self.scan.show_text("Name hidden" if left == HIDDEN else left)
        # hidden or not the line keeps its place: a button must not move away under the hand
        self.person.show_text(HIDDEN if self.hides_names and self._person else self._person)
        self.person.setVisible(bool(self._person))

    def _show_state(self) -> None:
        words = f"{self._mode} · {ENGINE_WORDS.get(self._engine, self._engine)}"
        self.state.show_text(self._progress or words)
