"""The list of classes that get a surface: ticked ones do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem

_ROWS, _PATCH = 5, 12
_ID = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Entry:
    """A class of the list."""

    label_id: int
    name: str
    colour: tuple[int, int, int]


class ClassList(QListWidget):
    """Classes of the mask that have voxels, with their colours.

    Signal: `chosen` when one was ticked or not any more.
    """

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Classes with a surface")
        self.setToolTip("Ticked classes get a surface in 3D")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._entries: tuple[Entry, ...] = ()
        #: Classes that were unticked.
        self.left_out: frozenset[int] = frozenset()
        self.itemChanged.connect(self._on_changed)
        self.hide()

    @property
    def ticked(self) -> frozenset[int]:
        """Ids of the classes that get a surface."""
        return frozenset(entry.label_id for entry in self._entries) - self.left_out

    def forget(self) -> None:
        """Tick all again: another mask."""
        self.left_out = frozenset()
        self._fill()

    def show_classes(self, entries: Sequence[Entry]) -> None:
        """List these classes; what was unticked stays so."""
        if tuple(entries) != self._entries:
            self._entries = tuple(entries)
            self._fill()

    def _fill(self) -> None:
        blocker = QSignalBlocker(self)
        self.clear()
        for entry in self._entries:
            patch = QPixmap(_PATCH, _PATCH)
            patch.fill(QColor(*entry.colour))
            item = QListWidgetItem(QIcon(patch), entry.name)
            item.setData(_ID, entry.label_id)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsUserCheckable)
            out = entry.label_id in self.left_out
            item.setCheckState(Qt.CheckState.Unchecked if out else Qt.CheckState.Checked)
            self.addItem(item)
        blocker.unblock()
        rows = min(_ROWS, max(1, len(self._entries)))
        self.setFixedHeight(rows * max(self.sizeHintForRow(0), self.fontMetrics().height() + 4) + 6)
        self.setVisible(bool(self._entries))

    def _on_changed(self, item: QListWidgetItem) -> None:
        label_id = int(item.data(_ID))
        ticked = item.checkState() == Qt.CheckState.Checked
        self.left_out = self.left_out - {label_id} if ticked else self.left_out | {label_id}
        self.chosen.emit()

    def keyPressEvent(self, event: Any) -> None:
        """Space ticks; letters and digits, which Qt would look rows up by, do nothing."""
        if event.key() != Qt.Key.Key_Space and event.text() and event.text().isprintable():
            event.accept()
        else:
            super().keyPressEvent(event)
