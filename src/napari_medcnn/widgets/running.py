"""The AI tab at work: which models there are, whether one suits the scan, running it, copying it as text."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.events import Cancel, Events, Progress, Result
from napari_medcnn.core.fit import check_fit
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import Segmentation
from napari_medcnn.errors import InputError, MedcnnError, MissingExtraError
from napari_medcnn.verbs import models
from napari_medcnn.verbs.copyable import as_command, as_python
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.widgets import jobs
from napari_medcnn.widgets.adding import Adding
from napari_medcnn.widgets.ai_tab import INSTALL_COMMAND, AiTab
from napari_medcnn.widgets.engine_link import EngineLink, Preferences
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.tasks import Tasks

RUN = "Running the model"


class Running(QObject):
    """Connects the AI tab with the verbs."""

    failed = Signal(object)
    finished = Signal()

    def __init__(
        self, tab: AiTab, session: Session, tasks: Tasks, link: EngineLink, preferences: Callable[[], Preferences]
    ) -> None:
        super().__init__(tab)
        self._tab, self._session, self._tasks, self._link = tab, session, tasks, link
        self._preferences = preferences
        self._request: PredictRequest | None = None
        self._frame: Callable[[], int] = lambda: 0
        self.adding = Adding(tab, tasks, link, preferences)
        self.adding.failed.connect(self.failed.emit)
        tab.run_asked.connect(self.run)
        tab.cancel_asked.connect(self.cancel)
        tab.release_asked.connect(link.release)
        tab.model_chosen.connect(self.check)
        session.scan_changed.connect(self._on_scan)
        session.mask_changed.connect(self._on_mask)
        link.changed.connect(self._on_engine)

    def follow_time(self, frame: Callable[[], int]) -> None:
        """Say which time point is shown: the model runs on that one."""
        self._frame = frame

    def find_models(self) -> None:
        """List the models in the background."""
        request = models.ModelsRequest(self._preferences().models_in)
        self._tasks.start("Models", lambda cancel: models.run(request, cancel), self._show_models, self.failed.emit)

    def check(self) -> None:
        """Compare the scan with the card of the chosen model."""
        scan, model = self._session.scan, self._tab.model
        if scan is None or model is None:
            self._tab.show_fit(())
            return
        spec = model.spec

        def work(cancel: Cancel) -> Events:
            yield Progress(None, "Checking")
            yield Result(check_fit(scan.frame(0), spec))

        self._tasks.start("Checking", work, self._tab.show_fit, self.failed.emit)

    def run(self) -> None:
        """Run the chosen model on the scan."""
        scan, model = self._session.scan, self._tab.model
        if scan is None or model is None or self._tasks.running(RUN) is not None:
            return
        options = PredictOptions(
            device=self._preferences().device,
            uncertainty=False,
            frame=self._frame(),
            ignore_fit=self._tab.insists,
        )
        self._request = PredictRequest(scan, model.spec.name if model.shipped else model.path, options, keep=True)
        self._tab.show_running(True)
        work = jobs.predicting(self._request, self._link.engine)
        task = self._tasks.start(RUN, work, self._done, self._failed, self._progress)
        task.cancelled.connect(self._cancelled)

    def cancel(self) -> None:
        """Ask the run to stop."""
        task = self._tasks.running(RUN)
        if task is not None:
            self._tab.show_progress(None, "Cancelling")
            task.cancel()

    def as_command(self) -> str:
        """Return the command line that makes this result again; InputError where there is none."""
        return as_command(self._last())

    def as_python(self) -> str:
        """Return the Python lines that make this result again; InputError where there are none."""
        return as_python(self._last())

    def _last(self) -> PredictRequest:
        if self._request is None:
            raise InputError("Run a model first.")
        return self._request

    # ---- answers -------------------------------------------------------------------------------------------------

    def _show_models(self, found: models.ModelList) -> None:
        self._tab.show_models(found.packages, found.problems)

    def _progress(self, event: Progress) -> None:
        self._tab.show_progress(event.fraction, event.message)

    def _done(self, predicted: jobs.Predicted) -> None:
        self._tab.show_running(False)
        if self._session.scan is None:
            return
        self._session.show_predicted(predicted)
        result = predicted.result
        if isinstance(result, Segmentation):
            self._tab.result.show_mask(result, predicted.mask.counts if predicted.mask is not None else {})
        else:
            self._tab.result.show_classes(result)
        self._tab.look_at_result()
        self.finished.emit()

    def _failed(self, error: MedcnnError) -> None:
        self._tab.show_running(False)
        if isinstance(error, MissingExtraError):
            self._tab.show_engine_missing(True)
        self._tab.show_error(str(error))
        self.failed.emit(error)
        self.finished.emit()

    def _cancelled(self) -> None:
        self._tab.show_running(False)
        self._tab.show_error("")
        self.finished.emit()

    def _on_scan(self) -> None:
        self._tasks.drop(RUN)
        self._tab.show_running(False)
        self._tab.show_scan(self._session.scan is not None)
        self._tab.show_error("")
        self._tab.result.clear()
        self.check()

    def _on_mask(self) -> None:
        if self._session.result is None:
            self._tab.result.clear()

    def _on_engine(self, state: str) -> None:
        if state == "ready":
            self._tab.show_engine_missing(False)
        elif state in ("off", "crashed") and INSTALL_COMMAND.split('"')[1] in self._link.engine.log:
            self._tab.show_engine_missing(True)
