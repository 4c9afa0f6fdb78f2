"""AI tab: choose a model, read its card, see whether it suits the scan, run it."""

from __future__ import annotations

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QProgressBar, QScrollArea, QWidget

from napari_medcnn.core.results import FitItem
from napari_medcnn.io.packages import Package
from napari_medcnn.widgets.model_card import card_lines, card_text
from napari_medcnn.widgets.parts import GAP, Text, TextWindow, button, column, form, line, row
from napari_medcnn.widgets.result_view import ResultView

INSTALL_COMMAND = 'pip install "napari-medcnn[engine]"'
#: Level of a line of the fit check -> the sign before it; the words carry the meaning, the sign helps to find them.
SIGNS = {"ok": "✓", "warn": "!", "override": "!!", "stop": "✗"}
_MEANING = {"warn": "Look: ", "override": "Careful: ", "stop": "Cannot run: "}


def fit_line(item: FitItem) -> str:
    """Return one line of the fit check in words."""
    return f"{SIGNS[item.level]}  {_MEANING.get(item.level, '')}{item.topic}: {item.text}"


def fit_lines(items: tuple[FitItem, ...]) -> list[str]:
    """Return a line for everything to look at, and one line for all that suits."""
    suits = " · ".join(f"{item.topic}: {item.text}" for item in items if item.level == "ok")
    return [fit_line(item) for item in items if item.level != "ok"] + ([f"{SIGNS['ok']}  {suits}"] if suits else [])


class AiTab(QWidget):
    """Shows models, fit, progress and result; emits what is wanted."""

    model_chosen = Signal()
    run_asked = Signal()
    cancel_asked = Signal()
    release_asked = Signal()
    refresh_asked = Signal()
    add_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._packages: tuple[Package, ...] = ()
        self._fit: tuple[FitItem, ...] = ()
        self.problems: tuple[str, ...] = ()
        self._scan_open = self._running = self._engine_missing = False
        layout = column(self, margin=GAP)
        self.hint = Text("")
        layout.addWidget(self.hint)
        self.models = QComboBox()
        self.models.setAccessibleName("Model")
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.models.setMinimumContentsLength(12)
        self.models.currentIndexChanged.connect(lambda _i: self._choose())
        self.card_button = button("About", self._show_card, "The whole card of this model")
        self.add_button = button("Add a model...", self.add_asked.emit, "A package (zip or rdf.yaml) or a .keras file")
        models = row(self.card_button, self.add_button, stretch=True)
        layout.addWidget(Text("Model", bold=True))
        layout.addWidget(self.models)
        layout.addLayout(models)
        self.adding = Text("")
        self.adding.hide()
        layout.addWidget(self.adding)
        self.card = form()
        layout.addLayout(self.card)
        layout.addWidget(line())
        self.fit_title = Text("Does it suit this scan?", bold=True)
        layout.addWidget(self.fit_title)
        self.fit = Text("")
        layout.addWidget(self.fit)
        self.insist = QCheckBox("Run all the same")
        self.insist.toggled.connect(lambda _on: self._update())
        layout.addWidget(self.insist)
        self.run = button("Run", self.run_asked.emit)
        self.run.setDefault(True)
        layout.addWidget(self.run)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
        self.cancel = button("Cancel", self.cancel_asked.emit, "Esc")
        progress = row(self.bar, self.cancel)
        progress.setStretch(0, 1)
        layout.addLayout(progress)
        self.doing = Text("")
        layout.addWidget(self.doing)
        self.error = Text("")
        layout.addWidget(self.error)
        self.result = ResultView()
        layout.addWidget(self.result)
        layout.addStretch(1)
        self.release = button(
            "Release GPU memory", self.release_asked.emit, "Ends the AI engine; the next run starts it again"
        )
        layout.addWidget(self.release)
        self.show_models((), ())
        self.show_running(False)
        self.show_error("")

    # ---- models --------------------------------------------------------------------------------------------------

    def show_models(self, packages: tuple[Package, ...], problems: tuple[str, ...]) -> None:
        """List the models; what cannot be used is named below."""
        kept = self.model.spec.name if self.model is not None else ""
        self._packages = packages
        self.models.blockSignals(True)
        self.models.clear()
        for package in packages:
            self.models.addItem(package.spec.title or package.spec.name)
        names = [package.spec.name for package in packages]
        if names:
            self.models.setCurrentIndex(names.index(kept) if kept in names else 0)
        self.models.blockSignals(False)
        self.problems = problems
        self._choose()

    @property
    def model(self) -> Package | None:
        """The chosen model."""
        index = self.models.currentIndex() if self._packages else -1
        return self._packages[index] if 0 <= index < len(self._packages) else None

    def choose(self, name: str) -> bool:
        """Choose a model by name; False if there is none of that name."""
        names = [package.spec.name for package in self._packages]
        if name in names:
            self.models.setCurrentIndex(names.index(name))
        return name in names

    def show_adding(self, words: str, busy: bool = False) -> None:
        """Say how far the adding of a model is, "" for nothing."""
        self.adding.setText(words)
        self.adding.setVisible(bool(words))
        self.add_button.setEnabled(not busy)

    def _choose(self) -> None:
        while self.card.rowCount():
            self.card.removeRow(0)
        model = self.model
        if model is not None:
            for word, value in card_lines(model.spec):
                self.card.addRow(word, Text(value))
        self.insist.setChecked(False)
        self.show_fit(())
        self.model_chosen.emit()

    def _show_card(self) -> None:
        if self.model is not None:
            TextWindow(self.model.spec.title or self.model.spec.name, card_text(self.model), self).show()

    # ---- fit and running -----------------------------------------------------------------------------------------

    def show_scan(self, is_open: bool) -> None:
        """Say whether there is a scan to run on."""
        self._scan_open = is_open
        self._update()

    def show_fit(self, items: tuple[FitItem, ...]) -> None:
        """Show the fit check, gravest lines first."""
        order = ("stop", "override", "warn", "ok")
        self._fit = tuple(sorted(items, key=lambda item: order.index(item.level)))
        self.fit.setText("\n".join(fit_lines(self._fit)))
        self._update()

    def show_engine_missing(self, missing: bool) -> None:
        """Say that TensorFlow is not installed, and the one command that changes it."""
        self._engine_missing = missing
        self._update()

    def show_running(self, running: bool) -> None:
        """Show or hide bar and Cancel."""
        self._running = running
        for widget in (self.bar, self.cancel, self.doing):
            widget.setVisible(running)
        if running:
            self.show_progress(None, "Starting")
            self.show_error("")
        self._update()

    def show_progress(self, fraction: float | None, words: str) -> None:
        """Show how far the work is; None while it cannot be known."""
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        self.doing.setText(words)

    def look_at_result(self) -> None:
        """Scroll down to the result once it has been laid out: on a small screen it stands below the card."""
        QTimer.singleShot(0, self._scroll_to_result)

    def _scroll_to_result(self) -> None:
        area = self.parentWidget().parentWidget() if self.parentWidget() is not None else None
        if isinstance(area, QScrollArea):
            area.ensureWidgetVisible(self.result)
            bar = area.verticalScrollBar()
            bar.setValue(min(bar.value(), self.result.y()))  # taller than the tab: its beginning counts

    def show_error(self, words: str) -> None:
        """Show what went wrong, "" for nothing."""
        self.error.setText(f"✗  {words}" if words else "")
        self.error.setVisible(bool(words))

    @property
    def insists(self) -> bool:
        """True if the user runs a model that was not made for such a scan."""
        return bool(self.insist.isChecked())

    def _update(self) -> None:
        levels = {item.level for item in self._fit}
        self.insist.setVisible("override" in levels and "stop" not in levels)
        blocked = "stop" in levels or ("override" in levels and not self.insists)
        ready = self.model is not None and self._scan_open and not self._running and not blocked
        self.run.setEnabled(ready and not self._engine_missing)
        for widget in (self.fit, self.fit_title):
            widget.setVisible(bool(self._fit))
        self.card_button.setVisible(self.model is not None)
        self.hint.setText(self._hint())
        self.hint.setVisible(bool(self.hint.text()))

    def _hint(self) -> str:
        lines = []
        if self._engine_missing:
            lines.append(
                "Models need TensorFlow, which is not installed here. Viewing and correcting work without it. "
                f"To add it, type:\n{INSTALL_COMMAND}"
            )
        if not self._packages:
            lines.append("There is no model here yet.")
        elif not self._scan_open:
            lines.append("Open a scan first.")
        if self.problems:
            lines.append("Left out:\n" + "\n".join(self.problems))
        return "\n\n".join(lines)
