"""The one short form about a bare network: what its file does not say, in plain words."""

from __future__ import annotations

import re
from typing import Any, cast

from qtpy.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QLineEdit, QPlainTextEdit, QWidget

from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import InputError
from napari_medcnn.verbs.model_answers import VALUES, Answers, Draft, Values, open_questions, spec_from
from napari_medcnn.widgets.number_field import number
from napari_medcnn.widgets.parts import GAP, Text, column, form, row

FINDS = {
    "": "Choose ...",
    "segmentation": "Areas in the scan (a class for every voxel)",
    "classification": "One answer per case",
}
EXCLUSIVE = {None: "Choose ...", True: "Only one class at a time", False: "Several classes can be true together"}
#: Answer -> what stands before its field.
WORDS = {
    "name": "Name",
    "finds": "What it finds",
    "classes": "Class names",
    "exclusive": "Classes",
    "values": "Values are scaled by",
    "window_hu": "CT window (HU)",
    "voxel_mm": "Voxel size (mm)",
    "threshold": "Counts from probability",
    "window": "Window size (voxels)",
    "licence": "Licence",
    "trained_on": "Trained on",
}


def sizes(text: str, what: str) -> tuple[int, ...]:
    """Read "64 x 128 x 128"; () for nothing."""
    if not text.strip():
        return ()
    parts = [part.strip() for part in re.split(r"[x×*]", text.lower())]
    if not all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts):
        raise InputError(f"{what}: expected whole numbers such as 256 x 256, got {text[:40]!r}")
    return tuple(int(part) for part in parts)


class AddModelForm(QDialog):
    """Asks; `spec` is the card once the form was accepted, None before."""

    def __init__(self, draft: Draft, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add a model")
        self.spec: ModelSpec | None = None
        self._facts = draft.facts
        layout = column(self, margin=2 * GAP)
        layout.addWidget(Text(_facts_words(draft)))
        self._form = form()
        layout.addLayout(self._form)
        self._build(draft.answers)
        self.error = Text("")
        self.error.setMinimumWidth(460)
        layout.addWidget(self.error)
        layout.addStretch(1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.add = buttons.addButton("Add", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        self.finds.currentIndexChanged.connect(lambda _i: self._update())
        self.values.currentIndexChanged.connect(lambda _i: self._update())
        self.exclusive.currentIndexChanged.connect(lambda _i: self._update())
        self._update()

    def _build(self, answers: Answers) -> None:
        facts = self._facts
        self.name = self._row("name", QLineEdit(answers.name))
        self.finds = self._row("finds", _choice(FINDS, answers.finds))
        self.finds.setEnabled(facts.task is None)
        self.classes = self._row("classes", QPlainTextEdit("\n".join(answers.classes)))
        self.classes.setFixedHeight(self.classes.fontMetrics().lineSpacing() * 5 + 12)
        self.classes.setTabChangesFocus(True)
        count = f"One line for each of its {facts.outputs} outputs, in their order" if facts.outputs else ""
        self.classes.setPlaceholderText(count or "One line for each output of the network, in their order")
        self.exclusive = self._row("exclusive", _choice(EXCLUSIVE, answers.exclusive))
        self.exclusive.setEnabled(facts.asks_exclusive)
        self.values = self._row("values", _choice({"": "Choose ...", **VALUES}, answers.values))
        self.low, self.high = QLineEdit(), QLineEdit()
        self.low.setPlaceholderText("low, such as -160")
        self.high.setPlaceholderText("high, such as 240")
        self.hu = self._row("window_hu", _pair(self.low, self.high))
        self.between, self.within = QLineEdit(), QLineEdit()
        self.between.setPlaceholderText("slices: as the scan")
        self.within.setPlaceholderText("pixels: as the scan")
        self.between.setVisible(facts.dimensions == 3)
        self._row("voxel_mm", _pair(self.between, self.within))
        self.threshold = self._row("threshold", QLineEdit(f"{answers.threshold:g}"))
        self.window_size = self._row("window", QLineEdit(" x ".join(map(str, answers.window))))
        self.window_size.setEnabled(not facts.fixed)
        if facts.divisor > 1:
            self.window_size.setToolTip(f"Multiples of {facts.divisor}; larger is slower and sees more at once")
        self.licence = self._row("licence", QLineEdit("" if answers.licence == "unknown" else answers.licence))
        self.licence.setPlaceholderText("unknown")
        self.trained_on = self._row("trained_on", QLineEdit(answers.trained_on))
        self.trained_on.setPlaceholderText("which scans, whose patients")

    def answers(self) -> Answers:
        """Return what stands in the form; InputError names the field that cannot be read."""
        values = cast(Values, self.values.currentData())
        finds = self.finds.currentData()
        hu = (self.low.text(), self.high.text())
        within = _optional(self.within, "Voxel size within a slice")
        between = _optional(self.between, "Voxel size between slices") if self._facts.dimensions == 3 else None
        window_hu = None
        if values == "window" and any(text.strip() for text in hu):
            window_hu = (number(hu[0], "CT window, low"), number(hu[1], "CT window, high"))
        judged_alone = self.exclusive.currentData() is False
        return Answers(
            name=self.name.text(),
            finds=finds,
            classes=tuple(line.strip() for line in self.classes.toPlainText().splitlines() if line.strip()),
            exclusive=self.exclusive.currentData(),
            values=values,
            window_hu=window_hu,
            voxel_mm=None if within is None and between is None else (between, within, within),
            threshold=number(self.threshold.text(), WORDS["threshold"]) if judged_alone else 0.5,
            window=sizes(self.window_size.text(), WORDS["window"])
            if finds == "segmentation" or self._facts.fixed
            else (),
            licence=self.licence.text(),
            trained_on=self.trained_on.text(),
        )

    def _accept(self) -> None:
        try:
            answers = self.answers()
            missing = open_questions(self._facts, answers)
            if missing:
                raise InputError(f"Please fill in: {', '.join(WORDS[name] for name in missing)}")
            self.spec = spec_from(self._facts, answers)
        except InputError as error:
            key, colon, rest = str(error).partition(": ")
            self.error.setText(f"✗  {WORDS.get(key, key)}{colon}{rest}")
            return
        self.accept()

    def _update(self) -> None:
        """Show only the fields that matter for what is chosen."""
        self._show(self.hu, self.values.currentData() == "window")
        self._show(self.threshold, self.exclusive.currentData() is False)
        self._show(self.window_size, self.finds.currentData() != "classification")
        self._show(self.exclusive, self._facts.asks_exclusive)

    def _show(self, field: QWidget, shown: bool) -> None:
        field.setVisible(shown)
        self._form.labelForField(field).setVisible(shown)

    def _row(self, answer: str, field: Any) -> Any:
        field.setAccessibleName(WORDS[answer])
        self._form.addRow(WORDS[answer], field)
        return field


def _facts_words(draft: Draft) -> str:
    facts = draft.facts
    kind = "slices or pictures" if facts.dimensions == 2 else "volumes"
    gives = f", gives {facts.outputs} output(s)" if facts.outputs else ""
    return (
        f"{facts.file} takes {kind} with {facts.channels} channel(s){gives}. The file does not say the rest; "
        "it is asked once and kept with the model."
    )


def _choice(words: Any, chosen: Any) -> QComboBox:
    box = QComboBox()
    for key, text in words.items():
        box.addItem(text, key)
    box.setCurrentIndex(list(words).index(chosen))
    return box


def _pair(first: QWidget, second: QWidget) -> QWidget:
    both = QWidget()
    layout = row(first, second)
    layout.setContentsMargins(0, 0, 0, 0)
    both.setLayout(layout)
    return both


def _optional(field: QLineEdit, what: str) -> float | None:
    return number(field.text(), what) if field.text().strip() else None
