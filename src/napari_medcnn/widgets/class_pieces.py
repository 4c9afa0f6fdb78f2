"""The pieces of a class as a table: id, size, where; a heading sorts, a click shows the piece in every view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QTableView, QWidget

from napari_medcnn.annotation.instances import Instances, KeptInstances, listed
from napari_medcnn.annotation.tools.islands import pieces
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array, Geometry
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.measures_file import Cell, Table, stamp
from napari_medcnn.widgets.measuring.rows import RESEARCH
from napari_medcnn.widgets.parts import GAP, Text, always_a_line, button, column, row
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tasks import Work

#: Name of the task.
PIECES = "Pieces of a class"
_ID, _SIZE, _WHERE = range(3)
_HEADINGS = ("Piece", "Size", "Where")
_WINDOW = (340, 380)


def listing(array: Array, label_id: int, before: Instances | None = None) -> Work:
    """List the pieces of a class, ids taken over from the listing before: the result is `Instances`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, PIECES)
        yield Result(listed(pieces(Mask(array), label_id), array.shape, before))

    return work


def file_table(found: Instances, name: str, grid: Geometry, picture: bool) -> Table:
    """Return all pieces for a file, by id; slice, row and column count from 1 in the mask as it is shown.

    Parameters
    ----------
    name
        Of the class.
    grid
        Of the mask; without a known spacing the column of volumes (of areas, for a picture) is empty.
    """
    z, y, x = grid.spacing_mm
    voxel = None if not grid.spacing_known else y * x if picture else z * y * x / 1000
    size = "area [mm²]" if picture else "volume [ml]"
    header = ("class", "piece", size, "voxels", "slice", "row", "column", "written", "use")
    written = stamp()
    rows: list[tuple[Cell, ...]] = []
    for at in np.argsort(found.ids).tolist():
        n, place = int(found.voxels[at]), (found.places[at] + 1).tolist()
        rows.append((name, int(found.ids[at]), None if voxel is None else n * voxel, n, *place, written, RESEARCH))
    return Table(header, tuple(rows))


class PieceRows(QAbstractTableModel):
    """The rows of the table; made as they come into sight, for noise has a hundred thousand.

    Parameters
    ----------
    much
        Returns so many voxels as an amount in words.
    picture
        A picture has lines and columns in the place of slices.
    """

    def __init__(self, much: Callable[[int], str], picture: bool, parent: Any = None) -> None:
        super().__init__(parent)
        self._much, self._picture = much, picture
        self._found: Instances | None = None
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._sorted = (_SIZE, Qt.SortOrder.DescendingOrder)

    def show_found(self, found: Instances) -> None:
        """Show another listing, sorted as the one before."""
        self.beginResetModel()
        self._found = found
        self._order = self._ordered(found)
        self.endResetModel()

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by id, size, or place; equal ones by id."""
        self._sorted = (column, order)
        if self._found is not None:
            self.show_found(self._found)

    def _ordered(self, found: Instances) -> NDArray[np.intp]:
        by, order = self._sorted
        sign = -1 if order == Qt.SortOrder.DescendingOrder else 1
        keys = {_ID: (), _SIZE: (sign * found.voxels,), _WHERE: tuple(sign * found.places.T[::-1])}[by]
        return np.lexsort((sign * found.ids if by == _ID else found.ids, *keys))

    def place(self, at: int) -> tuple[int, int, int]:
        """Return the voxel (z, y, x) of the piece in a row."""
        if self._found is None:
            return (0, 0, 0)
        z, y, x = self._found.places[self._order[at]].tolist()
        return (z, y, x)

    def rowCount(self, parent: Any = None) -> int:
        """One for each piece."""
        return 0 if parent is not None and parent.isValid() else len(self._order)

    def columnCount(self, parent: Any = None) -> int:
        """Id, size, where."""
        return 0 if parent is not None and parent.isValid() else len(_HEADINGS)

    def data(self, index: QModelIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The words of a cell."""
        found = self._found
        if found is None or not index.isValid() or role != int(Qt.ItemDataRole.DisplayRole):
            return None
        at = self._order[index.row()]
        if index.column() == _ID:
            return str(found.ids[at])
        if index.column() == _SIZE:
            return self._much(int(found.voxels[at]))
        z, y, x = (found.places[at] + 1).tolist()
        return f"row {y}, column {x}" if self._picture else f"slice {z}"

    def headerData(self, section: int, orientation: Any, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """The names of the columns."""
        if role == int(Qt.ItemDataRole.DisplayRole) and orientation == Qt.Orientation.Horizontal:
            return _HEADINGS[section]
        return None


class ClassPieces(QDialog):
    """Lists the pieces of one class of the open mask until it is closed.

    Parameters
    ----------
    kept
        The listings before; each new one is kept there.
    much
        Returns so many voxels as an amount in words.
    """

    listed = Signal()
    #: The table is to be saved.
    save_asked = Signal()

    def __init__(
        self, session: Session, label_id: int, kept: KeptInstances, much: Callable[[int], str], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._session, self._kept = session, kept
        self.label_id = label_id
        self._revision = -1
        self.setWindowTitle(f"Pieces of {session.labels.name_of(label_id)}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        layout = column(self, margin=2 * GAP)
        mask = session.layers.mask
        self.rows = PieceRows(much, mask is not None and mask.ndim == 2, self)
        self.table = self._table()
        layout.addWidget(self.table)
        self.words = Text("")
        layout.addLayout(always_a_line(self.words))
        self.again = button("List again", self.refresh, "Looks for the pieces there are now; each keeps its number")
        self.save = button("Save table...", self.save_asked.emit)
        self.save.setEnabled(False)
        layout.addLayout(row(self.again, self.save))
        self.resize(*_WINDOW)
        session.strokes.changed.connect(self._on_strokes)
        self.refresh()

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.rows)
        table.setAccessibleName("Pieces")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(table.fontMetrics().lineSpacing() + GAP)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setTabKeyNavigation(False)
        head = table.horizontalHeader()
        head.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        head.setHighlightSections(False)
        head.setToolTip("A click sorts")
        table.sortByColumn(_SIZE, Qt.SortOrder.DescendingOrder)
        table.setSortingEnabled(True)
        table.clicked.connect(self._go)
        table.selectionModel().currentRowChanged.connect(self._go)
        return table

    def refresh(self) -> None:
        """Look for the pieces there are now."""
        strokes = self._session.strokes
        if strokes.array is None:
            return
        strokes.commit()
        self._revision = strokes.revision
        self.words.setText("Looking for pieces ...")
        work = listing(strokes.array, self.label_id, self._kept.of(self.label_id))
        self._session.tasks.start_aside(PIECES, work, self._show, self._failed)

    def _show(self, found: Instances) -> None:
        self._kept.keep(self.label_id, found)
        self.rows.show_found(found)
        self.save.setEnabled(True)
        self.words.setText(f"{len(found)} {'piece' if len(found) == 1 else 'pieces'}. A click shows one.")
        self._on_strokes()
        self.listed.emit()

    def _failed(self, error: MedcnnError) -> None:
        self.words.setText(str(error))

    def _on_strokes(self) -> None:
        if self._session.strokes.revision != self._revision:
            self.words.setText("The mask has changed since; list again.")

    def _go(self, index: QModelIndex, _before: Any = None) -> None:
        if index.isValid():
            self._session.strokes.show_voxel(self.rows.place(index.row()))
