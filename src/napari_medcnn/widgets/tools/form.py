"""The form of one tool in the Correct tab, made from the table; below it how far a running tool is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QProgressBar, QScrollArea, QWidget

from napari_medcnn.core.labels import LabelSet
from napari_medcnn.widgets.number_field import NumberField
from napari_medcnn.widgets.parts import Choice as ChoiceBox
from napari_medcnn.widgets.parts import Text, button, clear_layout, column, form, line, row
from napari_medcnn.widgets.result_view import swatch
from napari_medcnn.widgets.tools.given import Value
from napari_medcnn.widgets.tools.registry import ClassChoice, Field, Number, Tool


class ToolForm(QWidget):
    """Shows a tool and emits what is wanted: `preview_asked` and `apply_asked`, `closed`, `cancel_asked`.

    `changed` says that an option has another value; `refused` hands on what a number field did not take.
    """

    preview_asked = Signal()
    apply_asked = Signal()
    closed = Signal()
    cancel_asked = Signal()
    changed = Signal()
    refused = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.box = QWidget()
        inner = column(self.box, margin=0)
        inner.addWidget(line())
        self.title = Text("", bold=True)
        self.does = Text("")
        inner.addWidget(self.title)
        inner.addWidget(self.does)
        self._rows: QFormLayout = form()
        inner.addLayout(self._rows)
        self.preview = button("Preview", self.preview_asked.emit, "Shows on the picture what would change")
        self.apply = button("Apply", self.apply_asked.emit, "Makes it one step; Ctrl+Z takes it back")
        self.shut = button("Close", self.closed.emit)
        inner.addLayout(row(self.preview, self.apply, self.shut))
        self.words = Text("")
        inner.addWidget(self.words)
        layout.addWidget(self.box)
        self.working = QWidget()
        self.bar = QProgressBar()
        self.bar.setRange(0, 100)
        self.cancel = button("Cancel", self.cancel_asked.emit, "Stops the tool; the mask stays as it was")
        progress: QHBoxLayout = row(self.bar, self.cancel)
        progress.setStretch(0, 1)
        progress.setContentsMargins(0, 0, 0, 0)
        self.working.setLayout(progress)
        layout.addWidget(self.working)
        self.tool: Tool | None = None
        self._values: dict[str, Value] = {}
        self._numbers: list[NumberField] = []
        self._choices: dict[str, ChoiceBox] = {}
        self._by_key: dict[str, NumberField] = {}
        self.box.hide()
        self.working.hide()

    def show_tool(
        self, tool: Tool, fields: tuple[Field, ...], values: Mapping[str, Value], labels: LabelSet, unit: str
    ) -> None:
        """Show a form with these values; `unit` is that of lengths, mm or voxels."""
        self.forget()
        self.tool, self._values = tool, dict(values)
        self.does.setText(f"{tool.does}.")
        self.preview.setVisible(not tool.live)
        for asked in fields:
            self._rows.addRow(QLabel(asked.words), self._made(asked, labels, unit))
        self.box.show()
        QTimer.singleShot(0, self._bring_up)

    def show_class(self, words: str) -> None:
        """Name the class that the tool works on."""
        if self.tool is not None:
            self.title.setText(f"{self.tool.words}: {words}" if words else self.tool.words)

    def show_value(self, key: str, value: float) -> None:
        """Show another number in a field without sending it back; nothing where there is no such field."""
        field = self._by_key.get(key)
        if field is not None:
            self._values[key] = value
            field.show_number(value)

    def values(self) -> dict[str, Value]:
        """Return what the form says, a number that is still being typed included."""
        for field in self._numbers:
            field.editingFinished.emit()
        return dict(self._values)

    def say(self, words: str) -> None:
        """Show what a preview found, or what went wrong; "" for nothing."""
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def show_working(self, shown: bool) -> None:
        """Show how far the tool is and Cancel, or hide them."""
        self.bar.setValue(0)
        self.working.setVisible(shown)

    def show_progress(self, done: int, total: int) -> None:
        """Show how far the tool is."""
        self.bar.setValue(round(100 * done / max(1, total)))

    def forget(self) -> None:
        """Close the form."""
        self.tool, self._values, self._numbers, self._choices = None, {}, [], {}
        self._by_key = {}
        clear_layout(self._rows)
        self.title.setText("")
        self.does.setText("")
        self.say("")
        self.box.hide()

    def _bring_up(self) -> None:
        """Scroll the tab so that the form and its buttons are seen."""
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None and self.tool is not None:
            above.ensureWidgetVisible(self.title)
            above.ensureWidgetVisible(self.apply)

    def _made(self, asked: Field, labels: LabelSet, unit: str) -> QWidget:
        key, value = asked.key, self._values[asked.key]
        if isinstance(asked, Number):
            field = NumberField(asked.words, asked.low, asked.high)
            field.show_number(float(value))
            field.typed.connect(partial(self._set, key))
            field.refused.connect(self.refused.emit)
            field.returnPressed.connect(self.apply_asked.emit)
            self._numbers.append(field)
            self._by_key[key] = field
            if not asked.unit:
                return field
            with_unit = QWidget()
            layout = row(field, QLabel(unit))
            layout.setContentsMargins(0, 0, 0, 0)
            with_unit.setLayout(layout)
            return with_unit
        box = ChoiceBox()
        box.setAccessibleName(asked.words)
        if isinstance(asked, ClassChoice):
            for number, words in asked.first:
                box.addItem(words, number)
            for label in labels:
                box.addItem(swatch(label), label.name, label.id)
        else:
            for word, words in asked.choices:
                box.addItem(words, word)
        box.setCurrentIndex(max(0, box.findData(value)))
        self._values[key] = box.currentData()
        box.activated.connect(lambda _index, key=key, box=box: self._set(key, box.currentData()))
        self._choices[key] = box
        return box

    def _set(self, key: str, value: Value) -> None:
        if self._values.get(key) != value:
            self._values[key] = value
            self.changed.emit()
