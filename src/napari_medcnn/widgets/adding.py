"""Adding a model from the AI tab: ask for the file, ask once for what a bare network lacks, check, list, choose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.spec import ModelSpec
from napari_medcnn.errors import MedcnnError
from napari_medcnn.verbs import add_model, models
from napari_medcnn.verbs.model_answers import Draft
from napari_medcnn.widgets.add_model_form import AddModelForm
from napari_medcnn.widgets.ai_tab import AiTab
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.engine_link import EngineLink, Preferences
from napari_medcnn.widgets.tasks import Tasks

ADD = "Adding a model"


class Adding(QObject):
    """Connects the button "Add a model..." with the verb."""

    failed = Signal(object)

    def __init__(self, tab: AiTab, tasks: Tasks, link: EngineLink, preferences: Callable[[], Preferences]) -> None:
        super().__init__(tab)
        self._tab, self._tasks, self._link, self._preferences = tab, tasks, link, preferences
        self.dialogs = Dialogs(tab)
        self.form: AddModelForm | None = None
        tab.add_asked.connect(self.ask)

    def ask(self) -> None:
        """Ask for a file and add it."""
        path = self.dialogs.add_model()
        if path is not None:
            self.add(path)

    def add(self, path: Path) -> None:
        """Add a package, or ask about a bare network first."""
        if self._tasks.running(ADD) is not None:
            return
        if not add_model.is_bare(path):
            self._start(path, None)
            return

        def work(cancel: Cancel) -> Events:
            yield Progress(None, f"Looking into {path.name}")
            yield Result(add_model.draft_answers(path))

        self._run(work, lambda draft: self._show_form(path, draft))

    def _show_form(self, path: Path, draft: Draft) -> None:
        self._tab.show_adding("")
        form = AddModelForm(draft, self._tab.window())
        self.form = form
        form.finished.connect(lambda _code: self._answered(path, form))
        form.open()

    def _answered(self, path: Path, form: AddModelForm) -> None:
        self.form = None
        if form.spec is not None:
            self._start(path, form.spec)
        form.deleteLater()

    def _start(self, path: Path, answers: ModelSpec | None) -> None:
        request = add_model.AddModelRequest(path, answers, folder=self._preferences().models_in)
        self._run(lambda cancel: add_model.run(request, cancel, self._link.engine), self._added)

    def _run(self, work: Callable[[Cancel], Events], done: Callable[..., None]) -> None:
        self._tab.show_error("")
        self._tab.show_adding("Looking into the model", busy=True)

        def progressed(event: Progress) -> None:
            self._tab.show_adding(f"{event.message} (Esc stops it)", busy=True)

        task = self._tasks.start(ADD, work, done, self._failed, progressed)
        task.cancelled.connect(lambda: self._tab.show_adding(""))

    def _added(self, added: add_model.Added) -> None:
        """List the models again and choose the new one."""
        self._tab.show_adding("")
        request = models.ModelsRequest(self._preferences().models_in)

        def listed(found: models.ModelList) -> None:
            self._tab.show_models(found.packages, found.problems, found.commands)
            self._tab.choose(added.package.spec.name)
            self._tab.show_adding(added.note)

        self._tasks.start("Models", lambda cancel: models.run(request, cancel), listed, self._failed)

    def _failed(self, error: MedcnnError) -> None:
        self._tab.show_adding("")
        self._tab.show_error(str(error))
        self.failed.emit(error)
