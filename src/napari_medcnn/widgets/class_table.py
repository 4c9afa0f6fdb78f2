"""The classes of the mask: name, colour, key, shown, locked, how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import QPoint, QPointF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_medcnn.core.labels import Label, LabelSet
from napari_medcnn.widgets.result_view import swatch

_NAME, _KEY, _SHOWN, _LOCKED, _AMOUNT = range(5)
_ROWS_SHOWN = 7
#: Square and tick, in pixels.
_SIGNS = QSize(29, 14)
_NAME_TIP = "Double-click renames; right-click: colour, finished, merge, pieces, delete"


class ClassTable(QTableWidget):
    """Edits one value: the classes.  Emits what the user changed; the owner shows the new state with `show`."""

    chosen = Signal(int)
    renamed = Signal(int, str)
    hidden_changed = Signal(object)
    locked_changed = Signal(object)
    #: The menu of a class is wanted, at a place of the screen.
    menu_asked = Signal(int, QPoint)

    def __init__(self) -> None:
        super().__init__(0, 5)
        self.setAccessibleName("Classes")
        self.setHorizontalHeaderLabels(["Class", "Key", "Show", "Lock", "Size"])
        self.horizontalHeaderItem(_LOCKED).setToolTip("Locked: strokes leave the voxels of this class as they are")
        self.verticalHeader().hide()
        self.setIconSize(_SIGNS)
        header = self.horizontalHeader()
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        for index in (_KEY, _SHOWN, _LOCKED, _AMOUNT):
            header.setSectionResizeMode(index, QHeaderView.ResizeMode.ResizeToContents)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._labels = LabelSet()
        self._keys: dict[int, str] = {}
        self._filling = False
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.itemChanged.connect(self._on_changed)
        self.cellClicked.connect(self._on_clicked)

    def show_classes(
        self, labels: LabelSet, counts: Mapping[int, int], locked: frozenset[int], hidden: frozenset[int],
        words: Callable[[int], str],
    ) -> None:  # fmt: skip
        """Show classes and how much of each there is; `words` turns voxels into an amount."""
        self._filling = True
        self._labels = labels
        self.setRowCount(len(labels))
        for index, label in enumerate(labels):
            name = QTableWidgetItem(_sign(label, self.palette().text().color()), label.name)
            known = ("Finished. " if label.finished else "") + (f"Code {label.code}. " if label.code else "")
            name.setToolTip(known + _NAME_TIP)
            if label.finished:
                name.setData(Qt.ItemDataRole.AccessibleTextRole, f"{label.name}, finished")
            key = QTableWidgetItem(self._keys.get(label.id, ""))
            n = counts.get(label.id, 0)
            much = QTableWidgetItem(words(n) if n else "none")
            much.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for cell in (key, much):
                cell.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            shown = _check(label.id not in hidden, f"Show {label.name}")
            lock = _check(label.id in locked, f"Lock {label.name}")
            for column, cell in enumerate((name, key, shown, lock, much)):
                self.setItem(index, column, cell)
        self._filling = False
        rows = min(max(1, len(labels)), _ROWS_SHOWN)
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * self.rowHeight(0) + 4)

    def show_keys(self, keys: Mapping[int, str]) -> None:
        """Show the keys that hold now, by class."""
        self._filling = True
        self._keys = dict(keys)
        for index, label_id in enumerate(self._labels.ids[: self.rowCount()]):
            self.item(index, _KEY).setText(self._keys.get(label_id, ""))
        self._filling = False

    def show_amounts(self, counts: Mapping[int, int], words: Callable[[int], str]) -> None:
        """Show new amounts only, after a stroke."""
        self._filling = True
        for index, label_id in enumerate(self._labels.ids):
            n = counts.get(label_id, 0)
            self.item(index, _AMOUNT).setText(words(n) if n else "none")
        self._filling = False

    def choose(self, label_id: int) -> None:
        """Mark the class that is painted; background marks none."""
        if label_id in self._labels:
            self.selectRow(self._labels.ids.index(label_id))
        else:
            self.clearSelection()

    @property
    def chosen_id(self) -> int | None:
        """The class that is marked; None for background."""
        rows = {index.row() for index in self.selectedIndexes()}
        return self._labels.ids[rows.pop()] if len(rows) == 1 else None

    def rename(self, label_id: int) -> None:
        """Begin to type another name into the table."""
        if label_id in self._labels:
            self.setFocus()
            self.editItem(self.item(self._labels.ids.index(label_id), _NAME))

    def resizeEvent(self, event: object) -> None:
        """With more rows in view begin at the top again, as far as the marked class allows."""
        super().resizeEvent(event)
        marked = self.selectedIndexes()
        self.scrollToTop()
        if marked:
            self.scrollTo(marked[0])

    def _on_clicked(self, row: int, column: int) -> None:
        """A tick is set or taken away without choosing its class: who locks one goes on with another."""
        if column not in (_SHOWN, _LOCKED):
            self.chosen.emit(self._labels.ids[row])

    def _on_menu(self, at: QPoint) -> None:
        row = self.rowAt(at.y())
        if row >= 0:
            self.menu_asked.emit(self._labels.ids[row], self.viewport().mapToGlobal(at))

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if self._filling:
            return
        if item.column() == _NAME:
            self.renamed.emit(self._labels.ids[item.row()], item.text().strip())
        elif item.column() == _SHOWN:
            self.hidden_changed.emit(self._without_check(_SHOWN))
        elif item.column() == _LOCKED:
            self.locked_changed.emit(frozenset(self._labels.ids) - self._without_check(_LOCKED))

    def _without_check(self, column: int) -> frozenset[int]:
        unchecked = Qt.CheckState.Unchecked
        return frozenset(i for r, i in enumerate(self._labels.ids) if self.item(r, column).checkState() == unchecked)


def _sign(label: Label, ink: QColor) -> QIcon:
    """Return the square of a class; beside it a tick where it is finished: in it, it would look like a box to tick."""
    if not label.finished:
        return swatch(label)
    drawn = QPixmap(_SIGNS)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    painter.drawPixmap(0, 0, swatch(label).pixmap(_SIGNS.height(), _SIGNS.height()))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(ink, 2.0))
    painter.drawPolyline(QPolygonF([QPointF(18, 7), QPointF(21.5, 11), QPointF(27, 3)]))
    painter.end()
    return QIcon(drawn)


def _check(on: bool, name: str) -> QTableWidgetItem:
    item = QTableWidgetItem()
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
    item.setToolTip(name)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, name)
    return item
