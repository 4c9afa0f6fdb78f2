"""How to run a model, folded away under "Options": engine, exactness, mirrored runs, extra maps, slices, region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QToolButton, QWidget

from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.widgets.parts import Choice, Text, button, column, form, row

ENGINES = {"auto": "Automatic", "keras": "Keras", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}
PRECISIONS = {"float32": "Exact", "bfloat16": "Faster (bfloat16)"}
SLICES = {"card": "As the card says", "axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
DOUBTS = {"": "None", "entropy": "From the scores", "variance": "Between mirrored runs"}
WHOLE = "Whole scan"


class RunOptions(QWidget):
    """A line that opens a form; `changed` when something was chosen, `draw_asked` for a new region (True: begin)."""

    changed = Signal()
    draw_asked = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        layout = column(self, margin=0)
        self.fold = QToolButton()
        self.fold.setCheckable(True)
        self.fold.setAutoRaise(True)
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.fold.setToolTip("How the model is run; what is set here holds until you change it")
        self.fold.toggled.connect(self._show_fold)
        layout.addWidget(self.fold)
        self.inside = QWidget()
        layout.addWidget(self.inside)
        inner = column(self.inside, margin=0)
        self._form = form()
        inner.addLayout(self._form)
        self.engine = self._choice("Engine", ENGINES, "Automatic takes a faster one only after it was found equal")
        self.precision = self._choice("Exactness", PRECISIONS, "Faster is a little less exact")
        self.doubt = self._choice("Uncertainty", DOUBTS, "A map of where the model is undecided")
        self.doubt.currentIndexChanged.connect(lambda _i: self._follow_doubt())
        self.region = Choice()
        self.region.setToolTip("A rectangle in a Shapes layer; it reaches through all slices, or from the first slice "
                               "you drew on to the last")  # fmt: skip
        self.draw = button("Draw", self._draw, "Adds a layer to draw a rectangle in")
        self.draw.setCheckable(True)
        where = QWidget()
        both = row(self.region, self.draw)
        both.setContentsMargins(0, 0, 0, 0)
        both.setStretch(0, 1)
        where.setLayout(both)
        self._add("Only inside", self.region, where)
        self.slices = self._choice("Slices", SLICES, "Which slices of a volume the model sees")
        self.region_words = Text("")
        inner.addWidget(self.region_words)
        self.flips = self._tick("Also run mirrored, and average", "Slower and a little better; the card allows it")
        self.probabilities = self._tick("Probability of every class", "As layers over the scan, switched off at first")
        self.coarse = self._tick("Look coarsely first", "Then closely only around what was found; for large scans")
        for box in (self.flips, self.probabilities, self.coarse):
            inner.addWidget(box)
        self.show_regions((), None)
        self.show_model(None, 1, False)
        self.show_engines({})
        self._show_fold(False)

    # ---- what is shown -------------------------------------------------------------------------------------------

    def show_model(self, spec: ModelSpec | None, depth: int, flips: bool) -> None:
        """Offer only what this model can do on a scan of so many slices; what it cannot is put back.

        `flips` says whether the card allows mirrored runs on this scan.
        """
        masks = spec is not None and spec.task == "segmentation"
        slices = spec is not None and spec.preparation.dimensions == 2 and depth > 1
        if not flips:
            self.flips.setChecked(False)
        if not slices:
            self.slices.setCurrentIndex(0)
        if not masks:
            self.doubt.setCurrentIndex(0)
            self.probabilities.setChecked(False)
            self.coarse.setChecked(False)
        self.flips.setVisible(flips)
        self._show_row(self.slices, slices)
        self._show_row(self.doubt, masks)
        self.probabilities.setVisible(masks)
        self.coarse.setVisible(masks and spec is not None and spec.preparation.dimensions == 3)
        _enable(self.doubt, "variance", flips, "" if flips else "The card of this model allows no mirrored runs")
        self._summarise()

    def show_engines(self, missing: Mapping[str, str]) -> None:
        """Enable the engines there are; `missing` says why another cannot be chosen."""
        for name in ENGINES:
            _enable(self.engine, name, name not in missing, missing.get(name, ""))
        if self.engine.currentData() in missing:
            self.engine.setCurrentIndex(0)

    def show_regions(self, names: tuple[str, ...], chosen: str | None) -> None:
        """List the Shapes layers there are."""
        keep = chosen if chosen is not None else self.region.currentData()
        self.region.blockSignals(True)
        self.region.clear()
        self.region.addItem(WHOLE, "")
        for name in names:
            self.region.addItem(name, name)
        self.region.setCurrentIndex(max(0, self.region.findData(keep)))
        self.region.blockSignals(False)
        self._summarise()

    def show_region(self, words: str) -> None:
        """Say how large the region is, "" for the whole scan."""
        self.region_words.setText(words)
        self.region_words.setVisible(bool(words))

    def show_drawing(self, drawing: bool) -> None:
        """Say on the button whether a drag draws."""
        self.draw.setChecked(drawing)
        self.draw.setText("Done" if drawing else "Draw")

    # ---- what is wanted ------------------------------------------------------------------------------------------

    @property
    def region_name(self) -> str:
        """Name of the chosen Shapes layer, "" for the whole scan."""
        return str(self.region.currentData() or "")

    def wanted(self, base: PredictOptions) -> PredictOptions:
        """Return `base` with everything chosen here, but for the region."""
        doubt = self.doubt.currentData()
        given: dict[str, Any] = {"uncertainty_kind": doubt} if doubt else {}
        return replace(
            base,
            engine=self.engine.currentData(),
            precision=self.precision.currentData(),
            slices=self.slices.currentData(),
            flips=self.flips.isChecked(),
            uncertainty=bool(doubt),
            probabilities=self.probabilities.isChecked(),
            coarse=self.coarse.isChecked(),
            **given,
        )

    def summary(self) -> str:
        """Return what differs from a plain run in a few words; "" for nothing."""
        parts = []
        for box in (self.engine, self.precision, self.slices):
            if box.currentIndex() > 0:
                parts.append(box.currentText())
        if self.region_name:
            parts.append(f"inside {self.region_name}")
        if self.doubt.currentIndex() > 0:
            parts.append("uncertainty")
        ticks = ((self.flips, "mirrored"), (self.probabilities, "probabilities"), (self.coarse, "coarse first"))
        parts += [word for box, word in ticks if box.isChecked()]
        return ", ".join(parts)

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        self.draw_asked.emit(self.draw.isChecked())

    def _follow_doubt(self) -> None:
        if self.doubt.currentData() == "variance":
            self.flips.setChecked(True)
        self.flips.setEnabled(self.doubt.currentData() != "variance")

    def _show_fold(self, opened: bool) -> None:
        self.inside.setVisible(opened)
        self.fold.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self._summarise()

    def _summarise(self) -> None:
        summary = self.summary()
        self.fold.setText("Options" if self.fold.isChecked() or not summary else f"Options: {summary}")

    def _changed(self) -> None:
        self._summarise()
        self.changed.emit()

    def _choice(self, words: str, choices: Mapping[str, str], tip: str) -> QComboBox:
        box = Choice()
        for key, text in choices.items():
            box.addItem(text, key)
        box.setToolTip(tip)
        self._add(words, box, box)
        return box

    def _add(self, words: str, box: QComboBox, field: QWidget) -> None:
        box.setAccessibleName(words)
        box.currentIndexChanged.connect(lambda _i: self._changed())
        self._form.addRow(words, field)

    def _tick(self, words: str, tip: str) -> QCheckBox:
        box = QCheckBox(words)
        box.setToolTip(tip)
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.toggled.connect(lambda _on: self._changed())
        return box

    def _show_row(self, field: QWidget, shown: bool) -> None:
        _row_visible(self._form, field, shown)


def _row_visible(layout: QFormLayout, field: QWidget, shown: bool) -> None:
    field.setVisible(shown)
    label = layout.labelForField(field)
    if label is not None:
        label.setVisible(shown)


def _enable(box: QComboBox, key: str, possible: bool, reason: str) -> None:
    """Grey one choice out, with the reason in its tool tip; a choice that is gone is put back to the first."""
    index = box.findData(key)
    model = box.model()
    if isinstance(model, QStandardItemModel):
        model.item(index).setEnabled(possible)
    box.setItemData(index, reason, Qt.ItemDataRole.ToolTipRole)
    if not possible and box.currentIndex() == index:
        box.setCurrentIndex(0)
