"""A real window with the dock, the fake engine and tiny models; real mouse and key events."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QThreadPool
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_medcnn.widgets.demo_window import settle, wait_until

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NONE = Qt.KeyboardModifier.NoModifier


@dataclass
class Answers:
    """Stands in place of `dialogs.Dialogs`; what it is asked is kept."""

    file: Path | None = None
    folder: Path | None = None
    target: Path | None = None
    entry: Any = None
    unsaved_answer: str = "discard"
    yes: bool = True
    own_colour: Any = None
    picture_wish: Any = None
    film_wish: Any = None
    share_wish: Any = None
    offered: Any = None
    asked: list[str] = field(default_factory=list)

    def open_file(self) -> Path | None:
        self.asked.append("open file")
        return self.file

    def open_folder(self) -> Path | None:
        self.asked.append("open folder")
        return self.folder

    def save_mask(self, suggestion: str, picture: bool) -> Path | None:
        self.asked.append(f"save mask {suggestion}")
        return self.target

    def save_scores(self, suggestion: str) -> Path | None:
        self.asked.append(f"save scores {suggestion}")
        return self.target

    def save_table(self, suggestion: str) -> Path | None:
        self.asked.append(f"save table {suggestion}")
        return self.target

    def save_surfaces(self, suggestion: str) -> Path | None:
        self.asked.append(f"save surfaces {suggestion}")
        return self.target

    def add_to_dataset(self, case: str) -> Any:
        self.asked.append(f"add {case}")
        return self.entry

    def picture(self, offer: Any) -> Any:
        self.offered = offer
        return self.picture_wish

    def film(self, offer: Any) -> Any:
        self.offered = offer
        return self.film_wish

    def share(self, offer: Any) -> Any:
        self.offered = offer
        return self.share_wish

    def unsaved(self, what: str) -> str:
        self.asked.append(f"unsaved {what}")
        return self.unsaved_answer

    def colour(self, name: str, now: Any) -> Any:
        self.asked.append(f"colour {name}")
        return self.own_colour

    def sure(self, question: str) -> bool:
        self.asked.append(question)
        return self.yes


class Desk:
    """A window with the dock, and hands to use it."""

    SIZE = (1200, 760)
    PRESS = QEvent.Type.MouseButtonPress

    def __init__(self, viewer: Any, dock: Any, orders: Path) -> None:
        self.viewer, self.dock, self._orders = viewer, dock, orders
        raw = getattr(viewer, "__wrapped__", viewer)
        self.qt_window = raw.window._qt_window
        self.canvas = raw.window._qt_viewer.canvas
        self.native = self.canvas.native
        self._pressed: dict[tuple[Any, Any], Any] = {}

    def begin(self) -> None:
        """Wait until the dock is ready to work."""
        self.qt_window.resize(*self.SIZE)
        self.until(lambda: self.dock.link.engine.state == "ready", 60)
        self.until(lambda: not self.dock.tasks.names() and not len(self.viewer.layers))

    def end(self) -> None:
        """Close the dock and its engine, and hold nothing any more: the viewer must be free to go."""
        wait_until(lambda tasks=self.dock.tasks: not tasks.names(), 10)  # their threads would hold the window
        settle(0.25)  # what waits for rest has it; Qt holds who listened to a task until its loop deletes it
        self.dock.shut_down()
        self.dock.link.engine.close()
        QThreadPool.globalInstance().waitForDone(5000)  # work that was dropped is inside a step a moment longer
        QApplication.processEvents()  # and says so
        self.__dict__.clear()  # pytest keeps what a test was given

    def used_once(self) -> None:
        """Make all that a dock makes once: a scan, a result with its mask, the strip, the further views of 2x2.

        And hear once what is heard from the first measure and the first question on.
        """
        self.open("phantom")
        self.run("tiny-mask")
        self.dock.why.open()
        self.dock.reading.measuring.hand.arm("length")
        self.dock.reading.measuring.hand.disarm()
        self.dock.reading.strip.show_page("Measures")
        self.four()

    def let_go(self) -> None:
        """Release the buttons and the Shift key that a test holds."""
        for native, button in list(self._pressed):
            at = self._pressed[native, button]
            self.mouse(QEvent.Type.MouseButtonRelease, at, button, Qt.MouseButton.NoButton, pane=native)
        QTest.keyRelease(self.native, Qt.Key.Key_Shift)

    def order(self, **what: Any) -> None:
        """Tell the fake engine what goes wrong with the next job."""
        self._orders.write_text(json.dumps(what))

    def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        """Let the window live until something is true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not true after {seconds} s; the dock says {self.dock.message.text()!r}")
            QApplication.processEvents()
            time.sleep(0.003)

    def idle(self, seconds: float = 0.15) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.003)

    def open(self, sample: str) -> None:
        self.dock.open_sample(sample)
        self.until(lambda: self.dock.session.scan is not None and not self.dock.tasks.names())
        self.idle(0.05)

    def run(self, model: str) -> None:
        self.start_run(model)
        self.until(lambda: not self.dock.tasks.names())
        self.idle(0.05)

    def start_run(self, model: str) -> None:
        self.dock.tabs.setCurrentIndex(1)
        self.until(lambda: self.dock.ai.choose(model))
        self.until(lambda: self.dock.ai.run.isEnabled())
        self.click(self.dock.ai.run)

    def empty_mask(self) -> None:
        self.dock.tabs.setCurrentIndex(2)
        self.idle(0.05)
        self.click(self.dock.correct.empty)
        self.until(lambda: self.dock.layers.mask is not None)
        self.idle(0.05)

    def click(self, button: Any) -> None:
        assert button.isVisible() and button.isEnabled(), button.text()
        QTest.mouseClick(button, LEFT)

    def four(self) -> tuple[Any, ...]:
        """Show 2x2 and return its panes: main, second, third, volume."""
        if self.dock.views.layout != "four":
            self.dock.views.show_four()
        self.until(lambda: len(self.dock.views.shown) == 4)
        self.idle(0.2)
        return self.dock.views.panes

    def said(self) -> str:
        """Return what stands in the corners of the first view."""
        views = self.dock.views
        return " | ".join(self.dock.reading.annotations.words(views.panes[0]))

    def on(self, pane: Any = None) -> Any:
        """Return the canvas of a pane: a `Pane`, its name, None for napari's own, or the canvas itself."""
        if isinstance(pane, QWidget):
            return pane
        if pane is None or pane == "main":
            return self.native
        if isinstance(pane, str):
            pane = next(p for p in self.dock.views.panes if p.name == pane)
        return pane.native

    def key(self, key: Any, modifiers: Any = NONE, pane: Any = None) -> None:
        QTest.keyClick(self.on(pane), key, modifiers)
        self.idle(0.02)

    def centre(self, pane: Any = None) -> tuple[float, float]:
        native = self.on(pane)
        return native.width() / 2, native.height() / 2

    def mouse(
        self, kind: Any, at: tuple[float, float], button: Any, buttons: Any, modifiers: Any = NONE, pane: Any = None
    ) -> None:
        native, point = self.on(pane), QPointF(*at)
        if kind == QEvent.Type.MouseButtonPress:
            self._pressed[native, button] = at
        elif kind == QEvent.Type.MouseButtonRelease:
            self._pressed.pop((native, button), None)
        glob = QPointF(native.mapToGlobal(point.toPoint()))
        QApplication.sendEvent(native, QMouseEvent(kind, point, glob, button, buttons, modifiers))

    def move(self, at: tuple[float, float], modifiers: Any = NONE, pane: Any = None) -> None:
        """Move the mouse to a pixel without a button."""
        nothing = Qt.MouseButton.NoButton
        self.mouse(QEvent.Type.MouseMove, at, nothing, nothing, modifiers, pane)
        self.idle(0.05)

    def double_click(self, at: tuple[float, float] | None = None, pane: Any = None) -> None:
        """Click twice, as Qt tells it."""
        kinds, nothing = QEvent.Type, Qt.MouseButton.NoButton
        at = at or self.centre(pane)
        self.mouse(kinds.MouseMove, at, nothing, nothing, pane=pane)
        for kind in (kinds.MouseButtonPress, kinds.MouseButtonDblClick):
            self.mouse(kind, at, LEFT, LEFT, pane=pane)
            self.mouse(kinds.MouseButtonRelease, at, LEFT, nothing, pane=pane)
        self.idle(0.1)

    def drag(
        self, start: tuple, end: tuple, button: Any = LEFT, modifiers: Any = NONE, steps: int = 6, pane: Any = None
    ) -> None:
        """Press, move in steps, release: what a hand does."""
        kinds = QEvent.Type
        nothing = Qt.MouseButton.NoButton
        self.mouse(kinds.MouseMove, start, nothing, nothing, modifiers, pane)
        self.mouse(kinds.MouseButtonPress, start, button, button, modifiers, pane)
        for step in range(1, steps + 1):
            at = tuple(a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            self.mouse(kinds.MouseMove, at, nothing, button, modifiers, pane)
            QApplication.processEvents()
        self.mouse(kinds.MouseButtonRelease, end, button, nothing, modifiers, pane)
        self.idle(0.05)

    def wheel(self, turns: int, modifiers: Any = NONE, pane: Any = None, at: tuple[float, float] | None = None) -> None:
        native = self.on(pane)
        point = QPointF(*(at or self.centre(pane)))
        glob = QPointF(native.mapToGlobal(point.toPoint()))
        phase = Qt.ScrollPhase.NoScrollPhase
        event = QWheelEvent(
            point, glob, QPoint(0, 0), QPoint(0, 120 * turns), Qt.MouseButton.NoButton, modifiers, phase, False
        )
        QApplication.sendEvent(native, event)
        self.idle(0.05)


@pytest.fixture(scope="session", autouse=True)
def light_collections() -> Iterator[None]:
    """Leave what imports made out of every search for garbage: napari's fixture searches five times a test.

    Done before the first window, so a window that is not let go is found as before.
    """
    import napari.viewer

    from napari_medcnn.widgets import dock

    assert napari.viewer and dock
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_packages import classifier, package, segmenter

    folder = tmp_path_factory.mktemp("models")
    for spec in (
        segmenter("tiny-mask"), segmenter("tiny-photo", 2, 3, title="Bright pixels"), classifier(),
        segmenter("tiny-two", 3, 2, title="Wants two channels"),
    ):  # fmt: skip
        package(folder, spec)
    return folder


@pytest.fixture(scope="session")
def orders_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orders") / "orders.json"


@pytest.fixture
def orders(orders_file: Path) -> Iterator[Path]:
    """The file that tells the fake engine what goes wrong; nothing at the start of a test."""
    yield orders_file
    orders_file.unlink(missing_ok=True)


def dock_in(viewer: Any, launch: Any, orders: Path) -> Desk:
    """Put a dock into a napari window."""
    from napari_medcnn.widgets import dock as dock_module

    dock = dock_module.MedcnnDock(viewer, launch)
    dock.dialogs = dock.correcting._dialogs = dock.running.managing.dialogs = Answers()
    viewer.window.add_dock_widget(dock, name="MedCNN", area="right")
    return Desk(viewer, dock, orders)


@pytest.fixture
def desk_of(make_napari_viewer_proxy, orders) -> Iterator[Callable[[Any], Desk]]:
    """Open a window with a dock whose engine is started in a given way, None for the real one."""
    desks = []

    def make(launch: Any) -> Desk:
        desk = dock_in(make_napari_viewer_proxy(show=True), launch, orders)
        desks.append(desk)
        desk.begin()
        return desk

    yield make
    for desk in desks:
        desk.end()


@pytest.fixture
def our_models(model_folder, monkeypatch) -> None:
    """The tiny models are the user's own."""
    from napari_medcnn.widgets import dock as dock_module
    from napari_medcnn.widgets.engine_link import Preferences

    monkeypatch.setattr(dock_module, "read_preferences", lambda: Preferences(model_folder=str(model_folder)))


@pytest.fixture
def make_desk(desk_of, our_models, orders) -> Callable[[], Desk]:
    """Open new windows."""
    import fake_engine

    return lambda: desk_of(fake_engine.launch(orders))


@pytest.fixture
def fresh(make_desk) -> Desk:
    """A window of its own, for what a window does only once and for what is closed or broken on purpose."""
    return make_desk()


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Desk:
    """The window that tests use one after the other; one of its own for what is marked ``own_window``."""
    own = request.node.get_closest_marker("own_window") is not None
    return request.getfixturevalue("fresh" if own else "shared_desk")


@pytest.fixture
def shared_desk(request: pytest.FixtureRequest, shared_window, our_models, orders) -> Iterator[Desk]:
    """The window that tests use one after the other; each finds it as new (`shared_window.py`)."""
    import fake_engine

    def make(viewer: Any) -> Desk:
        desk = dock_in(viewer, fake_engine.launch(orders), orders)
        desk.begin()
        return desk

    yield shared_window.desk(make)
    report = getattr(request.node, "rep_call", None)
    shared_window.take_back(request.node.nodeid, checked=report is not None and report.passed)


@pytest.fixture
def presses(desk: Desk) -> Iterator[Any]:
    """Keys that are counted instead of acted on, until the test is over."""
    from window_state import Presses

    made = Presses(desk)
    yield made
    made.end()
