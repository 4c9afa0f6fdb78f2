"""The pieces of a class as a list: number and size, the largest first; a click shows the piece in every view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_medcnn.annotation.tools.islands import pieces
from napari_medcnn.annotation.tools.mask import Mask
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.geometry import Array
from napari_medcnn.errors import MedcnnError
from napari_medcnn.widgets.parts import GAP, Text, always_a_line, button, column
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tasks import Work

#: Name of the task.
PIECES = "Pieces of a class"
#: The largest so many are listed: noise has a hundred thousand.
MOST = 200
_SIZE = (300, 360)


@dataclass(frozen=True)
class Listed:
    """One piece: its number from 1, how many voxels, and a voxel (z, y, x) of it near its middle."""

    number: int
    voxels: int
    at: tuple[int, int, int]


def listing(array: Array, label_id: int) -> Work:
    """List the pieces of a class: the result is how many there are, and the largest `MOST` as `Listed`."""

    def work(cancel: Cancel) -> Events:
        yield Progress(None, PIECES)
        found = pieces(Mask(array), label_id)
        rows = []
        for piece in found.table(MOST):
            own = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece.box, found.box, strict=True))
            inside = np.argwhere(found.numbers[own] == piece.number) + [part.start for part in piece.box]
            near = inside[np.argmin(((inside - np.asarray(piece.centre)) ** 2).sum(axis=1))]
            rows.append(Listed(piece.number, piece.voxels, (int(near[0]), int(near[1]), int(near[2]))))
        yield Result((len(found), tuple(rows)))

    return work


class ClassPieces(QDialog):
    """Lists the pieces of one class of the open mask until it is closed.

    Parameters
    ----------
    much
        Returns so many voxels as an amount in words.
    """

    listed = Signal()

    def __init__(self, session: Session, label_id: int, much: Callable[[int], str], parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._label, self._much = session, label_id, much
        self._rows: tuple[Listed, ...] = ()
        self._revision = -1
        self.setWindowTitle(f"Pieces of {session.labels.name_of(label_id)}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        layout = column(self, margin=2 * GAP)
        self.table = QTableWidget(0, 2)
        self.table.setAccessibleName("Pieces")
        self.table.setHorizontalHeaderLabels(["Piece", "Size"])
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.itemSelectionChanged.connect(self._go)
        layout.addWidget(self.table)
        self.words = Text("")
        layout.addLayout(always_a_line(self.words))
        self.again = button("List again", self.refresh)
        layout.addWidget(self.again)
        self.resize(*_SIZE)
        session.strokes.changed.connect(self._on_strokes)
        self.refresh()

    def refresh(self) -> None:
        """Look for the pieces there are now."""
        strokes = self._session.strokes
        if strokes.array is None:
            return
        strokes.commit()
        self._revision = strokes.revision
        self.words.setText("Looking for pieces ...")
        self._session.tasks.start_aside(PIECES, listing(strokes.array, self._label), self._show, self._failed)

    def _show(self, found: tuple[int, tuple[Listed, ...]]) -> None:
        count, self._rows = found
        self.table.blockSignals(True)
        self.table.clearContents()
        self.table.setRowCount(len(self._rows))
        for at, piece in enumerate(self._rows):
            for where, words in enumerate((str(piece.number), self._much(piece.voxels))):
                self.table.setItem(at, where, QTableWidgetItem(words))
        self.table.clearSelection()
        self.table.blockSignals(False)
        more = f" The largest {MOST} are listed." if count > len(self._rows) else ""
        self.words.setText(f"{count} {'piece' if count == 1 else 'pieces'}. A click shows one.{more}")
        self._on_strokes()
        self.listed.emit()

    def _failed(self, error: MedcnnError) -> None:
        self.words.setText(str(error))

    def _on_strokes(self) -> None:
        if self._session.strokes.revision != self._revision:
            self.words.setText("The mask has changed since; list again.")

    def _go(self) -> None:
        chosen = {index.row() for index in self.table.selectedIndexes()}
        if len(chosen) == 1:
            self._session.strokes.show_voxel(self._rows[chosen.pop()].at)
