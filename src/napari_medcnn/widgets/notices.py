"""What was noticed of a scan: found, taken for granted, refused, in plain words, with a button for each agreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_medcnn.core.consent import NONE, Consent, Report
from napari_medcnn.widgets.parts import GAP, Text, button, column, row

#: For each thing that may be asked: (words of the button, what agreeing to it sets).
ANSWERS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "resample": (("Open straightened (resampled)", {"resample": True}),),
    "duplicates": (("Take the first", {"duplicates": "first"}), ("Take the last", {"duplicates": "last"})),
    "damaged": (("Open what can be read (read-only)", {"damaged": True}),),
    "large": (("Open although large", {"large": True}),),
    "complex_part": tuple(
        (f"Show {word}", {"complex_part": part})
        for part, word in (
            ("magnitude", "magnitude"), ("phase", "phase"), ("real", "real part"), ("imaginary", "imaginary part"),
        )
    ),
    "unnumbered": (("Open as one series", {"unnumbered": True}),),
    "mask": (("Resample the mask onto the scan", {}),),
}  # fmt: skip
#: Lines that are seen before somebody asks for all of them.
_FEW = 3


@dataclass(frozen=True)
class Question:
    """What opens only if the user agrees: the reason, what is asked (a key of `ANSWERS`), and how to go on.

    `given` is what was agreed to before; `again` is called with that and the new answer.
    """

    words: str
    asks: str
    again: Callable[[Consent], None]
    given: Consent = NONE

    def answered(self, number: int) -> Consent:
        """Return all that is agreed to once the button of that number is pressed."""
        return replace(self.given, **ANSWERS[self.asks][number][1])


def report_lines(report: Report) -> list[str]:
    """Return what was refused, assumed and found, one line each with a sign, the gravest first."""
    signs = (("?" if report.asks else "✗", report.refused), ("!", report.assumed), ("·", report.found))
    return [f"{sign}  {line}" for sign, lines in signs for line in lines]


class Notices(QWidget):
    """The block below the tree: at most a few lines until somebody asks for all; hidden where nothing was noticed."""

    answered = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []
        self._clean: Callable[[str], str] = str
        self._question: Question | None = None
        layout = column(self, margin=0)
        self.title = Text("What was noticed", bold=True)
        self.more = button("Show all", self._toggle)
        self.more.setCheckable(True)
        heading = row(self.title, self.more)
        heading.setStretch(0, 1)
        layout.addLayout(heading)
        self.words = Text("")
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.words)
        self.buttons = QGridLayout()
        self.buttons.setSpacing(GAP)
        layout.addLayout(self.buttons)
        self._buttons = [button("", partial(self._answer, number)) for number in range(4)]
        for number, made in enumerate(self._buttons):
            self.buttons.addWidget(made, number // 2, number % 2)
        self.show_report(Report())

    def show_report(self, report: Report, question: Question | None = None) -> None:
        """Show what was noticed of one scan, and what it asks; nothing at all hides the block."""
        lines = report_lines(report)
        asked = question is not None and question.asks in ANSWERS
        if question is not None and not any(line.endswith(question.words) for line in lines):
            lines.insert(0, f"?  {question.words}")
        self._lines, self._question = lines, question
        answers = ANSWERS[question.asks] if question is not None and asked else ()
        for number, made in enumerate(self._buttons):
            made.setVisible(number < len(answers))
            if number < len(answers):
                made.setText(answers[number][0])
                made.setAccessibleName(answers[number][0])
        self.buttons.addWidget(self._buttons[0], 0, 0, 1, 2 if len(answers) == 1 else 1)
        self.more.setChecked(False)
        self._show()

    def hide_names(self, clean: Callable[[str], str]) -> None:
        """Show the lines as `clean` leaves them."""
        self._clean = clean
        self._show()

    def answer_buttons(self) -> list[Any]:
        """Return the buttons that agree to something, in their order."""
        return [made for made in self._buttons if not made.isHidden()]

    def _answer(self, number: int) -> None:
        question = self._question
        if question is not None:
            self.show_report(Report())
            question.again(question.answered(number))

    def _toggle(self) -> None:
        self._show()

    def _show(self) -> None:
        all_shown = self.more.isChecked()
        lines = self._lines if all_shown else self._lines[:_FEW]
        self.words.setText("\n".join(self._clean(line) for line in lines))
        self.more.setVisible(len(self._lines) > _FEW)
        self.more.setText("Show less" if all_shown else f"Show all {len(self._lines)}")
        self.setVisible(bool(self._lines))
