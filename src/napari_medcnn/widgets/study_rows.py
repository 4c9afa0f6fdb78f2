"""How the rows of the study tree are kept and drawn: Qt's own model and filter, a delegate that paints three lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QRect, QRegularExpression, QSize, QSortFilterProxyModel, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPalette, QPen, QPixmap, QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from napari_medcnn.widgets.parts import as_tip
from napari_medcnn.widgets.study_model import Group, SeriesRow

ROW, SEARCH, PICTURE, GROUP = (int(Qt.ItemDataRole.UserRole) + n for n in range(1, 5))
#: Edge of a thumbnail, and space around things, in pixels.
THUMB, PAD = 48, 4


class StudyModel(QStandardItemModel):
    """Rows of `study_model.tree_of`; a series is found again by the id of its item."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(0, 1, parent)
        self._by_id: dict[str, QStandardItem] = {}
        self._pictures: dict[str, QPixmap] = {}
        metrics = QFontMetrics(QApplication.font())
        self._line = metrics.lineSpacing()

    def clear_rows(self, keep_pictures: bool) -> None:
        """Take all rows away; thumbnails stay where the same rows are shown anew."""
        if not keep_pictures:
            self._pictures = {}
        self._by_id = {}
        self.removeRows(0, self.rowCount())

    def add(self, groups: tuple[Group, ...]) -> Iterator[None]:
        """Add rows; stops after each series, so that a window can live in between."""
        yield from self._add(self.invisibleRootItem(), groups)

    def _add(self, parent: Any, groups: tuple[Group, ...]) -> Iterator[None]:
        for group in groups:
            head = QStandardItem(group.title)
            head.setEditable(False)
            head.setSelectable(False)
            head.setData(group, GROUP)
            words = "\n".join((group.title, *group.more))
            head.setToolTip(as_tip(words))
            head.setData(words, int(Qt.ItemDataRole.AccessibleTextRole))
            head.setData(QSize(0, (1 + len(group.more)) * self._line + 2 * PAD), int(Qt.ItemDataRole.SizeHintRole))
            parent.appendRow(head)
            yield from self._add(head, group.groups)
            for row in group.series:
                head.appendRow(self._series(row))
                yield

    def _series(self, row: SeriesRow) -> QStandardItem:
        made = QStandardItem(row.title)
        made.setEditable(False)
        made.setData(row, ROW)
        made.setData(row.search, SEARCH)
        made.setToolTip(as_tip(row.spoken))
        made.setData(row.spoken.replace("\n", ", "), int(Qt.ItemDataRole.AccessibleTextRole))
        height = max(THUMB + PAD, (3 if row.mark else 2) * self._line) + PAD
        made.setData(QSize(0, height), int(Qt.ItemDataRole.SizeHintRole))
        made.setData(self._pictures.get(row.item.id), PICTURE)
        self._by_id[row.item.id] = made
        return made

    def show_picture(self, item_id: str, picture: QPixmap) -> None:
        """Put a thumbnail into its row."""
        self._pictures[item_id] = picture
        made = self._by_id.get(item_id)
        if made is not None:
            made.setData(picture, PICTURE)

    def item_of(self, item_id: str) -> QStandardItem | None:
        """Return the row of an item."""
        return self._by_id.get(item_id)


class Filter(QSortFilterProxyModel):
    """Shows the series in which all words occur, in any order, with the headings above them."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.setRecursiveFilteringEnabled(True)
        self.setFilterRole(SEARCH)

    def show_words(self, words: str) -> None:
        """Search for these words; "" shows everything."""
        ahead = "".join(f"(?=.*{QRegularExpression.escape(word)})" for word in words.lower().split())
        self.setFilterRegularExpression(QRegularExpression(ahead))


class RowDelegate(QStyledItemDelegate):
    """Paints a thumbnail and up to three lines; every line is cut where it does not fit.

    Heights stand in the rows: asking Python for each of them takes a fifth of a second for 10,000 rows.
    """

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        """Paint one row as plain text: what files say is never read as markup."""
        self.initStyleOption(option, index)
        style = option.widget.style() if option.widget is not None else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
        painter.save()
        row, group = index.data(ROW), index.data(GROUP)
        area = option.rect.adjusted(PAD, PAD // 2, -PAD, -PAD // 2)
        if isinstance(row, SeriesRow):
            picture = QRect(area.left(), area.top() + 1, THUMB, THUMB)
            self._picture(painter, picture, index.data(PICTURE), row, option)
            lines = (row.title, row.size, row.mark)
            self._lines(painter, area.adjusted(THUMB + 2 * PAD, 0, 0, 0), lines, option, grey=not row.opens)
        elif isinstance(group, Group):
            self._lines(painter, area, (group.title, *group.more), option, bold=True)
        painter.restore()

    @staticmethod
    def _lines(
        painter: Any, area: QRect, lines: tuple[str, ...], option: Any, *, bold: bool = False, grey: bool = False
    ) -> None:
        group = QPalette.ColorGroup.Disabled if grey else QPalette.ColorGroup.Active
        painter.setPen(QPen(option.palette.color(group, QPalette.ColorRole.Text)))
        font = QFont(option.font)
        top, height = area.top(), QFontMetrics(font).lineSpacing()
        for number, line in enumerate(lines):
            if not line:
                continue
            font.setBold(bold and number == 0)
            painter.setFont(font)
            words = QFontMetrics(font).elidedText(line, Qt.TextElideMode.ElideRight, area.width())
            painter.drawText(QRect(area.left(), top, area.width(), height), Qt.AlignmentFlag.AlignVCenter, words)
            top += height

    @staticmethod
    def _picture(painter: Any, place: QRect, picture: Any, row: SeriesRow, option: QStyleOptionViewItem) -> None:
        painter.fillRect(place, QColor(0, 0, 0))
        if isinstance(picture, QPixmap) and not picture.isNull():
            size = picture.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(place.topLeft(), size)
            target.moveCenter(place.center())
            painter.drawPixmap(target, picture)
            return
        painter.setPen(QPen(QColor(190, 190, 190)))
        word = "Mask" if row.kind == "mask" else row.item.modality or "?"
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, word[:6])
