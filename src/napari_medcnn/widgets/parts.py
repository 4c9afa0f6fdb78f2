"""Small widgets that several tabs share: text that wraps, rows of buttons, lists that keep their keys to themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

#: Space between and around things, in pixels.
GAP = 6
#: napari's style shows no focus; whoever works with the keyboard has to see where it is.
FOCUS_STYLE = (
    "QPushButton:focus, QToolButton:focus, QComboBox:focus, QLineEdit:focus, QPlainTextEdit:focus, QCheckBox:focus, "
    "QAbstractItemView:focus, QSlider:focus { border: 1px solid #56b4e9; }"
)


def button(text: str, clicked: Callable[[], Any], tip: str = "", action: str = "") -> QPushButton:
    """Return a button that a click does not take the keyboard away from the picture with; Tab reaches it.

    `action` is what it does by the table of keys ("preset 3"): `key_names.tell_keys` puts its keys into the tool tip.
    """
    made = QPushButton(text)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.setAccessibleName(text)
    if tip:
        made.setToolTip(tip)
    if action:
        made.setProperty("action", action)
        made.setProperty("tip", tip)
    made.clicked.connect(lambda _checked=False: clicked())
    return made


def change_tip(made: QPushButton, words: str) -> None:
    """Give a button that was made with a tip and an action another tip; its keys stay behind it."""
    before, now = str(made.property("tip")), as_tip(words)
    made.setToolTip(now + made.toolTip().removeprefix(before))
    made.setProperty("tip", now)


def row(*widgets: QWidget, stretch: bool = False) -> QHBoxLayout:
    """Return widgets side by side; with `stretch` they keep to the left."""
    layout = QHBoxLayout()
    layout.setSpacing(GAP)
    for widget in widgets:
        layout.addWidget(widget)
    if stretch:
        layout.addStretch(1)
    return layout


def column(parent: QWidget | None = None, margin: int = GAP) -> QVBoxLayout:
    """Return a vertical layout with our spacing."""
    layout = QVBoxLayout(parent) if parent is not None else QVBoxLayout()
    layout.setSpacing(GAP)
    layout.setContentsMargins(margin, margin, margin, margin)
    return layout


def form() -> QFormLayout:
    """Return a two-column layout for facts; long values wrap."""
    layout = QFormLayout()
    layout.setSpacing(GAP)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    layout.setFormAlignment(Qt.AlignmentFlag.AlignTop)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


class Text(QLabel):
    """Plain words that wrap and can be copied; never read as HTML, because headers of files may hold anything."""

    def __init__(self, text: str = "", bold: bool = False) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        if bold:
            make_bold(self)


def always_a_line(words: Text, lines: int = 1) -> QGridLayout:
    """Return a place for words that has the height of so many lines while they are fewer.

    What stands below must not move away under the hand when something is said.
    """
    layout = QGridLayout()
    layout.addWidget(Text("\n".join(["\N{NO-BREAK SPACE}"] * lines)), 0, 0)
    layout.addWidget(words, 0, 0)
    return layout


class Choice(QComboBox):
    """A list to choose from that scrolling over it does not change, and that never makes its tab wider."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)

    def wheelEvent(self, event: Any) -> None:
        """The tab scrolls instead."""
        event.ignore()

    def paintEvent(self, _event: Any) -> None:
        """Words that do not fit end in dots; Qt cuts them off inside a letter."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        icon = 0 if option.currentIcon.isNull() else option.iconSize.width() + GAP
        option.currentText = option.fontMetrics.elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, room.width() - icon - GAP // 2
        )
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class Elided(QLabel):
    """One line that is cut in the middle where it does not fit; the whole stands in its tool tip."""

    def __init__(self, text: str = "", bold: bool = False) -> None:
        super().__init__()
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        if bold:
            make_bold(self)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        """Show another line."""
        self._whole = text
        self.setToolTip(as_tip(text))
        self._fit()

    @property
    def whole(self) -> str:
        """The line, uncut."""
        return self._whole

    def resizeEvent(self, event: Any) -> None:
        """Cut again."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        metrics = QFontMetrics(self.font())
        self.setText(
            metrics.elidedText(self._whole, Qt.TextElideMode.ElideMiddle, max(20, self.contentsRect().width() - 4))
        )


class Section(QWidget):
    """A block whose title opens and closes it."""

    def __init__(self, title: str, content: QWidget, opened: bool = False) -> None:
        super().__init__()
        self.content = content
        self.title = QToolButton()
        self.title.setText(title)
        self.title.setAccessibleName(title)
        self.title.setCheckable(True)
        self.title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.title.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.title.setAutoRaise(True)
        make_bold(self.title)
        self.title.toggled.connect(self.open)
        layout = column(self, margin=0)
        layout.addWidget(self.title)
        layout.addWidget(content)
        self.title.setChecked(opened)
        self.open(opened)

    def open(self, opened: bool) -> None:
        """Show or hide what is in it."""
        self.title.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.content.setVisible(opened)


def as_tip(words: str) -> str:
    """Return words for a tool tip, which would read markup in them: what files say is never markup."""
    return words.replace("<", "\u2039")


def make_bold(widget: QWidget) -> None:
    """Draw a widget's text bold."""
    font = widget.font()
    font.setBold(True)
    widget.setFont(font)


def line() -> QFrame:
    """Return a thin horizontal line."""
    made = QFrame()
    made.setFrameShape(QFrame.Shape.HLine)
    made.setFrameShadow(QFrame.Shadow.Sunken)
    return made


def scrolling(content: QWidget) -> QScrollArea:
    """Return a frame in which `content` scrolls up and down, never sideways."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    return area


def clear_layout(layout: Any) -> None:
    """Remove and delete everything in a layout, layouts inside it included."""
    while layout.count():
        item = layout.takeAt(0)
        widget = item.widget()
        if widget is not None:
            widget.setParent(None)
            widget.deleteLater()
        elif item.layout() is not None:
            clear_layout(item.layout())


def copy_text(text: str) -> None:
    """Put text on the clipboard."""
    QApplication.clipboard().setText(text)


class TextWindow(QDialog):
    """A window with text to read and copy."""

    def __init__(self, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 480)
        layout = column(self, margin=2 * GAP)
        self.view = QPlainTextEdit(text)
        self.view.setReadOnly(True)
        self.view.setAccessibleName(title)
        layout.addWidget(self.view)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda _checked=False: copy_text(text))
        buttons.rejected.connect(self.close)
        layout.addWidget(buttons)
