"""One row per channel of a model that takes several scans: which open scan is which channel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_medcnn.widgets.open_scans import OpenScan, guess
from napari_medcnn.widgets.parts import Choice, Text, button, column, form, row

_NONE = "Choose ..."


class ChannelRows(QWidget):
    """Shows the rows; `changed` when another scan was chosen, `open_asked` for one more scan."""

    changed = Signal()
    open_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._scans: list[OpenScan] = []
        self._names: tuple[str, ...] = ()
        self._by_hand = False
        self.boxes: list[Choice] = []
        layout = column(self, margin=0)
        self.title = Text("Which scan is which?", bold=True)
        layout.addWidget(self.title)
        self._form = form()
        layout.addLayout(self._form)
        self.open = button("Open beside...", self.open_asked.emit, "Open one more scan of this patient beside this one")
        layout.addLayout(row(self.open, stretch=True))
        self.words = Text("")
        layout.addWidget(self.words)
        self.hide()

    def show_channels(self, names: tuple[str, ...], scans: list[OpenScan], titles: list[str]) -> None:
        """Show a row for each name, none to hide all; `titles` are what the scans are called on the screen.

        Scans are guessed by name until somebody chooses one by hand.
        """
        kept = [self._scans[i] for i in self._indices() if 0 <= i < len(self._scans)] if self._by_hand else []
        if names != self._names:
            self._build(names)
            kept = []
        self._scans = scans
        self.setVisible(bool(names))
        if not names:
            return
        same = [next((i for i, s in enumerate(scans) if s.volume is k.volume), -1) for k in kept]
        chosen = same if len(same) == len(names) and -1 not in same else guess(names, [s.name for s in scans])
        for box, index in zip(self.boxes, chosen, strict=True):
            box.blockSignals(True)
            box.clear()
            box.addItem(_NONE)
            for title in titles:
                box.addItem(title)
            box.setCurrentIndex(index + 1)
            box.blockSignals(False)
        self._say()

    def chosen(self) -> list[OpenScan]:
        """Return the scan of each channel; empty while one is missing or chosen twice."""
        indices = self._indices()
        if not indices or -1 in indices or len(set(indices)) < len(indices):
            return []
        return [self._scans[i] for i in indices]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the channels that are asked for; empty where the open scan has all it needs."""
        return self._names

    def _indices(self) -> list[int]:
        return [box.currentIndex() - 1 for box in self.boxes]

    def _build(self, names: tuple[str, ...]) -> None:
        while self._form.rowCount():
            self._form.removeRow(0)
        self._names, self._by_hand, self.boxes = names, False, []
        for name in names:
            box = Choice()
            box.setAccessibleName(name)
            box.currentIndexChanged.connect(lambda _i: self._choose())
            self._form.addRow(name, box)
            self.boxes.append(box)

    def _choose(self) -> None:
        self._by_hand = True
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        indices = self._indices()
        words = ""
        if -1 in indices:
            words = f"The model takes {len(indices)} scans of one patient; open the missing ones beside this one."
        elif len(set(indices)) < len(indices):
            words = "One scan is chosen twice."
        self.words.setText(words)
        self.words.setVisible(bool(words))
