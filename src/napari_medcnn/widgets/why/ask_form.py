"""How a question is put: about which class and place, by which method; the rest is folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_medcnn.core.options import ExplainOptions
from napari_medcnn.core.saliency import METHODS
from napari_medcnn.widgets.number_field import NumberField
from napari_medcnn.widgets.parts import Choice, Section, Text, as_tip, button, column, form, row
from napari_medcnn.widgets.why.wording import (
    FIRST,
    LONG,
    LONG_S,
    MORE,
    Model,
    method_words,
    part_words,
    sentence,
    time_words,
    why_not,
)

#: Words -> what a plain image is.
BASELINES = {
    "mean": "Mean of the scan",
    "air": "Air",
    "blur": "Blurred scan",
    "black": "Black",
}
AUTOMATIC = "Automatic"
WHOLE = "The whole scan"


class AskForm(QWidget):
    """Signals: `asked` with a method; `armed` when the next click on a picture is to be the question; `whole_asked`."""

    asked = Signal(str)
    armed = Signal(bool)
    whole_asked = Signal()
    refused = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        about = form()
        self.classes = Choice()
        self.classes.setAccessibleName("About which class")
        about.addRow("About", self.classes)
        self.against = QCheckBox("What spoke against it")
        about.addRow("", self.against)
        layout.addLayout(about)
        self.place = Text("")
        layout.addWidget(self.place)
        self.click = button("Click on the picture", self._arm, "Then click on a part of the mask, or anywhere")
        self.click.setCheckable(True)
        self.whole = button("The whole scan", self.whole_asked.emit, "Not about one place any more")
        layout.addLayout(row(self.click, self.whole))
        self.firsts: dict[str, QPushButton] = {}
        for name in FIRST:
            made = button(METHODS[name].plain, partial(self.asked.emit, name))
            self.firsts[name] = made
            layout.addWidget(made)
        self.reason = Text("")
        layout.addWidget(self.reason)
        self.more = Section("More methods", self._more())
        layout.addWidget(self.more)
        self.options_section = Section("Options", self._options())
        layout.addWidget(self.options_section)
        self._model: Model | None = None
        self._seconds: Mapping[str, float] = {}
        self._busy = False
        self.show_place("", False)

    def _more(self) -> QWidget:
        inside = QWidget()
        layout = column(inside, margin=0)
        self.methods = Choice()
        self.methods.setAccessibleName("Method")
        for name in MORE:
            self.methods.addItem(METHODS[name].title, name)
        self.methods.currentIndexChanged.connect(lambda _i: self._describe())
        self.show_button = button("Show", lambda: self.asked.emit(str(self.methods.currentData())))
        both = row(self.methods, self.show_button)
        both.setStretch(0, 1)
        layout.addLayout(both)
        self.described = Text("")
        layout.addWidget(self.described)
        return inside

    def _options(self) -> QWidget:
        inside = QWidget()
        made = form()
        inside.setLayout(made)
        self.layer = Choice()
        self.layer.addItem(AUTOMATIC, "")
        self.layer.setToolTip(
            as_tip(
                "Layer of the network that Where it looked and its relatives look at, counted from the scan on; "
                "known after a map, and the own name of each is its tool tip"
            )
        )
        self.baseline = Choice()
        for key, words in BASELINES.items():
            self.baseline.addItem(words, key)
        self.baseline.setToolTip("The plain image that Fine detail compares with, and what fills a place that is gone")
        self.samples, self.channel = NumberField("Noisy copies", 2, 1000), NumberField("Channel", 0, 10**6)
        self.seed = NumberField("Random seed", 0, 10**6)
        self.patch, self.stride = NumberField("Patch in mm", 0.0, 1000.0), NumberField("Distance in mm", 0.0, 1000.0)
        whole = (self.samples, self.channel, self.seed)
        self._numbers = {self.samples: 20.0, self.channel: 0.0, self.seed: 0.0, self.patch: 0.0, self.stride: 0.0}
        for number, value in self._numbers.items():
            number.show_number(value)
            number.typed.connect(partial(self._typed, number, number in whole))
            number.refused.connect(self.refused.emit)
        for number in (self.patch, self.stride):
            number.setToolTip("0: chosen for you. Voxels where the voxel size is not stated.")
        self.pieces = QCheckBox("Natural pieces, not cubes")
        rows = (
            ("Looks at", self.layer), ("Compared with", self.baseline), ("Noisy copies", self.samples),
            ("Channel", self.channel), ("Patch (mm)", self.patch), ("Every (mm)", self.stride), ("", self.pieces),
            ("Random seed", self.seed),
        )  # fmt: skip
        for words, widget in rows:
            if not words:
                made.addRow(widget)  # over both columns: beside the names it would widen the dock
                continue
            widget.setMinimumWidth(80)
            widget.setAccessibleName(words)
            made.addRow(words, widget)
        return inside

    # ---- what is shown -------------------------------------------------------------------------------------------

    def show_model(self, model: Model | None, names: Sequence[str]) -> None:
        """Offer what this model can do, and its classes; the class that was chosen stays if it is still there."""
        changed = model is not self._model
        self._model = model
        kept = self.class_name
        if [self.classes.itemText(i) for i in range(self.classes.count())] != list(names):
            self.classes.clear()
            self.classes.addItems(list(names))
            self.choose_class(kept)
        if changed:
            self.show_layers(())
        self._update()

    def show_layers(self, names: Sequence[str]) -> None:
        """List the layers that can be looked at."""
        kept = self.layer.currentData()
        blocker = QSignalBlocker(self.layer)
        self.layer.clear()
        self.layer.addItem(AUTOMATIC, "")
        for number, name in enumerate(names, 1):
            self.layer.addItem(part_words(number, len(names)), name)
            self.layer.setItemData(self.layer.count() - 1, as_tip(f"Layer {name}"), Qt.ItemDataRole.ToolTipRole)
        self.layer.setCurrentIndex(max(0, self.layer.findData(kept)))
        blocker.unblock()

    def show_times(self, seconds: Mapping[str, float]) -> None:
        """Say how long each method will take."""
        self._seconds = dict(seconds)
        self._update()

    def show_place(self, words: str, can_click: bool) -> None:
        """Say which place is asked about, "" for the whole scan."""
        self.place.setText(words)
        self.place.setVisible(bool(words))
        self.click.setVisible(can_click)
        self.whole.setVisible(bool(words))

    def show_armed(self, armed: bool) -> None:
        """Say whether a click on a picture is waited for."""
        self.click.setChecked(armed)
        self.click.setText("Click on the picture ..." if armed else "Click on the picture")

    def show_busy(self, busy: bool) -> None:
        """While a question is answered no other is put."""
        self._busy = busy
        self._update()

    # ---- what was chosen -----------------------------------------------------------------------------------------

    @property
    def class_name(self) -> str:
        """The class that is asked about."""
        return str(self.classes.currentText())

    def choose_class(self, name: str) -> bool:
        """Ask about this class; False if the model has none of that name."""
        at = self.classes.findText(name, Qt.MatchFlag.MatchExactly)
        if at >= 0:
            self.classes.setCurrentIndex(at)
        return at >= 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes of the model."""
        return tuple(str(self.classes.itemText(i)) for i in range(self.classes.count()))

    def options(self, method: str, base: ExplainOptions, typed: bool = True) -> ExplainOptions:
        """Return what was chosen, for a method; with `typed` what stands in a field unfinished, too."""
        for number in self._numbers if typed else ():  # a click on a button leaves the keyboard in the field
            number.editingFinished.emit()
        uses_layer = METHODS[method].needs == "layer"
        return replace(
            base,
            method=method,
            target=self.class_name,
            negate=self.against.isChecked(),
            layer=str(self.layer.currentData() or "") if uses_layer else "",
            channel=int(self._numbers[self.channel]) if method == "feature-map" else 0,
            baseline=self.baseline.currentData(),
            samples=int(self._numbers[self.samples]),
            patch_mm=self._numbers[self.patch],
            stride_mm=self._numbers[self.stride],
            supervoxels=self.pieces.isChecked(),
            seed=int(self._numbers[self.seed]),
        )

    # ---- inside --------------------------------------------------------------------------------------------------

    def _typed(self, number: NumberField, whole: bool, value: float) -> None:
        self._numbers[number] = float(round(value)) if whole else value
        number.show_number(self._numbers[number])

    def _arm(self) -> None:
        self.armed.emit(self.click.isChecked())

    def _update(self) -> None:
        reasons = []
        for name, made in self.firsts.items():
            why = why_not(self._model, name)
            took = time_words(self._seconds.get(name))
            made.setText(f"{METHODS[name].plain}  ({took})" if took else METHODS[name].plain)
            made.setEnabled(not why and not self._busy)
            made.setToolTip(as_tip(why or f"{METHODS[name].line} ({METHODS[name].title})"))
            reasons.append(why)
        model = cast(QStandardItemModel, self.methods.model())
        for index, name in enumerate(MORE):
            item = model.item(index)
            if item is not None:
                item.setEnabled(not why_not(self._model, name))
        said = next((why for why in reasons if why), "") or self._long()
        self.reason.setText(f"!  {said}" if said else "")
        self.reason.setVisible(bool(said))
        self._describe()

    def _long(self) -> str:
        """Return which methods of the first level take long, before one is pressed."""
        long = [f"“{METHODS[name].plain}”" for name in self.firsts if self._seconds.get(name, 0.0) > LONG_S]
        if not long:
            return ""
        return f"{' and '.join(long)} {'take' if len(long) > 1 else 'takes'} a while. {LONG}"

    def _describe(self) -> None:
        name = str(self.methods.currentData())
        method, why = METHODS[name], why_not(self._model, name)
        took = time_words(self._seconds.get(name))
        lines = [sentence(method.line)]
        lines += [f"!  {method.warning}"] if method.warning else []
        lines += [f"Takes {took}."] if took else []
        lines += [LONG] if self._seconds.get(name, 0.0) > LONG_S else []
        lines += [f"Not possible: {why}"] if why else []
        self.described.setText("\n".join(lines))
        self.show_button.setEnabled(not why and not self._busy)
        self.show_button.setAccessibleName(f"Show {method_words(name)}")
