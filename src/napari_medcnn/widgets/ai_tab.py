"""AI tab: choose a model, read its card, see whether it suits the scan, run it."""

from __future__ import annotations

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QCheckBox, QProgressBar, QScrollArea, QWidget

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.results import FitItem
from napari_medcnn.io.packages import Package
from napari_medcnn.widgets.channel_rows import ChannelRows
from napari_medcnn.widgets.model_card import card_of, lines_of, name_of, title_of
from napari_medcnn.widgets.parts import GAP, Choice, Text, TextWindow, button, column, form, line, row
from napari_medcnn.widgets.result_view import ResultView
from napari_medcnn.widgets.run_options import RunOptions

INSTALL_COMMAND = 'pip install "napari-medcnn[engine]"'
#: Level of a line of the fit check -> the sign before it; the words carry the meaning, the sign helps to find them.
SIGNS = {"ok": "✓", "warn": "!", "override": "!!", "stop": "✗"}
_MEANING = {"warn": "Look: ", "override": "Careful: ", "stop": "Cannot run: "}


def fit_line(item: FitItem) -> str:
    """Return one line of the fit check in words."""
    return f"{SIGNS[item.level]}  {_MEANING.get(item.level, '')}{item.topic}: {item.text}"


def fit_lines(items: tuple[FitItem, ...]) -> list[str]:
    """Return a line for everything to look at, and one line for all that suits."""
    told = [item for item in items if item.level == "ok" and item.topic != "Trained on"]  # the card says that
    suits = " · ".join(f"{item.topic}: {item.text}" for item in told)
    return [fit_line(item) for item in items if item.level != "ok"] + ([f"{SIGNS['ok']}  {suits}"] if suits else [])


class AiTab(QWidget):
    """Shows models, fit, progress and result; emits what is wanted."""

    model_chosen = Signal()
    run_asked = Signal()
    cancel_asked = Signal()
    release_asked = Signal()
    refresh_asked = Signal()
    add_asked = Signal()
    manager_asked = Signal()
    run_all_asked = Signal()
    save_all_asked = Signal()
    models_shown = Signal()
    adding_said = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._models: tuple[Package | CommandModel, ...] = ()
        self._fit: tuple[FitItem, ...] = ()
        self.problems: tuple[str, ...] = ()
        self._scan_open = self._running = self._engine_missing = False
        self._others = 0
        self._ready = True
        layout = column(self, margin=GAP)
        self.hint = Text("")
        layout.addWidget(self.hint)
        self.models = Choice()
        self.models.setAccessibleName("Model")
        self.models.currentIndexChanged.connect(lambda _i: self._choose())
        self.card_button = button("About", self._show_card, "The whole card of this model")
        self.add_button = button("Add a model...", self.add_asked.emit, "A package (zip or rdf.yaml) or a .keras file")
        self.manager_button = button("Models...", self.manager_asked.emit, "All models: import, test, remove")
        models = row(self.card_button, self.add_button, self.manager_button, stretch=True)
        layout.addWidget(Text("Model", bold=True))
        layout.addWidget(self.models)
        layout.addLayout(models)
        self.adding = Text("")
        self.adding.hide()
        layout.addWidget(self.adding)
        self.card = form()
        layout.addLayout(self.card)
        self.channels = ChannelRows()
        layout.addWidget(self.channels)
        layout.addWidget(line())
        self.fit_title = Text("Does it suit this scan?", bold=True)
        layout.addWidget(self.fit_title)
        self.fit = Text("")
        layout.addWidget(self.fit)
        self.forecast = Text("")
        layout.addWidget(self.forecast)
        self.insist = QCheckBox("Run all the same")
        self.insist.toggled.connect(lambda _on: self._update())
        layout.addWidget(self.insist)
        self.options = RunOptions()
        layout.addWidget(self.options)
        self.run = button("Run", self.run_asked.emit)
        self.run.setDefault(True)
        self.run_all = button("Run on all", self.run_all_asked.emit, "On every open image, one after the other")
        runs = row(self.run, self.run_all)
        runs.setStretch(0, 1)
        layout.addLayout(runs)
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
        self.all_done = Text("")
        layout.addWidget(self.all_done)
        self.save_all = button("Save all masks...", self.save_all_asked.emit, "Each under the name of its scan")
        layout.addLayout(row(self.save_all, stretch=True))
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
        self.show_forecast("", False)
        self.show_all("", False)

    # ---- models --------------------------------------------------------------------------------------------------

    def show_models(
        self, packages: tuple[Package, ...], problems: tuple[str, ...], commands: tuple[CommandModel, ...] = ()
    ) -> None:
        """List the models, the user's own programs last; what cannot be used is named below."""
        kept = name_of(self.model) if self.model is not None else ""
        self._models = (*packages, *commands)
        self.models.blockSignals(True)
        self.models.clear()
        for model in self._models:
            self.models.addItem(title_of(model))
        names = [name_of(model) for model in self._models]
        if names:
            self.models.setCurrentIndex(names.index(kept) if kept in names else 0)
        self.models.blockSignals(False)
        self.problems = problems
        self._choose()
        self.models_shown.emit()

    @property
    def all_models(self) -> tuple[Package | CommandModel, ...]:
        """What can be chosen."""
        return self._models

    @property
    def model(self) -> Package | CommandModel | None:
        """The chosen model."""
        index = self.models.currentIndex() if self._models else -1
        return self._models[index] if 0 <= index < len(self._models) else None

    def choose(self, name: str) -> bool:
        """Choose a model by name; False if there is none of that name."""
        names = [name_of(model) for model in self._models]
        if name in names:
            self.models.setCurrentIndex(names.index(name))
        return name in names

    def show_adding(self, words: str, busy: bool = False) -> None:
        """Say how far the adding of a model is, "" for nothing."""
        self.adding.setText(words)
        self.adding.setVisible(bool(words))
        self.add_button.setEnabled(not busy)
        self.adding_said.emit(words)

    def _choose(self) -> None:
        while self.card.rowCount():
            self.card.removeRow(0)
        model = self.model
        if model is not None:
            for word, value in lines_of(model):
                self.card.addRow(word, Text(value))
        self.insist.setChecked(False)
        self.show_fit(())
        self.model_chosen.emit()

    def _show_card(self) -> None:
        if self.model is not None:
            TextWindow(title_of(self.model), card_of(self.model), self).show()

    # ---- fit and running -----------------------------------------------------------------------------------------

    def show_scan(self, is_open: bool, others: int = 0) -> None:
        """Say whether there is a scan to run on, and how many more images are open."""
        self._scan_open, self._others = is_open, others
        self._update()

    def show_ready(self, ready: bool) -> None:
        """Say whether everything chosen under Options can be done (a region that nobody drew cannot)."""
        self._ready = ready
        self._update()

    def show_forecast(self, words: str, too_much: bool) -> None:
        """Say what a run will take, in red where it is more than there is."""
        self.forecast.setText(f"!  {words}" if too_much and words else words)
        self._update()
        dark = self.palette().color(QPalette.ColorRole.Window).lightness() < 128
        red = "#ff8a80" if dark else "#b00020"  # at least 4.5:1 on napari's dark and light theme
        self.forecast.setStyleSheet(f"color: {red}" if too_much else "")

    def show_all(self, words: str, can_save: bool) -> None:
        """Show a row of words per scan of "Run on all", "" for nothing."""
        self.all_done.setText(words)
        self.all_done.setVisible(bool(words))
        self.save_all.setVisible(can_save)

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
        needs_engine = not isinstance(self.model, CommandModel)
        can = self.model is not None and not self._running and not (self._engine_missing and needs_engine)
        self.run.setEnabled(can and self._scan_open and not blocked and self._ready)
        several = self._others + int(self._scan_open) > 1
        self.run_all.setVisible(several and not self.channels.names)
        self.run_all.setEnabled(can)
        self.forecast.setVisible(bool(self.forecast.text()) and "stop" not in levels)
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
        if not self._models:
            lines.append("There is no model here yet.")
        elif not self._scan_open:
            lines.append("Open a scan first.")
        if self.problems:
            lines.append("Left out:\n" + "\n".join(self.problems))
        return "\n\n".join(lines)
