"""The MedCNN dock: one place to start, everything else is a tab of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QLineEdit, QSizePolicy, QStackedWidget, QTabWidget, QWidget

from napari_medcnn.verbs import doctor
from napari_medcnn.verbs.add_model import is_bare
from napari_medcnn.widgets.actions import MouseHooks, actions_of
from napari_medcnn.widgets.ai_tab import AiTab
from napari_medcnn.widgets.asking import Asking
from napari_medcnn.widgets.browsing import Browsing
from napari_medcnn.widgets.correct_tab import CorrectTab
from napari_medcnn.widgets.correcting import Correcting
from napari_medcnn.widgets.dialogs import Dialogs
from napari_medcnn.widgets.doubts import Doubts
from napari_medcnn.widgets.engine_link import EngineLink, Preferences, read_preferences
from napari_medcnn.widgets.header import Header
from napari_medcnn.widgets.host_window import WIDTH, HostWindow, wanted_width
from napari_medcnn.widgets.keymap import CORRECT, READ, KeyMap
from napari_medcnn.widgets.layers import Layers
from napari_medcnn.widgets.parts import FOCUS_STYLE, GAP, Text, TextWindow, always_a_line, column, scrolling
from napari_medcnn.widgets.preferring import Preferring
from napari_medcnn.widgets.reading import Reading
from napari_medcnn.widgets.recovering import Recovering
from napari_medcnn.widgets.run_all import RUN_ALL
from napari_medcnn.widgets.running import RUN, Running
from napari_medcnn.widgets.scan_tab import ScanTab
from napari_medcnn.widgets.session import Session
from napari_medcnn.widgets.showing import AI, CHECK, CORRECTING, SCAN, Showing
from napari_medcnn.widgets.start_page import StartPage
from napari_medcnn.widgets.strokes import Strokes
from napari_medcnn.widgets.tasks import Tasks
from napari_medcnn.widgets.tools.painting import Painting
from napari_medcnn.widgets.tools.seeding import Seeding
from napari_medcnn.widgets.tools.toolbox import Toolbox
from napari_medcnn.widgets.viewing import Viewing
from napari_medcnn.widgets.views.pane import MAIN, Pane
from napari_medcnn.widgets.views.views import Views
from napari_medcnn.widgets.why.why import Why
from napari_medcnn.widgets.wording import check_words, how_words
from napari_medcnn.worker.client import Launch


class MedcnnDock(QWidget):
    """The dock, and the owner of everything that belongs to it.

    Parameters
    ----------
    napari_viewer
        As napari hands it to a plugin.
    launch
        How to start the engine; by default from the preferences.
    """

    def __init__(self, napari_viewer: Any, launch: Launch | None = None) -> None:
        super().__init__()
        # napari quiets this itself, but not while a thread of ours changes the filters, and then it is a pop-up.
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB", category=UserWarning)
        self.setObjectName("MedCNN")
        self.setAcceptDrops(True)
        self.setStyleSheet(FOCUS_STYLE)
        self.viewer = napari_viewer
        self._closed = False
        self._host: HostWindow | None = None
        self.preferences: Preferences = read_preferences()
        self.showing = Showing(self)
        self.dialogs = Dialogs(self)
        self.tasks = Tasks(self)
        self.layers = Layers(napari_viewer, self.say, self)
        self.views = Views(napari_viewer, self.layers, self)
        self.views.opens_four = self.preferences.open_four
        self.viewing = Viewing(napari_viewer, self.layers, self.views)
        self.viewing.wheel_moves_slices = self.preferences.wheel_mode == "slice"
        self.strokes = Strokes(napari_viewer, self.layers, self.views.go_to, self)
        self.session = Session(self.layers, self.strokes, self.tasks, self)
        self.link = EngineLink(launch or self.preferences.launch(), self)
        self._build()
        self.running = Running(self.ai, self.session, self.tasks, self.link, self._fresh_preferences)
        self.running.follow_time(lambda: self.frame)
        self.correcting = Correcting(self.correct, self.session, self.dialogs, self.say)
        self.recovering = Recovering(self, self.showing.on_failed)
        self.reading = Reading(self)
        self.why = Why(self)
        self.toolbox = Toolbox(self)
        self.seeding, self.doubts = Seeding(self), Doubts(self)
        self.toolbox.modes |= {**self.seeding.modes(), **self.doubts.modes()}
        self.keymap = KeyMap(napari_viewer, actions_of(self), lambda: self.mode)
        self.preferring = Preferring(self)
        self.asking = Asking(self)
        self.browsing = Browsing(self)
        self._connect()
        self._mouse = MouseHooks(napari_viewer, self.views, self.viewing, self.strokes, self.correcting)
        self.painting = Painting(self)  # after the others: it hears of a press before them
        self.toolbox.hand.listen()  # first of all that hear of the mouse
        self.showing.show_mode()
        QTimer.singleShot(0, self._begin)

    # ---- layout --------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.header = Header()
        self.start = StartPage()
        self.scan, self.ai, self.correct = ScanTab(), AiTab(), CorrectTab()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        for tab, name in ((self.scan, "Scan"), (self.ai, "AI"), (self.correct, "Correct")):
            self.tabs.addTab(scrolling(tab), name)
        self.pages = QStackedWidget()
        self.pages.addWidget(scrolling(self.start))
        self.pages.addWidget(self.tabs)
        self.message = Text("")
        layout = column(self, margin=GAP)
        layout.addWidget(self.header)
        layout.addLayout(always_a_line(self.message, 2))
        layout.addWidget(self.pages, 1)
        # napari adds a stretch below a dock that does not want all the height; it would take half of ours
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setMinimumWidth(WIDTH - 20)
        for field in self.findChildren(QLineEdit):
            field.setAcceptDrops(False)  # a file dropped there is meant for the dock, not as its address in letters

    def sizeHint(self) -> Any:
        """340 px wide on small screens, 380 on large ones."""
        hint = super().sizeHint()
        hint.setWidth(wanted_width(self))
        return hint

    def _connect(self) -> None:
        self.showing.connect()
        self.start.sample.connect(self.open_sample)
        self.start.check.connect(self.check_computer)
        self.start.models.connect(self.running.managing.open)
        self.start.preferences.connect(self.preferring.show_preferences)
        self.header.cancel_asked.connect(self.cancel)
        self.header.keys_asked.connect(self.show_keys)
        self.header.layers_shown.connect(self.show_napari_docks)
        self.link.changed.connect(self.header.show_engine)
        self.views.pane_added.connect(self._on_pane)
        self.ai.result.how_asked.connect(self.show_how)

    # ---- beginning and end ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What has to wait until the dock stands in its window."""
        if self._closed:
            return
        if self.window() is not self:
            self._host = HostWindow(self, lambda: self._closed or self.may_close(), self.shut_down)
            self._host.taken_out.connect(self._taken_out)
            self.show_napari_docks(False)
            self.views.attach(self.window())
        self.preferring.begin()
        self.link.start()
        self.running.find_models()
        self.recovering.look()
        self.layers.warm_up()

    def show_napari_docks(self, shown: bool) -> None:
        """Show or hide napari's own layer docks."""
        if self._host is not None:
            self._host.show_napari_docks(shown)
            self.header.layers.setChecked(shown)

    def closeEvent(self, event: Any) -> None:
        """The dock closes: ask, then let everything go."""
        if not self._closed and not self.may_close():
            event.ignore()
            return
        self.shut_down()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """Napari deletes a closed dock without a close event: its work must end all the same."""
        if event.type() == QEvent.Type.DeferredDelete:
            self.shut_down()
        return bool(super().event(event))

    def _taken_out(self, name: str) -> None:
        """The dock's own x: napari takes it out of the window unasked, so it goes back in if work is not saved."""
        if self._closed:
            return
        if self.may_close():
            self.shut_down()
            self.deleteLater()
        else:
            self.viewer.window.add_dock_widget(self, name=name, area="right")

    def may_close(self) -> bool:
        """Ask about unsaved corrections; True if closing may go on."""
        return self.asking.may_close()

    def shut_down(self) -> None:
        """End tasks and engine, close the journal, give keys and mouse back; once."""
        if self._closed:
            return
        self._closed = True
        self.browsing.close()
        self.painting.close()
        self.tasks.close()
        self.running.close()
        self.session.shut_down()
        self.link.close()
        self.why.close()
        self.reading.close()
        self.keymap.close()
        self.views.close()
        self._mouse.close()
        self.layers.close()
        if self._host is not None:
            self._host.let_go()

    def _on_pane(self, pane: Pane) -> None:
        """A further view: it gets our keys."""
        if pane.name != MAIN:
            self.keymap.bind_viewer(pane.viewer)
            if self._host is not None:
                self._host.watch(pane.native)

    # ---- keys, drops ---------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: Any) -> None:
        """Keys that no widget of ours wanted end here: napari would hand them to the picture otherwise."""
        if event.key() == Qt.Key.Key_F1:
            self.show_keys()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        event.accept()

    def keyReleaseEvent(self, event: Any) -> None:
        """As `keyPressEvent`."""
        event.accept()

    def dragEnterEvent(self, event: Any) -> None:
        """Files and folders may be dropped anywhere on the dock."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:
        """Open what is dropped; no question which reader."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.open_paths(paths)

    # ---- doing ---------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """Read or Correct: the Correct tab is the Correct mode."""
        correcting = self.pages.currentIndex() == 1 and self.tabs.currentIndex() == CORRECTING
        return CORRECT if correcting and self.layers.mask is not None else READ

    def toggle_mode(self) -> None:
        """Change between reading and correcting."""
        if self.session.scan is not None or self.layers.mask is not None:
            self.tabs.setCurrentIndex(SCAN if self.tabs.currentIndex() == CORRECTING else CORRECTING)

    def open_path(self, path: Path) -> None:
        """Open a file or folder."""
        self.open_paths([Path(path)])

    def open_paths(self, paths: list[Path]) -> None:
        """Open files and folders; unsaved corrections are asked about first. A bare network is a model to add."""
        bare = next((path for path in paths if is_bare(path)), None)
        if bare is not None:
            self.pages.setCurrentIndex(1)
            self.tabs.setCurrentIndex(AI)
            self.running.adding.add(bare)
        elif paths and self.may_close():
            self.say("")
            self.session.opening.paths(paths)

    def open_sample(self, name: str) -> None:
        """Open the example "fundus" or "phantom"."""
        if self.may_close():
            self.say("")
            self.session.opening.sample(name)

    def cancel(self) -> None:
        """Stop what is running."""
        self.reading.cancel()
        self.why.cancel()
        self.toolbox.escape()
        self.painting.cancel()
        for name in self.tasks.names():
            task = self.tasks.running(name)
            if task is not None and name not in (RUN, RUN_ALL):
                task.cancel()
        self.running.cancel()

    def say(self, words: str) -> None:
        """Show one line below the header, "" for none; without names while they are hidden."""
        self.showing.say(words)

    def show_keys(self) -> None:
        """Show which key does what."""
        self.preferring.show_keys()

    def show_how(self) -> None:
        """Show how the result was made."""
        if self.session.result is not None:
            TextWindow("How this was made", how_words(self.session.result), self).show()

    def check_computer(self) -> None:
        """Say in words what this computer can do."""
        request, engine = doctor.DoctorRequest(), self.link.engine
        self.say("Checking this computer ...")
        self.tasks.start(
            CHECK, lambda cancel: doctor.run(request, cancel, engine), self._show_checks, self.showing.on_failed
        )

    def _show_checks(self, report: doctor.Diagnosis) -> None:
        self.say("")
        TextWindow("Check this computer", check_words(report.checks), self).show()

    def _fresh_preferences(self) -> Preferences:
        self.preferences = read_preferences()
        return self.preferences

    @property
    def frame(self) -> int:
        """Index of the time point, echo or b-value that is seen; 0 without several."""
        axis = self.viewing.time_axis
        return 0 if axis is None else int(self.viewer.dims.current_step[axis])
