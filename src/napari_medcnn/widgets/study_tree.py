"""The study browser: patients, studies and series of what was opened, searched by words, opened by Enter or mouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QPoint, Qt, QTimer, Signal
from qtpy.QtGui import QPixmap
from qtpy.QtWidgets import QAbstractItemView, QLineEdit, QMenu, QTreeView, QWidget

from napari_medcnn.io.found import Found, Item
from napari_medcnn.widgets.parts import GAP, Elided, TextWindow, button, column, row
from napari_medcnn.widgets.study_model import SeriesRow, kind_of, skipped_lines, skipped_words, tree_of
from napari_medcnn.widgets.study_rows import ROW, Filter, RowDelegate, StudyModel

#: Height of the tree in pixels: what it keeps while a scan is open, and without one; the least, and the most.
_HEIGHT, _ALONE, _LEAST, _MOST = 270, 160, 60, 4000
#: Seconds that rows are added for before the window may live again.
_SLICE_S = 0.02
_PASSED_ON = (Qt.Key.Key_Escape, Qt.Key.Key_F1, Qt.Key.Key_Tab, Qt.Key.Key_Backtab)


class Search(QLineEdit):
    """A field that keeps its keys, and lets files be dropped on the dock behind it."""

    leave_down = Signal()

    def __init__(self, hint: str) -> None:
        super().__init__()
        self.setPlaceholderText(hint)
        self.setAccessibleName(hint)
        self.setClearButtonEnabled(True)
        self.setAcceptDrops(False)

    def keyPressEvent(self, event: Any) -> None:
        """Down and Enter go on to what was found; Esc and F1 are everybody's."""
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.leave_down.emit()
            event.accept()
            return
        super().keyPressEvent(event)
        if event.key() not in _PASSED_ON:
            event.accept()


class TreeView(QTreeView):
    """A tree that keeps its keys: Enter opens, Up and Down move, letters search.

    `uncovered` says that other rows may be in sight: it was shown, or is of another height.
    """

    entered = Signal(object)
    uncovered = Signal()

    def showEvent(self, event: Any) -> None:
        """Rows are in sight."""
        super().showEvent(event)
        self.uncovered.emit()

    def resizeEvent(self, event: Any) -> None:
        """More or fewer rows are in sight."""
        super().resizeEvent(event)
        self.uncovered.emit()

    def keyPressEvent(self, event: Any) -> None:
        """Enter opens the row; the picture never hears of a key that was pressed here."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self.entered.emit(self.currentIndex())
            event.accept()
            return
        if event.key() in _PASSED_ON:
            super().keyPressEvent(event)
            return
        super().keyPressEvent(event)
        event.accept()


class StudyTree(QWidget):
    """Shows what was found and emits what is wanted of it.

    Signals: `opened` with an item's id, `chosen`, `header_asked` and `beside_asked` with the `Item`, `pictures_wanted`
    with the ids of the rows that are seen.
    """

    opened = Signal(str)
    chosen = Signal(object)
    header_asked = Signal(object)
    beside_asked = Signal(object)
    pictures_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._found: Found | None = None
        self._hidden = False
        self._clean: Callable[[str], str] = str
        self._count, self._keeps, self._scan_is_open = 0, _ALONE, False
        self._filling: Iterator[None] | None = None
        self._kept = ""
        #: True if there is something to choose from, or a patient to name.
        self.is_shown = False
        layout = column(self, margin=0)
        self.title = Elided("", bold=True)
        layout.addWidget(self.title)
        self.search = Search("Search: words, CT, 2024-03")
        self.search.setToolTip("Description, kind, date; the patient's name while names are shown")
        self.header = button("Header...", self._ask_header, "Everything that the file's header says")
        self.beside = button("Beside", self._ask_beside, "Open the chosen series beside the open scan, to compare both")
        searching = row(self.search, self.header, self.beside)
        searching.setStretch(0, 1)
        layout.addLayout(searching)
        self.model, self.filter = StudyModel(self), Filter(self)
        self.filter.setSourceModel(self.model)
        self.view = self._tree()
        layout.addWidget(self.view, 1)
        self.skipped = Elided("")
        self.which = button("Which?", self._show_skipped, "The files that were left out, and why")
        left_out = row(self.skipped, self.which)
        left_out.setStretch(0, 1)
        layout.addLayout(left_out)
        layout.addStretch(0)
        self._tick = QTimer(self)
        self._tick.setInterval(0)
        self._tick.timeout.connect(self._fill)
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(60)
        self._look.timeout.connect(self._want_pictures)
        self.search.textChanged.connect(self._filter)
        self.search.leave_down.connect(self._enter_tree)
        self.show_found(None)

    def _tree(self) -> TreeView:
        view = TreeView()
        view.setAccessibleName("Patients, studies and series")
        view.setModel(self.filter)
        view.setItemDelegate(RowDelegate(view))
        view.setHeaderHidden(True)
        view.setIndentation(10)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setExpandsOnDoubleClick(False)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._menu)
        view.doubleClicked.connect(self._open)
        view.entered.connect(self._open)
        view.uncovered.connect(self._look_soon)
        # Bound methods, no lambdas: what Qt keeps for a widget that Python has no name for is never let go.
        view.selectionModel().currentChanged.connect(self._on_current)
        view.verticalScrollBar().valueChanged.connect(self._look_soon)
        view.expanded.connect(self._fit)
        view.collapsed.connect(self._fit)
        return view

    # ---- showing ---------------------------------------------------------------------------------------------------

    def show_found(self, found: Found | None, hidden: bool = False, clean: Callable[[str], str] = str) -> None:
        """Show what was found, None or a single plain file for nothing; the chosen row stays chosen.

        `hidden` and `clean` as of `study_model.tree_of`.
        """
        item = self.current
        self._kept = item.id if item is not None and found is not None and self._found is not None else ""
        same = found is not None and found is self._found
        self._found, self._hidden, self._clean = found, hidden, clean
        self.is_shown = shown = found is not None and (
            len(found.items) > 1 or any(i.study is not None for i in found.items)
        )
        for widget in (self.title, self.search, self.header, self.view):
            widget.setVisible(shown)
        self._offer_beside()
        words = skipped_words(found.skipped) if found is not None else ""
        self.skipped.show_text(clean(words))
        for widget in (self.skipped, self.which):
            widget.setVisible(bool(words))
        self.setVisible(shown or bool(words))
        self._tick.stop()
        self.model.clear_rows(keep_pictures=same)
        if not same or hidden:
            self.search.clear()
        if found is None or not shown:
            self._filling = None
            return
        groups = tree_of(found, hidden, clean)
        self._count = sum(group.count for group in groups)
        self._show_count()
        self._filling = self.model.add(groups)
        self._fill()

    def _fill(self) -> None:
        """Add rows for a moment; the rest comes when the window has lived."""
        end = time.perf_counter() + _SLICE_S
        while self._filling is not None and time.perf_counter() < end:
            if next(self._filling, self) is self:
                self._filling = None
        if self._filling is not None:
            self._tick.start()
            return
        self._tick.stop()
        self.view.expandAll()
        self._fit()
        if self._kept:
            self.choose(self._kept)

    @property
    def is_filling(self) -> bool:
        """True while rows are still being added."""
        return self._filling is not None

    def show_picture(self, item_id: str, picture: QPixmap) -> None:
        """Show a thumbnail in its row."""
        self.model.show_picture(item_id, picture)

    def make_room(self, scan_is_open: bool) -> None:
        """Leave room for what is said of an open scan."""
        self._keeps, self._scan_is_open = _HEIGHT if scan_is_open else _ALONE, scan_is_open
        self._offer_beside()
        self._fit()

    def _fit(self, _index: Any = None) -> None:
        """Take the room that the tab has left, up to the height of all rows: what stands below stays in sight."""
        height, index = 2 * self.view.frameWidth() + 2, self.filter.index(0, 0)
        while index.isValid() and height < _MOST:
            height += self.view.rowHeight(index)
            index = self.view.indexBelow(index)
        self.view.setMinimumHeight(max(_LEAST, min(self._keeps, height)))
        self.view.setMaximumHeight(max(_LEAST, height))
        grows = self.sizePolicy()
        grows.setVerticalStretch(1 if height > self._keeps and self.is_shown else 0)
        self.setSizePolicy(grows)
        self._look_soon()

    def _look_soon(self, _value: int = 0) -> None:
        self._look.start()

    # ---- choosing --------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Item | None:
        """The chosen series, None on a heading or without one."""
        data = self.view.currentIndex().data(ROW) if self.view.currentIndex().isValid() else None
        return data.item if isinstance(data, SeriesRow) else None

    def choose(self, item_id: str) -> None:
        """Choose a row, and bring it into sight."""
        made = self.model.item_of(item_id)
        if made is not None:
            index = self.filter.mapFromSource(made.index())
            if index.isValid():
                self.view.setCurrentIndex(index)
                self.view.scrollTo(index)

    def series_shown(self) -> list[Any]:
        """Return the indexes of all series that the search leaves, top first."""
        found, index = [], self.filter.index(0, 0)
        while index.isValid():
            if isinstance(index.data(ROW), SeriesRow):
                found.append(index)
            index = self.view.indexBelow(index)
        return found

    def _enter_tree(self) -> None:
        """Go from the search field to the first series that was found."""
        rows = self.series_shown()
        if rows:
            self.view.setCurrentIndex(rows[0])
            self.view.setFocus(Qt.FocusReason.OtherFocusReason)

    def _filter(self, words: str) -> None:
        self.filter.show_words(words)
        self.view.expandAll()
        self._show_count()
        self._fit()

    def _show_count(self) -> None:
        whole = "1 series" if self._count == 1 else f"{self._count:,} series"
        words = self.search.text().strip()
        self.title.show_text(f"{len(self.series_shown()):,} of {whole}" if words else whole)

    def _on_current(self, index: Any, _before: Any = None) -> None:
        self._offer_beside()
        data = index.data(ROW) if index.isValid() else None
        if isinstance(data, SeriesRow):
            self.chosen.emit(data.item)

    def _open(self, index: Any) -> None:
        data = index.data(ROW) if index.isValid() else None
        if isinstance(data, SeriesRow):
            if data.opens:
                self.opened.emit(data.item.id)
        elif index.isValid():
            self.view.setExpanded(index, not self.view.isExpanded(index))

    # ---- more ------------------------------------------------------------------------------------------------------

    def _offer_beside(self) -> None:
        """Beside an open scan any series can be opened; the button waits for a choice."""
        self.beside.setVisible(self.is_shown and self._scan_is_open)
        item = self.current
        self.beside.setEnabled(item is not None and _is_scan(item))

    def _ask_beside(self) -> None:
        item = self.current
        if item is not None and _is_scan(item):
            self.beside_asked.emit(item)

    def _ask_header(self) -> None:
        item = self.current
        if item is None:
            rows = self.series_shown()
            item = rows[0].data(ROW).item if rows else None
        if item is not None:
            self.header_asked.emit(item)

    def _menu(self, place: QPoint) -> None:
        data = self.view.indexAt(place).data(ROW) if self.view.indexAt(place).isValid() else None
        if not isinstance(data, SeriesRow):
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if data.opens:
            menu.addAction("Open").triggered.connect(lambda _checked=False: self.opened.emit(data.item.id))
        if self._scan_is_open and _is_scan(data.item):
            menu.addAction("Open beside").triggered.connect(lambda _checked=False: self.beside_asked.emit(data.item))
        menu.addAction("Header...").triggered.connect(lambda _checked=False: self.header_asked.emit(data.item))
        menu.popup(self.view.viewport().mapToGlobal(place))

    def _want_pictures(self) -> None:
        """Name the rows that are in sight."""
        if not self.view.isVisible():
            return
        wanted, index = [], self.view.indexAt(QPoint(GAP, 1))
        bottom = self.view.viewport().height()
        while index.isValid() and self.view.visualRect(index).top() < bottom:
            data = index.data(ROW)
            if isinstance(data, SeriesRow) and data.opens:
                wanted.append(data.item.id)
            index = self.view.indexBelow(index)
        if wanted:
            self.pictures_wanted.emit(wanted)

    def _show_skipped(self) -> None:
        if self._found is None:
            return
        lines = skipped_lines(self._found.skipped, self._hidden, self._clean)
        TextWindow("Files that were left out", "\n".join(lines), self).show()


def _is_scan(item: Item) -> bool:
    return kind_of(item) == "scan" or (item.kind in ("volume", "picture") and bool(item.report.asks))
