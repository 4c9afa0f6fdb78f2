"""Why did the model say that: questions from the AI tab, the key and a click, and the maps that answer them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_medcnn.core.events import Progress
from napari_medcnn.core.explain_time import BY_ITSELF_S
from napari_medcnn.core.saliency import SaliencyMap
from napari_medcnn.errors import MedcnnError, MissingExtraError
from napari_medcnn.io.packages import Package
from napari_medcnn.widgets.keymap import CORRECT
from napari_medcnn.widgets.session import READ_ONLY
from napari_medcnn.widgets.why import why_jobs
from napari_medcnn.widgets.why.appearance import Appearance
from napari_medcnn.widgets.why.block import WhyBlock
from napari_medcnn.widgets.why.check_page import CheckPage
from napari_medcnn.widgets.why.handing import MapHanding
from napari_medcnn.widgets.why.maps import ShownMap
from napari_medcnn.widgets.why.pointer import Pointer, Voxel
from napari_medcnn.widgets.why.question import Question
from napari_medcnn.widgets.why.why_jobs import CHECKING, EXPLAINING
from napari_medcnn.widgets.why.wording import FIRST, in_window, method_words, why_not

if TYPE_CHECKING:
    from napari_medcnn.widgets.dock import MedcnnDock

PAGE = "Check"
POINT_FIRST = "Point at a place in the scan, then press Y: why here?"


class Why:
    """Feature of the dock: asks, shows, checks.

    Parameters
    ----------
    dock
        Whose model, scan and views.
    """

    def __init__(self, dock: MedcnnDock) -> None:
        self._dock, self._session, self._tasks = dock, dock.session, dock.tasks
        self.block = WhyBlock()
        self.form, self.panel = self.block.form, self.block.panel
        self.question = Question(dock, self.form)
        layout: Any = dock.ai.layout()
        layout.insertWidget(layout.indexOf(dock.ai.result) + 1, self.block)
        self.appearance = Appearance(dock, self.panel)
        self.maps, self.beside = self.appearance.maps, self.appearance.beside
        self.pointer = Pointer(dock, dock.say)
        self.page = CheckPage()
        dock.reading.strip.add_page(PAGE, self.page)
        self.handing = MapHanding(dock, self.panel, lambda: self.maps.current)
        #: The method that was asked last.
        self._method = FIRST[0]
        self._seconds: dict[tuple[str, str], float] = {}
        self._layers_of: dict[str, tuple[str, ...]] = {}
        self._began = 0.0
        self._connect()

    def _connect(self) -> None:
        dock, form, panel = self._dock, self.form, self.panel
        dock.ai.result.why_asked.connect(self.about)
        dock.ai.model_chosen.connect(self._show_model)
        dock.running.finished.connect(self._on_result)
        self._session.scan_changed.connect(self._on_scan)
        self._session.mask_changed.connect(self._on_mask)
        dock.layers.removed.connect(self._on_removed)
        form.asked.connect(self.ask)
        form.armed.connect(self.pointer.arm)
        form.refused.connect(lambda error: self.block.show_error(str(error)))
        form.whole_asked.connect(lambda: self.question.set_place(None))
        self.pointer.armed_changed.connect(form.show_armed)
        self.pointer.clicked.connect(self.at)
        self.block.cancel_asked.connect(self.stop)
        panel.chosen.connect(self._choose)
        panel.next_asked.connect(self.next_class)
        panel.check_asked.connect(lambda: self.check(asked=True))
        panel.plots_asked.connect(lambda: dock.reading.strip.show_page(PAGE))
        panel.remove_asked.connect(self._remove)

    def actions(self) -> dict[str, Callable[..., Any]]:
        """Return the function of the key."""
        return {"why_here": self.here}

    def cancel(self) -> None:
        """Esc: no click is waited for; the tasks are stopped by the dock."""
        self.pointer.disarm()

    def close(self) -> None:
        """Nothing is asked any more; layers stay in the viewer."""
        self.maps.all.clear()
        self._tasks.drop(EXPLAINING)
        self._tasks.drop(CHECKING)
        self.beside.end()

    # ---- asking ----------------------------------------------------------------------------------------------------

    def about(self, name: str) -> None:
        """Ask about a class by the method that was asked last; "" for the class that the model gave."""
        self.open()
        if name and not self.form.choose_class(name):
            self.block.show_error(f"The model has no class {name}; choose one of its own.")
            return
        self.question.set_place(None)
        if not name:
            self.question.choose_given_class()
        self.ask(self._method)

    def here(self) -> None:
        """Ask about what lies under the mouse."""
        voxel = self.pointer.voxel()
        if self._session.scan is None:
            return
        if voxel is None:
            self._dock.say(POINT_FIRST)
            return
        self.at(voxel)

    def at(self, voxel: Voxel) -> None:
        """Ask about a voxel (z, y, x of the file's order): about the component of the mask there, if there is one."""
        model = self.question.model
        self.open()
        if isinstance(model, Package) and model.spec.task == "classification":
            self.question.set_place(None)
            self._dock.say("This model scores the whole scan: the map shows the whole, the readout the value here.")
        else:
            self.question.set_place(voxel)
        self.ask(self._method)

    def open(self) -> None:
        """Show the block, and the tab it is in unless a mask is being corrected."""
        dock = self._dock
        if dock.mode != CORRECT:  # who corrects stays there: the map and its verdict stand on the picture
            dock.tabs.setCurrentIndex(dock.tabs.indexOf(dock.ai.parentWidget().parentWidget()))
        self._show_model()
        if self.block.isHidden():
            self.block.show()
            self.block.look_at(self.block)

    def ask(self, method: str) -> None:
        """Ask by a method about what is chosen; the map before stays until the answer is there."""
        model, session = self.question.model, self._session
        why = why_not(model, method)
        if session.scan is None or why or not isinstance(model, Package):
            self._tell(why or "Open a scan first.")
            return
        if session.read_only:
            self._tell(READ_ONLY)
            return
        try:
            asked = self.question.asked(model, method)
        except MedcnnError as error:
            self._tell(str(error))
            return
        self._method = method
        self._tasks.drop(CHECKING)  # whoever asks does not wait for the check of the map before
        self._busy(f"{method_words(method)}: starting")
        self._began = time.monotonic()
        work = why_jobs.explaining(asked, self._dock.link.engine)
        task = self._tasks.start(EXPLAINING, work, self._done, self._failed, self._progress)
        task.cancelled.connect(self._idle)

    def next_class(self) -> None:
        """Ask the same of the next class of the model."""
        names = self.form.class_names
        if names:
            at = names.index(self.form.class_name) if self.form.class_name in names else -1
            self.form.choose_class(names[(at + 1) % len(names)])
            self.ask(self._method)

    def stop(self) -> None:
        """Cancel what runs."""
        for name in (EXPLAINING, CHECKING):
            task = self._tasks.running(name)
            if task is not None:
                self.block.show_working("Cancelling")
                task.cancel()

    def _show_model(self) -> None:
        self.question.show_model(self._seconds, self._layers_of)

    # ---- answers ---------------------------------------------------------------------------------------------------

    def _tell(self, words: str) -> None:
        """Say what went wrong, in the dock as well where the block is out of sight."""
        self.block.show_error(words)
        if not self.block.isVisible():
            self._dock.say(f"✗  {words}")
        self.block.look_at(self.block.answer)

    def _busy(self, words: str) -> None:
        self.block.show_error("")
        self._dock.say("" if self.block.isVisible() else "Asking why; Esc stops it.")
        self.block.show_working(words)
        self.form.show_busy(True)
        self.panel.show_busy(True)

    def _idle(self) -> None:
        self.block.show_working("")
        self.form.show_busy(False)
        self.panel.show_busy(False)

    def _progress(self, event: Progress) -> None:
        self.block.show_working(event.message or "Working", event.fraction)

    def _failed(self, error: MedcnnError) -> None:
        self._idle()
        if isinstance(error, MissingExtraError):
            self._dock.ai.show_engine_missing(True)
        self._tell(in_window(str(error)))

    def _done(self, explained: why_jobs.Explained) -> None:
        self._idle()
        if self._session.scan is None:
            return
        if not self.block.isVisible():
            self._dock.say("")
        made, key = explained.made, explained.asked.model.spec.name
        self._seconds[key, made.method] = time.monotonic() - self._began
        self._layers_of[key] = made.layers
        self.question.learn(made, key)
        shown = self.maps.add(explained)
        QTimer.singleShot(0, lambda: self._bring_in(shown))

    def _bring_in(self, shown: ShownMap) -> None:
        """Show a map that was laid over the scan, unless it went with its scan in the meantime."""
        if not any(each is shown for each in self.maps.all):
            return
        made = shown.made
        self.maps.bring_in(shown)
        self.panel.show_visible()
        self._show_model()
        self.appearance.outline(True)
        self._refresh(shown)
        self.block.look_at(self.block.answer)
        if made.check_seconds is not None and made.check_seconds <= BY_ITSELF_S:
            self.check()

    # ---- checking --------------------------------------------------------------------------------------------------

    def check(self, asked: bool = False) -> None:
        """Check the map that is shown; `asked` by the user: then the curves are shown at once."""
        shown = self.maps.current
        if shown is None or shown.made.check is not None:
            return
        reference = self._drawn_mask()
        work = why_jobs.checking(shown.explained, shown.made, reference, self._dock.link.engine)

        def done(made: SaliencyMap) -> None:
            self._idle()
            shown.made = made
            if any(each is shown for each in self.maps.all):
                self._refresh(self.maps.current)
                if asked:
                    self._dock.reading.strip.show_page(PAGE)

        def failed(error: MedcnnError) -> None:
            self._idle()
            self.block.show_error(f"The map could not be checked. {in_window(str(error))}")

        self.block.show_working("Checking the map")
        self.panel.show_busy(True)
        task = self._tasks.start(CHECKING, work, done, failed, self._progress)
        task.cancelled.connect(self._idle)

    def _drawn_mask(self) -> why_jobs.MaskNow | None:
        """Return the mask that a person drew or corrected; the model's own would only agree with the model."""
        layer, session = self._dock.layers.mask, self._session
        if layer is None:
            return None
        session.strokes.commit()
        own = session.result is None or session.corrected
        return why_jobs.mask_now(layer) if own else None

    # ---- what is shown ---------------------------------------------------------------------------------------------

    def _refresh(self, shown: ShownMap | None) -> None:
        """Say everything of the map that is shown now."""
        self.panel.show_maps(self.maps.names, self.maps.index)
        self.appearance.follow_list()
        if shown is None:
            self.appearance.forget()
            self.page.show_check(None)
        else:
            self.panel.show_map(shown.made, shown.explained.ranks, len(self.form.class_names) > 1)
            self.page.show_check(shown.made)
            self.appearance.draw()
            self.maps.reveal()
            self.handing.refresh()
        self._dock.views.redraw()

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self.maps.all):
            self.maps.choose(self.maps.all[at])
            self._refresh(self.maps.current)

    def _remove(self) -> None:
        if self.maps.current is not None:
            self._tasks.drop(CHECKING)
            self._idle()
            self.maps.remove(self.maps.current)
            self._refresh(self.maps.current)

    # ---- what goes -------------------------------------------------------------------------------------------------

    def _on_scan(self) -> None:
        """Another scan: its maps went with its layers, and nothing that was asked of it comes back."""
        self._tasks.drop(EXPLAINING)
        self._tasks.drop(CHECKING)
        self._idle()
        self.pointer.disarm()
        self.appearance.clear()
        self.question.set_place(None)
        self.block.show_error("")
        self._refresh(None)
        self._show_model()
        self.block.look_away()
        self.block.hide()
        if self._dock.reading.strip.page == PAGE:  # it would stand there empty
            self._dock.reading.strip.hide()

    def _on_result(self) -> None:
        self.block.look_away()
        self._show_model()

    def _on_mask(self) -> None:
        self._show_model()
        if self.maps.current is not None and self.maps.visible:
            self.appearance.outline(True)

    def _on_removed(self, layer: Any) -> None:
        if self.maps.forget_layer(layer):
            self._refresh(self.maps.current)
