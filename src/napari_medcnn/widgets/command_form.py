"""The form for a program of the user's own as a model: started from a template, saved only in the user's settings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QPlainTextEdit, QWidget

from napari_medcnn.core.command import PLACEHOLDERS, CommandModel
from napari_medcnn.core.labels import LabelSet
from napari_medcnn.errors import InputError
from napari_medcnn.widgets.parts import GAP, Choice, Text, column, form

_TO_FILL = re.compile(r"\b[A-Z][A-Z_]{4,}\b")
_WIDTH = 560
EXPLAINED = (
    "A program that is installed on this computer runs as a model: MedCNN writes the scan to a file, starts the "
    "program, and reads the mask back. Change what stands in capitals."
)


class CommandForm(QDialog):
    """Asks; `command` is the description once the form was accepted, None before."""

    def __init__(self, templates: tuple[CommandModel, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("A program as a model")
        self.command: CommandModel | None = None
        self._templates = templates
        layout = column(self, margin=2 * GAP)
        explained = Text(EXPLAINED)
        explained.setMinimumWidth(_WIDTH)  # wrapped text asks for its height at its smallest width
        layout.addWidget(explained)
        self._form = form()
        layout.addLayout(self._form)
        self.template = Choice()
        for template in templates:
            self.template.addItem(template.title)
        self._row("Begin with", self.template)
        self.name = self._row("Short name", QLineEdit())
        self.title = self._row("Title", QLineEdit())
        self.arguments = self._lines("Program and arguments", 7, "One per line; the program first")
        words = "\n".join(f"{{{word}}}: {meaning}" for word, meaning in PLACEHOLDERS.items())
        self.arguments.setToolTip(f"In the arguments:\n{words}")
        self.channels = self._lines("Channels", 2, "One per line; a single line for a plain scan")
        self.classes = self._lines("Class names", 2, "One per line, by number; empty if the program names them")
        self.settings = self._lines("Settings", 2, "NAME=VALUE, one per line; set for the program only")
        self.licence = self._row("Licence", QLineEdit())
        self.note = Text("")
        self.note.setMinimumWidth(_WIDTH)
        layout.addWidget(self.note)
        self.error = Text("")
        self.error.setMinimumWidth(_WIDTH)
        layout.addWidget(self.error)
        layout.addStretch(1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.save = buttons.addButton("Save", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        self.template.currentIndexChanged.connect(self._fill)
        self._fill(0)
        self.resize(620, 600)

    def made(self) -> CommandModel:
        """Return what stands in the form; InputError names what cannot be used."""
        base = self._templates[self.template.currentIndex()]
        classes = _lines_of(self.classes)
        labels = base.labels if classes == base.labels.names else LabelSet.from_names(classes)
        command = replace(
            base,
            name=self.name.text().strip(),
            title=self.title.text().strip(),
            arguments=_lines_of(self.arguments),
            channels=_lines_of(self.channels),
            labels=labels,
            environment=tuple(_setting(line) for line in _lines_of(self.settings)),
            licence=self.licence.text().strip() or "unknown",
        )
        asked = set(_TO_FILL.findall(" ".join([base.title, *base.arguments, *(v for _, v in base.environment)])))
        left = [command.title, *command.arguments, *(value for _, value in command.environment)]
        open_words = sorted(word for word in asked if any(word in text for text in left))
        if open_words:
            raise InputError(f"Please put your own in the place of {', '.join(open_words)}.")
        return command

    def _accept(self) -> None:
        try:
            self.command = self.made()
        except InputError as error:
            self.error.setText(f"✗  {error}")
            return
        self.accept()

    def _fill(self, index: int) -> None:
        template = self._templates[index]
        self.name.setText(template.name)
        self.title.setText(template.title)
        self.arguments.setPlainText("\n".join(template.arguments))
        self.channels.setPlainText("\n".join(template.channels))
        self.classes.setPlainText("\n".join(template.labels.names))
        self.settings.setPlainText("\n".join(f"{key}={value}" for key, value in template.environment))
        self.licence.setText(template.licence)
        self.licence.setCursorPosition(0)
        self.note.setText(template.note)
        self.note.setVisible(bool(template.note))
        self.error.setText("")

    def _lines(self, words: str, rows: int, hint: str) -> QPlainTextEdit:
        field = QPlainTextEdit()
        field.setFixedHeight(field.fontMetrics().lineSpacing() * rows + 14)
        field.setTabChangesFocus(True)
        field.setStyleSheet("QPlainTextEdit { border: 1px solid gray; }")
        field.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        field.setPlaceholderText(hint)
        field.setToolTip(hint)
        self._row(words, field)
        return field

    def _row(self, words: str, field: Any) -> Any:
        field.setAccessibleName(words)
        self._form.addRow(words, field)
        return field


def _lines_of(field: QPlainTextEdit) -> tuple[str, ...]:
    return tuple(line.strip() for line in field.toPlainText().splitlines() if line.strip())


def _setting(line: str) -> tuple[str, str]:
    key, sign, value = line.partition("=")
    if not sign or not key.strip():
        raise InputError(f"Settings: expected NAME=VALUE, got {line[:60]!r}")
    return key.strip(), value.strip()
