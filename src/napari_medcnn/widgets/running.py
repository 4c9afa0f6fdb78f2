"""The AI tab at work: which models there are, whether one suits the scan, running it, copying it as text."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, Signal

from napari_medcnn.core.command import CommandModel
from napari_medcnn.core.events import Progress
from napari_medcnn.core.options import PredictOptions
from napari_medcnn.core.results import FitItem, Segmentation
from napari_medcnn.errors import InputError, MedcnnError, MissingExtraError
from napari_medcnn.io.layerdata import KEY
from napari_medcnn.io.packages import Package
from napari_medcnn.verbs import models
from napari_medcnn.verbs.copyable import as_command, as_python
from napari_medcnn.verbs.predict import PredictRequest
from napari_medcnn.widgets import run_jobs
from napari_medcnn.widgets.adding import Adding
from napari_medcnn.widgets.ai_tab import INSTALL_COMMAND, AiTab
from napari_medcnn.widgets.engine_link import EngineLink, Preferences
from napari_medcnn.widgets.managing import Managing
from napari_medcnn.widgets.run_all import RUN_ALL, RunAll
from napari_medcnn.widgets.run_choices import RunChoices
from napari_medcnn.widgets.session import READ_ONLY, Session
from napari_medcnn.widgets.tasks import Tasks

RUN = "Running the model"
MASK_APART = (
    "The mask in the window was drawn on another scan. A result would take its place, and undo could not bring it "
    "back: save the mask, then open this scan again."
)


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
        self._frame: Callable[[], int] = lambda: 0
        self.adding = Adding(tab, tasks, link, preferences)
        self.adding.failed.connect(self.failed.emit)
        self.managing = Managing(tab, tasks, link, self.adding)
        self.managing.changed.connect(self.find_models)
        self.choices = RunChoices(tab, session)
        self.choices.scans_changed.connect(self.check)
        self.choices.changed.connect(self._forecast)
        self.all = RunAll(tab, session, tasks, link, self.choices)
        self.all.failed.connect(self.failed.emit)
        self.all.shown.connect(self._show)
        tab.run_asked.connect(self.run)
        tab.run_all_asked.connect(self._run_all)
        tab.cancel_asked.connect(self.cancel)
        tab.release_asked.connect(link.release)
        tab.model_chosen.connect(self.choices.refresh)
        tab.result.maps_shown.connect(session.layers.show_maps)
        session.scan_changed.connect(self._on_scan)
        session.mask_changed.connect(self._on_mask)
        session.result_changed.connect(self._on_result)
        link.changed.connect(self._on_engine)
        tab.options.show_engines(link.missing_engines())

    def follow_time(self, frame: Callable[[], int]) -> None:
        """Say which time point is shown: the model runs on that one."""
        self._frame = frame

    def find_models(self) -> None:
        """List the models in the background."""
        request = models.ModelsRequest(self._preferences().models_in)
        self._tasks.start("Models", lambda cancel: models.run(request, cancel), self._show_models, self.failed.emit)

    def check(self) -> None:
        """Compare the scan with the card of the chosen model, and forecast what a run takes."""
        model = self._tab.model
        self._forecast()
        if self._session.scan is None or model is None:
            self._tab.show_fit(())
            return
        try:
            scans, main = self.choices.scans()
        except InputError as error:
            self._tab.show_fit((FitItem("stop", "Channels", str(error)),))
            return
        channels = len(scans) if self._tab.channels.names else 0
        work = run_jobs.checking(scans[main], model, channels)
        self._tasks.start("Checking", work, self._tab.show_fit, self.failed.emit)

    def run(self) -> None:
        """Run the chosen model on the scan."""
        model = self._tab.model
        if self._session.scan is None or model is None or self._busy():
            return
        if self._session.read_only or self._mask_is_apart():
            self._tab.show_error(READ_ONLY if self._session.read_only else MASK_APART)
            return
        try:
            wanted = self.choices.wanted(model, self._base())
        except MedcnnError as error:
            self._tab.show_error(str(error))
            return
        self.choices.stop_drawing()
        self._tab.show_all("", False)
        self._tab.show_running(True)
        work = run_jobs.predicting(wanted, self._link.engine, self._session.compare)
        task = self._tasks.start(RUN, work, self._done, self._failed, self._progress)
        task.cancelled.connect(self._cancelled)

    def cancel(self) -> None:
        """Ask the run to stop."""
        self.choices.stop_drawing()
        for name in (RUN, RUN_ALL):
            task = self._tasks.running(name)
            if task is not None:
                self._tab.show_progress(None, "Cancelling")
                task.cancel()

    def close(self) -> None:
        """The dock goes: nothing starts any more."""
        self.choices.close()
        self.managing.close()

    @property
    def last(self) -> PredictRequest | None:
        """The run that made the result which is shown; None without one."""
        return self._session.request if self._session.result is not None else None

    def as_command(self) -> str:
        """Return the command line that makes this result again; InputError where there is none."""
        return as_command(self._last())

    def as_python(self) -> str:
        """Return the Python lines that make this result again; InputError where there are none."""
        return as_python(self._last())

    def _last(self) -> PredictRequest:
        if self._session.request is None:
            raise InputError("Run a model first.")
        return self._session.request

    def _busy(self) -> bool:
        return any(self._tasks.running(name) is not None for name in (RUN, RUN_ALL))

    def _mask_is_apart(self) -> bool:
        """Tell whether the mask lies on another grid than the scan: a result cannot be a step of it."""
        mask, scan = self._session.layers.mask, self._session.scan
        return mask is not None and scan is not None and not mask.metadata[KEY]["geometry"].same_grid(scan.geometry)

    def _base(self) -> PredictOptions:
        return PredictOptions(
            device=self._preferences().device, frame=self._frame(), uncertainty=False, ignore_fit=self._tab.insists
        )

    def _run_all(self) -> None:
        model = self._tab.model
        if self._mask_is_apart():
            self._tab.show_error(MASK_APART)
        elif model is not None and not self._busy():
            base = self._base()
            base = base if isinstance(model, CommandModel) else self._tab.options.wanted(base)
            self.all.start(model, base)

    # ---- answers -------------------------------------------------------------------------------------------------

    def _show_models(self, found: models.ModelList) -> None:
        self._tab.show_models(found.packages, found.problems, found.commands)

    def _forecast(self) -> None:
        """Say in words what a run will take; geometry is enough for that, no voxel is looked at."""
        scan, model = self._session.scan, self._tab.model
        self._tasks.drop("Forecast")
        if scan is None or not isinstance(model, Package):
            self._tab.show_forecast("", False)
            return
        try:
            options = self.choices.options(PredictOptions())
        except MedcnnError:
            self._tab.show_forecast("", False)
            return
        work = run_jobs.forecasting(scan, model.spec, options)
        self._tasks.start("Forecast", work, self._show_forecast, self._no_forecast)

    def _show_forecast(self, told: tuple[str, bool]) -> None:
        self._tab.show_forecast(*told)

    def _no_forecast(self, _error: MedcnnError) -> None:
        self._tab.show_forecast("", False)

    def _progress(self, event: Progress) -> None:
        self._tab.show_progress(event.fraction, event.message)

    def _done(self, predicted: run_jobs.Predicted) -> None:
        self._tab.show_running(False)
        if self._session.scan is not None:
            self._show(predicted)
            self.finished.emit()

    def _show(self, predicted: run_jobs.Predicted) -> None:
        """Show a result on the open scan."""
        self._session.show_predicted(predicted)
        result = predicted.result
        if isinstance(result, Segmentation):
            self._tab.result.show_mask(result, self._session.result_counts)
        else:
            self._tab.result.show_classes(result)
        self._tab.look_at_result()

    def _on_result(self) -> None:
        """A run was undone or done again: say what the run before or after it found."""
        result = self._session.result
        if isinstance(result, Segmentation):
            self._tab.result.show_mask(result, self._session.result_counts)
        elif result is None:
            self._tab.result.clear()
        else:
            self._tab.result.show_classes(result)

    def _failed(self, error: MedcnnError) -> None:
        self._tab.show_running(False)
        if isinstance(error, MissingExtraError):
            self._tab.show_engine_missing(True)
        self._tab.show_error(self.choices.words(str(error)))
        self.failed.emit(error)
        self.finished.emit()

    def _cancelled(self) -> None:
        self._tab.show_running(False)
        self._tab.show_error("")
        self.finished.emit()

    def _on_scan(self) -> None:
        self._tasks.drop(RUN)
        self._tasks.drop(RUN_ALL)
        self._tab.show_running(False)
        self._tab.show_all("", False)
        self._tab.show_error("")
        self._tab.result.clear()
        self.choices.refresh()

    def _on_mask(self) -> None:
        if self._session.result is None:
            self._tab.result.clear()

    def _on_engine(self, state: str) -> None:
        if state == "ready":
            self._tab.show_engine_missing(False)
            self._tab.options.show_engines(self._link.missing_engines())
        elif state in ("off", "crashed") and INSTALL_COMMAND.split('"')[1] in self._link.engine.log:
            self._tab.show_engine_missing(True)
