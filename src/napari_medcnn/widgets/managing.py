"""The window of models at work: import, card, self-test, faster engines, a program as a model, remove."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.options import Engine
from napari_medcnn.errors import MedcnnError
from napari_medcnn.io.commands import remove_command, save_command, templates
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import engines, models
from napari_medcnn.verbs.guard import relay
from napari_medcnn.widgets.adding import Adding
from napari_medcnn.widgets.ai_tab import AiTab
from napari_medcnn.widgets.command_form import CommandForm
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.engine_link import EngineLink
from napari_medcnn.widgets.model_card import card_of, title_of
from napari_medcnn.widgets.model_manager import Entry, ModelManager, size_of
from napari_medcnn.widgets.parts import TextWindow, copy_text
from napari_medcnn.widgets.run_options import ENGINES
from napari_medcnn.widgets.tasks import Tasks

MANAGE = "Managing models"
OTHERS: tuple[Engine, ...] = ("onnx", "openvino")


class Managing(QObject):
    """Opens the window and does what it asks; `changed` when models came or went."""

    changed = Signal()

    def __init__(self, tab: AiTab, tasks: Tasks, link: EngineLink, adding: Adding) -> None:
        super().__init__(tab)
        self._tab, self._tasks, self._link, self._adding = tab, tasks, link, adding
        self.dialogs = Dialogs(tab)
        self.window: ModelManager | None = None
        self.form: CommandForm | None = None
        tab.manager_asked.connect(self.open)
        tab.models_shown.connect(self._refresh)
        tab.adding_said.connect(self._say)
        adding.failed.connect(self._failed)

    def open(self) -> None:
        """Show the window; a second click brings it to the front."""
        if self.window is None:
            self.window = window = ModelManager(self._tab.window())
            window.import_file.connect(self._adding.ask)
            window.import_folder.connect(self._import_folder)
            window.new_command.connect(self._ask_command)
            window.card_asked.connect(self._card)
            window.hash_asked.connect(self._copy_hash)
            window.test_asked.connect(self._test)
            window.faster_asked.connect(self._check_faster)
            window.remove_asked.connect(self._remove)
            window.cancel_asked.connect(self._cancel)
        self._refresh()
        self.window.show()
        self.window.raise_()

    def close(self) -> None:
        """The dock goes, and the window with it."""
        if self.window is not None:
            self.window.close()
            self.window.deleteLater()
            self.window = None

    # ---- what is shown -------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self.window is None:
            return
        entries = [Entry(m, size_of(m.path) if isinstance(m, Package) else 0) for m in self._tab.all_models]
        self.window.show_models(entries, self._tab.problems)

    def _say(self, words: str) -> None:
        if self.window is not None:
            self.window.say(words)

    def _failed(self, error: MedcnnError) -> None:
        if self.window is not None:
            self.window.show_busy(False)
        self._say(f"✗  {error}")

    # ---- one model -----------------------------------------------------------------------------------------------

    def _card(self, entry: Entry) -> None:
        TextWindow(title_of(entry.model), card_of(entry.model), self.window).show()

    def _copy_hash(self, entry: Entry) -> None:
        if isinstance(entry.model, Package):
            copy_text(entry.model.spec.sha256)
            self._say(f"Copied: sha256 {entry.model.spec.sha256}")

    def _test(self, entry: Entry) -> None:
        if isinstance(entry.model, Package):
            body = {"model": str(entry.model.path), "options": {}}
            self._ask_engine("self_test", body, f"Testing {title_of(entry.model)}", self._tested)

    def _tested(self, reply: Mapping[str, Any]) -> None:
        self._end(tested_words(reply))

    def _check_faster(self, entry: Entry) -> None:
        if not isinstance(entry.model, Package):
            return
        missing = self._link.missing_engines()
        names: list[Engine] = [name for name in OTHERS if name not in missing]
        if not names:
            self._say("No other engine is installed. " + " ".join(f"{ENGINES[n]}: {w}." for n, w in missing.items()))
            return
        model, engine = entry.model, self._link.engine

        def work(cancel: Cancel) -> Events:
            lines = []
            for index, name in enumerate(names):
                yield Progress(index / len(names), f"Converting for {ENGINES[name]}, comparing and measuring")
                request = engines.PrepareEngineRequest(model.path, name)
                try:
                    prepared = yield from relay(engines.prepare(request, cancel, engine))
                except MedcnnError as error:
                    if cancel.is_set():
                        raise
                    lines.append(f"{ENGINES[name]}: {error}")
                else:
                    sign = "✓" if prepared.equal else "✗"
                    lines.append(f"{sign}  {prepared.words}")
            yield Result("\n".join(lines))

        self._start(work, self._end)

    def _remove(self, entry: Entry) -> None:
        model = entry.model
        what = "the description of this program; the program itself stays" if isinstance(model, CommandModel) else ""
        if not self.dialogs.sure(f"Remove {title_of(model)}?" + (f" This deletes {what}." if what else "")):
            return
        if isinstance(model, CommandModel):
            try:
                remove_command(model.name)
            except MedcnnError as error:
                self._failed(error)
            else:
                self._removed(None)
            return
        request, engine = models.RemoveRequest(model.path), self._link.engine
        self._start(lambda cancel: models.remove(request, cancel, engine), self._removed)

    def _removed(self, removed: models.Removed | None) -> None:
        where = "" if removed is None else f" Its files lie in {removed.kept}, in case you want it back."
        self._end(f"Removed.{where}")
        self.changed.emit()

    # ---- new models ----------------------------------------------------------------------------------------------

    def _import_folder(self) -> None:
        path = self.dialogs.open_folder()
        if path is not None:
            self._adding.add(Path(path))

    def _ask_command(self) -> None:
        form = CommandForm(templates(), self.window)
        self.form = form
        form.finished.connect(self._answered)
        form.open()

    def _answered(self, _code: int) -> None:
        form, self.form = self.form, None
        if form is None:
            return
        if form.command is not None:
            try:
                save_command(form.command)
            except MedcnnError as error:
                self._failed(error)
            else:
                self._say(f"Added: {form.command.title}. It runs {form.command.program} on this computer.")
                self.changed.emit()
        form.deleteLater()

    # ---- tasks ---------------------------------------------------------------------------------------------------

    def _ask_engine(self, verb: str, body: dict[str, Any], words: str, done: Callable[[Any], None]) -> None:
        engine = self._link.engine

        def work(cancel: Cancel) -> Events:
            yield Progress(None, words)
            yield Result((yield from relay(engine.run(verb, body, cancel))))

        self._start(work, done)

    def _start(self, work: Callable[[Cancel], Events], done: Callable[[Any], None]) -> None:
        if self.window is None or self._tasks.running(MANAGE) is not None:
            return
        self.window.show_busy(True)
        task = self._tasks.start(MANAGE, work, done, self._failed, self._progress)
        task.cancelled.connect(self._stopped)

    def _progress(self, event: Progress) -> None:
        self._say(f"{event.message} ...")

    def _stopped(self) -> None:
        self._end("Stopped.")

    def _end(self, words: str) -> None:
        if self.window is not None:
            self.window.show_busy(False)
        self._say(words)

    def _cancel(self) -> None:
        task = self._tasks.running(MANAGE)
        if task is not None:
            task.cancel()


def tested_words(reply: Mapping[str, Any]) -> str:
    """Return the outcome of a self-test; one that fails is an error with words of its own."""
    difference = float(reply.get("largest_difference", 0.0))
    where = f" on {reply['device']}" if reply.get("device") else ""
    exactly = "the same as" if difference == 0 else f"within {difference:.1g} of"
    return f"✓  Self-test passed{where}: the answer to the model's own test input is {exactly} the recorded one."
